//! F06, F09: a callback after the fifteen minutes, and one whose state was sealed with another key.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use vestibule::authentication::LoginState;
use vestibule::clock::UnixTime;
use vestibule::secret::Entropy;
use vestibule::session::{Sealer, SessionKey};

use crate::support::World;
use crate::support::gateway::session_key;
use crate::support::oracles::{honest_login_works, no_session_no_token_call, start_login, state_of, with_parameter};

#[expect(clippy::disallowed_methods, reason = "a state of our own making needs randomness of our own")]
fn sealer(key: &str) -> Sealer {
    let entropy = Entropy::new(Arc::new(SystemRandom::new()));
    Sealer::new(&[SessionKey::parse(key).unwrap()], entropy).unwrap()
}

/// A callback whose login began `age` ago.
fn callback_of_age(world: &World, age: Duration) -> (crate::support::client::Browser, String) {
    let mut browser = world.browser();
    let authorization = start_login(world, &mut browser, "/wanted?a=b");
    let callback = world.provider.approve(&authorization);
    // The clock of the gateway cannot be moved from outside; the start can, with its key.
    let sealer = sealer(&world.gateway.session_key());
    let mut login = LoginState::open(&sealer, &state_of(&callback)).unwrap();
    login.started_at = UnixTime(login.started_at.0 - age.as_secs());
    let state = login.seal(&sealer).unwrap();
    (browser, with_parameter(&callback, "state", Some(&state)))
}

#[test]
fn f06_callback_after_fifteen_minutes_is_refused_with_a_way_to_start_again() {
    let world = World::start();
    let (mut browser, callback) = callback_of_age(&world, Duration::from_secs(15 * 60 + 1));
    let expected: (&[u16], &str) = (&[401], "");
    let page = no_session_no_token_call(&world, &mut browser, &callback, expected, "late");
    let link = page.text();
    let link = link.split("href=\"").nth(1).and_then(|rest| rest.split('"').next());
    let link = link.unwrap_or_else(|| panic!("no way on: {page}")).replace("&#x2f;", "/").replace("&amp;", "&");

    // The link leads to the page that was wanted.
    let again = browser.get(&link);
    assert_eq!(again.status(), 302, "{link}: {again}");
    let callback = world.provider.approve(again.location().unwrap());
    let end = browser.get(&callback);
    assert_eq!(end.location(), Some(world.gateway.url("/wanted?a=b").as_str()), "{end}");
}

#[test]
fn f06_callback_within_fifteen_minutes_is_accepted() {
    let world = World::start();
    let (mut browser, callback) = callback_of_age(&world, Duration::from_secs(14 * 60));
    let response = browser.get(&callback);
    assert_eq!(response.status(), 302, "{response}");
}

#[test]
fn f09_state_sealed_with_another_key_begins_anew_and_breaks_nothing() {
    let world = World::start();
    for round in 0..50 {
        let mut browser = world.browser();
        let authorization = start_login(&world, &mut browser, "/");
        let callback = world.provider.approve(&authorization);
        let ours = sealer(&world.gateway.session_key());
        let login = LoginState::open(&ours, &state_of(&callback)).unwrap();
        let state = login.seal(&sealer(&session_key(&world.secrets))).unwrap();
        let foreign = with_parameter(&callback, "state", Some(&state));
        let response = browser.get(&foreign);
        assert_eq!(response.status(), 401, "{round}: {response}");
    }
    honest_login_works(&world);
}

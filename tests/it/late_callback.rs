//! F06, F09: a callback after the fifteen minutes, and one whose state was sealed with another key.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use vestibule::authentication::LoginState;
use vestibule::clock::UnixTime;
use vestibule::secret::Entropy;
use vestibule::session::{Sealer, SessionKey};

use crate::support::World;
use crate::support::client::{connect, set_cookies};
use crate::support::gateway::{NONCE_COOKIE, session_key};
use crate::support::oracles::{honest_login_works, no_session_no_token_call, start_login, state_of, with_parameter};
use crate::support::wire::Wire;

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

/// A browser that opens its tabs of yesterday asks for all of them before it has got any cookie, over one connection.
#[test]
fn f07_tabs_that_begin_at_the_same_moment_share_a_nonce() {
    let world = World::start();
    let begin = |wire: &mut Wire, path: &str, more: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n{more}\r\n", world.gateway.authority());
        wire.send(head.as_bytes()).unwrap();
        let response = wire.response("GET").unwrap();
        let cookie = set_cookies(&response).into_iter().find(|cookie| cookie.name == NONCE_COOKIE).unwrap();
        (response.location().unwrap().to_owned(), cookie.value)
    };
    let mut wire = connect(world.gateway.port);
    let begun: Vec<_> = (0..8).map(|tab| begin(&mut wire, &format!("/tab/{tab}"), "")).collect();
    let mut browser = world.browser();
    browser.put_cookie(NONCE_COOKIE, &begun[5].1);
    for (tab, (authorization, _)) in begun.iter().enumerate().rev() {
        let response = browser.get(&world.provider.approve(authorization));
        assert_eq!(response.location(), Some(world.gateway.url(&format!("/tab/{tab}")).as_str()), "{response}");
    }
    // Another connection is another browser, and what comes through a proxy may be anybody's.
    let mut other = connect(world.gateway.port);
    assert_ne!(begin(&mut other, "/", "").1, begun[0].1);
    for header in ["X-Forwarded-For: 192.0.2.7\r\n", "Forwarded: for=192.0.2.7\r\n", "Via: 1.1 proxy\r\n"] {
        let mut proxied = connect(world.gateway.port);
        let (first, second) = (begin(&mut proxied, "/", header).1, begin(&mut proxied, "/", header).1);
        assert_ne!(first, second, "{header}");
    }
}

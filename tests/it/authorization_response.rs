//! F01–F05, F07: what comes back to the redirect URI belongs to this browser and works once (RFC 6749 section 4.1.2).

use serde_json::json;

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::client::parameter;
use crate::support::gateway::CALLBACK;
use crate::support::oracles::{
    accepts_login, assert_signed_in, attempt, honest_login_works, no_session, no_session_no_token_call, sign_in, sign_in_as, start_login,
    state_of, with_parameter,
};

#[test]
fn f01_callback_in_another_browser_is_refused_and_the_code_is_not_spent() {
    let world = World::start();
    let mut attacker = world.browser();
    let authorization = start_login(&world, &mut attacker, "/attacker");
    let callback = world.provider.approve_as(&authorization, "bob");

    let mut victim = world.browser();
    let expected: (&[u16], &str) = (&[401], "AuthMissingAWSALBAuthNonce");
    no_session_no_token_call(&world, &mut victim, &callback, expected, "without a login");

    let mut victim = world.browser();
    start_login(&world, &mut victim, "/victim");
    let expected: (&[u16], &str) = (&[401], "AuthInvalidAWSALBAuthNonce");
    no_session_no_token_call(&world, &mut victim, &callback, expected, "during a login");

    // What was refused is still good for the browser that it belongs to.
    assert_eq!(attacker.get(&callback).status(), 302);
    assert_signed_in(&mut attacker, "the browser that began");
}

#[test]
fn f01_refused_callback_says_how_to_start_again() {
    let world = World::start();
    let mut browser = world.browser();
    let authorization = start_login(&world, &mut browser, "/wanted?a=b");
    let callback = world.provider.approve(&authorization);
    let page = world.browser().get(&callback);
    assert_eq!(page.status(), 401);
    assert!(page.get("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(page.text().contains("href="), "no way on: {page}");
}

#[test]
fn f02_states_and_nonces_are_random() {
    let world = World::start();
    let (mut states, mut nonces, mut challenges, mut cookies) = (vec![], vec![], vec![], vec![]);
    for _ in 0..200 {
        let mut browser = world.browser();
        let authorization = start_login(&world, &mut browser, "/same");
        states.push(state_of(&authorization));
        nonces.push(parameter(&authorization, "nonce").unwrap());
        challenges.push(parameter(&authorization, "code_challenge").unwrap());
        cookies.push(browser.cookie("AWSALBAuthNonce").unwrap().to_owned());
    }
    for (name, values, constant) in [
        // The ids of key and process stand in front of what is sealed (12 bytes more than the key's, docs/decisions/0008).
        ("state", states, 32),
        ("nonce", nonces, 0),
        ("code_challenge", challenges, 0),
        ("nonce cookie", cookies, 0),
    ] {
        let mut distinct = values.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), values.len(), "{name} repeats");
        let shortest = values.iter().map(String::len).min().unwrap();
        assert!(shortest >= 16, "{name} of {shortest} characters");
        // 16 characters at the end, so that what does not vary in front is seen.
        let first = values[0].as_bytes();
        let same = (constant..shortest).filter(|position| values.iter().all(|value| value.as_bytes()[*position] == first[*position]));
        assert_eq!(same.count(), 0, "{name}: a position that never varies");
    }
}

#[test]
fn f03_state_that_was_not_made_for_this_login_is_refused() {
    let world = World::start();
    let mut other = world.browser();
    let foreign = state_of(&start_login(&world, &mut other, "/other"));
    for (variant, change) in [
        ("truncated", (|state, _| state[..state.len() - 1].to_owned()) as fn(&str, &str) -> String),
        ("halved", |state, _| state[..state.len() / 2].to_owned()),
        ("extended", |state, _| format!("{state}A")),
        ("one character changed at the start", |state, _| changed(state, 0)),
        ("one character changed in the middle", |state, _| changed(state, state.len() / 2)),
        ("one character changed at the end", |state, _| changed(state, state.len() - 1)),
        ("padded", |state, _| format!("{state}=")),
        ("nonsense", |_, _| "nonsense".to_owned()),
        ("empty", |_, _| String::new()),
    ] {
        let (mut browser, callback) = attempt(&world, |_| {});
        let state = change(&state_of(&callback), &foreign);
        let forged = with_parameter(&callback, "state", Some(&state));
        let reason = if state.is_empty() { "" } else { "AuthInvalidStateParam" };
        let expected: (&[u16], &str) = (&[401], reason);
        no_session_no_token_call(&world, &mut browser, &forged, expected, variant);
    }
    let (mut browser, callback) = attempt(&world, |_| {});
    let stolen = with_parameter(&callback, "state", Some(&foreign));
    let expected: (&[u16], &str) = (&[401], "AuthInvalidAWSALBAuthNonce");
    no_session_no_token_call(&world, &mut browser, &stolen, expected, "of another browser");

    let missing = with_parameter(&callback, "state", None);
    let expected: (&[u16], &str) = (&[401], "AuthMissingStateParam");
    no_session_no_token_call(&world, &mut browser, &missing, expected, "missing");
    let array = missing + "&state%5B%5D=" + &state_of(&callback);
    no_session_no_token_call(&world, &mut browser, &array, expected, "as an array");

    let without_code = with_parameter(&callback, "code", None);
    let expected: (&[u16], &str) = (&[401], "AuthMissingCodeParam");
    no_session_no_token_call(&world, &mut browser, &without_code, expected, "code missing");
    let bare = world.gateway.url(CALLBACK);
    let expected: (&[u16], &str) = (&[401], "AuthMissingStateParam");
    no_session_no_token_call(&world, &mut browser, &bare, expected, "no parameter");
    honest_login_works(&world);
}

#[test]
fn f03_parameter_given_twice_is_refused() {
    let world = World::start();
    for name in ["code", "state", "error", "iss"] {
        for same in [true, false] {
            let (mut browser, callback) = attempt(&world, |_| {});
            let value = parameter(&callback, name).unwrap_or_else(|| "access_denied".to_owned());
            let second = if same { value.as_str() } else { "other" };
            for pair in [(value.as_str(), second), (second, value.as_str())] {
                let base = with_parameter(&callback, name, None);
                let twice = format!("{base}&{name}={}&{name}={}", escape(pair.0), escape(pair.1));
                let variant = format!("{name} twice, same: {same}");
                let expected: (&[u16], &str) = (&[400], "");
                no_session_no_token_call(&world, &mut browser, &twice, expected, &variant);
            }
        }
    }
    honest_login_works(&world);
}

#[test]
fn f04_finished_callback_is_not_redeemed_again() {
    let world = World::start();
    let (mut browser, callback) = attempt(&world, |_| {});
    assert_eq!(browser.get(&callback).status(), 302);
    let tokens = world.provider.count("token");
    for (variant, signed_in) in [("signed in", true), ("signed out", false)] {
        let mut replaying = browser.copy();
        if !signed_in {
            for (name, _) in replaying.session() {
                replaying.drop_cookie(&name);
            }
        }
        let response = replaying.get(&callback);
        let back = response.location() == Some(&world.gateway.url("/attempt"));
        let refused = (400..500).contains(&response.status());
        assert!(refused || (signed_in && back), "{variant}: {response}");
        assert_eq!(world.provider.count("token"), tokens, "{variant}: a second token call");
        assert!(signed_in || replaying.session().is_empty(), "{variant}: a new session");
    }
    assert_signed_in(&mut browser, "after the replay");
}

#[test]
fn f04_callback_sent_twice_at_once_spends_the_code_once() {
    let world = World::start();
    let (browser, callback) = attempt(&world, |_| {});
    let tokens = world.provider.count("token");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let racing: Vec<_> = (0..8)
            .map(|_| {
                let (mut browser, callback) = (browser.copy(), &callback);
                scope.spawn(move || browser.get(callback).status())
            })
            .collect();
        racing.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(world.provider.count("token"), tokens + 1, "{statuses:?}");
    assert!(statuses.contains(&302), "{statuses:?}");
    assert!(statuses.iter().all(|status| *status == 302 || (400..500).contains(status)), "{statuses:?}");
}

#[test]
fn f05_code_that_the_provider_has_seen_before_ends_cleanly() {
    let world = World::start();
    let (mut browser, callback) = attempt(&world, |_| {});
    let refusal = json!({"error": "invalid_grant", "error_description": "code used"});
    world.provider.fault("token", Answer::json(400, &refusal));
    let expected: (&[u16], &str) = (&[401, 561], "AuthInvalidGrantError");
    no_session(&world, &mut browser, &callback, expected, "invalid_grant");
    honest_login_works(&world);
}

#[test]
fn f07_parallel_tabs_each_end_at_their_own_page() {
    let world = World::start();
    let mut browser = world.browser();
    let tabs: Vec<(String, String)> = (0..20)
        .map(|tab| {
            let path = format!("/tab/{tab}?n={tab}");
            (start_login(&world, &mut browser, &path), path)
        })
        .collect();
    // An order that is neither the first nor the last one's.
    for step in 0..tabs.len() {
        let (authorization, path) = &tabs[step * 7 % tabs.len()];
        let response = browser.get(&world.provider.approve(authorization));
        assert_eq!(response.location(), Some(world.gateway.url(path).as_str()), "{response}");
    }
    assert!(browser.cookies.len() <= 5, "{} cookies", browser.cookies.len());
}

#[test]
fn signing_in_as_another_user_replaces_the_session() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let alice = browser.session();
    for (name, _) in alice {
        browser.drop_cookie(&name);
    }
    sign_in_as(&world, &mut browser, "/", "bob");
    assert_eq!(browser.get("/").status(), 200);
    assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some("bob"));
    accepts_login(&world, "alice again", |_| {});
}

fn changed(text: &str, position: usize) -> String {
    let mut octets = text.as_bytes().to_vec();
    octets[position] = if octets[position] == b'A' { b'B' } else { b'A' };
    String::from_utf8(octets).unwrap()
}

fn escape(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

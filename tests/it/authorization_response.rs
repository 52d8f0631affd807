//! F01–F06, F14–F19: what comes back to the redirect URI (RFC 6749 section 4.1.2, RFC 9700, RFC 9207).

use serde_json::json;

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::client::{NAVIGATE, parameter};
use crate::support::gateway::{CALLBACK, authenticate, rule};
use crate::support::oracles::{
    accepts_login, assert_signed_in, attempt, honest_login_works, no_session, no_session_no_token_call, sign_in, sign_in_as, start_login,
    state_of, with_parameter,
};
use crate::support::provider::Provider;

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
        // The key id stands in front of what is sealed.
        ("state", states, 16),
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
fn f14_response_of_another_issuer_is_refused_before_the_token_call() {
    let world = World::start();
    let issuer = world.provider.issuer().to_owned();
    for (variant, value) in [
        ("evil", Some("https://evil.test".to_owned())),
        ("with a slash", Some(format!("{issuer}/"))),
        ("in capitals", Some(issuer.to_uppercase())),
        ("empty", Some(String::new())),
        ("missing although it was announced", None),
    ] {
        let (mut browser, callback) = attempt(&world, |_| {});
        let forged = with_parameter(&callback, "iss", value.as_deref());
        let expected: (&[u16], &str) = (&[400, 401, 561], "");
        no_session_no_token_call(&world, &mut browser, &forged, expected, variant);
    }
    honest_login_works(&world);
}

#[test]
fn f14_response_without_issuer_is_good_where_none_was_announced() {
    let world = World::prepared(|provider| {
        provider.metadata = json!({"authorization_response_iss_parameter_supported": null});
    });
    let (mut browser, callback) = attempt(&world, |_| {});
    let without = with_parameter(&callback, "iss", None);
    assert_eq!(browser.get(&without).status(), 302);
    // An issuer that came unannounced must fit all the same.
    let (mut browser, callback) = attempt(&world, |_| {});
    let forged = with_parameter(&callback, "iss", Some("https://evil.test"));
    let expected: (&[u16], &str) = (&[400, 401, 561], "");
    no_session_no_token_call(&world, &mut browser, &forged, expected, "unannounced");
}

#[test]
fn f15_code_never_goes_to_another_provider() {
    let secrets = crate::support::secrets::Secrets::default();
    let silent = json!({"authorization_response_iss_parameter_supported": null});
    let (honest, evil) = (Provider::start(&secrets), Provider::start(&secrets));
    honest.set(|provider| provider.metadata = silent.clone());
    evil.set(|provider| provider.metadata = silent);
    let other = evil.configuration();
    let world = World::around(honest, secrets, |plan| {
        plan.configuration["identity_providers"]["evil"] = other;
        let actions = json!([authenticate("evil", "authenticate"), {"forward": "app"}]);
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(40, "/evil*", &actions));
    });
    let mut browser = world.browser();
    let honest = start_login(&world, &mut browser, "/honest");
    let at_evil = browser.get("/evil").location().unwrap().to_owned();
    assert!(at_evil.starts_with(evil.issuer()));

    // The evil provider sends the browser on to the honest one, whose code comes back to a login begun at the evil one.
    let code = parameter(&world.provider.approve(&honest), "code").unwrap();
    let mixed = with_parameter(&evil.approve(&at_evil), "code", Some(&code));
    let with_honest_issuer = with_parameter(&mixed, "iss", Some(world.provider.issuer()));
    let response = browser.get(&with_honest_issuer);
    assert!(matches!(response.status(), 400 | 401 | 561), "{response}");
    assert_eq!(evil.count("token"), 0, "the honest provider's code went to the evil one");
    assert_eq!(world.provider.count("token"), 0);
    assert!(browser.session().is_empty());

    // And a login begun at the honest one never asks the evil one.
    let callback = world.provider.approve(&honest);
    let claimed = with_parameter(&callback, "iss", Some(evil.issuer()));
    assert!(matches!(browser.get(&claimed).status(), 400 | 401 | 561));
    assert_eq!(evil.count("token") + world.provider.count("token"), 0);
}

#[test]
fn f16_error_of_the_provider_is_answered_and_never_reflected() {
    let world = World::start();
    let script = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    for (error, status) in [
        ("access_denied", 403),
        ("server_error", 561),
        ("temporarily_unavailable", 561),
        ("invalid_scope", 561),
        ("login_required", 561),
        (script, 561),
    ] {
        for with_good_state in [true, false] {
            let (mut browser, callback) = attempt(&world, |_| {});
            let mut url = with_parameter(&callback, "code", None);
            if !with_good_state {
                url = with_parameter(&url, "state", Some("forged"));
            }
            let url = with_parameter(&url, "error", Some(error));
            let url = with_parameter(&url, "error_description", Some(script));
            let url = with_parameter(&url, "error_uri", Some("https://evil.test/"));
            let expected: &[u16] = if with_good_state { &[status] } else { &[401] };
            let variant = format!("{error}, good state: {with_good_state}");
            let response = no_session_no_token_call(&world, &mut browser, &url, (expected, ""), &variant);
            for part in ["<script", "onerror", "alert(1)", "evil.test"] {
                assert!(!response.text().contains(part), "{variant}: {part} in {response}");
            }
            let policy = response.get("content-security-policy").unwrap_or_default();
            assert!(policy.contains("default-src 'none'"), "{variant}: policy {policy:?}");
        }
    }
    honest_login_works(&world);
}

#[test]
fn f16_state_of_an_error_is_consumed() {
    let world = World::start();
    let (mut browser, callback) = attempt(&world, |_| {});
    let denied = with_parameter(&callback, "code", None);
    let denied = with_parameter(&denied, "error", Some("access_denied"));
    assert_eq!(browser.get(&denied).status(), 403);
    let expected: (&[u16], &str) = (&[401], "AuthUsedStateParam");
    no_session_no_token_call(&world, &mut browser, &callback, expected, "code after an error");
}

#[test]
fn f17_response_of_another_flow_is_refused() {
    let world = World::start();
    let (mut browser, callback) = attempt(&world, |_| {});
    let both = with_parameter(&callback, "error", Some("access_denied"));
    let expected: (&[u16], &str) = (&[400, 401, 403], "");
    no_session_no_token_call(&world, &mut browser, &both, expected, "code and error");

    for name in ["id_token", "access_token"] {
        let (mut browser, callback) = attempt(&world, |_| {});
        let implicit = with_parameter(&callback, "code", None);
        let implicit = with_parameter(&implicit, name, Some("e30.e30.AA"));
        let expected: (&[u16], &str) = (&[400, 401], "");
        no_session_no_token_call(&world, &mut browser, &implicit, expected, name);
    }

    let (mut browser, callback) = attempt(&world, |_| {});
    let (path, form) = callback.split_once('?').unwrap();
    let header = [("Content-Type", "application/x-www-form-urlencoded")];
    let response = browser.request("POST", path, NAVIGATE, &header, Some(form.as_bytes()));
    assert!(matches!(response.status(), 400 | 401 | 405), "form_post: {response}");
    assert!(browser.session().is_empty(), "form_post: a session");
    assert_eq!(browser.get(&callback).status(), 302, "the code was spent by a form_post");
}

#[test]
fn f18_methods_other_than_get_do_not_spend_the_code() {
    let world = World::start();
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
        for header in [&[("X-Nothing", "")][..], &[("Content-Type", "")][..]] {
            let (mut browser, callback) = attempt(&world, |_| {});
            let tokens = world.provider.count("token");
            let body: Option<&[u8]> = if method == "HEAD" { None } else { Some(b"") };
            let response = browser.request(method, &callback, NAVIGATE, header, body);
            assert!(matches!(response.status(), 400 | 401 | 405), "{method}: {response}");
            assert_eq!(world.provider.count("token"), tokens, "{method}: the code was spent");
            assert!(browser.session().is_empty(), "{method}: a session");
            assert_eq!(browser.get(&callback).status(), 302, "{method}: the callback afterwards");
        }
    }
}

#[test]
fn f19_huge_callbacks_are_refused() {
    let world = World::start();
    let (mut browser, callback) = attempt(&world, |_| {});
    let many: String = (0..1_500).map(|n| format!("&p{n}=1")).collect();
    for (variant, url) in [
        ("code of 64 KiB", with_parameter(&callback, "code", Some(&"c".repeat(65_536)))),
        ("state of 64 KiB", with_parameter(&callback, "state", Some(&"s".repeat(65_536)))),
        ("state of 8 KiB", with_parameter(&callback, "state", Some(&"s".repeat(8_192)))),
        ("1,500 parameters", world.gateway.url(CALLBACK) + "?" + &many),
        ("only ampersands", world.gateway.url(CALLBACK) + "?&&&&"),
        ("only a question mark", world.gateway.url(CALLBACK) + "?"),
        ("a percent sign", world.gateway.url(CALLBACK) + "?state=%&code=%"),
    ] {
        let expected: (&[u16], &str) = (&[400, 401, 414, 431], "");
        no_session_no_token_call(&world, &mut browser, &url, expected, variant);
    }
    assert_eq!(browser.get(&callback).status(), 302, "the honest callback afterwards");
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

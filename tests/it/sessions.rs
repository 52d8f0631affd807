//! S01, S02, S06–S10, S14, S17: the session cookie is sealed, bound to its place, and ends when it must.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use crate::support::World;
use crate::support::client::{NAVIGATE, cookie_header, set_cookies};
use crate::support::gateway::{NONCE_COOKIE, SESSION_COOKIE, authenticate, eventually, rule};
use crate::support::jose;
use crate::support::oracles::{assert_signed_in, attempt, is_signed_out, no_session, sign_in, state_of, with_parameter};
use crate::support::provider::Provider;

#[test]
fn s01_cookie_planted_before_the_login_gains_nothing() {
    let world = World::start();
    let mut browser = world.browser();
    let planted = "A".repeat(400);
    browser.put_cookie(&format!("{SESSION_COOKIE}-0"), &planted);
    sign_in(&world, &mut browser, "/");
    assert_signed_in(&mut browser, "after the login");
    assert_ne!(browser.cookie(&format!("{SESSION_COOKIE}-0")), Some(planted.as_str()));
    let mut attacker = world.browser();
    attacker.put_cookie(&format!("{SESSION_COOKIE}-0"), &planted);
    assert!(is_signed_out(&world, &mut attacker));

    let mut again = world.browser();
    sign_in(&world, &mut again, "/");
    assert_ne!(again.session(), browser.session(), "two logins, one cookie");
}

#[test]
fn s02_cookies_have_every_attribute_and_no_domain() {
    let world = World::start();
    let mut browser = world.browser();
    let begin = browser.get("/");
    let end = {
        let callback = world.provider.approve(begin.location().unwrap());
        browser.get(&callback)
    };
    let cookies = [set_cookies(&begin), set_cookies(&end)].concat();
    assert!(cookies.iter().any(|cookie| cookie.name == NONCE_COOKIE));
    assert!(cookies.iter().any(|cookie| cookie.name == format!("{SESSION_COOKIE}-0")));
    for cookie in cookies {
        let numbered = (0..4).any(|n| cookie.name == format!("{SESSION_COOKIE}-{n}"));
        assert!(numbered || cookie.name == NONCE_COOKIE, "unknown cookie {}", cookie.name);
        for (name, value) in [("path", "/"), ("secure", ""), ("httponly", ""), ("samesite", "Lax")] {
            let found = cookie.attribute(name);
            let fits = found.is_some_and(|found| found.eq_ignore_ascii_case(value));
            assert!(fits, "{}: {name} is {found:?}", cookie.name);
        }
        assert_eq!(cookie.attribute("domain"), None, "{}", cookie.name);
        assert!(cookie.size <= 4096, "{} has {} octets", cookie.name, cookie.size);
        if cookie.name == NONCE_COOKIE && !cookie.deletes() {
            assert_eq!(cookie.attribute("max-age"), Some("900"), "15 minutes");
        }
    }
}

#[test]
fn s06_cookie_with_any_character_changed_is_no_session() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let [(name, value)] = &browser.session()[..] else { panic!("one shard is enough for alice") };
    let octets = value.as_bytes();
    let mut refused = |variant: &str, value: &str| {
        let status = browser.status_with(&format!("{name}={value}"));
        assert!(matches!(status, 401 | 302), "{variant}: {status}");
    };
    for position in 0..octets.len() {
        let mut changed = octets.to_vec();
        changed[position] = match changed[position] {
            b'A' => b'B',
            // Neighbours differ in the last bit, which at the end of the text may be one that carries nothing.
            octet if position + 1 == octets.len() && octet != b'z' => octet + 1,
            _ => b'A',
        };
        let changed = String::from_utf8(changed).unwrap();
        refused(&format!("character {position} changed"), &changed);
    }
    for length in (0..octets.len()).step_by(7) {
        refused(&format!("cut to {length}"), &value[..length]);
    }
    refused("doubled", &format!("{value}{value}"));
    refused("extended", &format!("{value}A"));
    refused("padded", &format!("{value}="));
    refused("quoted without its end", &format!("\"{value}"));
    let swapped: String = value
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    if swapped != *value {
        refused("in the other alphabet", &swapped);
    }
    let (name, value) = (name.clone(), value.clone());
    assert_eq!(browser.status_with(&format!("{name}={value}")), 200, "unchanged");
}

#[test]
fn s07_cookie_of_another_place_is_no_session() {
    let secrets = crate::support::secrets::Secrets::default();
    let (provider, second) = (Provider::start(&secrets), Provider::start(&secrets));
    let second_configuration = second.configuration();
    let world = World::around(provider, secrets, |plan| {
        plan.configuration["identity_providers"]["second"] = second_configuration;
        let named = |provider: &str, cookie: &str| {
            let mut action = authenticate(provider, "deny");
            action["authenticate"]["session_cookie_name"] = json!(cookie);
            json!([action, {"forward": "app"}])
        };
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(40, "/named*", &named("op", "Named")));
        rules.push(rule(41, "/second*", &named("second", SESSION_COOKIE)));
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let value = browser.session()[0].1.clone();
    let mut ask = |path: &str, cookies: String| {
        let header = [("Cookie", cookies.as_str())];
        browser.request("GET", path, NAVIGATE, &header, None).status()
    };
    assert_eq!(ask("/deny", format!("{SESSION_COOKIE}-0={value}")), 200);
    let named = ask("/named", format!("Named-0={value}"));
    assert!(matches!(named, 401 | 302), "under another cookie's name: {named}");
    let second = ask("/second", format!("{SESSION_COOKIE}-0={value}"));
    assert!(matches!(second, 401 | 302), "at another provider's rule: {second}");

    let elsewhere = World::start();
    let mut stranger = elsewhere.browser();
    let status = stranger.status_with(&format!("{SESSION_COOKIE}-0={value}"));
    assert!(matches!(status, 401 | 302), "at another deployment: {status}");
}

#[test]
fn s07_cookie_of_another_client_of_the_same_provider_is_no_session() {
    let secrets = crate::support::secrets::Secrets::default();
    let provider = Provider::start(&secrets);
    let mut other_client = provider.configuration();
    other_client["client_id"] = json!("another-client");
    let world = World::around(provider, secrets, |plan| {
        plan.configuration["identity_providers"]["other"] = other_client;
        let actions = json!([authenticate("other", "deny"), {"forward": "app"}]);
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(40, "/other*", &actions));
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    // A copy, since what is no session there is taken away from the browser.
    let status = browser.copy().get("/other").status();
    assert!(matches!(status, 401 | 302), "{status}");
    assert_signed_in(&mut browser, "at its own client's rule");
}

#[test]
fn s08_state_is_no_session_and_a_session_is_no_state() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let session = browser.session()[0].1.clone();
    let (mut other, callback) = attempt(&world, |_| {});
    let state = state_of(&callback);
    for value in [state.as_str(), other.cookie(NONCE_COOKIE).unwrap()] {
        let cookie = format!("{SESSION_COOKIE}-0={value}");
        let status = world.browser().status_with(&cookie);
        assert!(matches!(status, 401 | 302), "as a session: {status}");
    }
    let forged = with_parameter(&callback, "state", Some(&session));
    no_session(&world, &mut other, &forged, (&[401], "AuthInvalidStateParam"), "session as state");
}

#[test]
fn s09_no_two_cookies_share_a_block() {
    let world = World::start();
    let mut seen: HashSet<Vec<u8>> = HashSet::new();
    for _ in 0..40 {
        let mut browser = world.browser();
        sign_in(&world, &mut browser, "/");
        // The number of shards is the first character.
        let sealed = jose::decode(&browser.session()[0].1[1..]);
        // The key id stands in front. Twelve octets in common anywhere would be a repeated nonce or keystream.
        for block in sealed[8..].chunks_exact(12) {
            assert!(seen.insert(block.to_vec()), "a block twice");
        }
    }
}

#[test]
fn s10_session_ends_at_the_gateway_whatever_the_browser_keeps() {
    let world = World::start_with(|plan| {
        plan.authentication()["session_timeout"] = json!("3s");
        plan.listener()["rules"][1]["actions"][0]["authenticate"]["session_timeout"] = json!("3s");
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    assert_signed_in(&mut browser, "at first");
    let frozen = browser.cookies.clone();
    let ended = eventually(Duration::from_secs(8), || {
        let mut browser = world.browser();
        browser.cookies.clone_from(&frozen);
        browser.get("/page").status() == 302
    });
    assert!(ended, "the session did not end");
    // As with ALB, whoever shows an expired session may sign in again even where `deny` is set.
    browser.cookies.clone_from(&frozen);
    assert_eq!(browser.get("/deny").status(), 302);
    browser.cookies.clone_from(&frozen);
    assert_eq!(browser.fetch("/deny").status(), 401);
}

#[test]
fn s14_cookies_of_one_name_are_never_mixed() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let good = browser.cookie_header();
    let name = format!("{SESSION_COOKIE}-0");
    let value = browser.cookie(&name).unwrap().to_owned();
    for (variant, cookies) in [
        ("evil first", format!("{name}=evil; {good}")),
        ("evil last", format!("{good}; {name}=evil")),
        ("a hundred", format!("{good}; {}", vec![format!("{name}=evil"); 100].join("; "))),
    ] {
        let status = browser.status_with(&cookies);
        assert!(matches!(status, 200 | 302 | 400 | 401), "{variant}: {status}");
        assert_eq!(browser.status_with(&cookies), status, "{variant}: not the same twice");
        if status == 200 {
            assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some("alice"), "{variant}");
        }
    }
    for folded in [name.to_lowercase(), format!("\u{a0}{name}"), format!("$Version=1; {name}")] {
        let status = browser.status_with(&format!("{folded}={value}"));
        assert!(matches!(status, 200 | 302 | 400 | 401), "{folded}: {status}");
    }
}

#[test]
fn s17_gateway_cookies_stay_at_the_gateway_and_others_pass_byte_for_byte() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let shard = cookie_header(&browser.session());
    let nonce = format!("{NONCE_COOKIE}={}", browser.cookie(NONCE_COOKIE).unwrap_or("left-over-nonce"));
    for (sent, received) in [
        (format!("theme=dark; {shard}; a=\"b c\"; {nonce}; =x; y"), Some("theme=dark; a=\"b c\"; =x; y")),
        (format!("{shard}; {nonce}"), None),
        (format!("AWSELBAuthSession=mine; {shard}"), Some("AWSELBAuthSession=mine")),
    ] {
        assert_eq!(browser.status_with(&sent), 200, "{sent}");
        let seen = world.target.last();
        assert_eq!(seen.get("cookie"), received);
        assert!(!String::from_utf8_lossy(&seen.raw).contains(&shard));
    }
}

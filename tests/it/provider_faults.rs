//! I03, I04, I06, I17: a provider that is slow, confused or hostile never signs anybody in.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::canary::Canary;
use crate::support::client::NAVIGATE;
use crate::support::gateway::eventually;
use crate::support::oracles::{accepts_login, assert_signed_in, attempt, honest_login_works, no_session, sign_in, start_login};
use crate::support::provider::put;

const JSON: Option<&str> = Some("application/json");

#[test]
fn i03_token_endpoint_that_fails_gives_no_session() {
    let world = World::start();
    let huge = vec![b' '; 8 << 20];
    for (variant, answer, reason) in [
        ("500", Answer::of(500, JSON, "{}"), "AuthTokenEpRequestFailed"),
        ("503 and Retry-After", Answer::of(503, JSON, "{}").with("Retry-After", "3600"), "AuthTokenEpRequestFailed"),
        ("429", Answer::of(429, JSON, "{}"), "AuthTokenEpRequestFailed"),
        ("404 HTML", Answer::of(404, Some("text/html"), "<html>"), "AuthTokenEpRequestFailed"),
        ("HTML", Answer::of(200, Some("text/html"), "<html></html>"), "AuthInvalidTokenResponse"),
        ("empty", Answer::of(200, JSON, ""), "AuthInvalidTokenResponse"),
        ("null", Answer::of(200, JSON, "null"), "AuthInvalidTokenResponse"),
        ("a list", Answer::of(200, JSON, "[]"), "AuthInvalidTokenResponse"),
        ("a string", Answer::of(200, JSON, "\"x\""), "AuthInvalidTokenResponse"),
        ("two values", Answer::of(200, JSON, "{}{}"), "AuthInvalidTokenResponse"),
        ("a tower", Answer::of(200, JSON, "[".repeat(200_000)), "AuthInvalidTokenResponse"),
        ("closed", Answer::closed(), ""),
        ("cut off", Answer::of(200, JSON, "{\"access_token\":\"x\"}").cut_after(9), ""),
        ("8 MiB", Answer::of(200, JSON, huge), ""),
        ("without end", Answer::endless(), ""),
    ] {
        let (mut browser, callback) = attempt(&world, |_| {});
        let begin = Instant::now();
        world.provider.fault("token", answer);
        let before = world.gateway.resident_memory();
        no_session(&world, &mut browser, &callback, (&[561], reason), variant);
        assert!(begin.elapsed() < Duration::from_secs(8), "{variant}: {:?}", begin.elapsed());
        let grown = world.gateway.resident_memory().saturating_sub(before);
        assert!(grown < 48 << 20, "{variant}: memory grew by {grown} octets");
    }
    honest_login_works(&world);
}

#[test]
fn i03_token_endpoint_that_is_slow_is_given_up() {
    let answers = [
        ("silent", Answer::hanging()),
        ("late", Answer::json(200, &json!({})).after(Duration::from_secs(45))),
        ("in drops", Answer::of(200, JSON, vec![b' '; 400]).drip(Duration::from_millis(150))),
    ];
    // Together, since each takes as long as the gateway waits.
    std::thread::scope(|scope| {
        for (variant, answer) in answers {
            scope.spawn(move || {
                let world = World::start();
                let (mut browser, callback) = attempt(&world, |_| {});
                let mut signed_in = world.browser();
                sign_in(&world, &mut signed_in, "/");
                world.provider.fault("token", answer);
                let begin = Instant::now();
                let tokens = world.provider.count("token");
                let waiting = scope.spawn(move || (browser.get(&callback), browser));
                let asked =
                    eventually(Duration::from_secs(5), || world.provider.hits("token").len() > tokens || begin.elapsed().as_millis() > 500);
                assert!(asked, "{variant}");
                // Whoever is signed in does not wait for the provider.
                let canary = Instant::now();
                assert_signed_in(&mut signed_in, variant);
                assert!(canary.elapsed() < Duration::from_secs(1), "{variant}: the canary waited");
                let (response, mut browser) = waiting.join().unwrap();
                assert_eq!(response.status(), 561, "{variant}: {response}");
                assert!(begin.elapsed() < Duration::from_secs(20), "{variant}: {:?}", begin.elapsed());
                assert!(browser.session().is_empty(), "{variant}: a session");
                assert_eq!(browser.get("/page").status(), 302, "{variant}: signed in");
                let logged = world.gateway.logs_reason("AuthTokenEpRequestTimeout");
                assert!(logged, "{variant}: the log does not say why");
            });
        }
    });
}

#[test]
fn i04_token_endpoint_that_redirects_is_not_followed() {
    let world = World::start();
    let canary = Canary::start();
    for status in [301, 302, 303, 307, 308] {
        for scheme in ["http", "https"] {
            let (mut browser, callback) = attempt(&world, |_| {});
            let place = format!("{scheme}://127.0.0.1:{}/token", canary.port);
            world.provider.fault("token", Answer::redirect(status, &place));
            let variant = format!("{status} to {scheme}");
            no_session(&world, &mut browser, &callback, (&[561], "AuthTokenEpRequestFailed"), &variant);
        }
    }
    assert_eq!(canary.knocks(), 0, "the redirect was followed");
    honest_login_works(&world);
}

#[test]
fn i04_user_info_that_redirects_is_not_followed() {
    let world = World::start();
    let canary = Canary::start();
    let (mut browser, callback) = attempt(&world, |_| {});
    let place = format!("http://127.0.0.1:{}/userinfo", canary.port);
    world.provider.fault("userinfo", Answer::redirect(307, &place));
    let expected: (&[u16], &str) = (&[561], "AuthUserinfoEpRequestFailed");
    no_session(&world, &mut browser, &callback, expected, "307");
    assert_eq!(canary.knocks(), 0, "the redirect was followed");
}

#[test]
fn i06_token_response_that_lacks_something_is_refused_or_read_safely() {
    let world = World::start();
    for (variant, name, value) in [
        ("no ID token", "id_token", json!(null)),
        ("an empty ID token", "id_token", json!("")),
        ("an ID token that is a number", "id_token", json!(1)),
        ("an ID token that is an object", "id_token", json!({})),
        ("an ID token of five parts", "id_token", json!("a.b.c.d.e")),
        ("an ID token of dots", "id_token", json!("...")),
        ("an ID token of 1 MB", "id_token", json!("a".repeat(1_000_000))),
        ("no access token", "access_token", json!(null)),
        ("an access token that is a number", "access_token", json!(1)),
        ("another token type", "token_type", json!("mac")),
        ("an error beside the tokens", "error", json!("invalid_grant")),
    ] {
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.edit_token_response(move |response| put(response, name, value.clone()));
        });
        no_session(&world, &mut browser, &callback, (&[401, 561], ""), variant);
    }
    for (variant, value) in [
        ("absent", json!(null)),
        ("negative", json!(-1)),
        ("a string", json!("3600")),
        ("1e18", json!(1_000_000_000_000_000_000_u64)),
        ("2^64 - 1", json!(u64::MAX)),
        ("1e300", json!(1e300)),
        ("zero", json!(0)),
    ] {
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.edit_token_response(move |response| put(response, "expires_in", value.clone()));
        });
        let response = browser.get(&callback);
        assert!(matches!(response.status(), 302 | 561), "expires_in {variant}: {response}");
    }
    accepts_login(&world, "token_type in small letters", |provider| {
        provider.edit_token_response(|response| response["token_type"] = json!("bearer"));
    });
    honest_login_works(&world);
}

#[test]
fn i17_user_info_that_fails_gives_no_half_identity() {
    let world = World::start();
    for (variant, answer, reason) in [
        ("500", Answer::of(500, JSON, "{}"), "AuthUserinfoEpRequestFailed"),
        ("401", Answer::of(401, JSON, "{}"), "AuthUserinfoEpRequestFailed"),
        ("closed", Answer::closed(), ""),
        ("without end", Answer::endless(), ""),
    ] {
        let (mut browser, callback) = attempt(&world, |_| {});
        world.provider.fault("userinfo", answer);
        no_session(&world, &mut browser, &callback, (&[561], reason), variant);
    }
    honest_login_works(&world);
}

#[test]
fn provider_error_pages_are_plain_and_tell_nothing() {
    let world = World::start();
    let (mut browser, callback) = attempt(&world, |_| {});
    world.provider.fault("token", Answer::of(500, JSON, r#"{"error":"<script>secret detail"}"#));
    let page = browser.get(&callback);
    assert_eq!(page.status(), 561);
    assert!(page.get("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(page.get("cache-control").is_some_and(|value| value.contains("no-store")));
    for detail in ["secret detail", "script", "localhost", "token endpoint", "127.0.0.1"] {
        assert!(!page.text().contains(detail), "{detail} in {}", page.text());
    }
    let mut other = world.browser();
    let authorization = start_login(&world, &mut other, "/");
    let callback = world.provider.approve(&authorization);
    let fetched = other.request("GET", &callback, &NAVIGATE[..1], &[("Accept", "application/json")], None);
    assert_eq!(fetched.status(), 561);
    assert!(fetched.json()["request_id"].is_string());
}

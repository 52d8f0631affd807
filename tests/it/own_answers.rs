//! F24, U02, U04, U08, U13: what every answer of the gateway itself carries, and never carries.

use crate::support::World;
use crate::support::client::{Browser, FETCH, NAVIGATE, SetCookie, set_cookies};
use crate::support::oracles::{attempt, sign_in};
use crate::support::wire::Response;

/// Answers of every kind, each with its name.
pub(crate) fn answers(world: &World) -> Vec<(String, Response)> {
    let mut answers = Vec::new();
    let evil = [("Origin", "https://evil.test")];
    for (kind, base) in [("navigation", NAVIGATE), ("fetch", FETCH)] {
        let mut ask = |what: &str, browser: &mut Browser, method: &str, url: &str, more: &[(&str, &str)]| {
            let more = [more, &evil].concat();
            answers.push((format!("{what}, {kind}"), browser.request(method, url, base, &more, None)));
        };
        let mut browser = world.browser();
        ask("challenge", &mut browser, "GET", "/page", &[]);
        ask("denied", &mut browser, "GET", "/deny", &[]);
        ask("post", &mut browser, "POST", "/page", &[]);
        ask("preflight", &mut browser, "OPTIONS", "/page", &[("Access-Control-Request-Method", "PUT")]);
        ask("malformed", &mut browser, "GET", "/x/../y", &[]);
        ask("trace", &mut browser, "TRACE", "/page", &[]);
        ask("too long", &mut browser, "GET", &format!("/{}", "x".repeat(20_000)), &[]);
        ask("misdirected", &mut browser, "GET", "/page", &[("Host", "other.test")]);
        ask("no such key", &mut browser, "GET", "/oauth2/keys/none", &[]);
        ask("session, signed out", &mut browser, "GET", "/oauth2/session", &[]);
        ask("sign out, signed out", &mut browser, "GET", "/oauth2/logout", &[]);
        ask("late callback", &mut browser, "GET", "/oauth2/idpresponse?code=x&state=y", &[]);
        let (mut browser, callback) = attempt(world, |provider| provider.claim("iss", "evil".into()));
        ask("provider's fault", &mut browser, "GET", &callback, &[]);
        let (mut browser, callback) = attempt(world, |_| {});
        ask("signed in", &mut browser, "GET", &callback, &[]);
        ask("session, signed in", &mut browser, "GET", "/oauth2/session", &[]);
        ask("sign out from elsewhere", &mut browser, "GET", "/oauth2/logout", &[("Referer", "https://evil.test/")]);
    }
    answers
}

#[test]
fn u02_u04_answers_of_the_gateway_are_not_stored_sniffed_framed_or_scripted() {
    let world = World::start();
    for (variant, answer) in answers(&world) {
        let header = |name: &str| answer.get(name).unwrap_or_default().to_owned();
        assert!(header("cache-control").contains("no-store"), "{variant}: {answer} may be stored");
        assert_eq!(header("x-content-type-options"), "nosniff", "{variant}: {answer}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{variant}: {answer}");
        if !answer.body.is_empty() {
            let policy = header("content-security-policy");
            // Nobody can be led to click on JSON, and pages of the own origin wait for it in a frame.
            let frames = if variant.starts_with("session, ") { "frame-ancestors 'self'" } else { "frame-ancestors 'none'" };
            for part in ["default-src 'none'", frames] {
                assert!(policy.contains(part), "{variant}: {answer} has the policy {policy:?}");
            }
            for part in ["unsafe-inline", "unsafe-eval", "*", "http:"] {
                assert!(!policy.contains(part), "{variant}: {answer} has the policy {policy:?}");
            }
            assert!(header("content-type").contains("charset=utf-8") || header("content-type").contains("json"), "{variant}");
        }
    }
}

#[test]
fn u08_answers_of_the_gateway_are_for_its_own_origin_only() {
    let world = World::start();
    for (variant, answer) in answers(&world) {
        for (name, value) in &answer.head.fields {
            assert!(!name.to_lowercase().starts_with("access-control-"), "{variant}: {name}: {value}");
        }
    }
}

#[test]
fn u13_answers_of_the_gateway_name_no_inside() {
    let world = World::start();
    let target = format!(":{}", world.target.port());
    for (variant, answer) in answers(&world) {
        let body = answer.text();
        for inside in ["127.0.0.1", "localhost", "pingora", "rustls", "src/", ".rs:", &target] {
            assert!(!body.contains(inside), "{variant}: {inside} in {body}");
        }
        let server = answer.get("server").unwrap_or_default();
        assert!(!server.contains('/'), "{variant}: Server: {server}");
    }
}

#[test]
fn pages_are_for_people_and_json_is_for_programs() {
    let world = World::start();
    for (variant, answer) in answers(&world) {
        let kind = answer.get("content-type").unwrap_or_default();
        if answer.status() < 400 {
            continue;
        }
        if variant.ends_with("navigation") {
            assert!(kind.starts_with("text/html"), "{variant}: {kind}");
        } else {
            let body = answer.json();
            assert!(body["error"].is_string() && body["request_id"].is_string(), "{variant}: {body}");
        }
    }
}

#[test]
fn s13_cookies_are_deleted_as_they_were_set() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let site = [("Sec-Fetch-Site", "same-origin")];
    let response = browser.request("GET", "/oauth2/logout", &NAVIGATE[..4], &site, None);
    let deleted: Vec<_> = set_cookies(&response).into_iter().filter(SetCookie::is_session).collect();
    assert_eq!(deleted.len(), 4, "every shard that there may be");
    for cookie in deleted {
        assert!(cookie.deletes(), "{cookie:?}");
        assert_eq!(cookie.attribute("path"), Some("/"), "{cookie:?}");
        assert!(cookie.attribute("secure").is_some() && cookie.attribute("httponly").is_some(), "{cookie:?}");
        assert_eq!(cookie.attribute("domain"), None, "{cookie:?}");
    }
}

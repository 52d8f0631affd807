//! S12, S24, L12, L15: the end of a session.

use std::time::Duration;

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::client::{Browser, NAVIGATE, parameter};
use crate::support::gateway::eventually;
use crate::support::oracles::{assert_signed_in, is_signed_out, sign_in};
use crate::support::wire::Response;

fn sign_out(browser: &mut Browser, site: &str) -> Response {
    browser.request("GET", "/oauth2/logout", &NAVIGATE[..4], &[("Sec-Fetch-Site", site)], None)
}

#[test]
fn s12_cookie_copied_before_signing_out_is_dead() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let mut thief = browser.copy();
    assert_signed_in(&mut thief, "before");
    let response = sign_out(&mut browser, "same-origin");
    let location = response.location().unwrap_or_default();
    assert!(response.status() == 302 && location.starts_with(world.provider.issuer()), "to the provider: {response}");
    assert!(parameter(location, "id_token_hint").is_some() || parameter(location, "client_id").is_some());
    assert!(is_signed_out(&world, &mut browser));
    assert!(is_signed_out(&world, &mut thief), "the copy still works");
    assert_eq!(thief.fetch("/oauth2/session").json()["signed_in"], false);
}

#[test]
fn l12_other_sites_cannot_sign_anybody_out() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    for (variant, more) in [
        ("cross-site navigation", vec![("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")]),
        ("same-site navigation", vec![("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "navigate")]),
        ("an image", vec![("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")]),
        ("an old browser", vec![("Referer", "https://evil.test/")]),
        ("no word about the site", vec![]),
        ("a form", vec![("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.test")]),
        ("an opaque origin", vec![("Origin", "null")]),
        ("a guessed id", vec![("Sec-Fetch-Site", "cross-site")]),
    ] {
        let method = if variant == "a form" { "POST" } else { "GET" };
        let url = if variant == "a guessed id" { "/oauth2/logout?session=0000" } else { "/oauth2/logout" };
        let body: Option<&[u8]> = if method == "POST" { Some(b"") } else { None };
        let response = browser.request(method, url, &[("Accept", "text/html")], &more, body);
        assert!(response.status() < 500, "{variant}: {response}");
        assert_signed_in(&mut browser, variant);
    }
    assert_eq!(sign_out(&mut browser, "same-origin").status(), 302);
    assert!(is_signed_out(&world, &mut browser));
}

#[test]
fn l15_signing_out_works_in_every_state() {
    let world = World::start();
    let mut browser = world.browser();
    let nobody = sign_out(&mut browser, "same-origin");
    assert!(matches!(nobody.status(), 200 | 302), "signed out already: {nobody}");
    browser.put_cookie("AWSELBAuthSessionCookie-0", "garbage");
    let garbage = sign_out(&mut browser, "same-origin");
    assert!(matches!(garbage.status(), 200 | 302), "garbage: {garbage}");
    assert!(browser.session().is_empty(), "the garbage stays");

    sign_in(&world, &mut browser, "/");
    assert_eq!(sign_out(&mut browser, "same-origin").status(), 302);
    let again = sign_out(&mut browser, "same-origin");
    assert!(matches!(again.status(), 200 | 302), "twice: {again}");

    sign_in(&world, &mut browser, "/");
    for endpoint in ["discovery", "jwks", "end_session"] {
        world.provider.fault(endpoint, Answer::closed());
    }
    let down = sign_out(&mut browser, "same-origin");
    assert!(matches!(down.status(), 200 | 302), "provider down: {down}");
    world.provider.reset();
    assert!(is_signed_out(&world, &mut browser));
}

#[test]
fn l15_expired_session_is_signed_out_too() {
    let world = World::start_with(|plan| plan.authentication()["session_timeout"] = serde_json::json!("1s"));
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let kept = browser.session();
    assert!(eventually(Duration::from_secs(5), || is_signed_out(&world, &mut browser.copy())), "it does not expire");
    assert_eq!(browser.session(), kept);
    let response = sign_out(&mut browser, "same-origin");
    assert!(matches!(response.status(), 200 | 302), "{response}");
    assert!(browser.session().is_empty(), "the cookies stay");
}

#[test]
fn s24_no_endpoint_shows_a_token() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    for path in ["/oauth2/session", "/oauth2/jwks.json", "/oauth2/keys/x", "/oauth2/unknown", "/oauth2/logout"] {
        let shown = browser.fetch(path).text();
        let leaks = world.secrets.leaks(&shown);
        assert!(leaks.is_empty(), "{path} shows {leaks:?}");
    }
}

#[test]
fn session_endpoint_tells_the_page_who_is_signed_in() {
    let world = World::start();
    let mut browser = world.browser();
    assert_eq!(browser.fetch("/oauth2/session").json()["signed_in"], false);
    sign_in(&world, &mut browser, "/");
    let session = browser.fetch("/oauth2/session").json();
    assert_eq!(session["signed_in"], true);
    assert_eq!(session["subject"], "alice");
    assert_eq!(session["claims"]["email"], "alice@example.com");
    assert!(session["expires_in"].as_u64().is_some_and(|seconds| seconds > 600_000), "{session}");
}

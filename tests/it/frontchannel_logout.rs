//! L13: what a page of the provider embeds ends the session of this very browser, and nobody else's.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::client::{Browser, set_cookies};
use crate::support::oracles::{assert_signed_in, is_signed_out, signed_in_with_sid};
use crate::support::wire::Response;

/// What a browser says of a frame on another origin of the same site.
const FRAME: &[(&str, &str)] =
    &[("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-site")];

fn embedded(browser: &mut Browser, parameters: &[(&str, &str)]) -> Response {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    browser.request("GET", &format!("/oauth2/frontchannel_logout?{query}"), FRAME, &[], None)
}

#[test]
fn l13_frame_ends_the_session_of_this_browser_when_it_names_it() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("of alice"));
    let mut copy = alice.copy();
    let mut bob = signed_in_with_sid(&world, "bob", &json!("of bob"));
    let issuer = world.provider.issuer().to_owned();

    let of_bob = embedded(&mut alice, &[("iss", &issuer), ("sid", "of bob")]);
    assert_eq!((of_bob.status(), set_cookies(&of_bob).len()), (200, 0), "{of_bob}");
    assert_signed_in(&mut alice, "another's sid");
    assert_signed_in(&mut bob, "the other");

    let own = embedded(&mut alice, &[("iss", &issuer), ("sid", "of alice")]);
    assert_eq!((own.status(), own.get("cache-control")), (200, Some("no-store")), "{own}");
    let policy = own.get("content-security-policy").unwrap();
    assert!(policy.ends_with(&format!("frame-ancestors {issuer}")), "{policy}");
    assert_eq!(own.get("x-frame-options"), None);
    assert!(set_cookies(&own).iter().all(|cookie| cookie.is_session() && cookie.deletes()) && alice.session().is_empty(), "{own}");
    assert!(is_signed_out(&world, &mut alice) && is_signed_out(&world, &mut copy), "the copy still works");
    assert_signed_in(&mut bob, "the other");
    let masked = world.gateway.access_lines_with(1, |line| line["auth_outcome"] == "signed_out");
    assert!(masked.iter().all(|line| line["request"].as_str().unwrap().contains("[masked]")), "{masked:?}");
}

#[test]
fn l13_without_the_cookies_nothing_ends() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("of alice"));
    let issuer = world.provider.issuer().to_owned();
    // In a frame on another site SameSite=Lax keeps them back; and so does everybody else who knows the sid.
    let mut stranger = world.browser();
    assert_eq!(embedded(&mut stranger, &[("iss", &issuer), ("sid", "of alice")]).status(), 200);
    assert_signed_in(&mut alice, "by sid alone");
}

#[test]
fn l13_frame_has_to_name_issuer_and_session() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let mut nameless = signed_in_with_sid(&world, "alice", &Value::Null);
    let issuer = world.provider.issuer().to_owned();
    let slash = format!("{issuer}/");
    for (variant, parameters) in [
        ("nothing", vec![]),
        ("no sid", vec![("iss", issuer.as_str())]),
        ("no iss", vec![("sid", "sid")]),
        ("empty sid", vec![("iss", &issuer), ("sid", "")]),
        ("two sids", vec![("iss", &issuer), ("sid", "x"), ("sid", "sid")]),
        ("two issuers", vec![("iss", "https://evil.test"), ("iss", &issuer), ("sid", "sid")]),
        ("another issuer", vec![("iss", "https://evil.test"), ("sid", "sid")]),
        ("a slash", vec![("iss", &slash), ("sid", "sid")]),
    ] {
        let response = embedded(&mut alice, &parameters);
        assert_eq!(response.status(), 400, "{variant}: {response}");
        let policy = response.get("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{variant}: {policy}");
        assert_signed_in(&mut alice, variant);
    }
    assert!(world.gateway.logs_reason("AuthInvalidLogoutRequest"));
    assert_eq!(embedded(&mut nameless, &[("iss", &issuer), ("sid", "sid")]).status(), 200);
    assert_signed_in(&mut nameless, "a session that has no sid");
    assert_eq!(alice.request("POST", "/oauth2/frontchannel_logout", FRAME, &[], Some(b"")).status(), 405);
}

//! F14–F19: responses of another issuer, of another flow, errors, and what no provider would send (RFC 9207, RFC 9700).

use serde_json::json;

use crate::support::World;
use crate::support::client::{NAVIGATE, parameter};
use crate::support::gateway::{CALLBACK, authenticate, rule};
use crate::support::oracles::{attempt, honest_login_works, no_session_no_token_call, start_login, with_parameter};
use crate::support::provider::Provider;

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
fn f15_callback_under_another_host_is_refused() {
    let world = World::start_with(|plan| plan.listener()["hosts"] = json!(["app.test", "other.test"]));
    let (mut browser, callback) = attempt(&world, |_| {});
    let tokens = world.provider.count("token");
    // A browser would not bring the cookie along; whoever makes it do so gains nothing.
    let response = browser.get_with(&callback, &[("Host", &format!("other.test:{}", world.gateway.port))]);
    assert_eq!(response.status(), 401, "{response}");
    assert_eq!(world.provider.count("token"), tokens, "the code was spent");
    assert!(!response.text().contains("app.test"), "the other host is shown: {}", response.text());
    assert_eq!(browser.get(&callback).status(), 302, "under its own host");
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

//! What the configuration says of the client's proof, and pushed authorization requests (RFC 9126). The methods themselves are tried with a
//! provider that nobody here wrote, in tests/e2e.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::client::parameter;
use crate::support::gateway::serve_refused;
use crate::support::oracles::honest_login_works;
use crate::support::provider::{CLIENT_ID, Provider};
use crate::support::secrets::Secrets;

/// A gateway whose provider has `metadata`, with `settings` in the provider's section.
fn world(metadata: &Value, settings: &[(&str, Value)]) -> World {
    let secrets = Secrets::default();
    let provider = Provider::start(&secrets);
    let metadata: Value = serde_json::from_str(&metadata.to_string().replace("ISSUER", provider.issuer())).unwrap();
    provider.set(|provider| provider.metadata = metadata);
    World::around(provider, secrets, |plan| {
        for (key, value) in settings {
            plan.configuration["identity_providers"]["op"][key] = value.clone();
        }
    })
}

fn offered() -> Value {
    json!({"pushed_authorization_request_endpoint": "ISSUER/par"})
}

fn reference() -> Answer {
    Answer::json(201, &json!({"request_uri": "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c", "expires_in": 60}))
}

#[test]
fn what_is_pushed_does_not_stand_in_the_browsers_address() {
    let world = world(&offered(), &[]);
    world.provider.fault("par", reference());
    let location = world.browser().get("/page").location().unwrap().to_owned();
    assert!(location.starts_with(&format!("{}/authorize?client_id={CLIENT_ID}&request_uri=urn%3Aietf", world.provider.issuer())));
    assert_eq!(location.matches('&').count(), 1, "{location}");
    let hit = world.provider.hits("par").remove(0);
    for name in ["client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method"] {
        let found = hit.request.form().into_iter().filter(|(n, _)| n == name).count();
        assert_eq!(found, 1, "{name}");
    }
    assert!(hit.request.get("authorization").unwrap().starts_with("Basic "), "the client proves who it is");
}

#[test]
fn where_pushing_fails_the_browser_carries_the_request() {
    let json = Some("application/json");
    for (variant, answer) in [
        ("400", Answer::json(400, &json!({"error": "invalid_request"}))),
        ("503", Answer::of(503, Some("text/html"), "<p>busy")),
        ("no reference", Answer::json(201, &json!({"expires_in": 60}))),
        ("another type", Answer::json(201, &json!({"request_uri": ["urn:x"]}))),
        ("line break", Answer::json(201, &json!({"request_uri": "urn:x\r\nSet-Cookie: a=b"}))),
        ("HTML", Answer::of(200, Some("text/html"), "{\"request_uri\":\"urn:x\"}")),
        ("doubled", Answer::of(201, json, "{\"request_uri\":\"urn:x\",\"request_uri\":\"urn:y\"}")),
        ("closed", Answer::closed()),
    ] {
        let world = world(&offered(), &[]);
        world.provider.fault("par", answer);
        let response = world.browser().get("/page");
        let location = response.location().unwrap_or_else(|| panic!("{variant}: {response}")).to_owned();
        assert!(parameter(&location, "state").is_some() && parameter(&location, "request_uri").is_none(), "{variant}: {location}");
        honest_login_works(&world);
    }
}

#[test]
fn what_the_provider_or_the_configuration_requires_is_pushed_or_refused() {
    let required = json!({"pushed_authorization_request_endpoint": "ISSUER/par", "require_pushed_authorization_requests": true});
    for (metadata, settings, variant) in [
        (offered(), vec![("pushed_authorization_requests", json!("always"))], "always"),
        (required.clone(), vec![], "required"),
        (required, vec![("pushed_authorization_requests", json!("never"))], "required and never"),
        (json!({}), vec![("pushed_authorization_requests", json!("always"))], "always and not offered"),
    ] {
        let world = world(&metadata, &settings);
        world.provider.fault("par", Answer::json(400, &json!({"error": "invalid_request"})));
        let response = world.browser().get("/page");
        assert_eq!(response.status(), 561, "{variant}: {response}");
        assert!(world.gateway.logs_reason("AuthPushedRequestFailed"), "{variant}");
        if metadata != json!({}) {
            world.provider.fault("par", reference());
            assert_eq!(world.browser().get("/page").status(), 302, "{variant}");
        }
    }
}

#[test]
fn never_is_never_where_it_is_not_required() {
    let world = world(&offered(), &[("pushed_authorization_requests", json!("never"))]);
    honest_login_works(&world);
    assert_eq!(world.provider.count("par"), 0);
}

/// Everybody who wants to sign in would wait for it.
#[test]
fn an_endpoint_that_hangs_delays_a_login_for_some_seconds_and_only_one() {
    let world = world(&offered(), &[]);
    world.provider.fault("par", Answer::hanging());
    let begin = Instant::now();
    assert_eq!(world.browser().get("/page").status(), 302);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    for _ in 0..5 {
        assert_eq!(world.browser().get("/page").status(), 302);
    }
    assert_eq!(world.provider.count("par"), 1, "asked again while it rests");
}

#[test]
fn a_proof_that_cannot_be_given_is_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let signing = folder.path().join("p256.key");
    crate::support::certificates::write_signing_key(&signing);
    std::fs::write(folder.path().join("no.key"), "nothing\n").unwrap();
    let refused = |settings: Value, expected: &str| {
        let mut provider = json!({"type": "oidc", "issuer": "https://op.test", "client_id": "c"});
        for (key, value) in settings.as_object().unwrap() {
            provider[key] = value.clone();
        }
        let listener = json!({"address": "127.0.0.1:0", "protocol": "http", "hosts": ["app.test"], "default_actions": [{"fixed_response": {"status_code": 200}}]});
        let configuration = json!({"listeners": [listener], "identity_providers": {"op": provider}});
        let refusal = serve_refused(folder.path(), configuration.to_string().as_bytes());
        assert_eq!(refusal.status, Some(2), "{expected}: {}", refusal.output);
        assert!(refusal.output.contains(expected), "{expected}: {}", refusal.output);
    };
    let key = json!({"file": "p256.key"});
    for method in ["client_secret_basic", "client_secret_post", "client_secret_jwt"] {
        refused(
            json!({"token_endpoint_auth_method": method}),
            &format!("client_secret is missing: token_endpoint_auth_method is {method}"),
        );
    }
    refused(json!({"token_endpoint_auth_method": "private_key_jwt"}), "client_private_key is missing");
    refused(json!({"token_endpoint_auth_method": "tls_client_auth"}), "client_certificate is missing");
    refused(json!({"token_endpoint_auth_method": "none", "client_secret": "s3cret-of-the-test"}), "and there is a client_secret");
    refused(
        json!({"client_secret": "s3cret-of-the-test", "client_private_key": key}),
        "client_secret_basic, and there is a client_private_key",
    );
    refused(json!({"client_private_key": {"file": "no.key"}}), "there is no private key in PEM");
    refused(json!({"client_private_key": key, "client_assertion_algorithm": "RS256"}), "does not sign with that algorithm");
    refused(json!({"client_private_key": key, "client_assertion_algorithm": "HS256"}), "\"HS256\" is not one of");
    refused(json!({"client_key_id": "x"}), "client_key_id belongs to token_endpoint_auth_method: private_key_jwt");
    refused(json!({"pushed_authorization_requests": "sometimes"}), "\"sometimes\" is not one of: auto, always, never");
}

//! Opaque bearer tokens: the provider is asked (RFC 7662), once for many requests, and its answer ends.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::bearer::{self, AUDIENCE, accepted, refused, token, with_token};
use crate::support::behaviour::put;
use crate::support::jose;
use crate::support::provider::{CLIENT_ID, unix_time};
use crate::support::secrets::random;

/// A provider that knows one opaque token, and a rule that asks it.
fn world(introspection: &Value) -> (World, String) {
    let secrets = crate::support::secrets::Secrets::default();
    let provider = crate::support::provider::Provider::start(&secrets);
    let endpoint = format!("{}/introspect", provider.issuer());
    provider.set(|provider| provider.metadata = json!({"introspection_endpoint": endpoint}));
    let token = format!("opaque-{}", random(24));
    secrets.add(&token, "access token");
    let world = World::around(provider, secrets, |plan| {
        bearer::rules(plan, &json!({"audiences": [AUDIENCE], "introspection": introspection}), &json!([]));
    });
    (world, token)
}

/// An active answer, but for what `edit` does to it.
fn active(edit: impl FnOnce(&mut Value)) -> Answer {
    let mut answer = json!({
        "active": true,
        "sub": "alice",
        "aud": AUDIENCE,
        "client_id": "machine",
        "scope": "read write",
        "token_type": "Bearer",
        "exp": unix_time() + 300,
        "email": "alice@example.com",
    });
    edit(&mut answer);
    Answer::json(200, &answer)
}

#[test]
fn an_active_token_gives_identity_headers_and_is_asked_about_once() {
    let (world, token) = world(&json!({}));
    world.provider.fault("introspect", active(|_| {}).after(Duration::from_millis(300)));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| accepted(&world, "/api/x", &token, "at once"));
        }
    });
    let hits = world.provider.hits("introspect");
    assert_eq!(hits.len(), 1, "calls for 16 requests");
    assert_eq!(hits[0].form("token").as_deref(), Some(token.as_str()));
    assert_eq!(hits[0].form("token_type_hint").as_deref(), Some("access_token"));
    assert!(hits[0].request.get("authorization").unwrap().starts_with("Basic "), "the client proves who it is");
    assert_eq!(hits[0].form("client_id"), None);
    assert!(CLIENT_ID.len() > 3);
    accepted(&world, "/api/x", &token, "later");
    assert_eq!(world.provider.count("introspect"), 1);
    let seen = world.target.last();
    assert_eq!(seen.get("x-amzn-oidc-identity"), Some("alice"));
    assert_eq!(seen.get("x-amzn-oidc-accesstoken"), Some(token.as_str()));
    let (header, claims) = jose::parts(seen.get("x-amzn-oidc-data").unwrap());
    assert_eq!((&header["client"], &header["iss"]), (&json!("machine"), &json!(world.provider.issuer())));
    assert!(claims.get("active").is_none() && claims["email"] == "alice@example.com");
}

#[test]
fn a_jwt_is_not_asked_about() {
    let (world, _) = world(&json!({}));
    accepted(&world, "/api/x", &token(&world, |_, _| {}), "a JWT");
    assert_eq!(world.provider.count("introspect"), 0);
}

#[test]
fn an_inactive_token_is_refused_and_not_asked_about_again_at_once() {
    let (world, token) = world(&json!({}));
    world.provider.fault("introspect", Answer::json(200, &json!({"active": false})));
    for _ in 0..5 {
        refused(&world, "/api/x", &token, (401, "invalid_token", "JWTTokenInactive"), "inactive");
    }
    assert_eq!(world.provider.count("introspect"), 1);
}

#[test]
fn what_an_answer_says_is_judged_as_a_token_is() {
    let (world, _) = world(&json!({}));
    for (name, value, reason) in [
        ("aud", json!("other"), "JWTClaimValueInvalid"),
        ("aud", Value::Null, "JWTClaimNotPresent"),
        ("iss", json!("https://evil.test"), "JWTClaimValueInvalid"),
        ("exp", json!(unix_time() - 5), "JWTClaimValueInvalid"),
        ("exp", json!("later"), "JWTClaimFormatInvalid"),
        ("nbf", json!(unix_time() + 600), "JWTClaimValueInvalid"),
        ("cnf", json!({"jkt": "x"}), "JWTClaimValueInvalid"),
        ("token_type", json!("DPoP"), "JWTTokenInactive"),
        ("sub", json!(["alice"]), "JWTClaimFormatInvalid"),
    ] {
        world.provider.fault("introspect", active(|answer| put(answer, name, value.clone())));
        let token = format!("opaque-{}", random(24));
        refused(&world, "/api/x", &token, (401, "invalid_token", reason), &format!("{name}: {value}"));
    }
    // A machine's token names only the machine.
    world.provider.fault("introspect", active(|answer| put(answer, "sub", Value::Null)));
    accepted(&world, "/api/x", &format!("opaque-{}", random(24)), "no sub");
    assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some("machine"));
}

#[test]
fn a_provider_that_fails_is_561_and_lets_nobody_pass() {
    let (world, _) = world(&json!({}));
    let json = Some("application/json");
    for (variant, answer) in [
        ("500", Answer::json(500, &json!({"active": true}))),
        ("401", Answer::json(401, &json!({"error": "invalid_client"}))),
        ("HTML", Answer::of(200, Some("text/html"), "{\"active\":true,\"sub\":\"alice\",\"aud\":\"my-api\"}")),
        ("list", Answer::of(200, json, "[{\"active\":true}]")),
        ("empty", Answer::of(200, json, "")),
        ("doubled", Answer::of(200, json, "{\"active\":false,\"active\":true,\"sub\":\"a\",\"aud\":\"my-api\"}")),
        ("text for active", active(|answer| answer["active"] = json!("true"))),
        ("no active", active(|answer| put(answer, "active", Value::Null))),
        ("deep", Answer::of(200, json, format!("{{\"active\":true,\"x\":{}1{}}}", "[".repeat(5000), "]".repeat(5000)))),
        ("redirect", Answer::redirect(307, "https://localhost:1/")),
        ("closed", Answer::closed()),
        ("cut", active(|_| {}).cut_after(60)),
        ("endless", Answer::endless()),
    ] {
        world.provider.fault("introspect", answer);
        let mark = world.target.count();
        let response = with_token(&world, "/api/x", &format!("opaque-{}", random(24)));
        assert_eq!(response.status(), 561, "{variant}: {response}");
        assert_eq!(world.target.count(), mark, "{variant}");
    }
    assert!(world.gateway.logs_reason("JWTIntrospectionRequestFailed"));
    world.provider.fault("introspect", active(|_| {}));
    accepted(&world, "/api/x", &format!("opaque-{}", random(24)), "after all that");
}

#[test]
fn an_answer_is_believed_for_the_configured_time_only() {
    let (world, token) = world(&json!({"max_age": "2s"}));
    world.provider.fault("introspect", active(|_| {}));
    accepted(&world, "/api/x", &token, "active");
    world.provider.fault("introspect", Answer::json(200, &json!({"active": false})));
    let revoked = crate::support::gateway::eventually(Duration::from_secs(20), || with_token(&world, "/api/x", &token).status() == 401);
    assert!(revoked, "a revoked token still passes");
    assert_eq!(world.provider.count("introspect"), 2);
}

#[test]
fn without_introspection_an_opaque_token_is_malformed() {
    let world = bearer::world();
    let token = format!("opaque-{}", random(24));
    refused(&world, "/api/x", &token, (401, "invalid_token", "JWTRequestFormatInvalid"), "opaque");
    refused(&world, "/jwt/x", &token, (401, "invalid_token", "JWTRequestFormatInvalid"), "opaque");
}

#[test]
fn a_provider_without_the_endpoint_is_561() {
    let world = World::start_with(|plan| bearer::rules(plan, &json!({"audiences": [AUDIENCE], "introspection": {}}), &json!([])));
    assert_eq!(with_token(&world, "/api/x", &format!("opaque-{}", random(24))).status(), 561);
    assert!(world.gateway.logs_reason("JWTIntrospectionRequestFailed"));
}

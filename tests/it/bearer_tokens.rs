//! `bearer_tokens` on an `authenticate` rule: a good token is as good as a session, a bad one is refused and never redirected.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::bearer::{self, AUDIENCE, accepted, ask, fetch_with_token, refused, token, token_with, with_token};
use crate::support::client::NAVIGATE;
use crate::support::jose;
use crate::support::oracles::sign_in;

fn invalid(reason: &'static str) -> (u16, &'static str, &'static str) {
    (401, "invalid_token", reason)
}

fn world_with(bearer_tokens: &Value) -> World {
    World::start_with(|plan| bearer::rules(plan, bearer_tokens, &json!([])))
}

#[test]
fn a_token_gives_the_headers_of_a_session() {
    let world = bearer::world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    assert_eq!(browser.get("/api/session").status(), 200);
    let with_session = world.target.last();
    let token = token(&world, |_, _| {});
    accepted(&world, "/api/token", &token, "good");
    let seen = world.target.last();
    let names = ["x-amzn-oidc-identity", "x-amzn-oidc-accesstoken", "x-amzn-oidc-data", "x-auth-email"];
    for name in names {
        assert!(with_session.get(name).is_some() && seen.get(name).is_some(), "{name}");
    }
    assert_eq!(seen.get("x-amzn-oidc-identity"), Some("alice"));
    assert_eq!(seen.get("x-amzn-oidc-accesstoken"), Some(token.as_str()));
    let (header, claims) = jose::parts(seen.get("x-amzn-oidc-data").unwrap());
    assert_eq!(header["client"], "machine");
    assert_eq!(header["iss"], world.provider.issuer());
    assert_eq!(claims["email"], "alice@example.com");
    let line = world.gateway.access_lines_with(1, |line| line["request"].as_str().unwrap().contains("/api/token")).remove(0);
    assert_eq!((&line["auth_outcome"], &line["subject"], &line["session_id"]), (&json!("token"), &json!("alice"), &json!("-")));
}

#[test]
fn a_bad_token_is_never_a_redirect_whoever_sends_it() {
    let world = bearer::world();
    let bad = token_with(&world, "aud", json!("other"));
    let authorization = format!("Bearer {bad}");
    let navigation: Vec<_> = NAVIGATE.iter().copied().chain([("Authorization", authorization.as_str())]).collect();
    let page = ask(&world, "/api/x", &navigation);
    assert_eq!((page.status(), page.location()), (401, None), "{page}");
    assert_eq!(fetch_with_token(&world, "/api/x", &bad).status(), 401);
    // Not even beside a good session: whoever sends a token means it.
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let response = browser.get_with("/api/x", &[("Authorization", &authorization)]);
    assert_eq!(response.status(), 401, "{response}");
    assert_eq!(browser.get("/api/x").status(), 200, "the session is still good");
    let basic = browser.get_with("/api/x", &[("Authorization", "Basic YTpi")]);
    assert_eq!(basic.status(), 200, "another scheme is the application's");
}

#[test]
fn without_a_token_people_sign_in_and_programs_learn_of_both_ways() {
    let world = bearer::world();
    let mut browser = world.browser();
    assert_eq!(browser.get("/api/x").status(), 302);
    let response = browser.fetch("/api/x");
    assert_eq!(response.status(), 401);
    let challenges = response.head.all("www-authenticate");
    assert!(challenges.iter().any(|challenge| challenge.starts_with("Cookie ")), "{challenges:?}");
    assert!(challenges.contains(&"Bearer realm=\"app.test\""), "{challenges:?}");
}

#[test]
fn only_tokens_for_this_audience_pass() {
    let world = world_with(&json!({"audiences": [AUDIENCE, "second"]}));
    for aud in [json!(AUDIENCE), json!("second"), json!(["other", "second"])] {
        accepted(&world, "/api/x", &token_with(&world, "aud", aud.clone()), &aud.to_string());
    }
    for (aud, reason) in [
        (json!("my-ap"), "JWTClaimValueInvalid"),
        (json!("my-api2"), "JWTClaimValueInvalid"),
        (json!("MY-API"), "JWTClaimValueInvalid"),
        (json!("my-api second"), "JWTClaimValueInvalid"),
        (json!([]), "JWTClaimValueInvalid"),
        (json!([["my-api"]]), "JWTClaimValueInvalid"),
        (json!({"my-api": true}), "JWTClaimFormatInvalid"),
        (json!(1), "JWTClaimFormatInvalid"),
        (Value::Null, "JWTClaimNotPresent"),
    ] {
        let bad = token_with(&world, "aud", aud.clone());
        refused(&world, "/api/x", &bad, invalid(reason), &aud.to_string());
    }
}

/// Cognito's access tokens have no `aud`.
#[test]
fn a_token_without_audience_is_known_by_its_client() {
    let world = world_with(&json!({"client_ids": ["machine"]}));
    accepted(&world, "/api/x", &token_with(&world, "aud", Value::Null), "client_id");
    for name in ["azp", "cid", "appid"] {
        let other_name = token(&world, |_, claims| {
            *claims = serde_json::from_str(&claims.to_string().replace("\"client_id\"", &format!("\"{name}\""))).unwrap();
            claims.as_object_mut().unwrap().remove("aud");
        });
        accepted(&world, "/api/x", &other_name, name);
    }
    let other = token(&world, |_, claims| {
        claims["client_id"] = json!("other");
        claims.as_object_mut().unwrap().remove("aud");
    });
    refused(&world, "/api/x", &other, invalid("JWTClaimValueInvalid"), "another client");
    refused(&world, "/api/x", &token(&world, |_, _| {}), invalid("JWTClaimValueInvalid"), "made for an audience that is not ours");
    let nobody = token(&world, |_, claims| {
        for name in ["aud", "client_id"] {
            claims.as_object_mut().unwrap().remove(name);
        }
    });
    refused(&world, "/api/x", &nobody, invalid("JWTClaimNotPresent"), "no client");
}

#[test]
fn an_id_token_is_no_access_token_unless_asked_for() {
    let world = bearer::world();
    for (name, value) in [("token_use", json!("id")), ("nonce", json!("n")), ("at_hash", json!("h")), ("token_use", json!(1))] {
        let bad = token_with(&world, name, value.clone());
        refused(&world, "/api/x", &bad, invalid("JWTClaimValueInvalid"), &format!("{name}: {value}"));
    }
    accepted(&world, "/api/x", &token_with(&world, "token_use", json!("access")), "access");
    let both = world_with(&json!({"audiences": [AUDIENCE], "token_use": ["access", "id"]}));
    accepted(&both, "/api/x", &token_with(&both, "token_use", json!("id")), "id");
}

#[test]
fn a_rule_may_ask_for_a_type_and_for_claims() {
    let world = world_with(&json!({
        "audiences": [AUDIENCE],
        "types": ["at+jwt"],
        "additional_claims": [{"name": "groups", "format": "string_array", "values": ["staff", "admin"], "match": "any"}],
    }));
    accepted(&world, "/api/x", &token_with(&world, "groups", json!(["x", "admin"])), "one of two");
    refused(&world, "/api/x", &token_with(&world, "groups", json!(["x"])), invalid("JWTClaimValueInvalid"), "none");
    let plain = token(&world, |header, claims| {
        header["typ"] = json!("JWT");
        claims["groups"] = json!(["staff"]);
    });
    refused(&world, "/api/x", &plain, invalid("JWTRequestFormatInvalid"), "plain JWT");
}

#[test]
fn a_missing_scope_is_403_and_named() {
    let world = world_with(&json!({"audiences": [AUDIENCE], "scopes": ["read", "write"]}));
    for scopes in [json!("write read"), json!("read write x")] {
        accepted(&world, "/api/x", &token_with(&world, "scope", scopes.clone()), &scopes.to_string());
    }
    let listed = token(&world, |_, claims| {
        claims.as_object_mut().unwrap().remove("scope");
        claims["scp"] = json!(["read", "write"]);
    });
    accepted(&world, "/api/x", &listed, "scp");
    for scopes in [json!("read"), json!("readwrite"), json!("read  writer"), json!(["read"]), Value::Null] {
        let bad = token_with(&world, "scope", scopes.clone());
        let response = refused(&world, "/api/x", &bad, (403, "insufficient_scope", "JWTInsufficientScope"), &scopes.to_string());
        assert!(response.get("www-authenticate").unwrap().contains("scope=\"read write\""));
    }
}

#[test]
fn further_issuers_are_the_providers_own_keys() {
    let world = world_with(&json!({"audiences": [AUDIENCE], "issuers": ["https://sts.example.com/tenant/"]}));
    accepted(&world, "/api/x", &token_with(&world, "iss", json!("https://sts.example.com/tenant/")), "another name of the provider");
    let bad = token_with(&world, "iss", json!("https://sts.example.com/tenant"));
    refused(&world, "/api/x", &bad, invalid("JWTClaimValueInvalid"), "near miss");
}

#[test]
fn a_refused_client_learns_where_tokens_come_from() {
    let secrets = crate::support::secrets::Secrets::default();
    let provider = crate::support::provider::Provider::start(&secrets);
    let world = World::around(provider, secrets, |plan| {
        let resource = format!("https://app.test:{}/api", plan.port);
        let metadata = json!({"resource": resource, "resource_name": "Ledger"});
        bearer::rules(plan, &json!({"audiences": [AUDIENCE], "scopes": ["read"], "resource_metadata": metadata}), &json!([]));
    });
    let origin = world.gateway.origin();
    let url = format!("{origin}/.well-known/oauth-protected-resource/api");
    let mut browser = world.browser();
    let challenge = browser.fetch("/api/x").head.all("www-authenticate").join(" ");
    assert!(challenge.contains(&format!("resource_metadata=\"{url}\"")), "{challenge}");
    let bad = token_with(&world, "aud", json!("other"));
    let refused = with_token(&world, "/api/x", &bad);
    assert!(refused.get("www-authenticate").unwrap().contains(&url), "{refused}");
    let document = ask(&world, "/.well-known/oauth-protected-resource/api", &[("Origin", "https://client.test")]);
    assert_eq!(document.status(), 200, "{document}");
    assert_eq!(document.get("content-type"), Some("application/json"));
    assert_eq!(document.get("access-control-allow-origin"), Some("*"));
    let expected = json!({
        "resource": format!("{origin}/api"),
        "authorization_servers": [world.provider.issuer()],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read"],
        "resource_name": "Ledger",
    });
    assert_eq!(document.json(), expected);
    // Any other path there is the application's.
    assert_eq!(browser.get("/.well-known/oauth-protected-resource/other").status(), 302);
    let mark = world.target.count();
    let post = format!(
        "POST /.well-known/oauth-protected-resource/api HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
        world.gateway.authority()
    );
    assert_eq!(crate::support::client::raw(&world.gateway, post).unwrap().status(), 405);
    assert_eq!(world.target.count(), mark);
}

//! ALB's `jwt-validation`: which tokens pass, and what the others are told.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::bearer::{self, accepted, ask, refused, token, token_with, with_token};
use crate::support::jose::{self, Key};
use crate::support::provider::unix_time;
use crate::support::secrets::random;

const INVALID: (u16, &str) = (401, "invalid_token");

fn invalid(reason: &'static str) -> (u16, &'static str, &'static str) {
    (INVALID.0, INVALID.1, reason)
}

#[test]
fn a_good_token_passes_unchanged_and_without_identity_headers() {
    let world = bearer::world();
    let token = token(&world, |_, _| {});
    let response = ask(
        &world,
        "/jwt/x",
        &[("Authorization", &format!("Bearer {token}")), ("x-amzn-oidc-identity", "mallory"), ("X-Auth-Email", "mallory@example.com")],
    );
    assert_eq!(response.status(), 200, "{response}");
    let seen = world.target.last();
    assert_eq!(seen.get("authorization"), Some(format!("Bearer {token}").as_str()));
    for name in ["x-amzn-oidc-identity", "x-amzn-oidc-data", "x-amzn-oidc-accesstoken", "x-auth-email"] {
        assert!(seen.folded(name).is_empty(), "{name}");
    }
    let line = world.gateway.access_lines_with(1, |line| line["request"].as_str().unwrap().contains("/jwt/x")).remove(0);
    assert_eq!(line["actions_executed"], "jwt-validation,forward");
    assert_eq!(line["subject"], "alice");
    assert_eq!(line["auth_outcome"], "token");
    assert_eq!(line["identity_provider"], world.provider.issuer());
}

#[test]
fn identity_headers_are_sent_where_the_rule_says_so() {
    let world = World::start_with(|plan| {
        bearer::rules(plan, &json!({"audiences": ["x"]}), &json!([]));
        plan.listener()["rules"][4]["actions"][0]["jwt_validation"]["identity_headers"] = json!(true);
    });
    let token = token(&world, |_, _| {});
    assert_eq!(with_token(&world, "/jwt/x", &token).status(), 200);
    let seen = world.target.last();
    assert_eq!(seen.get("x-amzn-oidc-identity"), Some("alice"));
    assert_eq!(seen.get("x-amzn-oidc-accesstoken"), Some(token.as_str()));
    assert_eq!(seen.get("x-auth-email"), Some("alice@example.com"));
    let (header, claims) = jose::parts(seen.get("x-amzn-oidc-data").unwrap());
    assert_eq!((&header["iss"], &header["client"]), (&json!(world.provider.issuer()), &json!("machine")));
    assert_eq!(claims["scope"], "read write");
    let nobody = bearer::token(&world, |_, claims| {
        for name in ["sub", "client_id"] {
            claims.as_object_mut().unwrap().remove(name);
        }
    });
    refused(&world, "/jwt/x", &nobody, invalid("JWTClaimNotPresent"), "nobody to name");
}

#[test]
fn whoever_brings_no_token_is_told_what_is_missing() {
    let world = bearer::world();
    for lines in [&[][..], &[("Authorization", "Basic YWxpY2U6eA==")]] {
        let response = ask(&world, "/jwt/x", lines);
        assert_eq!(response.status(), 401, "{response}");
        // Nothing was brought, so nothing is said about it (RFC 6750 §3.1).
        assert_eq!(response.get("www-authenticate"), Some("Bearer realm=\"app.test\""));
        assert_eq!(response.json()["error"], "token_required");
    }
    assert!(world.gateway.logs_reason("JWTHeaderNotPresent"));
    let mut browser = world.browser();
    let page = browser.get("/jwt/x");
    assert_eq!(page.status(), 401);
    assert!(page.text().contains("access token"), "{page}");
    // A token in the query would stand in every log (RFC 9700 §4.3.2).
    let good = token(&world, |_, _| {});
    assert_eq!(ask(&world, &format!("/jwt/x?access_token={good}"), &[]).status(), 401);
    assert_eq!(world.target.count(), 0);
}

#[test]
fn what_is_no_token_is_refused_before_anything_is_computed() {
    let world = bearer::world();
    let good = token(&world, |_, _| {});
    let parts: Vec<&str> = good.split('.').collect();
    let long = "a".repeat(5000);
    let variants = [
        String::new(),
        "x".to_owned(),
        "null".to_owned(),
        "..".to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}."),
        format!("{good}.{}", parts[2]),
        format!("{good}="),
        format!("{} ", &good[..good.len() - 1]),
        format!("{good},{good}"),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][..parts[2].len() - 1]),
        format!("{}.{}.{}", jose::encode("{\"alg\":\"RS256\",\"alg\":\"RS256\"}"), parts[1], parts[2]),
        format!("{}.{}.{}", jose::encode("[]"), parts[1], parts[2]),
        format!("{long}.{long}.{long}"),
        jose::unsigned(&json!({"alg": "none"}), &jose::parts(&good).1),
        jose::unsigned(&json!({"alg": "NONE", "kid": "rsa-0"}), &jose::parts(&good).1),
        jose::hmac_token(&json!({"alg": "HS256", "kid": "rsa-0"}), &jose::parts(&good).1, b"secret"),
    ];
    // The keys are there: what follows is not for want of them.
    accepted(&world, "/jwt/x", &good, "good");
    accepted(&world, "/api/x", &good, "good");
    let (before, target) = (world.provider.count("jwks"), world.target.count());
    for variant in &variants {
        let response = ask(&world, "/jwt/x", &[("Authorization", &format!("Bearer {variant}"))]);
        assert_eq!(response.status(), 401, "{variant}: {response}");
        assert!(response.get("www-authenticate").unwrap().contains("error=\"invalid_token\""), "{variant}");
    }
    assert_eq!(world.provider.count("jwks"), before, "fetches of the key set");
    assert!(world.gateway.logs_reason("JWTRequestFormatInvalid"));
    assert_eq!(world.target.count(), target);
}

#[test]
fn two_authorization_headers_are_ambiguous() {
    let world = bearer::world();
    let bearer = format!("Bearer {}", token(&world, |_, _| {}));
    for (first, second) in [(bearer.as_str(), bearer.as_str()), ("Basic YTpi", &bearer), (&bearer, "Basic YTpi")] {
        for path in ["/jwt/x", "/api/x"] {
            let response = ask(&world, path, &[("Authorization", first), ("authorization", second)]);
            assert_eq!(response.status(), 400, "{response}");
            assert!(response.get("www-authenticate").unwrap().contains("error=\"invalid_request\""));
        }
    }
    assert_eq!(world.target.count(), 0);
}

#[test]
fn every_algorithm_that_is_documented_verifies() {
    let world = bearer::world();
    let mut keys: Vec<Key> = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map(|name| Key::rsa(0, name, name)).into();
    keys.extend([Key::ecdsa("ES256", "ES256"), Key::ecdsa("ES384", "ES384"), Key::ed25519("EdDSA")]);
    world.provider.set(|provider| provider.published = Some(keys.iter().map(Key::jwk).collect()));
    for key in &keys {
        world.provider.set(|provider| provider.key = key.clone());
        let token = token(&world, |_, _| {});
        accepted(&world, "/jwt/x", &token, key.algorithm);
        let (input, signature) = token.rsplit_once('.').unwrap();
        let mut octets = jose::decode(signature);
        octets[7] ^= 1;
        let forged = format!("{input}.{}", jose::encode(octets));
        refused(&world, "/jwt/x", &forged, invalid("JWTSignatureValidationError"), key.algorithm);
    }
}

#[test]
fn a_rule_may_accept_fewer_algorithms() {
    let world = World::start_with(|plan| {
        bearer::rules(plan, &json!({"audiences": ["x"]}), &json!([]));
        plan.listener()["rules"][4]["actions"][0]["jwt_validation"]["algorithms"] = json!(["ES256"]);
    });
    refused(&world, "/jwt/x", &token(&world, |_, _| {}), invalid("JWTRequestFormatInvalid"), "RS256");
    world.provider.set(|provider| provider.key = Key::ecdsa("ES256", "ec"));
    accepted(&world, "/jwt/x", &token(&world, |_, _| {}), "ES256");
}

#[test]
fn issuer_and_times_are_always_checked() {
    let world = bearer::world();
    let now = unix_time();
    let issuer = world.provider.issuer().to_owned();
    for (name, value, reason) in [
        ("iss", json!("https://evil.test"), "JWTClaimValueInvalid"),
        ("iss", json!(format!("{issuer}/")), "JWTClaimValueInvalid"),
        ("iss", json!(issuer.to_uppercase()), "JWTClaimValueInvalid"),
        ("iss", json!([issuer]), "JWTClaimValueInvalid"),
        ("iss", Value::Null, "JWTClaimNotPresent"),
        ("exp", json!(now - 65), "JWTClaimValueInvalid"),
        ("exp", json!((now + 300).to_string()), "JWTClaimFormatInvalid"),
        ("exp", json!(-1), "JWTClaimFormatInvalid"),
        ("exp", Value::Null, "JWTClaimNotPresent"),
        ("nbf", json!(now + 120), "JWTClaimValueInvalid"),
        ("nbf", json!("soon"), "JWTClaimValueInvalid"),
        ("iat", json!(now + 3600), "JWTClaimValueInvalid"),
        ("sub", json!(5), "JWTClaimFormatInvalid"),
        ("sub", json!("a\r\nb"), "JWTClaimFormatInvalid"),
        ("events", json!({}), "JWTClaimValueInvalid"),
        ("cnf", json!({"jkt": "x"}), "JWTClaimValueInvalid"),
        ("scope", json!("write"), "JWTClaimValueInvalid"),
        ("scope", json!("readwrite"), "JWTClaimValueInvalid"),
        ("scope", json!(["read"]), "JWTClaimFormatInvalid"),
        ("scope", Value::Null, "JWTClaimNotPresent"),
    ] {
        let bad = token_with(&world, name, value.clone());
        refused(&world, "/jwt/x", &bad, invalid(reason), &format!("{name}: {value}"));
    }
    for (name, value) in
        [("nbf", json!(now - 5)), ("iat", Value::Null), ("exp", json!(1e300)), ("exp", json!(now - 30)), ("aud", json!("anybody"))]
    {
        let good = token_with(&world, name, value.clone());
        accepted(&world, "/jwt/x", &good, &format!("{name}: {value}"));
    }
}

#[test]
fn tokens_of_another_kind_do_not_pass() {
    let world = bearer::world();
    for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt", "application/logout+jwt", "JOSE"] {
        let bad = token(&world, |header, _| header["typ"] = json!(typ));
        refused(&world, "/jwt/x", &bad, invalid("JWTRequestFormatInvalid"), typ);
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"] {
        let good = token(&world, |header, _| header["typ"] = json!(typ));
        accepted(&world, "/jwt/x", &good, typ);
    }
    for member in ["crit", "b64", "zip", "enc"] {
        let bad = token(&world, |header, _| header[member] = json!(["x"]));
        refused(&world, "/jwt/x", &bad, invalid("JWTRequestFormatInvalid"), member);
    }
}

#[test]
fn a_key_that_the_token_brings_along_is_never_looked_at() {
    let world = bearer::world();
    let own = Key::rsa(2, "RS256", "rsa-0");
    let canary = crate::support::canary::Canary::start();
    let there = format!("https://localhost:{}/keys", canary.port);
    for (name, value) in
        [("jwk", own.jwk()), ("jku", json!(there)), ("x5u", json!(there)), ("x5c", json!([jose::encode(own.public_der())]))]
    {
        let honest = token(&world, |_, _| {});
        let (mut header, claims) = jose::parts(&honest);
        header[name] = value;
        let forged = jose::token(&header, &claims, &own);
        refused(&world, "/jwt/x", &forged, invalid("JWTSignatureValidationError"), name);
    }
    assert_eq!(canary.knocks(), 0);
}

#[test]
fn a_preflight_passes_only_where_the_rule_says_so() {
    let preflight = "Origin: https://other.test\r\nAccess-Control-Request-Method: GET\r\n";
    for (allowed, status) in [(false, 401), (true, 200)] {
        let world = World::start_with(|plan| {
            bearer::rules(plan, &json!({"audiences": ["x"]}), &json!([]));
            plan.listener()["rules"][4]["actions"][0]["jwt_validation"]["allow_cors_preflight"] = json!(allowed);
        });
        let request = format!("OPTIONS /jwt/x HTTP/1.1\r\nHost: {}\r\n{preflight}\r\n", world.gateway.authority());
        let response = crate::support::client::raw(&world.gateway, request).unwrap();
        assert_eq!(response.status(), status, "{response}");
        assert_eq!(ask(&world, "/jwt/x", &[("Origin", "https://other.test")]).status(), 401);
    }
}

#[test]
fn the_counters_tell_good_from_bad() {
    let world = bearer::world();
    accepted(&world, "/jwt/x", &token(&world, |_, _| {}), "good");
    let bad = token_with(&world, "iss", json!(random(12)));
    refused(&world, "/jwt/x", &bad, invalid("JWTClaimValueInvalid"), "bad");
    let count = |labels: &str| bearer::counter(&world, &format!("vestibule_jwt_validation_total{{{labels}}}"));
    assert_eq!(count("reason=\"\",result=\"success\""), 1);
    assert_eq!(count("reason=\"JWTClaimValueInvalid\",result=\"failure\""), 1);
}

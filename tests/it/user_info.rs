//! T39, T40: what the user-info endpoint may say (OpenID Connect Core 5.3.2).

use serde_json::{Value, json};

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::jose::{self, Key};
use crate::support::oracles::{attempt, honest_login_works, no_session, sign_in};
use crate::support::provider::{CLIENT_ID, put};

/// Each answer of the user-info endpoint ends the login without a session.
fn refuses_answers(answers: Vec<(&str, Answer)>) {
    let world = World::start();
    for (variant, answer) in answers {
        let (mut browser, callback) = attempt(&world, |_| {});
        world.provider.fault("userinfo", answer);
        let expected: (&[u16], &str) = (&[561], "AuthInvalidUserinfoResponse");
        no_session(&world, &mut browser, &callback, expected, variant);
    }
    honest_login_works(&world);
}

#[test]
fn t39_user_info_of_somebody_else_is_refused() {
    let world = World::start();
    for (variant, subject) in [
        ("another", json!("mallory")),
        ("absent", json!(null)),
        ("empty", json!("")),
        ("in capitals", json!("ALICE")),
        ("with a space", json!("alice ")),
        ("a list", json!(["alice"])),
        ("a number", json!(1)),
    ] {
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.edit_user_info(move |claims| {
                put(claims, "sub", subject.clone());
                put(claims, "groups", json!(["admins"]));
            });
        });
        let expected: (&[u16], &str) = (&[561], "AuthInvalidUserinfoResponse");
        no_session(&world, &mut browser, &callback, expected, &format!("sub {variant}"));
    }
    honest_login_works(&world);
}

#[test]
fn t40_user_info_that_is_not_an_object_of_claims_is_refused() {
    let json = Some("application/json");
    let claims = json!({"sub": "alice", "aud": "other"});
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "rsa-0"});
    let signed = jose::token(&header, &claims, &Key::rsa(0, "RS256", "rsa-0"));
    let for_us = json!({"sub": "alice", "aud": CLIENT_ID});
    let unsigned = jose::unsigned(&json!({"alg": "none"}), &for_us);
    let jwt = Some("application/jwt");
    refuses_answers(vec![
        ("a list", Answer::json(200, &json!([{"sub": "alice"}]))),
        ("a string", Answer::json(200, &json!("alice"))),
        ("null", Answer::json(200, &Value::Null)),
        ("empty", Answer::of(200, json, "")),
        ("HTML", Answer::of(200, Some("text/html"), "<html>alice</html>")),
        ("cut off", Answer::of(200, json, r#"{"sub":"alice""#)),
        ("two values", Answer::of(200, json, r#"{"sub":"alice"}{"sub":"mallory"}"#)),
        ("a JWT for another audience", Answer::of(200, jwt, signed)),
        ("an unsigned JWT", Answer::of(200, jwt, unsigned.clone())),
        ("an unsigned JWT called JSON", Answer::of(200, json, unsigned)),
        ("not UTF-8", Answer::of(200, json, b"{\"sub\":\"alice\",\"name\":\"\xff\"}".to_vec())),
    ]);
}

#[test]
fn t40_user_info_that_names_a_claim_twice_is_refused() {
    let body = r#"{"sub":"alice","sub":"alice","groups":[],"groups":["admins"]}"#;
    refuses_answers(vec![("twice", Answer::of(200, Some("application/json"), body))]);
}

#[test]
fn user_info_wins_over_the_id_token_and_the_rest_of_the_id_token_stays() {
    let world = World::start();
    world.provider.set(|provider| {
        provider.edit_claims(|claims| {
            claims["email"] = json!("old@example.com");
            claims["cognito:groups"] = json!(["staff"]);
        });
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    assert_eq!(browser.get("/").status(), 200);
    let seen = world.target.last();
    let (_, claims) = jose::parts(seen.get("x-amzn-oidc-data").unwrap());
    assert_eq!(claims["email"], "alice@example.com");
    assert_eq!(claims["cognito:groups"], json!(["staff"]));
    assert_eq!(seen.get("x-auth-email"), Some("alice@example.com"));
}

//! T01–T16: the claims of an ID token that came from the token endpoint with a good signature
//! (OpenID Connect Core 3.1.3.7).

use serde_json::{Value, json};

use crate::support::World;
use crate::support::client::parameter;
use crate::support::oracles::{accepts_login, attempt, honest_login_works, no_session, refuses_id_token, sign_in, start_login};
use crate::support::provider::{CLIENT_ID, put, unix_time};

/// Each value of one claim is refused, and afterwards an honest login works. Null takes the claim away.
fn refuses_claim(name: &'static str, values: Vec<(&str, Value)>) {
    let world = World::start();
    for (variant, value) in values {
        refuses_id_token(&world, &format!("{name} {variant}"), |provider| {
            provider.claim(name, value);
        });
    }
    honest_login_works(&world);
}

#[test]
fn t01_issuer_that_is_not_the_configured_one_is_refused() {
    refuses_claim("iss", vec![("of a stranger", json!("https://evil.test"))]);
}

#[test]
fn t02_issuer_that_is_nearly_the_configured_one_is_refused() {
    let world = World::start();
    let issuer = world.provider.issuer().to_owned();
    for (variant, near) in [
        ("with a slash", format!("{issuer}/")),
        ("in capitals", issuer.replace("localhost", "LOCALHOST")),
        ("over http", issuer.replace("https:", "http:")),
        ("without its port", "https://localhost".to_owned()),
        ("with user info", issuer.replace("//", "//user@")),
        ("percent-encoded", issuer.replace("localhost", "%6cocalhost")),
        ("in fullwidth letters", issuer.replace("localhost", "ｌocalhost")),
        ("with a dot", issuer.replace("localhost", "localhost.")),
        ("with a query", format!("{issuer}?")),
        ("with a space", format!("{issuer} ")),
    ] {
        refuses_id_token(&world, variant, |provider| provider.claim("iss", json!(near)));
    }
    for (variant, value) in [("absent", json!(null)), ("a list", json!([issuer]))] {
        refuses_id_token(&world, variant, |provider| provider.claim("iss", value));
    }
    honest_login_works(&world);
}

#[test]
fn t03_audience_without_the_client_is_refused() {
    refuses_claim("aud", vec![("other", json!("other")), ("list of others", json!(["other", "more"]))]);
}

#[test]
fn t04_audience_that_names_nobody_is_refused() {
    refuses_claim(
        "aud",
        vec![
            ("absent", json!(null)),
            ("empty", json!("")),
            ("a number", json!(1)),
            ("an object", json!({CLIENT_ID: CLIENT_ID})),
            ("an empty list", json!([])),
            ("a list in a list", json!([[CLIENT_ID]])),
        ],
    );
    let world = World::start();
    refuses_id_token(&world, "aud null", |provider| {
        provider.edit_claims(|claims| claims["aud"] = Value::Null);
    });
}

#[test]
fn t05_audience_that_is_not_trusted_beside_the_client_is_refused() {
    refuses_claim("aud", vec![("with another", json!([CLIENT_ID, "evil"]))]);
}

#[test]
fn t06_authorized_party_other_than_the_client_is_refused() {
    refuses_claim("azp", vec![("evil", json!("evil")), ("a list", json!([CLIENT_ID]))]);
    let world = World::start();
    refuses_id_token(&world, "azp evil, several audiences", |provider| {
        provider.edit_claims(|claims| {
            claims["aud"] = json!([CLIENT_ID, "evil"]);
            claims["azp"] = json!("evil");
        });
    });
    accepts_login(&world, "azp is the client", |provider| {
        provider.claim("azp", json!(CLIENT_ID));
    });
}

#[test]
fn t07_audience_that_resembles_the_client_is_refused() {
    refuses_claim(
        "aud",
        vec![
            ("longer", json!(format!("{CLIENT_ID}1"))),
            ("shorter", json!(CLIENT_ID[..CLIENT_ID.len() - 1])),
            ("in capitals", json!(CLIENT_ID.to_uppercase())),
            ("with a space", json!(format!("{CLIENT_ID} "))),
            ("as a list in one string", json!(format!("{CLIENT_ID} other"))),
        ],
    );
}

#[test]
fn t08_subject_that_is_not_a_name_is_refused() {
    let world = World::start();
    for (variant, subject) in [
        ("absent", json!(null)),
        ("empty", json!("")),
        ("a number", json!(7)),
        ("a list", json!(["alice"])),
        ("with a line break", json!("alice\r\nx-admin: 1")),
        ("with NUL", json!("alice\u{0}")),
        ("with a C1 control", json!("alice\u{85}")),
    ] {
        let same = subject.clone();
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.claim("sub", subject);
            // The same at user info: the mismatch is another story.
            provider.edit_user_info(move |claims| put(claims, "sub", same.clone()));
        });
        no_session(&world, &mut browser, &callback, (&[561], ""), variant);
    }
    honest_login_works(&world);
}

#[test]
fn t08_subject_of_more_than_255_characters_is_never_cut() {
    let world = World::start();
    let long = "s".repeat(300);
    let (mut browser, callback) = attempt(&world, |provider| provider.user = long.clone());
    let status = browser.get(&callback).status();
    assert!(matches!(status, 302 | 561), "status {status}");
    if status == 302 {
        assert_eq!(browser.get("/").status(), 200);
        let seen = world.target.last();
        assert_eq!(seen.get("x-amzn-oidc-identity"), Some(long.as_str()));
    }
}

#[test]
fn t09_expired_token_is_refused() {
    refuses_claim("exp", vec![("two minutes ago", json!(unix_time() - 125)), ("long ago", json!(1))]);
}

#[test]
fn t10_expiry_that_is_no_time_is_refused() {
    let now = unix_time();
    refuses_claim(
        "exp",
        vec![
            ("absent", json!(null)),
            ("a string", json!((now + 600).to_string())),
            ("negative", json!(-1)),
            ("not a number", json!("NaN")),
            ("a list", json!([now + 600])),
            ("true", json!(true)),
        ],
    );
    let world = World::start();
    accepts_login(&world, "exp fractional", |provider| {
        provider.claim("exp", json!(f64::from(u32::try_from(now).unwrap()) + 600.5));
    });
    for (variant, huge) in [("1e300", json!(1e300)), ("2^63", json!(1_u64 << 63))] {
        // Far future or refused, but never wrapped into the past or a crash.
        let (mut browser, callback) = attempt(&world, |provider| provider.claim("exp", huge));
        let response = browser.get(&callback);
        assert!(matches!(response.status(), 302 | 561), "exp {variant}: {response}");
    }
    honest_login_works(&world);
}

#[test]
fn t11_token_without_a_time_of_issue_is_refused() {
    refuses_claim("iat", vec![("absent", json!(null)), ("a string", json!("today"))]);
}

#[test]
fn t12_token_from_the_future_is_refused() {
    let later = unix_time() + 3600;
    refuses_claim("iat", vec![("in an hour", json!(later))]);
    refuses_claim("nbf", vec![("in an hour", json!(later))]);
}

#[test]
fn t13_clocks_may_differ_by_a_minute_and_not_more() {
    let world = World::start();
    accepts_login(&world, "expired 50 s ago", |provider| {
        provider.edit_claims(|claims| claims["exp"] = json!(unix_time() - 50));
    });
    refuses_id_token(&world, "expired 66 s ago", |provider| {
        provider.edit_claims(|claims| claims["exp"] = json!(unix_time() - 66));
    });
    accepts_login(&world, "issued in 50 s", |provider| {
        provider.edit_claims(|claims| claims["iat"] = json!(unix_time() + 50));
    });
    accepts_login(&world, "valid in 50 s", |provider| {
        provider.edit_claims(|claims| claims["nbf"] = json!(unix_time() + 50));
    });
}

#[test]
fn t14_nonce_of_another_login_is_refused() {
    let world = World::start();
    for (variant, nonce) in
        [("other", json!("other")), ("absent", json!(null)), ("empty", json!("")), ("a list", json!(["other"])), ("true", json!(true))]
    {
        refuses_id_token(&world, &format!("nonce {variant}"), |provider| {
            provider.claim("nonce", nonce);
        });
    }
    refuses_id_token(&world, "nonce in a list", |provider| {
        provider.edit_claims(|claims| claims["nonce"] = json!([claims["nonce"]]));
    });

    world.provider.reset();
    let mut browser = world.browser();
    let first = start_login(&world, &mut browser, "/first");
    let second = start_login(&world, &mut browser, "/second");
    let foreign = parameter(&first, "nonce").unwrap();
    world.provider.set(|provider| provider.claim("nonce", json!(foreign)));
    let callback = world.provider.approve(&second);
    let expected: (&[u16], &str) = (&[561], "AuthInvalidIdToken");
    no_session(&world, &mut browser, &callback, expected, "nonce of the other tab");
    honest_login_works(&world);
}

#[test]
fn t15_hash_of_another_access_token_is_refused() {
    refuses_claim(
        "at_hash",
        vec![("of another", json!(crate::support::jose::at_hash("another access token"))), ("empty", json!("")), ("a number", json!(1))],
    );
}

#[test]
fn t16_hash_of_the_access_token_may_be_absent() {
    let world = World::start();
    let mut browser = accepts_login(&world, "at_hash absent", |provider| {
        provider.claim("at_hash", json!(null));
    });
    browser.cookies.clear();
    sign_in(&world, &mut browser, "/again");
}

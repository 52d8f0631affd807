//! T23–T30: what the JOSE header of an ID token says about keys, extensions and type (RFC 7515, RFC 8725).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::World;
use crate::support::canary::Canary;
use crate::support::jose::{self, Key};
use crate::support::oracles::{accepts_login, attempt, honest_login_works, refuses_id_token};
use crate::support::provider::put;

#[test]
fn t23_key_that_the_token_brings_along_is_never_used() {
    let canary = Canary::start();
    let address = format!("127.0.0.1:{}", canary.port);

    let world = World::start();
    let attacker = Key::rsa(1, "RS256", "attacker");
    let certificate = STANDARD.encode(attacker.public_der());
    for (member, value) in [
        ("jwk", attacker.jwk()),
        ("jku", json!(format!("https://{address}/jwks"))),
        ("jku", json!(format!("http://{address}/jwks"))),
        ("x5u", json!(format!("https://{address}/chain.pem"))),
        ("x5c", json!([certificate])),
        ("x5t", json!(jose::encode([0; 20]))),
    ] {
        for kid in ["rsa-0", "attacker"] {
            let (attacker, value) = (attacker.clone(), value.clone());
            refuses_id_token(&world, &format!("{member} {value} as {kid}"), |provider| {
                provider.make_id_token(move |header, claims, _| {
                    let mut header = header.clone();
                    put(&mut header, member, value.clone());
                    put(&mut header, "kid", json!(kid));
                    jose::token(&header, claims, &attacker)
                });
            });
        }
    }
    honest_login_works(&world);
    assert_eq!(canary.knocks(), 0, "the gateway fetched a key from the token's address");
}

#[test]
fn t24_critical_extension_is_refused() {
    let world = World::start();
    for (variant, members) in [
        ("unknown", r#""crit":["exp2"],"exp2":1"#),
        ("empty", r#""crit":[]"#),
        ("a string", r#""crit":"exp""#),
        ("null", r#""crit":null"#),
        ("named twice", r#""crit":["b64","b64"],"b64":true"#),
        ("unencoded payload", r#""crit":["b64"],"b64":false"#),
        ("a registered name", r#""crit":["alg"]"#),
        ("given twice", r#""crit":["exp2"],"crit":[],"exp2":1"#),
    ] {
        refuses_id_token(&world, &format!("crit {variant}"), |provider| {
            provider.make_id_token(move |header, claims, key| {
                let kid = header["kid"].as_str().unwrap();
                let header = format!(r#"{{"alg":"RS256","typ":"JWT","kid":"{kid}",{members}}}"#);
                jose::compact(header.as_bytes(), claims.to_string().as_bytes(), key, "RS256")
            });
        });
    }
    honest_login_works(&world);
}

#[test]
fn t25_token_of_another_type_is_refused() {
    let world = World::start();
    for kind in ["at+jwt", "AT+JWT", "application/at+jwt", "logout+jwt", "secevent+jwt"] {
        refuses_id_token(&world, &format!("typ {kind}"), |provider| {
            provider.edit_id_token(move |header, _| header["typ"] = json!(kind));
        });
    }
    for kind in [json!("JWT"), json!("jwt"), json!(null)] {
        accepts_login(&world, &format!("typ {kind}"), |provider| {
            provider.edit_id_token(move |header, _| put(header, "typ", kind.clone()));
        });
    }
}

#[test]
fn t26_access_or_logout_token_in_place_of_the_id_token_is_refused() {
    let world = World::start();
    refuses_id_token(&world, "access token", |provider| {
        provider.edit_claims(|claims| {
            put(claims, "nonce", json!(null));
            put(claims, "scope", json!("openid email"));
            put(claims, "token_use", json!("access"));
        });
    });
    refuses_id_token(&world, "logout token", |provider| {
        provider.edit_claims(|claims| {
            put(claims, "nonce", json!(null));
            put(claims, "jti", json!("1"));
            let event = "http://schemas.openid.net/event/backchannel-logout";
            put(claims, "events", json!({event: {}}));
        });
    });
    honest_login_works(&world);
}

#[test]
fn t27_token_without_kid_is_verified_by_the_only_key() {
    let world = World::start();
    accepts_login(&world, "kid absent", |provider| {
        provider.edit_id_token(|header, _| put(header, "kid", json!(null)));
    });
    let other = Key::rsa(1, "RS256", "rsa-0");
    refuses_id_token(&world, "kid absent, another key", |provider| {
        provider.make_id_token(move |header, claims, _| {
            let mut header = header.clone();
            put(&mut header, "kid", json!(null));
            jose::token(&header, claims, &other)
        });
    });
}

#[test]
fn t28_token_without_kid_among_several_keys_ends_cleanly() {
    let keys = [Key::rsa(0, "RS256", "first"), Key::rsa(1, "RS256", "second"), Key::ecdsa("ES256", "third")];
    for signer in keys.clone() {
        let published = keys.iter().map(Key::jwk).collect();
        let kid = signer.kid.clone();
        let world = World::prepared(|provider| {
            provider.key = signer;
            provider.published = Some(published);
        });
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.edit_id_token(|header, _| put(header, "kid", json!(null)));
        });
        let response = browser.get(&callback);
        assert!(matches!(response.status(), 302 | 561), "signed by {kid}: {response}");
        assert!(world.provider.count("jwks") <= 2, "signed by {kid}: more than one refetch");
    }
}

#[test]
fn t29_kid_that_two_keys_share_is_resolved_by_kind_or_refused() {
    let (rsa, ec) = (Key::rsa(0, "RS256", "same"), Key::ecdsa("ES256", "same"));
    for published in [vec![ec.jwk(), rsa.jwk()], vec![rsa.jwk(), ec.jwk()]] {
        let rsa = rsa.clone();
        let world = World::prepared(|provider| {
            provider.key = rsa;
            provider.published = Some(published);
        });
        let (mut browser, callback) = attempt(&world, |_| {});
        let response = browser.get(&callback);
        assert!(matches!(response.status(), 302 | 561), "duplicate kid: {response}");
        refuses_id_token(&world, "duplicate kid, forged", |provider| {
            let attacker = Key::rsa(1, "RS256", "same");
            provider.make_id_token(move |header, claims, _| jose::token(header, claims, &attacker));
        });
    }
}

#[test]
fn t29_kid_of_any_shape_is_only_a_name() {
    let world = World::start();
    honest_login_works(&world);
    for (variant, kid) in [
        ("a path", json!("../../../../dev/null")),
        ("SQL", json!("' UNION SELECT 'key' --")),
        ("of 64 KiB", json!("k".repeat(65_536))),
        ("with NUL", json!("rsa-0\u{0}")),
        ("an emoji", json!("🔑")),
        ("empty", json!("")),
        ("a line break", json!("rsa-0\r\nforged line")),
        ("a number", json!(0)),
        ("a list", json!(["rsa-0"])),
    ] {
        refuses_id_token(&world, &format!("kid {variant}"), |provider| {
            provider.edit_id_token(move |header, _| header["kid"] = kid.clone());
        });
    }
    honest_login_works(&world);
    let log = world.gateway.log();
    let longest = log.lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 16_384, "a log line of {longest} octets");
    assert!(!log.lines().any(|line| line.starts_with("forged line")), "a forged log line");
}

#[test]
fn t30_key_that_is_not_for_signatures_is_never_used() {
    for (variant, member, value) in [
        ("use enc", "use", json!("enc")),
        ("key_ops encrypt", "key_ops", json!(["encrypt"])),
        ("key_ops sign only", "key_ops", json!(["wrapKey", "encrypt"])),
    ] {
        for key in [Key::rsa(0, "RS256", "k"), Key::ecdsa("ES256", "k")] {
            let mut jwk: Value = key.jwk();
            if member == "key_ops" {
                put(&mut jwk, "use", json!(null));
            }
            put(&mut jwk, member, value.clone());
            let variant = format!("{variant}, {}", key.algorithm);
            let world = World::prepared(|provider| {
                provider.key = key;
                provider.published = Some(vec![jwk, Key::rsa(1, "RS256", "another").jwk()]);
            });
            refuses_id_token(&world, &variant, |_| {});
        }
    }
}

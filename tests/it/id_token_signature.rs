//! T17–T22: signatures and algorithms of ID tokens (RFC 8725 section 3.1, RFC 7518).

use serde_json::{Value, json};

use crate::support::World;
use crate::support::jose::{self, Key};
use crate::support::oracles::{accepts_login, honest_login_works, refuses_id_token};

/// A world whose provider publishes several keys and signs with the first.
fn world_with_keys(keys: &[Key]) -> World {
    World::prepared(|provider| {
        provider.key = keys[0].clone();
        provider.published = Some(keys.iter().map(Key::jwk).collect());
    })
}

/// Flips one bit of the signature.
fn spoiled(token: &str) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let mut signature = jose::decode(signature);
    signature[7] ^= 1;
    format!("{input}.{}", jose::encode(signature))
}

#[test]
fn t17_signature_that_does_not_fit_is_refused_although_it_came_over_tls() {
    for key in [Key::rsa(0, "RS256", "k"), Key::ecdsa("ES256", "k")] {
        let algorithm = key.algorithm;
        let other = match algorithm {
            "RS256" => Key::rsa(1, "RS256", "k"),
            _ => Key::ecdsa("ES256", "k"),
        };
        let world = world_with_keys(&[key]);
        accepts_login(&world, algorithm, |_| {});
        refuses_id_token(&world, &format!("{algorithm}, one bit flipped"), |provider| {
            provider.make_id_token(|header, claims, key| spoiled(&jose::token(header, claims, key)));
        });
        refuses_id_token(&world, &format!("{algorithm}, signed by another"), |provider| {
            provider.make_id_token(move |header, claims, _| jose::token(header, claims, &other));
        });
        refuses_id_token(&world, &format!("{algorithm}, signature empty"), |provider| {
            provider.make_id_token(|header, claims, _| jose::unsigned(header, claims));
        });
        refuses_id_token(&world, &format!("{algorithm}, payload changed"), |provider| {
            provider.make_id_token(|header, claims, key| {
                let honest = jose::token(header, claims, key);
                let mut changed = claims.clone();
                changed["groups"] = json!(["admins"]);
                let parts: Vec<&str> = honest.split('.').collect();
                format!("{}.{}.{}", parts[0], jose::encode(changed.to_string()), parts[2])
            });
        });
        honest_login_works(&world);
    }
}

#[test]
fn t18_token_without_a_signature_is_refused() {
    let world = World::start();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        refuses_id_token(&world, &format!("alg {none:?}"), |provider| {
            provider.make_id_token(move |header, claims, _| jose::unsigned(&with(header, "alg", json!(none)), claims));
        });
        refuses_id_token(&world, &format!("alg {none:?} and a signature"), |provider| {
            provider.make_id_token(move |header, claims, key| jose::token(&with(header, "alg", json!(none)), claims, key));
        });
    }
    for (variant, algorithm) in [("absent", json!(null)), ("a list", json!(["RS256"])), ("a number", json!(0))] {
        refuses_id_token(&world, &format!("alg {variant}"), |provider| {
            provider.make_id_token(move |header, claims, key| jose::token(&with(header, "alg", algorithm.clone()), claims, key));
        });
    }
    honest_login_works(&world);
}

#[test]
fn t19_public_key_used_as_a_shared_secret_is_refused() {
    let world = World::start();
    let key = world.provider.set(|provider| provider.key.clone());
    let der = key.public_der();
    let modulus = jose::decode(key.jwk()["n"].as_str().unwrap());
    for (variant, secret) in [
        ("PEM", jose::pem(&der).into_bytes()),
        ("PEM without its last line break", jose::pem(&der).trim_end().as_bytes().to_vec()),
        ("DER", der),
        ("JWK", key.jwk().to_string().into_bytes()),
        ("modulus", modulus),
    ] {
        for algorithm in ["HS256", "HS384", "HS512"] {
            let secret = secret.clone();
            refuses_id_token(&world, &format!("{algorithm} with the {variant}"), |provider| {
                provider.make_id_token(move |header, claims, _| jose::hmac_token(&with(header, "alg", json!(algorithm)), claims, &secret));
            });
        }
    }
    honest_login_works(&world);
}

#[test]
fn t20_hmac_with_the_client_secret_is_refused() {
    let world = World::start();
    let secret = world.provider.client_secret().as_bytes().to_vec();
    for (variant, without_kid) in [("", false), (" and no kid", true)] {
        let secret = secret.clone();
        refuses_id_token(&world, &format!("HS256 with the client secret{variant}"), |provider| {
            provider.make_id_token(move |header, claims, _| {
                let mut header = with(header, "alg", json!("HS256"));
                if without_kid {
                    header = with(&header, "kid", json!(null));
                }
                jose::hmac_token(&header, claims, &secret)
            });
        });
    }
    honest_login_works(&world);
}

#[test]
fn t20_shared_secret_in_a_key_set_is_never_used() {
    let secret = b"thirty-two octets of shared secret".to_vec();
    let published = json!({"kty": "oct", "kid": "shared", "alg": "HS256", "k": jose::encode(&secret)});
    let world = World::prepared(|provider| {
        provider.published = Some(vec![provider.key.jwk(), published]);
    });
    refuses_id_token(&world, "HS256 with a published secret", |provider| {
        provider.make_id_token(move |header, claims, _| {
            let header = with(&with(header, "alg", json!("HS256")), "kid", json!("shared"));
            jose::hmac_token(&header, claims, &secret)
        });
    });
    honest_login_works(&world);
}

#[test]
fn t21_algorithm_that_is_not_on_the_list_is_refused_although_the_key_fits() {
    // RS1 is RSA with SHA-1; here the signature would even fit a verifier that ignores the name.
    for (key, claimed, made) in [
        (Key::rsa(0, "RS256", "k"), "RS1", "RS256"),
        (Key::rsa(0, "RS256", "k"), "rs256", "RS256"),
        (Key::rsa(0, "RS256", "k"), "RSA-OAEP", "RS256"),
        (Key::ecdsa("ES256K", "k"), "ES256K", "ES256K"),
        (Key::ecdsa("ES256", "k"), "ES256K", "ES256"),
    ] {
        let world = world_with_keys(&[key]);
        refuses_id_token(&world, &format!("alg {claimed} made as {made}"), |provider| {
            provider.make_id_token(move |header, claims, key| {
                let header = with(header, "alg", json!(claimed)).to_string();
                jose::compact(header.as_bytes(), claims.to_string().as_bytes(), key, made)
            });
        });
    }
}

#[test]
fn t21_algorithm_other_than_the_keys_own_is_refused() {
    let world = world_with_keys(&[Key::rsa(0, "RS256", "k")]);
    for algorithm in ["PS256", "RS384", "RS512", "PS512"] {
        // A perfect signature by the right key, which says that it is for RS256.
        refuses_id_token(&world, &format!("{algorithm} by a key for RS256"), |provider| {
            provider.make_id_token(move |header, claims, key| jose::token(&with(header, "alg", json!(algorithm)), claims, key));
        });
    }
    honest_login_works(&world);
}

#[test]
fn t21_algorithms_on_the_list_are_accepted() {
    for key in [
        Key::rsa(1, "RS384", "k"),
        Key::rsa(1, "RS512", "k"),
        Key::rsa(1, "PS256", "k"),
        Key::rsa(1, "PS384", "k"),
        Key::rsa(1, "PS512", "k"),
        Key::ecdsa("ES256", "k"),
        Key::ecdsa("ES384", "k"),
        Key::ed25519("k"),
    ] {
        let algorithm = key.algorithm;
        let world = World::prepared(|provider| {
            provider.key = key;
            provider.metadata = json!({"id_token_signing_alg_values_supported": [algorithm]});
        });
        accepts_login(&world, algorithm, |provider| {
            // The hash of at_hash depends on the algorithm; it is another story.
            provider.claim("at_hash", json!(null));
        });
    }
}

#[test]
fn t22_key_of_another_kind_than_the_algorithm_is_refused() {
    for (variant, key, claimed) in [
        ("ES256 with a P-384 key", Key::ecdsa("ES384", "k"), "ES256"),
        ("ES384 with a P-256 key", Key::ecdsa("ES256", "k"), "ES384"),
        ("ES256 with an RSA key", Key::rsa(0, "RS256", "k"), "ES256"),
        ("RS256 with a P-256 key", Key::ecdsa("ES256", "k"), "RS256"),
        ("EdDSA with a P-256 key", Key::ecdsa("ES256", "k"), "EdDSA"),
        ("ES256 with an Ed25519 key", Key::ed25519("k"), "ES256"),
    ] {
        for declared in [true, false] {
            let mut jwk = key.jwk();
            if !declared {
                jwk.as_object_mut().unwrap().remove("alg");
            }
            let key = key.clone();
            let world = World::prepared(|provider| {
                provider.key = key;
                provider.published = Some(vec![jwk]);
            });
            let variant = format!("{variant}, alg in the key: {declared}");
            refuses_id_token(&world, &variant, |provider| {
                provider.make_id_token(move |header, claims, key| {
                    let header = with(header, "alg", json!(claimed)).to_string();
                    jose::compact(header.as_bytes(), claims.to_string().as_bytes(), key, key.algorithm)
                });
            });
        }
    }
}

/// A header with one member changed; null takes it away.
fn with(header: &Value, name: &str, value: Value) -> Value {
    let mut header = header.clone();
    crate::support::provider::put(&mut header, name, value);
    header
}

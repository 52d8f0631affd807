//! I07–I13: fetching, rotating and losing the provider's keys.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::jose::{self, Key};
use crate::support::oracles::{
    accepts_login, assert_signed_in, attempt, honest_login_works, no_session, refuses_id_token, sign_in, start_login,
};
use crate::support::provider::Provider;
use crate::support::secrets::{Secrets, random};

const JSON: Option<&str> = Some("application/json");

#[test]
fn i07_key_rotated_just_before_signing_is_fetched_once() {
    let world = World::start();
    honest_login_works(&world);
    let before = world.provider.count("jwks");
    let mut browser = world.browser();
    let authorization = start_login(&world, &mut browser, "/");
    world.provider.set(|provider| provider.key = Key::rsa(1, "RS256", "rsa-1"));
    let response = browser.get(&world.provider.approve(&authorization));
    assert_eq!(response.status(), 302, "{response}");
    assert_signed_in(&mut browser, "after the rotation");
    assert_eq!(world.provider.count("jwks"), before + 1, "fetches of the key set");
}

#[test]
fn i08_keys_may_overlap_while_they_rotate() {
    let world = World::start();
    let (old, new) = (Key::rsa(0, "RS256", "rsa-0"), Key::ecdsa("ES256", "ec-1"));
    honest_login_works(&world);
    world.provider.set(|provider| {
        provider.key = new.clone();
        provider.published = Some(vec![old.jwk(), new.jwk()]);
    });
    accepts_login(&world, "signed by the new key", |_| {});
    world.provider.set(|provider| provider.key = old.clone());
    accepts_login(&world, "signed by the old key", |_| {});
}

#[test]
fn i09_key_that_was_taken_away_is_forgotten() {
    let world = World::start();
    let (old, new) = (Key::rsa(0, "RS256", "rsa-0"), Key::rsa(1, "RS256", "rsa-1"));
    honest_login_works(&world);
    world.provider.set(|provider| {
        provider.key = new.clone();
        provider.published = Some(vec![new.jwk()]);
    });
    // The first token of the new key makes the gateway look.
    accepts_login(&world, "signed by the new key", |_| {});
    refuses_id_token(&world, "signed by the old key", |provider| {
        provider.make_id_token(move |header, claims, _| {
            let mut header = header.clone();
            header["kid"] = json!("rsa-0");
            jose::token(&header, claims, &old)
        });
    });
    honest_login_works(&world);
}

/// Logins whose tokens name keys that nobody has.
fn flood(world: &World, count: usize) {
    for number in 0..count {
        let (mut browser, callback) = attempt_keeping_faults(world);
        world.provider.set(|provider| {
            provider.edit_id_token(|header, _| header["kid"] = json!(random(12)));
        });
        let response = browser.get(&callback);
        assert_eq!(response.status(), 561, "{number}: {response}");
    }
    world.provider.set(|provider| provider.edit_id_token = None);
}

fn attempt_keeping_faults(world: &World) -> (crate::support::client::Browser, String) {
    let mut browser = world.browser();
    let authorization = start_login(world, &mut browser, "/");
    let callback = world.provider.approve(&authorization);
    (browser, callback)
}

/// How often the key set may be fetched while unknown keys come in, and how long that has been so.
fn allowed_fetches(since: Instant) -> usize {
    const COOL_DOWN: u64 = 5;
    1 + usize::try_from(since.elapsed().as_secs().div_ceil(COOL_DOWN)).unwrap()
}

#[test]
fn i10_unknown_kids_do_not_make_a_flood_of_fetches() {
    let world = World::start();
    honest_login_works(&world);
    let (before, begin) = (world.provider.count("jwks"), Instant::now());
    flood(&world, 40);
    let fetches = world.provider.count("jwks") - before;
    assert!(fetches <= allowed_fetches(begin), "{fetches} fetches for 40 unknown keys");
    honest_login_works(&world);
}

#[test]
fn i10_unknown_kids_at_once_make_one_fetch() {
    let world = World::start();
    honest_login_works(&world);
    let before = world.provider.count("jwks");
    let slow = json!({"keys": [Key::rsa(0, "RS256", "rsa-0").jwk()]});
    let slow = Answer::json(200, &slow).after(Duration::from_millis(300));
    let logins: Vec<_> = (0..12).map(|_| attempt_keeping_faults(&world)).collect();
    world.provider.fault("jwks", slow);
    world.provider.set(|provider| {
        provider.edit_id_token(|header, _| header["kid"] = json!(random(12)));
    });
    std::thread::scope(|scope| {
        for (mut browser, callback) in logins {
            scope.spawn(move || assert_eq!(browser.get(&callback).status(), 561));
        }
    });
    let fetches = world.provider.count("jwks") - before;
    assert!(fetches <= 2, "{fetches} fetches for 12 unknown keys at once");
    honest_login_works(&world);
}

#[test]
fn i11_cool_down_holds_while_the_key_set_is_empty_failing_or_slow() {
    for (variant, answer) in [
        ("empty", Answer::of(200, JSON, r#"{"keys":[]}"#)),
        ("failing", Answer::of(500, JSON, "{}")),
        ("closing", Answer::closed()),
        ("slow", Answer::of(200, JSON, r#"{"keys":[]}"#).after(Duration::from_millis(1_500))),
    ] {
        let world = World::start();
        honest_login_works(&world);
        let mut signed_in = world.browser();
        sign_in(&world, &mut signed_in, "/");
        let (before, begin) = (world.provider.count("jwks"), Instant::now());
        world.provider.fault("jwks", answer);
        flood(&world, 15);
        let fetches = world.provider.count("jwks") - before;
        assert!(fetches <= allowed_fetches(begin), "{variant}: {fetches} fetches for 15 unknown keys");
        let canary = Instant::now();
        assert_signed_in(&mut signed_in, variant);
        assert!(canary.elapsed() < Duration::from_secs(1), "{variant}: the canary waited");
    }
}

#[test]
fn i12_key_set_that_is_nonsense_signs_nobody_in() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let many: Vec<Value> = (0..20_000).map(|n| json!({"kty": "oct", "kid": format!("k{n}"), "k": "AAAA"})).collect();
    for (variant, answer) in [
        ("HTML", Answer::of(200, Some("text/html"), "<html></html>")),
        ("no JSON", Answer::of(200, JSON, "{\"keys\":")),
        ("null", Answer::of(200, JSON, "null")),
        ("keys null", Answer::of(200, JSON, r#"{"keys":null}"#)),
        ("keys an object", Answer::of(200, JSON, r#"{"keys":{}}"#)),
        ("a tower", Answer::of(200, JSON, deep)),
        ("20,000 keys", Answer::json(200, &json!({"keys": many}))),
        ("16 MiB", Answer::of(200, JSON, vec![b' '; 16 << 20])),
        ("without end", Answer::endless()),
        ("said to be compressed", Answer::of(200, JSON, "{}").with("Content-Encoding", "gzip")),
    ] {
        let secrets = Secrets::default();
        let provider = Provider::start(&secrets);
        provider.fault("jwks", answer);
        let world = World::around(provider, secrets, |_| {});
        let before = world.gateway.resident_memory();
        let (mut browser, callback) = attempt_keeping_faults(&world);
        no_session(&world, &mut browser, &callback, (&[561], ""), variant);
        let grown = world.gateway.resident_memory().saturating_sub(before);
        assert!(grown < 64 << 20, "{variant}: memory grew by {grown} octets");
    }
}

#[test]
fn i12_bad_keys_beside_a_good_one_are_passed_over() {
    let good = Key::rsa(0, "RS256", "good");
    let small = json!({"kty": "RSA", "kid": "small", "n": jose::encode([0xc1; 64]), "e": "AQAB"});
    let even = json!({"kty": "RSA", "kid": "even", "n": good.jwk()["n"], "e": "Ag"});
    let one = json!({"kty": "RSA", "kid": "one", "n": good.jwk()["n"], "e": "AQ"});
    let off = json!({"kty": "EC", "crv": "P-256", "kid": "off", "x": jose::encode([1; 32]), "y": jose::encode([1; 32])});
    let zero = json!({"kty": "EC", "crv": "P-256", "kid": "zero", "x": jose::encode([0; 32]), "y": jose::encode([0; 32])});
    let oct = json!({"kty": "oct", "kid": "oct", "k": jose::encode([1; 32])});
    let strange = json!({"kty": "MAGIC", "kid": "magic"});
    let published = vec![json!(null), json!("key"), json!({}), json!({"kty": 1}), small, even, one, off, zero, oct, strange, good.jwk()];
    let world = World::prepared(|provider| {
        provider.key = good;
        provider.published = Some(published);
    });
    accepts_login(&world, "the good key", |_| {});
    for kid in ["small", "even", "one", "off", "zero", "oct", "magic"] {
        refuses_id_token(&world, kid, |provider| {
            provider.edit_id_token(move |header, _| header["kid"] = json!(kid));
        });
    }
}

#[test]
fn i12_last_good_set_is_kept_when_the_next_one_is_bad() {
    for (variant, answer) in [
        ("HTML", Answer::of(200, Some("text/html"), "<html></html>")),
        ("500", Answer::of(500, JSON, "{}")),
        ("16 MiB", Answer::of(200, JSON, vec![b' '; 16 << 20])),
        ("closed", Answer::closed()),
    ] {
        let world = World::start();
        honest_login_works(&world);
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.edit_id_token(|header, _| header["kid"] = json!("unknown"));
        });
        world.provider.fault("jwks", answer);
        no_session(&world, &mut browser, &callback, (&[561], ""), variant);
        world.provider.set(|provider| provider.edit_id_token = None);
        let (mut browser, callback) = attempt_keeping_faults(&world);
        assert_eq!(browser.get(&callback).status(), 302, "{variant}: the old keys are gone");
    }
}

#[test]
fn i13_keys_that_are_known_do_without_the_key_set() {
    let world = World::start();
    honest_login_works(&world);
    world.provider.fault("jwks", Answer::closed());
    for _ in 0..5 {
        let (mut browser, callback) = attempt_keeping_faults(&world);
        assert_eq!(browser.get(&callback).status(), 302);
        assert_signed_in(&mut browser, "with the key set gone");
    }
}

//! Tokens that have been judged before: found again by every byte of them, and given up when they or their key end.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::bearer::{self, accepted, counter, refused, token, token_with, with_token};
use crate::support::gateway::eventually;
use crate::support::jose::{self, Key};
use crate::support::provider::unix_time;

fn hits(world: &World) -> u64 {
    counter(world, "vestibule_token_cache_total{result=\"hit\"}")
}

fn misses(world: &World) -> u64 {
    counter(world, "vestibule_token_cache_total{result=\"miss\"}")
}

#[test]
fn a_token_is_judged_once() {
    let world = bearer::world();
    let token = token(&world, |_, _| {});
    for _ in 0..5 {
        accepted(&world, "/api/x", &token, "again");
    }
    assert_eq!((misses(&world), hits(&world)), (1, 4));
}

#[test]
fn what_one_rule_accepts_another_still_judges() {
    let world = bearer::world();
    let token = token_with(&world, "scope", json!("write"));
    accepted(&world, "/api/x", &token, "no scope asked for");
    refused(&world, "/jwt/x", &token, (401, "invalid_token", "JWTClaimValueInvalid"), "scope asked for");
    accepted(&world, "/api/x", &token, "no scope asked for");
}

/// Each variant has the same end as a token that is known, or the same beginning.
#[test]
fn a_forged_token_never_meets_a_known_one() {
    let world = bearer::world();
    let genuine = token(&world, |_, _| {});
    accepted(&world, "/api/x", &genuine, "genuine");
    let parts: Vec<&str> = genuine.split('.').collect();
    let (header, mut claims) = jose::parts(&genuine);
    claims["sub"] = json!("admin");
    let other_payload = format!("{}.{}.{}", parts[0], jose::encode(claims.to_string()), parts[2]);
    refused(&world, "/api/x", &other_payload, (401, "invalid_token", "JWTSignatureValidationError"), "another payload");
    let unsigned = jose::unsigned(&json!({"alg": "none"}), &claims);
    refused(&world, "/api/x", &format!("{unsigned}{}", parts[2]), (401, "invalid_token", "JWTRequestFormatInvalid"), "alg none");
    for at in 0..genuine.len() {
        if at % 23 != 0 || genuine.as_bytes()[at] == b'.' {
            continue;
        }
        let mut forged = genuine.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let response = with_token(&world, "/api/x", &forged);
        assert_eq!(response.status(), 401, "changed at {at}: {response}");
    }
    assert_eq!(header["kid"], "rsa-0");
    assert_eq!(hits(&world), 0);
}

#[test]
fn a_known_token_ends_at_its_exp() {
    let world = bearer::world();
    // Within the leeway of 60 s for as long as this test may take on a slow machine.
    let exp = unix_time() + 4;
    let token = token_with(&world, "exp", json!(exp));
    let begin = Instant::now();
    let mut asked = 0;
    while unix_time() < exp {
        accepted(&world, "/api/x", &token, "before its exp");
        asked += 1;
        // What a request was is counted when its answer has gone.
        assert!(eventually(Duration::from_secs(5), || misses(&world) > 0));
        let judged = misses(&world);
        // A request that begins before exp may be judged after it.
        if unix_time() < exp {
            assert_eq!(judged, 1, "judged once in {asked} requests");
        }
        std::thread::sleep(Duration::from_millis(200));
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
    assert!(hits(&world) > 0, "{asked} requests");
    let judged = misses(&world);
    // Past exp it is only within the leeway, and judged each time.
    accepted(&world, "/api/x", &token, "within the leeway");
    accepted(&world, "/api/x", &token, "within the leeway");
    assert_eq!(misses(&world), judged + 2);
}

#[test]
fn a_known_token_ends_with_its_key() {
    let world = bearer::world();
    let old = token(&world, |_, _| {});
    accepted(&world, "/api/x", &old, "old key");
    accepted(&world, "/api/x", &old, "old key");
    let new = Key::rsa(1, "RS256", "rsa-1");
    // Both keys: the token stays known.
    let former = world.provider.set(|provider| std::mem::replace(&mut provider.key, new.clone()));
    world.provider.set(|provider| provider.published = Some(vec![former.jwk(), new.jwk()]));
    accepted(&world, "/api/x", &token(&world, |_, _| {}), "new key");
    accepted(&world, "/api/x", &old, "the old key is still published");
    assert_eq!((misses(&world), hits(&world)), (2, 2));
    // Only a third: a token that names it makes the gateway look, once the cool-down of the last look is over.
    let third = Key::ecdsa("ES256", "ec-3");
    world.provider.set(|provider| {
        provider.key = third.clone();
        provider.published = Some(vec![third.jwk()]);
    });
    let newest = token(&world, |_, _| {});
    let fetched = eventually(Duration::from_secs(20), || with_token(&world, "/api/x", &newest).status() == 200);
    assert!(fetched, "the third key was not fetched");
    refused(&world, "/api/x", &old, (401, "invalid_token", "JWTSignatureValidationError"), "its key has gone");
}

/// The same name for another key is another key.
#[test]
fn a_known_token_ends_when_its_key_id_is_given_to_another_key() {
    let world = bearer::world();
    let old = token(&world, |_, _| {});
    accepted(&world, "/api/x", &old, "old key");
    let (new, named) = (Key::rsa(1, "RS256", "rsa-1"), Key::rsa(2, "RS256", "rsa-0"));
    world.provider.set(|provider| {
        provider.key = new.clone();
        provider.published = Some(vec![named.jwk(), new.jwk()]);
    });
    accepted(&world, "/api/x", &token(&world, |_, _| {}), "new key");
    refused(&world, "/api/x", &old, (401, "invalid_token", "JWTSignatureValidationError"), "another key of that name");
}

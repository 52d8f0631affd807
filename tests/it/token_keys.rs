//! Key sets of `jwt_validation` and `bearer_tokens` under attack (threats I05, I10–I13, I21): floods of unknown key ids, sets that
//! are empty, slow, broken or gone, and several issuers side by side.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::bearer::{self, AUDIENCE, accepted, refused, token, with_token};
use crate::support::jose::Key;
use crate::support::provider::Provider;
use crate::support::secrets::{Secrets, random};

const INVALID: (u16, &str, &str) = (401, "invalid_token", "JWTSignatureValidationError");

/// Tokens with key ids that nobody has, as fast as one client can send them, over both kinds of rule.
fn flood(world: &World, count: usize) -> Duration {
    let begin = Instant::now();
    for number in 0..count {
        let unknown = token(world, |header, _| header["kid"] = json!(random(12)));
        let path = if number % 2 == 0 { "/jwt/x" } else { "/api/x" };
        let response = with_token(world, path, &unknown);
        assert_eq!(response.status(), 401, "{number}: {response}");
    }
    begin.elapsed()
}

/// One look for each cool-down of 5 s, for each of the two connections, and those at the start.
fn allowed(elapsed: Duration) -> usize {
    2 * (2 + usize::try_from(elapsed.as_secs() / 5).unwrap())
}

#[test]
fn i10_unknown_key_ids_do_not_make_a_flood_of_fetches() {
    let world = bearer::world();
    let good = token(&world, |_, _| {});
    accepted(&world, "/jwt/x", &good, "before");
    let before = world.provider.count("jwks");
    let elapsed = flood(&world, 300);
    let fetches = world.provider.count("jwks") - before;
    assert!(fetches <= allowed(elapsed), "{fetches} fetches in {elapsed:?}");
    accepted(&world, "/jwt/x", &token(&world, |_, _| {}), "after");
}

#[test]
fn i11_an_empty_broken_or_slow_key_set_keeps_the_keys_and_the_cool_down() {
    for (variant, answer) in [
        ("empty", Answer::json(200, &json!({"keys": []}))),
        ("500", Answer::json(500, &json!({}))),
        ("closed", Answer::closed()),
        ("slow", Answer::json(200, &json!({"keys": []})).after(Duration::from_secs(2))),
    ] {
        let world = bearer::world();
        accepted(&world, "/jwt/x", &token(&world, |_, _| {}), variant);
        accepted(&world, "/api/x", &token(&world, |_, _| {}), variant);
        world.provider.fault("jwks", answer);
        let before = world.provider.count("jwks");
        let elapsed = flood(&world, 40);
        let fetches = world.provider.count("jwks") - before;
        assert!(fetches <= allowed(elapsed), "{variant}: {fetches} fetches in {elapsed:?}");
        accepted(&world, "/jwt/x", &token(&world, |_, _| {}), variant);
        accepted(&world, "/api/x", &token(&world, |_, _| {}), variant);
    }
}

/// A request whose key is known does not wait for somebody else's fetch.
#[test]
fn a_slow_key_set_delays_nobody_whose_key_is_known() {
    let world = bearer::world();
    accepted(&world, "/jwt/x", &token(&world, |_, _| {}), "before");
    world.provider.fault("jwks", Answer::json(200, &json!({"keys": []})).after(Duration::from_secs(4)));
    let unknown = token(&world, |header, _| header["kid"] = json!("nobody"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| with_token(&world, "/jwt/x", &unknown).status());
        let begin = Instant::now();
        while !waiting.is_finished() && begin.elapsed() < Duration::from_secs(2) {
            let asked = Instant::now();
            accepted(&world, "/jwt/x", &token(&world, |_, _| {}), "meanwhile");
            assert!(asked.elapsed() < Duration::from_secs(2), "waited {:?}", asked.elapsed());
        }
        assert_eq!(waiting.join().unwrap(), 401);
    });
}

#[test]
fn without_keys_nobody_passes_and_the_provider_is_at_fault() {
    let secrets = Secrets::default();
    let provider = Provider::start(&secrets);
    provider.fault("jwks", Answer::json(503, &json!({})));
    let world = World::around(provider, secrets, |plan| bearer::rules(plan, &json!({"audiences": [AUDIENCE]}), &json!([])));
    for path in ["/jwt/x", "/api/x"] {
        let response = with_token(&world, path, &token(&world, |_, _| {}));
        assert_eq!(response.status(), 561, "{path}: {response}");
    }
    assert!(world.gateway.logs_reason("JWKSRequestFailed"));
    // Junk needs no keys to be refused.
    assert_eq!(with_token(&world, "/jwt/x", "a.b.c").status(), 401);
    world.provider.reset();
    let healed = crate::support::gateway::eventually(Duration::from_secs(20), || {
        with_token(&world, "/jwt/x", &token(&world, |_, _| {})).status() == 200
    });
    assert!(healed, "the keys are there again, and nobody looked");
}

#[test]
fn i12_one_bad_key_spoils_nothing_and_a_huge_set_is_not_read() {
    let world = bearer::world();
    accepted(&world, "/jwt/x", &token(&world, |_, _| {}), "before");
    let new = Key::ecdsa("ES256", "new");
    let weak = json!({"kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB"});
    let symmetric = json!({"kty": "oct", "kid": "rsa-9", "k": "c2VjcmV0", "alg": "HS256"});
    let published = vec![
        json!("no object"),
        json!({}),
        weak,
        symmetric,
        json!({"kty": "EC", "crv": "P-256", "kid": "off", "x": "AA", "y": "AA"}),
        new.jwk(),
    ];
    world.provider.set(|provider| {
        provider.key = new;
        provider.published = Some(published);
    });
    accepted(&world, "/jwt/x", &token(&world, |_, _| {}), "the good key among bad ones");
    let huge = format!("{{\"keys\":[{}]}}", vec!["{\"kty\":\"RSA\"}"; 20_000].join(","));
    world.provider.fault("jwks", Answer::of(200, Some("application/json"), huge));
    accepted(&world, "/jwt/x", &token(&world, |_, _| {}), "the last good set");
}

#[test]
fn issuers_neither_share_keys_nor_cool_downs() {
    let secrets = Secrets::default();
    let (first, second) = (Provider::start(&secrets), Provider::start(&secrets));
    let key = Key::ecdsa("ES256", "second");
    second.set(|provider| provider.key = key.clone());
    let world = World::around(first, secrets, |plan| {
        bearer::rules(plan, &json!({"audiences": [AUDIENCE]}), &json!([]));
        let mut validation = plan.listener()["rules"][4]["actions"][0].clone();
        validation["jwt_validation"]["issuer"] = json!(second.issuer());
        validation["jwt_validation"]["jwks_endpoint"] = json!(format!("{}/jwks", second.issuer()));
        let rule = crate::support::gateway::rule(60, "/other*", &json!([validation, {"forward": "app"}]));
        plan.listener()["rules"].as_array_mut().unwrap().push(rule);
    });
    let of_first = token(&world, |_, _| {});
    let make = |issuer: &str| {
        let (_, mut claims) = crate::support::jose::parts(&token(&world, |_, _| {}));
        claims["iss"] = json!(issuer);
        crate::support::jose::token(&json!({"alg": "ES256", "kid": "second"}), &claims, &key)
    };
    accepted(&world, "/jwt/x", &of_first, "first");
    accepted(&world, "/other/x", &make(second.issuer()), "second");
    refused(&world, "/other/x", &of_first, INVALID, "the first's at the second");
    // Signed by a key of the second, in the first's name: only the first's keys are looked at.
    refused(&world, "/jwt/x", &make(world.provider.issuer()), INVALID, "a foreign key in our issuer's name");
    // The first is in its cool-down now; the second finds a new key at once.
    let before = second.count("jwks");
    let rotated = Key::ecdsa("ES256", "rotated");
    second.set(|provider| provider.key = rotated.clone());
    let (_, mut claims) = crate::support::jose::parts(&of_first);
    claims["iss"] = json!(second.issuer());
    let fresh = crate::support::jose::token(&json!({"alg": "ES256", "kid": "rotated"}), &claims, &rotated);
    let found = crate::support::gateway::eventually(Duration::from_secs(10), || with_token(&world, "/other/x", &fresh).status() == 200);
    assert!(found && second.count("jwks") > before);
}

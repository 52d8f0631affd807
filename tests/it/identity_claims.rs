//! H12–H17: claims on their way to the target, as plain headers and in the signed `x-amzn-oidc-data`.

use std::time::Duration;

use serde_json::json;

use crate::support::World;
use crate::support::client::{Browser, connect};
use crate::support::gateway::SIGNER;
use crate::support::jose;
use crate::support::oracles::{CLAIM_HEADERS, attempt, identity_of, sign_in, sign_in_as};
use crate::support::provider::{CLIENT_ID, put, unix_time};

fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    sign_in(world, &mut browser, "/");
    browser
}

#[test]
fn h12_claims_never_become_headers_of_their_own() {
    let world = World::start();
    for (variant, value) in [
        ("CR LF", "a\r\nX-Admin: 1"),
        ("LF", "a\nX-Admin: 1"),
        ("CR", "a\rX-Admin: 1"),
        ("NUL", "a\u{0}X-Admin: 1"),
        ("tab", "a\tX-Admin: 1"),
        ("vertical tab", "a\u{b}X-Admin: 1"),
        ("DEL", "a\u{7f}X-Admin: 1"),
        ("NEL", "a\u{85}X-Admin: 1"),
        ("line separator", "a\u{2028}X-Admin: 1"),
        ("encoded", "a%0d%0aX-Admin: 1"),
    ] {
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.users.insert("alice".to_owned(), json!({"name": value, "email": value, "groups": [value, "x"]}));
        });
        let response = browser.get(&callback);
        assert!(matches!(response.status(), 302 | 561), "{variant}: {response}");
        if response.status() == 561 {
            continue;
        }
        assert_eq!(browser.get("/page").status(), 200, "{variant}");
        let seen = world.target.last();
        identity_of(&seen, "alice", variant);
        assert!(seen.get("x-admin").is_none(), "{variant}: a header of the claim's own");
        for name in CLAIM_HEADERS {
            let arrived = seen.get(name).unwrap_or_default();
            let visible = arrived.bytes().all(|octet| (0x20..0x7f).contains(&octet));
            assert!(visible, "{variant}: {name} is {arrived:?}");
        }
        let (_, claims) = jose::parts(seen.get("x-amzn-oidc-data").unwrap());
        assert_eq!(claims["name"], value, "{variant}: the signed claim was changed");
    }
}

#[test]
fn h13_subjects_beyond_ascii_arrive_encoded_or_not_at_all() {
    let world = World::start();
    for subject in ["\u{85}admin\u{a0}", "\u{e9}lise", "🦀", "\u{202e}nimda", "\u{a0}admin"] {
        let (mut browser, callback) = attempt(&world, |provider| provider.user = subject.to_owned());
        let response = browser.get(&callback);
        assert!(matches!(response.status(), 302 | 561), "{subject:?}: {response}");
        if response.status() == 561 {
            continue;
        }
        assert_eq!(browser.get("/page").status(), 200, "{subject:?}");
        let seen = world.target.last();
        let arrived = seen.get("x-amzn-oidc-identity").unwrap();
        assert!(arrived.bytes().all(|octet| (0x21..0x7f).contains(&octet)), "{subject:?}: {arrived:?}");
        let decoded = percent_encoding::percent_decode_str(arrived).decode_utf8().unwrap();
        assert_eq!(decoded, subject, "arrived as {arrived:?}");
    }
}

#[test]
fn h14_subjects_that_differ_by_a_space_arrive_different() {
    let world = World::start();
    let mut arrived = Vec::new();
    for subject in ["admin", "admin ", " admin", "admin%20", "%20admin"] {
        let (mut browser, callback) = attempt(&world, |provider| provider.user = subject.to_owned());
        let response = browser.get(&callback);
        assert!(matches!(response.status(), 302 | 561), "{subject:?}: {response}");
        if response.status() == 302 {
            assert_eq!(browser.get("/page").status(), 200, "{subject:?}");
            let seen = world.target.last();
            arrived.push(seen.get("x-amzn-oidc-identity").unwrap().to_owned());
        }
    }
    let mut distinct = arrived.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), arrived.len(), "two people, one name: {arrived:?}");
}

#[test]
fn h14_claims_that_differ_by_a_space_arrive_different() {
    let world = World::start();
    let mut arrived = Vec::new();
    for name in ["admin", "admin ", " admin", "admin%20", "%20admin", "ad min", "ad%20min", "ad\u{a0}min", "ad%C2%A0min"] {
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.users.insert("alice".to_owned(), json!({"name": name}));
        });
        assert_eq!(browser.get(&callback).status(), 302, "{name:?}");
        assert_eq!(browser.get("/page").status(), 200, "{name:?}");
        arrived.push(world.target.last().get("x-auth-name").unwrap().to_owned());
    }
    let mut distinct = arrived.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), arrived.len(), "two names, one text: {arrived:?}");
}

#[test]
fn h15_claims_arrive_whole_up_to_a_limit() {
    let world = World::start();
    for octets in [4_096, 8_192, 16_384, 61_440] {
        let note = "claim ".repeat(octets / 6);
        let users = json!({"note": note});
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.users.insert("alice".to_owned(), users);
        });
        let response = browser.get(&callback);
        if response.status() != 302 {
            assert!(octets > 8_192 && response.status() >= 400, "{octets}: {response}");
            continue;
        }
        assert_eq!(browser.get("/page").status(), 200, "{octets}");
        let (_, claims) = jose::parts(world.target.last().get("x-amzn-oidc-data").unwrap());
        assert_eq!(claims["note"], note, "{octets}: cut");
    }
}

#[test]
fn h16_data_token_verifies_with_the_published_key() {
    let world = World::start();
    let mut browser = signed_in(&world);
    assert_eq!(browser.get("/page").status(), 200);
    let data = world.target.last().get("x-amzn-oidc-data").unwrap().to_owned();
    let (header, claims) = jose::parts(&data);
    assert_eq!(header["alg"], "ES256");
    assert_eq!(header["typ"], "JWT");
    assert_eq!(header["iss"], world.provider.issuer());
    assert_eq!(header["client"], CLIENT_ID);
    assert_eq!(header["signer"], SIGNER);
    assert_eq!(claims["iss"], world.provider.issuer());
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["email"], "alice@example.com");
    assert_eq!(claims["exp"], header["exp"]);
    let left = header["exp"].as_i64().unwrap() - unix_time();
    assert!((30..=121).contains(&left), "valid for {left} s");
    for part in data.split('.') {
        assert_eq!(part.len() % 4, 0, "not padded as ALB pads it");
    }
    for absent in ["nonce", "at_hash"] {
        assert!(claims.get(absent).is_none(), "{absent} belongs to the login alone");
    }

    let kid = header["kid"].as_str().unwrap();
    assert_eq!(kid, uuid::Uuid::parse_str(kid).unwrap().to_string(), "a lower-case UUID");
    let key = browser.get(&format!("/oauth2/keys/{kid}"));
    assert_eq!(key.status(), 200, "{key}");
    assert!(jose::es256_verifies(&data, &key.text()), "signature");
    let spoiled = data.replacen('e', "f", 1);
    assert!(!jose::es256_verifies(&spoiled, &key.text()), "the check itself");
    for unknown in ["", "00000000-0000-4000-8000-000000000000", "../keys", "%2e%2e/session", "x/y"] {
        let status = browser.fetch(&format!("/oauth2/keys/{unknown}")).status();
        assert!(matches!(status, 400 | 404), "{unknown:?}: {status}");
    }
    let set = browser.fetch("/oauth2/jwks.json").json();
    let keys = set["keys"].as_array().unwrap();
    assert!(keys.iter().any(|key| key["kid"] == kid && key["crv"] == "P-256"), "{set}");
    assert!(keys.iter().all(|key| key.get("d").is_none()), "a private key");
}

#[test]
fn h16_padding_can_be_switched_off() {
    let world = World::start_with(|plan| {
        plan.configuration["identity_headers"]["data_padding"] = json!(false);
    });
    let mut browser = signed_in(&world);
    assert_eq!(browser.get("/page").status(), 200);
    let data = world.target.last().get("x-amzn-oidc-data").unwrap().to_owned();
    assert!(!data.contains('='), "padded");
    let kid = jose::parts(&data).0["kid"].as_str().unwrap().to_owned();
    let key = browser.get(&format!("/oauth2/keys/{kid}")).text();
    assert!(jose::es256_verifies(&data, &key));
}

#[test]
fn h17_identities_of_two_people_on_one_connection_are_never_mixed() {
    let world = World::start();
    let mut people: Vec<(&str, Browser)> = ["alice", "bob"]
        .into_iter()
        .map(|user| {
            let mut browser = world.browser();
            sign_in_as(&world, &mut browser, "/", user);
            (user, browser)
        })
        .collect();
    // Both on one connection of their own, turn by turn.
    let mut wire = connect(world.gateway.port);
    wire.read_timeout(Duration::from_secs(10));
    for turn in 0..60 {
        let (user, browser) = &mut people[turn % 2];
        let request =
            format!("GET /turn/{turn} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", world.gateway.authority(), browser.cookie_header());
        wire.send(request.as_bytes()).unwrap();
        assert_eq!(wire.response("GET").unwrap().status(), 200);
        let seen = world.target.last();
        assert_eq!(seen.path(), format!("/turn/{turn}"));
        identity_of(&seen, user, "turn by turn");
    }
}

#[test]
fn access_token_is_kept_back_where_the_configuration_says_so() {
    let world = World::start_with(|plan| {
        plan.configuration["identity_headers"]["access_token"] = json!(false);
    });
    let mut browser = signed_in(&world);
    let forged = [("x-amzn-oidc-accesstoken", "forged")];
    assert_eq!(browser.get_with("/page", &forged).status(), 200);
    let seen = world.target.last();
    assert!(seen.folded("x-amzn-oidc-accesstoken").is_empty());
    assert_eq!(seen.get("x-amzn-oidc-identity"), Some("alice"));
}

#[test]
fn lists_and_text_of_claims_arrive_as_plain_headers() {
    let world = World::start();
    world.provider.set(|provider| {
        let user = provider.users.get_mut("alice").unwrap();
        put(user, "name", json!("Älice Lïddell"));
        put(user, "groups", json!(["staff", "admins, all"]));
    });
    let mut browser = signed_in(&world);
    assert_eq!(browser.get("/page").status(), 200);
    let seen = world.target.last();
    assert_eq!(seen.get("x-auth-name"), Some("%C3%84lice%20L%C3%AFddell"));
    let groups = seen.get("x-auth-groups").unwrap();
    assert!(groups.starts_with("staff,"), "{groups}");
}

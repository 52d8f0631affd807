//! S03–S05: a session in several cookies is whole or it is none.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::client::{cookie_header, set_cookies};
use crate::support::gateway::SESSION_COOKIE;
use crate::support::oracles::{assert_signed_in, is_signed_out, sign_in, sign_in_as, start_login};
use crate::support::secrets::random;

/// Gives a user claims of about `octets` that no compression shortens.
fn heavy_user(world: &World, name: &str, octets: usize) {
    let groups: Vec<String> = (0..octets / 43).map(|_| random(30)).collect();
    world.provider.set(|provider| {
        provider.users.insert(name.to_owned(), json!({"groups": groups}));
    });
}

#[test]
fn s03_session_of_any_size_is_held_or_refused_without_a_loop() {
    let world = World::start();
    for octets in [100, 2_000, 5_000, 8_000, 10_000, 14_000, 20_000, 60_000] {
        heavy_user(&world, "heavy", octets);
        let mut browser = world.browser();
        let authorization = start_login(&world, &mut browser, "/");
        let response = browser.get(&world.provider.approve_as(&authorization, "heavy"));
        let shards: Vec<_> = set_cookies(&response).into_iter().filter(|cookie| cookie.is_session() && !cookie.deletes()).collect();
        if response.status() == 302 {
            assert!((1..=4).contains(&shards.len()), "{octets}: {} shards", shards.len());
            for (number, cookie) in shards.iter().enumerate() {
                assert_eq!(cookie.name, format!("{SESSION_COOKIE}-{number}"), "{octets}");
                assert!(cookie.size <= 4096, "{octets}: {} octets", cookie.size);
            }
            assert_signed_in(&mut browser, &format!("{octets} octets of claims"));
        } else {
            assert!(octets > 8_000, "{octets}: {response}");
            assert!(response.status() >= 400, "{octets}: {response}");
            assert!(shards.is_empty(), "{octets}: a session");
            assert!(is_signed_out(&world, &mut browser), "{octets}");
            let logged = world.gateway.logs_reason("AuthUserinfoResponseSizeExceeded");
            assert!(logged, "{octets}: the log does not say why");
        }
        if octets == 60_000 {
            assert_ne!(response.status(), 302, "no cookie holds that");
        }
    }
}

#[test]
fn s04_shards_that_are_not_one_session_are_no_session() {
    let world = World::start();
    heavy_user(&world, "heavy", 9_500);
    heavy_user(&world, "other", 9_500);
    let session_of = |user: &str| {
        let mut browser = world.browser();
        sign_in_as(&world, &mut browser, "/", user);
        browser.session()
    };
    let (mine, older, other) = (session_of("heavy"), session_of("heavy"), session_of("other"));
    assert!(mine.len() >= 3, "{} shards", mine.len());
    let mut browser = world.browser();
    assert_eq!(browser.status_with(&cookie_header(&mine)), 200);

    let renumbered = |order: &[usize]| -> Vec<(String, String)> {
        let values = order.iter().map(|index| mine[*index].1.clone());
        mine.iter().map(|(name, _)| name.clone()).zip(values).collect()
    };
    let replaced = |index: usize, by: &[(String, String)]| {
        let mut shards = mine.clone();
        shards[index].1.clone_from(&by[index].1);
        shards
    };
    let without = |index: usize| {
        let mut shards = mine.clone();
        shards.remove(index);
        shards
    };
    for (variant, shards) in [
        ("the first missing", without(0)),
        ("one in the middle missing", without(1)),
        ("the last missing", without(mine.len() - 1)),
        ("the first two exchanged", renumbered(&[1, 0, 2])),
        ("the last two exchanged", renumbered(&[0, 2, 1])),
        ("the first twice", renumbered(&[0, 0, 1])),
        ("one of an older session", replaced(1, &older)),
        ("the last of an older session", replaced(2, &older)),
        ("one of another user", replaced(1, &other)),
        ("the first of another user", replaced(0, &other)),
    ] {
        let status = browser.status_with(&cookie_header(&shards));
        assert!(matches!(status, 401 | 302), "{variant}: {status}");
        // No loop: one login, and the old shards are gone.
        let mut stuck = world.browser();
        stuck.cookies = shards;
        sign_in_as(&world, &mut stuck, "/", "alice");
        assert_signed_in(&mut stuck, variant);
        assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some("alice"), "{variant}");
    }
    // A shard too many is ignored or refused, never joined.
    let name = format!("{SESSION_COOKIE}-{}", mine.len());
    let extra = cookie_header(&mine) + &format!("; {name}={}", other[1].1);
    let status = browser.status_with(&extra);
    assert!(matches!(status, 200 | 302 | 401), "one too many: {status}");
    if status == 200 {
        assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some("heavy"));
    }
    // Order in the header is the browser's business.
    let mut reversed = mine.clone();
    reversed.reverse();
    assert_eq!(browser.status_with(&cookie_header(&reversed)), 200);
}

#[test]
fn s05_shard_numbers_that_are_no_numbers_cost_nothing() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let good = browser.cookie_header();
    let begin = Instant::now();
    let mut count: u32 = 0;
    for number in ["99999999", "-1", "a", "00", "0x0", "4", "18446744073709551616", "", "０"] {
        for separator in ["-", "_chunks=", "_"] {
            let strange = format!("{SESSION_COOKIE}{separator}{number}=99999999");
            let alone = browser.status_with(&strange);
            assert!(matches!(alone, 401 | 302), "{strange}: {alone}");
            let beside = browser.status_with(&format!("{strange}; {good}"));
            assert_eq!(beside, 200, "{strange} beside a session");
            count += 2;
        }
    }
    let each = begin.elapsed() / count;
    assert!(each < Duration::from_millis(100), "{each:?} a request");
}

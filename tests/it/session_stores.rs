//! One suite over every place where sessions can be kept: what a visitor sees is the same, but for what a restart forgets.

use std::time::Duration;

use serde_json::json;

use crate::reload::reload;
use crate::step_up::{demanding, reaches, sign_ins_have};
use crate::support::World;
use crate::support::bearer::counter;
use crate::support::client::{Browser, connect};
use crate::support::gateway::{Plan, SESSION_COOKIE, eventually};
use crate::support::in_process::InProcess;
use crate::support::logout_token::{deliver, token_of};
use crate::support::oracles::{assert_signed_in, attempt, is_signed_out, sign_in, sign_in_as, sign_out, start_login, state_of};
use crate::support::provider::unix_time;
use crate::support::secrets::random;
use vestibule::clients::MemorySessions;

const STORES: [&str; 3] = ["cookie", "memory", "redis"];

fn keeping(plan: &mut Plan, store: &str) {
    if store == "redis" {
        plan.keep_in_redis();
    } else {
        plan.configuration["sessions"]["store"] = json!(store);
    }
}

fn world(store: &str) -> World {
    World::start_with(|plan| keeping(plan, store))
}

fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    sign_in(world, &mut browser, "/");
    browser
}

#[test]
fn a_session_lasts_from_the_sign_in_to_the_sign_out_in_every_store() {
    for store in STORES {
        let world = world(store);
        let mut browser = signed_in(&world);
        let mut thief = browser.copy();
        for _ in 0..3 {
            assert_signed_in(&mut browser, store);
            assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some("alice"), "{store}");
        }
        assert_eq!(browser.fetch("/oauth2/session").json()["subject"], "alice", "{store}");
        assert_eq!(browser.get("/allow").status(), 200, "{store}");
        assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some("alice"), "{store}");
        sign_out(&mut browser);
        assert!(is_signed_out(&world, &mut browser), "{store}");
        assert!(is_signed_out(&world, &mut thief), "{store}: the copy still works");
        assert_eq!(thief.fetch("/oauth2/session").json()["signed_in"], false, "{store}");
    }
}

#[test]
fn s01_a_new_sign_in_ends_the_session_before_it_in_every_store() {
    for store in STORES {
        let world = world(store);
        let mut browser = signed_in(&world);
        let mut before = browser.copy();
        sign_in_again(&world, &mut browser);
        assert_signed_in(&mut browser, store);
        assert!(is_signed_out(&world, &mut before), "{store}: the session of before lives on");
    }
}

fn sign_in_again(world: &World, browser: &mut Browser) {
    let begin = browser.get("/oauth2/login?prompt=login");
    let callback = world.provider.approve(begin.location().unwrap_or_else(|| panic!("{begin}")));
    assert_eq!(browser.get(&callback).status(), 302);
}

#[test]
fn a_session_that_is_stepped_up_takes_the_place_of_the_one_before_in_every_store() {
    for store in STORES {
        let world = World::start_with(|plan| {
            keeping(plan, store);
            demanding(plan, 1, "/admin*", "authenticate", &json!({"acr_values": ["gold"]}));
        });
        let mut browser = signed_in(&world);
        let mut before = browser.copy();
        reaches(&world, &mut browser, "/page");
        let authorization = start_login(&world, &mut browser, "/admin/report");
        assert_signed_in(&mut browser, &format!("{store}: good for other rules while the step-up goes on"));
        sign_ins_have(&world, json!({"acr": "gold"}));
        let back = browser.get(&world.provider.approve(&authorization));
        assert_eq!((back.status(), back.location()), (302, Some(world.gateway.url("/admin/report").as_str())), "{store}: {back}");
        for path in ["/admin/report", "/page"] {
            reaches(&world, &mut browser, path);
        }
        assert!(is_signed_out(&world, &mut before), "{store}: the session of before lives on");
    }
}

#[test]
fn l01_the_provider_ends_a_session_in_every_store() {
    for store in STORES {
        let world = world(store);
        let sign_in_as_session = |sid: &str| {
            let sid = json!(sid);
            world.provider.set(|provider| provider.claim("sid", sid));
            signed_in(&world)
        };
        let (mut meant, mut other) = (sign_in_as_session("first"), sign_in_as_session("second"));
        let mut unseen = sign_in_as_session("first");
        assert_signed_in(&mut meant, store);
        assert_eq!(deliver(&world, &token_of(&world, &json!({"sid": "first"}))).status(), 200, "{store}");
        for browser in [&mut meant, &mut unseen] {
            assert!(is_signed_out(&world, &mut browser.copy()), "{store}");
            assert_eq!(browser.fetch("/oauth2/session").json()["signed_in"], false, "{store}");
        }
        assert_signed_in(&mut other, store);
    }
}

#[test]
fn e01_requests_at_expiry_make_one_exchange_in_every_store() {
    for store in STORES {
        let world = world(store);
        world.provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(2)));
        let mut browser = signed_in(&world);
        assert_eq!(browser.get("/page").status(), 200, "{store}");
        let token = |world: &World| world.target.last().get("x-amzn-oidc-accesstoken").unwrap().to_owned();
        let before = token(&world);
        let expiry = unix_time() + 2;
        assert!(eventually(Duration::from_secs(10), || unix_time() >= expiry));
        world.provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(3600)));
        let cookies = browser.cookie_header();
        let request = format!("GET /page HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nCookie: {cookies}\r\n\r\n", world.gateway.authority());
        let ask = || {
            let mut wire = connect(world.gateway.port);
            wire.send(request.as_bytes()).unwrap();
            wire.response("GET").unwrap().status()
        };
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..60).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert!(statuses.iter().all(|status| *status == 200), "{store}: {statuses:?}");
        for _ in 0..3 {
            assert_eq!(browser.get("/page").status(), 200, "{store}");
            assert_ne!(token(&world), before, "{store}: the tokens of before");
        }
        assert_eq!((world.provider.refreshes(), world.provider.reuses()), (1, 0), "{store}");
        assert_eq!(counter(&world, "vestibule_auth_refresh_total{result=\"success\"}"), 1, "{store}");
    }
}

#[test]
fn s06_a_cookie_that_was_changed_or_is_something_else_is_no_session_in_every_store() {
    for store in STORES {
        let world = world(store);
        let mut browser = signed_in(&world);
        let value = browser.session()[0].1.clone();
        let step = (value.len() / 40).max(1);
        for at in (0..value.len()).step_by(step) {
            let mut changed = value.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let cookie = format!("{SESSION_COOKIE}-0={}", String::from_utf8(changed).unwrap());
            let status = world.browser().status_with(&cookie);
            // The last character of base64 may hold bits that say nothing.
            assert!(matches!(status, 302 | 401) || at + 1 == value.len(), "{store}, character {at}: {status}");
        }
        let (_, callback) = attempt(&world, |_| {});
        let status = world.browser().status_with(&format!("{SESSION_COOKIE}-0={}", state_of(&callback)));
        assert!(matches!(status, 302 | 401), "{store}, a state: {status}");
        assert_signed_in(&mut browser, store);
    }
}

/// Keys are the same, and what was sealed for the one store is nothing for the other.
#[test]
fn a_cookie_of_one_store_is_no_session_in_another() {
    let mut world = world("cookie");
    let mut browser = signed_in(&world);
    for store in ["memory", "cookie"] {
        let file = world.gateway.configuration_file();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut configuration: serde_json::Value = serde_json::from_str(&text).unwrap();
        configuration["sessions"]["store"] = json!(store);
        std::fs::write(&file, format!("{configuration:#}\n")).unwrap();
        world.gateway.restart();
        assert!(is_signed_out(&world, &mut browser.copy()), "{store}");
        sign_in(&world, &mut browser, "/");
        assert_signed_in(&mut browser, store);
    }
}

#[test]
fn a_reload_signs_nobody_out_in_any_store() {
    for store in STORES {
        let world = world(store);
        let (mut browser, mut gone) = (signed_in(&world), signed_in(&world));
        let mut copy = gone.copy();
        sign_out(&mut gone);
        reload(&world.gateway, "success");
        assert_signed_in(&mut browser, store);
        assert!(is_signed_out(&world, &mut copy), "{store}: who has signed out is back");
    }
}

#[test]
fn a_restart_ends_sessions_in_memory_with_one_new_sign_in_and_no_others() {
    for store in STORES {
        let mut world = world(store);
        let mut browser = signed_in(&world);
        world.gateway.restart();
        if store != "memory" {
            assert_signed_in(&mut browser, "after a restart");
            continue;
        }
        let response = browser.copy().get("/page");
        assert_eq!(response.status(), 302, "{response}");
        assert!(response.location().unwrap_or_default().starts_with(world.provider.issuer()), "{response}");
        assert!(world.gateway.logs_reason("AuthUnknownSession"));
        assert_eq!(browser.copy().fetch("/page").status(), 401);
        // As one who has expired: a navigation may sign in also where `deny` is set.
        assert_eq!(browser.copy().get("/deny").status(), 302);
        assert_eq!(browser.copy().get("/allow").status(), 200);
        assert_eq!(world.target.last().get("x-amzn-oidc-identity"), None, "{store}");
        assert_eq!(browser.copy().fetch("/oauth2/session").json()["signed_in"], false);
        sign_in(&world, &mut browser, "/");
        assert_signed_in(&mut browser, "after one sign-in");
    }
}

#[test]
fn the_cookie_of_a_stored_session_is_small_and_a_session_beyond_all_measure_is_refused() {
    let world = world("memory");
    for octets in [100, 14_000, 24_000] {
        let groups: Vec<String> = (0..octets / 43).map(|_| random(30)).collect();
        world.provider.set(|provider| provider.users.insert("heavy".to_owned(), json!({"groups": groups})));
        let mut browser = world.browser();
        sign_in_as(&world, &mut browser, "/", "heavy");
        let session = browser.session();
        assert_eq!(session.len(), 1, "{octets}");
        assert!(session[0].1.len() < 120, "{octets}: {} characters", session[0].1.len());
        assert_signed_in(&mut browser, &format!("{octets} octets of claims"));
    }
    let refresh_token = random(48_000);
    world.provider.set(|provider| provider.edit_token_response(move |response| response["refresh_token"] = json!(refresh_token)));
    let mut browser = world.browser();
    let begin = browser.get("/");
    let refused = browser.get(&world.provider.approve(begin.location().unwrap()));
    assert_eq!(refused.status(), 500, "{refused}");
    assert!(world.gateway.logs_reason("AuthUserinfoResponseSizeExceeded"));
    assert!(is_signed_out(&world, &mut browser));
}

/// 2026-11-20.
const START: u64 = 1_795_170_000;
const MINUTE: u64 = 60;

fn in_process(store: &str, settings: &serde_json::Value) -> InProcess {
    match store {
        "cookie" => InProcess::start(START, settings),
        "memory" => InProcess::start_with_store(START, settings, std::sync::Arc::new(MemorySessions::new())),
        "redis" => InProcess::start_with_redis(START, settings),
        other => panic!("no store {other}"),
    }
}

#[test]
fn s10_sessions_end_when_idle_and_at_their_absolute_end_in_every_store() {
    for store in STORES {
        let mut browser = in_process(store, &json!({"idle_timeout": "30m", "session_timeout": "2h"}));
        browser.sign_in();
        for minute in [25, 50, 75, 100] {
            browser.at(START + minute * MINUTE);
            assert_eq!(browser.get("/page").status, None, "{store}: minute {minute}");
        }
        let used = browser.cookies.clone();
        browser.at(START + 120 * MINUTE);
        let over = browser.get("/page");
        assert_eq!((over.status, over.reason), (Some(302), Some("AuthExpiredCookie")), "{store}: the absolute end");
        browser.cookies = used;
        browser.at(START + 110 * MINUTE);
        assert_eq!(browser.get("/page").status, None, "{store}");
        let mut browser = in_process(store, &json!({"idle_timeout": "30m"}));
        browser.sign_in();
        browser.at(START + 30 * MINUTE);
        let idle = browser.get("/page");
        assert_eq!((idle.status, idle.reason), (Some(302), Some("AuthExpiredCookie")), "{store}: idle");
    }
}

#[test]
fn e11_days_of_refreshes_keep_a_session_to_its_end_in_every_store() {
    for store in STORES {
        let mut browser = in_process(store, &json!({"idle_timeout": "30m", "session_timeout": "12h"}));
        browser.refreshable(3600);
        browser.sign_in();
        for minute in 1..12 * 60 {
            browser.at(START + minute * MINUTE);
            assert_eq!(browser.get("/page").status, None, "{store}: minute {minute}");
        }
        assert!((11..=13).contains(&browser.refreshes()), "{store}: {} refreshes", browser.refreshes());
        browser.at(START + 12 * 60 * MINUTE);
        assert_eq!(browser.get("/page").status, Some(302), "{store}");
    }
}

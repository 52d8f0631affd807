//! E01–E10: new tokens for a session, while nobody is signed out and nothing is asked for twice.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::bearer::counter;
use crate::support::behaviour::put;
use crate::support::client::{Browser, NAVIGATE, SetCookie, connect, set_cookies};
use crate::support::gateway::eventually;
use crate::support::oracles::sign_in;
use crate::support::provider::unix_time;

/// Seconds that an access token lives here.
const LIFETIME: i64 = 2;

/// Somebody with tokens that end soon, and the time at which they do.
fn signed_in(world: &World) -> (Browser, i64) {
    world.provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(LIFETIME)));
    let mut browser = world.browser();
    sign_in(world, &mut browser, "/");
    (browser, unix_time() + LIFETIME)
}

/// Waits for a moment, which comes.
fn until(moment: i64) {
    assert!(eventually(Duration::from_secs(30), || unix_time() >= moment));
}

/// From now on tokens live long.
fn lasting(world: &World) {
    world.provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(3600)));
}

/// One request on a connection of its own with the cookies of before; its status.
fn ask_with(world: &World, cookies: &str, path: &str) -> u16 {
    let mut wire = connect(world.gateway.port);
    let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nCookie: {cookies}\r\n\r\n", world.gateway.authority());
    wire.send(head.as_bytes()).unwrap();
    wire.response("GET").unwrap().status()
}

#[test]
fn e01_two_hundred_requests_at_expiry_make_one_exchange_and_nobody_is_signed_out() {
    let world = World::start();
    let (browser, expiry) = signed_in(&world);
    until(expiry);
    lasting(&world);
    let cookies = browser.cookie_header();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..200).map(|_| scope.spawn(|| ask_with(&world, &cookies, "/page"))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!((world.provider.refreshes(), world.provider.reuses()), (1, 0));
    assert_eq!(counter(&world, "vestibule_auth_refresh_total{result=\"success\"}"), 1);
}

/// Ahead of expiry nobody waits.
#[test]
fn a_refresh_that_is_due_goes_on_in_the_background() {
    let world = World::start();
    world.provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(20)));
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    lasting(&world);
    let due = unix_time() + 18;
    until(due);
    world.provider.fault_when("token", |hit| {
        assert_eq!(hit.form("grant_type").as_deref(), Some("refresh_token"));
        std::thread::sleep(Duration::from_millis(700));
        None
    });
    let begin = Instant::now();
    assert_eq!(browser.get("/page").status(), 200);
    assert!(begin.elapsed() < Duration::from_millis(600), "waited for the provider: {:?}", begin.elapsed());
    let first = world.target.last().get("x-amzn-oidc-accesstoken").unwrap().to_owned();
    let renewed = eventually(Duration::from_secs(10), || {
        browser.get("/page");
        world.target.last().get("x-amzn-oidc-accesstoken").unwrap() != first
    });
    assert!(renewed, "the new access token never arrived");
    assert_eq!((world.provider.refreshes(), world.provider.reuses()), (1, 0));
}

#[test]
fn e03_a_refresh_that_takes_long_is_still_one() {
    let world = World::start();
    let (browser, expiry) = signed_in(&world);
    until(expiry);
    lasting(&world);
    world.provider.fault_when("token", |_| {
        std::thread::sleep(Duration::from_secs(6));
        None
    });
    let cookies = browser.cookie_header();
    std::thread::scope(|scope| {
        for wave in 0..5 {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(ask_with(&world, &cookies, "/page"), 200));
            }
            until(expiry + wave + 1);
        }
    });
    assert_eq!((world.provider.refreshes(), world.provider.reuses()), (1, 0));
}

/// Whoever began it has gone away; the refresh token is spent all the same.
#[test]
fn a_visitor_who_goes_away_takes_no_refresh_along() {
    let world = World::start();
    let (mut browser, expiry) = signed_in(&world);
    until(expiry);
    lasting(&world);
    world.provider.fault_when("token", |_| {
        std::thread::sleep(Duration::from_secs(1));
        None
    });
    let mut wire = connect(world.gateway.port);
    let head = format!("GET /gone HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", world.gateway.authority(), browser.cookie_header());
    wire.send(head.as_bytes()).unwrap();
    assert!(eventually(Duration::from_secs(5), || world.provider.accepted() > 0 && counter(&world, "vestibule_active_connections") > 0));
    std::thread::sleep(Duration::from_millis(200));
    drop(wire);
    assert_eq!(browser.get("/page").status(), 200);
    assert_eq!((world.provider.refreshes(), world.provider.reuses()), (1, 0));
}

#[test]
fn e05_invalid_grant_ends_the_session_with_one_call() {
    let world = World::start();
    let (mut browser, expiry) = signed_in(&world);
    world.provider.revoke_all();
    until(expiry);
    let response = browser.get("/page");
    assert!(response.location().unwrap_or_default().starts_with(world.provider.issuer()), "{response}");
    for _ in 0..5 {
        assert_eq!(browser.get("/page").status(), 302);
        assert_eq!(browser.fetch("/page").status(), 401);
    }
    assert_eq!(world.provider.refreshes(), 1);
    assert!(world.gateway.logs_reason("AuthRefreshRefused"));
    // One sign-in, and everything is well again.
    sign_in(&world, &mut browser, "/");
    assert_eq!(browser.get("/page").status(), 200);
}

/// An empty 400 is how some providers answer a refresh token that is spent.
#[test]
fn e09_any_400_ends_the_session_without_a_loop() {
    for (variant, answer) in [
        ("empty", Answer::of(400, None, "")),
        ("unsupported", Answer::json(400, &json!({"error": "unsupported_grant_type"}))),
        ("unauthorized", Answer::json(400, &json!({"error": "unauthorized_client"}))),
    ] {
        let world = World::start();
        let (mut browser, expiry) = signed_in(&world);
        until(expiry);
        world.provider.fault("token", answer);
        for _ in 0..3 {
            assert_eq!(browser.get("/page").status(), 302, "{variant}");
        }
        assert_eq!(world.provider.refreshes(), 1, "{variant}");
    }
}

#[test]
fn e06_a_provider_that_is_down_signs_nobody_out_and_is_not_hammered() {
    for (variant, answer) in [
        ("500", Answer::json(500, &json!({"error": "server_error"}))),
        ("429", Answer::of(429, Some("text/plain"), "slow down")),
        ("401", Answer::json(401, &json!({"error": "invalid_client"}))),
        ("HTML", Answer::of(200, Some("text/html"), "<p>maintenance")),
        ("closed", Answer::closed()),
    ] {
        let world = World::start();
        let (mut browser, expiry) = signed_in(&world);
        until(expiry);
        world.provider.fault("token", answer);
        let begin = Instant::now();
        for _ in 0..20 {
            assert_eq!(browser.get("/page").status(), 200, "{variant}");
        }
        // 1 s, 2 s, 4 s, … between them.
        let allowed = 2 + usize::try_from(begin.elapsed().as_secs()).unwrap();
        assert!(world.provider.refreshes() <= allowed, "{variant}: {} in {:?}", world.provider.refreshes(), begin.elapsed());
        world.provider.reset();
        lasting(&world);
        let healed = eventually(Duration::from_secs(20), || {
            assert_eq!(browser.get("/page").status(), 200, "{variant}");
            counter(&world, "vestibule_auth_refresh_total{result=\"success\"}") == 1
        });
        assert!(healed, "{variant}: never refreshed again");
        assert_eq!(world.provider.reuses(), 0, "{variant}");
    }
}

#[test]
fn e07_another_person_issuer_or_audience_ends_the_session() {
    for (name, value) in [
        ("sub", json!("mallory")),
        ("iss", json!("https://evil.test")),
        ("aud", json!("another-client")),
        ("aud", json!(["gateway-client", "evil"])),
        ("nonce", json!("of-another-login")),
        ("nonce", json!(7)),
    ] {
        let world = World::start();
        let (mut browser, expiry) = signed_in(&world);
        until(expiry);
        world.provider.set(|provider| provider.claim(name, value.clone()));
        let response = browser.get("/page");
        assert_eq!(response.status(), 302, "{name}: {value}: {response}");
        assert!(world.gateway.logs_reason("AuthRefreshRefused"), "{name}: {value}");
        assert_eq!(world.target.count(), 0, "{name}: {value}");
    }
}

#[test]
fn e07_user_info_about_somebody_else_ends_the_session() {
    let world = World::start();
    let (mut browser, expiry) = signed_in(&world);
    until(expiry);
    world.provider.set(|provider| provider.edit_user_info(|claims| claims["sub"] = json!("mallory")));
    assert_eq!(browser.get("/page").status(), 302);
}

#[test]
fn e08_what_an_answer_leaves_out_stays_as_it_was() {
    for absent in ["refresh_token", "id_token", "expires_in"] {
        let world = World::start();
        let (mut browser, expiry) = signed_in(&world);
        until(expiry);
        world.provider.set(|provider| provider.edit_token_response(move |response| put(response, absent, Value::Null)));
        assert_eq!(browser.get("/page").status(), 200, "{absent}");
        let seen = world.target.last();
        assert_eq!(seen.get("x-auth-email"), Some("alice@example.com"), "{absent}");
        assert_eq!(seen.get("x-auth-groups"), Some("staff"), "{absent}");
    }
}

#[test]
fn new_claims_take_effect_at_once_and_old_ones_are_gone() {
    let world = World::start_with(|plan| {
        let actions = plan.listener()["default_actions"].as_array_mut().unwrap();
        actions.insert(1, json!({"authorize": {"groups": ["staff"]}}));
    });
    let (mut browser, expiry) = signed_in(&world);
    assert_eq!(browser.get("/page").status(), 200);
    until(expiry);
    world.provider.set(|provider| {
        provider.users.insert("alice".to_owned(), json!({"email": "alice@example.org", "groups": ["others"]}));
    });
    assert_eq!(browser.get("/page").status(), 403, "the group is gone");
}

/// A request that was on its way when the browser got new cookies.
#[test]
fn e10_the_cookie_of_before_is_good_for_a_while_and_brings_the_new_one() {
    let world = World::start();
    let (mut browser, expiry) = signed_in(&world);
    let before = browser.copy();
    until(expiry);
    lasting(&world);
    let renewed = browser.get("/page");
    assert!(set_cookies(&renewed).iter().any(SetCookie::is_session), "{renewed}");
    let mut late = before;
    for _ in 0..3 {
        let mut copy = late.copy();
        let answer = copy.request("GET", "/late", NAVIGATE, &[], None);
        assert_eq!(answer.status(), 200);
        assert!(set_cookies(&answer).iter().any(SetCookie::is_session), "the new cookie comes along");
    }
    assert_eq!(late.get("/late").status(), 200);
    assert_eq!(late.session(), browser.session(), "the same state in both");
    assert_eq!((world.provider.refreshes(), world.provider.reuses()), (1, 0));
}

/// Also after several refreshes, and beside the newest cookie: the family of tokens must not end by an old copy.
#[test]
fn an_old_copy_never_makes_the_provider_end_the_session() {
    let world = World::start();
    let (mut browser, mut expiry) = signed_in(&world);
    let copy = browser.cookie_header();
    for round in 0..3 {
        until(expiry);
        assert_eq!(browser.get("/page").status(), 200, "{round}");
        expiry = unix_time() + LIFETIME;
        ask_with(&world, &copy, "/copy");
    }
    until(expiry);
    ask_with(&world, &copy, "/copy");
    assert_eq!(browser.get("/page").status(), 200);
    assert_eq!(world.provider.reuses(), 0);
}

#[test]
fn the_end_of_the_session_is_the_end_whatever_can_be_refreshed() {
    let world = World::start_with(|plan| plan.authentication()["session_timeout"] = json!("5s"));
    let (mut browser, _) = signed_in(&world);
    let end = unix_time() + 5;
    let mut alive = 0;
    while unix_time() < end - 1 {
        assert_eq!(browser.get("/page").status(), 200);
        alive += 1;
        std::thread::sleep(Duration::from_millis(250));
    }
    assert!(alive > 4 && world.provider.refreshes() > 0, "{alive} requests, {} refreshes", world.provider.refreshes());
    until(end);
    assert_eq!(browser.get("/page").status(), 302);
}

#[test]
fn without_a_refresh_token_a_session_lasts_as_long_as_it_may() {
    let world = World::start();
    world.provider.set(|provider| {
        provider.edit_token_response(|response| {
            response["expires_in"] = json!(1);
            put(response, "refresh_token", Value::Null);
        });
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    until(unix_time() + 2);
    assert_eq!(browser.get("/page").status(), 200);
    assert_eq!(world.provider.refreshes(), 0);
}

/// ALB's words of `expires_in`: whatever it is, nobody is refused for it (threat I06).
#[test]
fn i06_absurd_lifetimes_sign_people_in_and_do_not_overflow() {
    for lifetime in [json!(-1), json!(0), json!("3600"), json!("soon"), json!(1e18), json!(1.5), json!(null), json!([1]), json!(1e300)] {
        let world = World::start();
        let absurd = lifetime.clone();
        world.provider.set(|provider| provider.edit_token_response(move |response| response["expires_in"] = absurd.clone()));
        let mut browser = world.browser();
        sign_in(&world, &mut browser, "/");
        assert_eq!(browser.get("/page").status(), 200, "{lifetime}");
        assert_eq!(world.provider.reuses(), 0, "{lifetime}");
    }
}

//! O01, O02, O04: a Redis that is slow, full, read-only, loading, gone, back, or a liar. Nobody passes without proof, what needs no
//! session does not notice, and five seconds later all is well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::World;
use crate::support::client::{Browser, ask_as_script};
use crate::support::gateway::eventually;
use crate::support::oracles::{assert_signed_in, is_signed_out, sign_in, sign_in_as};
use crate::support::redis::{Fault, FaultProxy, Redis};

fn behind_a_proxy() -> (World, Arc<Redis>, FaultProxy) {
    let redis = Arc::new(Redis::start());
    let proxy = FaultProxy::before(&redis);
    let world = World::start_with(|plan| plan.keep_in(&redis, &proxy.url()));
    (world, redis, proxy)
}

fn in_redis() -> (World, Arc<Redis>) {
    let mut redis = None;
    let world = World::start_with(|plan| redis = Some(plan.keep_in_redis()));
    (world, redis.unwrap())
}

fn signed_in(world: &World, user: &str) -> Browser {
    let mut browser = world.browser();
    sign_in_as(world, &mut browser, "/", user);
    browser
}

/// The store is given a second, and the machine of the test another one.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Status and how long it took.
fn timed(browser: &mut Browser, path: &str) -> (u16, Duration) {
    let begin = Instant::now();
    (browser.fetch(path).status(), begin.elapsed())
}

#[test]
fn o01_a_redis_that_fails_lets_nobody_in_and_stalls_nobody() {
    let (world, _redis, proxy) = behind_a_proxy();
    let mut browser = signed_in(&world, "alice");
    let faults = [
        Fault::Refuse,
        Fault::Swallow,
        Fault::Delay(Duration::from_secs(5)),
        Fault::Truncate,
        Fault::HalfClose,
        Fault::Lie("-LOADING Redis is loading the dataset in memory\r\n"),
        Fault::Lie("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
        Fault::Lie("-NOAUTH Authentication required.\r\n"),
        Fault::Lie("+OK\r\n"),
        Fault::Lie(":1\r\n"),
        Fault::Lie("$3\r\nabc\r\n"),
        Fault::Lie("HTTP/1.1 200 OK\r\n\r\n"),
        Fault::Lie("$999999999\r\nabc"),
    ];
    for fault in faults {
        assert_signed_in(&mut browser, &format!("before {fault:?}"));
        proxy.set(fault.clone());
        // What was in mind may be believed for less than a second.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(1) {
            let (status, took) = timed(&mut browser, "/page");
            assert!(matches!(status, 200 | 503) && took < AT_ONCE, "{fault:?}: {status} after {took:?}");
        }
        for path in ["/page", "/deny", "/allow", "/oauth2/session"] {
            let (status, took) = timed(&mut browser, path);
            assert_eq!(status, 503, "{fault:?}: {path}");
            assert!(took < AT_ONCE, "{fault:?}: {path} took {took:?}");
        }
        let (status, took) = timed(&mut browser, "/public/page");
        assert!(status == 200 && took < AT_ONCE, "{fault:?}: {status} after {took:?}");
        let (status, took) = timed(&mut world.browser(), "/page");
        assert!(status == 401 && took < AT_ONCE, "{fault:?}: a stranger, {status} after {took:?}");
        proxy.set(Fault::Nothing);
        let is_well = || browser.copy().fetch("/page").status() == 200;
        assert!(eventually(Duration::from_secs(5), is_well), "{fault:?}: not well five seconds later");
    }
    assert!(world.gateway.logs_reason("AuthSessionStoreFailed"));
}

#[test]
fn o01_a_redis_that_is_slow_makes_nobody_wait_for_longer_than_it_takes() {
    let (world, _redis, proxy) = behind_a_proxy();
    let mut browser = signed_in(&world, "alice");
    proxy.set(Fault::Delay(Duration::from_millis(60)));
    for _ in 0..20 {
        let (status, took) = timed(&mut browser, "/page");
        assert!(status == 200 && took < AT_ONCE, "{status} after {took:?}");
    }
}

#[test]
fn o01_a_redis_that_takes_nothing_more_keeps_those_who_are_in() {
    let (world, redis) = in_redis();
    let mut browser = signed_in(&world, "alice");
    for (name, fault, cure) in [
        ("full", vec!["CONFIG", "SET", "maxmemory", "1"], vec!["CONFIG", "SET", "maxmemory", "0"]),
        ("read-only", vec!["REPLICAOF", "127.0.0.1", "1"], vec!["REPLICAOF", "NO", "ONE"]),
    ] {
        let _: String = redis.ask(&fault);
        for _ in 0..3 {
            let mut browser = browser.copy();
            assert!(eventually(Duration::from_secs(5), || browser.fetch("/page").status() == 200), "{name}: signed out");
        }
        let mut newcomer = world.browser();
        let begin = newcomer.get("/");
        let refused = newcomer.get(&world.provider.approve(begin.location().unwrap()));
        assert_eq!(refused.status(), 503, "{name}: {refused}");
        assert!(newcomer.session().is_empty(), "{name}: a session that nobody keeps");
        let _: String = redis.ask(&cure);
        let cured = || {
            let mut newcomer = world.browser();
            let begin = newcomer.get("/");
            newcomer.get(&world.provider.approve(begin.location().unwrap())).status() == 302
        };
        assert!(eventually(Duration::from_secs(5), cured), "{name}: nobody can sign in five seconds after the cure");
        assert_signed_in(&mut browser, name);
    }
}

#[test]
fn o02_after_a_cut_sessions_are_valid_again_and_belong_to_whom_they_belonged() {
    let (world, _redis, proxy) = behind_a_proxy();
    let mut browsers: Vec<(&str, Browser)> = ["alice", "bob"].map(|user| (user, signed_in(&world, user))).into();
    proxy.set(Fault::Swallow);
    assert!(eventually(Duration::from_secs(3), || browsers[0].1.copy().fetch("/page").status() == 503));
    std::thread::sleep(Duration::from_secs(4));
    proxy.set(Fault::Nothing);
    for (user, browser) in &mut browsers {
        assert!(eventually(Duration::from_secs(5), || browser.copy().fetch("/page").status() == 200), "{user}");
        assert_eq!(browser.get("/page").status(), 200);
        assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some(*user));
    }
    assert_eq!(world.provider.count("token"), 2, "somebody had to sign in again");
}

#[test]
fn o02_a_redis_that_has_lost_everything_asks_for_one_sign_in() {
    let (world, redis) = in_redis();
    let mut browser = signed_in(&world, "alice");
    let _: String = redis.ask(&["FLUSHALL"]);
    // As when it starts anew: the connection is lost with the rest.
    let _: i64 = redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert!(eventually(Duration::from_secs(5), || is_signed_out(&world, &mut browser.copy())));
    sign_in(&world, &mut browser, "/");
    assert_signed_in(&mut browser, "after one sign-in");
}

#[test]
fn o04_what_was_changed_or_moved_in_redis_is_no_session() {
    let (world, redis) = in_redis();
    let alice = signed_in(&world, "alice");
    let key_of_alice = redis.keys("vestibule:session:*").pop().unwrap();
    let bob = signed_in(&world, "bob");
    let key_of_bob = redis.keys("vestibule:session:*").into_iter().find(|key| *key != key_of_alice).unwrap();
    // A gateway that has nothing in mind.
    let other = crate::support::gateway::Plan::sibling(&world.gateway).start();
    let ask = |browser: &Browser| ask_as_script(other.port, &world.gateway.authority(), &browser.cookie_header(), "/page");
    let _: i64 = redis.ask(&["COPY", &key_of_bob, &key_of_alice, "REPLACE"]);
    assert_eq!(ask(&alice), 401, "another's session");
    // One octet out of 256 is the one that stands there already.
    let before: Vec<u8> = redis.ask(&["GETRANGE", &key_of_bob, "60", "60"]);
    let _: i64 = redis.ask(&["SETRANGE", &key_of_bob, "60", if before == b"x" { "y" } else { "x" }]);
    assert_eq!(ask(&bob), 401, "a changed session");
    assert_eq!(ask(&signed_in(&world, "bob")), 200, "after a new sign-in");
}

/// Answers that have slipped by one are those of other people.
#[test]
fn answers_of_other_questions_are_nobodys_session() {
    let redis = Arc::new(Redis::start());
    let proxy = FaultProxy::before(&redis);
    let world = World::start_with(|plan| plan.keep_in(&redis, &redis.url()));
    let people: Vec<(String, Browser)> = (0..6)
        .map(|index| {
            let user = format!("person{index}");
            world.provider.set(|provider| provider.users.insert(user.clone(), serde_json::json!({})));
            let browser = signed_in(&world, &user);
            (user, browser)
        })
        .collect();
    let mut plan = crate::support::gateway::Plan::sibling(&world.gateway);
    plan.keep_in(&redis, &proxy.url());
    let other = plan.start();
    let ask = |browser: &Browser, path: &str| ask_as_script(other.port, &world.gateway.authority(), &browser.cookie_header(), path);
    for round in 0..6 {
        proxy.set(Fault::Slip(["+OK\r\n", "$-1\r\n", "$20\r\naaaaaaaaaaaaaaaaaaaa\r\n", ":0\r\n", "_\r\n", "*0\r\n"][round]));
        for (user, browser) in &people {
            let path = format!("/page/{user}/{round}");
            let status = ask(browser, &path);
            assert!(matches!(status, 200 | 401 | 503), "{user}, round {round}: {status}");
            if status == 200 {
                let last = world.target.last();
                assert!(last.target.ends_with(&path) && last.get("x-amzn-oidc-identity") == Some(user), "{user} was somebody else");
            }
        }
        let is_well = |browser: &Browser| ask(browser, "/page") == 200;
        assert!(eventually(Duration::from_secs(5), || people.iter().all(|(_, browser)| is_well(browser))), "round {round}: not well again");
    }
}

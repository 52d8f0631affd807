//! E02–E04, L01, O06: several gateways that share one Redis are one to whoever visits them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::client::{Browser, ask_as_script, connect};
use crate::support::gateway::{Gateway, Plan, eventually};
use crate::support::logout_token::{deliver, token_of};
use crate::support::oracles::{sign_in, sign_in_as, sign_out};
use crate::support::provider::unix_time;
use crate::support::redis::{Fault, FaultProxy, Redis};

/// A gateway that a provider and a target know, and others beside it.
struct Fleet {
    world: World,
    others: Vec<Gateway>,
    redis: Arc<Redis>,
}

impl Fleet {
    fn of(count: usize) -> Self {
        Self::of_with(count, |_| {})
    }

    fn of_with(count: usize, change: impl FnOnce(&mut Plan)) -> Self {
        let mut redis = None;
        let world = World::start_with(|plan| {
            redis = Some(plan.keep_in_redis());
            change(plan);
        });
        let others = (1..count).map(|_| Plan::sibling(&world.gateway).start()).collect();
        Self { world, others, redis: redis.unwrap() }
    }

    fn ports(&self) -> Vec<u16> {
        std::iter::once(self.world.gateway.port).chain(self.others.iter().map(|other| other.port)).collect()
    }

    fn signed_in(&self) -> Browser {
        let mut browser = self.world.browser();
        sign_in(&self.world, &mut browser, "/");
        browser
    }

    /// What the gateway at a port answers to the cookies of a browser.
    fn ask(&self, port: u16, browser: &Browser, path: &str) -> u16 {
        ask_as_script(port, &self.world.gateway.authority(), &browser.cookie_header(), path)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.others.iter_mut().for_each(Gateway::assert_alive);
        }
    }
}

/// Tokens end in two seconds; from then on they last.
fn at_expiry(fleet: &Fleet) -> Browser {
    let provider = &fleet.world.provider;
    provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(2)));
    let browser = fleet.signed_in();
    let expiry = unix_time() + 2;
    assert!(eventually(Duration::from_secs(10), || unix_time() >= expiry));
    provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(3600)));
    browser
}

fn ask_all(fleet: &Fleet, browser: &Browser, times: usize) -> Vec<u16> {
    let (ports, authority, cookies) = (fleet.ports(), fleet.world.gateway.authority(), browser.cookie_header());
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..times)
            .map(|index| {
                let (port, authority, cookies) = (ports[index % ports.len()], &authority, &cookies);
                scope.spawn(move || ask_as_script(port, authority, cookies, "/page"))
            })
            .collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    })
}

#[test]
fn e02_two_hundred_requests_at_three_gateways_make_one_exchange() {
    let fleet = Fleet::of(3);
    let browser = at_expiry(&fleet);
    let statuses = ask_all(&fleet, &browser, 200);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let provider = &fleet.world.provider;
    assert_eq!((provider.refreshes(), provider.reuses()), (1, 0));
    // Everybody has the new tokens.
    let access_token = || fleet.world.target.last().get("x-amzn-oidc-accesstoken").unwrap().to_owned();
    let tokens: Vec<String> = fleet
        .ports()
        .into_iter()
        .map(|port| {
            assert_eq!(fleet.ask(port, &browser, "/page"), 200);
            access_token()
        })
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}

#[test]
fn e03_an_exchange_of_ten_seconds_is_still_one_in_the_whole_fleet() {
    let fleet = Fleet::of(3);
    let browser = at_expiry(&fleet);
    fleet.world.provider.fault_when("token", |_| {
        std::thread::sleep(Duration::from_secs(9));
        None
    });
    let statuses = ask_all(&fleet, &browser, 200);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!((fleet.world.provider.refreshes(), fleet.world.provider.reuses()), (1, 0));
}

#[test]
fn a_token_endpoint_that_dies_half_way_signs_nobody_out() {
    let fleet = Fleet::of(3);
    let browser = at_expiry(&fleet);
    let provider = &fleet.world.provider;
    provider.fault("token", Answer::json(200, &json!({"access_token": "a", "token_type": "bearer"})).cut_after(20));
    let statuses = ask_all(&fleet, &browser, 60);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let attempts = provider.count("token") - 1;
    assert!(attempts <= 3, "{attempts} calls of a fleet to a provider that fails");
}

#[test]
fn e04_a_gateway_that_is_killed_during_its_refresh_stalls_and_loops_nobody() {
    let mut fleet = Fleet::of(2);
    let browser = at_expiry(&fleet);
    let (begun, beginning) = std::sync::mpsc::channel();
    fleet.world.provider.fault_when("token", move |_| {
        let _ = begun.send(());
        std::thread::sleep(Duration::from_secs(4));
        None
    });
    let (victim, authority, cookies) = (fleet.others[0].port, fleet.world.gateway.authority(), browser.cookie_header());
    let asking = std::thread::spawn(move || {
        let mut wire = connect(victim);
        let head = format!("GET /page HTTP/1.1\r\nHost: {authority}\r\nAccept: */*\r\nCookie: {cookies}\r\n\r\n");
        wire.send(head.as_bytes()).unwrap();
        let _ = wire.response("GET");
    });
    beginning.recv_timeout(Duration::from_secs(10)).unwrap();
    fleet.others[0].stop();
    asking.join().unwrap();
    // The refresh token is spent, and nobody has the new one: people go on with what is known, and are not kept waiting.
    for _ in 0..5 {
        let begin = Instant::now();
        assert_eq!(fleet.ask(fleet.world.gateway.port, &browser, "/page"), 200);
        assert!(begin.elapsed() < Duration::from_secs(6), "waited for the dead: {:?}", begin.elapsed());
    }
    assert_eq!(fleet.world.provider.reuses(), 0, "the refresh token was sent twice");
}

#[test]
fn what_one_gateway_ends_is_over_at_all_within_a_second() {
    let fleet = Fleet::of(3);
    let stays = {
        let mut browser = fleet.world.browser();
        sign_in_as(&fleet.world, &mut browser, "/", "bob");
        browser
    };
    let everywhere = |browser: &Browser, status: u16, what: &str| {
        for port in fleet.ports() {
            assert_eq!(fleet.ask(port, browser, "/page"), status, "{what}, at {port}");
        }
    };
    let within_a_second = |browser: &Browser, what: &str| {
        let begin = Instant::now();
        let is_over = || fleet.ports().into_iter().all(|port| fleet.ask(port, browser, "/page") == 401);
        assert!(eventually(Duration::from_secs(1), is_over), "{what}: not over after {:?}", begin.elapsed());
    };
    type End<'a> = (&'a str, Box<dyn Fn(&mut Browser) + 'a>);
    let ends: [End<'_>; 4] = [
        ("a sign-out", Box::new(sign_out)),
        (
            "a logout by the provider",
            Box::new(|_| assert_eq!(deliver(&fleet.world, &token_of(&fleet.world, &json!({"sub": "alice"}))).status(), 200)),
        ),
        (
            "the admin address, by session",
            Box::new(|_| {
                let list = fleet.world.gateway.admin("/sessions?subject=alice").unwrap().json();
                let id = list["sessions"][0]["id"].as_str().unwrap().to_owned();
                assert_eq!(fleet.world.gateway.ask_admin("DELETE", &format!("/sessions/{id}"), &[]).status(), 200);
            }),
        ),
        (
            "the admin address of another gateway, by person",
            Box::new(|_| {
                let path = "/sessions?subject=alice&identity_provider=op";
                assert_eq!(fleet.others[1].ask_admin("DELETE", path, &[]).status(), 200);
            }),
        ),
    ];
    for (what, end) in ends {
        // A logout token of this second also ends what begins in it.
        let now = unix_time();
        assert!(eventually(Duration::from_secs(3), || unix_time() > now + 1));
        let mut browser = fleet.signed_in();
        let copy = browser.copy();
        everywhere(&copy, 200, what);
        end(&mut browser);
        within_a_second(&copy, what);
        everywhere(&stays, 200, what);
    }
}

/// It was away when the session ended: what it knows of it is nothing any more.
#[test]
fn a_gateway_that_could_not_hear_of_an_ending_does_not_believe_what_it_knows() {
    let redis = Arc::new(Redis::start());
    let proxy = FaultProxy::before(&redis);
    let world = World::start_with(|plan| plan.keep_in(&redis, &redis.url()));
    let mut plan = Plan::sibling(&world.gateway);
    plan.keep_in(&redis, &proxy.url());
    let cut_off = plan.start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let copy = browser.copy();
    let ask = || ask_as_script(cut_off.port, &world.gateway.authority(), &copy.cookie_header(), "/page");
    assert_eq!(ask(), 200);
    proxy.set(Fault::Swallow);
    sign_out(&mut browser);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(1) {
        ask();
    }
    assert_eq!(ask(), 503, "a second after the ending");
    proxy.set(Fault::Nothing);
    assert!(eventually(Duration::from_secs(5), || ask() == 401), "not back five seconds after the store");
    assert_eq!(ask(), 401);
}

#[test]
fn a_request_whose_session_is_in_mind_asks_nobody_and_any_other_asks_once() {
    let fleet = Fleet::of(2);
    let browser = fleet.signed_in();
    let cost = |port: u16, count: usize| {
        let before = fleet.redis.commands();
        for _ in 0..count {
            assert_eq!(fleet.ask(port, &browser, "/page"), 200);
        }
        fleet.redis.commands() - before
    };
    let (own, other) = (fleet.ports()[0], fleet.ports()[1]);
    // The sign-in has been read back by the first page already.
    cost(own, 1);
    assert_eq!(cost(own, 20), 0, "in mind");
    assert_eq!(cost(other, 1), 1, "the first time at this gateway");
    assert_eq!(cost(other, 20), 0, "in mind");
}

#[test]
fn o06_every_key_goes_by_itself_and_holds_nothing_that_can_be_read() {
    let fleet = Fleet::of_with(1, |plan| plan.authentication()["session_timeout"] = json!("1h"));
    let provider = &fleet.world.provider;
    provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(2)));
    let mut browser = fleet.signed_in();
    let expiry = unix_time() + 2;
    assert!(eventually(Duration::from_secs(10), || unix_time() >= expiry));
    assert_eq!(browser.get("/page").status(), 200);
    let mut gone = fleet.signed_in();
    sign_out(&mut gone);
    let keys = fleet.redis.keys("*");
    assert!(keys.iter().any(|key| key.starts_with("vestibule:session:")), "{keys:?}");
    for key in &keys {
        let milliseconds: i64 = fleet.redis.ask(&["PTTL", key]);
        let longest = if key.starts_with("vestibule:session:") { 3_600_000 } else { 7 * 24 * 3_600_000 };
        assert!((1..=longest).contains(&milliseconds), "{key}: {milliseconds} ms");
        let dump: Vec<u8> = fleet.redis.ask(&["DUMP", key]);
        let text = String::from_utf8_lossy(&dump);
        assert!(!text.contains("alice") && fleet.world.secrets.leaks(&text).is_empty(), "{key} can be read");
    }
}

/// A callback that somebody has answered works at no other gateway either.
#[test]
fn a_state_works_once_in_the_whole_fleet() {
    let fleet = Fleet::of(2);
    let mut browser = fleet.world.browser();
    let begin = browser.get("/");
    let callback = fleet.world.provider.approve(begin.location().unwrap());
    let before = browser.copy();
    assert_eq!(browser.get(&callback).status(), 302);
    let tokens = fleet.world.provider.count("token");
    let path = callback.strip_prefix(&fleet.world.gateway.origin()).unwrap();
    assert_eq!(fleet.ask(fleet.others[0].port, &before, path), 401);
    assert_eq!(fleet.world.provider.count("token"), tokens, "the code was sent a second time");
}

/// What one gateway has kept, any other sends; of all of them one does.
#[test]
fn a_kept_form_is_sent_once_in_the_whole_fleet() {
    let fleet = Fleet::of(3);
    let authority = fleet.world.gateway.authority();
    let post = |port: u16, path: &str, cookies: &str, body: &str| {
        let mut wire = connect(port);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nOrigin: https://{authority}\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
             Sec-Fetch-Site: same-origin\r\nCookie: {cookies}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        wire.send(head.as_bytes()).unwrap();
        wire.response("POST").unwrap()
    };
    let kept = post(fleet.ports()[0], "/save", "a=b", "text=of+a+form");
    assert_eq!(kept.status(), 401, "{kept}");
    let sealed = kept.text().split_once("name=\"form\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let cookies = fleet.signed_in().cookie_header();
    let mark = fleet.world.target.count();
    let body = format!("form={sealed}");
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let (post, cookies, body) = (&post, &cookies, &body);
        let sending: Vec<_> =
            fleet.ports().into_iter().map(|port| scope.spawn(move || post(port, "/oauth2/form", cookies, body).status())).collect();
        sending.into_iter().map(|sent| sent.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409]);
    let seen = fleet.world.target.since(mark);
    assert_eq!(
        seen.iter().map(|seen| (seen.target.as_str(), seen.body.as_slice())).collect::<Vec<_>>(),
        [("/save", &b"text=of+a+form"[..])]
    );
}

#[test]
fn the_list_has_the_sessions_of_all_gateways_and_ends_any_of_them() {
    let fleet = Fleet::of(2);
    let alice = fleet.signed_in();
    let mut bob = fleet.world.browser();
    sign_in_as(&fleet.world, &mut bob, "/", "bob");
    // A gateway that has seen neither.
    let other = &fleet.others[0];
    let list = || other.admin("/sessions").unwrap().json();
    let subjects = |list: &serde_json::Value| {
        let mut subjects: Vec<String> =
            list["sessions"].as_array().unwrap().iter().map(|session| session["subject"].as_str().unwrap().to_owned()).collect();
        subjects.sort();
        subjects
    };
    let listed = list();
    assert_eq!((subjects(&listed), &listed["total"]), (vec!["alice".to_owned(), "bob".to_owned()], &json!(2)));
    let id = listed["sessions"].as_array().unwrap().iter().find(|session| session["subject"] == "alice").unwrap()["id"].as_str().unwrap();
    assert_eq!(other.ask_admin("DELETE", &format!("/sessions/{id}"), &[]).status(), 200);
    assert!(eventually(Duration::from_secs(1), || fleet.ask(fleet.world.gateway.port, &alice, "/page") == 401));
    assert_eq!(subjects(&list()), ["bob"]);
}

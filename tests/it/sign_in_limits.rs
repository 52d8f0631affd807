//! I16, and what one address may do in a minute: whoever is signed in notices nothing of those who are not.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::bearer::{AUDIENCE, accepted, ask, rules, token};
use crate::support::gateway::eventually;
use crate::support::oracles::{assert_signed_in, sign_in, start_login};

#[test]
fn i16_a_provider_that_does_not_answer_keeps_some_waiting_and_nobody_who_is_signed_in() {
    let world = World::start();
    let mut signed_in = world.browser();
    sign_in(&world, &mut signed_in, "/");
    let begun: Vec<_> = (0..150)
        .map(|_| {
            let mut browser = world.browser();
            let callback = world.provider.approve(&start_login(&world, &mut browser, "/"));
            (browser, callback)
        })
        .collect();
    let before = world.provider.count("token");
    world.provider.fault("token", Answer::hanging());
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for (mut browser, callback) in begun {
            scope.spawn(move || assert_eq!(browser.get(&callback).status(), 561));
        }
        assert!(eventually(Duration::from_secs(8), || world.provider.count("token") - before >= 64));
        // After ten seconds the first of them give up, and others take their turns.
        while begin.elapsed() < Duration::from_secs(9) {
            let asked = Instant::now();
            assert_signed_in(&mut signed_in, "while others wait");
            assert!(asked.elapsed() < Duration::from_secs(2), "waited with those who sign in: {:?}", asked.elapsed());
            let calls = world.provider.count("token") - before;
            assert!(calls <= 64 || begin.elapsed() > Duration::from_secs(9), "{calls} of them ask the provider at once");
        }
    });
    // By now it is known that there is no answer: nobody waits for one.
    let calls = world.provider.count("token");
    let mut browser = world.browser();
    let callback = world.provider.approve(&start_login(&world, &mut browser, "/"));
    let begin = Instant::now();
    let refused = browser.get(&callback);
    assert_eq!((refused.status(), refused.get("retry-after")), (561, Some("30")), "{refused}");
    assert!(begin.elapsed() < Duration::from_secs(2) && world.provider.count("token") <= calls + 1);
    world.provider.reset();
    let recovered = || {
        let mut browser = world.browser();
        let callback = world.provider.approve(&start_login(&world, &mut browser, "/"));
        browser.get(&callback).status() == 302
    };
    assert!(eventually(Duration::from_secs(10), recovered), "nobody can sign in ten seconds after the provider is back");
    assert_signed_in(&mut signed_in, "after all that");
}

#[test]
fn an_address_that_begins_too_many_sign_ins_waits_for_a_minute() {
    let world = World::start_with(|plan| plan.listener()["limits"] = json!({"sign_ins_per_address": 20}));
    let mut signed_in = world.browser();
    sign_in(&world, &mut signed_in, "/");
    // At most two minutes' worth, where one ends meanwhile.
    let refused = (0..50).find_map(|_| Some(world.browser().get("/page")).filter(|answer| answer.status() != 302)).unwrap();
    assert_eq!(refused.status(), 429, "{refused}");
    let wait: u64 = refused.get("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait) && refused.text().contains("too many attempts"), "{refused}");
    assert_eq!(world.browser().get("/oauth2/login").status(), 429, "by a link, too");
    assert!(world.gateway.logs_reason("AuthTooManySignIns"));
    assert_signed_in(&mut signed_in, "of the same address");
    assert_eq!(world.browser().get("/public/page").status(), 200);
    assert_eq!(world.browser().fetch("/page").status(), 401, "a script is told, and begins nothing");
}

#[test]
fn an_address_that_fails_too_often_is_not_judged_any_more_and_known_tokens_pass() {
    let world = World::start_with(|plan| {
        rules(plan, &json!({"audiences": [AUDIENCE]}), &json!([]));
        plan.listener()["limits"] = json!({"failures_per_address": 5});
    });
    let (known, unknown) = (token(&world, |_, _| {}), token(&world, |_, _| {}));
    accepted(&world, "/api/page", &known, "the first time");
    let with = |token: &str| ask(&world, "/api/page", &[("Authorization", &format!("Bearer {token}"))]);
    let refused = (0..15).find_map(|_| Some(with(&format!("{unknown}x"))).filter(|answer| answer.status() != 401)).unwrap();
    assert_eq!(refused.status(), 429, "{refused}");
    assert!(refused.get("retry-after").is_some() && refused.json()["error"] == "too_many_requests", "{refused}");
    assert_eq!(with(&unknown).status(), 429, "one that nobody has seen");
    accepted(&world, "/api/page", &known, "one that is known");
    let callback = world.browser().get("/oauth2/idpresponse?code=a&state=b");
    assert_eq!(callback.status(), 429, "{callback}");
    assert!(world.gateway.logs_reason("AuthTooManyFailures"));
}

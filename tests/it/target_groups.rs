//! Target groups as an ALB has them: weights, stickiness, targets that are down.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::client::{Browser, set_cookies};
use crate::support::gateway::{HEALTH_PATH, Plan, eventually, free_port, rule, serve_refused};
use crate::support::oracles::sign_in;
use crate::support::target::Target;

fn address(target: &Target) -> String {
    format!("127.0.0.1:{}", target.port())
}

/// One rule for `/app*` that forwards without asking who it is.
fn forward(plan: &mut Plan, action: &Value) {
    let rules = plan.listener()["rules"].as_array_mut().unwrap();
    rules.push(rule(5, "/app*", &json!([{ "forward": action }])));
}

fn group(plan: &mut Plan, name: &str, settings: Value) {
    plan.configuration["target_groups"][name] = settings;
}

/// How many of `count` requests each target gets.
fn spread(browser: &mut Browser, targets: &[&Target], count: usize) -> Vec<usize> {
    let before: Vec<usize> = targets.iter().map(|target| target.count()).collect();
    for _ in 0..count {
        let response = browser.get("/app");
        assert_eq!(response.status(), 200, "{response}");
    }
    targets.iter().zip(before).map(|(target, before)| target.count() - before).collect()
}

fn is_all_at_one(spread: &[usize], count: usize) -> bool {
    spread.iter().filter(|requests| **requests > 0).count() == 1 && spread.contains(&count)
}

#[test]
fn visitor_stays_with_a_target_group_of_several() {
    let (blue, green) = (Target::start(), Target::start());
    let world = World::start_with(|plan| {
        group(plan, "blue", json!({"targets": [address(&blue)]}));
        group(plan, "green", json!({"targets": [address(&green)]}));
        let groups = json!([{"name": "blue", "weight": 50}, {"name": "green", "weight": 50}]);
        forward(plan, &json!({"target_groups": groups, "stickiness": "1h"}));
    });
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let mut browser = world.browser();
        let first = browser.get("/app");
        let cookie = set_cookies(&first).into_iter().find(|cookie| cookie.name == "AWSALBTG").expect("AWSALBTG");
        for (attribute, value) in [("path", "/"), ("secure", ""), ("httponly", ""), ("samesite", "Lax"), ("max-age", "3600")] {
            assert_eq!(cookie.attribute(attribute), Some(value), "{attribute}");
        }
        browser.put_cookie("theme", "dark");
        let spread = spread(&mut browser, &[&blue, &green], 5);
        assert!(is_all_at_one(&spread, 5), "{spread:?}");
        seen.insert(spread[0] > 0);
        let at = if spread[0] > 0 { &blue } else { &green };
        assert_eq!(at.last().get("cookie"), Some("theme=dark"), "a gateway's cookie at the target");
    }
    assert_eq!(seen.len(), 2, "40 visitors are all in one group");
    // A cookie that somebody has made up, or that has been tampered with, is no cookie.
    for value in ["blue", "AAAA", "", "e30"] {
        let mut browser = world.browser();
        browser.put_cookie("AWSALBTG", value);
        assert_eq!(browser.get("/app").status(), 200, "{value}");
    }
}

#[test]
fn visitor_stays_with_a_target_by_the_gateways_cookie_and_leaves_it_when_it_is_down() {
    let (one, two) = (Target::start(), Target::start());
    let world = World::start_with(|plan| {
        let stickiness = json!({"type": "lb_cookie", "duration": "1d"});
        group(plan, "sticky", json!({"targets": [address(&one), address(&two)], "stickiness": stickiness}));
        forward(plan, &json!("sticky"));
    });
    let mut browser = world.browser();
    browser.get("/app");
    let spread_before = spread(&mut browser, &[&one, &two], 6);
    assert!(is_all_at_one(&spread_before, 6), "{spread_before:?}");
    let (mine, other) = if spread_before[0] > 0 { (one, two) } else { (two, one) };
    assert!(mine.last().get("cookie").is_none(), "AWSALB at the target");
    // An application cannot put another target into the browser.
    mine.say("/app/plant", "HTTP/1.1 200 OK\r\nSet-Cookie: AWSALB=planted\r\nContent-Length: 2\r\n\r\nok");
    let planted = browser.get("/app/plant");
    assert_eq!(set_cookies(&planted).iter().filter(|cookie| cookie.name == "AWSALB").count(), 1, "{planted}");
    assert_eq!(mine.last().path(), "/app/plant");
    let port = mine.port();
    drop(mine);
    let refuses = eventually(Duration::from_secs(5), || TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(refuses, "the target is still there");
    let spread_after = spread(&mut browser, &[&other], 6);
    assert_eq!(spread_after, [6]);
}

#[test]
fn visitor_stays_with_a_target_by_the_applications_cookie() {
    let (one, two) = (Target::start(), Target::start());
    let world = World::start_with(|plan| {
        let stickiness = json!({"type": "app_cookie", "cookie_name": "JSESSIONID"});
        group(plan, "sticky", json!({"targets": [address(&one), address(&two)], "stickiness": stickiness}));
        forward(plan, &json!("sticky"));
    });
    for target in [&one, &two] {
        let fields = "Set-Cookie: JSESSIONID=abc; Path=/";
        target.say("/app/login", format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: 2\r\n\r\nok"));
    }
    let mut browser = world.browser();
    assert_eq!(spread(&mut browser, &[&one, &two], 6), [3, 3]);
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
    let names: Vec<String> = set_cookies(&browser.get("/app/login")).into_iter().map(|cookie| cookie.name).collect();
    assert_eq!(names, ["JSESSIONID", "AWSALBAPP-0"]);
    let spread_with = spread(&mut browser, &[&one, &two], 6);
    assert!(is_all_at_one(&spread_with, 6), "{spread_with:?}");
    let at = if spread_with[0] > 0 { &one } else { &two };
    assert_eq!(at.last().get("cookie"), Some("JSESSIONID=abc"));
    browser.drop_cookie("JSESSIONID");
    assert_eq!(spread(&mut browser, &[&one, &two], 6), [3, 3], "the application's session is over");
}

#[test]
fn targets_get_their_weights() {
    let (one, two) = (Target::start(), Target::start());
    let world = World::start_with(|plan| {
        let targets = json!([{"address": address(&one), "weight": 3}, address(&two)]);
        group(plan, "weighted", json!({"targets": targets}));
        forward(plan, &json!("weighted"));
    });
    assert_eq!(spread(&mut world.browser(), &[&one, &two], 20), [15, 5]);
}

#[test]
fn target_that_refuses_connections_rests_and_costs_nobody_an_answer() {
    let alive = Target::start();
    let world = World::start_with(|plan| {
        let dead = format!("127.0.0.1:{}", free_port());
        group(plan, "half", json!({"targets": [dead, address(&alive)], "load_balancing_algorithm": "least_outstanding_requests"}));
        group(plan, "gone", json!({"targets": [dead]}));
        forward(plan, &json!("half"));
        plan.listener()["rules"].as_array_mut().unwrap().push(rule(6, "/gone*", &json!([{"forward": "gone"}])));
    });
    let mut browser = world.browser();
    assert_eq!(spread(&mut browser, &[&alive], 20), [20]);
    let failed = || {
        let metrics = world.gateway.admin("/metrics").unwrap().text();
        let line = metrics.lines().find(|line| line.starts_with("vestibule_upstream_connect_errors_total{target_group=\"half\"}"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).unwrap_or_default()
    };
    // After three it is left alone; more only if the test is so slow that the rest is over.
    assert!((3..=5).contains(&failed()), "{} connections", failed());
    // The only target is asked all the same.
    for _ in 0..5 {
        assert_eq!(browser.get("/gone").status(), 502);
    }
}

#[test]
fn every_algorithm_serves_people_who_are_signed_in() {
    for algorithm in ["round_robin", "least_outstanding_requests", "weighted_random"] {
        let other = Target::start();
        let world = World::start_with(|plan| {
            let own = plan.configuration["target_groups"]["app"]["targets"][0].clone();
            let health_check = json!({"path": HEALTH_PATH});
            let settings = json!({"targets": [own, address(&other)], "load_balancing_algorithm": algorithm, "health_check": health_check});
            group(plan, "app", settings);
        });
        let mut browser = world.browser();
        sign_in(&world, &mut browser, "/");
        for _ in 0..30 {
            assert_eq!(browser.get("/page").status(), 200, "{algorithm}");
        }
        assert!(world.target.count() > 0 && other.count() > 0, "{algorithm}: all at one target");
        assert_eq!(other.last().get("x-amzn-oidc-identity"), Some("alice"), "{algorithm}");
    }
}

#[test]
fn settings_of_target_groups_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |forward: Value, settings: Value, expected: &str| {
        let mut group = json!({"targets": ["127.0.0.1:9"]});
        for (key, value) in settings.as_object().unwrap() {
            group[key] = value.clone();
        }
        let listener =
            json!({"address": "127.0.0.1:0", "protocol": "http", "hosts": ["app.test"], "default_actions": [{"forward": forward}]});
        let configuration = json!({"listeners": [listener], "target_groups": {"a": group, "b": {"targets": ["127.0.0.1:9"]}}});
        let refusal = serve_refused(folder.path(), configuration.to_string().as_bytes());
        assert_eq!(refusal.status, Some(2), "{expected}: {}", refusal.output);
        assert!(refusal.output.contains(expected), "{expected}: {}", refusal.output);
    };
    let several = |groups: Value| json!({"target_groups": groups});
    let none = || json!({});
    refused(several(json!([])), none(), "a forward has between 1 and 5 target groups");
    refused(several(json!([{"name": "a", "weight": 1000}])), none(), "a weight is between 0 and 999");
    refused(several(json!([{"name": "a", "weight": 0}, {"name": "b", "weight": 0}])), none(), "every weight is 0");
    refused(several(json!([{"name": "a"}, {"name": "a"}])), none(), "a is given twice");
    refused(json!({"target_groups": [{"name": "a"}], "stickiness": "8d"}), none(), "stickiness lasts between 1s and 7d");
    refused(json!({"target_groups": [{"name": "a"}], "stickiness": "1d"}), none(), "there is no session key");
    refused(json!("a"), json!({"stickiness": {"type": "lb_cookie"}}), "there is no session key");
    refused(json!("a"), json!({"stickiness": {"type": "app_cookie"}}), "cookie_name is missing");
    refused(json!("a"), json!({"stickiness": {"type": "app_cookie", "cookie_name": "AWSALB"}}), "cannot be the cookie of an application");
    refused(json!("a"), json!({"stickiness": {"type": "lb_cookie", "cookie_name": "x"}}), "cookie_name belongs to type: app_cookie");
    refused(json!("a"), json!({"slow_start": "10s"}), "between 30s and 15m");
    let both = json!({"slow_start": "30s", "load_balancing_algorithm": "least_outstanding_requests"});
    refused(json!("a"), both, "slow_start does not go with least_outstanding_requests");
    refused(json!("a"), json!({"targets": [{"address": "127.0.0.1:9", "weight": 0}]}), "between 1 and 999");
}

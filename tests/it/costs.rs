//! P19, Q05, Q06, Q09: what a stranger makes the gateway do is worth no more than what they send.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::client::connect;
use crate::support::gateway::rule;
use crate::support::oracles::sign_in;

const MEBIBYTE: u64 = 1024 * 1024;

/// Statuses of requests on one connection, and how long they took the gateway: in hundredths of a second of its processors' time.
fn ask(world: &World, heads: impl Iterator<Item = String>) -> (Vec<u16>, u64) {
    let before = world.gateway.processor_time();
    let mut wire = connect(world.gateway.port);
    let statuses = heads
        .map(|head| {
            if wire.send(head.as_bytes()).is_err() {
                wire = connect(world.gateway.port);
                wire.send(head.as_bytes()).unwrap();
            }
            let response = wire.response("GET").unwrap();
            if response.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                wire = connect(world.gateway.port);
            }
            response.status()
        })
        .collect();
    (statuses, world.gateway.processor_time() - before)
}

#[test]
fn p19_expressions_and_patterns_made_to_be_slow_are_answered_at_once() {
    let slow = json!([{"fixed_response": {"status_code": 404, "content_type": "text/plain", "message_body": "no"}}]);
    let world = World::start_with(|plan| {
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        for (priority, condition) in [
            (40_001, json!({"path_regex": ["^/(a+)+$", "^/(a|aa)*$", "^/(.*a){20}$"]})),
            (40_002, json!({"path_pattern": ["/*a*a*a*a*a*a*a*a*a*b"]})),
            (40_003, json!({"query_string": [{"value": "*a*a*a*a*a*a*a*b"}]})),
        ] {
            let mut made = rule(priority, "/unused", &slow);
            made["conditions"] = json!([condition]);
            rules.push(made);
        }
    });
    let long = "a".repeat(16_000);
    for target in [format!("/{long}!"), format!("/public?{long}!"), format!("/{}", "a/".repeat(8_000)), format!("/{}", "%2f".repeat(5_000))]
    {
        let begun = Instant::now();
        let (statuses, _) = ask(&world, std::iter::once(format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority())));
        assert!(statuses[0] < 500, "{}: {}", &target[..10], statuses[0]);
        assert!(begun.elapsed() < Duration::from_secs(2), "{}: {:?}", &target[..10], begun.elapsed());
    }
}

#[test]
fn q06_forged_sessions_cost_little_more_than_real_ones() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let (authority, cookie) = (world.gateway.authority(), browser.cookie_header());
    let with = |cookie: String| format!("GET /deny/x HTTP/1.1\r\nHost: {authority}\r\nSec-Fetch-Mode: cors\r\nCookie: {cookie}\r\n\r\n");
    let count = 1500;
    let (statuses, real) = ask(&world, (0..count).map(|_| with(cookie.clone())));
    assert!(statuses.iter().all(|status| *status == 200));
    // Each another one, so that nothing that is remembered helps.
    let forged = |number: usize| {
        let mut octets = cookie.clone().into_bytes();
        let at = octets.len() - 30 - number % 300;
        octets[at] = if octets[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(octets).unwrap()
    };
    let (statuses, cost) = ask(&world, (0..count).map(|number| with(forged(number))));
    assert!(statuses.iter().all(|status| *status == 401), "a forged session passed");
    assert!(cost <= real * 3 + 30, "{cost} hundredths of a second for {count} forged sessions, {real} for real ones");
    assert_eq!(world.provider.count("token"), 1, "a stranger made us ask the provider");
}

#[test]
fn q09_names_without_end_are_kept_nowhere() {
    let world = World::start_with(|plan| plan.configuration["access_log"]["path"] = json!("/dev/null"));
    let authority = world.gateway.authority();
    let heads = |kind: &'static str, count: usize| {
        let authority = authority.clone();
        (0..count).map(move |number| match kind {
            "path" => format!("GET /public/{number} HTTP/1.1\r\nHost: {authority}\r\n\r\n"),
            "host" => format!("GET /public HTTP/1.1\r\nHost: {number}.test\r\n\r\n"),
            "method" => format!("M{number} /public HTTP/1.1\r\nHost: {authority}\r\n\r\n"),
            "token" => format!("GET /deny HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {number}.a.b\r\n\r\n"),
            _ => format!("GET /public HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {number}\r\nX-{number}: 1\r\n\r\n"),
        })
    };
    let kinds = ["path", "host", "method", "token", "agent"];
    for kind in kinds {
        ask(&world, heads(kind, 200));
    }
    let lines = || world.gateway.admin("/metrics").unwrap().text().lines().count();
    let (memory, series) = (world.gateway.resident_memory(), lines());
    for kind in kinds {
        ask(&world, heads(kind, 2_000));
    }
    let more = world.gateway.resident_memory().saturating_sub(memory);
    assert!(more < 12 * MEBIBYTE, "{} KiB for 10,000 names", more / 1024);
    assert!(lines() <= series + 5, "{} series, {series} before", lines());
}

//! Conditions of rules over a running gateway: ALB's wildcards, case rules and escapes.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::client::raw;

/// A gateway whose one rule answers 418 when the conditions hold, and 404 otherwise.
fn world(conditions: &Value) -> World {
    World::start_with(|plan| {
        let listener = plan.listener();
        listener["rules"] = json!([{"priority": 1, "conditions": conditions, "actions": [{"fixed_response": {"status_code": 418, "message_body": "rule"}}]}]);
        listener["default_actions"] = json!([{"fixed_response": {"status_code": 404, "message_body": "default"}}]);
        listener["trusted_proxies"] = json!(["127.0.0.2"]);
    })
}

fn holds(world: &World, line: &str, fields: &str) -> bool {
    let request = format!("{line} HTTP/1.1\r\nHost: {}\r\n{fields}Connection: close\r\n\r\n", world.gateway.authority());
    match raw(&world.gateway, request).expect("an answer").status() {
        418 => true,
        404 => false,
        other => panic!("{line} {fields:?}: {other}"),
    }
}

#[test]
fn conditions_hold_as_on_an_alb() {
    type Case = (&'static str, &'static str, bool);
    let cases: [(Value, &[Case]); 9] = [
        (
            json!([{"http_header": {"name": "X-Env", "values": ["Staging*", "a\\*b"]}}]),
            &[
                ("GET /", "x-env: staging-2\r\n", true),
                ("GET /", "X-ENV: STAGING\r\n", true),
                ("GET /", "X-Env: production\r\nX-Env: staging\r\n", true),
                ("GET /", "X-Env: a*b\r\n", true),
                ("GET /", "X-Env: axb\r\n", false),
                ("GET /", "X-Environment: staging\r\n", false),
                ("GET /", "", false),
            ],
        ),
        (
            json!([{"http_header": {"name": "User-Agent", "regex_values": ["firefox/1[0-9]+$"]}}]),
            &[("GET /", "User-Agent: Mozilla Firefox/128\r\n", true), ("GET /", "User-Agent: Firefox/128 x\r\n", false)],
        ),
        (
            json!([{"query_string": [{"key": "version", "value": "1.*"}, {"value": "debug"}]}]),
            &[
                ("GET /?version=1.5", "", true),
                ("GET /?a=b&VERSION=1.", "", true),
                ("GET /?version=2", "", false),
                ("GET /?x=debug", "", true),
                ("GET /?Debug", "", true),
                ("GET /?debug=1", "", false),
                ("GET /version=1.5", "", false),
                ("GET /", "", false),
            ],
        ),
        (json!([{"query_string": [{"key": "q", "value": "100\\*"}]}]), &[("GET /?q=100*", "", true), ("GET /?q=1000", "", false)]),
        // The peer is 127.0.0.1: no trusted proxy, so that what it says of a visitor does not count (P18).
        (json!([{"source_ip": ["127.0.0.0/8", "192.0.2.1"]}]), &[("GET /", "", true), ("GET /", "X-Forwarded-For: 203.0.113.1\r\n", true)]),
        (json!([{"source_ip": ["203.0.113.0/24"]}]), &[("GET /", "X-Forwarded-For: 203.0.113.1\r\n", false)]),
        (
            json!([{"path_regex": ["^/v[0-9]+/"]}]),
            &[
                ("GET /v1/x", "", true),
                ("GET /V1/x", "", false),
                ("GET /a/v1/x", "", false),
                ("GET /x?/v1/", "", false),
                ("GET /%76%31/", "", true),
            ],
        ),
        (json!([{"host_regex": ["^app\\.test$"]}]), &[("GET /", "", true)]),
        (
            json!([{"path_pattern": ["/a*", "/b?"]}, {"http_request_method": ["GET"]}, {"http_header": {"name": "x", "values": ["1"]}}]),
            &[
                ("GET /a", "X: 1\r\n", true),
                ("GET /bb", "X: 1\r\n", true),
                ("GET /b", "X: 1\r\n", false),
                ("POST /a", "X: 1\r\n", false),
                ("GET /a", "", false),
            ],
        ),
    ];
    for (conditions, requests) in cases {
        let world = world(&conditions);
        for (line, fields, expected) in requests {
            assert_eq!(holds(&world, line, fields), *expected, "{conditions}: {line} {fields:?}");
        }
    }
}

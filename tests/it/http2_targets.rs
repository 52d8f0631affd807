//! Targets that speak HTTP/2 and gRPC, with people signed in in front of them.

use std::time::Duration;

use serde_json::json;

use crate::support::World;
use crate::support::certificates::certificates;
use crate::support::gateway::{Plan, eventually, rule};
use crate::support::h2_target::{Http2Target, calls};
use crate::support::oracles::sign_in;

/// Everything goes to one group of HTTP/2 targets.
fn to_http2(plan: &mut Plan, target: &Http2Target, version: &str) {
    plan.configuration["target_groups"]["app"] = json!({"targets": [target.address()], "protocol_version": version});
}

fn cookie(world: &World) -> String {
    let mut browser = world.browser();
    sign_in(world, &mut browser, "/");
    browser.cookie_header()
}

#[test]
fn a_page_of_an_http2_target_is_served_with_identity() {
    let target = Http2Target::start();
    let world = World::start_with(|plan| to_http2(plan, &target, "http2"));
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let mark = target.seen("/page").len();
    let sent = [("Connection", "keep-alive"), ("X-Amzn-Oidc-Identity", "root"), ("TE", "trailers")];
    assert_eq!(browser.get_with("/page?a=b", &sent).status(), 200);
    let seen = target.seen("/page")[mark].clone();
    assert_eq!(seen.authority, world.gateway.authority());
    assert_eq!(seen.get("x-amzn-oidc-identity"), Some("alice"));
    assert_eq!(seen.fields.get_all("x-amzn-oidc-identity").iter().count(), 1);
    assert!(seen.get("x-amzn-oidc-data").is_some() && seen.get("x-forwarded-for").is_some(), "{seen:?}");
    for name in ["connection", "host", "cookie"] {
        assert!(seen.get(name).is_none(), "{name} at the target");
    }
    // A body, from HTTP/1.1.
    let response = browser.request("POST", "/page/form", &[], &[("Accept", "text/html")], Some(b"a=1"));
    assert_eq!(response.status(), 200, "{response}");
    assert_eq!(target.seen("/page/form")[0].body, b"a=1");
}

#[test]
fn grpc_calls_share_a_connection_and_bring_their_trailers() {
    // Threads that meet make a connection more; one for each call it is not.
    let added: Vec<usize> = (0..3).map(|_| connections_for_calls_at_a_time()).collect();
    assert!(added.iter().any(|added| *added < 19), "connections for 20 calls at a time: {added:?}");
}

/// Twenty calls that are all answered when the last has arrived; how many connections they made.
fn connections_for_calls_at_a_time() -> usize {
    let target = Http2Target::start();
    let world = World::start_with(|plan| to_http2(plan, &target, "grpc"));
    let cookie = cookie(&world);
    // The first makes the connection that the others find.
    calls(&world.gateway, "/first", &[("cookie", &cookie)], &[], 1);
    let before = target.connections();
    let answers = calls(&world.gateway, "/echo.Echo/Say", &[("cookie", &cookie), ("x-together", "20")], &[], 20);
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body, format!("message {number}").into_bytes());
        assert_eq!(answer.trailers.get("grpc-status").unwrap(), "0", "{answer:?}");
    }
    let seen = target.seen("/echo.Echo/Say");
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|seen| seen.get("x-amzn-oidc-identity") == Some("alice") && seen.get("te") == Some("trailers")), "{seen:?}");
    target.connections() - before
}

#[test]
fn a_call_without_a_session_gets_the_status_of_grpc_and_the_log_that_of_http() {
    let target = Http2Target::start();
    let world = World::start_with(|plan| to_http2(plan, &target, "grpc"));
    let answer = &calls(&world.gateway, "/echo.Echo/Say", &[], &[], 1)[0];
    assert_eq!((answer.status, answer.fields.get("grpc-status").unwrap().as_bytes()), (200, &b"16"[..]), "{answer:?}");
    assert_eq!(answer.fields.get("content-type").unwrap(), "application/grpc");
    assert!(answer.fields.get("grpc-message").unwrap().to_str().unwrap().starts_with("sign_in_required (request "), "{answer:?}");
    assert!(answer.body.is_empty() && answer.trailers.is_empty(), "{answer:?}");
    assert!(target.seen("/echo.Echo/Say").is_empty(), "a call without a session at the target");
    let lines = world.gateway.access_lines_with(1, |line| line["elb_status_code"] == 401);
    assert_eq!(lines.len(), 1, "{:?}", world.gateway.access_lines());
    // What another program asks for without a session is 401 as ever.
    let other = world.browser().request("POST", "/echo.Echo/Say", &[], &[("Content-Type", "application/grpcurl")], Some(b""));
    assert_eq!(other.status(), 401);
}

#[test]
fn h09_trailers_bring_no_identity_to_an_http2_target() {
    let target = Http2Target::start();
    let world = World::start_with(|plan| to_http2(plan, &target, "http2"));
    let cookie = cookie(&world);
    let trailers = [("x-amzn-oidc-identity", "root"), ("x_amzn_oidc_identity", "root"), ("x-auth-email", "root"), ("cookie", "a=b")];
    for path in ["/trailers", "/public/trailers"] {
        let mark = target.seen(path).len();
        let answer = &calls(&world.gateway, path, &[("cookie", &cookie)], &trailers, 1)[0];
        assert_eq!(answer.status, 200, "{answer:?}");
        let seen = target.seen(path)[mark].clone();
        assert_eq!(seen.body, b"message 0");
        for (name, _) in trailers {
            assert!(seen.trailers.get(name).is_none(), "{path}: {seen:?}");
        }
    }
}

#[test]
fn grpc_targets_are_checked_by_a_call() {
    let target = Http2Target::start();
    let world = World::start_with(|plan| {
        let settings = |matcher: &str| {
            let health_check = json!({"matcher": matcher, "interval": "5s", "timeout": "2s"});
            json!({"targets": [target.address()], "protocol_version": "grpc", "health_check": health_check})
        };
        plan.configuration["target_groups"]["app"] = settings("12");
        plan.configuration["target_groups"]["picky"] = settings("0-11");
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(7, "/picky*", &json!([{"forward": "picky"}])));
    });
    let healthy = |group: &str, count: u32| {
        let wanted = format!("vestibule_healthy_targets{{target_group=\"{group}\"}} {count}");
        world.gateway.admin("/metrics").is_some_and(|response| response.text().contains(&wanted))
    };
    // Two bad answers, five seconds apart.
    assert!(eventually(Duration::from_secs(15), || healthy("picky", 0)), "a status that does not match is no good answer");
    assert!(healthy("app", 1));
    let checks = target.seen("/AWS.ALB/healthcheck");
    assert!(checks.iter().all(|check| check.get("content-type") == Some("application/grpc")), "{checks:?}");
    // None is healthy: all are asked.
    assert_eq!(world.browser().get("/picky").status(), 200);
}

#[test]
fn http2_over_tls_is_agreed_by_alpn() {
    let target = Http2Target::start_tls(&certificates().server());
    let world = World::start_with(|plan| {
        to_http2(plan, &target, "http2");
        plan.configuration["target_groups"]["app"]["protocol"] = json!("https");
        plan.configuration["target_groups"]["app"]["verify"] = json!(false);
    });
    assert_eq!(world.browser().get("/public/page").status(), 200);
    assert_eq!(target.seen("/public/page")[0].client_certificates, 0);
}

#[test]
fn target_that_does_not_speak_http2_is_a_502() {
    let world = World::start_with(|plan| plan.configuration["target_groups"]["app"]["protocol_version"] = json!("http2"));
    assert_eq!(world.browser().get("/public/page").status(), 502);
}

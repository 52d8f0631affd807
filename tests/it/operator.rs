//! What an operator relies on: metrics that move, targets in turn, health checks, pages of one's own.

use std::time::Duration;

use serde_json::json;

use crate::support::World;
use crate::support::client::{NAVIGATE, connect};
use crate::support::gateway::eventually;
use crate::support::oracles::sign_in;
use crate::support::target::Target;

/// The value of a metric's line that begins so; `None` when there is none.
fn metric(world: &World, line: &str) -> Option<f64> {
    let text = world.gateway.admin("/metrics").expect("the admin address answers").text();
    text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}

#[test]
fn metrics_tell_of_logins_sessions_providers_and_requests() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/first");
    for path in ["/second", "/third"] {
        assert_eq!(browser.get(path).status(), 200);
    }
    let refused = browser.copy().get("/oauth2/idpresponse?code=x&state=y");
    assert_eq!(refused.status(), 401);
    assert_eq!(browser.get("/oauth2/logout").status(), 302);

    let listener = format!("listener=\"127.0.0.1:{}\"", world.gateway.port);
    let wanted = [
        ("vestibule_auth_success_total{identity_provider=\"op\"}".to_owned(), 1.0),
        ("vestibule_auth_failure_total{identity_provider=\"unknown\",reason=\"AuthInvalidStateParam\"}".to_owned(), 1.0),
        ("vestibule_auth_latency_seconds_count{endpoint=\"token\",identity_provider=\"op\"}".to_owned(), 1.0),
        ("vestibule_jwks_refresh_total{result=\"success\"}".to_owned(), 1.0),
        ("vestibule_session_cache_total{result=\"miss\"}".to_owned(), 1.0),
        ("vestibule_session_cache_total{result=\"hit\"}".to_owned(), 1.0),
        ("vestibule_sessions_revoked_total".to_owned(), 1.0),
        ("vestibule_healthy_targets{target_group=\"app\"}".to_owned(), 1.0),
        (format!("vestibule_requests_total{{{listener},rule=\"default\",status_class=\"2xx\"}}"), 2.0),
        (format!("vestibule_requests_total{{{listener},rule=\"default\",status_class=\"3xx\"}}"), 1.0),
    ];
    for (line, value) in wanted {
        // A request is counted when its answer has been sent, which may be a moment after it has been read.
        let mut found = None;
        let in_time = eventually(Duration::from_secs(5), || {
            found = metric(&world, &line);
            found == Some(value)
        });
        assert!(in_time, "{line} is {found:?}, not {value}");
    }
    assert!(metric(&world, "vestibule_jwks_age_seconds{identity_provider=\"op\"}").is_some_and(|age| age < 60.0));
    let certificates = world.gateway.admin("/metrics").unwrap().text();
    assert!(certificates.contains("vestibule_certificate_expiry_timestamp_seconds{certificate=\""));
    // U11, Q09: no label takes a value from a request.
    for value in ["alice", "/first", "app.test"] {
        assert!(!certificates.lines().any(|line| line.contains(&format!("=\"{value}"))), "{value} is a label");
    }
}

#[test]
fn liveness_and_readiness_answer_and_nothing_of_it_is_on_the_public_listener() {
    let world = World::start();
    for path in ["/livez", "/readyz"] {
        assert_eq!(world.gateway.admin(path).unwrap().status(), 200, "{path}");
    }
    // U12: there they are paths like any other.
    let mut browser = world.browser();
    for path in ["/livez", "/readyz", "/metrics", "/sessions"] {
        assert_eq!(browser.get(path).status(), 302, "{path}");
    }
}

#[test]
fn requests_go_to_the_targets_in_turn() {
    let others = [Target::start(), Target::start()];
    let world = World::start_with(|plan| {
        let targets = plan.configuration["target_groups"]["app"]["targets"].as_array_mut().unwrap();
        targets.extend(others.iter().map(|other| json!({"address": format!("127.0.0.1:{}", other.port())})));
    });
    let mut browser = world.browser();
    for _ in 0..9 {
        assert_eq!(browser.get("/public/x").status(), 200);
    }
    assert_eq!([world.target.count(), others[0].count(), others[1].count()], [3, 3, 3]);
}

#[test]
fn a_target_that_refuses_connections_is_passed_over_for_the_same_request() {
    let gone = Target::start().port();
    let world = World::start_with(|plan| {
        let targets = plan.configuration["target_groups"]["app"]["targets"].as_array_mut().unwrap();
        targets.insert(0, json!(format!("127.0.0.1:{gone}")));
    });
    let mut browser = world.browser();
    for _ in 0..4 {
        assert_eq!(browser.request("POST", "/public/x", NAVIGATE, &[], Some(b"a=1")).status(), 200);
    }
    assert_eq!(world.target.count(), 4);
    assert!(metric(&world, "vestibule_upstream_connect_errors_total{target_group=\"app\"}").is_some_and(|errors| errors >= 1.0));
}

#[test]
fn a_health_check_takes_a_target_out_and_brings_it_back() {
    let sick = Target::start();
    sick.say("/health-of-the-other", "HTTP/1.1 500 Sick\r\nContent-Length: 0\r\n\r\n".to_owned());
    let world = World::start_with(|plan| {
        let group = &mut plan.configuration["target_groups"]["app"];
        group["targets"].as_array_mut().unwrap().push(json!(format!("127.0.0.1:{}", sick.port())));
        group["health_check"] =
            json!({"path": "/health-of-the-other", "interval": "5s", "timeout": "2s", "healthy_threshold": 2, "unhealthy_threshold": 2});
    });
    let healthy = |count: f64| metric(&world, "vestibule_healthy_targets{target_group=\"app\"}") == Some(count);
    assert!(eventually(Duration::from_secs(20), || healthy(1.0)), "the sick target is still in");
    let mut browser = world.browser();
    let mark = sick.count();
    for _ in 0..6 {
        assert_eq!(browser.get("/public/x").status(), 200);
    }
    let asked = sick.since(mark).iter().filter(|request| request.path() == "/public/x").count();
    assert_eq!(asked, 0, "the sick target was asked");
    sick.say("/health-of-the-other", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned());
    assert!(eventually(Duration::from_secs(30), || healthy(2.0)), "the target that is well again is still out");
}

#[test]
fn a_target_behind_a_unix_socket_is_reached() {
    use std::io::{Read, Write};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix");
        }
    });
    let world = World::start_with(|plan| {
        plan.configuration["target_groups"]["app"] = json!({"targets": [format!("unix:{}", path.display())]});
    });
    let mut wire = connect(world.gateway.port);
    wire.send(format!("GET /public/x HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
    assert_eq!(wire.response("GET").unwrap().text(), "unix");
}

#[test]
fn a_folder_of_templates_replaces_the_pages_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let page = "<!doctype html><title>{{ title }}</title><style>b{color:red}</style><b>Our house, {{ host }}</b> <a href=\"{{ action.href }}\">{{ action.label }}</a>";
    std::fs::write(folder.path().join("sign_in_required.html"), page).unwrap();
    let world = World::start_with(|plan| plan.configuration["pages"] = json!({"templates": folder.path()}));
    let mut browser = world.browser();
    let own = browser.get("/deny/x");
    assert_eq!(own.status(), 401);
    assert!(own.text().contains("<b>Our house, app.test</b>"), "{}", own.text());
    // The style of the template is allowed, by its hash, and no script is.
    let policy = own.get("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let built_in = browser.get("/oauth2/idpresponse?state=x&code=y");
    assert!(!built_in.text().contains("Our house"), "another situation keeps its page");
}

//! H21–H24: rules and target see the request that was made, not one that its headers tell of.

use serde_json::json;

use crate::support::World;
use crate::support::client::{NAVIGATE, connect, raw};
use crate::support::gateway::{authenticate, rule};
use crate::support::h2::Http2;
use crate::support::oracles::{no_bypass, sign_in};
use crate::support::wire::{Response, octets};

/// A gateway that serves a public and a protected name.
fn world_of_two_hosts() -> World {
    World::start_with(|plan| {
        let listener = plan.listener();
        listener["hosts"] = json!(["app.test", "public.test"]);
        listener["rules"] = json!([{
            "priority": 10,
            "conditions": [{"host_header": ["public.test"]}],
            "actions": [{"forward": "app"}],
        }]);
    })
}

#[test]
fn h21_headers_that_tell_of_another_request_choose_no_rule() {
    let world = World::start();
    for (name, value) in [
        ("X-Forwarded-Uri", "/public"),
        ("X-Forwarded-Path", "/public"),
        ("X-Forwarded-Prefix", "/public"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Host", "public.test"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1;host=public.test;proto=http"),
        ("X-Original-URL", "/public"),
        ("X-Original-URI", "/public"),
        ("X-Rewrite-URL", "/public"),
        ("X-Real-IP", "127.0.0.1"),
        ("X-Envoy-Original-Path", "/public"),
        ("X-Auth-Request-Redirect", "/public"),
    ] {
        let mark = world.target.count();
        let response = world.browser().get_with("/private", &[(name, value)]);
        no_bypass(&world, mark, Some(&response), name);
    }
}

#[test]
fn h21_forwarded_headers_of_a_stranger_start_anew() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let port = world.gateway.port.to_string();
    let lies = [
        ("X-Forwarded-For", "192.0.2.66, 198.51.100.7"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Port", "666"),
        ("X-Forwarded-Host", "evil.test"),
        ("Forwarded", "for=192.0.2.66"),
        ("x_forwarded_for", "192.0.2.66"),
    ];
    assert_eq!(browser.get_with("/page", &lies).status(), 200);
    let seen = world.target.last();
    assert_eq!(seen.head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.head.all("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.head.all("x-forwarded-port"), [port.as_str()]);
    assert_eq!(seen.folded("x-forwarded-for").len(), 1, "another spelling");
    let raw = String::from_utf8_lossy(&seen.raw).into_owned();
    for lie in ["192.0.2.66", "evil.test"] {
        assert!(!raw.contains(lie), "{lie} in {raw}");
    }
}

#[test]
fn h21_forwarded_headers_of_a_trusted_proxy_are_appended_to() {
    let world = World::start_with(|plan| {
        plan.listener()["trusted_proxies"] = json!(["127.0.0.0/8"]);
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let told = [("X-Forwarded-For", "192.0.2.66")];
    assert_eq!(browser.get_with("/page", &told).status(), 200);
    assert_eq!(world.target.last().head.all("x-forwarded-for"), ["192.0.2.66, 127.0.0.1"]);
}

#[test]
fn h21_no_mode_passes_on_what_a_stranger_says() {
    for (mode, expected) in [("append", Some("127.0.0.1")), ("preserve", Some("127.0.0.1")), ("remove", None)] {
        let world = World::start_with(|plan| {
            plan.listener()["x_forwarded_for"] = json!(mode);
            plan.listener()["trusted_proxies"] = json!(["192.0.2.0/24"]);
            let staff = json!({"priority": 1, "conditions": [{"source_ip": ["192.0.2.66"]}], "actions": [{"forward": "app"}]});
            plan.listener()["rules"].as_array_mut().unwrap().push(staff);
        });
        let lies = [
            ("X-Forwarded-For", "192.0.2.66"),
            ("x_forwarded_for", "192.0.2.66"),
            ("X-Forwarded-For", "192.0.2.66"),
            ("Forwarded", "for=192.0.2.66"),
        ];
        assert_eq!(world.browser().get_with("/public/page", &lies).status(), 200);
        let seen = world.target.last();
        assert_eq!(seen.head.all("x-forwarded-for"), expected.into_iter().collect::<Vec<_>>(), "{mode}");
        assert!(!String::from_utf8_lossy(&seen.raw).contains("192.0.2.66"), "{mode}");
        assert_eq!(seen.head.all("x-forwarded-proto"), ["https"], "{mode}");
        let mark = world.target.count();
        let response = world.browser().get_with("/private", &lies);
        no_bypass(&world, mark, Some(&response), mode);
    }
}

#[test]
fn what_a_trusted_proxy_says_is_appended_to_preserved_or_removed() {
    let two = &[("X-Forwarded-For", "192.0.2.66:99, unknown"), ("X-Forwarded-For", "192.0.2.7")][..];
    for (mode, port, told, expected) in [
        ("append", false, two, Some("192.0.2.66, 192.0.2.7, 127.0.0.1")),
        ("append", true, two, Some("192.0.2.66:99, 192.0.2.7, 127.0.0.1:")),
        ("append", true, &[], Some("127.0.0.1:")),
        ("preserve", false, two, Some("192.0.2.66:99, unknown, 192.0.2.7")),
        ("preserve", false, &[], None),
        ("remove", false, two, None),
    ] {
        let world = World::start_with(|plan| {
            plan.listener()["x_forwarded_for"] = json!(mode);
            plan.listener()["x_forwarded_for_client_port"] = json!(port);
            plan.listener()["trusted_proxies"] = json!(["127.0.0.0/8"]);
            let visitor = json!({"priority": 1, "conditions": [{"source_ip": ["192.0.2.7"]}], "actions": [{"forward": "app"}]});
            plan.listener()["rules"].as_array_mut().unwrap().push(visitor);
        });
        // The rule is chosen by the visitor, whatever the target is told.
        let path = if told.is_empty() { "/public/page" } else { "/page" };
        assert_eq!(world.browser().get_with(path, told).status(), 200, "{mode}");
        let seen = world.target.last();
        let found = seen.head.all("x-forwarded-for");
        match expected.and_then(|expected| expected.strip_suffix(':')) {
            Some(start) => {
                let port = found[0].strip_prefix(start).and_then(|rest| rest.strip_prefix(':')).and_then(|port| port.parse::<u16>().ok());
                assert!(found.len() == 1 && port.is_some_and(|port| port != 0 && port != world.gateway.port), "{mode}: {found:?}");
            }
            None => assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{mode}"),
        }
        assert_eq!(seen.head.all("x-forwarded-proto"), ["https"], "{mode}");
    }
}

#[test]
fn h22_method_override_chooses_no_rule() {
    let world = World::start_with(|plan| {
        plan.listener()["rules"] = json!([{
            "priority": 10,
            "conditions": [{"http_request_method": ["GET", "HEAD"]}],
            "actions": [{"forward": "app"}],
        }]);
    });
    assert_eq!(world.browser().get("/page").status(), 200);
    for (name, value) in [("X-HTTP-Method-Override", "GET"), ("X-HTTP-Method", "GET"), ("X-Method-Override", "GET")] {
        for path in ["/page", "/page?_method=GET"] {
            let mark = world.target.count();
            let mut browser = world.browser();
            let body = Some(&b"_method=GET"[..]);
            let response = browser.request("POST", path, NAVIGATE, &[(name, value)], body);
            no_bypass(&world, mark, Some(&response), name);
        }
    }
    let mark = world.target.count();
    let response = world.browser().request("get", "/page", NAVIGATE, &[], None);
    no_bypass(&world, mark, Some(&response), "get in small letters");
}

#[test]
fn h23_host_of_the_rule_is_the_host_that_is_forwarded() {
    let world = world_of_two_hosts();
    let port = world.gateway.port;
    let protected = format!("app.test:{port}");
    let public = format!("public.test:{port}");
    let response = raw(&world.gateway, format!("GET /x HTTP/1.1\r\nHost: {public}\r\n\r\n"));
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(world.target.last().get("host"), Some(public.as_str()));

    for (variant, target, host) in [
        ("absolute-form of the public name", format!("https://{public}/x"), &protected),
        ("absolute-form of the protected name", format!("https://{protected}/x"), &public),
        ("absolute-form over http", format!("http://{public}/x"), &protected),
        ("absolute-form with user info", format!("https://{public}@{protected}/x"), &public),
        ("absolute-form of a stranger", "https://evil.test/x".to_owned(), &public),
    ] {
        let mark = world.target.count();
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let response = raw(&world.gateway, request).unwrap();
        assert_eq!(response.status(), 400, "{variant}: {response}");
        no_bypass(&world, mark, Some(&response), variant);
    }
    let same = format!("GET https://{public}/x?y HTTP/1.1\r\nHost: {public}\r\n\r\n");
    let response = raw(&world.gateway, same).unwrap();
    assert!(matches!(response.status(), 200 | 400), "absolute-form of itself: {response}");
    if response.status() == 200 {
        assert_eq!(world.target.last().target, "/x?y");
    }

    for (variant, fields) in [
        ("other host", vec![(":authority", protected.as_str()), ("host", &public)]),
        ("other host, the other way", vec![(":authority", &public), ("host", &protected)]),
        ("two hosts", vec![(":authority", &public), ("host", &public), ("host", &protected)]),
        ("two authorities", vec![(":authority", &public), (":authority", &protected)]),
        ("no authority at all", vec![]),
        ("user info", vec![(":authority", "public.test@app.test")]),
        ("empty", vec![(":authority", "")]),
    ] {
        let mark = world.target.count();
        let mut head = vec![(":method", "GET"), (":scheme", "https"), (":path", "/x")];
        head.extend(fields);
        let outcome = Http2::connect(&world.gateway).request(&head, None, &[]);
        assert!(outcome.is_refused(), "HTTP/2, {variant}: {outcome:?}");
        no_bypass(&world, mark, None, variant);
    }
    let head = [(":method", "GET"), (":scheme", "https"), (":path", "/x"), (":authority", &public)];
    assert_eq!(Http2::connect(&world.gateway).request(&head, None, &[]).status, Some(200));
    assert_eq!(world.target.last().get("host"), Some(public.as_str()));
}

#[test]
fn h24_host_is_one_plain_name_before_any_rule_sees_it() {
    let world = world_of_two_hosts();
    let port = world.gateway.port;
    for host in [
        "app.test, public.test",
        "public.test,app.test",
        "public.test@app.test",
        "public.test\u{0}.app.test",
        "public.test\\app.test",
        "public.test/app.test",
        "public.test#app.test",
        "public.test?app.test",
        "public.test app.test",
        "public.test:port",
        "public.test:443:443",
        "public.test:99999999",
        "[::1",
        "[public.test]",
        "",
        "public.te\u{df}t",
        "%70ublic.test",
        "public..test",
        ".public.test",
        "public.test..",
    ] {
        let mark = world.target.count();
        let request = format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let response = raw(&world.gateway, octets(&request));
        let status = response.as_ref().map_or(400, Response::status);
        assert!(matches!(status, 400 | 421), "{host:?}: {status}");
        no_bypass(&world, mark, response.as_ref(), host);
    }
    for (variant, lines, expected) in [
        ("twice", "Host: public.test\r\nHost: app.test", 400),
        ("twice, the same", "Host: public.test\r\nHost: public.test", 400),
        ("missing", "X-Host: public.test", 400),
        ("another name", "Host: xn--pblic-kva.test", 421),
        ("an address", "Host: [::1]", 421),
        ("another address", "Host: 127.0.0.1", 421),
    ] {
        let mark = world.target.count();
        let response = raw(&world.gateway, format!("GET /x HTTP/1.1\r\n{lines}\r\n\r\n"));
        let status = response.as_ref().map_or(400, Response::status);
        assert_eq!(status, expected, "Host {variant}");
        no_bypass(&world, mark, response.as_ref(), variant);
    }

    // Ways to write a name that mean the same match the same rule.
    for host in ["PUBLIC.test", "public.test.", "public.test:443", &format!("Public.Test.:{port}")] {
        let response = raw(&world.gateway, format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap();
        assert!(matches!(response.status(), 200 | 400), "{host}: {response}");
    }
    for host in ["APP.TEST", "app.test.", "App.Test:443", &format!("app.TEST.:{port}")] {
        let mark = world.target.count();
        let response = raw(&world.gateway, format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        no_bypass(&world, mark, response.as_ref(), host);
    }
}

#[test]
fn h24_rule_for_a_name_is_not_escaped_by_its_spelling() {
    let world = World::start_with(|plan| {
        let listener = plan.listener();
        listener["hosts"] = json!(["app.test", "admin.test"]);
        listener["rules"] = json!([{
            "priority": 10,
            "conditions": [{"host_header": ["admin.test"]}],
            "actions": [authenticate("op", "deny"), {"forward": "app"}],
        }]);
        listener["default_actions"] = json!([{"forward": "app"}]);
        let everything = rule(20, "/public*", &json!([{"forward": "app"}]));
        listener["rules"].as_array_mut().unwrap().push(everything);
    });
    for host in ["admin.test", "ADMIN.TEST", "admin.test.", "Admin.Test:443", "admin.test.:1"] {
        let mark = world.target.count();
        let mut wire = connect(world.gateway.port);
        wire.send(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        let response = wire.response("GET").unwrap();
        no_bypass(&world, mark, Some(&response), host);
    }
}

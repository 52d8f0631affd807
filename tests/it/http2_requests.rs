//! P12: HTTP/2 requests whose pseudo-headers are not what RFC 9113 section 8.3 asks for.

use serde_json::json;

use crate::support::World;
use crate::support::gateway::{authenticate, rule};
use crate::support::h2::Http2;
use crate::support::oracles::{no_bypass, sign_in};
use crate::support::wire::text;

#[test]
fn p12_http2_paths_that_are_no_paths_are_refused() {
    let world = World::start();
    let authority = world.gateway.authority();
    for path in [
        "public",
        "",
        "*",
        "https://app.test/public",
        "/public x",
        "/public\r\nx: y",
        "/public\0",
        "/public#x",
        "/public/../private",
        "/public/%2e%2e/private",
        "/public\\x",
        "\\public",
        "?public",
    ] {
        let mark = world.target.count();
        let head = [(":method", "GET"), (":scheme", "https"), (":authority", &authority), (":path", path)];
        let outcome = Http2::connect(&world.gateway).request(&head, None, &[]);
        if path.contains('#') && outcome.status == Some(200) {
            // Without its fragment it is a path like any other, for the rules and for the target.
            assert_eq!(world.target.last().target, "/public", "{path:?}");
            continue;
        }
        assert!(outcome.is_refused(), "{path:?}: {outcome:?}");
        no_bypass(&world, mark, None, path);
    }
    for (variant, fields) in [
        ("no path", vec![(":method", "GET"), (":scheme", "https"), (":authority", &authority)]),
        (
            "two paths",
            vec![(":method", "GET"), (":scheme", "https"), (":authority", &authority), (":path", "/public"), (":path", "/private")],
        ),
        (
            "an unknown pseudo-header",
            vec![(":method", "GET"), (":scheme", "https"), (":authority", &authority), (":path", "/public"), (":user", "admin")],
        ),
        (
            "a pseudo-header after a header",
            vec![(":method", "GET"), (":scheme", "https"), (":authority", &authority), ("x-first", "1"), (":path", "/public")],
        ),
        (
            "a name in capitals",
            vec![
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", &authority),
                (":path", "/public"),
                ("X-Amzn-Oidc-Identity", "forged"),
            ],
        ),
        (
            "a line break in a value",
            vec![
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", &authority),
                (":path", "/public"),
                ("x-first", "1\r\nx-amzn-oidc-identity: forged"),
            ],
        ),
        (
            "a colon in a name",
            vec![
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", &authority),
                (":path", "/public"),
                ("x-amzn-oidc-identity: forged\r\nx", "1"),
            ],
        ),
        (
            "a request in the method",
            vec![
                (":method", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"),
                (":scheme", "https"),
                (":authority", &authority),
                (":path", "/public"),
            ],
        ),
        (
            "chunked",
            vec![
                (":method", "POST"),
                (":scheme", "https"),
                (":authority", &authority),
                (":path", "/public"),
                ("transfer-encoding", "chunked"),
            ],
        ),
    ] {
        let mark = world.target.count();
        let outcome = Http2::connect(&world.gateway).request(&fields, None, &[]);
        assert!(outcome.is_refused(), "{variant}: {outcome:?}");
        no_bypass(&world, mark, None, variant);
    }
    let head = [(":method", "GET"), (":scheme", "https"), (":authority", &authority), (":path", "/public?over=h2")];
    let outcome = Http2::connect(&world.gateway).request(&head, None, &[]);
    assert_eq!(outcome.status, Some(200), "an honest request: {outcome:?}");
    assert_eq!(world.target.last().target, "/public?over=h2");
    assert!(text(&outcome.body).contains("/public"));
}

/// X13: one connection for several hosts, as browsers have it where a certificate names both (RFC 9113 section 9.1.1).
#[test]
fn x13_each_request_of_a_shared_connection_goes_by_its_own_host() {
    let world = World::start_with(|plan| {
        plan.listener()["hosts"] = json!(["app.test", "other.test"]);
        let mut authenticates = authenticate("op", "deny");
        authenticates["authenticate"]["session_cookie_name"] = json!("Other");
        let mut other = rule(1, "/*", &json!([authenticates, {"forward": "app"}]));
        other["conditions"] = json!([{"host_header": ["other.test"]}]);
        plan.listener()["rules"].as_array_mut().unwrap().insert(0, other);
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let cookie = browser.cookie_header();
    let mut shared = Http2::connect(&world.gateway);
    let port = world.gateway.port;
    for (host, status) in [("app.test", 200), ("other.test", 401), ("third.test", 421), ("app.test", 200)] {
        let mark = world.target.count();
        let authority = format!("{host}:{port}");
        let head = [(":method", "GET"), (":scheme", "https"), (":authority", &*authority), (":path", "/page"), ("cookie", &*cookie)];
        assert_eq!(shared.request(&head, None, &[]).status, Some(status), "{host}");
        assert_eq!(world.target.since(mark).len(), usize::from(status == 200), "{host}");
    }
}

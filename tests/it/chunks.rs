//! D05, D08, D10, S16: bodies whose end is disputed, and heads that are too large.

use std::time::Duration;

use crate::support::World;
use crate::support::client::{connect, raw};
use crate::support::oracles::{no_bypass, sign_in};

#[test]
fn d08_chunk_that_two_programs_read_differently_never_hides_a_request() {
    let world = World::start();
    let authority = world.gateway.authority();
    let smuggled = "GET /public/smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n";
    for (variant, body) in [
        ("0x", "0x5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("an underscore", "0_5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("a minus", "-5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("a plus", "+5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("a space in front", " 5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("no digit", "\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("a letter too far", "1Z\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("seventeen digits", "10000000000000005\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("a bare LF after the size", "5\nhello\r\n0\r\n\r\n".to_owned()),
        ("two CR", "5\r\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("no CR LF after the data", format!("5\r\nhello0\r\n\r\n{smuggled}")),
        ("a bare LF after the data", "5\r\nhello\n0\r\n\r\n".to_owned()),
        ("an extension with a bare LF", "5;x\nx\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("an extension with a bare CR", "5;x\rx\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("an endless extension", format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(100_000))),
    ] {
        let mark = world.target.count();
        let request = format!("POST /public/x HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let mut wire = connect(world.gateway.port);
        let _ = wire.send(request.as_bytes());
        wire.read_timeout(Duration::from_secs(3));
        let response = wire.response("POST").unwrap_or_else(|error| panic!("{variant}: no answer: {error}"));
        assert_eq!(response.status(), 400, "{variant}: {response}");
        assert!(wire.rest().is_empty(), "{variant}: the connection goes on");
        // The head, and what came of the body before the fault, may have gone on; nothing that was hidden has.
        for seen in world.target.since(mark) {
            assert_eq!(seen.target, "/public/x", "{variant}");
        }
    }
}

#[test]
fn d05_bytes_after_an_upgrade_that_was_not_accepted_are_not_sent_on() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let (authority, cookie) = (world.gateway.authority(), browser.cookie_header());
    world.target.say("/upgrade", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
    for upgrade in ["websocket", "foo", "h2c", "TLS/1.0"] {
        let mark = world.target.count();
        let mut wire = connect(world.gateway.port);
        let head = format!(
            "GET /upgrade HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookie}\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let second = "GET /admin/smuggled HTTP/1.1\r\nHost: app.test\r\nX-Amzn-Oidc-Identity: forged\r\n\r\n";
        wire.send((head + second).as_bytes()).unwrap();
        wire.read_timeout(Duration::from_secs(3));
        if let Ok(response) = wire.response("GET") {
            assert_ne!(response.status(), 101, "{upgrade}: {response}");
        }
        wire.read_timeout(Duration::from_millis(200));
        let _ = wire.response("GET");
        for seen in world.target.since(mark) {
            let forged = String::from_utf8_lossy(&seen.raw).contains("forged");
            assert!(!forged, "{upgrade}: bytes of the client as they were: {}", seen.head.line);
        }
    }
}

#[test]
fn d10_expectations_are_met_or_refused_without_losing_step() {
    let world = World::start();
    let authority = world.gateway.authority();
    for expect in ["100-continue", "100-Continue", "y 100-continue", "100-continue, 100-continue", "200-ok", ""] {
        for path in ["/public/x", "/private/x"] {
            let mark = world.target.count();
            let head = format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\nExpect: {expect}\r\nContent-Length: 5\r\n\r\n");
            let mut wire = connect(world.gateway.port);
            wire.send(head.as_bytes()).unwrap();
            wire.send(b"hello").unwrap();
            wire.read_timeout(Duration::from_secs(5));
            let status = wire.response("POST").map_or(400, |response| response.status());
            let is_known = expect.eq_ignore_ascii_case("100-continue");
            assert!(if is_known { matches!(status, 200 | 401) } else { status == 417 }, "{expect:?} to {path}: {status}");
            let seen = world.target.since(mark);
            assert!(seen.iter().all(|request| request.target == path && request.body == b"hello"), "{expect:?} to {path}");
            if path == "/private/x" {
                no_bypass(&world, mark, None, expect);
            }
        }
    }
}

#[test]
fn s16_heads_that_are_too_large_are_refused() {
    let world = World::start();
    let host = format!("Host: {}", world.gateway.authority());
    let many: String = (0..5_000).map(|n| format!("c{n}=v; ")).collect();
    for (variant, fields) in [
        ("one cookie", format!("Cookie: a={}", "x".repeat(70_000))),
        ("5,000 cookies and more", format!("Cookie: {many}{}", "x".repeat(40_000))),
        ("many headers", (0..3_000).map(|n| format!("X-H{n}: {n}")).collect::<Vec<_>>().join("\r\n")),
        ("one long name", format!("{}: 1", "x".repeat(70_000))),
    ] {
        let mark = world.target.count();
        let request = format!("GET /public HTTP/1.1\r\n{host}\r\n{fields}\r\n\r\n");
        let response = raw(&world.gateway, request).expect("an answer that says what was too much");
        assert_eq!(response.status(), 431, "{variant}: {response}");
        no_bypass(&world, mark, None, variant);
    }
    assert_eq!(world.browser().get("/public").status(), 200);
}

//! W01, W02, W04: an upgrade is a request like any other until the target has switched; then it lasts as long as its session.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::client::{Browser, NAVIGATE, connect, raw};
use crate::support::gateway::eventually;
use crate::support::oracles::{identity_of, no_bypass, sign_in};
use crate::support::wire::Wire;

fn handshake(world: &World, cookie: &str, upgrade: &str) -> String {
    format!(
        "GET /socket HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{cookie}\r\n",
        world.gateway.authority()
    )
}

/// A masked text frame, "hello".
const HELLO: [u8; 11] = [0x81, 0x85, 1, 2, 3, 4, b'h' ^ 1, b'e' ^ 2, b'l' ^ 3, b'l' ^ 4, b'o' ^ 1];

fn open(world: &World, browser: &Browser) -> Wire {
    let mut wire = connect(world.gateway.port);
    let cookie = format!("Cookie: {}\r\n", browser.cookie_header());
    wire.send(handshake(world, &cookie, "websocket").as_bytes()).unwrap();
    let response = wire.response("GET").unwrap();
    assert_eq!(response.status(), 101, "{response}");
    echoes(&mut wire);
    wire
}

fn echoes(wire: &mut Wire) {
    wire.send(&HELLO).unwrap();
    assert_eq!(wire.exactly(HELLO.len()).unwrap(), HELLO);
}

/// A silent socket is over within five seconds, and the access log says why.
fn assert_closed(world: &World, mut wire: Wire, reason: &str) {
    let since = Instant::now();
    wire.read_timeout(Duration::from_secs(8));
    let read = wire.exactly(1);
    assert!(read.is_err(), "{reason}: the socket said {read:?}");
    assert!(since.elapsed() < Duration::from_secs(5), "{reason}: closed after {:?}", since.elapsed());
    let logged = || world.gateway.access_lines().iter().any(|line| line["error_reason"] == reason && line["target_status_code"] == 101);
    assert!(eventually(Duration::from_secs(5), logged), "{reason} is not in the log");
}

#[test]
fn w02_socket_is_closed_when_its_session_is_signed_out() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let mut another = world.browser();
    sign_in(&world, &mut another, "/");
    let (wire, mut other) = (open(&world, &browser), open(&world, &another));
    let signed_out = browser.request("GET", "/oauth2/logout", &NAVIGATE[..4], &[("Sec-Fetch-Site", "same-origin")], None);
    assert_eq!(signed_out.status(), 302, "{signed_out}");
    assert_closed(&world, wire, "AuthEndedSession");
    // Nobody else notices.
    echoes(&mut other);
}

#[test]
fn w02_socket_is_closed_when_its_session_expires() {
    let world = World::start_with(|plan| {
        plan.authentication()["session_timeout"] = json!("6s");
        plan.listener()["rules"][1]["actions"][0]["authenticate"]["session_timeout"] = json!("6s");
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let wire = open(&world, &browser);
    let expired = || browser.copy().get("/page").status() == 302;
    assert!(eventually(Duration::from_secs(12), expired), "the session did not end");
    assert_closed(&world, wire, "AuthExpiredCookie");
}

#[test]
fn w01_socket_opens_for_a_session_only() {
    let world = World::start();
    let mark = world.target.count();
    let response = raw(&world.gateway, handshake(&world, "", "websocket")).unwrap();
    assert!(matches!(response.status(), 302 | 401), "{response}");
    no_bypass(&world, mark, Some(&response), "signed out");

    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let cookie = format!("Cookie: {}\r\nx-amzn-oidc-identity: forged\r\n", browser.cookie_header());
    let mut wire = connect(world.gateway.port);
    wire.send(handshake(&world, &cookie, "websocket").as_bytes()).unwrap();
    let response = wire.response("GET").unwrap();
    assert_eq!(response.status(), 101, "{response}");
    assert_eq!(response.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    echoes(&mut wire);
    identity_of(&world.target.last(), "alice", "WebSocket");
    wire.close();
}

#[test]
fn w04_upgrade_to_http2_in_the_clear_never_reaches_the_target() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let mark = world.target.count();
    let settings = format!("HTTP2-Settings: AAMAAABkAAQAAP__\r\nCookie: {}\r\n", browser.cookie_header());
    let mut wire = connect(world.gateway.port);
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n";
    let request = handshake(&world, &settings, "h2c") + smuggled;
    wire.send(request.as_bytes()).unwrap();
    let response = wire.response("GET").unwrap();
    assert_ne!(response.status(), 101, "{response}");
    for seen in world.target.since(mark) {
        let upgrade = seen.get("upgrade").unwrap_or_default();
        assert!(!upgrade.eq_ignore_ascii_case("h2c"), "Upgrade: h2c at the target");
        assert!(seen.get("http2-settings").is_none(), "HTTP2-Settings at the target");
        assert!(!seen.target.contains("smuggled"), "smuggled");
    }
}

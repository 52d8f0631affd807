//! W01, W04: an upgrade is a request like any other until the target has switched.

use crate::support::World;
use crate::support::client::{connect, raw};
use crate::support::oracles::{identity_of, no_bypass, sign_in};

fn handshake(world: &World, cookie: &str, upgrade: &str) -> String {
    format!(
        "GET /socket HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{cookie}\r\n",
        world.gateway.authority()
    )
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
    // A masked text frame, "hello".
    let frame = [0x81, 0x85, 1, 2, 3, 4, b'h' ^ 1, b'e' ^ 2, b'l' ^ 3, b'l' ^ 4, b'o' ^ 1];
    wire.send(&frame).unwrap();
    assert_eq!(wire.exactly(frame.len()).unwrap(), frame);
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

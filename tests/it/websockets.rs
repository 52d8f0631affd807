//! W01 to W05: an upgrade is a request like any other until the target has switched; then it lasts as long as its session.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::certificates::certificates;
use crate::support::client::{Browser, connect, raw};
use crate::support::gateway::eventually;
use crate::support::oracles::{identity_of, no_bypass, sign_in, sign_out};
use crate::support::target::Target;
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

pub(crate) fn open(world: &World, browser: &Browser) -> Wire {
    let mut wire = connect(world.gateway.port);
    let cookie = format!("Cookie: {}\r\n", browser.cookie_header());
    wire.send(handshake(world, &cookie, "websocket").as_bytes()).unwrap();
    let response = wire.response("GET").unwrap();
    assert_eq!(response.status(), 101, "{response}");
    echoes(&mut wire);
    wire
}

pub(crate) fn echoes(wire: &mut Wire) {
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
    sign_out(&mut browser);
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

#[test]
fn w03_page_of_another_origin_opens_no_socket_in_anybodys_name() {
    let world = World::start_with(|plan| {
        plan.authentication()["allowed_origins"] = json!(["https://www.partner.test"]);
        plan.listener()["hosts"] = json!([crate::support::certificates::APP, "*.app.test"]);
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let cookie = browser.cookie_header();
    for (origin, expected) in [
        (Some(world.gateway.origin()), 101),
        (Some("https://other.app.test".to_owned()), 101),
        (Some("https://www.partner.test".to_owned()), 101),
        (None, 101),
        (Some("https://evil.test".to_owned()), 403),
        (Some(world.gateway.origin().replace("https", "http")), 403),
        (Some("null".to_owned()), 403),
    ] {
        let mark = world.target.count();
        let line = origin.as_ref().map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        let mut wire = connect(world.gateway.port);
        wire.send(handshake(&world, &format!("Cookie: {cookie}\r\n{line}"), "websocket").as_bytes()).unwrap();
        let response = wire.response("GET").unwrap();
        assert_eq!(response.status(), expected, "{origin:?}: {response}");
        if expected == 403 {
            no_bypass(&world, mark, Some(&response), "another origin");
            assert_eq!(response.json()["error"], "origin_not_allowed");
        }
    }
    assert!(world.gateway.logs_reason("AuthOriginNotAllowed"));
    // Who is not signed in has nothing that could be misused: the rule says what becomes of it.
    let anonymous = handshake(&world, "Origin: https://evil.test\r\n", "websocket").replace("/socket", "/public/socket");
    assert_eq!(raw(&world.gateway, anonymous).unwrap().status(), 101);
}

#[test]
fn w05_five_hundred_silent_sockets_cost_little_and_all_still_talk() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let before = world.gateway.resident_memory();
    let mut sockets: Vec<Wire> = (0..500).map(|_| open(&world, &browser)).collect();
    let each = world.gateway.resident_memory().saturating_sub(before) / 500;
    assert!(each < 256 * 1024, "{each} bytes for each socket");
    sockets.iter_mut().for_each(echoes);
    // All are gone at the target, too, when their clients are.
    let open_files = || world.gateway.descriptors();
    assert!(open_files() > 1000, "two for each socket");
    drop(sockets);
    assert!(eventually(Duration::from_secs(5), || open_files() < 100), "{} files are still open", open_files());
}

#[test]
fn w05_reader_of_a_socket_who_stops_stops_the_writer() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let mut wire = open(&world, &browser);
    let before = world.gateway.resident_memory();
    wire.write_timeout(Duration::from_secs(2));
    // The target says everything back, and here nobody reads it.
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < 256 << 20 && wire.send(&piece).is_ok() {
        sent += piece.len();
    }
    assert!(sent < 64 << 20, "{sent} bytes were taken from a client that reads nothing");
    let grown = world.gateway.resident_memory().saturating_sub(before);
    assert!(grown < 16 << 20, "the gateway grew by {grown} bytes");
}

#[test]
fn w05_large_messages_pass_whole_and_cost_no_memory() {
    const SIZE: usize = 128 << 20;
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let mut wire = open(&world, &browser);
    let before = world.gateway.resident_memory();
    let piece: Vec<u8> = (0..128 * 1024_u32).map(|number| number.to_le_bytes()[(number % 3) as usize]).collect();
    for _ in 0..SIZE / piece.len() {
        wire.send(&piece).unwrap();
        assert!(wire.exactly(piece.len()).unwrap() == piece, "other bytes came back");
    }
    let grown = world.gateway.resident_memory().saturating_sub(before);
    assert!(grown < 16 << 20, "the gateway grew by {grown} bytes");
}

#[test]
fn w05_socket_on_which_nobody_speaks_is_closed_after_the_response_timeout() {
    let world = World::start_with(|plan| plan.configuration["target_groups"]["app"]["timeouts"] = json!({"response": "2s"}));
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let (mut talking, mut silent) = (open(&world, &browser), open(&world, &browser));
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(4) {
        echoes(&mut talking);
        std::thread::sleep(Duration::from_millis(300));
    }
    silent.read_timeout(Duration::from_secs(3));
    assert!(matches!(silent.exactly(1), Err(error) if error.kind() != std::io::ErrorKind::WouldBlock), "still open after twice the time");
    echoes(&mut talking);
}

#[test]
fn sockets_open_to_targets_over_tls_and_unix_sockets_too() {
    let tls = Target::start_with(Some(certificates().server()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                let mut octet = [0];
                stream.read_exact(&mut octet).unwrap();
                seen.push(octet[0]);
            }
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").unwrap();
            let mut frame = [0; HELLO.len()];
            while stream.read_exact(&mut frame).and_then(|()| stream.write_all(&frame)).is_ok() {}
        }
    });
    for settings in [
        json!({"targets": [format!("127.0.0.1:{}", tls.port())], "protocol": "https", "verify": false}),
        json!({"targets": [format!("unix:{}", path.display())]}),
    ] {
        let world = World::start_with(|plan| plan.configuration["target_groups"]["app"] = settings.clone());
        let mut browser = world.browser();
        sign_in(&world, &mut browser, "/");
        for _ in 0..30 {
            open(&world, &browser);
        }
    }
}

#[test]
fn handshake_at_a_target_that_is_not_there_is_502() {
    let world = World::start_with(|plan| {
        let gone = crate::support::gateway::free_port();
        plan.configuration["target_groups"]["app"] = json!({"targets": [format!("127.0.0.1:{gone}")]});
    });
    let response = raw(&world.gateway, handshake(&world, "", "websocket").replace("/socket", "/public/socket")).unwrap();
    assert_eq!(response.status(), 502, "{response}");
    assert!(world.gateway.logs_reason("TargetFailed"));
}

//! D15, Q03, Q04: every limit of a listener, over HTTP/1.1 and HTTP/2, and the answer that tells which one it was.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;
use crate::support::client::{connect, raw};
use crate::support::gateway::eventually;
use crate::support::h2::Http2;

fn limited(limits: Value) -> World {
    World::start_with(|plan| plan.listener()["limits"] = limits)
}

fn over_http2(world: &World, path: &str, more: &[(&str, &str)], body: Option<&[u8]>) -> Option<u16> {
    let authority = world.gateway.authority();
    let method = if body.is_some() { "POST" } else { "GET" };
    let head = [(":method", method), (":scheme", "https"), (":authority", authority.as_str()), (":path", path)];
    let fields: Vec<(&str, &str)> = head.into_iter().chain(more.iter().copied()).collect();
    Http2::connect(&world.gateway).request(&fields, body, &[]).status
}

fn over_http1(world: &World, method: &str, path: &str, more: &str) -> u16 {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{more}", world.gateway.authority());
    raw(&world.gateway, request).expect("each request is answered").status()
}

#[test]
fn d15_heads_beyond_a_limit_are_told_apart() {
    let world = limited(json!({"header_bytes": 8192, "header_fields": 20, "target_bytes": 2048}));
    let path = |length: usize| format!("/public/{}", "x".repeat(length - 8));
    assert_eq!(over_http1(&world, "GET", &path(2048), "\r\n"), 200);
    assert_eq!(over_http1(&world, "GET", &path(2049), "\r\n"), 414);
    assert_eq!(over_http1(&world, "GET", &path(100_000), "\r\n"), 414);
    assert_eq!(over_http2(&world, &path(2048), &[], None), Some(200));
    assert_eq!(over_http2(&world, &path(2049), &[], None), Some(414));
    let fields = |count: usize| (0..count).map(|number| format!("X-{number}: 1\r\n")).collect::<String>() + "\r\n";
    assert_eq!(over_http1(&world, "GET", "/public", &fields(19)), 200);
    assert_eq!(over_http1(&world, "GET", "/public", &fields(20)), 431);
    assert_eq!(over_http1(&world, "GET", "/public", &fields(3000)), 431);
    let names: Vec<String> = (0..30).map(|number| format!("x-{number}")).collect();
    let lines: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(over_http2(&world, "/public", &lines[..10], None), Some(200));
    assert_eq!(over_http2(&world, "/public", &lines, None), Some(431));
    // Browsers send each cookie in a field of its own (RFC 9113 section 8.2.3).
    assert_eq!(over_http2(&world, "/public", &[("cookie", "a=b"); 100], None), Some(200));
    let large = |length: usize| format!("X: {}\r\n\r\n", "y".repeat(length));
    assert_eq!(over_http1(&world, "GET", "/public", &large(7000)), 200);
    assert_eq!(over_http1(&world, "GET", "/public", &large(9000)), 431);
    assert_eq!(over_http1(&world, "GET", "/public", &large(2_000_000)), 431);
    let value = "y".repeat(9000);
    assert_eq!(over_http2(&world, "/public", &[("x", &value)], None), Some(431));
    for reason in ["RequestTargetTooLong", "RequestHeaderTooLarge"] {
        assert!(world.gateway.logs_reason(reason), "{reason}");
    }
}

#[test]
fn bodies_beyond_the_limit_are_413_whether_announced_or_not() {
    let world = limited(json!({"body_bytes": 1000}));
    let chunked =
        |count: usize| format!("Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", format!("64\r\n{}\r\n", "x".repeat(100)).repeat(count));
    let whole = |length: usize| format!("Content-Length: {length}\r\n\r\n{}", "x".repeat(length));
    assert_eq!(over_http1(&world, "POST", "/public", &whole(1000)), 200);
    assert_eq!(over_http1(&world, "POST", "/public", &whole(1001)), 413);
    assert_eq!(over_http1(&world, "POST", "/public", &chunked(10)), 200);
    assert_eq!(over_http1(&world, "POST", "/public", &chunked(11)), 413);
    assert_eq!(over_http2(&world, "/public", &[], Some(&[b'x'; 1000])), Some(200));
    assert_eq!(over_http2(&world, "/public", &[], Some(&[b'x'; 1001])), Some(413));
    assert!(world.gateway.logs_reason("RequestBodyTooLarge"));
    let unlimited = limited(json!({"body_bytes": 0}));
    assert_eq!(over_http1(&unlimited, "POST", "/public", &whole(100_000)), 200);
}

#[test]
fn q03_head_that_drips_is_408_and_a_connection_at_rest_is_closed() {
    let world = limited(json!({"header_timeout": 1, "idle_timeout": 2}));
    let mut wire = connect(world.gateway.port);
    let begun = Instant::now();
    let mut status = None;
    while begun.elapsed() < Duration::from_secs(10) {
        let _ = wire.send(b"G");
        wire.read_timeout(Duration::from_millis(200));
        if let Ok(response) = wire.response("GET") {
            status = Some(response.status());
            break;
        }
    }
    assert_eq!(status, Some(408));
    assert!(world.gateway.logs_reason("RequestTooSlow"));

    let mut wire = connect(world.gateway.port);
    wire.send(format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
    assert_eq!(wire.response("GET").unwrap().status(), 200);
    let begun = Instant::now();
    wire.read_timeout(Duration::from_secs(20));
    assert!(wire.rest().is_empty());
    assert!((1..15).contains(&begun.elapsed().as_secs()), "closed after {:?}", begun.elapsed());
}

#[test]
fn q03_body_that_drips_is_408() {
    let world = limited(json!({"minimum_body_rate": 1_000_000}));
    let mut wire = connect(world.gateway.port);
    let head = format!("POST /public HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\n\r\n", world.gateway.authority());
    wire.send(head.as_bytes()).unwrap();
    let begun = Instant::now();
    let mut status = None;
    while begun.elapsed() < Duration::from_secs(40) && status.is_none() {
        let _ = wire.send(b"x");
        wire.read_timeout(Duration::from_millis(500));
        status = wire.response("POST").ok().map(|response| response.status());
    }
    assert_eq!(status, Some(408));
    assert!(begun.elapsed() > Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn q04_one_address_has_no_more_connections_than_it_may() {
    let world = limited(json!({"connections_per_address": 5}));
    let is_served = || {
        let mut socket = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        // A connection that is refused ends at once; the others wait for a handshake.
        let served = !matches!(std::io::Read::read(&mut socket, &mut [0]), Ok(0));
        (served, socket)
    };
    let held: Vec<_> = (0..5).map(|_| is_served()).collect();
    assert!(held.iter().all(|(served, _)| *served));
    assert!(!is_served().0, "the sixth");
    let metrics = world.gateway.admin("/metrics").unwrap().text();
    assert!(!metrics.contains("vestibule_refused_connections_total 0\n"), "{metrics}");
    drop(held);
    assert!(eventually(Duration::from_secs(5), || is_served().0), "after the others have gone");
    // Behind a proxy are many.
    let behind = World::start_with(|plan| {
        plan.listener()["limits"] = json!({"connections_per_address": 1});
        plan.listener()["trusted_proxies"] = json!(["127.0.0.1"]);
    });
    let held: Vec<_> = (0..5).map(|_| connect(behind.gateway.port)).collect();
    assert_eq!(over_http1(&behind, "GET", "/public", "\r\n"), 200);
    drop(held);
}

/// A client that takes nothing of its answer ends, and lets go of its target.
#[test]
fn q03_reader_who_never_reads_is_let_go() {
    let world = limited(json!({"send_timeout": 1}));
    let large = 32 * 1024 * 1024;
    let body = format!("HTTP/1.1 200 OK\r\nContent-Length: {large}\r\n\r\n{}", "x".repeat(large));
    world.target.say("/public/large", body);
    let mut wire = connect(world.gateway.port);
    wire.send(format!("GET /public/large HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
    let fields = [(":method", "GET"), (":scheme", "https"), (":authority", &world.gateway.authority()), (":path", "/public/large")];
    let mut http2 = Http2::connect(&world.gateway);
    http2.open(&fields);
    let is_large = |line: &Value| line["request"].as_str().unwrap().contains("/public/large");
    let count = || world.gateway.access_lines().iter().filter(|line| is_large(line)).count();
    assert!(eventually(Duration::from_secs(20), || count() == 2), "both have ended");
    let lines = world.gateway.access_lines_with(2, is_large);
    assert!(lines.iter().all(|line| line["sent_bytes"].as_u64().unwrap() < large as u64), "{lines:?}");
    assert_eq!(over_http1(&world, "GET", "/public", "\r\n"), 200);
}

/// Half a megabyte for each who takes nothing is too much when there are many.
#[test]
fn q03_answers_that_nobody_takes_are_given_up_when_they_are_too_many() {
    let world = limited(json!({"unsent_bytes": 1_000_000}));
    let large = 32 * 1024 * 1024;
    world.target.say("/public/large", format!("HTTP/1.1 200 OK\r\nContent-Length: {large}\r\n\r\n{}", "x".repeat(large)));
    let held: Vec<_> = (0..20)
        .map(|_| {
            let mut wire = connect(world.gateway.port);
            wire.send(format!("GET /public/large HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
            wire
        })
        .collect();
    let ended = || world.gateway.access_lines().iter().filter(|line| line["error_reason"] == "ClientTooSlow").count();
    assert!(eventually(Duration::from_secs(20), || ended() >= 15), "{} were given up", ended());
    assert!(ended() < 20, "as many as are within the limit go on");
    drop(held);
}

#[test]
fn a_limit_that_makes_no_sense_is_told_with_its_place() {
    for (key, value, told) in [
        ("header_fields", 257, "must be at most 256"),
        ("target_bytes", 20_000, "must be at most 16384"),
        ("header_bytes", 0, "must be at least 1"),
        ("connections_per_address", 0, "must be at least 1"),
        ("send_timeout", 0, "must be at least 1s"),
    ] {
        let world = limited(json!({}));
        let file = world.gateway.configuration_file();
        let mut configuration: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        configuration["listeners"][0]["limits"] = json!({key: value});
        let refusal = crate::support::gateway::serve_refused(file.parent().unwrap(), configuration.to_string().as_bytes());
        assert!(refusal.output.contains(told) && refusal.output.contains(key), "{key}: {}", refusal.output);
    }
}

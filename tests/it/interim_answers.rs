//! 100-continue in both directions, and trailers: what pingora carries, and that what it does not is left out without a trace.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::client::connect;
use crate::support::h2::Http2;
use crate::support::h2_target::{Http2Target, calls};
use crate::support::oracles::sign_in;
use crate::support::raw_target::{head, target};
use crate::support::wire::Wire;

fn before(settings: &serde_json::Value) -> World {
    World::start_with(|plan| plan.configuration["target_groups"]["app"] = settings.clone())
}

fn expecting(world: &World, path: &str, more: &str) -> Wire {
    let mut wire = connect(world.gateway.port);
    let authority = world.gateway.authority();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: {authority}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n{more}\r\n");
    wire.send(head.as_bytes()).unwrap();
    wire.read_timeout(Duration::from_secs(5));
    wire
}

/// Says 100 when asked for `/public/wanted`, and 413 without a body otherwise.
fn careful_target() -> std::net::SocketAddr {
    target(|mut stream, _| {
        let asked = String::from_utf8_lossy(&head(&mut stream)).into_owned();
        let expects = asked.lines().any(|line| line.eq_ignore_ascii_case("expect: 100-continue"));
        if !expects || !asked.contains("/wanted") {
            let _ = stream.write_all(b"HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return;
        }
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        let mut body = [0; 5];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(&body, b"hello");
        stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").unwrap();
    })
}

#[test]
fn a_client_that_waits_for_100_gets_that_of_the_target_and_then_sends() {
    let world = before(&json!({"targets": [careful_target().to_string()]}));
    let mut wire = expecting(&world, "/public/wanted", "");
    let interim = wire.until(b"\r\n\r\n").unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&interim));
    wire.send(b"hello").unwrap();
    assert_eq!(wire.response("PUT").unwrap().status(), 201);
}

#[test]
fn a_body_that_the_target_does_not_want_is_never_sent() {
    let world = before(&json!({"targets": [careful_target().to_string()]}));
    let mut wire = expecting(&world, "/public/unwanted", "");
    let answer = wire.until(b"\r\n\r\n").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_body_that_nobody_signed_in_sends_is_refused_before_it_is_sent() {
    let world = World::start();
    let mark = world.target.count();
    let since = Instant::now();
    let mut wire = expecting(&world, "/page", "");
    let answer = wire.until(b"\r\n\r\n").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&answer));
    assert!(since.elapsed() < Duration::from_secs(3), "after {:?}", since.elapsed());
    assert_eq!(world.target.count(), mark);
}

#[test]
fn a_client_that_does_not_wait_for_100_is_served_over_each_version() {
    let address = target(|mut stream, _| {
        while !head(&mut stream).is_empty() {
            let mut body = [0; 5];
            stream.read_exact(&mut body).unwrap();
            assert_eq!(&body, b"hello");
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    let world = before(&json!({"targets": [address.to_string()]}));
    let mut wire = expecting(&world, "/public/x", "");
    wire.send(b"hello").unwrap();
    assert_eq!(wire.response("PUT").unwrap().status(), 201);
    let authority = world.gateway.authority();
    let fields = [
        (":method", "PUT"),
        (":scheme", "https"),
        (":authority", authority.as_str()),
        (":path", "/public/x"),
        ("expect", "100-continue"),
        ("content-length", "5"),
    ];
    let outcome = Http2::connect(&world.gateway).request(&fields, Some(b"hello"), &[]);
    assert_eq!(outcome.status, Some(201), "{outcome:?}");
}

#[test]
fn trailers_of_an_http1_target_are_left_out_and_its_answer_is_whole() {
    let address = target(|mut stream, _| {
        while !head(&mut stream).is_empty() {
            let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\
                          Set-Cookie: AWSELBAuthSessionCookie-0=planted\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let world = before(&json!({"targets": [address.to_string()]}));
    let authority = world.gateway.authority();
    let mut wire = connect(world.gateway.port);
    for number in 0..3 {
        wire.send(format!("GET /public/{number} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).unwrap();
        let answer = wire.until(b"0\r\n\r\n").unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\nhello\r\n0\r\n\r\n"), "{answer}");
        assert!(!answer.contains("planted"), "{answer}");
    }
    let fields = [(":method", "GET"), (":scheme", "https"), (":authority", authority.as_str()), (":path", "/public/x")];
    let outcome = Http2::connect(&world.gateway).request(&fields, None, &[]);
    assert_eq!((outcome.status, outcome.body.as_slice()), (Some(200), &b"hello"[..]), "{outcome:?}");
}

#[test]
fn s18_trailers_of_a_target_set_no_cookies_and_frame_nothing() {
    let target = Http2Target::start();
    let world = before(&json!({"targets": [target.address()], "protocol_version": "http2"}));
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let cookie = browser.cookie_header();
    for (said, passes) in [
        ("x-sum: 1", true),
        ("set-cookie: AWSELBAuthSessionCookie-0=planted", false),
        ("set-cookie: theme=dark", false),
        ("content-length: 3", false),
        ("location: https://evil.test/", false),
    ] {
        let answer = &calls(&world.gateway, "/page", &[("cookie", &cookie), ("x-trailer", said)], &[], 1)[0];
        let name = said.split(": ").next().unwrap();
        assert_eq!(answer.status, 200, "{said}: {answer:?}");
        assert_eq!(answer.trailers.contains_key(name), passes, "{said}: {answer:?}");
        assert_eq!(answer.trailers.get("grpc-status").unwrap(), "0", "{said}");
    }
    // To a client of HTTP/1.1 the body comes alone.
    let response = browser.get_with("/page", &[("X-Trailer", "x-sum: 1")]);
    assert_eq!((response.status(), response.get("x-sum")), (200, None));
}

//! S18, H25, H26, D13, V01, V02: what a target may say, and what becomes of the visitor when it fails.

use crate::support::World;
use crate::support::client::{NAVIGATE, set_cookies};
use crate::support::gateway::{NONCE_COOKIE, SESSION_COOKIE};
use crate::support::oracles::sign_in;

fn answer(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok")
}

#[test]
fn s18_target_cannot_set_the_gateways_cookies() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let before = browser.session();
    let fields = format!(
        "Set-Cookie: {SESSION_COOKIE}-0=planted; Path=/\r\nSet-Cookie: theme=dark\r\nSet-Cookie: {NONCE_COOKIE}=planted\r\n\
         Set-Cookie: {SESSION_COOKIE}-3=planted\r\nSet-Cookie: lang=de; Path=/\r\n"
    );
    world.target.say("/plant", answer(&fields));
    let response = browser.get("/plant");
    assert_eq!(response.status(), 200, "{response}");
    let names: Vec<String> = set_cookies(&response).into_iter().map(|cookie| cookie.name).collect();
    assert_eq!(names, ["theme", "lang"]);
    assert_eq!(browser.session(), before);
}

#[test]
fn h25_hop_by_hop_headers_stay_on_their_hop() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let sent = [
        ("Connection", "keep-alive, X-Hop"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy", "http://evil.test/"),
        ("TE", "trailers"),
        ("X-Hop", "1"),
    ];
    assert_eq!(browser.get_with("/page", &sent).status(), 200);
    let seen = world.target.last();
    for name in ["keep-alive", "proxy-connection", "proxy", "x-hop"] {
        assert!(seen.get(name).is_none(), "{name} at the target");
    }
    let fields = "Connection: X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=5\r\nX-Outer: 1\r\n";
    world.target.say("/hop", answer(fields));
    let response = browser.get("/hop");
    assert_eq!(response.status(), 200, "{response}");
    assert_eq!(response.get("x-outer"), Some("1"));
    assert!(response.get("keep-alive").is_none(), "Keep-Alive of the target");
}

#[test]
fn v01_target_that_fails_is_told_apart_and_costs_no_session() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    for (variant, said) in [
        ("closed", ""),
        ("garbage", "garbage\r\n\r\n"),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-"),
        ("a bad status", "HTTP/1.1 OK\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
        ("a bad length", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok"),
    ] {
        world.target.say("/broken", said);
        let response = browser.get("/broken");
        assert_eq!(response.status(), 502, "{variant}: {response}");
        assert!(response.get("cache-control").is_some_and(|value| value.contains("no-store")), "{variant}");
        assert!(response.get("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{variant}");
        assert_eq!(browser.get("/page").status(), 200, "{variant}: the next request");
    }
}

#[test]
fn v01_answer_that_is_cut_off_is_not_passed_as_whole() {
    let world = World::start();
    for (variant, said) in [
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"),
        ("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n"),
        ("a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nZZ\r\n"),
    ] {
        world.target.say("/public/cut", said);
        let mut wire = crate::support::client::connect(world.gateway.port);
        let request = format!("GET /public/cut HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority());
        wire.send(request.as_bytes()).unwrap();
        wire.read_timeout(std::time::Duration::from_secs(5));
        match wire.response("GET") {
            Ok(response) => assert_eq!(response.status(), 502, "{variant}: passed as whole: {response}"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{variant}: {error}"),
        }
    }
}

#[test]
fn v02_request_with_a_body_is_sent_once() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    world.target.say("/order", "");
    for _ in 0..3 {
        let mark = world.target.count();
        let response = browser.request("POST", "/order", NAVIGATE, &[], Some(b"one"));
        assert_eq!(response.status(), 502, "{response}");
        assert_eq!(world.target.since(mark).len(), 1, "sent again");
        // A kept connection to the target, on which the next one is sent.
        assert_eq!(browser.get("/page").status(), 200);
    }
}

#[test]
fn d13_answer_of_one_never_becomes_the_answer_of_another() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for (variant, said) in [
        ("two answers", format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{poison}")),
        ("204 with a body", format!("HTTP/1.1 204 No Content\r\nContent-Length: 61\r\n\r\n{poison}")),
        ("304 with a body", format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 61\r\n\r\n{poison}")),
        ("both framings", format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{poison}")),
        ("interim answers", format!("{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(5))),
    ] {
        world.target.say("/attack", said);
        browser.get("/attack");
        for n in 0..5 {
            let path = format!("/victim/{n}");
            let response = browser.get(&path);
            assert_eq!(response.status(), 200, "{variant}: {response}");
            assert!(response.text().contains(&path), "{variant}: another's answer: {response}");
        }
    }
}

//! D02, D04, D06, D07: one request in, at most one request out, and no byte of a body ever read as a request
//! (RFC 9112 sections 6 and 11).

use std::time::Duration;

use crate::support::World;
use crate::support::client::{connect, raw};
use crate::support::oracles::{no_bypass, sign_in};

const SMUGGLED: &str = "GET /public/smuggled HTTP/1.1\r\nHost: app.test\r\nX-Smuggled: 1\r\n\r\n";

/// ONEREQ: at most one request arrived, framed in one way, and none of it was inside another.
fn one_request(world: &World, mark: usize, variant: &str) {
    let seen = world.target.since(mark);
    assert!(seen.len() <= 1, "{variant}: {} requests at the target", seen.len());
    for request in &seen {
        let lengths = request.head.all("content-length");
        let encodings = request.head.all("transfer-encoding");
        assert!(lengths.len() + encodings.len() <= 1, "{variant}: {lengths:?} and {encodings:?}");
        assert!(!request.target.contains("smuggled"), "{variant}: smuggled");
        assert!(request.get("x-smuggled").is_none(), "{variant}: smuggled header");
    }
}

/// Sends `request` and then asks for more: nothing smuggled arrives, and any answer belongs to its request.
fn stays_one(world: &World, request: &str, variant: &str) -> u16 {
    let mark = world.target.count();
    let mut wire = connect(world.gateway.port);
    wire.send(request.as_bytes()).unwrap();
    wire.read_timeout(Duration::from_secs(5));
    let status = wire.response("POST").map_or(400, |response| response.status());
    // A second answer to one request would be the smuggled one's.
    wire.read_timeout(Duration::from_millis(150));
    if let Ok(second) = wire.response("GET") {
        assert!(second.status() >= 400, "{variant}: a second answer {second}");
    }
    one_request(world, mark, variant);
    status
}

#[test]
fn d02_length_and_chunks_together_are_refused_or_made_unambiguous() {
    let world = World::start();
    let host = format!("Host: {}\r\n", world.gateway.authority());
    let length = |n: usize| format!("Content-Length: {n}\r\n");
    let chunked = "Transfer-Encoding: chunked\r\n";
    let inner = format!("0\r\n\r\n{SMUGGLED}");
    for (variant, headers, body) in [
        ("length first", length(inner.len()) + chunked, inner.clone()),
        ("chunks first", chunked.to_owned() + &length(inner.len()), inner.clone()),
        ("short length", length(4) + chunked, format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len())),
        ("chunked twice", chunked.to_owned() + chunked, inner.clone()),
        ("chunked, identity", "Transfer-Encoding: chunked, identity\r\n".to_owned(), inner.clone()),
        ("identity, chunked", "Transfer-Encoding: identity, chunked\r\n".to_owned(), inner.clone()),
        ("xchunked", "Transfer-Encoding: xchunked\r\n".to_owned() + &length(inner.len()), inner.clone()),
        ("a tab", "Transfer-Encoding:\tchunked\r\n".to_owned() + &length(inner.len()), inner.clone()),
        ("a vertical tab", "Transfer-Encoding: \x0bchunked\r\n".to_owned() + &length(inner.len()), inner.clone()),
        ("a form feed", "Transfer-Encoding: \x0cchunked\r\n".to_owned() + &length(inner.len()), inner.clone()),
        ("capitals", "Transfer-Encoding: CHUNKED\r\n".to_owned() + &length(inner.len()), inner.clone()),
        ("a parameter", "Transfer-Encoding: chunked;q=1\r\n".to_owned() + &length(inner.len()), inner.clone()),
        ("a comma first", "Transfer-Encoding: ,chunked\r\n".to_owned() + &length(inner.len()), inner.clone()),
        ("an underscore", "Transfer_Encoding: chunked\r\n".to_owned() + &length(inner.len()), inner.clone()),
    ] {
        for path in ["/public/x", "/private/x"] {
            let request = format!("POST {path} HTTP/1.1\r\n{host}{headers}\r\n{body}");
            let status = stays_one(&world, &request, &format!("{variant} to {path}"));
            assert!(matches!(status, 200 | 400 | 401 | 501), "{variant} to {path}: {status}");
        }
    }
    // The classic pair is refused outright.
    for headers in [length(inner.len()) + chunked, chunked.to_owned() + &length(inner.len())] {
        let mark = world.target.count();
        let request = format!("POST /public/x HTTP/1.1\r\n{host}{headers}\r\n{inner}");
        let status = raw(&world.gateway, request).map_or(400, |response| response.status());
        if status != 400 {
            let seen = world.target.since(mark);
            assert!(seen.iter().all(|request| request.get("content-length").is_none()), "{status}");
        }
    }
}

#[test]
fn d04_body_without_an_end_of_its_own_is_refused() {
    let world = World::start();
    let host = format!("Host: {}\r\n", world.gateway.authority());
    for (variant, request) in [
        ("HTTP/1.0 with chunks", format!("POST /public HTTP/1.0\r\n{host}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")),
        (
            "HTTP/1.0 with chunks and kept alive",
            format!("POST /public HTTP/1.0\r\n{host}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"),
        ),
        ("an unknown encoding", format!("POST /public HTTP/1.1\r\n{host}Transfer-Encoding: gzip\r\n\r\n{SMUGGLED}")),
    ] {
        let status = stays_one(&world, &request, variant);
        assert!(matches!(status, 400 | 501 | 505), "{variant}: {status}");
    }
    // A body without a length is no body: what follows is refused, or a request of its own.
    let request = format!("POST /private HTTP/1.1\r\n{host}\r\nno length");
    let mark = world.target.count();
    let response = raw(&world.gateway, request);
    no_bypass(&world, mark, response.as_ref(), "no length");
}

#[test]
fn d06_unread_body_never_becomes_the_next_request() {
    let world = World::start();
    let authority = world.gateway.authority();
    let smuggled = format!("GET /public/smuggled HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    for (variant, path) in [
        ("challenged", "/private"),
        ("denied", "/deny"),
        ("callback", "/oauth2/idpresponse?code=x&state=y"),
        ("session endpoint", "/oauth2/session"),
        ("malformed", "/public/%zz"),
        ("traced", "/trace-me"),
    ] {
        for chunked in [false, true] {
            let method = if variant == "traced" { "TRACE" } else { "POST" };
            let framing = if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {}", smuggled.len()) };
            let body = if chunked { format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len()) } else { smuggled.clone() };
            let mark = world.target.count();
            let variant = format!("{variant}, chunked: {chunked}");
            let mut wire = connect(world.gateway.port);
            let head = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{framing}\r\n\r\n");
            // The head alone first, so that the answer may come before the body.
            wire.send(head.as_bytes()).unwrap();
            let _ = wire.send(body.as_bytes());
            let first = wire.response("POST").unwrap();
            assert!((400..600).contains(&first.status()), "{variant}: {first}");
            // Either the connection is closed, or the next request on it is answered as itself.
            let next = format!("GET /public/next HTTP/1.1\r\nHost: {authority}\r\n\r\n");
            if wire.send(next.as_bytes()).is_ok() {
                wire.read_timeout(Duration::from_secs(5));
                if let Ok(second) = wire.response("GET") {
                    assert!(!second.text().contains("smuggled"), "{variant}: {second}");
                }
            }
            let seen = world.target.since(mark);
            assert!(
                seen.iter().all(|request| request.target == "/public/next"),
                "{variant}: the target saw {:?}",
                seen.iter().map(|request| &request.target).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn d06_body_that_a_signed_in_person_sends_stays_a_body() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let body = format!("{SMUGGLED}{SMUGGLED}");
    let mark = world.target.count();
    let navigate = crate::support::client::NAVIGATE;
    let response = browser.request("POST", "/form", navigate, &[], Some(body.as_bytes()));
    assert_eq!(response.status(), 200, "{response}");
    assert_eq!(browser.get("/next").status(), 200);
    let seen = world.target.since(mark);
    let targets: Vec<&str> = seen.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/form", "/next"]);
    assert_eq!(seen[0].body, body.as_bytes());
}

#[test]
fn d07_length_that_is_no_number_is_refused() {
    let world = World::start();
    let host = format!("Host: {}\r\n", world.gateway.authority());
    for line in [
        "Content-Length:",
        "Content-Length: +5",
        "Content-Length: -0",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5,5",
        "Content-Length: 5, 6",
        "Content-Length: 5 5",
        "Content-Length: 1_0",
        "Content-Length: 5.0",
        "Content-Length: 5e0",
        "Content-Length: \"5\"",
        "Content-Length: 18446744073709551616",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: \x0c5",
        "Content-Length : 5",
        "Content-Length\t: 5",
        "Content-Length: ５",
    ] {
        for path in ["/public/x", "/private/x"] {
            let request = format!("POST {path} HTTP/1.1\r\n{host}{line}\r\n\r\nhello{SMUGGLED}");
            let variant = format!("{line:?} to {path}");
            let mark = world.target.count();
            let status = raw(&world.gateway, &request).map_or(400, |response| response.status());
            assert_eq!(status, 400, "{variant}");
            no_bypass(&world, mark, None, &variant);
        }
    }
    // Equal lengths and leading zeros mean one thing; where they pass, they pass as one.
    for line in ["Content-Length: 005", "Content-Length: 5\r\nContent-Length: 5"] {
        let request = format!("POST /public/x HTTP/1.1\r\n{host}{line}\r\n\r\nhello");
        let status = stays_one(&world, &request, line);
        assert!(matches!(status, 200 | 400), "{line:?}: {status}");
    }
}

#[test]
fn d09_line_ends_and_control_characters_in_a_head_are_refused() {
    let world = World::start();
    let host = format!("Host: {}", world.gateway.authority());
    for (variant, request) in [
        ("NUL in a value", format!("GET /public HTTP/1.1\r\n{host}\r\nX-A: b\0c\r\n\r\n")),
        ("CR in a value", format!("GET /public HTTP/1.1\r\n{host}\r\nX-A: b\rX-B: c\r\n\r\n")),
        ("CR in the target", format!("GET /public\rx HTTP/1.1\r\n{host}\r\n\r\n")),
        ("LF in the target", format!("GET /public\nx HTTP/1.1\r\n{host}\r\n\r\n")),
        ("no colon", format!("GET /public HTTP/1.1\r\n{host}\r\nnonsense\r\n\r\n")),
        ("no name", format!("GET /public HTTP/1.1\r\n{host}\r\n: value\r\n\r\n")),
        ("another version", format!("GET /public HTTP/1.9\r\n{host}\r\n\r\n")),
        ("HTTP/2.0 in words", format!("GET /public HTTP/2.0\r\n{host}\r\n\r\n")),
        ("no version", format!("GET /public\r\n{host}\r\n\r\n")),
    ] {
        let mark = world.target.count();
        let status = raw(&world.gateway, &request).map_or(400, |response| response.status());
        assert!(matches!(status, 400 | 505), "{variant}: {status}");
        no_bypass(&world, mark, None, variant);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_each_as_itself() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let (authority, cookie) = (world.gateway.authority(), browser.cookie_header());
    let requests: String = (0..20)
        .map(|n| {
            let session = if n % 2 == 0 { format!("Cookie: {cookie}\r\n") } else { String::new() };
            format!("GET /page/{n} HTTP/1.1\r\nHost: {authority}\r\n{session}\r\n")
        })
        .collect();
    let mut wire = connect(world.gateway.port);
    wire.send(requests.as_bytes()).unwrap();
    for n in 0..20 {
        let response = wire.response("GET").unwrap_or_else(|error| panic!("{n}: no answer ({error})"));
        if n % 2 == 0 {
            assert_eq!(response.status(), 200, "{n}: {response}");
            assert!(response.text().contains(&format!("/page/{n}\n")), "{n}: {response}");
        } else {
            assert!(matches!(response.status(), 302 | 401), "{n}: {response}");
        }
    }
}

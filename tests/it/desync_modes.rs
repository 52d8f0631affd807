//! D02, D07, D09, D11, D12: what becomes of requests that could be read in two ways, in each `desync_mitigation_mode`; and the one form in
//! which lengths go on.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::client::{connect, raw};
use crate::support::h2::Http2;

fn world(mode: &str) -> World {
    World::start_with(|plan| plan.listener()["desync_mitigation_mode"] = json!(mode))
}

/// Status, how often it arrived, and what the log calls it.
fn outcome(world: &World, request: &str) -> (u16, usize, String) {
    let (mark, lines) = (world.target.count(), world.gateway.access_lines().len());
    let response = raw(&world.gateway, request).expect("each request is answered");
    let line = world.gateway.access_lines_with(lines + 1, |_| true).pop().unwrap();
    let word = |name: &str| line[name].as_str().unwrap().to_owned();
    let class = format!("{} {}", word("classification"), word("classification_reason"));
    (response.status(), world.target.since(mark).len(), class)
}

#[test]
fn each_mode_lets_pass_what_it_says_and_the_log_names_what_was_odd() {
    let (monitor, defensive, strictest) = (world("monitor"), world("defensive"), world("strictest"));
    for (head, class, passes) in [
        ("GET /public HTTP/1.1\r\n", "- -", [true, true, true]),
        ("GET /public HTTP/1.1\r\nContent-Length: 0\r\n", "Acceptable GetHeadZeroContentLength", [true, true, false]),
        ("GET /public HTTP/1.1\r\nContent-Length: 5\r\n", "Ambiguous UndefinedContentLengthSemantics", [true, true, false]),
        ("POST /public HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 05\r\n", "Ambiguous DuplicateContentLength", [true, false, false]),
        ("GET /public?a b HTTP/1.1\r\n", "Acceptable SpaceInUri", [true, false, false]),
        ("GET /public HTTP/1.1\r\nX Y: 1\r\n", "Acceptable NonCompliantHeader", [true, false, false]),
        ("GET /public HTTP/1.1\r\n: 1\r\n", "Ambiguous EmptyHeader", [true, false, false]),
        ("POST /public HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Ambiguous BothTeClPresent", [false; 3]),
        ("POST /public HTTP/1.1\r\nTransfer_Encoding: chunked\r\n", "Ambiguous SuspiciousHeader", [false; 3]),
        ("POST /public HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n", "Severe MultipleContentLength", [false; 3]),
        ("POST /public HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n", "Severe BadTransferEncoding", [false; 3]),
        ("GET /public HTTP/1.1\r\nX: a\0b\r\n", "Severe BadHeader", [false; 3]),
        ("GET /public\tx HTTP/1.1\r\n", "Ambiguous AmbiguousUri", [false; 3]),
        ("PRI * HTTP/2.0\r\n", "Severe BadVersion", [false; 3]),
    ] {
        for (world, passes) in [&monitor, &defensive, &strictest].into_iter().zip(passes) {
            let request = format!("{head}Host: {}\r\n\r\nhello", world.gateway.authority());
            let (status, arrived, said) = outcome(world, &request);
            assert_eq!((status, arrived), if passes { (200, 1) } else { (400, 0) }, "{head:?}");
            assert_eq!(said, class, "{head:?}");
        }
    }
    let seen = monitor.target.since(0);
    assert!(seen.iter().any(|request| request.target == "/public?a%20b"), "the space in its one form");
    assert!(seen.iter().all(|request| request.head.all("content-length").len() <= 1 && request.get("x y").is_none()));
    let metrics = defensive.gateway.admin("/metrics").unwrap().text();
    let counted = "vestibule_desync_requests_total{classification=\"Severe\"";
    assert!(metrics.lines().any(|line| line.starts_with(counted) && line.contains("reason=\"MultipleContentLength\"")), "{metrics}");
    // Octets beyond ASCII are what old applications send; who wants none of them says so.
    for (world, status) in [(&defensive, 200), (&strictest, 400)] {
        let head = format!("GET /public HTTP/1.1\r\nHost: {}\r\nX-Name: J", world.gateway.authority());
        let request = [head.as_bytes(), b"\xfcrgen\r\n\r\n"].concat();
        assert_eq!(raw(&world.gateway, request).unwrap().status(), status);
    }
    let last = defensive.target.last();
    assert!(last.raw.windows(8).any(|window| window == b"J\xfcrgen\r\n"), "not as it was sent");
}

#[test]
fn refusal_is_a_page_for_people_and_json_for_programs_and_ends_the_connection() {
    let world = World::start();
    let authority = world.gateway.authority();
    for (accept, mark) in [("text/html", "<!doctype html>"), ("application/json", "{\"error\":\"bad_request\"")] {
        let mut wire = connect(world.gateway.port);
        let request = format!(
            "GET /public HTTP/1.1\r\nHost: {authority}\r\nAccept: {accept}\r\nSec-Fetch-Mode: {}\r\nX\r\n\r\n",
            if mark.starts_with('<') { "navigate" } else { "cors" }
        );
        wire.send(request.as_bytes()).unwrap();
        let response = wire.response("GET").unwrap();
        assert_eq!((response.status(), response.get("connection")), (400, Some("close")), "{response}");
        assert!(response.text().to_lowercase().starts_with(mark), "{response}");
        assert!(wire.rest().is_empty());
    }
    assert!(world.gateway.logs_reason("RequestInvalidHeader"));
}

#[test]
fn d11_content_of_a_method_that_has_none_is_the_last_of_its_connections() {
    let world = World::start();
    let authority = world.gateway.authority();
    let smuggled = format!("GET /public/smuggled HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let mark = world.target.count();
        let mut wire = connect(world.gateway.port);
        let head = format!("{method} /public HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n\r\n", smuggled.len());
        wire.send((head + &smuggled).as_bytes()).unwrap();
        let response = wire.response(method).unwrap();
        assert_eq!(response.status(), 200, "{method}");
        let seen = world.target.since(mark);
        assert_eq!((seen.len(), seen[0].body.len()), (1, smuggled.len()), "{method}");
        let is_last = matches!(method, "GET" | "HEAD");
        assert_eq!(seen[0].get("connection") == Some("close"), is_last, "{method}: the target's connection");
        assert_eq!(response.get("connection") == Some("close"), is_last, "{method}: the client's connection");
    }
    let mark = world.target.count();
    let fields = [(":method", "GET"), (":scheme", "https"), (":authority", authority.as_str()), (":path", "/public")];
    let outcome = Http2::connect(&world.gateway).request(&fields, Some(smuggled.as_bytes()), &[]);
    assert_eq!(outcome.status, Some(200));
    assert_eq!(world.target.since(mark)[0].get("connection"), Some("close"), "over HTTP/2");
}

/// Whoever switches protocols brings no content: to a target that reads neither it would be the next request.
#[test]
fn d11_content_beside_an_offer_to_switch_is_refused() {
    let world = World::start();
    let authority = world.gateway.authority();
    for more in ["Content-Length: 10\r\n\r\n0123456789", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"] {
        let (status, arrived, _) =
            outcome(&world, &format!("GET /public HTTP/1.1\r\nHost: {authority}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n{more}"));
        assert_eq!((status, arrived), (400, 0), "{more}");
    }
}

#[test]
fn d12_empty_lines_in_front_are_left_out_and_a_thousand_refused() {
    let world = World::start();
    let head = format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority());
    for (lines, status) in [(1, 200), (2, 200), (1000, 400)] {
        let mark = world.target.count();
        let response = raw(&world.gateway, "\r\n".repeat(lines) + &head).unwrap();
        assert_eq!((response.status(), world.target.since(mark).len()), (status, usize::from(status == 200)), "{lines}");
    }
}

#[test]
fn lengths_go_on_in_one_form_in_both_directions() {
    let world = World::start();
    let request = format!("POST /public HTTP/1.1\r\nHost: {}\r\nContent-Length: 005\r\n\r\nhello", world.gateway.authority());
    assert_eq!(raw(&world.gateway, request).unwrap().status(), 200);
    let last = world.target.last();
    assert_eq!((last.head.all("content-length"), &*last.body), (vec!["5"], &b"hello"[..]));
    for (name, fields, expected) in [
        ("a list", "Content-Length: 2, 2\r\n", Some("2")),
        ("twice", "Content-Length: 2\r\nContent-Length: 2\r\n", Some("2")),
        ("zeros", "Content-Length: 002\r\n", Some("2")),
        ("two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n", None),
        ("two lengths in a list", "Content-Length: 2, 3\r\n", None),
        ("another coding", "Transfer-Encoding: gzip, chunked\r\n", None),
        ("a coding twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", None),
    ] {
        world.target.say("/public/odd", format!("HTTP/1.1 200 OK\r\n{fields}\r\n2\r\nok\r\n0\r\n\r\n"));
        let response = raw(&world.gateway, format!("GET /public/odd HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority())).unwrap();
        match expected {
            Some(length) => assert_eq!((response.status(), response.head.all("content-length")), (200, vec![length]), "{name}"),
            None => assert_eq!(response.status(), 502, "{name}: {response}"),
        }
    }
}

#[test]
fn p20_characters_that_no_path_has_are_refused() {
    let world = World::start();
    for path in ["/public/<x>", "/public/\"x\"", "/public/x>y"] {
        let (status, arrived, _) = outcome(&world, &format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()));
        assert_eq!((status, arrived), (400, 0), "{path}");
    }
    let request = format!("GET /public?q=<\"x\"> HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority());
    assert_eq!(outcome(&world, &request), (200, 1, "- -".to_owned()));
    assert_eq!(world.target.last().target, "/public?q=%3C%22x%22%3E");
}

/// D14: everybody gets the answer to what they asked for, while somebody tries to make others get theirs.
#[test]
fn d14_attempts_to_get_out_of_step_change_nobody_elses_answer() {
    let world = World::start();
    let authority = world.gateway.authority();
    let attacks = [
        "POST /public HTTP/1.1\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /public/stolen HTTP/1.1\r\n",
        "POST /public HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x\nhello\r\n0\r\n\r\n",
        "POST /public HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n",
        "POST /public HTTP/1.1\r\nContent-Length : 30\r\n\r\nGET /public/stolen HTTP/1.1\r\n\r\n",
        "GET /public HTTP/1.1\r\nContent-Length: 40\r\n\r\nGET /public/stolen HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /public HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\nGET /public/stolen HTTP/1.1\r\n",
        "GET /public HTTP/1.1\r\nUpgrade: websocket\r\n\r\nGET /public/stolen HTTP/1.1\r\n\r\n",
    ];
    std::thread::scope(|scope| {
        for attack in attacks {
            let request = attack.replacen("\r\n", &format!("\r\nHost: {authority}\r\n"), 1);
            scope.spawn(|| {
                let request = request;
                for _ in 0..10 {
                    let mut wire = connect(world.gateway.port);
                    wire.read_timeout(Duration::from_millis(200));
                    let _ = wire.send(request.as_bytes());
                    let _ = wire.response("POST");
                }
            });
        }
        scope.spawn(|| {
            let mut wire = connect(world.gateway.port);
            for number in 0..100 {
                let token = format!("/public/victim/{number}");
                wire.send(format!("GET {token} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).unwrap();
                let response = wire.response("GET").unwrap();
                assert!(response.text().contains(&format!("GET {token}\n")), "{token}: {response}");
            }
        });
    });
    let stolen: Vec<Value> =
        world.target.since(0).iter().filter(|request| request.target.contains("stolen")).map(|request| json!(request.target)).collect();
    assert!(stolen.is_empty(), "{stolen:?}");
}

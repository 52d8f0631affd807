//! V01 to V05, D13: targets that die, hang, reset, drip and answer garbage. One visitor's bad luck is never another's answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;
use crate::support::client::{connect, raw};
use crate::support::gateway::{eventually, free_port};
use crate::support::h2::Http2;
use crate::support::raw_target::{head, reset, target};
use crate::support::wire::{Response, Wire};

fn before(settings: &Value) -> World {
    World::start_with(|plan| plan.configuration["target_groups"]["app"] = settings.clone())
}

fn request(world: &World, method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{more}\r\n", world.gateway.authority())
}

fn ask(world: &World, method: &str, path: &str, more: &str) -> Option<Response> {
    raw(&world.gateway, request(world, method, path, more))
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn v01_target_that_is_not_there_is_502_or_503_at_once() {
    for (targets, status, reason) in [
        (json!([format!("127.0.0.1:{}", free_port())]), 502, "TargetFailed"),
        (json!(["nobody.invalid:80"]), 503, "TargetUnavailable"),
        (json!(["unix:/nobody/listens/here.sock"]), 502, "TargetFailed"),
    ] {
        let world = before(&json!({ "targets": targets }));
        let since = Instant::now();
        let response = ask(&world, "GET", "/public/x", "").unwrap();
        assert_eq!(response.status(), status, "{targets}: {response}");
        assert!(since.elapsed() < Duration::from_secs(5), "{targets}: after {:?}", since.elapsed());
        assert!(world.gateway.logs_reason(reason), "{targets}: {:?}", world.gateway.access_lines());
    }
}

#[test]
fn v01_target_that_takes_no_connection_in_time_is_504() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once the queue is full, the kernel lets further ones wait.
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 64, "the queue does not fill");
    }
    let world = before(&json!({"targets": [address.to_string()], "timeouts": {"connect": "1s"}}));
    let since = Instant::now();
    assert_eq!(ask(&world, "GET", "/public/x", "").unwrap().status(), 504);
    assert!((1..6).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
}

#[test]
fn v01_target_that_resets_before_its_answer_is_502() {
    // With a connection that was opened for the request, and with one that was kept.
    for kept in [false, true] {
        let address = target(move |mut stream, _| {
            if kept {
                head(&mut stream);
                stream.write_all(OK).unwrap();
            }
            let mut some = [0; 10];
            let _ = stream.read_exact(&mut some);
            reset(stream);
        });
        let world = before(&json!({"targets": [address.to_string()]}));
        if kept {
            assert_eq!(ask(&world, "GET", "/public/x", "").unwrap().status(), 200);
        }
        let body = "Content-Length: 3\r\n";
        let mut wire = connect(world.gateway.port);
        wire.send(format!("{}abc", request(&world, "POST", "/public/x", body)).as_bytes()).unwrap();
        assert_eq!(wire.response("POST").unwrap().status(), 502, "kept: {kept}");
    }
}

#[test]
fn v01_answer_that_breaks_off_is_no_clean_end_for_any_version() {
    let address = target(|mut stream, _| {
        let asked = String::from_utf8_lossy(&head(&mut stream)).into_owned();
        let start = if asked.contains("/chunks") {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
        } else {
            "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"
        };
        stream.write_all(start.as_bytes()).unwrap();
        // The body of the request is still unread: an RST.
        if asked.contains("/reset") { reset(stream) } else { drop(stream) }
    });
    let world = before(&json!({"targets": [address.to_string()]}));
    let authority = world.gateway.authority();
    for path in ["/public/length", "/public/chunks", "/public/reset/length", "/public/reset/chunks"] {
        let mut wire = connect(world.gateway.port);
        wire.read_timeout(Duration::from_secs(5));
        wire.send(format!("{}abc", request(&world, "POST", path, "Content-Length: 3\r\n")).as_bytes()).unwrap();
        if let Ok(response) = wire.response("POST") {
            assert_eq!(response.status(), 502, "{path}: passed as whole: {response}");
        }
        let fields = [(":method", "POST"), (":scheme", "https"), (":authority", authority.as_str()), (":path", path)];
        let outcome = Http2::connect(&world.gateway).request(&fields, Some(b"abc"), &[]);
        let is_told = outcome.status == Some(502) || outcome.reset.is_some_and(|code| code != 0) || outcome.closed;
        assert!(is_told, "{path}: passed as whole: {outcome:?}");
    }
}

#[test]
fn v01_target_that_says_nothing_or_too_little_is_504_in_time() {
    for (variant, said) in [("nothing", ""), ("half a head", "HTTP/1.1 200 OK\r\nX-Half: ")] {
        let address = target(move |mut stream, _| {
            head(&mut stream);
            stream.write_all(said.as_bytes()).unwrap();
            // Until the other side has gone.
            let _ = stream.read(&mut [0]);
        });
        let world = before(&json!({"targets": [address.to_string()], "timeouts": {"response": "1s"}}));
        let since = Instant::now();
        let response = ask(&world, "GET", "/public/x", "").unwrap();
        assert_eq!(response.status(), 504, "{variant}: {response}");
        assert!(since.elapsed() < Duration::from_secs(5), "{variant}: after {:?}", since.elapsed());
        assert!(world.gateway.logs_reason("TargetTimeout"), "{variant}");
    }
}

#[test]
fn v01_body_that_stalls_ends_and_one_that_drips_does_not() {
    let address = target(|mut stream, _| {
        let asked = head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n").unwrap();
        let is_drip = asked.windows(5).any(|window| window == b"/drip");
        for octet in b"slowly".iter().take(if is_drip { 6 } else { 2 }) {
            stream.write_all(&[*octet]).unwrap();
            thread::sleep(Duration::from_millis(400));
        }
        let _ = stream.read(&mut [0]);
    });
    let world = before(&json!({"targets": [address.to_string()], "timeouts": {"response": "1s"}}));
    assert_eq!(ask(&world, "GET", "/public/drip", "").unwrap().text(), "slowly");
    let since = Instant::now();
    assert!(ask(&world, "GET", "/public/stall", "").is_none(), "passed as whole");
    assert!(since.elapsed() < Duration::from_secs(6), "after {:?}", since.elapsed());
}

#[test]
fn v01_answer_that_comes_before_the_body_has_ended_reaches_the_client() {
    let address = target(|mut stream, _| {
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 413 Too Much\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much").unwrap();
        // As a careful server does: it reads on for a moment, so that no RST overtakes the answer.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut piece = [0; 65536];
        while matches!(stream.read(&mut piece), Ok(count) if count > 0) {}
    });
    let world = before(&json!({"targets": [address.to_string()]}));
    let mut wire = connect(world.gateway.port);
    wire.send(request(&world, "PUT", "/public/x", "Content-Length: 100000000\r\n").as_bytes()).unwrap();
    wire.send(&[b'x'; 100_000]).unwrap();
    let response = wire.response("PUT").unwrap();
    assert_eq!((response.status(), response.text().as_str()), (413, "too much"), "{response}");
}

#[test]
fn v02_request_that_is_not_idempotent_is_sent_once() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    let address = target(move |mut stream, _| {
        loop {
            let asked = head(&mut stream);
            if asked.is_empty() {
                return;
            }
            if asked.starts_with(b"GET") {
                stream.write_all(OK).unwrap();
                continue;
            }
            counted.fetch_add(1, Ordering::SeqCst);
            let mut body = [0; 3];
            stream.read_exact(&mut body).unwrap();
            return;
        }
    });
    let world = before(&json!({"targets": [address.to_string(), address.to_string().replace("127.0.0.1", "127.0.0.2")]}));
    for method in ["POST", "PATCH"] {
        // A connection that is kept, so that it could be taken for a stale one.
        assert_eq!(ask(&world, "GET", "/public/x", "").unwrap().status(), 200);
        let mark = seen.load(Ordering::SeqCst);
        let mut wire = connect(world.gateway.port);
        wire.send(format!("{}abc", request(&world, method, "/public/order", "Content-Length: 3\r\n")).as_bytes()).unwrap();
        assert_eq!(wire.response(method).unwrap().status(), 502, "{method}");
        assert_eq!(seen.load(Ordering::SeqCst) - mark, 1, "{method} was sent again");
    }
}

#[test]
fn v03_kept_connections_that_a_target_closes_cost_nobody_an_answer() {
    let address = target(|mut stream, number| {
        // Answers once or twice and goes: before, or while the next request is on its way.
        for _ in 0..=number % 2 {
            if head(&mut stream).is_empty() {
                return;
            }
            stream.write_all(OK).unwrap();
        }
        match number % 3 {
            0 => {}
            1 => thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = stream.read(&mut [0; 5]);
            }
        }
    });
    let world = before(&json!({"targets": [address.to_string()]}));
    let mut wire = connect(world.gateway.port);
    for number in 0..200 {
        let method = ["GET", "HEAD", "OPTIONS"][number % 3];
        wire.send(request(&world, method, "/public/x", "").as_bytes()).unwrap();
        let response = wire.response(method).unwrap();
        assert_eq!(response.status(), 200, "request {number}: {response}");
    }
}

#[test]
fn v04_interim_answers_are_passed_or_dropped_and_never_final() {
    let address = target(|mut stream, _| {
        while !head(&mut stream).is_empty() {
            stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n").unwrap();
            stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").unwrap();
            stream.write_all(OK).unwrap();
        }
    });
    let world = before(&json!({"targets": [address.to_string()]}));
    for _ in 0..3 {
        let mut wire = connect(world.gateway.port);
        wire.send(request(&world, "GET", "/public/x", "").as_bytes()).unwrap();
        let hint = String::from_utf8(wire.until(b"\r\n\r\n").unwrap()).unwrap();
        assert!(hint.starts_with("HTTP/1.1 103") && hint.contains("</style.css>"), "{hint}");
        assert_eq!(wire.response("GET").unwrap().text(), "ok");
        let authority = world.gateway.authority();
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", authority.as_str()), (":path", "/public/x")];
        let outcome = Http2::connect(&world.gateway).request(&fields, None, &[]);
        assert_eq!((outcome.status, outcome.body.as_slice()), (Some(200), &b"ok"[..]), "{outcome:?}");
    }
    let lines = world.gateway.access_lines_with(6, |line| line["elb_status_code"] == 200);
    assert!(lines.len() >= 6 && lines.iter().all(|line| line["target_status_code"] == 200), "{lines:?}");
}

#[test]
fn v04_switch_of_protocols_that_nobody_asked_for_is_502() {
    let address = target(|mut stream, _| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nsmuggled");
        let _ = stream.read(&mut [0]);
    });
    let world = before(&json!({"targets": [address.to_string()]}));
    let response = ask(&world, "GET", "/public/x", "").unwrap();
    assert_eq!(response.status(), 502, "{response}");
    assert!(!response.text().contains("smuggled"));
}

/// What is wrong with an answer, and its bytes.
fn malformed() -> Vec<(&'static str, String)> {
    let huge = format!("HTTP/1.1 200 OK\r\nX-Huge: {}\r\nContent-Length: 2\r\n\r\nok", "x".repeat(2 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X-Many: 1\r\n".repeat(5000));
    vec![
        ("status 099", "HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\nok".to_owned()),
        ("status 1000", "HTTP/1.1 1000 High\r\nContent-Length: 2\r\n\r\nok".to_owned()),
        ("status 20", "HTTP/1.1 20 Short\r\nContent-Length: 2\r\n\r\nok".to_owned()),
        ("a head of 2 MiB", huge),
        ("5000 fields", many),
        ("another protocol", "ICY 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned()),
        ("HTTP/0.9", "<html>ok</html>".to_owned()),
        ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok".to_owned()),
        ("two lengths in one", "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok!".to_owned()),
        ("a NUL in a value", "HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 2\r\n\r\nok".to_owned()),
        ("a space in a name", "HTTP/1.1 200 OK\r\nX Space: 1\r\nContent-Length: 2\r\n\r\nok".to_owned()),
    ]
}

#[test]
fn d13_answer_that_is_not_http_is_502_and_its_connection_ends() {
    for (variant, said) in malformed() {
        let address = target(move |mut stream, number| {
            head(&mut stream);
            let _ = stream.write_all(if number == 0 { said.as_bytes() } else { OK });
            // A connection that is used again would find nobody who answers.
            while matches!(stream.read(&mut [0; 1024]), Ok(count) if count > 0) {}
        });
        let world = before(&json!({"targets": [address.to_string()], "timeouts": {"response": "2s"}}));
        let response = ask(&world, "GET", "/public/x", "").unwrap_or_else(|| panic!("{variant}: no answer"));
        assert_eq!(response.status(), 502, "{variant}: {response}");
        assert_eq!(ask(&world, "GET", "/public/next", "").unwrap().text(), "ok", "{variant}: the next visitor");
    }
}

#[test]
fn d13_a_thousand_interim_answers_cost_no_memory_and_no_place_in_line() {
    let address = target(|mut stream, _| {
        while !head(&mut stream).is_empty() {
            let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n".repeat(1000);
            let _ = stream.write_all(hints.as_bytes()).and_then(|()| stream.write_all(OK));
        }
    });
    let world = before(&json!({"targets": [address.to_string()]}));
    let memory = world.gateway.resident_memory();
    let mut wire = connect(world.gateway.port);
    for _ in 0..20 {
        wire.send(request(&world, "GET", "/public/x", "").as_bytes()).unwrap();
        match wire.response("GET") {
            Ok(response) => assert!(matches!(response.status(), 200 | 502), "{response}"),
            Err(_) => wire = connect(world.gateway.port),
        }
    }
    let grown = world.gateway.resident_memory().saturating_sub(memory);
    assert!(grown < 8 * 1024 * 1024, "the gateway grew by {grown} bytes");
}

#[test]
fn d13_body_after_an_answer_that_has_none_is_nobodys_answer() {
    const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for (variant, method, said) in [
        ("HEAD", "HEAD", format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{POISON}", POISON.len())),
        ("HEAD in chunks", "HEAD", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{POISON}")),
        ("204", "GET", format!("HTTP/1.1 204 No Content\r\n\r\n{POISON}")),
        ("304", "GET", format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n{POISON}")),
        ("length 0", "GET", format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{POISON}")),
        ("after the last chunk", "GET", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{POISON}")),
    ] {
        // The extra bytes come with the answer, or a moment later, when the connection may have been kept already.
        for late in [false, true] {
            let said = said.clone();
            let address = target(move |mut stream, number| {
                loop {
                    let asked = head(&mut stream);
                    if asked.is_empty() {
                        return;
                    }
                    if number > 0 || asked.windows(5).any(|window| window == b"/next") {
                        let _ = stream.write_all(OK);
                        continue;
                    }
                    let end = said.len() - POISON.len();
                    let _ = stream.write_all(&said.as_bytes()[..if late { end } else { said.len() }]);
                    if late {
                        thread::sleep(Duration::from_millis(30));
                        let _ = stream.write_all(POISON.as_bytes());
                    }
                }
            });
            let world = before(&json!({"targets": [address.to_string()]}));
            let mut wire = connect(world.gateway.port);
            wire.send(request(&world, method, "/public/x", "").as_bytes()).unwrap();
            let _ = wire.response(method);
            thread::sleep(Duration::from_millis(if late { 60 } else { 0 }));
            for number in 0..3 {
                let next = ask(&world, "GET", "/public/next", "").unwrap();
                assert_eq!(next.text(), "ok", "{variant}, late: {late}, request {number}: {next}");
            }
        }
    }
}

#[test]
fn v05_connections_are_shared_within_one_target_and_group_only() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let address = target(move |mut stream, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        while !head(&mut stream).is_empty() {
            stream.write_all(OK).unwrap();
        }
    });
    let world = World::start_with(|plan| {
        for name in ["app", "other"] {
            plan.configuration["target_groups"][name] = json!({"targets": [address.to_string()]});
        }
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(crate::support::gateway::rule(5, "/public/other", &json!([{"forward": "other"}])));
    });
    let mut wire = connect(world.gateway.port);
    let mut get = |path: &str| {
        wire.send(request(&world, "GET", path, "").as_bytes()).unwrap();
        assert_eq!(wire.response("GET").unwrap().status(), 200);
    };
    get("/public/x");
    get("/public/x");
    let one = connections.load(Ordering::SeqCst);
    get("/public/other");
    assert!(eventually(Duration::from_secs(2), || connections.load(Ordering::SeqCst) > one), "the groups share a connection");
    assert!(one <= 2, "{one} connections for two requests one after another");
}

#[test]
fn v05_target_of_another_name_or_authority_is_refused() {
    // Its certificate is for the gateway's name, and of an authority that no system knows.
    let server = crate::support::wire::Server::start(
        crate::support::wire::listen(),
        Some(crate::support::certificates::certificates().server()),
        |mut wire: Wire| {
            let _ = wire.request().and_then(|_| wire.send(OK));
        },
    );
    let authority = crate::support::certificates::certificates().other_ca_file();
    for (settings, status) in [
        (json!({"targets": [format!("127.0.0.1:{}", server.port)]}), 502),
        (json!({"targets": [format!("127.0.0.1:{}", server.port)], "ca_certificates": authority}), 502),
        (json!({"targets": [format!("127.0.0.1:{}", server.port)], "verify": false}), 200),
    ] {
        let mut settings = settings;
        settings["protocol"] = json!("https");
        let world = before(&settings);
        let response = ask(&world, "GET", "/public/x", "").unwrap();
        assert_eq!(response.status(), status, "{settings}: {response}");
    }
}

//! W02, W06, W09: what was opened with a session ends with it, unless it is a file that is being fetched or sent.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::certificates::{APP, certificates};
use crate::support::client::{Browser, connect};
use crate::support::logout_token::{deliver, token_of};
use crate::support::oracles::{sign_in, sign_in_as, sign_out};
use crate::support::raw_target::{head, target};
use crate::support::wire::Wire;

/// Says the head of an answer for a path, then a piece every 100 ms for as long as somebody listens, at most 70.
fn ticking_target() -> SocketAddr {
    target(|mut stream, _| {
        loop {
            let asked = String::from_utf8_lossy(&head(&mut stream)).into_owned();
            let Some(path) = asked.split([' ', '?']).nth(1) else { return };
            let fields = match path.trim_start_matches("/public") {
                "/events" => "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n",
                "/quiet" => "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nX-Quiet: 1\r\n",
                "/until-closed" => "Content-Type: text/plain\r\n",
                "/length" => "Content-Type: application/zip\r\nContent-Length: 350\r\n",
                "/file" => {
                    "Content-Type: application/zip\r\nContent-Disposition: Attachment; filename=\"a.zip\"\r\nTransfer-Encoding: chunked\r\n"
                }
                _ => {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                    continue;
                }
            };
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes());
            for _ in 0..70 {
                thread::sleep(Duration::from_millis(100));
                let piece = if fields.contains("chunked") { "5\r\ntick\n\r\n" } else { "tick\n" };
                if !fields.contains("X-Quiet") && stream.write_all(piece.as_bytes()).is_err() {
                    return;
                }
            }
            if fields.contains("chunked") {
                let _ = stream.write_all(b"0\r\n\r\n");
            }
            if path.ends_with("until-closed") {
                return;
            }
        }
    })
}

fn world() -> World {
    let address = ticking_target();
    World::start_with(|plan| plan.configuration["target_groups"]["app"] = json!({"targets": [address.to_string()]}))
}

fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    sign_in(world, &mut browser, "/");
    browser
}

/// Asks, and reads the head of the answer.
fn opened(world: &World, browser: &Browser, path: &str) -> Wire {
    let mut wire = connect(world.gateway.port);
    let cookie = browser.cookie_header();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", world.gateway.authority());
    wire.send(request.as_bytes()).unwrap();
    let head = wire.until(b"\r\n\r\n").unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&head));
    wire
}

fn line(world: &World, path: &str) -> serde_json::Value {
    let wanted = |line: &serde_json::Value| line["request"].as_str().is_some_and(|request| request.contains(&format!("{path} HTTP/")));
    let lines = world.gateway.access_lines_with(1, wanted);
    assert_eq!(lines.len(), 1, "{path}: {lines:?}");
    lines[0].clone()
}

#[test]
fn w02_endless_answers_end_when_their_session_is_signed_out() {
    let world = world();
    let (mut browser, other) = (signed_in(&world), signed_in(&world));
    let wires: Vec<(&str, Wire)> =
        ["/events", "/quiet", "/until-closed"].into_iter().map(|path| (path, opened(&world, &browser, path))).collect();
    let mut others = opened(&world, &other, "/events?other");
    sign_out(&mut browser);
    let since = Instant::now();
    for (path, mut wire) in wires {
        wire.read_timeout(Duration::from_secs(8));
        let body = String::from_utf8(wire.rest()).unwrap();
        assert!(since.elapsed() < Duration::from_secs(5), "{path}: ended after {:?}", since.elapsed());
        assert!(!body.ends_with("0\r\n\r\n"), "{path}: passed as whole");
        let line = line(&world, path);
        assert_eq!((&line["elb_status_code"], &line["error_reason"]), (&json!(200), &json!("AuthEndedSession")), "{line}");
        let sent = line["sent_bytes"].as_u64().unwrap();
        assert_eq!(sent > 0, path != "/quiet", "{line}");
        assert_eq!(line["subject"], "alice", "{line}");
    }
    // Nobody else notices.
    others.until(b"tick\n").unwrap();
}

#[test]
fn w02_endless_answer_ends_when_the_provider_signs_its_person_out() {
    let world = world();
    let (alice, mut bob) = (signed_in(&world), world.browser());
    sign_in_as(&world, &mut bob, "/", "bob");
    let mut wire = opened(&world, &alice, "/quiet");
    let mut others = opened(&world, &bob, "/events");
    assert_eq!(deliver(&world, &token_of(&world, &json!({"sub": "alice"}))).status(), 200);
    let since = Instant::now();
    wire.read_timeout(Duration::from_secs(8));
    wire.rest();
    assert!(since.elapsed() < Duration::from_secs(5), "ended after {:?}", since.elapsed());
    assert_eq!(line(&world, "/quiet")["error_reason"], "AuthEndedSession");
    others.until(b"tick\n").unwrap();
}

#[test]
fn w02_endless_answer_ends_when_its_session_expires() {
    let address = ticking_target();
    let world = World::start_with(|plan| {
        plan.configuration["target_groups"]["app"] = json!({"targets": [address.to_string()]});
        plan.authentication()["session_timeout"] = json!("5s");
    });
    let browser = signed_in(&world);
    let since = Instant::now();
    let mut wire = opened(&world, &browser, "/quiet");
    wire.read_timeout(Duration::from_secs(12));
    wire.rest();
    assert!((3..11).contains(&since.elapsed().as_secs()), "ended after {:?}", since.elapsed());
    assert_eq!(line(&world, "/quiet")["error_reason"], "AuthExpiredCookie");
}

#[test]
fn w02_streams_of_http2_end_alone() {
    let world = world();
    let (mut browser, other) = (signed_in(&world), signed_in(&world));
    let (cookie, others) = (browser.cookie_header(), other.cookie_header());
    let (url, port) = (world.gateway.url("/events"), world.gateway.port);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(certificates().client(b"h2"));
        let stream = connector.connect(APP.try_into().unwrap(), stream).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut bodies = Vec::new();
        for cookie in [&cookie, &others] {
            let request = http::Request::get(&url).header("cookie", cookie).body(()).unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            bodies.push(response.await.unwrap().into_body());
        }
        sign_out(&mut browser);
        let since = Instant::now();
        let mut next = async |index: usize| {
            let data = tokio::time::timeout(Duration::from_secs(8), bodies[index].data()).await.expect("a tick, or the end");
            if let Some(Ok(data)) = &data {
                let _ = bodies[index].flow_control().release_capacity(data.len());
            }
            data
        };
        while let Some(Ok(_)) = next(0).await {}
        assert!(since.elapsed() < Duration::from_secs(5), "ended after {:?}", since.elapsed());
        assert!(matches!(next(1).await, Some(Ok(_))), "the other person's stream ended too");
    });
    assert_eq!(line(&world, "/events")["error_reason"], "AuthEndedSession");
}

#[test]
fn a_file_is_fetched_to_its_end_and_what_needs_no_session_goes_on() {
    let world = world();
    let mut browser = signed_in(&world);
    let length = opened(&world, &browser, "/length");
    let file = opened(&world, &browser, "/file");
    let public = opened(&world, &browser, "/public/events");
    sign_out(&mut browser);
    for (path, mut wire, end) in [("/length", length, "tick\n"), ("/file", file, "0\r\n\r\n"), ("/public/events", public, "0\r\n\r\n")] {
        wire.read_timeout(Duration::from_secs(20));
        let mut body = Vec::new();
        while !body.ends_with(end.as_bytes()) || (path == "/length" && body.len() < 350) {
            body.extend(wire.exactly(1).unwrap_or_else(|error| panic!("{path}: {error} after {} bytes", body.len())));
        }
        assert_eq!(String::from_utf8(body).unwrap().matches("tick").count(), 70, "{path}");
    }
}

#[test]
fn w09_upload_that_outlasts_its_session_is_finished_and_the_next_is_refused() {
    let address = target(|mut stream, _| {
        loop {
            if head(&mut stream).is_empty() {
                return;
            }
            let mut body = [0; 20];
            if stream.read_exact(&mut body).is_err() {
                return;
            }
            let _ = stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 20\r\n\r\n").and_then(|()| stream.write_all(&body));
        }
    });
    let world = World::start_with(|plan| plan.configuration["target_groups"]["app"] = json!({"targets": [address.to_string()]}));
    let mut browser = signed_in(&world);
    let mut wire = connect(world.gateway.port);
    let request = |cookie: &str| {
        let authority = world.gateway.authority();
        format!("PUT /upload HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookie}\r\nContent-Length: 20\r\n\r\n")
    };
    let cookie = browser.cookie_header();
    wire.send(request(&cookie).as_bytes()).unwrap();
    for number in 0..20 {
        if number == 3 {
            sign_out(&mut browser);
        }
        wire.send(b"x").unwrap();
        thread::sleep(Duration::from_millis(300));
    }
    let response = wire.response("PUT").unwrap();
    assert_eq!((response.status(), response.body.as_slice()), (201, &b"xxxxxxxxxxxxxxxxxxxx"[..]), "{response}");
    // On the same connection, and answered before its body has come.
    wire.send(request(&cookie).as_bytes()).unwrap();
    let answer = wire.until(b"\r\n\r\n").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&answer));
}

/// Whoever refreshes it, and however often.
#[test]
fn e12_a_stream_goes_on_while_its_session_is_given_new_tokens() {
    let world = world();
    world.provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(2)));
    let mut browser = signed_in(&world);
    let mut wire = opened(&world, &browser, "/events");
    wire.read_timeout(Duration::from_secs(8));
    let begin = Instant::now();
    while world.provider.refreshes() < 2 {
        assert_eq!(browser.get("/page").status(), 200);
        wire.until(b"tick\n").unwrap();
        assert!(begin.elapsed() < Duration::from_secs(6), "no refresh");
    }
    wire.until(b"tick\n").unwrap();
    sign_out(&mut browser);
    let since = Instant::now();
    wire.rest();
    assert!(since.elapsed() < Duration::from_secs(5), "ended after {:?}", since.elapsed());
}

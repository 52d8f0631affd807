//! W06 to W08: bodies pass as they come, in both directions; nothing is gathered, and nothing opened.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::client::connect;
use crate::support::raw_target::{head, target};

/// A target of one connection, spoken to by the test.
fn world_before(target: &TcpListener) -> World {
    let address = target.local_addr().unwrap();
    World::start_with(|plan| plan.configuration["target_groups"]["app"] = json!({"targets": [address.to_string()]}))
}

fn head_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    head
}

#[test]
fn w06_each_event_arrives_before_the_next_is_sent() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = world_before(&target);
    let (seen, next) = mpsc::channel::<()>();
    let sender = thread::spawn(move || {
        let (mut stream, _) = target.accept().unwrap();
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for number in 0..3 {
            let event = format!("data: {number}\n\n");
            stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).unwrap();
            // The next one only when this one has been read at the other end: a gateway that gathers would wait for ever.
            next.recv_timeout(Duration::from_secs(10)).expect("the event has arrived");
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let mut wire = connect(world.gateway.port);
    wire.send(format!("GET /public/events HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
    wire.until(b"\r\n\r\n").unwrap();
    for number in 0..3 {
        wire.until(format!("data: {number}\n\n").as_bytes()).unwrap();
        seen.send(()).unwrap();
    }
    sender.join().unwrap();
}

#[test]
fn w07_a_large_upload_costs_no_memory() {
    const SIZE: usize = 64 * 1024 * 1024;
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = world_before(&target);
    let receiver = thread::spawn(move || {
        let (mut stream, _) = target.accept().unwrap();
        head_of(&mut stream);
        let mut piece = vec![0; 64 * 1024];
        let mut count = 0;
        while count < SIZE {
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "the upload ended after {count} bytes");
            count += read;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        count
    });
    let before = world.gateway.resident_memory();
    let mut wire = connect(world.gateway.port);
    let head = format!("PUT /public/file HTTP/1.1\r\nHost: {}\r\nContent-Length: {SIZE}\r\n\r\n", world.gateway.authority());
    wire.send(head.as_bytes()).unwrap();
    let piece = vec![b'x'; 1024 * 1024];
    for _ in 0..SIZE / piece.len() {
        wire.send(&piece).unwrap();
    }
    assert_eq!(wire.response("PUT").unwrap().status(), 200);
    assert_eq!(receiver.join().unwrap(), SIZE);
    let grown = world.gateway.resident_memory().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "the gateway grew by {grown} bytes");
}

#[test]
fn w07_a_reader_who_stops_stops_the_target_too() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = world_before(&target);
    let sender = thread::spawn(move || {
        let (mut stream, _) = target.accept().unwrap();
        head_of(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
        let piece = vec![b'x'; 64 * 1024];
        let mut sent = 0;
        while sent < 1 << 30 && stream.write_all(&piece).is_ok() {
            sent += piece.len();
        }
        sent
    });
    let before = world.gateway.resident_memory();
    let mut wire = connect(world.gateway.port);
    wire.send(format!("GET /public/big HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
    wire.until(b"\r\n\r\n").unwrap();
    // Nobody reads on: the target can send what the buffers on the way hold, and no more.
    let sent = sender.join().unwrap();
    assert!(sent < 64 * 1024 * 1024, "{sent} bytes were taken from the target");
    let grown = world.gateway.resident_memory().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "the gateway grew by {grown} bytes");
}

#[test]
fn w06_client_that_goes_away_takes_its_request_to_the_target_along() {
    let (gone, ended) = mpsc::channel();
    let address = target(move |mut stream, _| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n:\n\n\r\n");
        // Says nothing more: only the connection itself tells.
        let closed = matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_));
        let _ = gone.send(closed);
    });
    let world = World::start_with(|plan| plan.configuration["target_groups"]["app"] = json!({"targets": [address.to_string()]}));
    let open_files = || world.gateway.descriptors();
    let before = open_files();
    for round in 0..4 {
        let request = format!("GET /public/events HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority());
        let mut wires = Vec::new();
        for _ in 0..50 {
            let mut wire = connect(world.gateway.port);
            wire.send(request.as_bytes()).unwrap();
            wire.until(b":\n\n").unwrap();
            wires.push(wire);
        }
        let since = Instant::now();
        drop(wires);
        for _ in 0..50 {
            assert!(ended.recv_timeout(Duration::from_secs(5)).expect("the target hears of the end"), "round {round}");
        }
        assert!(since.elapsed() < Duration::from_secs(3), "round {round}: the target heard after {:?}", since.elapsed());
    }
    let closed = crate::support::gateway::eventually(Duration::from_secs(5), || open_files() <= before + 5);
    assert!(closed, "{} files are open, {before} were", open_files());
}

#[test]
fn w08_compressed_bodies_are_never_opened() {
    // Ten bytes of a head and a body that would be a gigabyte: whoever opens it, notices.
    let bomb: Vec<u8> = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].into_iter().chain((0..1_000_000_u32).map(|n| n.to_le_bytes()[0])).collect();
    let said = bomb.clone();
    let address = target(move |mut stream, _| {
        let asked = String::from_utf8_lossy(&head(&mut stream)).into_owned();
        let coding = ["gzip", "zstd", "br", "deflate"].into_iter().find(|coding| asked.contains(&format!("/{coding} "))).unwrap();
        assert!(asked.to_ascii_lowercase().contains("accept-encoding: gzip, br"), "{asked}");
        let mut sent = vec![0; 1000];
        stream.read_exact(&mut sent).unwrap();
        assert!(sent == said[..1000], "the request's body was opened");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", said.len());
        stream.write_all(&[head.as_bytes(), &said].concat()).unwrap();
    });
    let world = World::start_with(|plan| plan.configuration["target_groups"]["app"] = json!({"targets": [address.to_string()]}));
    let before = world.gateway.resident_memory();
    for coding in ["gzip", "zstd", "br", "deflate"] {
        let mut wire = connect(world.gateway.port);
        let head = format!(
            "POST /public/{coding} HTTP/1.1\r\nHost: {}\r\nAccept-Encoding: gzip, br\r\nContent-Encoding: {coding}\r\n\
             Content-Length: 1000\r\n\r\n",
            world.gateway.authority()
        );
        wire.send(&[head.as_bytes(), &bomb[..1000]].concat()).unwrap();
        let response = wire.response("POST").unwrap();
        assert_eq!((response.status(), response.get("content-encoding")), (200, Some(coding)), "{response}");
        assert!(response.body == bomb, "{coding}: other bytes");
    }
    let grown = world.gateway.resident_memory().saturating_sub(before);
    assert!(grown < 16 << 20, "the gateway grew by {grown} bytes");
}

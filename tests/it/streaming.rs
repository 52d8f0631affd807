//! W06, W07: bodies pass as they come, in both directions; nothing is gathered.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::World;
use crate::support::client::connect;

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

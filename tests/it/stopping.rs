//! G03, K03: the gateway ends in good order, and serves whoever names no host or a wrong one in the handshake.

use std::process::Command;
use std::time::Duration;

use crate::support::World;
use crate::support::certificates::certificates;
use crate::support::client::connect;
use crate::support::wire::Wire;

#[test]
fn g03_request_that_is_under_way_is_answered_before_the_end() {
    let mut world = World::start();
    let authority = world.gateway.authority();
    let mut wire = connect(world.gateway.port);
    // One connection is the health check's. The body is still on its way when the signal comes.
    let head = format!("POST /public/slow HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 5\r\n\r\nhe");
    wire.send(head.as_bytes()).unwrap();
    let arrived = crate::support::gateway::eventually(Duration::from_secs(5), || world.target.connections() >= 2);
    assert!(arrived, "the request is not under way");
    let process = world.gateway.process_id().to_string();
    // Whoever is impatient sends a second one: the request is finished all the same.
    for _ in 0..2 {
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    }
    wire.send(b"llo").unwrap();
    let response = wire.response("POST").unwrap();
    assert_eq!(response.status(), 200, "{response}");
    assert_eq!(world.target.last().body, b"hello");
    let status = world.gateway.ends_within(Duration::from_secs(40));
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", world.gateway.log());
}

#[test]
fn k03_handshake_without_a_known_name_gets_the_default_certificate_and_the_host_decides() {
    let world = World::start();
    for name in ["localhost", "127.0.0.1"] {
        let socket = std::net::TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
        let mut wire = Wire::tls_client(socket, certificates().client(b"http/1.1"), name).unwrap();
        wire.send(format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
        assert!(matches!(wire.response("GET").unwrap().status(), 200 | 421), "{name}");
        let socket = std::net::TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
        let mut wire = Wire::tls_client(socket, certificates().client(b"http/1.1"), name).unwrap();
        wire.send(format!("GET /public HTTP/1.1\r\nHost: {name}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(wire.response("GET").unwrap().status(), 421, "{name} is not served");
    }
}

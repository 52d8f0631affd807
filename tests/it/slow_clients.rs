//! Q03: slowhttptest, in its three modes. While it holds its connections others are served, and after it they are let go.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::soak::number;
use crate::support::World;
use crate::support::client::connect;
use crate::support::gateway::eventually;

/// Times of requests that somebody else makes, sorted.
fn ask(world: &World, count: usize) -> Vec<Duration> {
    let authority = world.gateway.authority();
    let mut times: Vec<_> = (0..count)
        .map(|_| {
            let begun = Instant::now();
            let mut wire = connect(world.gateway.port);
            wire.send(format!("GET /public/canary HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).unwrap();
            assert_eq!(wire.response("GET").unwrap().status(), 200);
            begun.elapsed()
        })
        .collect();
    times.sort();
    times
}

#[test]
fn q03_two_thousand_slow_clients_cost_little_and_nobody_elses_time() {
    let (connections, seconds) = (number(300, 2000), number(10, 60));
    let mut world = World::start_with(|plan| {
        // The program speaks to an address, and says so.
        plan.listener()["hosts"] = json!(["127.0.0.1", "app.test"]);
        plan.listener()["limits"] = json!({"header_timeout": 3, "send_timeout": 3, "minimum_body_rate": 1000});
    });
    world.target.say("/public/large", format!("HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n{}", "x".repeat(4_000_000)));
    let quiet = ask(&world, 50);
    let (files, memory) = (world.gateway.descriptors(), world.gateway.resident_memory());
    for (mode, more) in [
        ("-H", &["-i", "1"][..]),
        ("-B", &["-i", "1", "-s", "100000"]),
        ("-X", &["-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"]),
    ] {
        let path = if mode == "-X" { "/public/large" } else { "/public" };
        let mut slow = Command::new("slowhttptest")
            .args([mode, "-c", &connections.to_string(), "-r", "400", "-l", &seconds.to_string(), "-p", "5"])
            .args(more)
            .args(["-u", &format!("https://127.0.0.1:{}{path}", world.gateway.port)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("script/bootstrap installs slowhttptest");
        assert!(eventually(Duration::from_secs(20), || world.gateway.descriptors() > files + connections / 4), "{mode}: it has not begun");
        let during = ask(&world, 50);
        let held = world.gateway.resident_memory().saturating_sub(memory);
        let _ = slow.wait();
        println!(
            "{mode}, {connections} connections: {} KiB more; a connection and request of another took {:?} instead of {:?}, at most {:?}",
            held / 1024,
            during[25],
            quiet[25],
            during[49]
        );
        // Of an answer that nobody takes, pingora holds eight pieces of 64 KiB.
        let most = if mode == "-X" { 1024 } else { 160 };
        assert!(held / (connections as u64) < most * 1024, "{mode}: {} KiB for each", held / connections as u64 / 1024);
        // Both share two cores with the attacker, which makes hundreds of handshakes a second when it begins.
        assert!(during[25] < Duration::from_millis(500) && during[49] < Duration::from_secs(10), "{mode}: {during:?}");
        assert!(
            eventually(Duration::from_secs(30), || world.gateway.descriptors() < files + 20),
            "{mode}: {} files are still open",
            world.gateway.descriptors()
        );
    }
    world.gateway.assert_alive();
}

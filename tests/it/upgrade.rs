//! SIGQUIT, G01, G02, G04: another process takes the place of this one, under load, and nobody notices.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::certificates::certificates;
use crate::support::client::{connect, connect_as};
use crate::support::gateway::{Plan, eventually, vestibule};
use crate::support::h2::Http2;
use crate::support::oracles::{assert_signed_in, is_signed_out, sign_in, sign_out};

fn world() -> World {
    World::start_with(|plan: &mut Plan| {
        plan.configuration["drain_timeout"] = json!("4s");
        plan.configuration["upgrade_socket"] = json!("upgrade.sock");
        plan.configuration["log"]["level"] = json!("info");
    })
}

fn quit(world: &World) {
    assert!(Command::new("kill").args(["-QUIT", &world.gateway.process_id().to_string()]).status().unwrap().success());
}

#[test]
fn g01_no_request_fails_while_processes_take_each_others_place() {
    let rounds = if std::env::var("VESTIBULE_SOAK").is_ok_and(|soak| soak == "full") { 20 } else { 3 };
    let mut world = world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let (port, authority, cookies) = (world.gateway.port, world.gateway.authority(), browser.cookie_header());
    let (stop, asked, upgraded) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let head = |method: &str, more: &str| format!("{method} /page HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookies}\r\n{more}\r\n");
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (stop, asked, head) = (&stop, &asked, &head);
            scope.spawn(move || {
                let mut kept = None;
                while !stop.load(Ordering::Relaxed) {
                    let (method, request) = match number {
                        // With a body, on kept connections.
                        0 | 1 => ("POST", format!("{}a=1", head("POST", "Content-Length: 3\r\n"))),
                        // On connections of their own.
                        2 | 3 => ("GET", head("GET", "Connection: close\r\n")),
                        _ => ("GET", head("GET", "")),
                    };
                    // Whoever was not told to close a connection asks again on it.
                    let mut wire = kept.take().unwrap_or_else(|| connect(port));
                    wire.send(request.as_bytes()).unwrap_or_else(|error| panic!("client {number}: {error}"));
                    let response = wire.response(method).unwrap_or_else(|error| panic!("client {number}: no answer ({error})"));
                    assert_eq!(response.status(), 200, "client {number}: {response}");
                    let closes = response.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
                    kept = (number != 2 && number != 3 && !closes).then_some(wire);
                    asked.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(if number == 5 { 150 } else { 1 }));
                }
            });
        }
        let (world, stop) = (&mut world, &stop);
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", &authority), (":path", "/page"), ("cookie", &cookies)];
        let mut streams = Http2::connect(&world.gateway);
        for round in 0..rounds {
            for _ in 0..20 {
                let outcome = streams.request(&fields, None, &[]);
                assert_eq!(outcome.status, Some(200), "round {round}: {outcome:?}");
            }
            let status = world.gateway.upgrade();
            assert_eq!(status.code(), Some(0), "round {round}: {}", world.gateway.log());
            upgraded.fetch_add(1, Ordering::Relaxed);
            // GOAWAY: what was asked before it has been answered.
            streams = Http2::connect(&world.gateway);
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} upgrades, {} requests, none failed", upgraded.load(Ordering::Relaxed), asked.load(Ordering::Relaxed));
    assert!(asked.load(Ordering::Relaxed) > 100 * rounds);
    assert_signed_in(&mut browser, "after all that");
}

#[test]
fn what_has_ended_stays_over_in_the_next_process() {
    let mut world = world();
    let (mut stays, mut gone) = (world.browser(), world.browser());
    sign_in(&world, &mut stays, "/");
    sign_in(&world, &mut gone, "/");
    let copy = gone.copy();
    sign_out(&mut gone);
    let mut late = world.browser();
    sign_in(&world, &mut late, "/");
    let late_copy = late.copy();
    // A callback that is done is done.
    let begin = late.get("/oauth2/login?prompt=login");
    let callback = world.provider.approve(begin.location().unwrap());
    let before = late.copy();
    assert_eq!(late.get(&callback).status(), 302);
    let tokens = world.provider.count("token");
    world.gateway.upgrade();
    assert!(is_signed_out(&world, &mut copy.copy()), "a cookie that was copied before the sign-out is good again");
    assert!(is_signed_out(&world, &mut late_copy.copy()), "a session that was replaced is good again");
    assert_ne!(before.copy().get(&callback).status(), 200);
    assert_eq!(world.provider.count("token"), tokens, "the code was sent a second time");
    assert_signed_in(&mut stays, "who has done nothing");
    assert_signed_in(&mut late, "who has signed in last");
}

/// It finishes its requests for a while: what they end is told.
#[test]
fn what_ends_while_the_former_process_finishes_is_over_too() {
    let world = world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let copy = browser.copy();
    // A connection to the former process, kept through the upgrade.
    let mut wire = connect(world.gateway.port);
    let request = |path: &str| {
        let (host, cookies) = (world.gateway.authority(), browser.cookie_header());
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nCookie: {cookies}\r\n\r\n"
        )
    };
    wire.send(request("/page").as_bytes()).unwrap();
    assert_eq!(wire.response("GET").unwrap().status(), 200);
    let mut next = world.gateway.next();
    let waits = || world.gateway.log().contains("waiting for the process that runs");
    assert!(eventually(Duration::from_secs(20), waits));
    quit(&world);
    let serves = || world.gateway.log().contains("another process has taken the listeners");
    assert!(eventually(Duration::from_secs(20), serves), "{}", world.gateway.log());
    wire.send(request("/oauth2/logout").as_bytes()).unwrap();
    assert_eq!(wire.response("GET").unwrap().status(), 302);
    let mut world = world;
    let ended = world.gateway.ends_within(Duration::from_secs(20));
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
    let is_over = is_signed_out(&world, &mut copy.copy());
    let _ = next.kill();
    let _ = next.wait();
    assert!(is_over, "the next process does not know of the sign-out");
}

#[test]
fn without_anybody_who_waits_the_process_goes_on() {
    let world = world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    quit(&world);
    assert!(eventually(Duration::from_secs(5), || world.gateway.log().contains("start `vestibule serve --upgrade` first")));
    assert_signed_in(&mut browser, "after a SIGQUIT that nobody waited for");
}

/// G02: a file with a fault stops the next process before anything is handed over.
#[test]
fn g02_a_next_process_that_cannot_start_takes_nothing() {
    let world = world();
    let file = world.gateway.configuration_file();
    let sound = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, sound.replace("\"forward\": \"app\"", "\"forward\": \"nowhere\"")).unwrap();
    let output = vestibule().args(["serve", "--upgrade", "--config"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere"));
    quit(&world);
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    assert_signed_in(&mut browser, "the former process goes on");
}

/// Whoever has the listeners can answer in our name: they are given to this user's processes only, and by them.
#[test]
fn a_process_that_says_nothing_gets_nothing_for_long() {
    let world = world();
    let path = world.gateway.configuration_file().with_file_name("upgrade.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    quit(&world);
    let (stranger, _) = listener.accept().unwrap();
    drop(stranger);
    assert!(eventually(Duration::from_secs(5), || world.gateway.log().contains("were not handed over")));
    let begin = Instant::now();
    let mut wire = connect_as(world.gateway.port, certificates().client(b"http/1.1")).unwrap();
    wire.send(format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
    assert_eq!(wire.response("GET").unwrap().status(), 200);
    assert!(begin.elapsed() < Duration::from_secs(2));
}

/// As a service manager asks for it: one command, and the word that another process is the one to watch.
#[test]
fn one_command_puts_the_next_process_in_place_and_tells_the_service_manager() {
    let mut world = world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let folder = world.gateway.configuration_file().parent().unwrap().to_owned();
    let manager = std::os::unix::net::UnixDatagram::bind(folder.join("notify.sock")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let upgrade = |pid: u32| {
        vestibule()
            .args(["upgrade", "--pid", &pid.to_string(), "--config"])
            .arg(folder.join("vestibule.yaml"))
            .current_dir(&folder)
            .env("NOTIFY_SOCKET", folder.join("notify.sock"))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
    };
    assert_eq!(upgrade(world.gateway.process_id()).code(), Some(0));
    let ended = world.gateway.ends_within(Duration::from_secs(1));
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "the former process has finished");
    let mut said = [0; 256];
    let length = manager.recv(&mut said).unwrap();
    let said = std::str::from_utf8(&said[..length]).unwrap();
    let next: u32 = said.lines().find_map(|line| line.strip_prefix("MAINPID=")).unwrap().parse().unwrap();
    let signed_in = browser.get("/page").status();
    // One that is not there is not upgraded, and nothing is started.
    let of_nobody = upgrade(u32::MAX >> 1).code();
    assert!(Command::new("kill").args(["-TERM", &next.to_string()]).status().unwrap().success());
    assert_eq!((signed_in, of_nobody), (200, Some(1)));
    assert!(said.lines().any(|line| line == "READY=1"), "{said}");
    let gone = || std::net::TcpStream::connect(("127.0.0.1", world.gateway.port)).is_err();
    assert!(eventually(Duration::from_secs(10), gone), "the next process does not end");
}

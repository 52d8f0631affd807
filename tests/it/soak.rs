//! What only numbers show: unfinished logins cost nothing, people on shared connections never meet, and gateways and stores that are killed
//! under load leave nobody locked out.
//!
//! In the usual run the numbers are small. `VESTIBULE_SOAK=full cargo test --test it soak -- --nocapture --test-threads 1` takes those of
//! docs/sessions.md and prints what it has measured.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::certificates::certificates;
use crate::support::client::{Browser, connect, connect_as};
use crate::support::gateway::{Gateway, Plan, eventually};
use crate::support::h2::Http2;
use crate::support::oracles::sign_in_as;
use crate::support::raw_target::target;
use crate::support::redis::Redis;
use crate::support::wire::Wire;

fn is_full() -> bool {
    std::env::var("VESTIBULE_SOAK").is_ok_and(|soak| soak == "full")
}

/// The number of the usual run, or of the full one.
pub(crate) fn number(usual: usize, full: usize) -> usize {
    if is_full() { full } else { usual }
}

/// Lines of a million requests would be most of the work.
pub(crate) fn quiet(plan: &mut Plan) {
    plan.configuration["log"]["level"] = json!("error");
    plan.configuration["access_log"]["path"] = json!("/dev/null");
}

/// The same numbers for everybody, without a seed that a test would have to be run again with.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

/// Says who is asking: the identity that the gateway has vouched for, and the path.
fn telling_target() -> std::net::SocketAddr {
    target(|mut stream, _| {
        let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                match std::io::BufRead::read_line(&mut reader, &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) if line == "\r\n" => break,
                    Ok(_) => lines.push(line),
                }
            }
            let path = lines[0].split(' ').nth(1).unwrap_or_default().to_owned();
            let of = |line: &String| line.to_ascii_lowercase().strip_prefix("x-amzn-oidc-identity:").map(|name| name.trim().to_owned());
            let names: Vec<String> = lines.iter().filter_map(of).collect();
            let body = format!("{}|{path}", names.join(","));
            if stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn people(world: &World, count: usize) -> Vec<(String, Browser)> {
    (0..count)
        .map(|index| {
            let name = format!("person-{index}");
            world.provider.set(|provider| provider.users.insert(name.clone(), json!({"email": format!("{name}@example.com")})));
            let mut browser = world.browser();
            sign_in_as(world, &mut browser, "/", &name);
            (name, browser)
        })
        .collect()
}

#[test]
fn unfinished_logins_cost_no_memory() {
    let count = number(20_000, 1_000_000);
    let world = World::start_with(|plan| {
        quiet(plan);
        plan.listener()["limits"] = json!({"sign_ins_per_address": u32::MAX});
    });
    let authority = world.gateway.authority();
    let begin_logins = |count: usize| {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut wire = connect(world.gateway.port);
                    for number in 0..count / 8 {
                        let head = format!("GET /page/{number} HTTP/1.1\r\nHost: {authority}\r\nSec-Fetch-Mode: navigate\r\n\r\n");
                        wire.send(head.as_bytes()).unwrap();
                        let response = wire.response("GET").unwrap();
                        assert_eq!(response.status(), 302, "{response}");
                        assert!(response.location().unwrap().contains("state="));
                    }
                });
            }
        });
    };
    // Connections, threads and the allocator have taken what they need.
    begin_logins(count / 5);
    let before = world.gateway.resident_memory();
    begin_logins(count);
    let after = world.gateway.resident_memory();
    println!("{count} unfinished logins: {} KiB before, {} KiB after", before / 1024, after / 1024);
    assert!(after < before + 4 * 1024 * 1024, "{count} unfinished logins took {} KiB", (after - before) / 1024);
}

#[test]
fn people_on_shared_connections_see_only_themselves() {
    for store in ["cookie", "redis"] {
        let (visitors, requests) = (number(60, 1000), number(6_000, 500_000));
        let address = telling_target();
        let world = World::start_with(|plan| {
            quiet(plan);
            plan.configuration["target_groups"]["app"] = json!({"targets": [address.to_string()]});
            if store == "redis" {
                plan.keep_in_redis();
            }
        });
        let people: Vec<(String, String)> =
            people(&world, visitors).into_iter().map(|(name, browser)| (name, browser.cookie_header())).collect();
        let begin = Instant::now();
        let authority = world.gateway.authority();
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let (world, people, authority) = (&world, &people, &authority);
                scope.spawn(move || {
                    let mut dice = Dice(thread + 1);
                    let mut old = connect(world.gateway.port);
                    let mut new = Http2::connect(&world.gateway);
                    for number in 0..requests / 8 {
                        if number % 1000 == 999 {
                            // This client never says that it has read: a connection takes 64 KiB of answers.
                            new = Http2::connect(&world.gateway);
                        }
                        let (name, cookie) = &people[dice.roll(people.len())];
                        let path = format!("/page/{thread}/{number}");
                        let (status, body) = if thread % 2 == 0 {
                            let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookie}\r\n\r\n");
                            old.send(head.as_bytes()).unwrap();
                            let response = old.response("GET").unwrap();
                            (response.status(), response.text())
                        } else {
                            let method = [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", &path)];
                            let fields: Vec<(&str, &str)> = method.into_iter().chain([("cookie", cookie.as_str())]).collect();
                            let outcome = new.request(&fields, None, &[]);
                            (outcome.status.unwrap_or_default(), String::from_utf8(outcome.body).unwrap())
                        };
                        assert_eq!((status, body), (200, format!("{name}|{path}")), "{store}: as {name}");
                    }
                });
            }
        });
        println!("{store}: {requests} requests of {visitors} people over 8 connections in {:?}, each themselves", begin.elapsed());
    }
}

/// Somebody in front of a fleet, who goes to whichever gateway answers.
struct Visitor<'a> {
    name: String,
    browser: Browser,
    world: &'a World,
    ports: &'a [u16],
    dice: Dice,
}

/// One answer: status and body; `None` where the connection was lost with its gateway.
type Answered = Option<(u16, String)>;

impl Visitor<'_> {
    fn wire(&mut self) -> Option<Wire> {
        let port = self.ports[self.dice.roll(self.ports.len())];
        connect_as(port, certificates().client(b"http/1.1")).ok()
    }

    fn ask(&mut self, path: &str) -> Answered {
        let mut wire = self.wire()?;
        let (host, cookies) = (self.world.gateway.authority(), self.browser.cookie_header());
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Mode: cors\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n");
        wire.send(head.as_bytes()).ok()?;
        let response = wire.response("GET").ok()?;
        Some((response.status(), response.text()))
    }
}

#[test]
fn nobody_is_locked_out_or_mixed_up_while_gateways_and_the_store_are_killed() {
    let seconds = number(15, 120) as u64;
    let address = telling_target();
    let redis = Arc::new(Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]));
    // The first one answers sign-ins and stays; the others are killed.
    let mut world = World::start_with(|plan| {
        quiet(plan);
        plan.keep_in(&redis, &redis.url());
        plan.configuration["target_groups"]["app"] = json!({"targets": [address.to_string()]});
    });
    world.provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(3)));
    let others: Vec<Mutex<Gateway>> = (0..2).map(|_| Mutex::new(Plan::sibling(&world.gateway).start())).collect();
    let ports: Vec<u16> = std::iter::once(world.gateway.port).chain(others.iter().map(|other| other.lock().unwrap().port)).collect();
    let signed_in = people(&world, 24);
    let (is_over, asked, again, killed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let worst = RwLock::new(HashMap::<String, Duration>::new());
    std::thread::scope(|scope| {
        for (index, (name, browser)) in signed_in.into_iter().enumerate() {
            let mut visitor = Visitor { name, browser, world: &world, ports: &ports, dice: Dice(index as u64 + 1) };
            let (is_over, asked, again, worst) = (&is_over, &asked, &again, &worst);
            scope.spawn(move || {
                let mut failing: Option<Instant> = None;
                while !is_over.load(Ordering::Relaxed) || failing.is_some() {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    let path = format!("/page/{number}");
                    match visitor.ask(&path) {
                        Some((200, body)) => {
                            assert_eq!(body, format!("{}|{path}", visitor.name));
                            if let Some(since) = failing.take() {
                                let mut worst = worst.write().unwrap();
                                let longest = worst.entry(visitor.name.clone()).or_default();
                                *longest = since.elapsed().max(*longest);
                            }
                        }
                        // Its refresh died with its gateway: once more, and no more than once.
                        Some((401, _)) => {
                            again.fetch_add(1, Ordering::Relaxed);
                            sign_in_with_patience(&mut visitor);
                        }
                        Some((status, body)) => {
                            assert_eq!(status, 503, "{body}");
                            failing.get_or_insert_with(Instant::now);
                        }
                        None => {}
                    }
                    if let Some(since) = failing {
                        assert!(since.elapsed() < Duration::from_secs(8), "{}: nothing but 503 for {:?}", visitor.name, since.elapsed());
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        }
        let begin = Instant::now();
        let mut dice = Dice(4711);
        while begin.elapsed() < Duration::from_secs(seconds) {
            std::thread::sleep(Duration::from_millis(400));
            match dice.roll(3) {
                0 => redis.start_again(),
                which => others[which - 1].lock().unwrap().restart(),
            }
            killed.fetch_add(1, Ordering::Relaxed);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let longest = worst.read().unwrap().values().max().copied().unwrap_or_default();
    println!(
        "{seconds} s: {} requests, {} kills, {} new sign-ins, 503 for at most {longest:?}; refresh tokens sent twice: {}",
        asked.load(Ordering::Relaxed),
        killed.load(Ordering::Relaxed),
        again.load(Ordering::Relaxed),
        world.provider.reuses(),
    );
    world.gateway.assert_alive();
}

/// The store may be away for a moment: the callback then says 503, and a new attempt is welcome.
fn sign_in_with_patience(visitor: &mut Visitor<'_>) {
    let done = eventually(Duration::from_secs(10), || {
        let begin = visitor.browser.get("/");
        if begin.status() != 302 {
            return begin.status() == 200;
        }
        let authorization = begin.location().unwrap().to_owned();
        visitor.browser.get(&visitor.world.provider.approve_as(&authorization, &visitor.name)).status() == 302
    });
    assert!(done, "{} cannot sign in any more", visitor.name);
}

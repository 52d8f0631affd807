//! Q08, Q11: everything at once, with faults at random: people on connections that are kept, sign-ins, clients that mean harm, Redis and
//! the provider failing, reloads. Nobody gets somebody else's answer, and memory and descriptors stay what they were.
//!
//! Ten minutes with `VESTIBULE_SOAK=full`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::reload::hang_up;
use crate::soak::{Dice, number, people, quiet, telling_target};
use crate::support::World;
use crate::support::answer::Answer;
use crate::support::client::{Browser, connect};
use crate::support::gateway::eventually;
use crate::support::h2::{Http2, block, frame};
use crate::support::redis::{Fault, FaultProxy, Redis};
use crate::support::wire::Wire;

#[derive(Default)]
struct Counts {
    answers: AtomicUsize,
    unavailable: AtomicUsize,
    again: AtomicUsize,
    sign_ins: AtomicUsize,
    failed_sign_ins: AtomicUsize,
    attacks: AtomicUsize,
    faults: AtomicUsize,
}

impl Counts {
    fn add(counter: &AtomicUsize) -> usize {
        counter.fetch_add(1, Ordering::Relaxed)
    }
}

/// Resident KiB and descriptors of the gateway.
fn sample(world: &World) -> (u64, usize) {
    (world.gateway.resident_memory() / 1024, world.gateway.descriptors())
}

/// One who is signed in, over one connection until that ends.
struct Person<'a> {
    world: &'a World,
    name: String,
    browser: Browser,
    old: Option<Wire>,
    new: Option<Http2>,
    streams: usize,
}

impl Person<'_> {
    fn ask(&mut self, path: &str, http2: bool) -> Option<(u16, String)> {
        let (authority, cookie) = (self.world.gateway.authority(), self.browser.cookie_header());
        if http2 {
            if self.new.is_none() || self.streams > 800 {
                // This client never says that it has read: a connection takes 64 KiB of answers.
                (self.new, self.streams) = (Some(Http2::connect(&self.world.gateway)), 0);
            }
            self.streams += 1;
            let head = [(":method", "GET"), (":scheme", "https"), (":authority", &*authority), (":path", path), ("cookie", &*cookie)];
            let outcome = self.new.as_mut()?.request(&head, None, &[]);
            if outcome.status.is_none() || outcome.closed {
                self.new = None;
            }
            return Some((outcome.status?, String::from_utf8(outcome.body).ok()?));
        }
        let wire = self.old.get_or_insert_with(|| connect(self.world.gateway.port));
        let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nSec-Fetch-Mode: cors\r\nCookie: {cookie}\r\n\r\n");
        let answer = wire.send(head.as_bytes()).and_then(|()| wire.response("GET"));
        match answer {
            Ok(response) => {
                if response.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                    self.old = None;
                }
                Some((response.status(), response.text()))
            }
            Err(_) => {
                self.old = None;
                None
            }
        }
    }

    fn live(&mut self, over: &AtomicBool, counts: &Counts, dice: &mut Dice) {
        while !over.load(Ordering::Relaxed) {
            let path = format!("/page/{}", Counts::add(&counts.answers));
            match self.ask(&path, dice.roll(2) == 0) {
                Some((200, body)) => assert_eq!(body, format!("{}|{path}", self.name), "a wrong answer"),
                Some((503, _)) => {
                    Counts::add(&counts.unavailable);
                }
                Some((401 | 302, _)) => {
                    Counts::add(&counts.again);
                    let name = self.name.clone();
                    eventually(Duration::from_secs(20), || signs_in(self.world, &mut self.browser, &name));
                }
                Some((status, body)) => panic!("{}: {status}: {body}", self.name),
                None => {}
            }
            std::thread::sleep(Duration::from_millis(dice.roll(4) as u64));
        }
    }
}

fn signs_in(world: &World, browser: &mut Browser, name: &str) -> bool {
    let begin = browser.get("/");
    match begin.location() {
        Some(location) if begin.status() == 302 => {
            let callback = world.provider.approve_as(location, name);
            browser.get(&callback).status() == 302
        }
        _ => begin.status() == 200,
    }
}

fn attack(world: &World, dice: &mut Dice) {
    let authority = world.gateway.authority();
    let request = format!("GET /page HTTP/1.1\r\nHost: {authority}\r\nCookie: AWSELBAuthSessionCookie-0=forged\r\n\r\n");
    match dice.roll(6) {
        // Gone at some octet of a handshake, a head or a body.
        0 => {
            let mut wire = connect(world.gateway.port);
            let _ = wire.send(&request.as_bytes()[..dice.roll(request.len())]);
            wire.close();
        }
        1 => {
            use std::io::Write as _;
            let mut socket = std::net::TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
            let _ = socket.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..dice.roll(11)]);
        }
        2 => {
            let bad = [
                "Transfer-Encoding: xchunked",
                "Content-Length: 1\r\nContent-Length: 2",
                "X: a\0b",
                "Content-Length: 5\r\nTransfer-Encoding: chunked",
            ];
            let mut wire = connect(world.gateway.port);
            let _ = wire.send(
                format!("POST /page HTTP/1.1\r\nHost: {authority}\r\n{}\r\n\r\nGET /stolen HTTP/1.1\r\n\r\n", bad[dice.roll(bad.len())])
                    .as_bytes(),
            );
            assert_eq!(wire.response("POST").map_or(400, |response| response.status()), 400);
        }
        3 => {
            let mut http2 = Http2::connect(&world.gateway);
            let head = block(&[(":method", "GET"), (":scheme", "https"), (":authority", &authority), (":path", "/page")]);
            for number in 0..50_u32 {
                let stream = number * 2 + 1;
                let _ = http2.send_octets(&[frame(1, 5, stream, &head), frame(3, 0, stream, &8_u32.to_be_bytes())].concat());
            }
        }
        4 => {
            let mut wire = connect(world.gateway.port);
            let _ = wire.send(request.as_bytes());
            let status = wire.response("GET").map_or(401, |response| response.status());
            assert_ne!(status, 200, "a forged cookie");
        }
        _ => {
            // An answer that is not waited for.
            let mut wire = connect(world.gateway.port);
            let _ = wire.send(request.repeat(20).as_bytes());
            wire.close();
        }
    }
}

#[test]
fn q11_everything_at_once_with_faults_at_random_leaks_nothing_and_mixes_nobody_up() {
    let seconds = number(20, 600) as u64;
    let redis = Arc::new(Redis::start());
    let proxy = FaultProxy::before(&redis);
    let address = telling_target();
    let mut world = World::start_with(|plan| {
        quiet(plan);
        plan.keep_in(&redis, &proxy.url());
        plan.listener()["limits"] = json!({"sign_ins_per_address": u32::MAX, "failures_per_address": u32::MAX});
        plan.configuration["target_groups"]["app"] = json!({"targets": [address.to_string()]});
    });
    world.provider.set(|provider| provider.edit_token_response(|response| response["expires_in"] = json!(20)));
    let signed_in = people(&world, 12);
    let provider_fails = Arc::new(AtomicUsize::new(0));
    for endpoint in ["token", "userinfo"] {
        let fails = provider_fails.clone();
        world.provider.fault_when(endpoint, move |_| match fails.load(Ordering::Relaxed) {
            1 => Some(Answer::closed()),
            2 => Some(Answer::of(500, None, "no")),
            3 => Some(Answer::of(200, Some("application/json"), "nonsense")),
            _ => None,
        });
    }
    let (over, counts) = (AtomicBool::new(false), Counts::default());
    let before = sample(&world);
    let samples = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (index, (name, browser)) in signed_in.into_iter().enumerate() {
            let mut person = Person { world: &world, name, browser, old: None, new: None, streams: 0 };
            let (over, counts) = (&over, &counts);
            scope.spawn(move || person.live(over, counts, &mut Dice(index as u64 + 1)));
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let done = signs_in(&world, &mut world.browser(), "newcomer");
                Counts::add(if done { &counts.sign_ins } else { &counts.failed_sign_ins });
            }
        });
        scope.spawn(|| {
            let mut dice = Dice(99);
            while !over.load(Ordering::Relaxed) {
                attack(&world, &mut dice);
                Counts::add(&counts.attacks);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let begun = Instant::now();
        let mut dice = Dice(4711);
        while begun.elapsed() < Duration::from_secs(seconds) {
            match dice.roll(8) {
                0 => proxy.set(Fault::Swallow),
                1 => proxy.set(Fault::Refuse),
                2 => proxy.set(Fault::Truncate),
                3 => proxy.set(Fault::Delay(Duration::from_millis(300))),
                kind @ 4..7 => provider_fails.store(kind - 3, Ordering::Relaxed),
                _ => hang_up(&world.gateway),
            }
            Counts::add(&counts.faults);
            std::thread::sleep(Duration::from_millis(300 + dice.roll(700) as u64));
            proxy.set(Fault::Nothing);
            provider_fails.store(0, Ordering::Relaxed);
            samples.lock().unwrap().push((begun.elapsed().as_secs_f64(), sample(&world)));
            std::thread::sleep(Duration::from_millis(500 + dice.roll(2000) as u64));
        }
        over.store(true, Ordering::Relaxed);
    });
    world.gateway.assert_alive();
    let samples = samples.into_inner().unwrap();
    let middle = samples[samples.len() / 2].1;
    let slope = slope(&samples[samples.len() / 2..]);
    let is_calm = || sample(&world).1 <= before.1 + 20;
    let calm = eventually(Duration::from_secs(90), is_calm);
    let after = sample(&world);
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!(
        "{seconds} s: {} requests, none wrong; {} times 503; {} new sign-ins; {} sign-ins and {} that failed; {} attacks; {} faults. \
         {} KiB and {} descriptors before, {} and {} in the middle, {} and {} at last and at rest; {slope:.0} KiB a minute in the second half",
        count(&counts.answers),
        count(&counts.unavailable),
        count(&counts.again),
        count(&counts.sign_ins),
        count(&counts.failed_sign_ins),
        count(&counts.attacks),
        count(&counts.faults),
        before.0,
        before.1,
        middle.0,
        middle.1,
        after.0,
        after.1
    );
    assert!(count(&counts.sign_ins) > 0 && count(&counts.attacks) > 0, "nothing happened");
    assert!(calm, "{} descriptors are still open, and there were {}", after.1, before.1);
    assert!(after.0 < middle.0 + 24 * 1024, "memory grows: {} KiB in the middle, {} at last", middle.0, after.0);
}

/// KiB a minute, by least squares.
fn slope(samples: &[(f64, (u64, usize))]) -> f64 {
    let points: Vec<(f64, f64)> = samples.iter().map(|(time, (memory, _))| (*time, *memory as f64)).collect();
    let count = points.len() as f64;
    let (times, memories) = points.iter().fold((0.0, 0.0), |(times, memories), (time, memory)| (times + time, memories + memory));
    let (time, memory) = (times / count, memories / count);
    let both: f64 = points.iter().map(|point| (point.0 - time) * (point.1 - memory)).sum();
    let square: f64 = points.iter().map(|point| (point.0 - time).powi(2)).sum();
    if square > 0.0 { both / square * 60.0 } else { 0.0 }
}

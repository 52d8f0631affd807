//! X02 to X07: clients of HTTP/2 that send what costs more than it weighs. The process stays the same, its memory bounded, and others go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::client::connect;
use crate::support::gateway::eventually;
use crate::support::h2::{Http2, block, frame};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const MEBIBYTE: u64 = 1024 * 1024;

fn fields(authority: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", "/public")])
}

/// How long requests of somebody else take, in the middle and at most, while `flood` goes on.
fn canary<T>(world: &World, flood: impl FnOnce() -> T + Send) -> (T, Duration, Duration)
where
    T: Send,
{
    let over = AtomicBool::new(false);
    let authority = world.gateway.authority();
    std::thread::scope(|scope| {
        let asks = scope.spawn(|| {
            let mut wire = connect(world.gateway.port);
            let mut times = Vec::new();
            while !over.load(Ordering::Relaxed) || times.len() < 50 {
                let begun = Instant::now();
                wire.send(format!("GET /public/canary HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).unwrap();
                assert_eq!(wire.response("GET").unwrap().status(), 200);
                times.push(begun.elapsed());
            }
            times.sort();
            (times[times.len() / 2], times[times.len() - 1])
        });
        let result = flood();
        over.store(true, Ordering::Relaxed);
        let (middle, longest) = asks.join().unwrap();
        (result, middle, longest)
    })
}

/// Sends octets, made anew each time, until the connection ends or so many have been sent.
fn until_closed(http2: &mut Http2, most: usize, mut octets: impl FnMut(usize) -> Vec<u8>) -> Option<usize> {
    (0..most).find(|round| http2.send_octets(&octets(*round)).is_err())
}

/// One attack on one connection: it ends early, memory is bounded and others are served.
#[expect(clippy::print_stdout, reason = "what was measured, for whoever asks with --nocapture")]
fn is_stopped(name: &str, most: usize, octets: impl FnMut(usize) -> Vec<u8> + Send) {
    let mut world = World::start();
    canary(&world, || ());
    let before = world.gateway.resident_memory();
    let quiet = canary(&world, || std::thread::sleep(Duration::from_millis(200))).1;
    let mut http2 = Http2::connect(&world.gateway);
    let (sent, middle, longest) = canary(&world, || until_closed(&mut http2, most, octets));
    let after = world.gateway.resident_memory();
    println!(
        "{name}: ended after {sent:?} of {most} pieces; {} KiB more; others took {middle:?} instead of {quiet:?}, at most {longest:?}",
        after.saturating_sub(before) / 1024
    );
    assert!(sent.is_some(), "{name}: nobody ended it");
    assert!(after < before + 24 * MEBIBYTE, "{name}: {} KiB more", (after - before) / 1024);
    assert!(longest < Duration::from_secs(5), "{name}: others waited for {longest:?}");
    world.gateway.assert_alive();
}

#[test]
fn x02_requests_that_are_taken_back_at_once_end_the_connection() {
    let head = fields("app.test");
    is_stopped("rapid reset", 5_000, move |round| {
        (0..100_u32)
            .flat_map(|number| {
                let stream = (u32::try_from(round).unwrap() * 100 + number) * 2 + 1;
                [frame(HEADERS, END_HEADERS | END_STREAM, stream, &head), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
            })
            .collect()
    });
}

#[test]
fn x02_few_requests_reach_the_target_of_those_that_are_taken_back() {
    let world = World::start_with(|plan| plan.listener()["limits"] = json!({"http2": {"resets_per_minute": 50}}));
    let head = fields(&world.gateway.authority());
    let mut http2 = Http2::connect(&world.gateway);
    // Each is at the target before it is taken back: the parser's own limit is for those that are not.
    let ended = (0..200_u32).find(|round| {
        let stream = round * 2 + 1;
        let sent = http2.send_octets(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
        let arrived = eventually(Duration::from_millis(500), || world.target.count() > *round as usize);
        sent.is_err() || !arrived || http2.send_octets(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())).is_err()
    });
    assert!(ended.is_some(), "nobody ended it");
    assert!(http2.ends_within(Duration::from_secs(5)));
    assert!((50..=52).contains(&world.target.count()), "{} requests", world.target.count());
}

#[test]
fn x03_resets_that_the_server_is_made_to_send_end_the_connection() {
    let head = fields("app.test");
    is_stopped("window updates of nothing", 20_000, move |round| {
        let stream = u32::try_from(round).unwrap() * 2 + 1;
        let nothing = frame(WINDOW_UPDATE, 0, stream, &[0; 4]);
        [frame(HEADERS, END_HEADERS, stream, &head), nothing].concat()
    });
}

#[test]
fn x04_header_blocks_without_an_end_end_the_connection() {
    let head = fields("app.test");
    let more = block(&[("x-more", &"y".repeat(8000))]);
    is_stopped("continuations", 50_000, {
        let more = more.clone();
        move |round| if round == 0 { frame(HEADERS, END_STREAM, 1, &head) } else { frame(CONTINUATION, 0, 1, &more) }
    });
    let head = fields("app.test");
    is_stopped("empty continuations", 50_000, move |round| {
        if round == 0 { frame(HEADERS, END_STREAM, 1, &head) } else { frame(CONTINUATION, 0, 1, &[]).repeat(20) }
    });
}

#[test]
fn x05_floods_of_frames_that_carry_nothing_end_the_connection() {
    let head = fields("app.test");
    is_stopped(
        "empty data",
        50_000,
        move |round| {
            if round == 0 { frame(HEADERS, END_HEADERS, 1, &head) } else { frame(DATA, 0, 1, &[]).repeat(20) }
        },
    );
    is_stopped("settings", 50_000, |_| frame(SETTINGS, 0, 0, &[]).repeat(20));
    is_stopped("pings", 50_000, |_| frame(PING, 0, 0, &[0; 8]).repeat(20));
    is_stopped("priorities", 50_000, |_| frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]).repeat(20));
    is_stopped("unknown frames", 50_000, |_| frame(0xbb, 0, 0, &[0; 4]).repeat(20));
}

#[test]
fn x06_fields_that_unpack_to_much_more_are_refused() {
    let world = World::start();
    let before = world.gateway.resident_memory();
    for _ in 0..20 {
        let mut http2 = Http2::connect_with(&world.gateway, &[]);
        // A field of 4,000 octets goes into the table (RFC 7541 section 6.2.1), and then thousands of times by its number.
        let mut bomb = fields(&world.gateway.authority());
        bomb.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
        bomb.extend([b'y'; 4000]);
        bomb.extend([0xbe; 10_000]);
        let _ = http2.send_octets(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb));
        let mark = world.target.count();
        let refused = http2.ends_within(Duration::from_secs(1)) || world.target.count() == mark;
        assert!(refused, "40 MB of fields were forwarded");
    }
    let after = world.gateway.resident_memory();
    println!("20 bombs: {} KiB more", after.saturating_sub(before) / 1024);
    assert!(after < before + 16 * MEBIBYTE, "{} KiB more", (after - before) / 1024);
}

#[test]
fn q03_prefaces_and_header_blocks_that_drip_end_within_the_time_for_headers() {
    let world = World::start_with(|plan| plan.listener()["limits"] = json!({"header_timeout": 1}));
    let head = fields(&world.gateway.authority());
    let mut block = Http2::connect(&world.gateway);
    block.send_octets(&frame(HEADERS, END_STREAM, 1, &head)).unwrap();
    assert!(block.ends_within(Duration::from_secs(10)), "a block without an end");
    let mut half = Http2::connect(&world.gateway);
    half.send_octets(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head)[..20]).unwrap();
    assert!(half.ends_within(Duration::from_secs(10)), "half a frame");
    let mut preface = connect_for_http2(&world);
    preface.send(b"PRI * HTTP/2.0\r\n").unwrap();
    preface.read_timeout(Duration::from_secs(10));
    let begun = Instant::now();
    preface.rest();
    assert!(begun.elapsed() < Duration::from_secs(8), "half a preface");
}

fn connect_for_http2(world: &World) -> crate::support::wire::Wire {
    crate::support::client::connect_as(world.gateway.port, crate::support::certificates::certificates().client(b"h2")).unwrap()
}

/// A hundred streams of each connection whose window is never opened, and a target that has 10 MB for each.
#[test]
fn x07_streams_whose_window_stays_closed_cost_little_and_not_for_long() {
    let mut world = World::start_with(|plan| plan.listener()["limits"] = json!({"send_timeout": 3}));
    let large = 10 * 1024 * 1024;
    world.target.say("/public/large", format!("HTTP/1.1 200 OK\r\nContent-Length: {large}\r\n\r\n{}", "x".repeat(large)));
    let authority = world.gateway.authority();
    let asked = [(":method", "GET"), (":scheme", "https"), (":authority", authority.as_str()), (":path", "/public/large")];
    canary(&world, || ());
    let before = world.gateway.resident_memory();
    let connections = 3;
    let (held, middle, longest) = canary(&world, || {
        let mut held: Vec<Http2> = (0..connections).map(|_| Http2::connect_with(&world.gateway, &[0, 4, 0, 0, 0, 0])).collect();
        for http2 in &mut held {
            for _ in 0..100 {
                http2.open(&asked);
            }
        }
        assert!(eventually(Duration::from_secs(20), || world.target.since(0).iter().filter(|seen| seen.target == "/public/large").count()
            == connections * 100));
        held
    });
    let during = world.gateway.resident_memory();
    let each = during.saturating_sub(before) / (connections as u64 * 100) / 1024;
    println!("{each} KiB for each stream whose window is closed; others took {middle:?}, at most {longest:?}");
    assert!(each < 512, "{each} KiB for each stream");
    let ended = || world.gateway.access_lines().iter().filter(|line| line["request"].as_str().unwrap().contains("/public/large")).count();
    assert!(eventually(Duration::from_secs(20), || ended() == connections * 100), "{} have ended", ended());
    drop(held);
    world.gateway.assert_alive();
}

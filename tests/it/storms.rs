//! Q04, Q07, Q08, X08, X12: clients that leave in the middle, that talk nonsense, and that are too many for the process. Others are served
//! meanwhile, and afterwards nothing is left of them.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::World;
use crate::support::client::{connect, raw};
use crate::support::gateway::eventually;
use crate::support::h2::{Http2, block, frame};

fn is_served(world: &World) -> bool {
    raw(&world.gateway, format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()))
        .is_some_and(|response| response.status() == 200)
}

#[test]
fn q08_clients_that_leave_at_any_octet_leave_nothing_behind() {
    let mut world = World::start();
    assert!(is_served(&world));
    let (before, memory) = (world.gateway.descriptors(), world.gateway.resident_memory());
    let request = format!(
        "POST /public HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        world.gateway.authority()
    );
    for end in 0..request.len() {
        let mut wire = connect(world.gateway.port);
        wire.send(&request.as_bytes()[..end]).unwrap();
        if end % 2 == 0 {
            wire.close();
        }
    }
    // A ClientHello that goes on for 512 octets, and ends before.
    let hello: Vec<u8> = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3].into_iter().chain(std::iter::repeat_n(7, 506)).collect();
    for end in (0..hello.len()).step_by(3) {
        let mut socket = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
        let _ = socket.write_all(&hello[..end]);
    }
    let preface = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        frame(1, 5, 1, &block(&[(":method", "GET"), (":path", "/public")])),
    ]
    .concat();
    for end in 0..preface.len() {
        let mut wire =
            crate::support::client::connect_as(world.gateway.port, crate::support::certificates::certificates().client(b"h2")).unwrap();
        wire.send(&preface[..end]).unwrap();
    }
    assert!(
        eventually(Duration::from_secs(20), || world.gateway.descriptors() <= before + 5),
        "{} descriptors, {before} before",
        world.gateway.descriptors()
    );
    let more = world.gateway.resident_memory().saturating_sub(memory) / 1024;
    assert!(more < 24 * 1024, "{more} KiB more");
    assert!(is_served(&world));
    world.gateway.assert_alive();
}

#[test]
fn q07_handshakes_that_are_none_cost_others_nothing() {
    let mut world = World::start();
    let mut random = 1_u32;
    for round in 0..500 {
        let mut socket = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
        let mut junk: Vec<u8> = (0..round)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                random.to_be_bytes()[0]
            })
            .collect();
        match round % 4 {
            // A record of the largest length that there is, one that is too long, HTTP in the clear, and noise.
            0 => junk.splice(..0, [22, 3, 1, 0x40, 0]).for_each(drop),
            1 => junk.splice(..0, [22, 3, 1, 0xff, 0xff]).for_each(drop),
            2 => junk.splice(..0, *b"GET / HTTP/1.1\r\n\r\n").for_each(drop),
            _ => {}
        }
        let _ = socket.write_all(&junk);
        if round % 50 == 0 {
            assert!(is_served(&world), "{round}");
        }
    }
    world.gateway.assert_alive();
}

#[test]
fn q04_without_descriptors_it_waits_and_goes_on_when_there_are_some() {
    let mut world = World::start();
    assert!(is_served(&world));
    let process = rustix::process::Pid::from_raw(i32::try_from(world.gateway.process_id()).unwrap());
    let few = rustix::process::Rlimit {
        current: Some(world.gateway.descriptors() as u64 + 10),
        maximum: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum,
    };
    rustix::process::prlimit(process, rustix::process::Resource::Nofile, few).unwrap();
    let held: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap()).collect();
    let before = world.gateway.processor_time();
    std::thread::sleep(Duration::from_secs(2));
    let used = world.gateway.processor_time() - before;
    assert!(used < 100, "{used} of 200 ticks of the processor while nothing could be accepted");
    world.gateway.assert_alive();
    drop(held);
    assert!(eventually(Duration::from_secs(20), || is_served(&world)), "not served after the others have gone");
}

#[test]
fn x08_lengths_that_are_not_those_of_the_frames_are_refused() {
    let world = World::start();
    let authority = world.gateway.authority();
    let head = [(":method", "POST"), (":scheme", "https"), (":authority", authority.as_str()), (":path", "/public")];
    for (variant, more, body) in [
        ("too long", ("content-length", "10"), &b"hello"[..]),
        ("too short", ("content-length", "3"), b"hello"),
        ("none", ("content-length", "0"), b"hello"),
        ("two in one", ("content-length", "5, 6"), b"hello"),
        ("no number", ("content-length", "+5"), b"hello"),
        ("chunks", ("transfer-encoding", "chunked"), b"0\r\n\r\n"),
        ("a connection", ("connection", "close"), b"hello"),
        ("an upgrade", ("upgrade", "websocket"), b"hello"),
    ] {
        let mark = world.target.count();
        let fields: Vec<_> = head.into_iter().chain([more]).collect();
        let outcome = Http2::connect(&world.gateway).request(&fields, Some(body), &[]);
        assert!(outcome.is_refused() || outcome.status == Some(502), "{variant}: {outcome:?}");
        for seen in world.target.since(mark) {
            assert!(seen.head.all("transfer-encoding").len() + seen.head.all("content-length").len() <= 1, "{variant}");
            assert!(body.starts_with(&seen.body), "{variant}: {:?}", seen.body);
        }
    }
    let fields: Vec<_> = head.into_iter().chain([("content-length", "5")]).collect();
    assert_eq!(Http2::connect(&world.gateway).request(&fields, Some(b"hello"), &[]).status, Some(200));
}

#[test]
fn x12_stream_numbers_that_no_client_may_use_end_the_connection() {
    let world = World::start();
    let head = block(&[(":method", "GET"), (":scheme", "https"), (":authority", &world.gateway.authority()), (":path", "/public")]);
    for (variant, streams) in [("even", &[2_u32][..]), ("nought", &[0]), ("backwards", &[5, 3])] {
        let mut http2 = Http2::connect(&world.gateway);
        for stream in streams {
            let _ = http2.send_octets(&frame(1, 5, *stream, &head));
        }
        assert!(http2.ends_within(Duration::from_secs(10)), "{variant}");
    }
    assert!(is_served(&world));
}

//! The PROXY protocol (K05): who a balancer says that its client is, and nobody else's word. 127.0.0.2 is the balancer.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use serde_json::json;
use vestibule::app::{self, Options};

use crate::reload::{changed, reload};
use crate::support::World;
use crate::support::certificates::{APP, certificates};
use crate::support::gateway::{eventually, free_port};
use crate::support::haproxy::Haproxy;
use crate::support::wire::{Response, Wire};

const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The listener of the world, which trusts the balancer, and one for plain HTTP that does too.
fn world() -> (World, u16) {
    world_with("10s")
}

fn world_with(handshake_timeout: &str) -> (World, u16) {
    let plain = free_port();
    let world = World::start_with(|plan| {
        let listener = plan.listener();
        listener["proxy_protocol"] = json!({"trusted": ["127.0.0.2/32"]});
        listener["limits"] = json!({"handshake_timeout": handshake_timeout});
        listener["x_forwarded_for_client_port"] = json!(true);
        let visitor =
            json!({"priority": 1, "conditions": [{"source_ip": ["192.0.2.0/24", "2001:db8::/32"]}], "actions": [{"forward": "app"}]});
        listener["rules"].as_array_mut().unwrap().push(visitor);
        let mut other = listener.clone();
        other["address"] = json!(format!("127.0.0.1:{plain}"));
        other["protocol"] = json!("http");
        other["certificates"] = json!([]);
        other["rules"] = json!([]);
        other["default_actions"] = json!([{"forward": "app"}]);
        plan.configuration["listeners"].as_array_mut().unwrap().push(other);
    });
    (world, plain)
}

/// A connection from one of this machine's many addresses.
fn connection(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let unconnected = socket(family, SocketType::STREAM, None).unwrap();
    if to.is_ipv4() {
        bind(&unconnected, &SocketAddr::new(from.into(), 0)).unwrap();
    }
    connect(&unconnected, &to).unwrap();
    let stream = TcpStream::from(unconnected);
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A request over TLS after `header`; `None` where the connection ends first.
fn ask(from: Ipv4Addr, to: SocketAddr, header: &[u8], path: &str, fields: &str) -> Option<Response> {
    let mut stream = connection(from, to);
    stream.write_all(header).unwrap();
    let mut wire = Wire::tls_client(stream, certificates().client(b"http/1.1"), APP).ok()?;
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: {APP}\r\n{fields}Connection: close\r\n\r\n").as_bytes()).ok()?;
    wire.response("GET").ok()
}

fn line(source: &str) -> Vec<u8> {
    let (family, own) = if source.contains(':') { ("TCP6", "2001:db8::443") } else { ("TCP4", "198.51.100.1") };
    format!("PROXY {family} {source} {own} 4711 443\r\n").into_bytes()
}

fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &u16::try_from(rest.len()).unwrap().to_be_bytes(), rest].concat()
}

/// 192.0.2.9:4711 to 198.51.100.1:443.
const FOUR: [u8; 12] = [192, 0, 2, 9, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];

#[test]
fn haproxy_says_who_the_client_is() {
    let (world, _) = world();
    for (bind, says, client) in [
        ("127.0.0.1", "send-proxy", "127.0.0.9"),
        ("127.0.0.1", "send-proxy-v2", "127.0.0.9"),
        ("127.0.0.1", "send-proxy-v2 proxy-v2-options crc32c,unique-id", "127.0.0.9"),
        ("127.0.0.1", "send-proxy-v2-ssl-cn", "127.0.0.9"),
        ("::1", "send-proxy", "[::1]"),
        ("::1", "send-proxy-v2", "[::1]"),
    ] {
        let haproxy = Haproxy::start(bind, world.gateway.port, says);
        let to = SocketAddr::new(bind.parse().unwrap(), haproxy.port);
        // Until its own handshakes have worked twice it passes nobody on.
        let mut found = None;
        let passes = || {
            found = ask(Ipv4Addr::new(127, 0, 0, 9), to, b"", "/public/page", "X-Forwarded-For: 192.0.2.66\r\n");
            found.is_some()
        };
        assert!(eventually(Duration::from_secs(10), passes), "{bind} {says}: {}", world.gateway.log());
        assert_eq!(found.unwrap().status(), 200, "{bind} {says}");
        let seen = world.target.last();
        let chain = seen.get("x-forwarded-for").unwrap();
        let port = chain.strip_prefix(client).and_then(|rest| rest.strip_prefix(':')).and_then(|port| port.parse::<u16>().ok());
        assert!(port.is_some(), "{bind} {says}: {chain}");
        assert_eq!(seen.get("x-forwarded-port"), Some(haproxy.port.to_string().as_str()), "{bind} {says}");
        let bare = client.trim_matches(['[', ']']);
        let logged = world.gateway.access_lines_with(1, |line| line.to_string().contains(chain) || line["client_ip"] == bare);
        assert!(!logged.is_empty(), "{bind} {says}: {chain} is not in the log: {}", world.gateway.access_log());
        // Health checks say LOCAL or UNKNOWN, and nothing that is worth a line.
        assert!(!world.gateway.log().contains("a connection was closed"), "{bind} {says}: {}", world.gateway.log());
    }
}

#[test]
fn the_client_of_the_header_is_the_one_that_rules_limits_and_targets_see() {
    let (world, plain) = world();
    let six = [&[0x20, 1, 0xd, 0xb8][..], &[0; 12], &[0x20, 1, 0xd, 0xb8], &[0; 12], &[0x12, 0x67, 0x01, 0xbb]].concat();
    let extended = [FOUR.as_slice(), &[0xea, 0, 2, 1, 2], &[4, 0x03, 0xe8], &[7; 1000]].concat();
    for (header, client) in [
        (line("192.0.2.9"), "192.0.2.9:4711"),
        (line("2001:db8::9"), "[2001:db8::9]:4711"),
        (line("::ffff:192.0.2.9"), "192.0.2.9:4711"),
        (version_2(0x21, 0x11, &FOUR), "192.0.2.9:4711"),
        (version_2(0x21, 0x11, &extended), "192.0.2.9:4711"),
        (version_2(0x21, 0x21, &six), "[2001:db8::]:4711"),
    ] {
        // Nobody is signed in: it is the rule for these addresses that lets them in.
        let response = ask(BALANCER, at(world.gateway.port), &header, "/page", "X-Forwarded-For: 203.0.113.1\r\n");
        assert_eq!(response.expect("an answer").status(), 200, "{client}");
        let seen = world.target.last();
        assert_eq!((seen.get("x-forwarded-for"), seen.get("x-forwarded-port")), (Some(client), Some("443")), "{client}");
        // Plain HTTP follows at once, in the same packet.
        let mut wire = Wire::plain(connection(BALANCER, at(plain)));
        wire.send(&[&header, format!("GET /plain HTTP/1.1\r\nHost: {APP}\r\n\r\n").as_bytes()].concat()).unwrap();
        assert_eq!(wire.response("GET").unwrap().status(), 200, "{client}");
        assert_eq!(world.target.last().get("x-forwarded-for"), Some(client));
    }
    // The balancer for itself: its own address, for which the rule is not.
    let unknown = b"PROXY UNKNOWN 192.0.2.9 and whatever stands here\r\n".to_vec();
    for header in [unknown, version_2(0x20, 0, &[]), version_2(0x20, 0x11, &FOUR), version_2(0x21, 0x31, &[7; 216])] {
        let to = at(world.gateway.port);
        assert_eq!(ask(BALANCER, to, &header, "/page", "Accept: text/html\r\n").expect("an answer").status(), 302);
        assert_eq!(ask(BALANCER, to, &header, "/public/page", "").expect("an answer").status(), 200);
        assert!(world.target.last().get("x-forwarded-for").unwrap().starts_with("127.0.0.2:"));
        assert_eq!(world.target.last().get("x-forwarded-port"), Some(world.gateway.port.to_string().as_str()));
    }
}

#[test]
fn k05_header_of_a_stranger_is_none() {
    let (world, plain) = world();
    let before = world.target.count();
    for header in [line("192.0.2.9"), version_2(0x21, 0x11, &FOUR), version_2(0x20, 0, &[])] {
        assert!(ask(STRANGER, at(world.gateway.port), &header, "/page", "").is_none(), "{}", header.escape_ascii());
        let mut wire = Wire::plain(connection(STRANGER, at(plain)));
        wire.send(&[&header, format!("GET /plain HTTP/1.1\r\nHost: {APP}\r\nConnection: close\r\n\r\n").as_bytes()].concat()).unwrap();
        let answer = wire.rest();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());
    }
    assert_eq!(world.target.count(), before, "something arrived");
    // Without one a stranger is a client like any other.
    assert_eq!(ask(STRANGER, at(world.gateway.port), b"", "/public/page", "").expect("an answer").status(), 200);
    assert!(world.target.last().get("x-forwarded-for").unwrap().starts_with("127.0.0.1:"));
}

#[test]
fn k05_connection_of_a_balancer_without_a_sound_header_is_closed() {
    let (world, plain) = world();
    let before = world.target.count();
    let request = format!("GET /page HTTP/1.1\r\nHost: {APP}\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n").into_bytes();
    let text = |text: &str| text.as_bytes().to_vec();
    for (variant, header) in [
        ("none", Vec::new()),
        ("in lower case", text("proxy TCP4 192.0.2.9 192.0.2.1 1 1\r\n")),
        ("after a line break", text("\r\nPROXY TCP4 192.0.2.9 192.0.2.1 1 1\r\n")),
        ("without a carriage return", text("PROXY TCP4 192.0.2.9 192.0.2.1 1 1\n")),
        ("without an end", text("PROXY TCP4 192.0.2.9 192.0.2.1 1 1")),
        ("too long", format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)).into_bytes()),
        ("an address of the other family", text("PROXY TCP4 2001:db8::1 2001:db8::2 1 1\r\n")),
        ("an address in octal", text("PROXY TCP4 192.0.2.011 192.0.2.1 1 1\r\n")),
        ("a port that is none", text("PROXY TCP4 192.0.2.9 192.0.2.1 65536 1\r\n")),
        ("a port with a sign", text("PROXY TCP4 192.0.2.9 192.0.2.1 +1 1\r\n")),
        ("two spaces", text("PROXY TCP4  192.0.2.9 192.0.2.1 1 1\r\n")),
        ("version 3", version_2(0x31, 0x11, &FOUR)),
        ("another command", version_2(0x22, 0x11, &FOUR)),
        ("datagrams", version_2(0x21, 0x12, &FOUR)),
        ("too short for its family", version_2(0x21, 0x21, &FOUR)),
        ("an extension that is too long", version_2(0x21, 0x11, &[FOUR.as_slice(), &[4, 0xff, 0xff, 0]].concat())),
        ("a wrong checksum", version_2(0x21, 0x11, &[FOUR.as_slice(), &[3, 0, 4, 1, 2, 3, 4]].concat())),
        ("too large", version_2(0x21, 0x11, &[0; 4097])),
    ] {
        let begin = Instant::now();
        let mut wire = Wire::plain(connection(BALANCER, at(plain)));
        let _ = wire.send(&[&header[..], &request].concat());
        let answer = wire.rest();
        assert!(answer.is_empty(), "{variant}: {}", answer.escape_ascii());
        // What is wrong is wrong at once; nobody waits for more of it.
        assert!(begin.elapsed() < Duration::from_secs(5), "{variant}: closed after {:?}", begin.elapsed());
    }
    // What comes after a header is a request, even if it looks like another one.
    let twice = [line("192.0.2.9"), line("203.0.113.1")].concat();
    let mut wire = Wire::plain(connection(BALANCER, at(plain)));
    wire.send(&[&twice[..], &request].concat()).unwrap();
    let answer = wire.rest();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());
    assert!(ask(BALANCER, at(world.gateway.port), &twice, "/page", "").is_none());
    assert_eq!(world.target.count(), before, "something arrived");
    assert!(world.gateway.log().contains("there is no PROXY header"), "{}", world.gateway.log());
}

#[test]
fn k05_q03_header_that_does_not_end_is_cut() {
    let (world, plain) = world_with("1s");
    for port in [world.gateway.port, plain] {
        for header in [line("192.0.2.9"), version_2(0x21, 0x11, &[FOUR.as_slice(), &[4, 0, 50], &[0; 50]].concat()), Vec::new()] {
            let stream = connection(BALANCER, at(port));
            let mut writer = stream.try_clone().unwrap();
            let begin = Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    // A byte every 100 ms, as long as anybody listens, and never the last one.
                    for byte in header.iter().take(header.len().saturating_sub(1)) {
                        if writer.write_all(&[*byte]).is_err() {
                            break;
                        }
                        std::thread::sleep(Duration::from_millis(100));
                        if begin.elapsed() > Duration::from_secs(3) {
                            break;
                        }
                    }
                });
                assert_eq!(Wire::plain(stream).rest(), b"");
                let after = begin.elapsed();
                assert!((Duration::from_millis(500)..Duration::from_secs(3)).contains(&after), "closed after {after:?}");
            });
        }
    }
    // The time is one for header and handshake together.
    let mut stream = connection(BALANCER, at(world.gateway.port));
    let begin = Instant::now();
    std::thread::sleep(Duration::from_millis(600));
    stream.write_all(&line("192.0.2.9")).unwrap();
    assert_eq!(Wire::plain(stream).rest(), b"");
    assert!(begin.elapsed() < Duration::from_millis(1500), "closed after {:?}", begin.elapsed());
}

#[test]
fn forwarded_headers_are_believed_by_the_address_of_the_header() {
    let world = World::start_with(|plan| {
        plan.listener()["proxy_protocol"] = json!({"trusted": ["127.0.0.2"]});
        plan.listener()["trusted_proxies"] = json!(["127.0.0.2", "192.0.2.9"]);
    });
    let told = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Port: 8443\r\n";
    for (header, chain, port) in [
        (line("192.0.2.9"), "203.0.113.7, 192.0.2.9", "8443"),
        // That the balancer is in the list says nothing of whom it speaks for.
        (line("192.0.2.8"), "192.0.2.8", "443"),
    ] {
        assert_eq!(ask(BALANCER, at(world.gateway.port), &header, "/public/page", told).expect("an answer").status(), 200);
        let seen = world.target.last();
        assert_eq!((seen.get("x-forwarded-for"), seen.get("x-forwarded-port")), (Some(chain), Some(port)));
    }
}

#[test]
fn limits_count_the_clients_behind_a_balancer_one_by_one() {
    let world = World::start_with(|plan| {
        plan.listener()["proxy_protocol"] = json!({"trusted": ["127.0.0.2"]});
        plan.listener()["limits"] = json!({"sign_ins_per_address": 1});
    });
    let status =
        |source: &str| ask(BALANCER, at(world.gateway.port), &line(source), "/page", "Accept: text/html\r\n").expect("an answer").status();
    assert_eq!([status("192.0.2.1"), status("192.0.2.1"), status("192.0.2.2")], [302, 429, 302]);
}

#[test]
fn a_reload_names_other_balancers_for_the_connections_to_come() {
    let world = World::start();
    let to = at(world.gateway.port);
    assert!(ask(BALANCER, to, &line("192.0.2.9"), "/public/page", "").is_none());
    changed(&world, |configuration| configuration["listeners"][0]["proxy_protocol"] = json!({"trusted": ["127.0.0.2"]}));
    reload(&world.gateway, "success");
    assert_eq!(ask(BALANCER, to, &line("192.0.2.9"), "/public/page", "").expect("an answer").status(), 200);
    assert_eq!(world.target.last().get("x-forwarded-for"), Some("192.0.2.9"));
    assert!(ask(BALANCER, to, b"", "/public/page", "").is_none());
}

#[test]
fn who_may_speak_it_has_to_be_named() {
    for (trusted, fault) in [
        (json!({}), "trusted"),
        (json!({"trusted": []}), "nobody speaks it"),
        (json!({"trusted": ["0.0.0.0/0"]}), "trusts everybody"),
        (json!({"trusted": ["balancer"]}), "is not a network"),
        (json!({"mode": "optional", "trusted": ["127.0.0.1"]}), "mode"),
    ] {
        let listener = json!({
            "address": "127.0.0.1:0", "protocol": "http", "hosts": [APP], "proxy_protocol": trusted,
            "default_actions": [{"fixed_response": {"status_code": 200}}],
        });
        let (loaded, report) = app::load_text(&format!("{:#}", json!({"listeners": [listener]})), Path::new(""), &Options::default());
        let report = report.render(false);
        assert!(loaded.is_none() && report.contains(fault), "{trusted}: {report}");
        assert!(report.contains("proxy_protocol") && report.contains(':'), "{trusted}: {report}");
    }
}

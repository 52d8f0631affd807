//! K01, G01, G05: certificates are replaced and configurations reloaded under load, over and over, and no request fails.
//!
//! Twenty rounds in the usual run, a hundred with `VESTIBULE_SOAK=full`, which prints what was counted.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::reload::{changed, count, reload};
use crate::soak::{number, quiet};
use crate::support::World;
use crate::support::certificates::{APP, certificates};
use crate::support::client::connect;
use crate::support::gateway::{Plan, rule, write_private};
use crate::support::h2::Http2;
use crate::support::handshake::{ask, handshake, leaf};
use crate::support::oracles::{assert_signed_in, sign_in};
use crate::support::wire::Wire;
use crate::websockets::{echoes, open};

/// What goes on while something else happens.
struct Load {
    stop: AtomicBool,
    /// Requests that were answered with 200, and connections that were opened for them.
    answered: AtomicUsize,
    opened: AtomicUsize,
    logins: AtomicUsize,
}

impl Load {
    fn new() -> Self {
        Self { stop: AtomicBool::new(false), answered: AtomicUsize::new(0), opened: AtomicUsize::new(0), logins: AtomicUsize::new(0) }
    }

    /// Until it is told to stop: one request after the other, on one connection or on one each. Every answer is 200.
    fn requests(&self, port: u16, request: &[u8], method: &str, keeps: bool, who: &str) {
        let mut kept: Option<Wire> = None;
        while !self.stop.load(Ordering::Relaxed) {
            let mut wire = kept.take().unwrap_or_else(|| {
                self.opened.fetch_add(1, Ordering::Relaxed);
                connect(port)
            });
            wire.send(request).unwrap_or_else(|error| panic!("{who}: {error}"));
            let response = wire.response(method).unwrap_or_else(|error| panic!("{who}: no answer ({error})"));
            assert_eq!(response.status(), 200, "{who}: {response}");
            kept = keeps.then_some(wire);
            self.answered.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Ends the load also where the test fails: the threads are waited for.
struct Stopping<'l>(&'l Load);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Six clients that are signed in: with and without bodies, on connections that are kept and on new ones.
fn start<'s>(scope: &'s std::thread::Scope<'s, '_>, load: &'s Load, world: &World, cookies: &str) {
    let (port, authority) = (world.gateway.port, world.gateway.authority());
    for number in 0..6 {
        let (method, more, body) = match number {
            0 | 1 => ("POST", "Content-Length: 100000\r\n", "a".repeat(100_000)),
            2 | 3 => ("GET", "Connection: close\r\n", String::new()),
            _ => ("GET", "", String::new()),
        };
        let request = format!("{method} /page HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookies}\r\n{more}\r\n{body}");
        scope.spawn(move || load.requests(port, request.as_bytes(), method, !(2..=3).contains(&number), &format!("client {number}")));
    }
}

fn put(folder: &Path, name: &str, content: &str) {
    let new = folder.join(format!("{name}.new"));
    write_private(&new, content);
    std::fs::rename(new, folder.join(name)).unwrap();
}

fn expiry(world: &World, certificate: &Path) -> i64 {
    let name = format!("vestibule_certificate_expiry_timestamp_seconds{{certificate=\"{}\"}} ", certificate.display());
    let text = world.gateway.admin("/metrics").unwrap().text();
    let value: f64 = text.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok()).unwrap();
    format!("{value:.0}").parse().unwrap()
}

#[test]
fn k01_certificates_are_replaced_under_load_and_no_request_or_handshake_fails() {
    let rounds = number(20, 100);
    let folder = tempfile::tempdir().unwrap();
    let (certificate, private_key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
    let first = certificates().leaf_until(2090);
    put(folder.path(), "server.pem", &first.certificate_pem);
    put(folder.path(), "server.key", &first.private_key_pem);
    let world = World::start_with(|plan: &mut Plan| {
        plan.listener()["certificates"] = json!([{"certificate": certificate, "private_key": private_key}]);
        quiet(plan);
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let load = Load::new();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        start(scope, &load, &world, &browser.cookie_header());
        let _stopping = Stopping(&load);
        // Verified as a browser does: the signature of the handshake is made with the key of the certificate that is shown.
        let client = certificates().client(b"http/1.1");
        let mut kept = handshake(world.gateway.port, &client, APP).unwrap();
        for round in 0..rounds {
            let next = certificates().leaf_until(2100 + i32::try_from(round).unwrap());
            if round % 5 == 4 {
                // Half of a change, as it lies there when it is read too early.
                put(folder.path(), "server.key", &next.private_key_pem);
                reload(&world.gateway, "failure");
            }
            put(folder.path(), "server.key", &next.private_key_pem);
            put(folder.path(), "server.pem", &next.certificate_pem);
            reload(&world.gateway, "success");
            assert_eq!(
                leaf(&handshake(world.gateway.port, &certificates().client(b"http/1.1"), APP).unwrap()),
                next.certificate,
                "{round}"
            );
            let (_, parsed) = x509_parser::parse_x509_certificate(&next.certificate).unwrap();
            assert_eq!(expiry(&world, &certificate), parsed.validity().not_after.timestamp(), "round {round}");
            assert_eq!(ask(&mut kept, &world.gateway.authority(), "/public").unwrap(), 200, "on the connection of before, round {round}");
        }
    });
    let (answered, opened) = (load.answered.load(Ordering::Relaxed), load.opened.load(Ordering::Relaxed));
    println!("K01: {rounds} certificates in {:.0?}, {answered} requests on {opened} connections, none failed", begin.elapsed());
    assert!(answered > 20 * rounds && opened > 2 * rounds, "{answered} requests on {opened} connections");
    assert_eq!(count(&world.gateway, "failure"), u64::try_from(rounds / 5).unwrap());
}

#[test]
fn g05_reloads_under_load_fail_no_request_login_stream_or_socket() {
    let rounds = number(20, 100);
    let world = World::start_with(quiet);
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let load = Load::new();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        start(scope, &load, &world, &browser.cookie_header());
        let _stopping = Stopping(&load);
        let (world, load) = (&world, &load);
        scope.spawn(move || {
            // Each login is begun by one configuration, and most are finished by another.
            while !load.stop.load(Ordering::Relaxed) {
                let mut person = world.browser();
                sign_in(world, &mut person, "/page");
                assert_signed_in(&mut person, "who has just signed in");
                load.logins.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut socket = open(world, &browser);
        let mut streams = Http2::connect(&world.gateway);
        let mut kept = handshake(world.gateway.port, &certificates().client(b"http/1.1"), APP).unwrap();
        let (authority, cookies) = (world.gateway.authority(), browser.cookie_header());
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", &authority), (":path", "/page"), ("cookie", &cookies)];
        for round in 0..rounds {
            let status = 210 + round % 80;
            changed(world, |configuration| {
                let answer = json!([{"fixed_response": {"status_code": status, "message_body": round.to_string()}}]);
                let rules = configuration["listeners"][0]["rules"].as_array_mut().unwrap();
                rules.retain(|rule| rule["priority"] != 5);
                rules.push(rule(5, "/round", &answer));
            });
            reload(&world.gateway, "success");
            assert_eq!(usize::from(ask(&mut kept, &authority, "/round").unwrap()), status, "round {round}");
            assert_eq!(streams.request(&fields, None, &[]).status, Some(200), "a stream, round {round}");
            echoes(&mut socket);
        }
    });
    let (answered, opened) = (load.answered.load(Ordering::Relaxed), load.opened.load(Ordering::Relaxed));
    let logins = load.logins.load(Ordering::Relaxed);
    println!("G05: {rounds} reloads in {:.0?}, {answered} requests on {opened} connections, {logins} logins, none failed", begin.elapsed());
    assert!(answered > 20 * rounds && opened > 2 * rounds && logins > 5, "{answered} requests on {opened} connections, {logins} logins");
    assert_signed_in(&mut browser, "after all that");
}

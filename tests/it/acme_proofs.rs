//! How an authority is shown that a name is ours: over HTTP (RFC 8555 §8.3) and in handshakes (RFC 8737), there alone and nothing else.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::json;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::acme::{connected, ordered, without_files};
use crate::support::World;
use crate::support::certificates::{APP, certificates};
use crate::support::gateway::{eventually, free_port};
use crate::support::handshake::{ask, believing_everything, handshake, leaf};
use crate::support::pebble::{Pebble, Wanted, cache};
use crate::support::wire::Wire;

#[test]
fn http_01_is_answered_before_hosts_and_rules_and_nothing_else_is() {
    let (_kept, cache) = cache();
    let mut authority = None;
    let http_port = free_port();
    let world = World::start_with(|plan| {
        let wanted = Wanted::looking_at(free_port(), http_port);
        without_files(plan, &wanted, &cache);
        plan.listener()["acme"]["challenge"] = json!("http-01");
        let redirect = json!({"redirect": {"protocol": "HTTPS", "port": "443", "status_code": "HTTP_301"}});
        plan.configuration["listeners"].as_array_mut().unwrap().push(json!({
            "address": format!("127.0.0.1:{http_port}"),
            "protocol": "http",
            "hosts": ["elsewhere.test"],
            "default_actions": [redirect],
        }));
        authority = Some(wanted.start());
    });
    let authority = authority.unwrap();
    connected(&world, &authority.client());
    assert_eq!(ordered(&world, "success"), 1.0, "{}", world.gateway.log());
    // What nobody is about to ask for is a path as any other.
    for (path, host, status) in [
        ("/.well-known/acme-challenge/unknown", "elsewhere.test", 301),
        ("/.well-known/acme-challenge/", "elsewhere.test", 301),
        ("/.well-known/acme-challenge/unknown", APP, 421),
        ("/", "elsewhere.test", 301),
    ] {
        let mut wire = Wire::plain(TcpStream::connect(("127.0.0.1", http_port)).unwrap());
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(wire.response("GET").unwrap().status(), status, "{path} of {host}");
    }
}

/// Where clients show certificates, an authority shows none.
#[test]
fn an_authority_comes_in_without_a_certificate_of_its_own_and_nobody_else_does() {
    let (_kept, cache) = cache();
    let mut authority = None;
    let world = World::start_with(|plan| {
        let wanted = Wanted::looking_at(plan.port, free_port());
        without_files(plan, &wanted, &cache);
        plan.listener()["mutual_authentication"] = json!({"mode": "verify", "trust_store": certificates().ca_file()});
        authority = Some(wanted.start());
    });
    assert!(eventually(Duration::from_secs(30), || ordered(&world, "success") == 1.0), "{}", world.gateway.log());
    let client = authority.unwrap().client();
    let mut connection = handshake(world.gateway.port, &client, APP);
    // TLS 1.3: the client has finished before it hears of the refusal.
    let answer = connection.as_mut().map(|connection| ask(connection, APP, "/public"));
    assert!(!matches!(answer, Ok(Ok(_))), "came in without a certificate");
}

/// Behind one balancer the authority may come to a gateway that has ordered nothing: the proof lies in the folder that they share.
#[test]
fn an_authority_that_comes_to_another_gateway_finds_the_proof_there() {
    for challenge in ["tls-alpn-01", "http-01"] {
        let (_kept, cache) = cache();
        let http = |port: u16| {
            json!({
                "address": format!("127.0.0.1:{port}"),
                "protocol": "http",
                "default_actions": [{"fixed_response": {"status_code": 404}}],
            })
        };
        // It shares the folder, and its own authority does not answer.
        let http_port = free_port();
        let other = World::start_with(|plan| {
            without_files(plan, &Wanted::looking_at(1, 1), &cache);
            plan.listener()["acme"]["challenge"] = json!(challenge);
            plan.configuration["listeners"].as_array_mut().unwrap().push(http(http_port));
        });
        let authority = Wanted::looking_at(other.gateway.port, http_port);
        let running = authority.start();
        let world = World::start_with(|plan| {
            without_files(plan, &authority, &cache);
            plan.listener()["acme"]["challenge"] = json!(challenge);
            plan.configuration["listeners"].as_array_mut().unwrap().push(http(free_port()));
        });
        connected(&world, &running.client());
        assert_eq!(ordered(&world, "success"), 1.0, "{challenge}: {}", world.gateway.log());
        let left: Vec<_> = std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("proof-")), "{left:?}");
    }
}

/// RFC 8737 §3: the proof is shown in a handshake of `acme-tls/1` alone, is good for nothing else, and nothing is said after it.
#[test]
fn the_proof_is_shown_to_those_who_ask_for_nothing_else_and_they_get_nothing_else() {
    let (_kept, cache) = cache();
    // The authority comes by way of this test, and waits until it has looked itself.
    let on_the_way = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut authority = None;
    let world = World::start_with(|plan| {
        let wanted = Wanted::looking_at(on_the_way.local_addr().unwrap().port(), free_port());
        without_files(plan, &wanted, &cache);
        authority = Some(wanted.start());
    });
    let authority: Pebble = authority.unwrap();
    let port = world.gateway.port;
    let (comes, has_come) = mpsc::channel();
    let may_look = Arc::new(AtomicBool::new(false));
    let go = may_look.clone();
    // It looks several times, as from several places.
    thread::spawn(move || {
        while let Ok((authority, _)) = on_the_way.accept() {
            let (comes, go) = (comes.clone(), go.clone());
            thread::spawn(move || {
                let _ = comes.send(());
                if eventually(Duration::from_secs(10), || go.load(Ordering::Relaxed)) {
                    pass_on(authority, port);
                }
            });
        }
    });
    has_come.recv_timeout(Duration::from_secs(20)).unwrap();

    let mut connection = handshake(port, &believing_everything(&[b"acme-tls/1"]), APP).unwrap();
    assert_eq!(connection.conn.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    let shown = leaf(&connection);
    let (_, proof) = X509Certificate::from_der(&shown).unwrap();
    let extension = proof.extensions().iter().find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
    assert!(extension.critical && extension.value.len() == 34, "{extension:?}");
    let _ = connection.write_all(format!("GET /public HTTP/1.1\r\nHost: {APP}\r\n\r\n").as_bytes());
    let mut said = Vec::new();
    let _ = connection.read_to_end(&mut said);
    assert_eq!(said, b"", "an answer over acme-tls/1");

    let refused = |offered: &[&[u8]], name: &str| handshake(port, &believing_everything(offered), name).is_err();
    assert!(refused(&[b"acme-tls/1"], "other.test"), "a proof for a name that is not proven");
    // Whoever names other protocols too is a browser, for which there is no certificate yet.
    assert!(refused(&[b"acme-tls/1", b"http/1.1"], APP) && refused(&[b"http/1.1"], APP) && refused(&[], APP));

    may_look.store(true, Ordering::Relaxed);
    connected(&world, &authority.client());
    assert!(refused(&[b"acme-tls/1"], APP), "the proof is still shown");
}

fn pass_on(mut from: TcpStream, port: u16) {
    let mut to = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut back, mut forth) = (to.try_clone().unwrap(), from.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut from, &mut to));
    let _ = std::io::copy(&mut back, &mut forth);
    let _ = forth.shutdown(std::net::Shutdown::Both);
}

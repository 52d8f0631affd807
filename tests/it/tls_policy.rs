//! K02, K03: what is spoken in handshakes, asked by clients that would speak anything: OpenSSL with its security level at 0, and testssl.sh,
//! which writes its own handshakes down to SSLv2.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use crate::support::World;
use crate::support::certificates::certificates;
use crate::support::gateway::{Plan, write_private};
use crate::support::handshake::{believing_everything, handshake, leaf};
use crate::support::openssl::s_client;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// That it was the gateway that refused: a client that cannot even ask has shown nothing.
fn refused(world: &World, arguments: &[&str]) {
    let said = s_client(here(), world.gateway.port, arguments);
    assert!(said.contains(" alert ") && said.contains("Cipher is (NONE)"), "{arguments:?}: {said}");
}

fn spoken(world: &World, arguments: &[&str], expected: &[&str]) {
    let said = s_client(here(), world.gateway.port, arguments);
    for part in expected {
        assert!(said.contains(part), "{arguments:?}: no {part:?} in {said}");
    }
}

#[test]
fn k02_old_versions_and_weak_suites_are_refused() {
    let world = World::start();
    for version in ["-tls1", "-tls1_1"] {
        refused(&world, &[version, "-cipher", "ALL:@SECLEVEL=0"]);
    }
    for suites in [
        // Static RSA: who gets the key some day reads it all.
        "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA",
        "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256",
        "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-CHACHA20-POLY1305",
        "aNULL:@SECLEVEL=0",
        "NULL:@SECLEVEL=0",
        "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0",
        "CAMELLIA:ARIA",
    ] {
        refused(&world, &["-tls1_2", "-cipher", suites]);
    }
    refused(&world, &["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"]);
    // Finite fields, and curves that nobody needs.
    refused(&world, &["-tls1_3", "-groups", "ffdhe2048:ffdhe4096"]);
    refused(&world, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "-groups", "secp256k1:brainpoolP256r1"]);
    // What is good is spoken, so that the refusals above mean something.
    for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"] {
        spoken(
            &world,
            &["-tls1_2", "-cipher", suite],
            &[&format!("Cipher is {suite}"), "Compression: NONE", "Secure Renegotiation IS supported"],
        );
    }
    for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"] {
        spoken(&world, &["-tls1_3", "-ciphersuites", suite], &[&format!("Cipher is {suite}"), "Early data was not sent"]);
    }
    spoken(&world, &["-alpn", "h2,http/1.1"], &["ALPN protocol: h2"]);
    spoken(&world, &["-alpn", "http/1.1"], &["ALPN protocol: http/1.1"]);
    let said = s_client(here(), world.gateway.port, &["-alpn", "spdy/3"]);
    assert!(said.contains("alert no application protocol") && !said.contains("BEGIN CERTIFICATE"), "{said}");
}

/// Who asks for another handshake within the first is not answered with one: it could be in somebody else's name.
#[test]
fn k02_no_handshake_is_made_within_another() {
    let world = World::start();
    let address = format!("127.0.0.1:{}", world.gateway.port);
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", "app.test", "-tls1_2", "-state"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = client.stdin.take().unwrap();
    let _ = stdin.write_all(b"R\n");
    // Longer than a handshake takes.
    std::thread::sleep(Duration::from_secs(3));
    drop(stdin);
    let _ = client.kill();
    let output = client.wait_with_output().unwrap();
    // The states and the word stand on standard error.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let (first, second) = said.split_once("RENEGOTIATING").unwrap_or_default();
    let states = |part: &str| [first, second].map(|half| half.contains(part));
    // What a client says and a server answers, in the first handshake and after it.
    assert_eq!((states("write client hello"), states("read server hello")), ([true, true], [true, false]), "{said}");
}

/// X14: a request in early data could be sent again by anybody who has seen it.
#[test]
fn x14_no_ticket_takes_early_data() {
    let world = World::start();
    let folder = tempfile::tempdir().unwrap();
    let request = format!("GET /public HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.gateway.authority());
    let address = format!("127.0.0.1:{}", world.gateway.port);
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", "app.test", "-tls1_3", "-ign_eof", "-sess_out", "session.pem"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(client.stdin.as_mut().unwrap(), request.as_bytes()).unwrap();
    let said = String::from_utf8_lossy(&client.wait_with_output().unwrap().stdout).into_owned();
    assert!(said.contains("HTTP/1.1 200") && said.contains("Max Early Data: 0"), "{said}");
    std::fs::write(folder.path().join("early"), request).unwrap();
    let said = s_client(folder.path(), world.gateway.port, &["-tls1_3", "-sess_in", "session.pem", "-early_data", "early"]);
    assert!(said.contains("Reused, TLSv1.3") && !said.contains("Early data was accepted"), "{said}");
    assert_eq!(world.target.count(), 1, "what was sent early reached the target");
}

#[test]
fn k02_where_1_3_is_the_minimum_1_2_is_refused() {
    let world = World::start_with(|plan: &mut Plan| plan.listener()["security_policy"] = json!({"minimum_version": "1.3"}));
    refused(&world, &["-tls1_2"]);
    spoken(&world, &["-tls1_3"], &["New, TLSv1.3, Cipher is TLS_"]);
}

#[test]
fn k03_names_choose_certificates_and_every_other_name_gets_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let made: Vec<_> = [("exact", "one.many.test"), ("wild", "*.many.test")]
        .into_iter()
        .map(|(file, name)| {
            let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            std::fs::write(folder.path().join(format!("{file}.pem")), made.cert.pem()).unwrap();
            write_private(&folder.path().join(format!("{file}.key")), &made.signing_key.serialize_pem());
            made.cert.der().clone()
        })
        .collect();
    let world = World::start_with(|plan: &mut Plan| {
        for file in ["exact", "wild"] {
            let at = |kind: &str| folder.path().join(format!("{file}.{kind}"));
            let more = json!({"certificate": at("pem"), "private_key": at("key")});
            plan.listener()["certificates"].as_array_mut().unwrap().push(more);
        }
    });
    let everything = believing_everything(&[b"http/1.1"]);
    let shown = |config: &Arc<ClientConfig>, name: &str| leaf(&handshake(world.gateway.port, config, name).unwrap());
    let default: CertificateDer<'static> = leaf(&handshake(world.gateway.port, &certificates().client(b"http/1.1"), "app.test").unwrap());
    for (name, expected) in [
        ("one.many.test", &made[0]),
        ("ONE.many.test", &made[0]),
        ("two.many.test", &made[1]),
        ("many.test", &default),
        ("a.two.many.test", &default),
        ("nobody.test", &default),
        ("xn--bcher-kva.test", &default),
        // No name at all.
        ("127.0.0.1", &default),
    ] {
        assert_eq!(&shown(&everything, name), expected, "{name}");
    }
}

/// Names that no client sends: NUL, dots, bytes that are no text, a name without an end. The answer is a handshake or an alert, and nobody
/// else notices.
#[test]
fn k03_odd_names_get_a_handshake_or_an_alert() {
    let world = World::start();
    let name = "a-name-that-is-to-be-overwritten.test";
    let fill = |octets: &[u8]| octets.iter().copied().cycle().take(name.len()).collect::<Vec<u8>>();
    let mut ended = b"app.test\0".to_vec();
    ended.resize(name.len(), b'a');
    let names = [
        fill(b"\0"),
        fill(b"."),
        fill(b"\xff\xfe"),
        fill(b"a."),
        fill(b"*."),
        fill(b" "),
        fill(b"127.0.0.1"),
        fill(b"app.test\r\n"),
        ended,
    ];
    let mut alerts = 0;
    for odd in names {
        let config = certificates().client(b"http/1.1");
        let mut client = rustls::ClientConnection::new(config, name.try_into().unwrap()).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        let at = hello.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
        hello[at..at + name.len()].copy_from_slice(&odd);
        let mut socket = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.write_all(&hello).unwrap();
        let mut record = [0; 5];
        socket.read_exact(&mut record).unwrap_or_else(|error| panic!("{odd:?}: {error}"));
        assert!(matches!(record[0], 21 | 22), "{odd:?}: {record:?}");
        alerts += usize::from(record[0] == 21);
        // A hello that ends in the middle of the name.
        let mut half = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
        half.write_all(&hello[..at + 3]).unwrap();
    }
    assert!(alerts >= 5, "only {alerts} of the names were refused");
    handshake(world.gateway.port, &certificates().client(b"http/1.1"), "app.test").unwrap();
}

/// Debian's testssl.sh, every check of the protocol and of known weaknesses. What it finds is to be harmless, but for what is named here.
#[test]
fn k02_testssl_finds_nothing() {
    const EXPECTED: [(&str, &str); 4] = [
        ("cipher_order", "all suites are strong, and the client knows which of them is cheap for it"),
        ("cert_chain_of_trust", "the authority of this test is not among the system's"),
        ("cert_revocation", "the certificate of this test names neither a list nor a responder"),
        ("cert_validityPeriod", "and is good until 4096"),
    ];
    let world = World::start();
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("timeout")
        .args(["500", "testssl", "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", "found.json", "--ip", "127.0.0.1"])
        // Versions, suites, their order, the server's defaults, known weaknesses, forward secrecy.
        .args(["-p", "-s", "-P", "-S", "-U", "-f"])
        .arg(format!("app.test:{}", world.gateway.port))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_ne!(status.code(), Some(127), "testssl.sh is missing: script/bootstrap installs it");
    let found: Value = serde_json::from_slice(&std::fs::read(folder.path().join("found.json")).unwrap()).unwrap();
    let found: BTreeMap<&str, (&str, &str)> =
        found.as_array().unwrap().iter().map(|one| (text(one, "id"), (text(one, "severity"), text(one, "finding")))).collect();
    // That it has looked: it gives up quietly where it gets no answer.
    assert!(found.len() > 60 && found.contains_key("scanTime"), "{status}: {found:#?}");
    for (check, finding) in [
        ("SSLv2", "not offered"),
        ("SSLv3", "not offered"),
        ("TLS1", "not offered"),
        ("TLS1_1", "not offered"),
        ("TLS1_2", "offered"),
        ("TLS1_3", "offered with final"),
        ("cipherlist_NULL", "not offered"),
        ("cipherlist_aNULL", "not offered"),
        ("cipherlist_EXPORT", "not offered"),
        ("cipherlist_LOW", "not offered"),
        ("cipherlist_3DES_IDEA", "not offered"),
        ("cipherlist_AVERAGE", "not offered"),
        ("CRIME_TLS", "not vulnerable"),
        ("RC4", "not vulnerable"),
        ("ROBOT", "not vulnerable, no RSA key transport cipher"),
    ] {
        assert_eq!(found.get(check).map(|(_, finding)| *finding), Some(finding), "{check}");
    }
    let suites: Vec<&str> = found["PFS_ciphers"].1.split_whitespace().collect();
    assert_eq!(suites.len(), 6, "{suites:?}");
    assert!(suites.iter().all(|suite| suite.contains("GCM") || suite.contains("POLY1305")), "{suites:?}");
    let is_harmless = |severity: &str| matches!(severity, "OK" | "INFO" | "LOW" | "WARN");
    let bad: Vec<_> =
        found.iter().filter(|(id, (severity, _))| !is_harmless(severity) && !EXPECTED.iter().any(|(known, _)| known == *id)).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

//! What a request of somebody who is signed in allocates: the decision alone, and the whole way through a running gateway, pingora and
//! TLS included. Time is measured elsewhere (`script/bench`); this is the same on every machine.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the benchmark of the hot path has more to ask of it")]
#[path = "../benches/hot_path/scene.rs"]
mod scene;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use allocation_counter::{AllocationInfo, measure};
use http::HeaderMap;
use http::header::COOKIE;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use vestibule::app::{self, Options};
use vestibule::clock::{Clock, UnixTime};

use scene::{NOW, Scene, configuration};

/// Of a decision: rule, session, person, headers for the target.
const DECISION: u64 = 9;
/// Of a whole request over HTTP/1.1: read, decided, forwarded, answered, logged.
const REQUEST: u64 = 140;
/// In a whole request, without a session.
const OPEN_REQUEST: u64 = 118;

const TIMES: u64 = 500;

#[test]
fn a_decision_about_somebody_signed_in_stays_within_its_budget() {
    let scene = Scene::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let signed_in = runtime.block_on(scene.session());
    let decide = || {
        // It never waits: what it needs is in memory.
        let Poll::Ready(answer) = pin!(scene.decide("/page", &signed_in)).poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("a decision about a session waits for something")
        };
        assert!(answer.is_none(), "{answer:?}");
    };
    decide();
    let used = each(measure(|| (0..TIMES).for_each(|_| decide())));
    assert!(used <= DECISION, "{used} allocations for a decision");
}

#[test]
fn a_whole_request_stays_within_its_budget() {
    let scene = Scene::new();
    let cookie = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(scene.session());
    let open = served(&scene, "/public/x", &HeaderMap::new());
    let signed_in = served(&scene, "/page", &cookie);
    assert!(open <= OPEN_REQUEST, "{open} allocations for a request of nobody");
    assert!(signed_in <= REQUEST, "{signed_in} allocations for a request of somebody signed in");
}

/// Rounded up: now and then something grows that is kept.
fn each(total: AllocationInfo) -> u64 {
    total.count_total.div_ceil(TIMES)
}

/// Allocations of the one thread on which all of the gateway runs; client and target have their own.
fn served(scene: &Scene, path: &str, headers: &HeaderMap) -> u64 {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = scene.folder.path();
    std::fs::write(folder.join("server.pem"), certified.cert.pem()).unwrap();
    std::fs::write(folder.join("server.key"), certified.signing_key.serialize_pem()).unwrap();
    let mut configuration = configuration(
        folder,
        &json!({"address": "127.0.0.1:0", "hosts": ["localhost"], "certificates": [{"certificate": "server.pem", "private_key": "server.key"}]}),
    );
    configuration["target_groups"]["app"]["targets"][0] = json!(target().to_string());
    configuration["access_log"] = json!({"path": "access.log"});
    let options = Options { clock: Arc::new(Fixed), ..Options::default() };
    // All of it on this thread, where allocations are counted.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let running = runtime.block_on(async {
        let (loaded, report) = app::load_text(&configuration.to_string(), folder, &options);
        app::start(loaded.unwrap_or_else(|| panic!("{}", report.render(false))), options).await.unwrap()
    });
    let mut client = Client { address: running.addresses()[0], certificate: certified.cert.der().clone(), request: request(path, headers) };
    let mut rounds = Vec::new();
    let (go, going) = std::sync::mpsc::channel::<tokio::sync::oneshot::Sender<()>>();
    let asking = thread::spawn(move || client.ask(&going));
    for _ in 0..4 {
        let (done, is_done) = tokio::sync::oneshot::channel();
        go.send(done).unwrap();
        rounds.push(each(measure(|| runtime.block_on(is_done).unwrap())));
    }
    drop(go);
    asking.join().unwrap();
    runtime.block_on(running.stop());
    // The first holds the handshake, and whatever grew.
    *rounds.iter().skip(1).min().unwrap()
}

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> UnixTime {
        NOW
    }

    fn now_in_microseconds(&self) -> u64 {
        NOW.0 * 1_000_000
    }
}

/// Answers every head that it gets.
fn target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            thread::spawn(move || {
                let mut connection = connection.unwrap();
                let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
                while let Some(Ok(line)) = lines.next() {
                    if line.is_empty() {
                        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok").unwrap();
                    }
                }
            });
        }
    });
    address
}

fn request(path: &str, headers: &HeaderMap) -> String {
    let cookie = headers.get(COOKIE).map(|value| format!("Cookie: {}\r\n", value.to_str().unwrap())).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html,*/*;q=0.8\r\n\
         Accept-Language: en-GB,en;q=0.7\r\nAccept-Encoding: gzip, br\r\n{cookie}\r\n"
    )
}

struct Client {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    request: String,
}

impl Client {
    /// Over one connection, as often as it is told to go.
    fn ask(&mut self, going: &std::sync::mpsc::Receiver<tokio::sync::oneshot::Sender<()>>) {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        let session = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
        let mut stream = StreamOwned::new(session, TcpStream::connect(self.address).unwrap());
        for done in going {
            for _ in 0..TIMES {
                stream.write_all(self.request.as_bytes()).unwrap();
                let mut answer = Vec::new();
                let mut octet = [0];
                while !answer.ends_with(b"\r\n\r\nok") {
                    stream.read_exact(&mut octet).unwrap();
                    answer.push(octet[0]);
                }
                assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
            }
            done.send(()).unwrap();
        }
    }
}

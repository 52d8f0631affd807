//! The listener: TLS, deadlines, the cap on connections, draining. The gateway runs within the test, on port 0.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vestibule::app::{self, Options, Running};

/// Certificates of two names, in files.
struct Names {
    folder: tempfile::TempDir,
    first: CertificateDer<'static>,
    second: CertificateDer<'static>,
}

impl Names {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [("first", "first.test"), ("second", "*.second.test")].map(|(file, name)| {
            let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
            std::fs::write(folder.path().join(format!("{file}.pem")), made.cert.pem()).unwrap();
            std::fs::write(folder.path().join(format!("{file}.key")), made.signing_key.serialize_pem()).unwrap();
            made.cert.der().clone()
        });
        Self { folder, first, second }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn client(&self, protocols: &[&[u8]], versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.first.clone()).unwrap();
        roots.add(self.second.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    fn http1(&self) -> Arc<ClientConfig> {
        self.client(&[b"http/1.1"], rustls::DEFAULT_VERSIONS)
    }
}

/// A gateway with one answer, its listener changed by the test.
async fn gateway(names: &Names, change: impl FnOnce(&mut Value)) -> Running {
    let mut configuration = json!({
        "listeners": [{
            "address": "127.0.0.1:0",
            "certificates": [
                {"certificate": "first.pem", "private_key": "first.key"},
                {"certificate": "second.pem", "private_key": "second.key"},
            ],
            "default_actions": [{"fixed_response": {"status_code": 200, "message_body": "here"}}],
        }],
        "access_log": {"path": "access.log"},
    });
    change(&mut configuration);
    start(&configuration, names.path()).await
}

async fn start(configuration: &Value, folder: &Path) -> Running {
    let options = Options::default();
    let (loaded, report) = app::load_text(&configuration.to_string(), folder, &options);
    let loaded = loaded.unwrap_or_else(|| panic!("{}", report.render(false)));
    app::start(loaded, options).await.unwrap()
}

async fn connect(address: SocketAddr, config: Arc<ClientConfig>, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(config).connect(ServerName::try_from(name.to_owned()).unwrap(), tcp).await
}

async fn get(stream: &mut TlsStream<TcpStream>, host: &str) -> String {
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.unwrap();
    answer(stream).await
}

/// Up to the end of a body of four bytes.
async fn answer(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    while !text.ends_with(b"here") {
        let count = timeout(PATIENCE, stream.read(&mut piece)).await.expect("an answer in time").unwrap_or(0);
        if count == 0 {
            break;
        }
        text.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(text).unwrap()
}

/// How long until the other side has closed.
async fn closed_after(stream: &mut (impl AsyncReadExt + Unpin)) -> Duration {
    let begin = Instant::now();
    let mut piece = [0; 1024];
    while timeout(PATIENCE, stream.read(&mut piece)).await.expect("closed in time").is_ok_and(|count| count > 0) {}
    begin.elapsed()
}

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_follows_the_server_name_and_the_first_is_the_default() {
    let names = Names::make();
    let running = gateway(&names, |_| {}).await;
    let address = running.addresses()[0];
    for (name, expected) in [("first.test", &names.first), ("a.second.test", &names.second)] {
        let mut stream = connect(address, names.http1(), name).await.unwrap();
        assert_eq!(&stream.get_ref().1.peer_certificates().unwrap()[0], expected, "{name}");
        assert!(get(&mut stream, name).await.starts_with("HTTP/1.1 200 "), "{name}");
    }
    // K03: an unknown name meets the default certificate, which is not made out to it.
    assert!(connect(address, names.http1(), "third.test").await.is_err());
    // Two labels are not one.
    assert!(connect(address, names.http1(), "a.b.second.test").await.is_err());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_1_2_is_spoken_unless_the_policy_says_1_3() {
    let names = Names::make();
    let only_12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    let running = gateway(&names, |_| {}).await;
    let stream = connect(running.addresses()[0], names.client(&[b"http/1.1"], only_12), "first.test").await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    running.stop().await;

    let running =
        gateway(&names, |configuration| configuration["listeners"][0]["security_policy"] = json!({"minimum_version": "1.3"})).await;
    assert!(connect(running.addresses()[0], names.client(&[b"http/1.1"], only_12), "first.test").await.is_err());
    let stream = connect(running.addresses()[0], names.http1(), "first.test").await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_chosen_where_the_client_has_it() {
    let names = Names::make();
    let running = gateway(&names, |_| {}).await;
    let address = running.addresses()[0];
    for (offered, chosen) in [(&[&b"h2"[..], b"http/1.1"][..], &b"h2"[..]), (&[b"http/1.1"], b"http/1.1")] {
        let stream = connect(address, names.client(offered, rustls::DEFAULT_VERSIONS), "first.test").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(chosen));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_handshake_is_resumed_by_a_ticket() {
    let names = Names::make();
    let running = gateway(&names, |_| {}).await;
    let config = names.http1();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(running.addresses()[0], config.clone(), "first.test").await.unwrap();
        get(&mut stream, "first.test").await;
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q03_a_handshake_or_a_head_that_does_not_end_is_cut() {
    let names = Names::make();
    let limits = json!({"handshake_timeout": "1s", "header_timeout": "1s"});
    let running = gateway(&names, |configuration| configuration["listeners"][0]["limits"] = limits).await;
    let address = running.addresses()[0];

    let mut silent = TcpStream::connect(address).await.unwrap();
    let after = closed_after(&mut silent).await;
    assert!((Duration::from_millis(500)..Duration::from_secs(4)).contains(&after), "a silent handshake ended after {after:?}");

    let stream = connect(address, names.http1(), "first.test").await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let drip = tokio::spawn(async move {
        // A byte every 0.2 s, as long as anybody listens: each of them restarts a naive time-out.
        for byte in b"GET / HTTP/1.1\r\nHost: first.test\r\nX-Drip: aaaaaaaaaaaaaaaaaaaaaaaaa" {
            if write.write_all(&[*byte]).await.is_err() || write.flush().await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let after = closed_after(&mut read).await;
    assert!((Duration::from_millis(500)..Duration::from_secs(4)).contains(&after), "a dripping head ended after {after:?}");
    drip.abort();

    // Idle between two requests is not a slow head.
    let mut idle = connect(address, names.http1(), "first.test").await.unwrap();
    assert!(get(&mut idle, "first.test").await.starts_with("HTTP/1.1 200 "));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(get(&mut idle, "first.test").await.starts_with("HTTP/1.1 200 "));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q04_connections_beyond_the_cap_wait_their_turn() {
    let names = Names::make();
    let running = gateway(&names, |configuration| configuration["listeners"][0]["limits"] = json!({"connections": 2})).await;
    let address = running.addresses()[0];
    let first = connect(address, names.http1(), "first.test").await.unwrap();
    let _second = connect(address, names.http1(), "first.test").await.unwrap();
    let mut third = tokio::spawn(connect(address, names.http1(), "first.test"));
    assert!(timeout(Duration::from_millis(500), &mut third).await.is_err(), "a third connection was served");
    drop(first);
    let mut third = timeout(PATIENCE, third).await.expect("its turn comes").unwrap().unwrap();
    assert!(get(&mut third, "first.test").await.starts_with("HTTP/1.1 200 "));
    drop((third, _second));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_listener_redirects_to_https_and_serves_the_same_names() {
    let names = Names::make();
    let redirect = json!({"redirect": {"protocol": "HTTPS", "port": "8443", "status_code": "HTTP_301"}});
    let listener = json!({"address": "127.0.0.1:0", "protocol": "http", "default_actions": [redirect]});
    let running = gateway(&names, |configuration| configuration["listeners"].as_array_mut().unwrap().push(listener)).await;
    let address = running.addresses()[1];
    for (host, status, location) in [
        ("first.test", "301", Some("https://first.test:8443//evil.test/?x=1")),
        ("a.second.test:80", "301", Some("https://a.second.test:8443//evil.test/?x=1")),
        // R08: no redirect is made of a stranger's Host.
        ("evil.test", "421", None),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET //evil.test/?x=1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let text = answer(&mut stream).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {text}");
        let found = text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("location: ").map(str::to_owned));
        assert_eq!(found.as_deref(), location, "{host}");
    }
    running.stop().await;
}

/// A target that takes its time, and says when it has been asked.
async fn slow_target(delay: Duration) -> (SocketAddr, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Notify::new());
    let says = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let says = says.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                says.notify_one();
                tokio::time::sleep(delay).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere").await;
            });
        }
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g03_draining_lets_a_request_finish_and_then_ends_at_once() {
    let names = Names::make();
    let (target, asked) = slow_target(Duration::from_secs(2)).await;
    let running = gateway(&names, |configuration| {
        configuration["target_groups"] = json!({"slow": {"targets": [target.to_string()]}});
        configuration["listeners"][0]["default_actions"] = json!([{"forward": "slow"}]);
        configuration["admin"] = json!({"address": "127.0.0.1:0"});
    })
    .await;
    let (address, admin) = (running.addresses()[0], running.admin_address().unwrap());
    let mut idle = connect(address, names.http1(), "first.test").await.unwrap();
    let mut busy = connect(address, names.http1(), "first.test").await.unwrap();
    busy.write_all(b"GET / HTTP/1.1\r\nHost: first.test\r\n\r\n").await.unwrap();
    asked.notified().await;
    assert!(admin_get(admin, "/metrics").await.contains("vestibule_active_connections 2"));

    let begin = Instant::now();
    let stopping = tokio::spawn(running.stop());
    let text = answer(&mut busy).await;
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("here"), "the request that was under way: {text:?}");
    assert!(closed_after(&mut idle).await < Duration::from_secs(3));
    assert!(admin_get(admin, "/readyz").await.starts_with("HTTP/1.1 503 "));
    stopping.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(8), "draining took {:?}", begin.elapsed());
    assert!(TcpStream::connect(address).await.is_err(), "the port is still open");
}

async fn admin_get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

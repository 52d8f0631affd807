//! Mutual TLS at a listener, as on an ALB: who comes in, and what targets are told (K04).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use serde_json::{Value, json};

use crate::support::World;
use crate::support::certificates::{APP, certificates};
use crate::support::client::connect_as;
use crate::support::gateway::{Plan, vestibule};
use crate::support::wire::{Request, Response};

/// An authority of clients.
struct Authority(Issuer<'static, KeyPair>, String);

/// One of its clients.
struct Client {
    certificate: CertificateDer<'static>,
    private_key: Vec<u8>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self(Issuer::new(parameters, key), pem)
    }

    fn client(&self, serial: u8, last_year: i32) -> Client {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "client_.com");
        parameters.distinguished_name.push(DnType::OrganizationName, "mTLS, Inc.");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        parameters.serial_number = Some(SerialNumber::from_slice(&[3, 0xa5, serial]));
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap().der().clone();
        Client { certificate, private_key: key.serialize_der() }
    }

    fn revoking(&self, serial: u8) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[3, 0xa5, serial]),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// TLS as this client, over HTTP/1.1.
fn tls(client: Option<&Client>) -> Arc<ClientConfig> {
    let plain = certificates().client(b"http/1.1");
    let Some(client) = client else { return plain };
    let mut config = ClientConfig::clone(&plain);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(client.private_key.clone()));
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = rustls::sign::CertifiedKey::new(vec![client.certificate.clone()], provider.key_provider.load_private_key(key).unwrap());
    config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
    Arc::new(config)
}

fn world(settings: &Value) -> World {
    World::start_with(|plan: &mut Plan| {
        plan.listener()["mutual_authentication"] = settings.clone();
        plan.listener()["tls_version_and_cipher_suite_headers"] = json!(true);
    })
}

/// How a connection began on which a request was answered.
fn handshake(world: &World, config: Arc<ClientConfig>) -> rustls::HandshakeKind {
    let mut session = rustls::ClientConnection::new(config, ServerName::try_from(APP).unwrap()).unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    stream.write_all(format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    session.handshake_kind().unwrap()
}

/// `None`: the handshake failed.
fn ask(world: &World, config: Arc<ClientConfig>, more: &str) -> Option<Response> {
    let mut wire = connect_as(world.gateway.port, config).ok()?;
    let head = format!("GET /public/page HTTP/1.1\r\nHost: {}\r\n{more}\r\n", world.gateway.authority());
    wire.send(head.as_bytes()).ok()?;
    wire.response("GET").ok()
}

#[track_caller]
fn comes_in(world: &World, client: Option<&Client>, what: &str) -> Request {
    let mark = world.target.count();
    let response = ask(world, tls(client), "").unwrap_or_else(|| panic!("{what}: the handshake failed"));
    assert_eq!(response.status(), 200, "{what}: {response}");
    world.target.since(mark).pop().unwrap()
}

#[track_caller]
fn stays_out(world: &World, client: Option<&Client>, what: &str) {
    let mark = world.target.count();
    assert!(ask(world, tls(client), "").is_none(), "{what}: came in");
    assert_eq!(world.target.count(), mark, "{what}: the target saw a request");
}

fn names(request: &Request) -> Vec<String> {
    let mut names: Vec<String> = request.folded("x-amzn-mtls-clientcert").into_iter().map(|(name, _)| name).collect();
    names.extend(["serial-number", "issuer", "subject", "validity", "leaf"].iter().flat_map(|part| {
        request.folded(&format!("x-amzn-mtls-clientcert-{part}")).into_iter().map(|(name, _)| name.to_ascii_lowercase()).collect::<Vec<_>>()
    }));
    names
}

#[test]
fn whoever_is_verified_comes_in_and_is_told_to_the_target() {
    let (authority, stranger) = (Authority::new("rootca"), Authority::new("stranger"));
    let store = certificates().secret_file("trust-store.pem", &authority.1);
    let list = certificates().secret_file("revoked.pem", &authority.revoking(9));
    let world = world(&json!({"mode": "verify", "trust_store": store, "revocation_lists": [list]}));
    let client = authority.client(1, 2090);
    let seen = comes_in(&world, Some(&client), "a good certificate");
    assert_eq!(seen.get("x-amzn-mtls-clientcert-serial-number"), Some("03A501"));
    assert_eq!(seen.get("x-amzn-mtls-clientcert-subject"), Some("O=mTLS\\, Inc.,CN=client_.com"));
    assert!(seen.get("x-amzn-mtls-clientcert-issuer").unwrap().contains("CN=rootca"));
    assert_eq!(seen.get("x-amzn-mtls-clientcert-validity"), Some("NotBefore=2020-01-01T00:00:00Z;NotAfter=2090-01-01T00:00:00Z"));
    assert!(seen.get("x-amzn-mtls-clientcert-leaf").unwrap().starts_with("-----BEGIN%20CERTIFICATE-----%0A"));
    assert_eq!(names(&seen).len(), 5, "{:?}", names(&seen));
    assert_eq!((seen.get("x-amzn-tls-version"), seen.get("x-amzn-tls-cipher-suite")), (Some("TLSv1.3"), Some("TLS_AES_256_GCM_SHA384")));

    // K04: nobody says it themselves.
    let forged = "X-Amzn-Mtls-Clientcert-Subject: CN=admin\r\nx_amzn_mtls_clientcert: forged\r\nX-Amzn-Tls-Version: TLSv9\r\n";
    let mark = world.target.count();
    assert_eq!(ask(&world, tls(Some(&client)), forged).unwrap().status(), 200);
    let seen = world.target.since(mark).pop().unwrap();
    assert_eq!(seen.get("x-amzn-mtls-clientcert-subject"), Some("O=mTLS\\, Inc.,CN=client_.com"));
    assert_eq!((names(&seen).len(), seen.get("x-amzn-tls-version")), (5, Some("TLSv1.3")));

    stays_out(&world, None, "no certificate");
    stays_out(&world, Some(&stranger.client(1, 2090)), "a certificate of another authority");
    stays_out(&world, Some(&authority.client(2, 2022)), "a certificate that has ended");
    stays_out(&world, Some(&authority.client(9, 2090)), "a certificate that was revoked");
    // What one connection has shown counts for that connection.
    let config = tls(Some(&client));
    for attempt in 0..3 {
        assert_eq!(handshake(&world, config.clone()), rustls::HandshakeKind::Full, "connection {attempt}");
    }
}

#[test]
fn a_certificate_that_has_ended_is_good_where_that_is_ignored() {
    let (authority, stranger) = (Authority::new("rootca"), Authority::new("stranger"));
    let store = certificates().secret_file("trust-store-2.pem", &authority.1);
    let world = world(&json!({"mode": "verify", "trust_store": store, "ignore_client_certificate_expiry": true}));
    let seen = comes_in(&world, Some(&authority.client(2, 2022)), "a certificate that has ended");
    assert!(seen.get("x-amzn-mtls-clientcert-validity").unwrap().ends_with("NotAfter=2022-01-01T00:00:00Z"));
    stays_out(&world, Some(&stranger.client(2, 2022)), "one of another authority");
    stays_out(&world, None, "no certificate");
}

#[test]
fn passthrough_lets_everybody_in_and_tells_the_chain() {
    let world = world(&json!({"mode": "passthrough"}));
    assert_eq!(names(&comes_in(&world, None, "no certificate")), Vec::<String>::new());
    let seen = comes_in(&world, Some(&Authority::new("anybody").client(1, 2022)), "any certificate");
    assert_eq!(names(&seen).len(), 1);
    assert!(seen.get("x-amzn-mtls-clientcert").unwrap().ends_with("-----END%20CERTIFICATE-----%0A"));
}

#[test]
fn without_it_nothing_is_asked_for_and_nothing_is_told() {
    let world = World::start();
    let config = tls(None);
    let kinds: Vec<_> = (0..3).map(|_| handshake(&world, config.clone())).collect();
    assert!(kinds.contains(&rustls::HandshakeKind::Resumed), "{kinds:?}");
    let seen = comes_in(&world, Some(&Authority::new("anybody").client(1, 2090)), "a certificate that nobody asks for");
    assert!(names(&seen).is_empty() && seen.get("x-amzn-tls-version").is_none());
}

#[test]
fn settings_that_make_no_sense_are_refused_with_their_place() {
    let world = World::start();
    let configuration: Value = serde_json::from_slice(&std::fs::read(world.gateway.configuration_file()).unwrap()).unwrap();
    let empty = certificates().secret_file("empty.pem", "no certificate");
    for (settings, message) in [
        (json!({"mode": "verify"}), "trust_store"),
        (json!({"mode": "verify", "trust_store": "nowhere.pem"}), "nowhere.pem"),
        (json!({"mode": "verify", "trust_store": empty}), "holds no certificate"),
        (json!({"mode": "verify", "trust_store": certificates().ca_file(), "revocation_lists": [empty]}), "no revocation list"),
        (json!({"mode": "passthrough", "trust_store": certificates().ca_file()}), "for the mode verify"),
        (json!({"mode": "on"}), "not one of"),
        (json!({}), "mode"),
    ] {
        let mut configuration = configuration.clone();
        configuration["listeners"][0]["mutual_authentication"] = settings.clone();
        let file = world.gateway.configuration_file().with_file_name("other.yaml");
        std::fs::write(&file, format!("{configuration:#}\n")).unwrap();
        let output = vestibule().args(["check", "--config"]).arg(&file).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{settings}: {words}");
        assert!(words.contains(message) && words.contains("mutual_authentication"), "{settings}: {words}");
    }
}

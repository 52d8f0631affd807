//! OCSP stapling (RFC 6066 §8): what an authority says of the certificate comes with the handshake, as OpenSSL's client sees it. The
//! responses are made by OpenSSL's own responder.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd};
use serde_json::json;
use vestibule::app::{self, Options};
use vestibule::clock::{Clock, UnixTime};

use crate::reload::{count, reload};
use crate::support::World;
use crate::support::certificates::APP;
use crate::support::gateway::{Plan, eventually, vestibule, write_private};
use crate::support::openssl::{openssl, s_client};

/// An authority with two certificates in a folder: `ours` for the gateway, `other` for nobody.
fn authority() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority with a responder");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().unwrap();
    std::fs::write(at("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    write_private(&at("ca.key"), &key.serialize_pem());
    let issuer = Issuer::new(params, key);
    for (name, serial) in [("ours", 0x51), ("other", 0x52)] {
        let mut params = CertificateParams::new([APP.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(&[serial, 2, 3]));
        params.not_after = date_time_ymd(2099, 1, 1);
        let key = KeyPair::generate().unwrap();
        std::fs::write(at(&format!("{name}.pem")), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        write_private(&at(&format!("{name}.key")), &key.serialize_pem());
    }
    folder
}

/// What the authority says of a certificate, put into a file at once. `more` goes to the responder.
fn respond(folder: &Path, name: &str, is_revoked: bool, more: &[&str], file: &str) {
    let serial = if name == "ours" { "510203" } else { "520203" };
    let state = if is_revoked { "R\t990101000000Z\t260101000000Z" } else { "V\t990101000000Z\t" };
    std::fs::write(folder.join("index.txt"), format!("{state}\t{serial}\tunknown\t/CN=any\n")).unwrap();
    let certificate = format!("{name}.pem");
    openssl(folder, &["ocsp", "-no_nonce", "-issuer", "ca.pem", "-cert", &certificate, "-reqout", "request.der"]);
    let arguments = ["ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key", "-reqin", "request.der"];
    let said = openssl(folder, &[&arguments, more, &["-respout", "response.new"]].concat());
    assert!(folder.join("response.new").exists(), "{said}");
    std::fs::rename(folder.join("response.new"), folder.join(file)).unwrap();
}

fn certificate(folder: &Path) -> serde_json::Value {
    let at = |name: &str| folder.join(name);
    json!([{"certificate": at("ours.pem"), "private_key": at("ours.key"), "ocsp_response": at("ocsp.der")}])
}

fn stapled(folder: &Path, port: u16, version: &str) -> String {
    let said = s_client(folder, port, &["-status", version]);
    assert!(said.contains("BEGIN CERTIFICATE"), "no handshake: {said}");
    let found = said.lines().map(str::trim).find(|line| line.starts_with("Cert Status:") || line.starts_with("OCSP response: no"));
    found.unwrap_or(&said).to_owned()
}

const NONE: &str = "OCSP response: no response sent";

#[test]
fn a_response_is_sent_with_the_certificate_and_a_newer_one_takes_its_place() {
    let authority = authority();
    let folder = authority.path();
    respond(folder, "ours", false, &["-ndays", "2"], "ocsp.der");
    let world = World::start_with(|plan: &mut Plan| {
        plan.listener()["certificates"] = certificate(folder);
        plan.configuration["reload_on_change"] = json!(true);
    });
    let port = world.gateway.port;
    for version in ["-tls1_2", "-tls1_3"] {
        assert_eq!(stapled(folder, port, version), "Cert Status: good");
    }
    // Whoever does not ask for it gets none, and a client that verifies it finds it good.
    assert!(!s_client(folder, port, &["-tls1_3"]).contains("OCSP Response Data"));
    let verified = s_client(folder, port, &["-status", "-CAfile", "ca.pem", "-verify_return_error", "-tls1_3"]);
    assert!(verified.contains("Verify return code: 0 (ok)") && verified.contains("OCSP Response Status: successful"), "{verified}");

    respond(folder, "ours", true, &["-ndays", "2"], "ocsp.der");
    let changed = eventually(Duration::from_secs(15), || stapled(folder, port, "-tls1_3") == "Cert Status: revoked");
    assert!(changed, "{}", world.gateway.log());
    assert!(world.gateway.log().contains("says that the certificate is revoked"));

    // What is wrong is refused, and what was there goes on.
    for (fault, message) in [
        ("other", "it is about another certificate"),
        ("garbage", "it is no OCSP response in DER"),
        ("half", "it is no OCSP response in DER"),
        ("failure", "the authority had no answer"),
    ] {
        let before = count(&world.gateway, "failure");
        match fault {
            "other" => respond(folder, "other", false, &["-ndays", "2"], "ocsp.der"),
            "garbage" => std::fs::write(folder.join("ocsp.der"), "certainly").unwrap(),
            // unauthorized(6), RFC 6960 §4.2.1
            "failure" => std::fs::write(folder.join("ocsp.der"), [0x30, 3, 0x0a, 1, 6]).unwrap(),
            _ => {
                respond(folder, "ours", false, &["-ndays", "2"], "whole.der");
                let whole = std::fs::read(folder.join("whole.der")).unwrap();
                std::fs::write(folder.join("ocsp.der"), &whole[..whole.len() / 2]).unwrap();
            }
        }
        assert!(eventually(Duration::from_secs(15), || count(&world.gateway, "failure") == before + 1), "{fault}");
        assert!(world.gateway.log().contains(message), "{fault}: {}", world.gateway.log());
    }
    assert_eq!(stapled(folder, port, "-tls1_3"), "Cert Status: revoked");
    respond(folder, "ours", false, &["-ndays", "2"], "ocsp.der");
    assert!(eventually(Duration::from_secs(15), || stapled(folder, port, "-tls1_3") == "Cert Status: good"), "{}", world.gateway.log());
    reload(&world.gateway, "success");
}

/// A clock that is ahead.
struct Ahead(AtomicU64);

impl Clock for Ahead {
    fn now(&self) -> UnixTime {
        #[expect(clippy::disallowed_methods, reason = "a test")]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        UnixTime(now + self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_out_of_date_is_not_sent() {
    let authority = authority();
    let folder = authority.path();
    respond(folder, "ours", false, &["-nmin", "60"], "ocsp.der");
    let configuration = json!({
        "listeners": [{
            "address": "127.0.0.1:0",
            "certificates": certificate(folder),
            "default_actions": [{"fixed_response": {"status_code": 200, "message_body": "here"}}],
        }],
        "access_log": {"path": "access.log"},
    })
    .to_string();
    let clock = Arc::new(Ahead(AtomicU64::new(0)));
    let options = Options { clock: clock.clone(), ..Options::default() };
    let (loaded, report) = app::load_text(&configuration, folder, &options);
    let running = app::start(loaded.unwrap_or_else(|| panic!("{}", report.render(false))), options.clone()).await.unwrap();
    let port = running.addresses()[0].port();
    assert_eq!(stapled(folder, port, "-tls1_3"), "Cert Status: good");
    // While it serves.
    clock.0.store(61 * 60, Ordering::Relaxed);
    assert_eq!(stapled(folder, port, "-tls1_3"), NONE);
    running.stop().await;
    // At the start.
    let (loaded, report) = app::load_text(&configuration, folder, &options);
    assert!(report.render(false).contains("is out of date, and is not sent to clients"), "{}", report.render(false));
    let running = app::start(loaded.unwrap(), options.clone()).await.unwrap();
    assert_eq!(stapled(folder, running.addresses()[0].port(), "-tls1_3"), NONE);
    running.stop().await;
    // One without an end says what it says.
    respond(folder, "ours", false, &[], "ocsp.der");
    let (loaded, _) = app::load_text(&configuration, folder, &options);
    let running = app::start(loaded.unwrap(), options).await.unwrap();
    assert_eq!(stapled(folder, running.addresses()[0].port(), "-tls1_3"), "Cert Status: good");
    running.stop().await;
}

/// Every beginning of a response, and every response with an octet changed: read, refused or sent on, and nothing else happens.
#[test]
fn no_file_that_is_nearly_a_response_breaks_anything() {
    let authority = authority();
    let folder = authority.path();
    respond(folder, "ours", false, &["-ndays", "2"], "ocsp.der");
    let whole = std::fs::read(folder.join("ocsp.der")).unwrap();
    let configuration = json!({"listeners": [{
        "address": "127.0.0.1:8443",
        "certificates": certificate(folder),
        "default_actions": [{"fixed_response": {"status_code": 200}}],
    }]})
    .to_string();
    let is_usable = |der: &[u8]| {
        std::fs::write(folder.join("ocsp.der"), der).unwrap();
        app::load_text(&configuration, folder, &Options::default()).0.is_some()
    };
    assert!(is_usable(&whole));
    // What comes after the certificate's part is the signature, which clients check.
    let read = whole.len() / 3;
    for at in 0..read {
        assert!(!is_usable(&whole[..at]), "{at} octets of it");
        let mut changed = whole.clone();
        changed[at] ^= 0x81;
        is_usable(&changed);
    }
}

#[test]
fn a_response_for_another_certificate_is_refused_with_its_place() {
    let authority = authority();
    let folder = authority.path();
    respond(folder, "other", false, &["-ndays", "2"], "ocsp.der");
    let configuration = json!({"listeners": [{
        "address": "127.0.0.1:8443",
        "certificates": certificate(folder),
        "default_actions": [{"fixed_response": {"status_code": 200}}],
    }]});
    std::fs::write(folder.join("vestibule.yaml"), format!("{configuration:#}\n")).unwrap();
    let output = vestibule().args(["check", "--config", "vestibule.yaml"]).current_dir(folder).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{report}");
    assert!(report.contains("listeners[0].certificates[0].ocsp_response  vestibule.yaml:"), "{report}");
    assert!(report.contains("it is about another certificate"), "{report}");
}

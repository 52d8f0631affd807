//! `reload_on_change`: what has changed on the disk counts without a signal, however it was changed.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use crate::reload::{changed, configuration, count, reload, write};
use crate::support::World;
use crate::support::certificates::{APP, certificates};
use crate::support::client::{connect_as, set_cookies};
use crate::support::gateway::{eventually, rule, write_private};
use crate::support::oracles::sign_in;

/// A folder as Kubernetes mounts a secret: files that lead through `..data` to those of a version.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(certificate: &str, private_key: &str) -> Self {
        let mount = Self(tempfile::tempdir().unwrap());
        mount.swap("v0", certificate, private_key);
        symlink("..data/tls.crt", mount.certificate()).unwrap();
        symlink("..data/tls.key", mount.private_key()).unwrap();
        mount
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn certificate(&self) -> PathBuf {
        self.at("tls.crt")
    }

    fn private_key(&self) -> PathBuf {
        self.at("tls.key")
    }

    /// All of it at once.
    fn swap(&self, version: &str, certificate: &str, private_key: &str) {
        std::fs::create_dir(self.at(version)).unwrap();
        std::fs::write(self.at(version).join("tls.crt"), certificate).unwrap();
        write_private(&self.at(version).join("tls.key"), private_key);
        symlink(version, self.at("..data_tmp")).unwrap();
        std::fs::rename(self.at("..data_tmp"), self.at("..data")).unwrap();
    }

    fn world(&self, is_on: bool) -> World {
        World::start_with(|plan| {
            plan.listener()["certificates"] = json!([{"certificate": self.certificate(), "private_key": self.private_key()}]);
            plan.configuration["reload_on_change"] = json!(is_on);
        })
    }
}

fn made() -> (String, String) {
    let made = rcgen::generate_simple_self_signed([APP.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// What a new connection is shown.
fn shows(port: u16, certificate: &str) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    connect_as(port, Arc::new(config)).is_ok()
}

fn soon(condition: impl FnMut() -> bool) -> bool {
    eventually(Duration::from_secs(15), condition)
}

fn refusals(world: &World) -> usize {
    world.gateway.log().matches("was not reloaded").count()
}

/// The certificate that every gateway shows at first, and its key.
fn leaf() -> (String, String) {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    (read(certificates().certificate_file()), read(certificates().private_key_file()))
}

#[test]
fn a_new_certificate_is_shown_without_a_signal() {
    let (first, key) = made();
    let mount = Mount::new(&first, &key);
    let world = mount.world(true);
    let port = world.gateway.port;
    assert!(shows(port, &first));

    let (swapped, key) = made();
    mount.swap("v1", &swapped, &key);
    assert!(soon(|| shows(port, &swapped)), "by a link that leads elsewhere: {}", world.gateway.log());
    assert!(!shows(port, &first));

    let (renamed, key) = made();
    write_private(&mount.at("next.key"), &key);
    std::fs::rename(mount.at("next.key"), mount.at("v1/tls.key")).unwrap();
    // Longer than anything is waited for: the key alone is refused, and taken with its certificate.
    thread::sleep(Duration::from_secs(3));
    assert!(shows(port, &swapped), "a key without its certificate");
    std::fs::write(mount.at("next.crt"), &renamed).unwrap();
    std::fs::rename(mount.at("next.crt"), mount.at("v1/tls.crt")).unwrap();
    assert!(soon(|| shows(port, &renamed)), "by renaming: {}", world.gateway.log());

    let (written, key) = made();
    std::fs::write(mount.at("v1/tls.crt"), &written).unwrap();
    std::fs::write(mount.at("v1/tls.key"), &key).unwrap();
    assert!(soon(|| shows(port, &written)), "by writing: {}", world.gateway.log());
    // Counted when all of it is in place, which is after the certificate.
    assert!(soon(|| count(&world.gateway, "success") >= 3), "{}", world.gateway.log());
    assert_eq!(count(&world.gateway, "success"), 3, "{}", world.gateway.log());
}

#[test]
fn what_is_broken_is_told_once_and_the_former_goes_on() {
    let (certificate, key) = leaf();
    let mount = Mount::new(&certificate, &key);
    let world = mount.world(true);
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    mount.swap("v1", "no certificate", &key);
    assert!(soon(|| refusals(&world) == 1), "{}", world.gateway.log());
    thread::sleep(Duration::from_secs(4));
    assert_eq!(refusals(&world), 1, "told again: {}", world.gateway.log());
    assert!(world.gateway.log().contains("holds no certificate in PEM"));
    assert_eq!(browser.copy().get("/page").status(), 200, "with the certificate of before");

    // Half of a file, then a file that is gone, then a sound one, of which the certificate is read again too.
    let sound = configuration(&world.gateway);
    std::fs::write(world.gateway.configuration_file(), "listeners: [").unwrap();
    assert!(soon(|| refusals(&world) == 2), "{}", world.gateway.log());
    std::fs::remove_file(world.gateway.configuration_file()).unwrap();
    assert!(soon(|| refusals(&world) == 3), "{}", world.gateway.log());
    mount.swap("v2", &certificate, &key);
    assert!(soon(|| refusals(&world) == 4), "{}", world.gateway.log());
    write(&world.gateway, &sound);
    assert!(soon(|| count(&world.gateway, "success") == 1), "{}", world.gateway.log());
    assert_eq!((refusals(&world), browser.copy().get("/page").status()), (4, 200));
}

#[test]
fn without_the_key_only_a_signal_counts() {
    let (first, key) = made();
    let mount = Mount::new(&first, &key);
    let world = mount.world(false);
    let (second, key) = made();
    mount.swap("v1", &second, &key);
    changed(&world, |configuration| configuration["reload_on_change"] = json!(true));
    thread::sleep(Duration::from_secs(4));
    assert!(shows(world.gateway.port, &first) && count(&world.gateway, "success") == 0);
    reload(&world.gateway, "success");
    assert!(shows(world.gateway.port, &second));
    changed(&world, |configuration| configuration["reload_on_change"] = json!(false));
    assert!(soon(|| count(&world.gateway, "success") == 2), "{}", world.gateway.log());
    mount.swap("v2", &first, "nothing");
    thread::sleep(Duration::from_secs(4));
    assert_eq!((count(&world.gateway, "success"), refusals(&world)), (2, 0));
}

#[test]
fn no_request_fails_while_files_change() {
    let (certificate, key) = leaf();
    let mount = Mount::new(&certificate, &key);
    let world = mount.world(true);
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let (stop, asked, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..3)
        .map(|number| {
            let (mut browser, stop, asked, failed) = (browser.copy(), stop.clone(), asked.clone(), failed.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    // With a new connection each, and with one that is kept.
                    let response = if number == 0 { browser.copy().get("/page") } else { browser.get("/page") };
                    asked.fetch_add(1, Ordering::SeqCst);
                    if response.status() != 200 || !set_cookies(&response).is_empty() {
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                    thread::sleep(Duration::from_millis(5));
                }
            })
        })
        .collect();
    for round in 1..=20 {
        match round % 3 {
            0 => mount.swap(&format!("v{round}"), &certificate, &key),
            1 => changed(&world, |configuration| {
                let answer = json!([{"fixed_response": {"status_code": 200, "message_body": round.to_string()}}]);
                configuration["listeners"][0]["rules"].as_array_mut().unwrap().retain(|rule| rule["priority"] != 5);
                configuration["listeners"][0]["rules"].as_array_mut().unwrap().push(rule(5, "/round", &answer));
            }),
            _ => rewritten(&mount.at("..data/tls.crt"), &certificate),
        }
        assert!(soon(|| count(&world.gateway, "success") == round), "{round}: {}", world.gateway.log());
    }
    stop.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    let (asked, failed) = (asked.load(Ordering::SeqCst), failed.load(Ordering::SeqCst));
    assert!(failed == 0 && asked > 500, "{failed} of {asked} requests failed");
    assert_eq!((refusals(&world), world.browser().get("/round").text()), (0, "19".to_owned()));
}

/// As an editor does.
fn rewritten(path: &Path, content: &str) {
    let other = path.with_extension("swp");
    std::fs::write(&other, content).unwrap();
    std::fs::rename(other, path).unwrap();
}

//! Pebble, Let's Encrypt's small ACME server: a process of its own with a name server beside it, which leads every name to this machine.

use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use super::certificates::certificates;
use super::gateway::{eventually, free_port};
use super::wire::Wire;

/// What an authority is like.
pub(crate) struct Wanted {
    pub(crate) port: u16,
    management: u16,
    /// More of its configuration.
    pub(crate) settings: Value,
}

impl Wanted {
    /// It looks at these ports for proofs.
    pub(crate) fn looking_at(tls_port: u16, http_port: u16) -> Self {
        let (port, management) = (free_port(), free_port());
        let settings = json!({
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": certificates().certificate_file(),
            "privateKey": certificates().private_key_file(),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        });
        Self { port, management, settings }
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// `acme` of a listener.
    pub(crate) fn acme(&self, cache: &Path) -> Value {
        json!({
            "terms_of_service_agreed": true,
            "directory_url": self.directory(),
            "ca_certificates": certificates().ca_file(),
            "cache": cache,
        })
    }

    pub(crate) fn start(&self) -> Pebble {
        Pebble::start(self)
    }
}

pub(crate) struct Pebble {
    folder: tempfile::TempDir,
    processes: Vec<Child>,
    management: u16,
}

impl Pebble {
    fn start(wanted: &Wanted) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (dns, dns_management) = (free_port(), free_port());
        let names = Command::new("pebble-challtestsrv")
            .args(["-dns01", &format!("127.0.0.1:{dns}"), "-management", &format!("127.0.0.1:{dns_management}")])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Pebble is missing: script/bootstrap installs it");
        let mut pebble = Self { folder, processes: vec![names], management: wanted.management };
        let takes = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
        // First: a gateway may be waiting for the authority already, which has to find it.
        let names_are_up = eventually(Duration::from_secs(10), || takes(dns) && takes(dns_management));
        assert!(names_are_up, "the name server does not start");
        let folder = &pebble.folder;
        std::fs::write(folder.path().join("pebble.json"), json!({"pebble": wanted.settings}).to_string()).unwrap();
        let log = File::create(folder.path().join("pebble.log")).unwrap();
        let authority = Command::new("pebble")
            .args(["-config", "pebble.json", "-dnsserver", &format!("127.0.0.1:{dns}")])
            // It looks at once. One in twenty good nonces is still refused, as its makers want it.
            .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_AUTHZREUSE", "0")])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        pebble.processes.push(authority);
        let up = eventually(Duration::from_secs(10), || takes(wanted.port) && takes(wanted.management));
        assert!(up, "Pebble does not start:\n{}", pebble.log());
        pebble
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("pebble.log")).unwrap_or_default()
    }

    /// How often it was asked for a certificate.
    pub(crate) fn orders(&self) -> usize {
        self.log().matches("Added order").count()
    }

    /// TLS as a client that believes certificates of this authority, and no others.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        client_of(&self.root())
    }

    /// PEM.
    pub(crate) fn root(&self) -> Vec<u8> {
        let socket = TcpStream::connect(("127.0.0.1", self.management)).unwrap();
        let mut wire = Wire::tls_client(socket, certificates().client(b"http/1.1"), "localhost").unwrap();
        wire.send(b"GET /roots/0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        wire.response("GET").unwrap().text().into_bytes()
    }
}

/// TLS as a client that believes this authority alone.
pub(crate) fn client_of(root: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// A folder for a gateway's account and certificates, which it makes itself.
pub(crate) fn cache() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acme");
    (folder, path)
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

//! A certificate authority for one run of the tests, and leaves for the gateway and its providers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The name under which browsers know the gateway.
pub(crate) const APP: &str = "app.test";

/// A certificate with its private key.
pub(crate) struct Leaf {
    pub(crate) certificate: CertificateDer<'static>,
    private_key: Vec<u8>,
    pub(crate) certificate_pem: String,
    pub(crate) private_key_pem: String,
}

/// What a leaf has wrong with it, seen from a client that asks for `localhost`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flaw {
    None,
    Expired,
    NotYetValid,
    WrongName,
    /// A name that a program written in C would read as `localhost`.
    NulInName,
    SelfSigned,
    OtherAuthority,
    /// Only for TLS clients: `extendedKeyUsage` without `serverAuth`.
    ClientOnly,
}

/// The authority, its first leaf, and a folder in which both lie as PEM files.
pub(crate) struct Certificates {
    folder: tempfile::TempDir,
    authority: Issuer<'static, KeyPair>,
    authority_certificate: CertificateDer<'static>,
    leaf: Leaf,
}

/// The certificates of this process, made at the first call.
pub(crate) fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(Certificates::generate)
}

impl Certificates {
    fn generate() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (authority, authority_certificate, authority_pem) = new_authority("it authority");
        let leaf = sign(Flaw::None, &authority);
        std::fs::write(folder.path().join("ca.pem"), authority_pem).unwrap();
        std::fs::write(folder.path().join("leaf.pem"), &leaf.certificate_pem).unwrap();
        std::fs::write(folder.path().join("leaf.key"), &leaf.private_key_pem).unwrap();
        Self { folder, authority, authority_certificate, leaf }
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn certificate_file(&self) -> PathBuf {
        self.folder.path().join("leaf.pem")
    }

    pub(crate) fn private_key_file(&self) -> PathBuf {
        self.folder.path().join("leaf.key")
    }

    /// A secret in a file of its own.
    pub(crate) fn secret_file(&self, name: &str, secret: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        super::gateway::write_private(&path, secret);
        path
    }

    /// TLS as a server with the first leaf.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        server_config(&self.leaf)
    }

    /// TLS as a server that asks for a certificate of the authority.
    pub(crate) fn mutual_server(&self) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority_certificate.clone()).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
        let private_key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.leaf.private_key.clone()));
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.leaf.certificate.clone()], private_key)
            .unwrap()
    }

    /// A certificate for TLS clients and its key, as files.
    pub(crate) fn client_files(&self) -> (PathBuf, PathBuf) {
        let leaf = sign(Flaw::ClientOnly, &self.authority);
        (self.secret_file("client.pem", &leaf.certificate_pem), self.secret_file("client.key", &leaf.private_key_pem))
    }

    /// One more certificate for the gateway, with a key of its own, good until the first day of a year.
    pub(crate) fn leaf_until(&self, year: i32) -> Leaf {
        signed(&self.authority, |params| params.not_after = date_time_ymd(year, 1, 1))
    }

    /// An authority that has signed nothing here.
    pub(crate) fn other_ca_file(&self) -> PathBuf {
        self.secret_file("other-ca.pem", &new_authority("stranger").2)
    }

    /// TLS as a server whose certificate has a flaw.
    pub(crate) fn flawed_server(&self, flaw: Flaw) -> Arc<ServerConfig> {
        server_config(&sign(flaw, &self.authority))
    }

    /// TLS as a client that trusts the authority and nothing else.
    pub(crate) fn client(&self, application_protocol: &[u8]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority_certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![application_protocol.to_vec()];
        Arc::new(config)
    }
}

/// A fresh P-256 key, PKCS#8 PEM, as `identity_headers.signing_key` wants it.
pub(crate) fn write_signing_key(path: &Path) {
    super::gateway::write_private(path, &KeyPair::generate().unwrap().serialize_pem());
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn server_config(leaf: &Leaf) -> Arc<ServerConfig> {
    let private_key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf.private_key.clone()));
    Arc::new(
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.certificate.clone()], private_key)
            .unwrap(),
    )
}

fn new_authority(name: &str) -> (Issuer<'static, KeyPair>, CertificateDer<'static>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let (der, pem) = (certificate.der().clone(), certificate.pem());
    (Issuer::new(params, key), der, pem)
}

fn signed(authority: &Issuer<'static, KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
    let mut params = CertificateParams::new(["localhost", APP, "127.0.0.1"].map(str::to_owned)).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    Leaf {
        certificate: certificate.der().clone(),
        private_key: key.serialize_der(),
        certificate_pem: certificate.pem(),
        private_key_pem: key.serialize_pem(),
    }
}

fn sign(flaw: Flaw, authority: &Issuer<'static, KeyPair>) -> Leaf {
    let names: &[&str] = match flaw {
        Flaw::WrongName => &["elsewhere.test"],
        Flaw::NulInName => &["localhost\0.elsewhere.test"],
        _ => &["localhost", APP, "127.0.0.1"],
    };
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.extended_key_usages = vec![match flaw {
        Flaw::ClientOnly => ExtendedKeyUsagePurpose::ClientAuth,
        _ => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    match flaw {
        Flaw::Expired => params.not_after = date_time_ymd(2021, 1, 1),
        Flaw::NotYetValid => params.not_before = date_time_ymd(2199, 1, 1),
        _ => {}
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match flaw {
        Flaw::SelfSigned => params.self_signed(&key),
        Flaw::OtherAuthority => params.signed_by(&key, &new_authority("stranger").0),
        _ => params.signed_by(&key, authority),
    }
    .unwrap();
    Leaf {
        certificate: certificate.der().clone(),
        private_key: key.serialize_der(),
        certificate_pem: certificate.pem(),
        private_key_pem: key.serialize_pem(),
    }
}

//! TLS of a listener: rustls with aws-lc, certificate by SNI, tickets, ALPN.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::{ListenerSettings, ServerCertificate};

#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct TlsError(#[from] rustls::Error);

/// TLS 1.2 with forward secrecy and TLS 1.3, no early data (a replayed callback or POST, threat X14).
pub fn server_config(settings: &ListenerSettings) -> Result<ServerConfig, TlsError> {
    let versions: &[&rustls::SupportedProtocolVersion] =
        if settings.tls13_only { &[&rustls::version::TLS13] } else { rustls::DEFAULT_VERSIONS };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let builder = match &settings.client_authentication {
        Some(asked) => builder.with_client_cert_verifier(asked.verifier.clone()),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(BySni::new(&settings.certificates)));
    if settings.client_authentication.is_some() {
        // Each connection shows its certificate: one that was revoked, or has ended, is not good in a session of before. As on an ALB.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    }
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct BySni {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
}

impl BySni {
    /// Where two certificates have a name, the first one serves it.
    fn new(certificates: &[ServerCertificate]) -> Self {
        let mut by_name = HashMap::new();
        for certificate in certificates {
            for name in &certificate.names {
                by_name.entry(name.clone()).or_insert_with(|| certificate.key.clone());
            }
        }
        Self { by_name, default: certificates.first().map(|certificate| certificate.key.clone()) }
    }
}

impl ResolvesServerCert for BySni {
    /// An exact name, then a wildcard for one label (RFC 6125 §6.4.3), then the default.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let by_name = name.and_then(|name| {
            let wildcard = || name.split_once('.').and_then(|(_, parent)| self.by_name.get(&format!("*.{parent}")));
            self.by_name.get(&name).or_else(wildcard)
        });
        by_name.or(self.default.as_ref()).cloned()
    }
}

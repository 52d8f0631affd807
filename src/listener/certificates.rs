//! TLS of a listener: rustls with aws-lc, certificate by SNI, tickets, ALPN.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::tickets::SharedTickets;
use crate::clients::{AcmeCertificate, Challenges};
use crate::clock::Clock;
use crate::config::{ListenerSettings, ServerCertificate};
use crate::secret::Entropy;

#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct TlsError(#[from] rustls::Error);

/// What all listeners of a process share, over reloads too.
#[derive(Clone)]
pub struct TlsCommons {
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
    /// What authorities that make certificates are about to look at.
    pub challenges: Challenges,
    /// Where no keys are configured. A reload does not make clients forget us.
    tickets: Arc<dyn ProducesTickets>,
}

impl TlsCommons {
    pub fn new(clock: Arc<dyn Clock>, entropy: Entropy, challenges: Challenges) -> Result<Self, TlsError> {
        Ok(Self { clock, entropy, challenges, tickets: rustls::crypto::aws_lc_rs::Ticketer::new()? })
    }

    fn tickets(&self, settings: &ListenerSettings) -> Result<Arc<dyn ProducesTickets>, TlsError> {
        if settings.ticket_keys.is_empty() {
            return Ok(self.tickets.clone());
        }
        let shared = SharedTickets::new(&settings.ticket_keys, self.clock.clone(), self.entropy.clone());
        Ok(Arc::new(shared.ok_or_else(|| rustls::Error::General("a key for tickets cannot be used".to_owned()))?))
    }
}

/// TLS 1.2 with forward secrecy and TLS 1.3, no early data (a replayed callback or POST, threat X14).
pub(super) fn server_config(
    settings: &ListenerSettings,
    acme: Option<Arc<AcmeCertificate>>,
    commons: &TlsCommons,
) -> Result<ServerConfig, TlsError> {
    let versions: &[&rustls::SupportedProtocolVersion] =
        if settings.tls13_only { &[&rustls::version::TLS13] } else { rustls::DEFAULT_VERSIONS };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let builder = match &settings.client_authentication {
        Some(asked) => builder.with_client_cert_verifier(asked.verifier.clone()),
        None => builder.with_no_client_auth(),
    };
    let resolver = BySni::new(&settings.certificates, acme, commons.clock.clone());
    let mut config = builder.with_cert_resolver(Arc::new(resolver));
    if settings.client_authentication.is_some() {
        // Each connection shows its certificate: one that was revoked, or has ended, is not good in a session of before. As on an ALB.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    } else {
        config.ticketer = commons.tickets(settings)?;
    }
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

struct BySni {
    /// Before those from files: one of these may only stand in for it until it is there.
    acme: Option<Arc<AcmeCertificate>>,
    by_name: HashMap<String, Arc<Served>>,
    default: Option<Arc<Served>>,
    clock: Arc<dyn Clock>,
}

/// A certificate from a file; for as long as that is true with what its authority says of it.
struct Served {
    plain: Arc<CertifiedKey>,
    stapled: Option<(Arc<CertifiedKey>, Option<i64>)>,
}

impl Served {
    fn new(certificate: &ServerCertificate) -> Self {
        let plain = certificate.key.clone();
        let stapled = certificate.ocsp.as_ref().map(|response| {
            let mut stapled = CertifiedKey::new(plain.cert.clone(), plain.key.clone());
            stapled.ocsp = Some(response.der.clone());
            (Arc::new(stapled), response.until)
        });
        Self { plain, stapled }
    }

    fn at(&self, now: i64) -> Arc<CertifiedKey> {
        match &self.stapled {
            Some((stapled, until)) if until.is_none_or(|until| now < until) => stapled.clone(),
            _ => self.plain.clone(),
        }
    }
}

impl BySni {
    /// Where two certificates have a name, the first one serves it.
    fn new(certificates: &[ServerCertificate], acme: Option<Arc<AcmeCertificate>>, clock: Arc<dyn Clock>) -> Self {
        let mut by_name = HashMap::new();
        let mut default = None;
        for certificate in certificates {
            let served = Arc::new(Served::new(certificate));
            for name in &certificate.names {
                by_name.entry(name.clone()).or_insert_with(|| served.clone());
            }
            default.get_or_insert(served);
        }
        Self { acme, by_name, default, clock }
    }

    fn among_files(&self, name: Option<&str>) -> Option<&Arc<Served>> {
        let by_name = name.and_then(|name| {
            let wildcard = || name.split_once('.').and_then(|(_, parent)| self.by_name.get(&format!("*.{parent}")));
            self.by_name.get(name).or_else(wildcard)
        });
        by_name.or(self.default.as_ref())
    }
}

impl ResolvesServerCert for BySni {
    /// An exact name, then a wildcard for one label (RFC 6125 §6.4.3), then the default. `None`, while there is no certificate yet: the
    /// handshake fails.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let ordered = self.acme.as_ref().zip(name.as_ref()).and_then(|(acme, name)| acme.shown_for(name));
        if let Some(ordered) = ordered {
            return Some(ordered.key.clone());
        }
        let now = i64::try_from(self.clock.now().0).unwrap_or(i64::MAX);
        let from_file = self.among_files(name.as_deref()).map(|served| served.at(now));
        from_file.or_else(|| Some(self.acme.as_ref()?.shown()?.key.clone()))
    }
}

impl fmt::Debug for BySni {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BySni").field("acme", &self.acme).field("names", &self.by_name.keys()).finish_non_exhaustive()
    }
}

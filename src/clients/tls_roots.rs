//! Whom we believe when we connect: the system's certificate authorities, or the ones that the configuration names instead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::gateway::ClientCertificate;

#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error("no certificate of an authority was found")]
    Empty,
    #[error("not a certificate: {0}")]
    Certificate(String),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// TLS 1.2 and 1.3. `authorities` is PEM; it replaces the system's authorities, so that a private CA is the only one believed.
pub fn client_config(authorities: Option<&[u8]>, certificate: Option<&ClientCertificate>) -> Result<ClientConfig, RootsError> {
    let roots = match authorities {
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| RootsError::Certificate(error.to_string()))?;
                roots.add(certificate).map_err(|error| RootsError::Certificate(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(RootsError::Empty);
            }
            Arc::new(roots)
        }
        None => system_roots(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    if roots.is_empty() {
        // No authority on this machine: nothing verifies, and plain HTTP on loopback still works.
        return with_certificate(builder.with_root_certificates(roots), certificate);
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots, provider).build().map_err(|error| RootsError::Certificate(error.to_string()))?;
    with_certificate(builder.with_webpki_verifier(verifier), certificate)
}

/// The machine's. Reading them takes milliseconds, and at a start every provider and every store asks for them.
fn system_roots() -> Arc<RootCertStore> {
    static READ: Mutex<Option<(Instant, Arc<RootCertStore>)>> = Mutex::new(None);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, roots)) = read.as_ref().filter(|(at, _)| at.elapsed() < READ_AGAIN_AFTER) {
        return roots.clone();
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let roots = Arc::new(roots);
    *read = Some((Instant::now(), roots.clone()));
    roots
}

/// Who has changed the machine's authorities reloads, and not within seconds of the start.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Mutual TLS (RFC 8705).
fn with_certificate(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    certificate: Option<&ClientCertificate>,
) -> Result<ClientConfig, RootsError> {
    let Some(certificate) = certificate else { return Ok(builder.with_no_client_auth()) };
    let chain = certificate.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key =
        PrivateKeyDer::try_from(certificate.private_key.expose().clone()).map_err(|error| RootsError::Certificate(error.to_owned()))?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

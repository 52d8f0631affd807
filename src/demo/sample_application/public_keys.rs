//! The gateway's public keys: fetched once by id, as PEM, from the place that AWS would serve them from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use url::Url;
use uuid::Uuid;

use super::SampleError;

/// Keys by id. A key never changes under its id, so what was fetched stays good.
pub(super) struct PublicKeys {
    client: Client,
    base: String,
    known: Mutex<HashMap<Uuid, Vec<u8>>>,
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyFault {
    #[error("the gateway did not answer")]
    Unreachable,
    #[error("the gateway does not know this key")]
    Unknown,
    #[error("the gateway's answer is not a public key in PEM")]
    NotAKey,
}

impl PublicKeys {
    pub(super) fn new(base: &Url, root_certificate: Option<&str>) -> Result<Self, SampleError> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = root_certificate {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_| SampleError::RootCertificate)?;
                roots.add(certificate).map_err(|_| SampleError::RootCertificate)?;
            }
            if roots.is_empty() {
                return Err(SampleError::RootCertificate);
            }
        }
        // Named here rather than taken from the process, so that it works whatever was installed first.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| SampleError::RootCertificate)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder().tls_backend_preconfigured(tls).redirect(Policy::none()).no_proxy().timeout(TIMEOUT).build()?;
        let base = format!("{}/", base.as_str().trim_end_matches('/'));
        Ok(Self { client, base, known: Mutex::new(HashMap::new()) })
    }

    /// Where the key of this id is.
    pub(super) fn address(&self, kid: Uuid) -> String {
        format!("{}{kid}", self.base)
    }

    /// SubjectPublicKeyInfo, DER.
    pub(super) async fn find(&self, kid: Uuid) -> Result<Vec<u8>, KeyFault> {
        if let Some(key) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&kid) {
            return Ok(key.clone());
        }
        let key = self.fetch(kid).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KEYS {
            known.clear();
        }
        known.insert(kid, key.clone());
        Ok(key)
    }

    async fn fetch(&self, kid: Uuid) -> Result<Vec<u8>, KeyFault> {
        let mut response = self.client.get(self.address(kid)).send().await.map_err(|_| KeyFault::Unreachable)?;
        if !response.status().is_success() {
            return Err(KeyFault::Unknown);
        }
        let mut pem = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| KeyFault::Unreachable)? {
            if pem.len() + chunk.len() > LONGEST_PEM {
                return Err(KeyFault::NotAKey);
            }
            pem.extend_from_slice(&chunk);
        }
        SubjectPublicKeyInfoDer::from_pem_slice(&pem).map(|key| key.to_vec()).map_err(|_| KeyFault::NotAKey)
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);
const MOST_KEYS: usize = 16;
const LONGEST_PEM: usize = 4_096;

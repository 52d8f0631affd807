//! Certificates of a listener: opened, matched with their keys, their names and dates read.

use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::context::Context;
use super::ocsp::{self, OcspResponse};
use crate::config::raw;
use crate::config::reader::Located;
use crate::gateway::ClientCertificate;
use crate::secret::Secret;

/// A certificate that can be served.
#[derive(Debug, Clone)]
pub struct ServerCertificate {
    /// As configured: a label in metrics.
    pub name: String,
    pub key: Arc<CertifiedKey>,
    /// DNS names and addresses, in lower case.
    pub names: Vec<String>,
    /// Seconds since 1970.
    pub expires_at: i64,
    /// Sent with it.
    pub ocsp: Option<OcspResponse>,
}

/// One of a listener.
pub(super) fn open_server(context: &mut Context<'_>, raw: &raw::ListenerCertificate) -> Option<ServerCertificate> {
    let raw::ListenerCertificate { certificate, private_key, ocsp_response } = raw;
    let opened = open(context, &raw::Certificate { certificate: certificate.clone(), private_key: private_key.clone() })?;
    let ocsp = ocsp_response.as_ref().and_then(|at| ocsp::open(context, at, &opened.key.cert));
    Some(ServerCertificate { ocsp, ..opened })
}

fn open(context: &mut Context<'_>, raw: &raw::Certificate) -> Option<ServerCertificate> {
    let chain_pem = context.file(&raw.certificate);
    let key_pem = context.file(&raw.private_key).map(zeroize::Zeroizing::new);
    let (chain_pem, key_pem) = (chain_pem?, key_pem?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain_pem).collect();
    let chain: Vec<CertificateDer<'static>> = match chain {
        Ok(chain) if !chain.is_empty() => chain,
        Ok(_) => {
            context.error(&raw.certificate, format!("{} holds no certificate in PEM", raw.certificate.value));
            return None;
        }
        Err(error) => {
            context.error(&raw.certificate, format!("{}: {error}", raw.certificate.value));
            return None;
        }
    };
    let Ok(key) = PrivateKeyDer::from_pem_slice(&key_pem) else {
        let encrypted = key_pem.windows(9).any(|window| window == b"ENCRYPTED");
        let why = if encrypted { "the private key is encrypted" } else { "it holds no private key in PEM" };
        context.error(&raw.private_key, format!("{}: {why}", raw.private_key.value));
        return None;
    };
    let Ok(signing_key) = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key) else {
        context.error(&raw.private_key, format!("{}: the private key is of a kind that cannot be used", raw.private_key.value));
        return None;
    };
    let (names, expires_at) = match inspect(&chain[0]) {
        Ok(found) => found,
        Err(error) => {
            context.error(&raw.certificate, format!("{}: {error}", raw.certificate.value));
            return None;
        }
    };
    let now = i64::try_from(context.now.0).unwrap_or(i64::MAX);
    if expires_at <= now {
        context.error(&raw.certificate, format!("{} has expired", raw.certificate.value));
        return None;
    }
    if expires_at - now < WARN_BEFORE_EXPIRY {
        context.warn(
            &raw.certificate,
            format!("{} expires in less than {} days", raw.certificate.value, (expires_at - now) / 86_400 + 1),
            "renew it",
        );
    }
    let key = CertifiedKey::new(chain, signing_key);
    if key.keys_match().is_err() {
        context.error(&raw.private_key, format!("{} is not the key of {}", raw.private_key.value, raw.certificate.value));
        return None;
    }
    Some(ServerCertificate { name: raw.certificate.value.clone(), key: Arc::new(key), names, expires_at, ocsp: None })
}

/// Authorities, DER.
pub(super) fn authorities(context: &mut Context<'_>, at: &Located<String>) -> Option<Vec<Vec<u8>>> {
    let pem = context.file(at)?;
    let mut store = rustls::RootCertStore::empty();
    let mut authorities = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let read = certificate.map_err(|error| error.to_string()).and_then(|certificate| {
            inspect(&certificate)?;
            store.add(certificate.clone()).map_err(|error| error.to_string())?;
            Ok(certificate.to_vec())
        });
        match read {
            Ok(certificate) => authorities.push(certificate),
            Err(error) => {
                context.error(at, format!("{}: {error}", at.value));
                return None;
            }
        }
    }
    if authorities.is_empty() {
        context.error(at, format!("{} holds no certificate in PEM", at.value));
        return None;
    }
    Some(authorities)
}

/// A certificate that is shown to targets.
pub(super) fn open_client(context: &mut Context<'_>, raw: &raw::Certificate) -> Option<ClientCertificate> {
    let sound = open(context, raw)?;
    let chain: Vec<Vec<u8>> = sound.key.cert.iter().map(|certificate| certificate.to_vec()).collect();
    if let Some(error) = sound.key.cert.iter().find_map(|certificate| inspect(certificate).err()) {
        context.error(&raw.certificate, format!("{}: {error}", raw.certificate.value));
        return None;
    }
    let key_pem = context.file(&raw.private_key).map(zeroize::Zeroizing::new)?;
    let chain_pem = context.file(&raw.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&key_pem).ok()?;
    let pem = [key_pem.as_slice(), b"\n", &chain_pem].concat();
    Some(ClientCertificate { chain, private_key: Secret::new(key.secret_der().to_vec()), pem: Secret::new(pem) })
}

fn inspect(leaf: &CertificateDer<'_>) -> Result<(Vec<String>, i64), String> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|error| format!("not an X.509 certificate: {error}"))?;
    let mut names = Vec::new();
    if let Ok(Some(extension)) = certificate.subject_alternative_name() {
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => names.extend(address(bytes)),
                _ => {}
            }
        }
    }
    Ok((names, certificate.validity().not_after.timestamp()))
}

/// As it stands in a Host header.
fn address(bytes: &[u8]) -> Option<String> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|bytes| format!("[{}]", std::net::Ipv6Addr::from(bytes))),
        _ => None,
    }
}

const WARN_BEFORE_EXPIRY: i64 = 14 * 86_400;

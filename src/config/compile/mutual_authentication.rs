//! `mutual_authentication`: whose certificates a listener asks for, and who may come in with them.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::context::Context;
use crate::config::raw::{MutualAuthentication, MutualAuthenticationMode, Protocol};
use crate::config::reader::Located;
use crate::identity_headers::ClientCertificateMode;

/// What a listener does with the certificates of its clients.
#[derive(Debug, Clone)]
pub struct ClientAuthentication {
    pub mode: ClientCertificateMode,
    pub verifier: Arc<dyn ClientCertVerifier>,
}

/// `None`: nobody is asked for a certificate. The outer one: there are faults.
pub(super) fn compile(
    context: &mut Context<'_>,
    raw: Option<&Located<MutualAuthentication>>,
    protocol: Protocol,
) -> Option<Option<ClientAuthentication>> {
    let Some(raw) = raw else { return Some(None) };
    let settings = &raw.value;
    let mode = settings.mode.value;
    if mode != MutualAuthenticationMode::Off && protocol == Protocol::Http {
        context.error(raw, "an http listener asks for no certificates");
        return None;
    }
    if mode != MutualAuthenticationMode::Verify
        && let Some(at) = &settings.trust_store
    {
        context.error(at, "a trust store is for the mode verify");
        return None;
    }
    let (mode, judge) = match mode {
        MutualAuthenticationMode::Off => return Some(None),
        MutualAuthenticationMode::Passthrough => (ClientCertificateMode::Passthrough, Judge::Target),
        MutualAuthenticationMode::Verify => {
            let judge = authorities(context, raw)?;
            let ignores_expiry = settings.ignore_client_certificate_expiry.unwrap_or(false);
            (ClientCertificateMode::Verify, if ignores_expiry { Judge::AtAnyTime(judge) } else { Judge::Now(judge) })
        }
    };
    let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    Some(Some(ClientAuthentication { mode, verifier: Arc::new(Verifier { judge, algorithms }) }))
}

/// `verify`: trust store and revocation lists. `None` where there are faults.
fn authorities(context: &mut Context<'_>, raw: &Located<MutualAuthentication>) -> Option<Arc<dyn ClientCertVerifier>> {
    let settings = &raw.value;
    let Some(at) = &settings.trust_store else {
        context.error_hint(raw, "nobody says whose certificates are good", "trust_store: FILE, the authorities in PEM");
        return None;
    };
    let mut roots = RootCertStore::empty();
    for certificate in in_pem::<CertificateDer<'_>>(context, at, "certificate")? {
        if let Err(error) = roots.add(certificate) {
            context.error(at, format!("{}: {error}", at.value));
            return None;
        }
    }
    let mut lists: Vec<CertificateRevocationListDer<'static>> = Vec::new();
    for at in &settings.revocation_lists {
        lists.extend(in_pem(context, at, "revocation list")?);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).with_crls(lists);
    if !settings.advertise_trust_store_ca_names.unwrap_or(false) {
        builder = builder.clear_root_hint_subjects();
    }
    // Of authorities without a list nothing is known, as on an ALB.
    builder.allow_unknown_revocation_status().build().map_err(|error| context.error(raw, error.to_string())).ok()
}

/// Everything of a kind that a file holds, which is at least one.
fn in_pem<T: PemObject>(context: &mut Context<'_>, at: &Located<String>, kind: &str) -> Option<Vec<T>> {
    let bytes = context.file(at)?;
    let found: Result<Vec<T>, _> = T::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Some(found),
        Ok(_) => {
            context.error(at, format!("{} holds no {kind} in PEM", at.value));
            None
        }
        Err(error) => {
            context.error(at, format!("{}: {error}", at.value));
            None
        }
    }
}

/// Whoever says whether a certificate is good. That the client has its key is checked in any case.
#[derive(Debug)]
struct Verifier {
    judge: Judge,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Judge {
    /// It gets whatever a client shows, or nothing.
    Target,
    Now(Arc<dyn ClientCertVerifier>),
    /// A certificate that has ended is judged as of its last second (`ignore_client_certificate_expiry`).
    AtAnyTime(Arc<dyn ClientCertVerifier>),
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.judge {
            Judge::Target => &[],
            Judge::Now(judge) | Judge::AtAnyTime(judge) => judge.root_hint_subjects(),
        }
    }

    fn client_auth_mandatory(&self) -> bool {
        !matches!(self.judge, Judge::Target)
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match &self.judge {
            Judge::Target => Ok(ClientCertVerified::assertion()),
            Judge::Now(judge) => judge.verify_client_cert(leaf, chain, now),
            Judge::AtAnyTime(judge) => match judge.verify_client_cert(leaf, chain, now) {
                Err(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
                    judge.verify_client_cert(leaf, chain, last_second(leaf)?)
                }
                judged => judged,
            },
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn last_second(certificate: &CertificateDer<'_>) -> Result<UnixTime, Error> {
    let parsed = X509Certificate::from_der(certificate).ok();
    let last = parsed.and_then(|(_, parsed)| u64::try_from(parsed.validity().not_after.timestamp()).ok());
    let last = last.ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    Ok(UnixTime::since_unix_epoch(Duration::from_secs(last)))
}

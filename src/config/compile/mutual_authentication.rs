//! `mutual_authentication`: whose certificates a listener asks for, and who may come in with them.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
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
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let algorithms = provider.signature_verification_algorithms;
    match mode {
        MutualAuthenticationMode::Off => Some(None),
        MutualAuthenticationMode::Passthrough => {
            Some(Some(ClientAuthentication { mode: ClientCertificateMode::Passthrough, verifier: Arc::new(Anybody(algorithms)) }))
        }
        MutualAuthenticationMode::Verify => {
            let Some(at) = &settings.trust_store else {
                context.error_hint(raw, "nobody says whose certificates are good", "trust_store: FILE, the authorities in PEM");
                return None;
            };
            let mut roots = RootCertStore::empty();
            let pem = context.file(at)?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                if let Err(error) =
                    certificate.map_err(|error| error.to_string()).and_then(|der| roots.add(der).map_err(|error| error.to_string()))
                {
                    context.error(at, format!("{}: {error}", at.value));
                    return None;
                }
            }
            if roots.is_empty() {
                context.error(at, format!("{} holds no certificate in PEM", at.value));
                return None;
            }
            let mut lists = Vec::new();
            for at in &settings.revocation_lists {
                let bytes = context.file(at)?;
                let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
                match found {
                    Ok(found) if !found.is_empty() => lists.extend(found),
                    Ok(_) => {
                        context.error(at, format!("{} holds no revocation list in PEM", at.value));
                        return None;
                    }
                    Err(error) => {
                        context.error(at, format!("{}: {error}", at.value));
                        return None;
                    }
                }
            }
            let advertises = settings.advertise_trust_store_ca_names.unwrap_or(false);
            let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider)).with_crls(lists);
            if !advertises {
                builder = builder.clear_root_hint_subjects();
            }
            // Of authorities without a list nothing is known, as on an ALB.
            match builder.allow_unknown_revocation_status().build() {
                Ok(verifier) => {
                    let ignores_expiry = settings.ignore_client_certificate_expiry.unwrap_or(false);
                    let verifier: Arc<dyn ClientCertVerifier> = if ignores_expiry { Arc::new(AtAnyTime(verifier)) } else { verifier };
                    Some(Some(ClientAuthentication { mode: ClientCertificateMode::Verify, verifier }))
                }
                Err(error) => {
                    context.error(raw, error.to_string());
                    None
                }
            }
        }
    }
}

/// Takes whatever a client shows, or nothing: the target judges. That the client has its key is checked all the same.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// A certificate that has ended is judged as of its last second (`ignore_client_certificate_expiry`).
#[derive(Debug)]
struct AtAnyTime(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AtAnyTime {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.0.verify_client_cert(leaf, chain, now) {
            Err(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
                let last =
                    X509Certificate::from_der(leaf).ok().and_then(|(_, leaf)| u64::try_from(leaf.validity().not_after.timestamp()).ok());
                let last = last.ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
                self.0.verify_client_cert(leaf, chain, UnixTime::since_unix_epoch(std::time::Duration::from_secs(last)))
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

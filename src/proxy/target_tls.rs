//! What pingora is to believe of a target and to show to it, made once for each target group.

use std::sync::Arc;

use moka::sync::Cache;
use pingora::prelude::HttpPeer;
use pingora::protocols::tls::CaType;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};

use crate::gateway::{TargetGroup, TargetTls};

/// By the number that stands for all of it, so that a reload that changes anything makes its own.
pub struct TargetIdentities(Cache<u64, Prepared>);

#[derive(Clone)]
struct Prepared {
    authorities: Option<Arc<CaType>>,
    client_certificate: Option<Arc<CertKey>>,
}

impl Default for TargetIdentities {
    fn default() -> Self {
        Self(Cache::new(MOST_GROUPS))
    }
}

impl TargetIdentities {
    /// Makes a peer verify, and be verified, as its group says.
    pub(super) fn apply(&self, group: &TargetGroup, peer: &mut HttpPeer) {
        let Some(tls) = &group.tls else { return };
        peer.options.verify_cert = tls.verify;
        peer.options.verify_hostname = tls.verify;
        if tls.authorities.is_some() || tls.client_certificate.is_some() {
            let prepared = self.0.get_with(group.id, || Prepared::from(tls));
            peer.options.ca = prepared.authorities;
            peer.client_cert_key = prepared.client_certificate;
        }
    }
}

impl From<&TargetTls> for Prepared {
    /// The configuration has read every certificate: pingora panics on one that is none.
    fn from(tls: &TargetTls) -> Self {
        let authorities = |der: &Vec<Vec<u8>>| der.iter().map(|der| WrappedX509::new(der.clone(), parse_x509)).collect::<Arc<CaType>>();
        Self {
            authorities: tls.authorities.as_ref().map(authorities),
            client_certificate: tls
                .client_certificate
                .as_ref()
                .map(|certificate| Arc::new(CertKey::new(certificate.chain.clone(), certificate.private_key.expose().clone()))),
        }
    }
}

const MOST_GROUPS: u64 = 1000;

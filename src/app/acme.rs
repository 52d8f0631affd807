//! Certificates that are ordered: one for all listeners that ask for the same, kept over reloads.

use std::sync::Arc;

use crate::clients::{AcmeCertificate, AcmeError, AcmeEvent, AcmeObserver};
use crate::config::ListenerSettings;
use crate::listener::{Accepting, TlsCommons, TlsError};
use crate::telemetry::Metrics;

/// Those of a configuration.
#[derive(Default, Clone)]
pub(super) struct Ordered(Arc<Vec<Arc<AcmeCertificate>>>);

impl Ordered {
    /// For these listeners. What is wanted as before is what it was before.
    pub(super) fn for_listeners(listeners: &[ListenerSettings], before: &Self, commons: &TlsCommons, metrics: &Arc<Metrics>) -> Self {
        let mut ordered: Vec<Arc<AcmeCertificate>> = Vec::new();
        for order in listeners.iter().filter_map(|listener| listener.acme.as_ref()) {
            if ordered.iter().any(|known| known.order == *order) {
                continue;
            }
            let known = before.0.iter().find(|known| known.order == *order).cloned();
            ordered.push(known.unwrap_or_else(|| {
                let made =
                    AcmeCertificate::new(order.clone(), commons.challenges.clone(), commons.clock.clone(), observer(metrics.clone()));
                // Of names that have changed some are good as they are.
                let former = before.0.iter().find(|known| known.order.domains.iter().any(|domain| order.domains.contains(domain)));
                Arc::new(match former {
                    Some(former) => made.after(former),
                    None => made,
                })
            }));
        }
        Self(Arc::new(ordered))
    }

    /// What a listener does with connections.
    pub(super) fn accepting(&self, settings: &ListenerSettings, commons: &TlsCommons) -> Result<Accepting, TlsError> {
        let own = settings.acme.as_ref().and_then(|order| self.0.iter().find(|known| known.order == *order));
        Accepting::new(settings, own.cloned(), !self.0.is_empty(), commons)
    }

    /// Those that are not kept fresh already. Those that are not wanted any more end by themselves.
    pub(super) fn keep_fresh(&self, before: &Self) {
        for certificate in self.0.iter() {
            if !before.0.iter().any(|known| Arc::ptr_eq(known, certificate)) {
                certificate.keep_fresh();
            }
        }
    }

    pub(super) fn all(&self) -> Arc<Vec<Arc<AcmeCertificate>>> {
        self.0.clone()
    }
}

fn observer(metrics: Arc<Metrics>) -> AcmeObserver {
    Arc::new(move |event| match event {
        AcmeEvent::InUse { name, expires_at, was_ordered } => {
            metrics.certificate(name, *expires_at);
            if *was_ordered {
                metrics.acme_order(true);
                tracing::info!(certificate = name, expires_at, "a certificate was obtained, and is in use");
            } else {
                tracing::info!(certificate = name, expires_at, "a certificate that was obtained before is in use");
            }
        }
        AcmeEvent::Failed { name, error, again_in } => {
            metrics.acme_order(false);
            let again_in = again_in.as_secs();
            match error {
                AcmeError::Refused { problem, detail } => {
                    tracing::error!(certificate = name, problem, detail, again_in, "the authority makes no certificate");
                }
                error => tracing::error!(certificate = name, %error, again_in, "no certificate was obtained"),
            }
        }
    })
}

//! A key set at a URL of its own (`jwks_endpoint`), kept fresh as that of a provider is.

use std::sync::Arc;

use async_trait::async_trait;

use super::calls::{Calls, Observer, cooling};
use super::fetched::{Cause, Fetched};
use super::freshness::{KEYS_COOL_DOWN, Pace};
use crate::authentication::{KeySource, ProviderClientError};
use crate::tokens::KeySet;

/// One issuer's keys, with a cool-down and a cap of their own.
pub struct KeyConnection {
    calls: Arc<Calls>,
    url: String,
    keys: Arc<Fetched<KeySet, ProviderClientError>>,
}

impl KeyConnection {
    /// `name` stands for the issuer in metrics and in the log.
    pub fn new(name: &str, url: &str, tls: rustls::ClientConfig, observer: Observer) -> Result<Arc<Self>, reqwest::Error> {
        let calls = Arc::new(Calls::new(name.into(), tls, observer)?);
        Ok(Arc::new(Self { calls, url: url.to_owned(), keys: Fetched::new(KEYS_COOL_DOWN) }))
    }

    /// Fetches at once and then keeps the keys fresh until the connection is dropped.
    pub fn keep_fresh(self: &Arc<Self>) {
        let connection = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut pace = Pace::new();
            loop {
                let Some(this) = connection.upgrade() else { return };
                let sound = this.newer(this.keys.current().as_ref(), Cause::Due).await.is_ok();
                drop(this);
                pace.wait_after(sound).await;
            }
        });
    }

    async fn newer(&self, known: Option<&Arc<KeySet>>, cause: Cause) -> Result<Arc<KeySet>, ProviderClientError> {
        let (calls, url) = (self.calls.clone(), self.url.clone());
        self.keys.newer(known, cause, move || async move { calls.key_set(&url).await }, cooling).await
    }
}

#[async_trait]
impl KeySource for KeyConnection {
    fn current_keys(&self) -> Option<Arc<KeySet>> {
        self.keys.current()
    }

    async fn keys(&self) -> Result<Arc<KeySet>, ProviderClientError> {
        match self.keys.current() {
            Some(keys) => Ok(keys),
            None => self.newer(None, Cause::Due).await,
        }
    }

    async fn newer_keys(&self, known: &Arc<KeySet>) -> Result<Arc<KeySet>, ProviderClientError> {
        self.newer(Some(known), Cause::Visitor).await
    }
}

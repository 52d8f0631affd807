//! A provider over HTTPS: metadata and keys kept fresh, calls with limits.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::calls::{Calls, Observer, cooling};
use super::fetched::{Cause, Fetched};
use super::freshness::{KEYS_COOL_DOWN, METADATA_COOL_DOWN, METADATA_FRESH, Pace};
use crate::authentication::{KeySource, ProviderClient, ProviderClientError};
use crate::provider::{CallError, Endpoint, Provider, ProviderAnswer, ProviderCall, ProviderMetadata};
use crate::tokens::KeySet;

/// Implements the ports of `authentication`.
pub struct ProviderConnection {
    provider: Arc<Provider>,
    calls: Arc<Calls>,
    metadata: Arc<Fetched<ProviderMetadata, ProviderClientError>>,
    keys: Arc<Fetched<KeySet, ProviderClientError>>,
}

impl ProviderConnection {
    pub fn new(provider: Arc<Provider>, tls: rustls::ClientConfig, observer: Observer) -> Result<Arc<Self>, reqwest::Error> {
        let calls = Arc::new(Calls::new(provider.name.clone(), tls, observer)?);
        let connection = Self { provider, calls, metadata: Fetched::new(METADATA_COOL_DOWN), keys: Fetched::new(KEYS_COOL_DOWN) };
        if !connection.provider.needs_discovery()
            && let Ok(metadata) = ProviderMetadata::configured(&connection.provider)
        {
            connection.metadata.put(metadata);
        }
        Ok(Arc::new(connection))
    }

    /// Fetches at once and then keeps metadata and keys fresh until the connection is dropped. A provider that is down at
    /// start is asked again, more and more rarely (threat I02).
    pub fn keep_fresh(self: &Arc<Self>) {
        let connection = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut pace = Pace::new();
            let mut metadata_due = Instant::now();
            loop {
                let Some(this) = connection.upgrade() else { return };
                let mut sound = true;
                if this.provider.needs_discovery() && metadata_due <= Instant::now() {
                    sound = this.newer_metadata(this.metadata.current().as_ref()).await.is_ok();
                    if sound {
                        metadata_due = Instant::now() + METADATA_FRESH;
                    }
                }
                sound = sound && this.newer_keys_than(this.keys.current().as_ref(), Cause::Due).await.is_ok();
                drop(this);
                pace.wait_after(sound).await;
            }
        });
    }

    async fn newer_metadata(&self, known: Option<&Arc<ProviderMetadata>>) -> Result<Arc<ProviderMetadata>, ProviderClientError> {
        let (calls, provider) = (self.calls.clone(), self.provider.clone());
        let fetch = move || async move {
            let answer = calls.get(Endpoint::Discovery, &provider.discovery_url).await?;
            Ok(ProviderMetadata::discovered(&provider, &answer.body)?)
        };
        self.metadata.newer(known, Cause::Due, fetch, cooling).await
    }

    async fn newer_keys_than(&self, known: Option<&Arc<KeySet>>, cause: Cause) -> Result<Arc<KeySet>, ProviderClientError> {
        let calls = self.calls.clone();
        let metadata = self.metadata().await?;
        self.keys.newer(known, cause, move || async move { calls.key_set(&metadata.jwks_uri).await }, cooling).await
    }
}

#[async_trait]
impl KeySource for ProviderConnection {
    fn current_keys(&self) -> Option<Arc<KeySet>> {
        self.keys.current()
    }

    async fn keys(&self) -> Result<Arc<KeySet>, ProviderClientError> {
        match self.keys.current() {
            Some(keys) => Ok(keys),
            None => self.newer_keys_than(None, Cause::Due).await,
        }
    }

    async fn newer_keys(&self, known: &Arc<KeySet>) -> Result<Arc<KeySet>, ProviderClientError> {
        self.newer_keys_than(Some(known), Cause::Visitor).await
    }
}

#[async_trait]
impl ProviderClient for ProviderConnection {
    async fn metadata(&self) -> Result<Arc<ProviderMetadata>, ProviderClientError> {
        match self.metadata.current() {
            Some(metadata) => Ok(metadata),
            None => self.newer_metadata(None).await,
        }
    }

    fn current_metadata(&self) -> Option<Arc<ProviderMetadata>> {
        self.metadata.current()
    }

    async fn call(&self, call: ProviderCall) -> Result<ProviderAnswer, CallError> {
        self.calls.call(call).await
    }

    fn call_later(&self, call: ProviderCall) {
        self.calls.call_later(call);
    }
}

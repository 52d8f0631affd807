//! What the login flow needs of the world: a provider that answers.

use std::sync::Arc;

use async_trait::async_trait;

use crate::provider::{CallError, MetadataError, ProviderAnswer, ProviderCall, ProviderMetadata};
use crate::tokens::{KeySet, KeySetError};

/// Why metadata or keys are not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderClientError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the provider answered {0}")]
    Status(u16),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Keys(#[from] KeySetError),
}

/// The keys of one issuer.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// What is in memory.
    fn current_keys(&self) -> Option<Arc<KeySet>>;

    /// The key set: the last good one, however long the provider has been away.
    async fn keys(&self) -> Result<Arc<KeySet>, ProviderClientError>;

    /// A newer key set than `known`, because a token names a key that `known` lacks. Fetched once for any number of
    /// callers, and not again within the cool-down, also when fetching fails (threats I10, I11).
    async fn newer_keys(&self, known: &Arc<KeySet>) -> Result<Arc<KeySet>, ProviderClientError>;
}

/// One provider, reached over the network in `clients`.
#[async_trait]
pub trait ProviderClient: KeySource {
    /// Metadata, from memory when it is fresh. A provider that is down is not asked again at once.
    async fn metadata(&self) -> Result<Arc<ProviderMetadata>, ProviderClientError>;

    /// What is in memory.
    fn current_metadata(&self) -> Option<Arc<ProviderMetadata>>;

    /// One exchange, within time and size limits, following no redirect.
    async fn call(&self, call: ProviderCall) -> Result<ProviderAnswer, CallError>;

    /// The same in the background: nobody waits for the answer. Of too many at once the last are left out.
    fn call_later(&self, call: ProviderCall);
}

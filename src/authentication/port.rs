//! What the login flow needs of the world: a provider that answers, and a place for sessions that the cookies do not hold.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::UnixTime;
use crate::identity::{Mark, Marks, SessionId};
use crate::provider::{CallError, MetadataError, ProviderAnswer, ProviderCall, ProviderMetadata};
use crate::session::Ending;
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

/// One state of a session, as a store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// Which of the session's states it is. For the store only: what is sealed says it too, and that is what counts.
    pub generation: u32,
    /// Nothing in a store can be read, or put under another id.
    pub sealed: Vec<u8>,
}

/// The store has not answered, or not in a way that can be used. Nothing is known of the session then: neither that it is good nor that it
/// is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the session store: {0}")]
pub struct SessionStoreError(pub String);

/// Whose turn it is to refresh a session.
pub enum Turn {
    /// Nobody else begins while what is in it is there.
    Ours(Option<Arc<dyn TurnHeld>>),
    /// Another instance has refreshed it: the state of now.
    Done(Vec<u8>),
    /// The session is over.
    Over,
    /// Another instance has just tried in vain, or has been at it for longer than anybody waits.
    NotNow,
}

/// Given back when it is dropped.
pub trait TurnHeld: Send + Sync {
    /// It was in vain; nobody begins again at once.
    fn failed(&self);
}

/// Where sessions are kept of which the browser holds a reference. What is written for a single process has nobody to share with.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// The sealed state of a session; `None` where there is none (any more).
    async fn load(&self, id: SessionId) -> Result<Option<Vec<u8>>, SessionStoreError>;

    /// A new session, gone by itself after `lifetime` (threat O06), and found by any of its marks.
    async fn insert(&self, id: SessionId, session: StoredSession, marks: &Marks, lifetime: Duration) -> Result<(), SessionStoreError>;

    /// A new state in place of that of `generation`. False, and nothing has changed, where the session has another state or is gone: what
    /// has ended does not come back.
    async fn replace(&self, id: SessionId, generation: u32, session: StoredSession, lifetime: Duration) -> Result<bool, SessionStoreError>;

    /// Ends a session; one that is not there, too. Every instance knows why.
    async fn remove(&self, id: SessionId, ending: Ending) -> Result<(), SessionStoreError>;

    /// Some of the sessions of all instances, as they are; `None` where no other instance has any, or nobody can tell.
    async fn some(&self, _limit: usize) -> Result<Option<Vec<(SessionId, Vec<u8>)>>, SessionStoreError> {
        Ok(None)
    }

    /// Ends the sessions with this mark that were signed in no later than `until`, also those that other instances keep in mind.
    async fn remove_marked(&self, _mark: Mark, _until: UnixTime) -> Result<(), SessionStoreError> {
        Ok(())
    }

    /// Asks for the turn to refresh a session that is in the state of `generation`; waits while another instance has it.
    async fn turn(&self, _id: SessionId, _generation: u32) -> Result<Turn, SessionStoreError> {
        Ok(Turn::Ours(None))
    }

    /// Whether no other instance has ever used this name, which is then used; forgotten after `lifetime`.
    async fn claim(&self, _name: [u8; 16], _lifetime: Duration) -> Result<bool, SessionStoreError> {
        Ok(true)
    }

    /// A name that was not used after all.
    async fn release(&self, _name: [u8; 16]) -> Result<(), SessionStoreError> {
        Ok(())
    }
}

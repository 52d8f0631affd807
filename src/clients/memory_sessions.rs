//! `store: memory`: sessions in this process. They outlive a reload and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::Expiry;
use moka::notification::RemovalCause;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::authentication::{SessionStore, SessionStoreError, StoredSession};
use crate::identity::{Marks, SessionId};
use crate::session::Ending;

/// Bounded in bytes; where there is no more room, those go that nobody has used for longest.
pub struct MemorySessions(Cache<SessionId, Entry>);

#[derive(Clone)]
struct Entry {
    session: Arc<StoredSession>,
    lifetime: Duration,
}

impl MemorySessions {
    #[must_use]
    pub fn new() -> Self {
        Self::holding(MAX_BYTES)
    }

    fn holding(bytes: u64) -> Self {
        let crowded_out = AtomicU64::new(0);
        let listener = move |_: Arc<SessionId>, _: Entry, cause: RemovalCause| {
            if cause == RemovalCause::Size {
                let count = crowded_out.fetch_add(1, Ordering::Relaxed) + 1;
                // A line for each would be a flood just when there are most of them.
                if count.is_power_of_two() {
                    tracing::warn!(count, "the memory for sessions is full: those that were not used for longest are over");
                }
            }
        };
        let cache = Cache::builder()
            // The default policy turns newcomers away in favour of those that are used often: nobody could sign in any more.
            .eviction_policy(EvictionPolicy::lru())
            .max_capacity(bytes)
            .weigher(|_, entry: &Entry| u32::try_from(entry.session.sealed.len()).map_or(u32::MAX, |size| size.saturating_add(OVERHEAD)))
            .expire_after(EndOfSession)
            .eviction_listener(listener)
            .build();
        Self(cache)
    }
}

impl Default for MemorySessions {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl SessionStore for MemorySessions {
    async fn load(&self, id: SessionId) -> Result<Option<Vec<u8>>, SessionStoreError> {
        Ok(self.0.get(&id).map(|entry| entry.session.sealed.clone()))
    }

    async fn insert(&self, id: SessionId, session: StoredSession, _: &Marks, lifetime: Duration) -> Result<(), SessionStoreError> {
        self.0.insert(id, Entry { session: Arc::new(session), lifetime });
        Ok(())
    }

    async fn replace(&self, id: SessionId, generation: u32, session: StoredSession, lifetime: Duration) -> Result<bool, SessionStoreError> {
        let entry = Entry { session: Arc::new(session), lifetime };
        let result = self.0.entry(id).and_compute_with(|found| match found {
            Some(found) if found.value().session.generation == generation => Op::Put(entry),
            Some(_) | None => Op::Nop,
        });
        Ok(matches!(result, CompResult::ReplacedWith(_)))
    }

    async fn remove(&self, id: SessionId, _: Ending) -> Result<(), SessionStoreError> {
        self.0.invalidate(&id);
        Ok(())
    }
}

struct EndOfSession;

impl Expiry<SessionId, Entry> for EndOfSession {
    fn expire_after_create(&self, _: &SessionId, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.lifetime)
    }

    fn expire_after_update(&self, _: &SessionId, entry: &Entry, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.lifetime)
    }
}

/// A hundred thousand people with five kilobytes each.
const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Key, times and places in the lists of the cache.
const OVERHEAD: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn marks() -> Marks {
        Marks::new("c9a84ee7e87bc64b", ("https://op.example", "client"), "alice", None, crate::clock::UnixTime(0))
    }

    fn session(generation: u32) -> StoredSession {
        StoredSession { generation, sealed: vec![u8::try_from(generation).unwrap(); 1000] }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_state_takes_the_place_of_the_one_it_was_made_from_and_of_no_other() {
        run(async {
            let (store, id) = (MemorySessions::new(), SessionId([1; 16]));
            assert!(!store.replace(id, 0, session(1), LONG).await.unwrap(), "of a session that is not there");
            assert_eq!(store.load(id).await.unwrap(), None);
            store.insert(id, session(0), &marks(), LONG).await.unwrap();
            assert!(store.replace(id, 0, session(1), LONG).await.unwrap());
            assert!(!store.replace(id, 0, session(2), LONG).await.unwrap(), "of a state that is past");
            assert_eq!(store.load(id).await.unwrap(), Some(session(1).sealed));
            store.remove(id, Ending::SignedOut).await.unwrap();
            assert!(!store.replace(id, 1, session(2), LONG).await.unwrap(), "of a session that has ended");
            assert_eq!(store.load(id).await.unwrap(), None);
        });
    }

    #[test]
    fn a_session_is_gone_when_its_lifetime_is() {
        run(async {
            let (store, id) = (MemorySessions::new(), SessionId([1; 16]));
            store.insert(id, session(0), &marks(), Duration::ZERO).await.unwrap();
            assert_eq!(store.load(id).await.unwrap(), None);
        });
    }

    #[test]
    fn a_newcomer_finds_room_where_somebody_has_been_away_for_longest() {
        run(async {
            let store = MemorySessions::holding(10 * (1000 + u64::from(OVERHEAD)));
            let id = |number: u8| SessionId([number; 16]);
            for number in 0..10 {
                store.insert(id(number), session(0), &marks(), LONG).await.unwrap();
                store.0.run_pending_tasks();
            }
            for _ in 0..50 {
                for number in 1..10 {
                    assert!(store.load(id(number)).await.unwrap().is_some());
                }
                store.0.run_pending_tasks();
            }
            store.insert(id(10), session(0), &marks(), LONG).await.unwrap();
            store.0.run_pending_tasks();
            assert!(store.load(id(10)).await.unwrap().is_some(), "whoever has just signed in");
            assert_eq!(store.load(id(0)).await.unwrap(), None, "whoever has not come back");
        });
    }
}

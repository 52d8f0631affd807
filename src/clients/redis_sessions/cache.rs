//! What this instance has read, sealed as it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;

use super::freshness::Freshness;
use crate::identity::SessionId;

pub(super) struct Cache {
    states: moka::sync::Cache<SessionId, Arc<[u8]>>,
    pub(super) freshness: Freshness,
    /// Of sessions that share a number modulo: how often one of them has changed. An answer that was on its way meanwhile is old.
    changes: Vec<AtomicU64>,
}

/// What was known when the store was asked.
pub(super) struct Asked {
    epoch: u64,
    changes: u64,
}

impl Cache {
    pub(super) fn new() -> Self {
        let states = moka::sync::Cache::builder()
            .eviction_policy(EvictionPolicy::lru())
            .max_capacity(MAX_BYTES)
            .weigher(|_, sealed: &Arc<[u8]>| u32::try_from(sealed.len()).map_or(u32::MAX, |size| size.saturating_add(OVERHEAD)))
            .time_to_live(KEPT)
            .build();
        Self { states, freshness: Freshness::new(), changes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(super) fn get(&self, id: SessionId) -> Option<Vec<u8>> {
        if !self.freshness.can_be_believed() {
            return None;
        }
        self.states.get(&id).map(|sealed| sealed.to_vec())
    }

    pub(super) fn asked(&self, id: SessionId) -> Asked {
        Asked { epoch: self.freshness.epoch(), changes: self.changes_of(id).load(Ordering::Acquire) }
    }

    /// Keeps an answer, unless the session has changed since the question or changes could not be heard of.
    pub(super) fn put(&self, id: SessionId, asked: &Asked, sealed: &[u8]) {
        let is_current = || {
            let now = self.asked(id);
            (now.epoch, now.changes) == (asked.epoch, asked.changes) && self.freshness.can_be_believed()
        };
        if !is_current() {
            return;
        }
        self.states.insert(id, sealed.into());
        // Once more: `forget` may have come between the two.
        if !is_current() {
            self.states.invalidate(&id);
        }
    }

    pub(super) fn forget(&self, id: SessionId) {
        self.changes_of(id).fetch_add(1, Ordering::AcqRel);
        self.states.invalidate(&id);
    }

    /// The connection is another one, or there is none.
    pub(super) fn begins_anew(&self) {
        self.freshness.begins_anew();
        self.states.invalidate_all();
    }

    fn changes_of(&self, id: SessionId) -> &AtomicU64 {
        &self.changes[usize::from(u16::from_be_bytes([id.0[0], id.0[1]])) % STRIPES]
    }
}

/// Ten thousand people with six kilobytes each.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Key, times and places in the lists of the cache.
const OVERHEAD: u32 = 256;
/// Whatever is heard: what an operator does to the keys by hand is said by nobody.
const KEPT: Duration = Duration::from_secs(60);
const STRIPES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SessionId = SessionId([1; 16]);

    fn believed() -> Cache {
        let cache = Cache::new();
        cache.begins_anew();
        cache.freshness.is_heard(cache.freshness.now());
        cache
    }

    #[test]
    fn nothing_is_kept_that_could_not_be_unlearned() {
        let cache = Cache::new();
        let asked = cache.asked(ID);
        cache.put(ID, &asked, b"state");
        assert_eq!(cache.get(ID), None, "nothing has been heard yet");
        let cache = believed();
        let asked = cache.asked(ID);
        cache.put(ID, &asked, b"state");
        assert_eq!(cache.get(ID).as_deref(), Some(&b"state"[..]));
        cache.begins_anew();
        cache.freshness.is_heard(cache.freshness.now());
        assert_eq!(cache.get(ID), None, "the connection is another one");
    }

    #[test]
    fn an_answer_that_was_on_its_way_during_a_change_is_not_kept() {
        let cache = believed();
        let asked = cache.asked(ID);
        cache.forget(ID);
        cache.put(ID, &asked, b"old");
        assert_eq!(cache.get(ID), None, "the session has changed");
        let asked = cache.asked(ID);
        cache.begins_anew();
        cache.freshness.is_heard(cache.freshness.now());
        cache.put(ID, &asked, b"old");
        assert_eq!(cache.get(ID), None, "a message may have been lost");
    }

    #[test]
    fn what_is_in_mind_is_believed_for_less_than_a_second_without_a_beat() {
        let freshness = Freshness::new();
        freshness.is_heard(freshness.now());
        assert!(freshness.can_be_believed());
        let begin = std::time::Instant::now();
        while freshness.can_be_believed() {
            std::thread::sleep(Duration::from_millis(5));
            assert!(begin.elapsed() < Duration::from_secs(1));
        }
    }
}

//! What must not be accepted again although its seal is sound: sessions that ended early, logins that are done.
//!
//! With `store: cookie` this is the memory of one instance; it holds only endings, never sessions, so an unfinished
//! login or a signed-in person costs nothing here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::identity::{Mark, Marks, SessionId};

/// Sessions ended by a logout or replaced by a new login, until they would have ended by themselves. A clone knows the same.
#[derive(Debug, Clone)]
pub struct EndedSessions {
    by_id: Cache<SessionId, Ending, RandomState>,
    /// Until when those have signed in that are ended.
    by_mark: Cache<Mark, UnixTime, RandomState>,
    /// Where nobody has ever ended a session in this way, requests do not pay for looking.
    has_marks: Arc<AtomicBool>,
}

/// Why a session ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    SignedOut,
    /// The browser has a new one in its place.
    Replaced,
}

impl EndedSessions {
    #[must_use]
    pub fn new() -> Self {
        Self { by_id: memory(), by_mark: memory(), has_marks: Arc::default() }
    }

    /// True for the first caller only.
    pub fn end(&self, session: SessionId, ending: Ending) -> bool {
        self.by_id.entry(session).or_insert_with(|| ending).is_fresh()
    }

    /// `None`: it goes on.
    #[must_use]
    pub fn ending(&self, session: SessionId) -> Option<Ending> {
        self.by_id.get(&session)
    }

    #[must_use]
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.by_id.contains_key(&session)
    }

    /// Ends every session with this mark that was signed in no later than `until`, whether or not it has been seen here.
    pub fn end_marked(&self, mark: Mark, until: UnixTime) {
        self.by_mark.entry(mark).and_upsert_with(|before| before.map_or(until, |before| before.into_value().max(until)));
        self.has_marks.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn has_ended_by(&self, marks: &Marks) -> bool {
        let is_ended = |mark| self.by_mark.get(&mark).is_some_and(|until| marks.signed_in_at <= until);
        self.has_marks.load(Ordering::Acquire) && marks.all().into_iter().any(is_ended)
    }
}

/// What one process tells the one that takes its place.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Remembered {
    signed_out: Vec<[u8; 16]>,
    replaced: Vec<[u8; 16]>,
    by_mark: Vec<([u8; 16], u64)>,
    pub logins: Vec<[u8; 16]>,
    pub logout_tokens: Vec<[u8; 16]>,
    pub forms: Vec<[u8; 16]>,
}

impl EndedSessions {
    #[must_use]
    pub fn remembered(&self) -> Remembered {
        let with = |wanted| move |(id, ending): (Arc<SessionId>, Ending)| (ending == wanted).then_some(id.0);
        Remembered {
            signed_out: self.by_id.iter().filter_map(with(Ending::SignedOut)).collect(),
            replaced: self.by_id.iter().filter_map(with(Ending::Replaced)).collect(),
            by_mark: self.by_mark.iter().map(|(mark, until)| (mark.bytes(), until.0)).collect(),
            ..Remembered::default()
        }
    }

    /// What another process has known.
    pub fn recall(&self, remembered: &Remembered) {
        for (ids, ending) in [(&remembered.signed_out, Ending::SignedOut), (&remembered.replaced, Ending::Replaced)] {
            for id in ids {
                self.end(SessionId(*id), ending);
            }
        }
        for (mark, until) in &remembered.by_mark {
            self.end_marked(Mark::from_bytes(*mark), UnixTime(*until));
        }
    }
}

/// The oldest falls out first. By moka's default a memory that is full would rather not learn anything new, and a session just ended
/// would live on.
fn memory<K, V>() -> Cache<K, V, RandomState>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(MAX_ENDED)
        .time_to_live(LONGEST_SESSION)
        .eviction_policy(EvictionPolicy::lru())
        .build_with_hasher(RandomState::default())
}

impl Default for EndedSessions {
    fn default() -> Self {
        Self::new()
    }
}

/// Identifiers that work once (RFC 9700 §4.5: replay of an authorization response).
#[derive(Debug, Clone)]
pub struct UsedOnce(Cache<[u8; 16], ()>);

impl UsedOnce {
    /// Remembers each for `lifetime`.
    #[must_use]
    pub fn new(lifetime: Duration) -> Self {
        Self(Cache::builder().max_capacity(MAX_USED).time_to_live(lifetime).eviction_policy(EvictionPolicy::lru()).build())
    }

    /// True for the first caller only, also when two come at the same moment.
    #[must_use]
    pub fn claim(&self, id: [u8; 16]) -> bool {
        // `or_insert` looks and then inserts, and two can be first; `or_insert_with` lets one go ahead of the others.
        self.0.entry(id).or_insert_with(|| ()).is_fresh()
    }

    /// It was not used after all.
    pub fn release(&self, id: &[u8; 16]) {
        self.0.invalidate(id);
    }

    /// Those that are used.
    #[must_use]
    pub fn all(&self) -> Vec<[u8; 16]> {
        self.0.iter().map(|(id, ())| *id).collect()
    }

    #[must_use]
    pub fn is_used(&self, id: &[u8; 16]) -> bool {
        self.0.contains_key(id)
    }
}

/// Each of the two a seventh of a gigabyte when full.
const MAX_ENDED: u64 = 1_000_000;
const MAX_USED: u64 = 1_000_000;
const LONGEST_SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn marks(subject: &str, sid: Option<&str>, signed_in_at: u64) -> Marks {
        Marks::new("0123456789abcdef", ("https://op", "client"), subject, sid, UnixTime(signed_in_at))
    }

    #[test]
    fn a_mark_ends_those_that_have_it_and_signed_in_before() {
        let ended = EndedSessions::new();
        let alice = Mark::subject("https://op", "client", "alice");
        assert!(!ended.has_ended_by(&marks("alice", None, 5)));
        ended.end_marked(alice, UnixTime(10));
        ended.end_marked(alice, UnixTime(7));
        assert!(ended.has_ended_by(&marks("alice", None, 10)) && ended.has_ended_by(&marks("alice", Some("s"), 1)));
        assert!(!ended.has_ended_by(&marks("alice", None, 11)), "signed in again");
        assert!(!ended.has_ended_by(&marks("bob", None, 5)));
        ended.end_marked(Mark::provider_session("https://op", "client", "s"), UnixTime(20));
        assert!(ended.has_ended_by(&marks("bob", Some("s"), 20)) && !ended.has_ended_by(&marks("bob", Some("t"), 20)));
    }

    #[test]
    fn a_full_memory_forgets_the_oldest_and_learns_the_newest() {
        let cache: Cache<u64, ()> = Cache::builder().max_capacity(100).eviction_policy(EvictionPolicy::lru()).build();
        for id in 0..1000 {
            cache.insert(id, ());
            cache.run_pending_tasks();
            assert!(cache.contains_key(&id), "{id}");
        }
        assert!(!cache.contains_key(&0));
    }

    #[test]
    fn one_of_many_at_the_same_moment_is_the_first() {
        const THREADS: usize = 4;
        const IDS: u32 = 20_000;
        let once = UsedOnce::new(Duration::from_secs(60));
        let together = Barrier::new(THREADS);
        let claimed: usize = std::thread::scope(|scope| {
            let claims = || {
                (0..IDS)
                    .filter(|id| {
                        if id % 100 == 0 {
                            together.wait();
                        }
                        let mut bytes = [0; 16];
                        bytes[..4].copy_from_slice(&id.to_le_bytes());
                        once.claim(bytes)
                    })
                    .count()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(claims)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(claimed, IDS as usize);
    }
}

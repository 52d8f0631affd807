//! What must not be accepted again although its seal is sound: sessions that ended early, logins that are done.
//!
//! With `store: cookie` this is the memory of one instance; it holds only endings, never sessions, so an unfinished
//! login or a signed-in person costs nothing here.

use std::time::Duration;

use moka::sync::Cache;

use crate::identity::SessionId;

/// Sessions ended by a logout or replaced by a new login, until they would have ended by themselves.
#[derive(Debug, Clone)]
pub struct EndedSessions(Cache<SessionId, Ending>);

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
        Self(Cache::builder().max_capacity(MAX_ENDED).time_to_live(LONGEST_SESSION).build())
    }

    pub fn end(&self, session: SessionId, ending: Ending) {
        self.0.insert(session, ending);
    }

    /// `None`: it goes on.
    #[must_use]
    pub fn ending(&self, session: SessionId) -> Option<Ending> {
        self.0.get(&session)
    }

    #[must_use]
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.0.contains_key(&session)
    }
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
        Self(Cache::builder().max_capacity(MAX_USED).time_to_live(lifetime).build())
    }

    /// True for the first caller only, also when two come at the same moment.
    #[must_use]
    pub fn claim(&self, id: [u8; 16]) -> bool {
        // `or_insert` looks and then inserts, and two can be first; `or_insert_with` lets one go ahead of the others.
        self.0.entry(id).or_insert_with(|| ()).is_fresh()
    }

    #[must_use]
    pub fn is_used(&self, id: &[u8; 16]) -> bool {
        self.0.contains_key(id)
    }
}

/// A seventh of a gigabyte when full; the oldest endings fall out first.
const MAX_ENDED: u64 = 1_000_000;
const MAX_USED: u64 = 1_000_000;
const LONGEST_SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

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

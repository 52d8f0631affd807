//! Which sessions this instance has seen, for an operator who has to end one. No token and no claim but the subject.
//!
//! The people themselves are forgotten sooner (`known_sessions`). Nothing here proves anything: a session that is not in the list may be
//! good all the same, and can be ended all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{Gateway, ListenerRules};
use crate::authentication::{Presented, SessionStoreError, SessionTerm, identify};
use crate::clock::UnixTime;
use crate::identity::{Identity, KnownSession, Mark, SessionId};
use crate::session::Ending;

/// One of them.
#[derive(Debug)]
pub struct SeenSession {
    session: KnownSession,
    pub subject: Arc<str>,
    /// Its name in the configuration.
    pub provider: Arc<str>,
    pub expires_at: UnixTime,
    last_seen_at: AtomicU64,
}

impl SeenSession {
    fn new(session: KnownSession, identity: &Identity, last_seen_at: UnixTime) -> Self {
        Self {
            session,
            subject: identity.subject.clone(),
            provider: identity.provider.clone(),
            expires_at: identity.expires_at,
            last_seen_at: AtomicU64::new(last_seen_at.0),
        }
    }

    /// What logs call it.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.session.hash
    }

    #[must_use]
    pub fn signed_in_at(&self) -> UnixTime {
        self.session.marks.signed_in_at
    }

    #[must_use]
    pub fn last_seen_at(&self) -> UnixTime {
        UnixTime(self.last_seen_at.load(Ordering::Relaxed))
    }

    pub(super) fn is_seen(&self, now: UnixTime) {
        self.last_seen_at.store(now.0, Ordering::Relaxed);
    }

    fn term(&self) -> SessionTerm {
        SessionTerm { id: Some(self.session.id), expires_at: self.expires_at, sufficient_until: None, marks: Some(self.session.marks) }
    }
}

/// Bounded by number; those that have come first go first. A clone knows the same.
#[derive(Clone)]
pub struct SeenSessions(Cache<SessionId, Arc<SeenSession>>);

impl SeenSessions {
    #[must_use]
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_SEEN).time_to_live(LONGEST_SESSION).eviction_policy(EvictionPolicy::lru()).build())
    }

    /// `None`: a bearer token's.
    pub(super) fn of(&self, identity: &Identity) -> Option<Arc<SeenSession>> {
        let session = identity.session.as_ref()?;
        Some(self.0.get_with(session.id, || Arc::new(SeenSession::new(session.clone(), identity, session.marks.signed_in_at))))
    }

    fn all(&self) -> impl Iterator<Item = Arc<SeenSession>> {
        self.0.iter().map(|(_, seen)| seen)
    }
}

impl Default for SeenSessions {
    fn default() -> Self {
        Self::new()
    }
}

impl Gateway {
    /// Those that are good, the last seen first: of all instances, where a store can tell, otherwise of this one.
    pub async fn sessions(&self, now: UnixTime) -> Result<Vec<Arc<SeenSession>>, SessionStoreError> {
        let stored = match &self.authentication.store {
            Some(store) => store.some(MOST_LISTED).await?,
            None => None,
        };
        let mut sessions: Vec<_> = match stored {
            Some(stored) => stored.into_iter().filter_map(|(id, sealed)| self.stored(id, &sealed, now)).collect(),
            None => self.seen_sessions(now),
        };
        sessions.sort_by_cached_key(|seen| (std::cmp::Reverse(seen.last_seen_at()), seen.session.hash.clone()));
        Ok(sessions)
    }

    fn seen_sessions(&self, now: UnixTime) -> Vec<Arc<SeenSession>> {
        let is_good = |seen: &Arc<SeenSession>| self.authentication.over(seen.term(), now).is_none();
        self.known.seen.all().filter(is_good).collect()
    }

    /// This instance may have seen it later than the store says.
    fn stored(&self, id: SessionId, sealed: &[u8], now: UnixTime) -> Option<Arc<SeenSession>> {
        let is_good = |seen: &SeenSession| self.authentication.over(seen.term(), now).is_none();
        if let Some(seen) = self.known.seen.0.get(&id) {
            return is_good(&seen).then_some(seen);
        }
        let mut ways = self.listeners.iter().flat_map(ListenerRules::authenticating);
        let (way, session) = ways.find_map(|way| match self.authentication.stored_session(way, id, sealed.to_vec(), now) {
            Presented::Session(session) => Some((way, session)),
            _ => None,
        })?;
        let identity = identify(way, &session).ok()?;
        let seen = SeenSession::new(identity.session.clone()?, &identity, session.seen_at);
        is_good(&seen).then(|| Arc::new(seen))
    }

    /// Ends the session that logs call so, also one that has not been seen here. The number of those that had been.
    pub async fn end_session(&self, hash: &str, now: UnixTime) -> Result<usize, SessionStoreError> {
        // Nobody else has this hash, whatever the clock of the instance that has made the session.
        self.end_marked(&[Mark::session(hash)], UnixTime(u64::MAX), now).await
    }

    /// Ends all sessions of a person, also those that have not been seen here. The number of those that had been; `None` where no rule
    /// has such a provider.
    pub async fn end_sessions_of(&self, provider: &str, subject: &str, now: UnixTime) -> Result<Option<usize>, SessionStoreError> {
        let mut ways = self.listeners.iter().flat_map(ListenerRules::authenticating);
        let Some(way) = ways.find(|way| *way.provider.name == *provider) else { return Ok(None) };
        let provider = &way.provider;
        let mark = |issuer: String| Mark::subject(&issuer, &provider.client_id, subject);
        let marks: Vec<Mark> = provider.issuers.of_tokens().map(mark).collect();
        Ok(Some(self.end_marked(&marks, now, now).await?))
    }

    async fn end_marked(&self, marks: &[Mark], until: UnixTime, now: UnixTime) -> Result<usize, SessionStoreError> {
        let meant = |seen: &Arc<SeenSession>| marks.iter().any(|mark| seen.session.marks.has(*mark));
        let good = self.seen_sessions(now);
        self.authentication.end_marked(marks, until).await?;
        let ended = good.iter().filter(|seen| meant(seen));
        Ok(ended
            .inspect(|seen| {
                self.authentication.ended.end(seen.session.id, Ending::SignedOut);
                self.known.forget(seen.session.id);
            })
            .count())
    }
}

const MOST_LISTED: usize = 10_000;
const MAX_SEEN: u64 = 100_000;
const LONGEST_SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

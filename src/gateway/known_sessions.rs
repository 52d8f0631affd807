//! People whose session has just been seen: unpacked once, their headers signed once.
//!
//! A look-up here is no proof. It is done with the id of a session whose seal has been checked for this very request.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use moka::sync::Cache;

use super::Gateway;
use super::seen_sessions::{SeenSession, SeenSessions};
use crate::authentication::{Authenticate, SessionTerm, identify};
use crate::authorization::Permit;
use crate::clock::UnixTime;
use crate::identity::{Identity, SessionId};
use crate::identity_headers::{HeaderError, IdentityHeaders};
use crate::session::{OpenedSession, RecordError};

/// A person with the headers of the moment.
pub struct Known {
    pub identity: Identity,
    /// Of the session: which of its refreshes this is the person of.
    pub(super) generation: u32,
    /// With the generation of the gateway that has signed them: another may have other claims, and another key.
    headers: ArcSwapOption<(u64, Arc<IdentityHeaders>)>,
    seen: OnceLock<Arc<SeenSession>>,
}

/// Bounded by what they weigh and by time since the last request. A clone knows the same.
#[derive(Clone)]
pub struct KnownSessions {
    bytes: u64,
    /// The ids are random and come out of a seal: nobody can choose them so that they meet.
    people: Cache<SessionId, Arc<Known>, foldhash::fast::RandomState>,
    pub(super) seen: SeenSessions,
}

impl KnownSessions {
    /// `bytes`: about as much as they may have.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let people = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, known: &Arc<Known>| known.weight())
            .time_to_idle(FORGOTTEN_AFTER)
            .build_with_hasher(<_>::default());
        Self { bytes, people, seen: SeenSessions::new() }
    }

    /// As it was made with.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The person of an opened session, if still in memory.
    #[must_use]
    pub fn get(&self, session: SessionId) -> Option<Arc<Known>> {
        self.people.get(&session)
    }

    /// The person of an opened session.
    pub fn identity(&self, authenticate: &Authenticate, session: &OpenedSession) -> Result<Arc<Known>, RecordError> {
        match self.get(session.id).filter(|known| known.generation >= session.generation) {
            Some(known) => Ok(known),
            None => self.remember(authenticate, session),
        }
    }

    /// The same where it is known that nobody has asked before.
    pub fn remember(&self, authenticate: &Authenticate, session: &OpenedSession) -> Result<Arc<Known>, RecordError> {
        let known = Arc::new(Known::of_session(identify(authenticate, session)?, session.generation));
        self.insert(session.id, known.clone());
        Ok(known)
    }

    /// In place of whoever was known by that session.
    pub(super) fn put(&self, session: SessionId, known: Arc<Known>) {
        if self.get(session).is_none_or(|before| before.generation < known.generation) {
            self.insert(session, known);
        }
    }

    fn insert(&self, session: SessionId, known: Arc<Known>) {
        if let Some(seen) = self.seen.of(&known.identity) {
            let _ = known.seen.set(seen);
        }
        self.people.insert(session, known);
    }

    pub fn forget(&self, session: SessionId) {
        self.people.invalidate(&session);
    }
}

impl Known {
    pub(super) fn new(identity: Identity) -> Self {
        Self::of_session(identity, 0)
    }

    pub(super) fn of_session(identity: Identity, generation: u32) -> Self {
        Self { identity, generation, headers: ArcSwapOption::empty(), seen: OnceLock::new() }
    }

    /// About as many bytes as it will have with its headers, in which tokens and claims are once more. By measurement (`script/bench`).
    fn weight(&self) -> u32 {
        let Identity { claims, access_token, id_token, .. } = &self.identity;
        let claims = serde_json::to_string(claims).map_or(0, |text| text.len());
        u32::try_from(BESIDE + 5 * claims + 2 * access_token.expose().len() + id_token.expose().len()).unwrap_or(u32::MAX)
    }

    /// How long they may go on, whatever rule asks.
    pub(super) fn term(&self) -> SessionTerm {
        let Identity { session, expires_at, .. } = &self.identity;
        let (id, marks) = (session.as_ref().map(|session| session.id), session.as_ref().map(|session| session.marks));
        SessionTerm { id, marks, expires_at: *expires_at, sufficient_until: None }
    }

    pub(super) fn is_seen(&self, now: UnixTime) {
        if let Some(seen) = self.seen.get() {
            seen.is_seen(now);
        }
    }

    /// Signed at the first request and again shortly before the signature ends. The permit is this person's: rules that share a
    /// session may let different people pass.
    pub fn headers(&self, permit: Permit<'_>, gateway: &Gateway, now: UnixTime) -> Result<Arc<IdentityHeaders>, HeaderError> {
        let is_own = std::ptr::eq(permit.identity(), &raw const self.identity);
        let fresh = |made: &&Arc<(u64, Arc<IdentityHeaders>)>| made.0 == gateway.generation && made.1.are_fresh(now);
        if is_own && let Some(made) = self.headers.load().as_ref().filter(fresh) {
            return Ok(made.1.clone());
        }
        let headers = Arc::new(IdentityHeaders::of(permit, &gateway.signer, &gateway.claim_headers, gateway.sends_access_token, now)?);
        if is_own {
            self.headers.store(Some(Arc::new((gateway.generation, headers.clone()))));
        }
        Ok(headers)
    }
}

/// Whatever a person is besides.
const BESIDE: usize = 1_500;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);

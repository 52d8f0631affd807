//! The session that a request carries.

use std::sync::Arc;

use http::HeaderMap;
use serde_json::Value;

use super::session_write::stored_context;
use super::{Authenticate, Authentication, SessionStore, SessionStoreError};
use crate::clock::UnixTime;
use crate::identity::{Identity, KnownSession, Marks, SessionId, display_name};
use crate::secret::Secret;
use crate::session::{Ending, OpenedSession, Purpose, RecordError, SessionRecord, SessionReference};

/// What was found in the cookies, and in the store where they refer to it.
pub enum Presented {
    Nothing,
    /// Cookies of ours that do not open: tampered, of another rule, of a key that is gone, or incomplete.
    Unusable,
    /// Genuine, but over.
    Expired(SessionId),
    /// Genuine, but ended by a logout or replaced by a new login.
    Ended(Ending),
    /// Genuine, and the store does not have it: ended at another instance, or lost with the store.
    Unknown(SessionId),
    /// Genuine, and it cannot be known now what has become of it.
    Unavailable(SessionStoreError),
    Session(OpenedSession),
}

/// How long an opened session is good for, for a connection on which no further request will show it.
#[derive(Debug, Clone, Copy)]
pub struct SessionTerm {
    /// `None`: a bearer token, which only ends by itself.
    pub id: Option<SessionId>,
    pub expires_at: UnixTime,
    /// When the sign-in is older than the rule's `max_age`.
    pub sufficient_until: Option<UnixTime>,
    /// `None`: a bearer token, which nobody ends.
    pub marks: Option<Marks>,
}

/// Why a genuine session is no longer good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionOver {
    Expired,
    /// By a logout, or replaced by a new login.
    Ended,
    /// Good for other rules, and too old for this one.
    Insufficient,
}

impl SessionOver {
    /// As the access log says it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Expired => "AuthExpiredCookie",
            Self::Ended => "AuthEndedSession",
            Self::Insufficient => "AuthInsufficientAuthentication",
        }
    }
}

impl Authentication {
    /// `None` while the session is good.
    #[must_use]
    pub fn over(&self, term: SessionTerm, now: UnixTime) -> Option<SessionOver> {
        if term.expires_at <= now {
            return Some(SessionOver::Expired);
        }
        let by_id = || term.id.is_some_and(|id| self.ended.has_ended(id));
        let by_mark = || term.marks.is_some_and(|marks| self.ended.has_ended_by(&marks));
        if by_id() || by_mark() {
            return Some(SessionOver::Ended);
        }
        term.sufficient_until.is_some_and(|until| until <= now).then_some(SessionOver::Insufficient)
    }

    /// The same for a connection on which nobody shows a session any more: another instance may have ended it while this one could not
    /// hear of it. A store that does not answer ends nothing that is open.
    pub async fn over_anywhere(&self, term: SessionTerm, now: UnixTime) -> Option<SessionOver> {
        let over = self.over(term, now);
        let (None, Some(store), Some(id)) = (over, &self.store, term.id) else { return over };
        matches!(store.load(id).await, Ok(None)).then_some(SessionOver::Ended)
    }

    /// Opens what the request carries. The seal is checked on every request: a cache would have to be keyed by all of
    /// the cookie, and hashing that costs more than opening it.
    pub async fn presented(&self, authenticate: &Authenticate, headers: &HeaderMap, now: UnixTime) -> Presented {
        let Some(sealed) = authenticate.cookie.read(headers) else {
            return if authenticate.cookie.is_present(headers) { Presented::Unusable } else { Presented::Nothing };
        };
        if let Some(store) = &self.store {
            return self.presented_reference(&**store, authenticate, sealed, now).await;
        }
        let is_former = self.sealer.is_former(&sealed);
        let Ok(plain) = self.sealer.open(Purpose::Session, &context(authenticate), sealed) else { return Presented::Unusable };
        self.judged(authenticate, plain, is_former, now)
    }

    /// The session that a reference names. What the reference itself tells, the store is not asked.
    async fn presented_reference(
        &self,
        store: &dyn SessionStore,
        authenticate: &Authenticate,
        sealed: Vec<u8>,
        now: UnixTime,
    ) -> Presented {
        let is_former = self.sealer.is_former(&sealed);
        let Ok(plain) = self.sealer.open(Purpose::SessionReference, &context(authenticate), sealed) else { return Presented::Unusable };
        let Ok(SessionReference { id, expires_at }) = SessionReference::read(&plain) else { return Presented::Unusable };
        if expires_at <= now {
            return Presented::Expired(id);
        }
        if let Some(ending) = self.ended.ending(id) {
            return Presented::Ended(ending);
        }
        let sealed = match store.load(id).await {
            Ok(Some(sealed)) => sealed,
            Ok(None) => return Presented::Unknown(id),
            Err(error) => return Presented::Unavailable(error),
        };
        match self.stored_session(authenticate, id, sealed, now) {
            Presented::Session(mut session) => {
                session.sealed_by_former |= is_former;
                Presented::Session(session)
            }
            other => other,
        }
    }

    /// What a store has under an id, if it is of this rule's provider.
    #[must_use]
    pub fn stored_session(&self, authenticate: &Authenticate, id: SessionId, sealed: Vec<u8>, now: UnixTime) -> Presented {
        let is_former = self.sealer.is_former(&sealed);
        match self.sealer.open(Purpose::StoredSession, &stored_context(authenticate, &id), sealed) {
            Ok(plain) => self.judged(authenticate, plain, is_former, now),
            Err(_) => Presented::Unusable,
        }
    }

    fn judged(&self, authenticate: &Authenticate, plain: Vec<u8>, sealed_by_former: bool, now: UnixTime) -> Presented {
        let Ok(mut session) = OpenedSession::read(plain) else { return Presented::Unusable };
        session.sealed_by_former = sealed_by_former;
        let is_idle = authenticate.idle_timeout.is_some_and(|idle| session.seen_at.plus(idle) <= now);
        if session.expires_at <= now || is_idle {
            Presented::Expired(session.id)
        } else if let Some(ending) = self.ended.ending(session.id) {
            Presented::Ended(ending)
        } else {
            Presented::Session(session)
        }
    }

    /// The same for whichever provider of the rule the session is from. A session opens for one provider only.
    pub async fn presented_by_any<'a>(
        &self,
        authenticate: &'a Arc<Authenticate>,
        headers: &HeaderMap,
        now: UnixTime,
    ) -> (&'a Arc<Authenticate>, Presented) {
        let first = self.presented(authenticate, headers, now).await;
        if !matches!(first, Presented::Unusable) {
            return (authenticate, first);
        }
        for way in &authenticate.alternatives {
            let presented = self.presented(way, headers, now).await;
            if !matches!(presented, Presented::Unusable) {
                return (way, presented);
            }
        }
        (authenticate, first)
    }
}

/// A session belongs to a cookie name and a provider with its issuer and client: moved to another rule it does not open
/// (threats S07, C10).
pub(super) fn context(authenticate: &Authenticate) -> [&[u8]; 4] {
    let [name, issuer, client_id] = authenticate.provider.binding();
    [authenticate.cookie.name().as_bytes(), name, issuer, client_id]
}

/// The person of an opened session.
pub fn identify(authenticate: &Authenticate, session: &OpenedSession) -> Result<Identity, RecordError> {
    let record = session.unpack()?;
    let session = known_session(authenticate, &record)?;
    let subject: Arc<str> = Arc::from(text(&record, "sub").ok_or(RecordError::Damaged)?);
    let display_name = display_name(&record.claims).map_or_else(|| subject.clone(), Arc::from);
    let provider = &authenticate.provider;
    let issuer = text(&record, ISSUER).map_or_else(|| provider.issuers.first().clone(), Arc::from);
    let mut claims = record.claims;
    claims.remove(ISSUER);
    claims.remove(SID);
    Ok(Identity {
        provider: provider.name.clone(),
        issuer,
        client_id: provider.client_id.clone(),
        subject,
        display_name,
        claims,
        access_token: Secret::new(record.access_token),
        id_token: Secret::new(record.id_token),
        session: Some(session),
        expires_at: record.expires_at,
    })
}

/// What a session is found by.
pub(super) fn known_session(authenticate: &Authenticate, record: &SessionRecord) -> Result<KnownSession, RecordError> {
    let provider = &authenticate.provider;
    let subject = text(record, "sub").ok_or(RecordError::Damaged)?;
    let issuer = text(record, ISSUER).unwrap_or_else(|| provider.issuers.first());
    Ok(KnownSession::new(record.id, (issuer, &provider.client_id), subject, text(record, SID), record.signed_in_at))
}

fn text<'a>(record: &'a SessionRecord, name: &str) -> Option<&'a str> {
    record.claims.get(name).and_then(Value::as_str)
}

/// Where the issuer that really signed is kept among the claims; the ID token's own `iss` has been taken out.
pub(super) const ISSUER: &str = "iss";
/// The session at the provider, from the ID token alone. It is not the person's, so that neither targets nor policies see it.
pub(super) const SID: &str = "sid";

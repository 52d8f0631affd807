//! Where a session is written: all of it into the browser's cookies, or into a store, of which the browser holds a reference.

use std::time::Duration;

use super::session_check::{context, known_session};
use super::{Authenticate, Authentication, SessionStoreError, StoredSession};
use crate::clock::UnixTime;
use crate::identity::{Mark, SessionId};
use crate::session::{Ending, OpenedSession, Purpose, RecordError, SealError, SessionRecord, SessionReference};

/// Why a session could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SessionWriteError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] SessionStoreError),
    #[error("claims and tokens are too large for a session")]
    TooLarge,
    #[error("the session has ended meanwhile")]
    Ended,
}

impl Authentication {
    /// Writes a new session; its `Set-Cookie` values.
    pub(super) async fn write_first(
        &self,
        authenticate: &Authenticate,
        record: &SessionRecord,
        now: UnixTime,
    ) -> Result<Vec<String>, SessionWriteError> {
        let Some(store) = &self.store else { return self.session_cookies(authenticate, record) };
        let cookies = self.reference_cookies(authenticate, record.id, record.expires_at)?;
        let stored = self.stored(authenticate, record)?;
        let marks = known_session(authenticate, record)?.marks;
        store.insert(record.id, stored, &marks, record.expires_at.since(now)).await?;
        Ok(cookies)
    }

    /// Writes the state that follows `generation`; `Set-Cookie` values where the browser has to know.
    pub(super) async fn write_next(
        &self,
        authenticate: &Authenticate,
        record: &SessionRecord,
        generation: u32,
        now: UnixTime,
    ) -> Result<Vec<String>, SessionWriteError> {
        let Some(store) = &self.store else { return self.session_cookies(authenticate, record) };
        let stored = self.stored(authenticate, record)?;
        // In place of that state only: a session that was signed out while its refresh went on would be back otherwise.
        let replaced = store.replace(record.id, generation, stored, record.expires_at.since(now)).await?;
        if replaced { Ok(Vec::new()) } else { Err(SessionWriteError::Ended) }
    }

    /// Notes that a session has just been seen, under the first key; `Set-Cookie` values where the browser has to know.
    pub async fn seen(
        &self,
        authenticate: &Authenticate,
        session: &OpenedSession,
        now: UnixTime,
    ) -> Result<Vec<String>, SessionWriteError> {
        let packed = session.seen(now);
        let Some(store) = &self.store else { return Ok(self.seal_session(authenticate, &packed)?.unwrap_or_default()) };
        let stored = self.seal_stored(authenticate, session.id, session.generation, &packed)?;
        // Where a refresh was faster, it has noted the same.
        store.replace(session.id, session.generation, stored, session.expires_at.since(now)).await?;
        if session.sealed_by_former { self.reference_cookies(authenticate, session.id, session.expires_at) } else { Ok(Vec::new()) }
    }

    /// Ends a session before its time: here at once, also when the store does not answer. True for the first caller only.
    pub async fn end(&self, session: SessionId, ending: Ending) -> Result<bool, SessionStoreError> {
        let is_first = self.ended.end(session, ending);
        if let Some(store) = &self.store {
            store.remove(session, ending).await?;
        }
        Ok(is_first)
    }

    /// Ends the sessions with these marks that were signed in no later than `until`, here at once, and at every other instance.
    pub async fn end_marked(&self, marks: &[Mark], until: UnixTime) -> Result<(), SessionStoreError> {
        for mark in marks {
            self.ended.end_marked(*mark, until);
        }
        let Some(store) = &self.store else { return Ok(()) };
        for mark in marks {
            store.remove_marked(*mark, until).await?;
        }
        Ok(())
    }

    /// Whether no other instance has used this name, of a login or of a form.
    pub(super) async fn claim_everywhere(&self, name: [u8; 16], lifetime: Duration) -> Result<bool, SessionStoreError> {
        match &self.store {
            Some(store) => store.claim(name, lifetime).await,
            None => Ok(true),
        }
    }

    fn reference_cookies(
        &self,
        authenticate: &Authenticate,
        id: SessionId,
        expires_at: UnixTime,
    ) -> Result<Vec<String>, SessionWriteError> {
        let reference = self.sealer.seal(Purpose::SessionReference, &context(authenticate), &SessionReference { id, expires_at }.pack())?;
        authenticate.cookie.write(&reference).ok_or(SessionWriteError::TooLarge)
    }

    fn session_cookies(&self, authenticate: &Authenticate, record: &SessionRecord) -> Result<Vec<String>, SessionWriteError> {
        self.fitted(record, |packed| self.seal_session(authenticate, packed))
    }

    fn stored(&self, authenticate: &Authenticate, record: &SessionRecord) -> Result<StoredSession, SessionWriteError> {
        self.fitted(record, |packed| {
            let fits = packed.len() <= MAX_STORED;
            fits.then(|| self.seal_stored(authenticate, record.id, record.generation, packed)).transpose()
        })
    }

    /// What can be done without is left out before a session is refused: the ID token, which is a hint at logout, then the access token
    /// where no target gets it.
    fn fitted<T>(&self, record: &SessionRecord, fit: impl Fn(&[u8]) -> Result<Option<T>, SealError>) -> Result<T, SessionWriteError> {
        if let Some(fitting) = fit(&record.pack()?)? {
            return Ok(fitting);
        }
        let mut smaller = SessionRecord { id_token: String::new(), ..record.clone() };
        if let Some(fitting) = fit(&smaller.pack()?)? {
            return Ok(fitting);
        }
        if self.needs_access_token {
            return Err(SessionWriteError::TooLarge);
        }
        smaller.access_token.clear();
        fit(&smaller.pack()?)?.ok_or(SessionWriteError::TooLarge)
    }

    /// `Set-Cookie` values for a session; `None` when it is too large for four cookies.
    fn seal_session(&self, authenticate: &Authenticate, packed: &[u8]) -> Result<Option<Vec<String>>, SealError> {
        Ok(authenticate.cookie.write(&self.sealer.seal(Purpose::Session, &context(authenticate), packed)?))
    }

    fn seal_stored(&self, authenticate: &Authenticate, id: SessionId, generation: u32, packed: &[u8]) -> Result<StoredSession, SealError> {
        let sealed = self.sealer.seal(Purpose::StoredSession, &stored_context(authenticate, &id), packed)?;
        Ok(StoredSession { generation, sealed })
    }
}

/// A stored session belongs to its id too: one that somebody with access to the store copies over another does not open (threat O04).
pub(super) fn stored_context<'a>(authenticate: &'a Authenticate, id: &'a SessionId) -> [&'a [u8]; 5] {
    let [cookie, name, issuer, client_id] = context(authenticate);
    [cookie, name, issuer, client_id, &id.0]
}

/// More than targets take in headers.
const MAX_STORED: usize = 32 * 1024;

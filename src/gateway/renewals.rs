//! Refreshes of sessions: one exchange for each session at a time, whatever the number of requests that need it and however long it
//! takes; what came of it is remembered for those that still bring the cookie of before (threats E01–E12).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use moka::sync::Cache;
use tokio::sync::watch;

use super::known_sessions::Known;
use crate::authentication::{Authenticate, Authentication, RefreshError, Refreshed, Unwritten, identify};
use crate::clock::UnixTime;
use crate::identity::SessionId;
use crate::session::OpenedSession;

/// Runs a task to its end, whoever goes away meanwhile.
pub type Background = Box<dyn Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync>;

/// Shared by all requests, and kept over a reload.
#[derive(Clone)]
pub struct Renewals(Arc<Inner>);

struct Inner {
    background: Background,
    running: Mutex<HashMap<SessionId, Running>>,
    /// What came of the refresh of a session in this generation.
    done: Cache<(SessionId, u32), Outcome>,
    /// The last generation of a session that is known here.
    newest: Cache<SessionId, u32>,
    counts: [AtomicU64; 3],
}

type Running = (u32, watch::Receiver<Option<Outcome>>);

/// What came of a refresh.
#[derive(Clone)]
pub(super) enum Outcome {
    Renewed(Arc<Renewed>),
    /// The provider has ended the session, or answered for somebody else.
    Over,
    /// It was not to be had; not asked again before then.
    Failed {
        attempts: u32,
        until: UnixTime,
        /// New tokens that are here already.
        unwritten: Option<Unwritten>,
    },
}

/// A session with new tokens.
pub(super) struct Renewed {
    pub(super) known: Arc<Known>,
    pub(super) set_cookies: Vec<HeaderValue>,
}

/// Labels of `auth_refresh_total`, with how often each came.
pub type RefreshCounts = [(&'static str, u64); 3];

impl Renewals {
    #[must_use]
    pub fn new(background: Background) -> Self {
        Self(Arc::new(Inner {
            background,
            running: Mutex::default(),
            done: Cache::builder().max_capacity(MOST_REMEMBERED).time_to_live(REMEMBERED).build(),
            newest: Cache::builder().max_capacity(MOST_NEWEST).time_to_live(LONGEST_SESSION).build(),
            counts: Default::default(),
        }))
    }

    #[must_use]
    pub fn counts(&self) -> RefreshCounts {
        let count = |index: usize| self.0.counts[index].load(Ordering::Relaxed);
        [("success", count(0)), ("ended", count(1)), ("failure", count(2))]
    }

    /// What came of the refresh of a session in this generation; nothing is begun.
    pub(super) fn of(&self, session: SessionId, generation: u32) -> Option<Outcome> {
        self.0.done.get(&(session, generation))
    }

    /// Whether a newer cookie of the session was given out so long ago that this one can only have been copied, or is of a browser that
    /// lost the answer.
    pub(super) fn is_superseded(&self, session: SessionId, generation: u32) -> bool {
        // In this order: `finish` notes what came of a refresh before it notes that there is a newer cookie. A request that looks in between
        // would be taken for a copy the other way round.
        let is_old = self.0.newest.get(&session).is_some_and(|newest| newest > generation);
        is_old && self.of(session, generation).is_none()
    }

    /// Begins the refresh, unless it is going on, is done, or is not to be tried again yet. It goes on when the visitor goes away: a refresh
    /// token that has been sent is spent.
    pub(super) fn begin(
        &self,
        authentication: &Arc<Authentication>,
        authenticate: &Arc<Authenticate>,
        session: &OpenedSession,
        now: UnixTime,
    ) -> Begun {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (attempts, unwritten) = match self.of(session.id, session.generation) {
            Some(Outcome::Failed { attempts, until, unwritten }) if until <= now => (attempts, unwritten),
            Some(outcome) => return Begun::Done(outcome),
            None => (0, None),
        };
        if let Some((generation, receiver)) = running.get(&session.id)
            && *generation == session.generation
        {
            return Begun::Running(receiver.clone());
        }
        let (sender, receiver) = watch::channel(None);
        running.insert(session.id, (session.generation, receiver.clone()));
        let (renewals, authentication, authenticate, session) =
            (self.clone(), authentication.clone(), authenticate.clone(), session.clone());
        (self.0.background)(Box::pin(async move {
            let result = match unwritten {
                Some(unwritten) => authentication.write_refreshed(&authenticate, unwritten, session.generation, now).await,
                None => authentication.refresh(&authenticate, &session, now).await,
            };
            let outcome = outcome(&authenticate, &session, result, attempts, now);
            renewals.finish(session.id, session.generation, &outcome);
            let _ = sender.send(Some(outcome));
        }));
        Begun::Running(receiver)
    }

    fn finish(&self, session: SessionId, generation: u32, outcome: &Outcome) {
        let index = match outcome {
            Outcome::Renewed(_) => 0,
            Outcome::Over => 1,
            Outcome::Failed { .. } => 2,
        };
        self.0.counts[index].fetch_add(1, Ordering::Relaxed);
        self.0.done.insert((session, generation), outcome.clone());
        if let Outcome::Renewed(renewed) = outcome {
            self.0.newest.insert(session, renewed.known.generation);
        }
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
    }
}

/// What `begin` found.
pub(super) enum Begun {
    Done(Outcome),
    Running(watch::Receiver<Option<Outcome>>),
}

impl Begun {
    /// What there is already.
    pub(super) fn known(self) -> Option<Outcome> {
        match self {
            Self::Done(outcome) => Some(outcome),
            Self::Running(_) => None,
        }
    }

    /// Waits for the end. `None` where the task has died, which is a failure like any other.
    pub(super) async fn finished(self) -> Option<Outcome> {
        match self {
            Self::Done(outcome) => Some(outcome),
            Self::Running(mut receiver) => receiver.wait_for(Option::is_some).await.ok()?.clone(),
        }
    }
}

fn outcome(
    authenticate: &Authenticate,
    session: &OpenedSession,
    result: Result<Refreshed, RefreshError>,
    attempts: u32,
    now: UnixTime,
) -> Outcome {
    let provider = &*authenticate.provider.name;
    match result.and_then(|refreshed| {
        let identity = identify(authenticate, &refreshed.session)?;
        let set_cookies = refreshed.set_cookies.into_iter().filter_map(|cookie| HeaderValue::try_from(cookie).ok()).collect();
        Ok(Renewed { known: Arc::new(Known::of_session(identity, refreshed.session.generation)), set_cookies })
    }) {
        Ok(renewed) => Outcome::Renewed(Arc::new(renewed)),
        Err(error) if error.is_final() => {
            tracing::info!(provider, session = session.id.hash(), %error, "a session is over: it cannot be refreshed");
            Outcome::Over
        }
        Err(error) => {
            tracing::warn!(provider, session = session.id.hash(), %error, "a session could not be refreshed");
            let pause = Duration::from_secs(1 << attempts.min(5));
            let unwritten = if let RefreshError::Unwritten(unwritten, _) = error { Some(unwritten) } else { None };
            Outcome::Failed { attempts: attempts + 1, until: now.plus(pause), unwritten }
        }
    }
}

const MOST_REMEMBERED: u64 = 20_000;
const MOST_NEWEST: u64 = 1_000_000;
/// For how long a request may come with the cookie of before: longer than any page takes to load, and than any answer to travel.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
const LONGEST_SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use serde_json::Map;

    use super::*;
    use crate::identity::Identity;
    use crate::secret::Secret;

    fn renewed() -> Outcome {
        let identity = Identity {
            provider: "op".into(),
            issuer: "https://op.example".into(),
            client_id: "client".into(),
            subject: "alice".into(),
            display_name: "Alice".into(),
            claims: Map::new(),
            access_token: Secret::new(String::new()),
            id_token: Secret::new(String::new()),
            session: None,
            expires_at: UnixTime(u64::MAX),
        };
        Outcome::Renewed(Arc::new(Renewed { known: Arc::new(Known::of_session(identity, 1)), set_cookies: Vec::new() }))
    }

    /// E01: whoever comes in the very moment in which a refresh ends is not taken for somebody with a copied cookie.
    #[test]
    fn a_cookie_is_not_superseded_while_its_refresh_ends() {
        let (renewals, outcome) = (Renewals::new(Box::new(|_| ())), renewed());
        let id = |number: usize| SessionId((number as u128).to_be_bytes());
        let (sessions, current) = (20_000, AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..sessions {
                    current.store(number, Ordering::Relaxed);
                    renewals.finish(id(number), 0, &outcome);
                }
                current.store(sessions, Ordering::Relaxed);
            });
            loop {
                let number = current.load(Ordering::Relaxed);
                if number == sessions {
                    break;
                }
                assert!(!renewals.is_superseded(id(number), 0), "at session {number}");
            }
        });
    }
}

//! A document of a provider that is fetched, kept and renewed: once at a time, not more often than its cool-down allows,
//! and never given up for a failure.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The last good `T`, and when it was last tried to get another.
pub(super) struct Fetched<T, E> {
    current: ArcSwapOption<T>,
    attempt: Arc<Mutex<Attempt<E>>>,
    cool_down: Duration,
}

struct Attempt<E> {
    ended: Option<Instant>,
    error: Option<E>,
}

/// Why something is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It is due, or nothing is there yet.
    Due,
    /// A token of a visitor's names what is not there.
    Visitor,
}

impl<T: Send + Sync + 'static, E: Clone + Send + 'static> Fetched<T, E> {
    /// `cool_down`: from the end of one attempt to the start of the next, when it failed or was made because a visitor's token
    /// asked for it. One that was due and succeeded starts none: a key that is rotated just after it is fetched at once.
    pub(super) fn new(cool_down: Duration) -> Arc<Self> {
        let attempt = Arc::new(Mutex::new(Attempt { ended: None, error: None }));
        Arc::new(Self { current: ArcSwapOption::empty(), attempt, cool_down })
    }

    pub(super) fn current(&self) -> Option<Arc<T>> {
        self.current.load_full()
    }

    pub(super) fn put(&self, value: T) {
        self.current.store(Some(Arc::new(value)));
    }

    /// Something newer than `known`, if it can be had; otherwise what there is. `fetch` runs in a task of its own: a visitor
    /// who goes away takes nobody else's answer along.
    pub(super) async fn newer<F, R>(
        self: &Arc<Self>,
        known: Option<&Arc<T>>,
        cause: Cause,
        fetch: F,
        cooling: impl Fn(E) -> E,
    ) -> Result<Arc<T>, E>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<T, E>> + Send,
    {
        let mut attempt = self.attempt.clone().lock_owned().await;
        if let Some(current) = self.current()
            && known.is_none_or(|known| !Arc::ptr_eq(known, &current))
        {
            return Ok(current);
        }
        if attempt.ended.is_some_and(|ended| ended.elapsed() < self.cool_down) {
            return match (self.current(), attempt.error.clone()) {
                (Some(current), _) => Ok(current),
                (None, Some(error)) => Err(cooling(error)),
                (None, None) => self.fetch_now(&mut attempt, cause, fetch).await,
            };
        }
        let this = self.clone();
        let task = tokio::spawn(async move { this.fetch_now(&mut attempt, cause, fetch).await });
        match task.await {
            Ok(result) => result,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }

    async fn fetch_now<F, R>(&self, attempt: &mut Attempt<E>, cause: Cause, fetch: F) -> Result<Arc<T>, E>
    where
        F: FnOnce() -> R,
        R: Future<Output = Result<T, E>>,
    {
        let result = fetch().await;
        attempt.ended = (cause == Cause::Visitor || result.is_err()).then(Instant::now);
        match result {
            Ok(value) => {
                let value = Arc::new(value);
                self.current.store(Some(value.clone()));
                attempt.error = None;
                Ok(value)
            }
            Err(error) => {
                attempt.error = Some(error.clone());
                self.current().ok_or(error)
            }
        }
    }
}

//! The end of a connection that has switched protocols: no request comes on it any more at which a session could be checked.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Shared between a connection's stream, which ends, and the proxy, which knows when it must.
#[derive(Default)]
pub struct Tunnel(OnceLock<Mutex<End>>);

impl Tunnel {
    /// Ends the connection when `end` completes. The first call counts: a connection switches protocols once.
    pub fn ends_with(&self, end: impl Future<Output = ()> + Send + 'static) {
        let _ = self.0.set(Mutex::new(Box::pin(end)));
    }

    /// Whether the end has come. Where there is none to come, this is one look at an atomic.
    pub(super) fn has_ended(&self, context: &mut Context<'_>) -> bool {
        let Some(end) = self.0.get() else { return false };
        end.lock().unwrap_or_else(PoisonError::into_inner).as_mut().poll(context) == Poll::Ready(())
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Tunnel({})", if self.0.get().is_some() { "open" } else { "none" })
    }
}

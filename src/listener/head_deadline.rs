//! The deadline for the head of a request (slow loris, threat Q03). Pingora's own time-out begins anew with every byte.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Shared between a connection's stream, which watches, and the proxy, which knows when a head is complete.
#[derive(Debug)]
pub struct HeadDeadline {
    phase: AtomicU8,
    limit: Duration,
}

impl HeadDeadline {
    pub(super) fn new(limit: Duration) -> Self {
        Self { phase: AtomicU8::new(IDLE), limit }
    }

    /// For HTTP/2, where one connection carries many heads: after the first one nothing is watched here.
    pub fn head_is_complete(&self) {
        self.phase.store(IN_BODY, Ordering::Relaxed);
    }

    /// The next byte belongs to a new request.
    pub fn request_is_over(&self) {
        self.phase.store(IDLE, Ordering::Relaxed);
    }

    pub(super) fn bytes_have_come(&self) {
        let _ = self.phase.compare_exchange(IDLE, IN_HEAD, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// How long the rest of a head may take; `None` when no head is being read.
    pub(super) fn limit(&self) -> Option<Duration> {
        (self.phase.load(Ordering::Relaxed) == IN_HEAD).then_some(self.limit)
    }
}

const IDLE: u8 = 0;
const IN_HEAD: u8 = 1;
const IN_BODY: u8 = 2;

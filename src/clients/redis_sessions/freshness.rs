//! Whether what this instance has in mind can be believed.
//!
//! It sends a beat to itself through the server several times a second. Messages of one channel come in the order in which the server
//! got them. So when a beat that was sent at some moment comes back, everything that had been said by then is known here, and what is in
//! mind is as old as that moment at most. Where no beat has come back for `TRUSTED`, nothing in mind is believed: a message may be lost, late,
//! or on the far side of a cut.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(super) struct Freshness {
    begin: Instant,
    /// Milliseconds since `begin`.
    believed_until: AtomicU64,
    /// Changes with every connection: on the one before, the last messages may have been lost.
    epoch: AtomicU64,
}

impl Freshness {
    pub(super) fn new() -> Self {
        Self { begin: Instant::now(), believed_until: AtomicU64::new(0), epoch: AtomicU64::new(0) }
    }

    /// What a beat says that is sent now.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn is_heard(&self, sent: u64) {
        self.believed_until.fetch_max(sent.saturating_add(TRUSTED), Ordering::AcqRel);
    }

    /// For how long nothing has been heard.
    pub(super) fn silence(&self) -> Duration {
        let last = self.believed_until.load(Ordering::Acquire).saturating_sub(TRUSTED);
        Duration::from_millis(self.now().saturating_sub(last))
    }

    /// The connection is another one, or there is none.
    pub(super) fn begins_anew(&self) {
        self.believed_until.store(0, Ordering::Release);
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(super) fn can_be_believed(&self) -> bool {
        self.now() < self.believed_until.load(Ordering::Acquire)
    }
}

/// Between two beats.
pub(super) const BEAT: Duration = Duration::from_millis(200);
/// In milliseconds. With what an answer takes from here to a client, less than the second within which an ending is known everywhere.
const TRUSTED: u64 = 800;
/// So long without a beat, and the connection is given up: the next one may be better.
pub(super) const TOO_SILENT: Duration = Duration::from_millis(1500);

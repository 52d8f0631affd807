//! The machine's clock and random source: the only places that read them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::{Clock, UnixTime};
use crate::secret::Entropy;

/// The machine's clock. One that stands before 1970 counts as 1970: everything is then not yet valid.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        UnixTime(since_1970().as_secs())
    }

    fn now_in_microseconds(&self) -> u64 {
        u64::try_from(since_1970().as_micros()).unwrap_or(u64::MAX)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The operating system's randomness, by aws-lc.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn system_entropy() -> Entropy {
    Entropy::new(Arc::new(aws_lc_rs::rand::SystemRandom::new()))
}

//! Slow bodies.

use std::time::Duration;

use tokio::time::Instant;

/// How fast a body comes. Only what we wait for counts, not what the target makes us wait.
#[derive(Default)]
pub(super) struct Pace {
    received: u64,
    waited: Duration,
    since: Option<Instant>,
}

impl Pace {
    pub(super) fn has_come(&mut self, octets: usize) {
        self.received += octets as u64;
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }

    /// How long may still be waited. A client that has not begun may be waiting for a `100 Continue` of the target.
    pub(super) fn patience(&mut self, octets_a_second: u32) -> Option<Duration> {
        if octets_a_second == 0 || self.received == 0 {
            return None;
        }
        self.since.get_or_insert_with(Instant::now);
        let earned = Duration::from_secs(self.received / u64::from(octets_a_second));
        Some((GRACE + earned).saturating_sub(self.waited))
    }
}

/// Before a body has to come at the least rate.
const GRACE: Duration = Duration::from_secs(20);

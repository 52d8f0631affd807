//! Which targets may be asked: what health checks say, what connections that did not come about say, and how long a target has
//! been back.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::UnixTime;

/// ALB's active health check.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    pub path: String,
    pub interval: Duration,
    pub timeout: Duration,
    /// Consecutive good answers that bring a target back.
    pub healthy_threshold: u32,
    /// Consecutive bad ones that take it out.
    pub unhealthy_threshold: u32,
    /// Accepted status codes, of HTTP or of gRPC, inclusive ranges.
    pub matcher: Vec<(u16, u16)>,
}

impl HealthCheck {
    /// Status codes that a matcher may name.
    pub const HTTP_CODES: RangeInclusive<u16> = 200..=499;
    pub const GRPC_CODES: RangeInclusive<u16> = 0..=99;

    /// A matcher: `200`, `200,204` or `200-299`, within `codes`.
    #[must_use]
    pub fn ranges(text: &str, codes: &RangeInclusive<u16>) -> Option<Vec<(u16, u16)>> {
        text.split(',')
            .map(|part| {
                let (from, to) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
                let (from, to) = (from.parse().ok()?, to.parse().ok()?);
                (codes.contains(&from) && codes.contains(&to) && from <= to).then_some((from, to))
            })
            .collect()
    }
}

/// What is known of a target.
#[derive(Debug)]
pub struct Health {
    /// As health checks have found it.
    healthy: AtomicBool,
    /// Since when it is back; 0 for one that was never away.
    back_since: AtomicU64,
    /// Connections in a row that did not come about.
    refused: AtomicU32,
    /// It is not asked before.
    rests_until: AtomicU64,
}

impl Default for Health {
    /// Until something has said otherwise, a target may be used.
    fn default() -> Self {
        Self { healthy: AtomicBool::new(true), back_since: AtomicU64::new(0), refused: AtomicU32::new(0), rests_until: AtomicU64::new(0) }
    }
}

impl Health {
    /// As health checks have found it.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// What was known of the same target before a reload.
    pub(super) fn inherit(&self, before: &Self) {
        self.healthy.store(before.is_healthy(), Ordering::Relaxed);
        for (now, then) in [(&self.back_since, &before.back_since), (&self.rests_until, &before.rests_until)] {
            now.store(then.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.refused.store(before.refused.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// A target that was not in its group before: as ALB's, which are `initial` until a check is good.
    pub(super) fn joins(&self, is_checked: bool, now: UnixTime) {
        self.healthy.store(!is_checked, Ordering::Relaxed);
        self.back_since.store(now.0, Ordering::Relaxed);
    }

    /// What a health check has found.
    pub fn set(&self, healthy: bool, now: UnixTime) {
        if healthy && !self.is_healthy() {
            self.back_since.store(now.0, Ordering::Relaxed);
        }
        self.healthy.store(healthy, Ordering::Relaxed);
    }

    /// A connection did not come about. After the third in a row the target rests; the first attempt after that decides anew.
    pub fn refused(&self, now: UnixTime) {
        if self.refused.fetch_add(1, Ordering::Relaxed) + 1 >= REFUSALS {
            let until = now.plus(REST).0;
            self.rests_until.store(until, Ordering::Relaxed);
            self.back_since.store(until, Ordering::Relaxed);
        }
    }

    /// A connection came about.
    pub fn connected(&self) {
        self.refused.store(0, Ordering::Relaxed);
        self.rests_until.store(0, Ordering::Relaxed);
    }

    pub(super) fn may_be_asked(&self, now: UnixTime) -> bool {
        self.is_healthy() && now.0 >= self.rests_until.load(Ordering::Relaxed)
    }

    /// How much of its share a target gets, in thousandths: it grows in a line from the moment at which the target was back.
    pub(super) fn warmth(&self, slow_start: Duration, now: UnixTime) -> u64 {
        let since = self.back_since.load(Ordering::Relaxed);
        let whole = slow_start.as_secs();
        if since == 0 || whole == 0 {
            return WHOLE;
        }
        // Never nothing: a target that is alone in being back is asked.
        (now.since(UnixTime(since)).as_secs().saturating_mul(WHOLE) / whole).clamp(1, WHOLE)
    }
}

/// Connections in a row that do not come about, after which a target rests.
const REFUSALS: u32 = 3;
/// As long as a restart of an application takes, and short enough that nobody waits for it to be noticed.
const REST: Duration = Duration::from_secs(10);
/// All of a share.
pub(super) const WHOLE: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_000_000);

    fn later(seconds: u64) -> UnixTime {
        UnixTime(NOW.0 + seconds)
    }

    #[test]
    fn a_target_that_refuses_three_connections_in_a_row_rests_for_ten_seconds() {
        let health = Health::default();
        health.refused(NOW);
        health.refused(NOW);
        health.connected();
        health.refused(NOW);
        health.refused(NOW);
        assert!(health.may_be_asked(NOW));
        health.refused(NOW);
        assert!(!health.may_be_asked(later(9)));
        assert!(health.may_be_asked(later(10)));
        health.refused(later(10));
        assert!(!health.may_be_asked(later(19)), "one more is enough while nothing has come about");
        health.connected();
        assert!(health.may_be_asked(later(19)));
    }

    #[test]
    fn slow_start_grows_in_a_line_from_the_moment_of_return() {
        let slow_start = Duration::from_secs(100);
        let health = Health::default();
        assert_eq!(health.warmth(slow_start, NOW), WHOLE, "a target of the start is warm");
        health.set(false, NOW);
        health.set(true, NOW);
        for (seconds, warmth) in [(0, 1), (1, 10), (25, 250), (50, 500), (99, 990), (100, 1000), (5000, 1000)] {
            assert_eq!(health.warmth(slow_start, later(seconds)), warmth, "{seconds}");
        }
        assert_eq!(health.warmth(Duration::ZERO, NOW), WHOLE);
        health.set(true, later(50));
        assert_eq!(health.warmth(slow_start, later(50)), 500, "only a return begins it");
    }
}

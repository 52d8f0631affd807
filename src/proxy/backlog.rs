//! What has been read from targets and not been taken by clients. Pingora reads up to half a megabyte ahead of each client; clients that
//! take nothing, a few thousand of them, would have all memory (CVE-2016-1546, threats Q03, X07).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Of one answer. Requests only count; the clock is read by those who look on.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    read: AtomicU64,
    taken: AtomicU64,
    /// How much had been taken when somebody looked last, and since when it is no more.
    seen: Mutex<Option<(u64, Instant)>>,
}

/// What the clients of a listener may leave untaken.
#[derive(Debug, Clone, Copy)]
pub(super) struct MayHold {
    pub(super) listener: usize,
    /// `limits.unsent_bytes`, of all together.
    pub(super) octets: u64,
    /// `limits.send_timeout`.
    pub(super) time: Duration,
}

/// What the sweep sees of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) may: MayHold,
    pub(super) octets: u64,
    /// For how long nothing has been taken.
    pub(super) idle: Duration,
}

impl Backlog {
    /// `more` octets have been read, and so many have been taken until now.
    pub(super) fn note(&self, more: usize, taken: usize) {
        self.read.fetch_add(more as u64, Ordering::Relaxed);
        self.taken.store(taken as u64, Ordering::Relaxed);
    }

    /// `None`: nothing worth counting. Nobody is told when the last octets of a piece are taken, so that a stream that is quiet still seems
    /// to hold them; but one whose client took nothing would have ended by `send_timeout`.
    pub(super) fn held(&self, may: MayHold, now: Instant) -> Option<Held> {
        let taken = self.taken.load(Ordering::Relaxed);
        let octets = self.read.load(Ordering::Relaxed).saturating_sub(taken);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, since) = *seen.get_or_insert((taken, now));
        let since = if before == taken { since } else { now };
        *seen = Some((taken, since));
        let idle = now.saturating_duration_since(since);
        (octets >= LEAST_COUNTED && idle <= may.time + PATIENCE).then_some(Held { may, octets, idle })
    }
}

/// Which of them are to end, so that those of each listener hold no more than they may. Whoever takes something, however slowly, is
/// no reason; of the others those who hold most.
pub(super) fn to_be_ended(all: &[Held]) -> Vec<usize> {
    let mut sums: HashMap<usize, u64> = HashMap::new();
    for held in all {
        *sums.entry(held.may.listener).or_default() += held.octets;
    }
    let mut stuck: Vec<usize> = (0..all.len())
        .filter(|index| {
            let held = all[*index];
            let sum = sums.get(&held.may.listener).copied().unwrap_or_default();
            let patience = if sum / 2 > held.may.octets { PATIENCE_IN_NEED } else { PATIENCE };
            sum > held.may.octets && held.idle >= patience
        })
        .collect();
    stuck.sort_by_key(|index| std::cmp::Reverse((all[*index].octets, all[*index].idle)));
    stuck.retain(|index| {
        let held = all[*index];
        let sum = sums.entry(held.may.listener).or_default();
        let is_too_much = *sum > held.may.octets;
        if is_too_much {
            *sum -= held.octets;
        }
        is_too_much
    });
    stuck
}

/// A piece that pingora reads. Less is a message of a stream, or the end of an answer.
const LEAST_COUNTED: u64 = 64 * 1024;
/// A client may pause.
const PATIENCE: Duration = Duration::from_secs(10);
/// When there is twice as much as there may be.
const PATIENCE_IN_NEED: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn may(listener: usize) -> MayHold {
        MayHold { listener, octets: 100, time: Duration::from_secs(60) }
    }

    fn held(listener: usize, octets: u64, idle: u64) -> Held {
        Held { may: may(listener), octets, idle: Duration::from_secs(idle) }
    }

    #[test]
    fn those_who_take_nothing_end_when_there_is_too_much_and_no_more_of_them_than_needed() {
        assert_eq!(to_be_ended(&[held(0, 60, 50), held(0, 40, 50)]), Vec::<usize>::new(), "as much as there may be");
        assert_eq!(to_be_ended(&[held(0, 60, 20), held(0, 50, 50), held(0, 70, 30)]), [2, 0], "the largest first");
        assert_eq!(to_be_ended(&[held(0, 150, 9), held(0, 1, 50)]), [1], "a pause is no reason");
        assert_eq!(to_be_ended(&[held(0, 250, 2), held(0, 1, 0)]), [0], "unless there is far too much");
        assert_eq!(to_be_ended(&[held(0, 150, 0), held(1, 60, 50)]), Vec::<usize>::new(), "another listener's");
    }

    #[test]
    fn what_is_taken_counts_as_movement() {
        let (backlog, start) = (Backlog::default(), Instant::now());
        let of = |seconds| backlog.held(may(0), start + Duration::from_secs(seconds)).map(|held| (held.octets, held.idle.as_secs()));
        backlog.note(100_000, 0);
        assert_eq!(of(0), Some((100_000, 0)));
        backlog.note(50_000, 0);
        assert_eq!(of(5), Some((150_000, 5)));
        backlog.note(0, 10_000);
        assert_eq!(of(6), Some((140_000, 0)));
        assert_eq!(of(76), Some((140_000, 70)));
        assert_eq!(of(77), None, "a stream that is quiet");
        backlog.note(0, 149_000);
        assert_eq!(of(78), None, "a message");
    }
}

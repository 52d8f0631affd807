//! Which target is next: ALB's three algorithms, with weights and slow start.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Target, Wanted};
use crate::clock::UnixTime;

/// ALB's `load_balancing.algorithm.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    RoundRobin,
    LeastOutstandingRequests,
    WeightedRandom,
}

/// How requests are spread over the targets of a group.
#[derive(Debug)]
pub struct Balance {
    algorithm: Algorithm,
    slow_start: Duration,
    next: AtomicUsize,
    /// What each target is owed, while shares differ.
    owed: Mutex<Vec<i64>>,
}

impl Balance {
    /// A slow start of zero is none.
    #[must_use]
    pub fn new(algorithm: Algorithm, slow_start: Duration) -> Self {
        Self { algorithm, slow_start, next: AtomicUsize::new(0), owed: Mutex::default() }
    }

    /// Whether a choice asks for a random number.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.algorithm == Algorithm::WeightedRandom
    }

    /// Counts choices.
    pub(super) fn turn(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// One of the targets for which `may` holds.
    pub(super) fn choose(&self, targets: &[Target], may: &dyn Fn(usize) -> bool, turn: usize, wanted: Wanted<'_>) -> Option<usize> {
        if let [_] = targets {
            return may(0).then_some(0);
        }
        let candidates: Vec<usize> = (0..targets.len()).filter(|index| may(*index)).collect();
        let (&first, rest) = candidates.split_first()?;
        if rest.is_empty() {
            return Some(first);
        }
        let share = |index: usize| share(&targets[index], self.slow_start, wanted.now);
        match self.algorithm {
            Algorithm::RoundRobin if rest.iter().all(|index| share(*index) == share(first)) => Some(candidates[turn % candidates.len()]),
            Algorithm::RoundRobin => Some(self.most_owed(targets.len(), &candidates, &share)),
            Algorithm::WeightedRandom => at_random(&candidates, &share, wanted.random),
            Algorithm::LeastOutstandingRequests => least_outstanding(targets, &candidates, turn),
        }
    }

    /// Smooth weighted round robin: each is owed its share, the one that is owed most is next and pays for all. Shares 5, 1, 1
    /// give a a b a c a a, not a a a a a b c.
    fn most_owed(&self, count: usize, candidates: &[usize], share: &dyn Fn(usize) -> u64) -> usize {
        let mut owed = self.owed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        owed.resize(count, 0);
        let mut total: i64 = 0;
        let mut next = candidates[0];
        for &index in candidates {
            let share = i64::try_from(share(index)).unwrap_or(i64::MAX / 2);
            total = total.saturating_add(share);
            owed[index] = owed[index].saturating_add(share);
            if owed[index] > owed[next] {
                next = index;
            }
        }
        owed[next] = owed[next].saturating_sub(total);
        next
    }
}

/// Weight and warmth together.
fn share(target: &Target, slow_start: Duration, now: UnixTime) -> u64 {
    u64::from(target.weight) * target.health.warmth(slow_start, now)
}

fn at_random(candidates: &[usize], share: &dyn Fn(usize) -> u64, random: u64) -> Option<usize> {
    by_share(candidates.iter().map(|index| (*index, share(*index))), random)
}

/// The one in whose part of the whole the random number falls. Nothing of share 0 is chosen.
pub(super) fn by_share<T>(shares: impl Iterator<Item = (T, u64)> + Clone, random: u64) -> Option<T> {
    let total: u64 = shares.clone().map(|(_, share)| share).sum();
    // The bias is total / 2^64: nobody will ever see it.
    let mut rest = random.checked_rem(total)?;
    for (item, share) in shares {
        if rest < share {
            return Some(item);
        }
        rest -= share;
    }
    None
}

/// The fewest for its weight; among equals in turn.
fn least_outstanding(targets: &[Target], candidates: &[usize], turn: usize) -> Option<usize> {
    // With the request in question, so that weights count also where nobody is busy.
    let load = |index: usize| (targets[index].outstanding.load(Ordering::Relaxed) as u64 + 1, u64::from(targets[index].weight));
    (0..candidates.len())
        .map(|step| candidates[turn.wrapping_add(step) % candidates.len()])
        .map(|index| (index, load(index)))
        .reduce(|best, other| {
            let ((_, (busy, weight)), (_, (other_busy, other_weight))) = (best, other);
            if other_busy * weight < busy * other_weight { other } else { best }
        })
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::group;
    use super::super::{Outstanding, TargetGroup};
    use super::*;

    const NOW: UnixTime = UnixTime(1_000_000);

    /// The same numbers in every run (SplitMix64).
    fn numbers() -> impl Iterator<Item = u64> {
        (1_u64..).map(|n| {
            let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
    }

    fn picks(group: &Arc<TargetGroup>, now: UnixTime, count: usize) -> Vec<usize> {
        let pick = |random| group.pick(Wanted { sticky: None, tried: &[], random, now }).unwrap().index;
        numbers().take(count).map(pick).collect()
    }

    fn counts(group: &Arc<TargetGroup>, now: UnixTime) -> Vec<usize> {
        let picks = picks(group, now, 2_000);
        (0..group.targets.len()).map(|index| picks.iter().filter(|picked| **picked == index).count()).collect()
    }

    fn assert_near(counts: &[usize], expected: &[usize], tolerance: usize) {
        assert!(counts.iter().zip(expected).all(|(count, expected)| count.abs_diff(*expected) <= tolerance), "{counts:?}: {expected:?}");
    }

    #[test]
    fn equal_targets_take_turns() {
        let group = group(Algorithm::RoundRobin, Duration::ZERO, &[1, 1, 1]);
        assert_eq!(picks(&group, NOW, 6), [0, 1, 2, 0, 1, 2]);
        group.targets[1].health.set(false, NOW);
        assert_near(&counts(&group, NOW), &[1000, 0, 1000], 1);
    }

    #[test]
    fn round_robin_gives_each_its_weight_and_no_bursts() {
        let group = group(Algorithm::RoundRobin, Duration::ZERO, &[5, 1, 1]);
        assert_eq!(picks(&group, NOW, 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_near(&counts(&group, NOW), &[1428, 286, 286], 2);
    }

    #[test]
    fn weighted_random_gives_each_its_weight() {
        let group = group(Algorithm::WeightedRandom, Duration::ZERO, &[6, 3, 1]);
        assert_near(&counts(&group, NOW), &[1200, 600, 200], 60);
    }

    #[test]
    fn a_target_that_is_back_gets_its_share_little_by_little() {
        for algorithm in [Algorithm::RoundRobin, Algorithm::WeightedRandom] {
            let group = group(algorithm, Duration::from_secs(100), &[1, 1]);
            group.targets[1].health.set(false, NOW);
            group.targets[1].health.set(true, NOW);
            for (seconds, expected) in [(0, [1998, 2]), (25, [1600, 400]), (50, [1333, 667]), (100, [1000, 1000])] {
                assert_near(&counts(&group, UnixTime(NOW.0 + seconds)), &expected, 60);
            }
        }
    }

    #[test]
    fn the_least_busy_target_for_its_weight_is_next() {
        let group = group(Algorithm::LeastOutstandingRequests, Duration::ZERO, &[2, 1]);
        let pick = || group.pick(Wanted { sticky: None, tried: &[], random: 0, now: NOW }).unwrap();
        let kept: Vec<Outstanding> = (0..300).map(|_| pick()).collect();
        assert_eq!(kept.iter().filter(|outstanding| outstanding.index == 0).count(), 200);
    }

    #[test]
    fn nothing_of_share_zero_is_chosen() {
        let shares = [("a", 0), ("b", 1), ("c", 0)];
        assert!(numbers().take(100).all(|random| by_share(shares.into_iter(), random) == Some("b")));
        assert_eq!(by_share([("a", 0)].into_iter(), 7), None);
    }
}

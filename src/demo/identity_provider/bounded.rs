//! A map that forgets: what is too old, and the oldest when there is too much.
//!
//! Anyone who can reach the provider can make it remember something, and it must not grow by that.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use crate::clock::UnixTime;

/// Entries of one lifetime, so that the order in which they came is the order in which they end.
pub(super) struct Bounded<K, V> {
    capacity: usize,
    entries: HashMap<K, Entry<V>>,
    order: VecDeque<K>,
}

struct Entry<V> {
    value: V,
    expires: UnixTime,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, entries: HashMap::new(), order: VecDeque::new() }
    }

    /// `key` is random and therefore new.
    pub(super) fn insert(&mut self, key: K, value: V, expires: UnixTime, now: UnixTime) {
        while let Some(oldest) = self.order.front() {
            let keep = self.entries.get(oldest).is_some_and(|entry| entry.expires > now);
            if keep && self.order.len() < self.capacity {
                break;
            }
            self.entries.remove(oldest);
            self.order.pop_front();
        }
        self.order.push_back(key.clone());
        self.entries.insert(key, Entry { value, expires });
    }

    pub(super) fn live(&self, key: &K, now: UnixTime) -> Option<&V> {
        self.entries.get(key).filter(|entry| entry.expires > now).map(|entry| &entry.value)
    }

    pub(super) fn live_mut(&mut self, key: &K, now: UnixTime) -> Option<&mut V> {
        self.entries.get_mut(key).filter(|entry| entry.expires > now).map(|entry| &mut entry.value)
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::Bounded;
    use crate::clock::UnixTime;

    #[test]
    fn the_oldest_goes_when_it_is_full() {
        let mut map = Bounded::new(2);
        for key in 1..=3 {
            map.insert(key, (), UnixTime(100), UnixTime(0));
        }
        let live: Vec<_> = (1..=3).filter(|key| map.live(key, UnixTime(0)).is_some()).collect();
        assert_eq!(live, [2, 3]);
        assert_eq!(map.order.len(), 2);
    }

    #[test]
    fn what_has_ended_is_not_found_and_not_kept() {
        let mut map = Bounded::new(10);
        map.insert(1, (), UnixTime(5), UnixTime(0));
        assert!(map.live(&1, UnixTime(4)).is_some());
        assert!(map.live(&1, UnixTime(5)).is_none());
        map.insert(2, (), UnixTime(15), UnixTime(10));
        assert_eq!(map.entries.len(), 1);
    }

    #[test]
    fn removing_leaves_nothing_behind_for_long() {
        let mut map = Bounded::new(3);
        for key in 0..100 {
            map.insert(key, (), UnixTime(5), UnixTime(0));
            map.remove(&key);
        }
        assert!(map.entries.is_empty() && map.order.len() <= 3);
    }
}

//! How often one address may begin to sign in, and fail, in a minute: nobody floods a provider through this gateway, or tries codes and
//! tokens without end. People who are signed in, and tokens that are known, are not counted and not kept waiting.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{Exchange, Reply, reply};
use crate::clock::UnixTime;
use crate::message::Network;

/// For each address and minute.
#[derive(Debug, Clone, Copy)]
pub struct PerAddress {
    pub sign_ins: u32,
    pub failures: u32,
}

/// What addresses have done in this minute. A clone knows the same.
#[derive(Clone)]
pub struct AddressLimits {
    sign_ins: Counts,
    failures: Counts,
}

#[derive(Clone)]
struct Counts(Cache<(Network, u64), Arc<AtomicU32>>);

impl AddressLimits {
    #[must_use]
    pub fn new() -> Self {
        Self { sign_ins: Counts::new(), failures: Counts::new() }
    }
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl Counts {
    fn new() -> Self {
        Self(Cache::builder().max_capacity(MOST_ADDRESSES).time_to_live(2 * MINUTE).eviction_policy(EvictionPolicy::lru()).build())
    }

    /// How often until now; one more, if `add`.
    fn count(&self, address: IpAddr, now: UnixTime, add: bool) -> u32 {
        let key = (Network::of(address), now.0 / MINUTE.as_secs());
        if !add {
            return self.0.get(&key).map_or(0, |count| count.load(Ordering::Relaxed));
        }
        let count = self.0.get_with(key, Arc::default);
        // It does not begin anew at the end of its numbers.
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count.saturating_add(1))).unwrap_or(u32::MAX)
    }
}

impl Exchange<'_> {
    /// Counts the beginning of a sign-in. `Err`: there have been too many.
    pub(super) fn begins_sign_in(&mut self) -> Result<(), Reply> {
        let begun = self.gateway.address_limits.sign_ins.count(self.request.client, self.now, true);
        if begun < self.listener.per_address.sign_ins { Ok(()) } else { Err(self.too_many("AuthTooManySignIns")) }
    }

    pub(super) fn note_failure(&self) {
        self.gateway.address_limits.failures.count(self.request.client, self.now, true);
    }

    pub(super) fn has_failed_too_often(&self) -> bool {
        self.gateway.address_limits.failures.count(self.request.client, self.now, false) >= self.listener.per_address.failures
    }

    /// Whoever has failed too often waits for the next minute.
    pub(super) fn too_many(&mut self, reason: &'static str) -> Reply {
        let wait = MINUTE.as_secs() - self.now.0 % MINUTE.as_secs();
        self.refuse(reply::too_many(reason), None).with(http::header::RETRY_AFTER, wait.into())
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const MOST_ADDRESSES: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_by_the_minute_and_a_network_of_version_6_as_one() {
        let counts = Counts::new();
        let count = |address: &str, now| counts.count(address.parse().unwrap(), UnixTime(now), true);
        assert_eq!([count("192.0.2.1", 60), count("192.0.2.1", 119), count("192.0.2.2", 61), count("192.0.2.1", 120)], [0, 1, 0, 0]);
        assert_eq!([count("2001:db8:1:2::1", 60), count("2001:db8:1:2:ffff::9", 60), count("2001:db8:1:3::1", 60)], [0, 1, 0]);
        assert_eq!(count("::ffff:192.0.2.1", 60), 2, "the same address in other words");
        assert_eq!(counts.count("192.0.2.9".parse().unwrap(), UnixTime(60), false), 0);
    }
}

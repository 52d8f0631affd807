//! Where requests go: groups of targets that do the same (ALB: target groups).
//!
//! `choosing` says which target is next, `health` which may be asked at all, `stickiness` which one a visitor had before,
//! `weighted` which of several groups a rule means.

mod choosing;
mod health;
mod stickiness;
mod weighted;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use choosing::{Algorithm, Balance};
use health::Health;
pub use health::HealthCheck;
pub use stickiness::{STICKINESS_COOKIES, Stickiness, StickinessType, Sticky};
pub use weighted::{ForwardAction, WeightedTargetGroup};

use crate::clock::UnixTime;
use crate::secret::Secret;

/// A target group of the configuration.
#[derive(Debug)]
pub struct TargetGroup {
    pub name: String,
    /// Distinguishes the pool of idle connections: two groups never share a connection, because one may verify its targets with
    /// another CA, or be known to them by another certificate. Made of all that, so that a reload opens new ones where it has to.
    pub id: u64,
    pub protocol_version: ProtocolVersion,
    pub tls: Option<TargetTls>,
    pub timeouts: TargetTimeouts,
    pub health_check: Option<HealthCheck>,
    /// How long requests at a target that has left may go on; ALB: 300 s.
    pub deregistration_delay: Duration,
    pub stickiness: Option<Stickiness>,
    pub balance: Balance,
    pub targets: Vec<Target>,
}

/// What is spoken to targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProtocolVersion {
    Http1,
    /// By ALPN over TLS, with prior knowledge in the clear (RFC 9113 §3.3).
    Http2,
    /// HTTP/2, with trailers and a health check of its own.
    Grpc,
}

/// How a target's certificate is judged, and what is shown to the target.
#[derive(Debug, Clone)]
pub struct TargetTls {
    /// `false` has to be asked for by name.
    pub verify: bool,
    /// DER; believed instead of the system's authorities.
    pub authorities: Option<Vec<Vec<u8>>>,
    pub client_certificate: Option<ClientCertificate>,
}

/// By which targets know the gateway.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// DER: PKCS#8, PKCS#1 or SEC 1.
    pub private_key: Secret<Vec<u8>>,
    /// Both as PEM.
    pub pem: Secret<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
pub struct TargetTimeouts {
    /// ALB: 10 s.
    pub connect: Duration,
    /// Between two pieces of a response, and to its first byte; ALB: 60 s.
    pub response: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
}

/// One target.
#[derive(Debug)]
pub struct Target {
    pub address: TargetAddress,
    /// As configured, for logs; also the name in SNI.
    pub name: String,
    /// Its share beside the other targets, 1 to 999.
    pub weight: u32,
    pub health: Health,
    /// Requests that it has been given and that have not ended.
    pub outstanding: AtomicUsize,
}

#[derive(Debug)]
pub enum TargetAddress {
    /// Resolved before use, never while a request waits.
    Inet {
        host: String,
        port: u16,
        resolved: ArcSwap<Vec<SocketAddr>>,
    },
    Unix(PathBuf),
}

impl Target {
    #[must_use]
    pub fn new(address: TargetAddress, name: String, weight: u32) -> Self {
        Self { address, name, weight, health: Health::default(), outstanding: AtomicUsize::new(0) }
    }

    /// Where to connect to now; `None` while a name has not been resolved.
    #[must_use]
    pub fn socket(&self, turn: usize) -> Option<SocketAddr> {
        match &self.address {
            TargetAddress::Inet { resolved, .. } => {
                let addresses = resolved.load();
                (!addresses.is_empty()).then(|| addresses[turn % addresses.len()])
            }
            TargetAddress::Unix(_) => None,
        }
    }

    fn inherit(&self, known: &Self) {
        self.health.inherit(&known.health);
        if let (TargetAddress::Inet { resolved, .. }, TargetAddress::Inet { resolved: before, .. }) = (&self.address, &known.address)
            && resolved.load().is_empty()
        {
            resolved.store(before.load_full());
        }
    }

    fn is_usable(&self) -> bool {
        match &self.address {
            TargetAddress::Inet { resolved, .. } => !resolved.load().is_empty(),
            TargetAddress::Unix(_) => true,
        }
    }

    fn may_be_asked(&self, now: UnixTime) -> bool {
        self.is_usable() && self.health.may_be_asked(now)
    }
}

/// What is known when a target is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The target that the visitor had before.
    pub sticky: Option<usize>,
    /// Targets to which this very request could not be sent.
    pub tried: &'a [usize],
    /// For `weighted_random`.
    pub random: u64,
    pub now: UnixTime,
}

/// A target that has a request; the count goes down when this is dropped, however the request ends.
#[derive(Debug)]
pub struct Outstanding {
    group: Arc<TargetGroup>,
    pub index: usize,
    /// Which of the addresses behind a name.
    pub turn: usize,
}

impl Outstanding {
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.group.targets[self.index]
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.target().outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TargetGroup {
    /// The target for a request. When none may be asked all are, as ALB does: a wrong health check must not take an
    /// application away.
    #[must_use]
    pub fn pick(self: &Arc<Self>, wanted: Wanted<'_>) -> Option<Outstanding> {
        let fresh = |index: usize| !wanted.tried.contains(&index);
        let good = |index: usize| self.targets[index].may_be_asked(wanted.now);
        let turn = self.balance.turn();
        let index = wanted
            .sticky
            .filter(|index| *index < self.targets.len() && fresh(*index) && good(*index))
            .or_else(|| self.balance.choose(&self.targets, &|index| fresh(index) && good(index), turn, wanted))
            .or_else(|| self.balance.choose(&self.targets, &|index| fresh(index) && self.targets[index].is_usable(), turn, wanted))
            .or_else(|| self.balance.choose(&self.targets, &|index| self.targets[index].is_usable(), turn, wanted))?;
        self.targets[index].outstanding.fetch_add(1, Ordering::Relaxed);
        Some(Outstanding { group: self.clone(), index, turn })
    }

    /// Health as it was before a reload. A target that has joined the group is asked once its first health check is good, and gets its
    /// share by and by.
    pub(super) fn inherit(&self, before: &Self, now: UnixTime) {
        for target in &self.targets {
            let known = before.targets.iter().find(|known| known.name == target.name);
            match known {
                Some(known) => target.inherit(known),
                None => target.health.joins(self.health_check.is_some(), now),
            }
        }
    }

    #[must_use]
    pub fn healthy_targets(&self) -> usize {
        self.targets.iter().filter(|target| target.health.is_healthy()).count()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Targets with these weights, `10.0.0.1:80` and so on.
    pub(super) fn group(algorithm: Algorithm, slow_start: Duration, weights: &[u32]) -> Arc<TargetGroup> {
        let target = |(index, weight): (usize, &u32)| {
            let socket = SocketAddr::from(([10, 0, 0, u8::try_from(index + 1).unwrap()], 80));
            let resolved = ArcSwap::from_pointee(vec![socket]);
            Target::new(TargetAddress::Inet { host: socket.ip().to_string(), port: 80, resolved }, socket.to_string(), *weight)
        };
        Arc::new(TargetGroup {
            name: "app".to_owned(),
            id: 0,
            protocol_version: ProtocolVersion::Http1,
            tls: None,
            timeouts: TargetTimeouts { connect: Duration::ZERO, response: Duration::ZERO, idle: Duration::ZERO },
            health_check: None,
            deregistration_delay: Duration::ZERO,
            stickiness: None,
            balance: Balance::new(algorithm, slow_start),
            targets: weights.iter().enumerate().map(target).collect(),
        })
    }

    const NOW: UnixTime = UnixTime(1_000_000);

    fn wanted(tried: &[usize]) -> Wanted<'_> {
        Wanted { sticky: None, tried, random: 0, now: NOW }
    }

    #[test]
    fn a_sticky_target_is_kept_until_it_is_down_or_does_not_take_the_request() {
        let group = group(Algorithm::RoundRobin, Duration::ZERO, &[1, 1, 1]);
        let index = |sticky, tried| group.pick(Wanted { sticky: Some(sticky), ..wanted(tried) }).unwrap().index;
        assert!((0..10).all(|_| index(2, &[]) == 2));
        assert_ne!(index(2, &[2]), 2);
        assert!(index(7, &[]) < 3, "a target that is gone");
        group.targets[2].health.set(false, NOW);
        assert!((0..10).all(|_| index(2, &[]) != 2));
    }

    #[test]
    fn when_none_may_be_asked_all_are() {
        let group = group(Algorithm::RoundRobin, Duration::ZERO, &[1, 1]);
        for target in &group.targets {
            target.health.set(false, NOW);
        }
        let first = group.pick(wanted(&[])).unwrap().index;
        assert_ne!(group.pick(wanted(&[])).unwrap().index, first);
        assert_eq!(group.pick(wanted(&[0])).unwrap().index, 1, "not the one that has just failed");
        assert!(group.pick(wanted(&[0, 1])).is_some());
        assert_eq!(group.healthy_targets(), 0);
    }

    #[test]
    fn a_reload_keeps_what_is_known_of_targets_and_newcomers_wait_for_their_first_check() {
        let slow = Duration::from_secs(100);
        let before = group(Algorithm::RoundRobin, slow, &[1, 1]);
        before.targets[0].health.set(false, NOW);
        let after = group(Algorithm::RoundRobin, slow, &[1, 1, 1]);
        after.inherit(&before, NOW);
        assert!(!after.targets[0].health.is_healthy(), "known to be down");
        assert!(after.targets[1].health.is_healthy());
        assert_eq!(after.targets[1].health.warmth(slow, NOW), health::WHOLE, "as warm as it was");
        assert_eq!(after.targets[2].health.warmth(slow, NOW), 1, "a newcomer gets its share by and by");
        let checked = Health::default();
        checked.joins(true, NOW);
        assert!(!checked.is_healthy());
    }

    #[test]
    fn requests_are_counted_until_they_end() {
        let group = group(Algorithm::LeastOutstandingRequests, Duration::ZERO, &[1, 1]);
        let long = group.pick(wanted(&[])).unwrap();
        for _ in 0..5 {
            assert_ne!(group.pick(wanted(&[])).unwrap().index, long.index);
        }
        let busy = long.index;
        drop(long);
        assert_eq!(group.targets[busy].outstanding.load(Ordering::Relaxed), 0);
    }
}

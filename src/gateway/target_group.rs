//! Where requests go: targets in turn, passing over those that a health check has found down.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

/// A target group of the configuration.
#[derive(Debug)]
pub struct TargetGroup {
    pub name: String,
    /// Distinguishes the pool of idle connections: two groups never share a connection, because one may verify its
    /// targets with another CA.
    pub id: u64,
    pub tls: Option<TargetTls>,
    pub timeouts: TargetTimeouts,
    pub health_check: Option<HealthCheck>,
    pub targets: Vec<Target>,
    pub next: AtomicUsize,
}

/// How a target's certificate is judged.
#[derive(Debug, Clone)]
pub struct TargetTls {
    /// `false` has to be asked for by name.
    pub verify: bool,
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
    /// Accepted status codes, inclusive ranges.
    pub matcher: Vec<(u16, u16)>,
}

/// One target.
#[derive(Debug)]
pub struct Target {
    pub address: TargetAddress,
    /// As configured, for logs; also the name in SNI.
    pub name: String,
    pub health: Health,
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

/// Consecutive answers of a health check.
#[derive(Debug)]
pub struct Health(std::sync::atomic::AtomicBool);

impl Default for Health {
    /// Until a check has said otherwise, a target may be used.
    fn default() -> Self {
        Self(std::sync::atomic::AtomicBool::new(true))
    }
}

impl Health {
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, healthy: bool) {
        self.0.store(healthy, Ordering::Relaxed);
    }
}

impl Target {
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

    fn is_usable(&self) -> bool {
        match &self.address {
            TargetAddress::Inet { resolved, .. } => !resolved.load().is_empty(),
            TargetAddress::Unix(_) => true,
        }
    }
}

impl TargetGroup {
    /// The next target in turn. When none is healthy all are tried, as ALB does: a wrong health check must not take an
    /// application away.
    #[must_use]
    pub fn pick(self: &Arc<Self>) -> Option<(usize, usize)> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.targets.len();
        let in_turn = || (0..count).map(|step| (turn.wrapping_add(step)) % count);
        let healthy = in_turn().find(|index| self.targets[*index].health.is_healthy() && self.targets[*index].is_usable());
        let any = || in_turn().find(|index| self.targets[*index].is_usable());
        healthy.or_else(any).map(|index| (index, turn))
    }

    #[must_use]
    pub fn healthy_targets(&self) -> usize {
        self.targets.iter().filter(|target| target.health.is_healthy()).count()
    }
}

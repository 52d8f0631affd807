//! Names of targets, resolved ahead of the requests and again while they run: a request never waits for DNS.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::gateway::{Target, TargetAddress, TargetGroup};

/// Resolves every name once; a name that does not resolve is tried again by `resolve_targets`.
pub async fn resolve_targets_once(groups: &[Arc<TargetGroup>]) {
    let mut lookups = JoinSet::new();
    for group in groups {
        for index in 0..group.targets.len() {
            let group = group.clone();
            lookups.spawn(async move { resolve(&group.targets[index]).await });
        }
    }
    // A resolver that does not answer must not keep the other targets waiting.
    let _ = timeout(START_TIMEOUT, async { while lookups.join_next().await.is_some() {} }).await;
    lookups.detach_all();
}

/// Hears of an address behind a target's name that is gone (`true`) or is there (`false`).
pub type AddressObserver = Arc<dyn Fn(&TargetGroup, &Target, SocketAddr, bool) + Send + Sync>;

/// Keeps the addresses fresh for as long as `tasks` are there. The last good addresses stay when a name stops resolving.
pub fn resolve_targets(groups: &[Arc<TargetGroup>], changed: &AddressObserver, tasks: &mut JoinSet<()>) {
    let groups: Vec<Weak<TargetGroup>> = groups.iter().filter(|group| group.targets.iter().any(is_name)).map(Arc::downgrade).collect();
    if groups.is_empty() {
        return;
    }
    let changed = changed.clone();
    tasks.spawn(async move {
        loop {
            sleep(RESOLVE_EVERY).await;
            for group in &groups {
                let Some(group) = group.upgrade() else { return };
                for target in group.targets.iter().filter(|target| is_name(target)) {
                    let before = addresses(target);
                    resolve(target).await;
                    let after = addresses(target);
                    before.iter().filter(|address| !after.contains(address)).for_each(|address| changed(&group, target, *address, true));
                    after.iter().filter(|address| !before.contains(address)).for_each(|address| changed(&group, target, *address, false));
                }
            }
        }
    });
}

fn addresses(target: &Target) -> Arc<Vec<SocketAddr>> {
    match &target.address {
        TargetAddress::Inet { resolved, .. } => resolved.load_full(),
        TargetAddress::Unix(_) => Arc::default(),
    }
}

fn is_name(target: &Target) -> bool {
    matches!(&target.address, TargetAddress::Inet { host, .. } if host.parse::<std::net::IpAddr>().is_err())
}

async fn resolve(target: &Target) {
    let TargetAddress::Inet { host, port, resolved } = &target.address else { return };
    if let Ok(Ok(addresses)) = timeout(RESOLVE_TIMEOUT, lookup_host((host.as_str(), *port))).await {
        let mut addresses: Vec<SocketAddr> = addresses.collect();
        // A target that listens on one family only is the rule on loopback: IPv4 first, as it is for ALB.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.dedup();
        if !addresses.is_empty() {
            resolved.store(Arc::new(addresses));
        }
    }
}

const RESOLVE_EVERY: Duration = Duration::from_secs(10);
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
const START_TIMEOUT: Duration = Duration::from_secs(1);

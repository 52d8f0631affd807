//! `target_groups`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::context::Context;
use crate::config::raw::{self, Named, Protocol};
use crate::config::reader::{Located, Seconds};
use crate::gateway::{Health, HealthCheck, Target, TargetAddress, TargetGroup, TargetTimeouts, TargetTls};

pub(super) type Groups = BTreeMap<String, Arc<TargetGroup>>;

pub(super) fn compile(context: &mut Context<'_>, raw: &Named<raw::TargetGroup>) -> Groups {
    let mut groups = Groups::new();
    for (id, (name, raw)) in raw.sections.iter().enumerate() {
        if let Some(group) = group(context, id as u64, name, raw) {
            groups.insert(name.clone(), Arc::new(group));
        }
    }
    groups
}

fn group(context: &mut Context<'_>, id: u64, name: &str, raw: &Located<raw::TargetGroup>) -> Option<TargetGroup> {
    let value = &raw.value;
    let tls = (value.protocol == Some(Protocol::Https)).then(|| TargetTls { verify: value.verify.as_ref().is_none_or(|at| at.value) });
    match (&value.verify, &tls) {
        (Some(at), Some(tls)) if !tls.verify => {
            context.warn(
                at,
                "the certificates of these targets are not checked: whoever is on the way reads and changes everything",
                "give them certificates",
            );
        }
        (Some(at), None) => context.error(at, "verify belongs to protocol: https"),
        _ => {}
    }
    // The rest of the words have one meaning in this version.
    let _ = (value.protocol_version, value.load_balancing_algorithm);
    if value.targets.value.is_empty() {
        context.error(&value.targets, "a target group has at least one target");
    }
    let targets: Vec<Option<Target>> = value.targets.value.iter().map(|target| self::target(context, &target.address)).collect();
    let health_check = match &value.health_check {
        Some(raw) => Some(health_check(context, raw)?),
        None => None,
    };
    let mut seconds = |given: Option<&Located<Seconds>>, default: u64| {
        if let Some(at) = given.filter(|at| at.value.0.is_zero()) {
            context.error(at, "must be at least 1s");
        }
        given.map_or(Duration::from_secs(default), |at| at.value.0)
    };
    let timeouts = value.timeouts.as_ref();
    Some(TargetGroup {
        name: name.to_owned(),
        id,
        tls,
        timeouts: TargetTimeouts {
            connect: seconds(timeouts.and_then(|timeouts| timeouts.connect.as_ref()), 10),
            response: seconds(timeouts.and_then(|timeouts| timeouts.response.as_ref()), 60),
            idle: seconds(timeouts.and_then(|timeouts| timeouts.idle.as_ref()), 60),
        },
        health_check,
        targets: targets.into_iter().collect::<Option<_>>()?,
        next: 0.into(),
    })
}

fn target(context: &mut Context<'_>, at: &Located<String>) -> Option<Target> {
    let text = at.value.as_str();
    if let Some(path) = text.strip_prefix("unix:") {
        let path: PathBuf = context.path(path);
        return Some(Target { address: TargetAddress::Unix(path), name: text.to_owned(), health: Health::default() });
    }
    let split = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok().filter(|port| *port > 0)?)));
    let Some((host, port)) = split.filter(|(host, _)| is_host(host)) else {
        context.error_hint(at, format!("{text:?} is not a target"), "write HOST:PORT or unix:PATH");
        return None;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let address = TargetAddress::Inet { host, port, resolved: ArcSwap::from_pointee(Vec::new()) };
    Some(Target { address, name: text.to_owned(), health: Health::default() })
}

fn is_host(host: &str) -> bool {
    crate::message::Authority::parse(host.as_bytes()).is_ok_and(|authority| authority.port().is_none())
}

fn health_check(context: &mut Context<'_>, raw: &raw::HealthCheck) -> Option<HealthCheck> {
    let path = raw.path.as_ref().map_or("/", |at| at.value.as_str());
    if let Some(at) = raw.path.as_ref().filter(|at| crate::message::RequestTarget::parse(at.value.as_bytes()).is_err()) {
        context.error(at, "the path of a health check begins with a slash");
        return None;
    }
    let mut within = |at: &Option<Located<Seconds>>, range: std::ops::RangeInclusive<u64>, default: u64| {
        let Some(at) = at else { return Duration::from_secs(default) };
        if !range.contains(&at.value.0.as_secs()) {
            context.error(at, format!("between {}s and {}s, as on an ALB", range.start(), range.end()));
        }
        at.value.0
    };
    let interval = within(&raw.interval, 5..=300, 30);
    let timeout = within(&raw.timeout, 2..=120, 5);
    let mut threshold = |at: &Option<Located<u32>>, default: u32| {
        let Some(at) = at else { return default };
        if !(2..=10).contains(&at.value) {
            context.error(at, "between 2 and 10, as on an ALB");
        }
        at.value
    };
    let healthy_threshold = threshold(&raw.healthy_threshold, 5);
    let unhealthy_threshold = threshold(&raw.unhealthy_threshold, 2);
    let matcher = raw.matcher.as_ref().map_or("200", |at| at.value.as_str());
    let Some(matcher) = ranges(matcher) else {
        if let Some(at) = &raw.matcher {
            context.error_hint(at, format!("{matcher:?} is not a matcher"), "write \"200\", \"200,204\" or \"200-299\"");
        }
        return None;
    };
    Some(HealthCheck { path: path.to_owned(), interval, timeout, healthy_threshold, unhealthy_threshold, matcher })
}

fn ranges(text: &str) -> Option<Vec<(u16, u16)>> {
    text.split(',')
        .map(|part| {
            let (from, to) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
            let (from, to) = (from.parse().ok()?, to.parse().ok()?);
            ((200..=499).contains(&from) && (from..=499).contains(&to)).then_some((from, to))
        })
        .collect()
}

//! `target_groups`.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::certificates;
use super::context::Context;
use crate::config::raw::{self, Named, Protocol};
use crate::config::reader::{Located, Seconds};
use crate::config::report::{Fault, Span};
use crate::gateway::{
    Algorithm, Balance, HealthCheck, ProtocolVersion, Stickiness, StickinessType, Target, TargetAddress, TargetGroup, TargetTimeouts,
    TargetTls,
};

pub(super) type Groups = BTreeMap<String, Arc<TargetGroup>>;

pub(super) fn compile(context: &mut Context<'_>, raw: &Named<raw::TargetGroup>) -> Groups {
    let mut groups = Groups::new();
    for (name, raw) in &raw.sections {
        if let Some(group) = group(context, name, raw) {
            groups.insert(name.clone(), Arc::new(group));
        }
    }
    groups
}

fn group(context: &mut Context<'_>, name: &str, raw: &Located<raw::TargetGroup>) -> Option<TargetGroup> {
    let value = &raw.value;
    let tls = tls(context, value);
    let protocol_version = match value.protocol_version {
        Some(raw::ProtocolVersion::Http1) | None => ProtocolVersion::Http1,
        Some(raw::ProtocolVersion::Http2) => ProtocolVersion::Http2,
        Some(raw::ProtocolVersion::Grpc) => ProtocolVersion::Grpc,
    };
    if value.targets.value.is_empty() {
        context.error(&value.targets, "a target group has at least one target");
    }
    let targets: Vec<Option<Target>> = value.targets.value.iter().map(|target| self::target(context, target)).collect();
    let balance = balance(context, value);
    let deregistration_delay = value.deregistration_delay.as_ref().map_or(DEREGISTRATION_DELAY, |at| at.value.0);
    if let Some(at) = value.deregistration_delay.as_ref().filter(|_| deregistration_delay > LONGEST_DEREGISTRATION_DELAY) {
        context.error(at, "between 0 and 1h, as on an ALB");
    }
    let stickiness = match &value.stickiness {
        Some(raw) => Some(stickiness(context, raw)?),
        None => None,
    };
    let health_check = match &value.health_check {
        Some(raw) => Some(health_check(context, raw, protocol_version)?),
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
        id: pool_id(name, protocol_version, tls.as_ref()),
        protocol_version,
        tls,
        timeouts: TargetTimeouts {
            connect: seconds(timeouts.and_then(|timeouts| timeouts.connect.as_ref()), 10),
            response: seconds(timeouts.and_then(|timeouts| timeouts.response.as_ref()), 60),
            idle: seconds(timeouts.and_then(|timeouts| timeouts.idle.as_ref()), 60),
        },
        health_check,
        deregistration_delay,
        stickiness,
        balance,
        targets: targets.into_iter().collect::<Option<_>>()?,
    })
}

/// ALB's default and its longest.
const DEREGISTRATION_DELAY: Duration = Duration::from_secs(300);
const LONGEST_DEREGISTRATION_DELAY: Duration = Duration::from_secs(3600);

fn tls(context: &mut Context<'_>, raw: &raw::TargetGroup) -> Option<TargetTls> {
    if raw.protocol != Some(Protocol::Https) {
        let mut misplaced = |at: Option<(Span, &str)>, key: &str| {
            if let Some((span, path)) = at {
                context.push(Fault::error(path.to_owned(), format!("{key} belongs to protocol: https")).at(span));
            }
        };
        misplaced(raw.verify.as_ref().map(|at| (at.span, at.path.as_str())), "verify");
        misplaced(raw.ca_certificates.as_ref().map(|at| (at.span, at.path.as_str())), "ca_certificates");
        misplaced(raw.client_certificate.as_ref().map(|at| (at.span, at.path.as_str())), "client_certificate");
        return None;
    }
    let verify = raw.verify.as_ref().is_none_or(|at| at.value);
    if let Some(at) = raw.verify.as_ref().filter(|_| !verify) {
        context.warn(
            at,
            "the certificates of these targets are not checked: whoever is on the way reads and changes everything",
            "give them certificates, and name their authority in ca_certificates",
        );
    }
    if let Some(at) = raw.ca_certificates.as_ref().filter(|_| !verify) {
        context.error(at, "with verify: false no authority is asked");
    }
    let authorities = raw.ca_certificates.as_ref().and_then(|at| certificates::authorities(context, at));
    let client_certificate = raw.client_certificate.as_ref().and_then(|at| certificates::open_client(context, &at.value));
    Some(TargetTls { verify, authorities, client_certificate })
}

/// What a connection is good for: the same number means that it may be used again.
fn pool_id(name: &str, version: ProtocolVersion, tls: Option<&TargetTls>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, version).hash(&mut hasher);
    if let Some(tls) = tls {
        let chain = tls.client_certificate.as_ref().map(|certificate| &certificate.chain);
        (tls.verify, &tls.authorities, chain).hash(&mut hasher);
    }
    hasher.finish()
}

fn balance(context: &mut Context<'_>, raw: &raw::TargetGroup) -> Balance {
    let algorithm = match raw.load_balancing_algorithm.as_ref().map(|at| at.value) {
        Some(raw::LoadBalancingAlgorithm::RoundRobin) | None => Algorithm::RoundRobin,
        Some(raw::LoadBalancingAlgorithm::LeastOutstandingRequests) => Algorithm::LeastOutstandingRequests,
        Some(raw::LoadBalancingAlgorithm::WeightedRandom) => Algorithm::WeightedRandom,
    };
    let slow_start = raw.slow_start.as_ref().map_or(Duration::ZERO, |at| at.value.0);
    if let Some(at) = raw.slow_start.as_ref().filter(|_| !slow_start.is_zero()) {
        if !(30..=900).contains(&slow_start.as_secs()) {
            context.error(at, "between 30s and 15m, or 0, as on an ALB");
        }
        if algorithm == Algorithm::LeastOutstandingRequests {
            context.error(at, "slow_start does not go with least_outstanding_requests, as on an ALB");
        }
    }
    Balance::new(algorithm, slow_start)
}

fn stickiness(context: &mut Context<'_>, raw: &raw::Stickiness) -> Option<Stickiness> {
    let duration = raw.duration.as_ref().map_or(DAY, |at| sticky_duration(context, at));
    require_session_key(context, &raw.r#type);
    let kind = match (raw.r#type.value, &raw.cookie_name) {
        (raw::StickinessType::LbCookie, None) => StickinessType::LoadBalancerCookie,
        (raw::StickinessType::LbCookie, Some(at)) => {
            context.error(at, "cookie_name belongs to type: app_cookie");
            return None;
        }
        (raw::StickinessType::AppCookie, None) => {
            context.error(&raw.r#type, "cookie_name is missing: which cookie does the application set?");
            return None;
        }
        (raw::StickinessType::AppCookie, Some(at)) => {
            let Some(kind) = StickinessType::application_cookie(&at.value) else {
                context.error(at, format!("{:?} cannot be the cookie of an application", at.value));
                return None;
            };
            kind
        }
    };
    Some(Stickiness { kind, duration })
}

pub(super) fn sticky_duration(context: &mut Context<'_>, at: &Located<Seconds>) -> Duration {
    if !(1..=7 * DAY.as_secs()).contains(&at.value.0.as_secs()) {
        context.error(at, "stickiness lasts between 1s and 7d");
    }
    at.value.0
}

/// Cookies of stickiness are sealed: in clear, anybody could choose a target and read what targets there are.
pub(super) fn require_session_key<T>(context: &mut Context<'_>, at: &Located<T>) {
    if !context.names_session_key {
        context.error_hint(
            at,
            "stickiness seals its cookies, and there is no session key",
            "make one with: vestibule keys session > session.key, and name it in sessions.keys",
        );
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn target(context: &mut Context<'_>, raw: &raw::Target) -> Option<Target> {
    let at = &raw.address;
    let weight = raw.weight.as_ref().map_or(1, |at| at.value);
    if let Some(at) = raw.weight.as_ref().filter(|_| !(1..=999).contains(&weight)) {
        context.error(at, "the weight of a target is between 1 and 999");
    }
    let text = at.value.as_str();
    if let Some(path) = text.strip_prefix("unix:") {
        let path: PathBuf = context.path(path);
        return Some(Target::new(TargetAddress::Unix(path), text.to_owned(), weight));
    }
    let split = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok().filter(|port| *port > 0)?)));
    let Some((host, port)) = split.filter(|(host, _)| is_host(host)) else {
        context.error_hint(at, format!("{text:?} is not a target"), "write HOST:PORT or unix:PATH");
        return None;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let address = TargetAddress::Inet { host, port, resolved: ArcSwap::from_pointee(Vec::new()) };
    Some(Target::new(address, text.to_owned(), weight))
}

fn is_host(host: &str) -> bool {
    crate::message::Authority::parse(host.as_bytes()).is_ok_and(|authority| authority.port().is_none())
}

fn health_check(context: &mut Context<'_>, raw: &raw::HealthCheck, version: ProtocolVersion) -> Option<HealthCheck> {
    // ALB's: a method that no service has, and the code that says so.
    let (path, matcher, codes) = match version {
        ProtocolVersion::Http1 | ProtocolVersion::Http2 => ("/", "200", HealthCheck::HTTP_CODES),
        ProtocolVersion::Grpc => ("/AWS.ALB/healthcheck", "12", HealthCheck::GRPC_CODES),
    };
    let path = raw.path.as_ref().map_or(path, |at| at.value.as_str());
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
    let matcher = raw.matcher.as_ref().map_or(matcher, |at| at.value.as_str());
    let Some(matcher) = HealthCheck::ranges(matcher, &codes) else {
        if let Some(at) = &raw.matcher {
            context.error_hint(
                at,
                format!("{matcher:?} is not a matcher: codes from {} to {}", codes.start(), codes.end()),
                "write \"200\", \"200,204\" or \"200-299\"",
            );
        }
        return None;
    };
    Some(HealthCheck { path: path.to_owned(), interval, timeout, healthy_threshold, unhealthy_threshold, matcher })
}

//! Target groups: those to which a rule forwards.

use std::net::IpAddr;

use super::aws::{Matcher, TargetGroup, TargetHealthDescription};
use super::balancing::balancing;
use super::collected::Collected;
use super::model::{Group, Notes};
use super::providers::distinct;
use super::write::duration;
use super::yaml::scalar;
use crate::gateway::HealthCheck;
use crate::message::{Authority, RequestTarget};

/// Groups in the order in which rules name them.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// With their ARNs.
    named: Vec<(String, Group)>,
}

impl Groups {
    /// The group's name here. `Err`: nothing can be forwarded to it.
    pub(super) fn name(&mut self, arn: &str, collected: &Collected, notes: &mut Notes) -> Result<String, String> {
        if let Some((_, group)) = self.named.iter().find(|(known, _)| known == arn) {
            return Ok(group.name.clone());
        }
        let described = collected.groups.iter().find(|group| group.target_group_arn == arn);
        if let Some(group) = described.filter(|group| group.target_type == "lambda") {
            return Err(format!("the target group {} is a Lambda function, to which nothing can be forwarded", group.target_group_name));
        }
        // …:targetgroup/NAME/ID
        let label = described.map_or_else(|| arn.split('/').nth(1).unwrap_or_default(), |group| &group.target_group_name);
        let name = distinct(label, "target-group", |name| self.named.iter().any(|(_, group)| group.name == name));
        let group = match described {
            Some(described) => translate(described, name.clone(), collected, notes),
            None => {
                let mut group = Group { name: name.clone(), ..Group::default() };
                let what = format!("no file describes {arn}: add the output of aws elbv2 describe-target-groups, or the template");
                notes.leave(&mut group.comments, &place(&name), what);
                group.targets.push((placeholder(&name, 80), None));
                group
            }
        };
        self.named.push((arn.to_owned(), group));
        Ok(name)
    }

    /// All of them, with the load balancer's idle timeout, and a word about those that no rule names.
    pub(super) fn finish(self, idle_timeout: Option<u64>, collected: &Collected, notes: &mut Notes) -> Vec<Group> {
        let unused: Vec<&str> = collected
            .groups
            .iter()
            .filter(|group| !self.named.iter().any(|(arn, _)| *arn == group.target_group_arn))
            .map(|group| group.target_group_name.as_str())
            .collect();
        if !unused.is_empty() {
            notes.say(format!("target groups to which no rule forwards were left out: {}", unused.join(", ")));
        }
        self.named.into_iter().map(|(_, group)| Group { response_timeout: idle_timeout, ..group }).collect()
    }
}

fn place(name: &str) -> String {
    format!("target group {name}")
}

/// A name that never resolves (RFC 2606 §2): requests get an answer of 502 or 503 and reach nobody.
fn placeholder(label: &str, port: u16) -> String {
    format!("{label}.invalid:{port}")
}

fn translate(raw: &TargetGroup, name: String, collected: &Collected, notes: &mut Notes) -> Group {
    let place = place(&name);
    let mut comments = Vec::new();
    for remark in &raw.remarks {
        notes.leave(&mut comments, &place, remark);
    }
    let is_https = raw.protocol == "HTTPS";
    if is_https {
        let what = "an ALB believes any certificate of a target; here it is verified. verify: false would do as the ALB does";
        notes.leave(&mut comments, &place, what);
    }
    let mut settings: Vec<_> = protocol_version(raw).map(|version| ("protocol_version", version.to_owned())).into_iter().collect();
    let balancing = balancing(&collected.group_attributes(raw));
    settings.extend(balancing.entries);
    for what in balancing.left_out {
        notes.leave(&mut comments, &place, what);
    }
    let health_check = health_check(raw, &place, &mut comments, notes);
    let targets = targets(raw, &name, collected.targets(raw), &place, &mut comments, notes);
    Group { comments, name, is_https, settings, is_sticky: balancing.is_sticky, targets, health_check, response_timeout: None }
}

fn protocol_version(raw: &TargetGroup) -> Option<&'static str> {
    match raw.protocol_version.as_str() {
        "HTTP2" => Some("http2"),
        "GRPC" => Some("grpc"),
        _ => None,
    }
}

fn targets(
    raw: &TargetGroup,
    name: &str,
    health: Option<Vec<&TargetHealthDescription>>,
    place: &str,
    comments: &mut Vec<String>,
    notes: &mut Notes,
) -> Vec<(String, Option<String>)> {
    let group_port = raw.port.filter(|port| *port > 0).unwrap_or(80);
    let mut targets: Vec<(String, Option<String>)> = Vec::new();
    let registered = health.is_some();
    for description in health.into_iter().flatten() {
        let target = &description.target;
        if description.target_health.as_ref().is_some_and(|health| health.state == "draining") {
            notes.leave(comments, place, format!("target {} is being taken out, and was left out", target.id));
            continue;
        }
        let port = target.port.filter(|port| *port > 0).unwrap_or(group_port);
        let (address, remark) = match target.id.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => (format!("{address}:{port}"), None),
            Ok(IpAddr::V6(address)) => (format!("[{address}]:{port}"), None),
            // A Service of Kubernetes.
            Err(_) if target.id.ends_with(".svc") && Authority::parse(target.id.as_bytes()).is_ok() => {
                (format!("{}:{port}", target.id), None)
            }
            Err(_) => {
                let why = if target.id.starts_with("i-") {
                    "is an instance, of which AWS does not tell the address here"
                } else {
                    "has no address in the files"
                };
                let what = format!("{} {why}: write it in its place", target.id);
                notes.say(format!("{place}: {what}"));
                (placeholder(&distinct(&target.id, "target", |_| false), port), Some(what))
            }
        };
        if !targets.iter().any(|(known, _)| *known == address) {
            targets.push((address, remark));
        }
    }
    if targets.is_empty() {
        let what = if registered {
            "no target is registered: write HOST:PORT in place of this name".to_owned()
        } else {
            format!("its targets are not in the files (target-health-{name}.json): write HOST:PORT in place of this name")
        };
        notes.say(format!("{place}: {what}"));
        targets.push((placeholder(name, group_port), Some(what)));
    }
    targets
}

fn health_check(raw: &TargetGroup, place: &str, comments: &mut Vec<String>, notes: &mut Notes) -> Option<Vec<(&'static str, String)>> {
    if raw.health_check_enabled == Some(false) {
        return None;
    }
    if !matches!(raw.health_check_port.as_str(), "" | "traffic-port")
        && Some(&raw.health_check_port) != raw.port.map(|port| port.to_string()).as_ref()
    {
        notes.leave(comments, place, format!("the health check asked port {}; here it asks the port of the target", raw.health_check_port));
    }
    if !raw.health_check_protocol.is_empty() && raw.health_check_protocol != raw.protocol {
        notes.leave(comments, place, format!("the health check spoke {}; here it speaks what requests do", raw.health_check_protocol));
    }
    let mut entries = Vec::new();
    let mut leave =
        |key: &str, value: &str| notes.leave(comments, place, format!("health check: {key} {value:?} is left out: it does not fit here"));
    if let Some(path) = &raw.health_check_path {
        if RequestTarget::parse(path.as_bytes()).is_ok() {
            entries.push(("path", scalar(path)));
        } else {
            leave("path", path);
        }
    }
    for (key, value, range) in
        [("interval", raw.health_check_interval_seconds, 5..=300), ("timeout", raw.health_check_timeout_seconds, 2..=120)]
    {
        match value {
            Some(value) if range.contains(&value) => entries.push((key, duration(value))),
            Some(value) => leave(key, &value.to_string()),
            None => {}
        }
    }
    for (key, value) in [("healthy_threshold", raw.healthy_threshold_count), ("unhealthy_threshold", raw.unhealthy_threshold_count)] {
        match value {
            Some(value) if (2..=10).contains(&value) => entries.push((key, value.to_string())),
            Some(value) => leave(key, &value.to_string()),
            None => {}
        }
    }
    let is_grpc = raw.protocol_version == "GRPC";
    if let Some(Matcher { http_code, grpc_code }) = &raw.matcher {
        let (codes, range) = if is_grpc { (grpc_code, HealthCheck::GRPC_CODES) } else { (http_code, HealthCheck::HTTP_CODES) };
        match codes {
            Some(codes) if HealthCheck::ranges(codes, &range).is_some() => entries.push(("matcher", scalar(codes))),
            Some(codes) => leave("matcher", codes),
            None => {}
        }
    }
    (!entries.is_empty()).then_some(entries)
}

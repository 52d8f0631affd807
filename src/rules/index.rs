//! Which rules can match at all, by host and first segment of the path: 10,000 rules cost a request what 10 do.

use std::collections::HashMap;

use super::{Condition, Rule};

/// Positions of rules, in order of priority, by what a request must have for them.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_host: HashMap<Box<str>, BySegment>,
    any_host: BySegment,
}

#[derive(Debug, Default)]
struct BySegment {
    by_segment: HashMap<Box<str>, Vec<usize>>,
    any_segment: Vec<usize>,
}

impl Index {
    /// `rules` are in order of priority.
    pub(super) fn of<T>(rules: &[Rule<T>]) -> Self {
        let mut index = Self::default();
        for (position, rule) in rules.iter().enumerate() {
            let (hosts, segments) = keys_of(&rule.conditions);
            for host in &hosts {
                let by_segment = match host {
                    Some(host) => index.by_host.entry(host.clone()).or_default(),
                    None => &mut index.any_host,
                };
                for segment in &segments {
                    by_segment.add(segment.as_deref(), position);
                }
            }
        }
        index
    }

    /// The rules that can match whatever a rule with these conditions matches: the only ones that can stand in its way.
    pub(super) fn rivals(&self, conditions: &[Condition]) -> impl Iterator<Item = usize> {
        let (hosts, segments) = keys_of(conditions);
        let mut found: Vec<usize> = Vec::new();
        // One key of each kind is enough: what takes all requests takes those of the first alternative.
        let (host, segment) = (hosts[0].as_deref(), segments[0].as_deref());
        for by_segment in host.and_then(|host| self.by_host.get(host)).into_iter().chain([&self.any_host]) {
            found.extend(segment.and_then(|segment| by_segment.by_segment.get(segment)).into_iter().flatten());
            found.extend(&by_segment.any_segment);
        }
        found.sort_unstable();
        found.into_iter()
    }

    /// The first candidate, in order of priority, for which `holds`.
    pub(super) fn first(&self, host: &str, path: &str, holds: impl Fn(usize) -> bool) -> Option<usize> {
        let segment = path.strip_prefix('/').map(|rest| rest.split('/').next().unwrap_or_default()).unwrap_or_default();
        let of_host = self.by_host.get(host).map(|rules| rules.candidates(segment)).unwrap_or_default();
        let [of_segment, others] = self.any_host.candidates(segment);
        let mut candidates = [of_host[0], of_host[1], of_segment, others];
        loop {
            let next = candidates.iter_mut().filter(|rest| !rest.is_empty()).min_by_key(|rest| rest[0])?;
            let position = next[0];
            *next = &next[1..];
            if holds(position) {
                return Some(position);
            }
        }
    }
}

impl BySegment {
    fn add(&mut self, segment: Option<&str>, position: usize) {
        let bucket = match segment {
            Some(segment) => self.by_segment.entry(segment.into()).or_default(),
            None => &mut self.any_segment,
        };
        if bucket.last() != Some(&position) {
            bucket.push(position);
        }
    }

    fn candidates(&self, segment: &str) -> [&[usize]; 2] {
        [self.by_segment.get(segment).map(Vec::as_slice).unwrap_or_default(), &self.any_segment]
    }
}

/// A text that a request must have; `None` where any will do.
type Key = Option<Box<str>>;

/// What a request must have for these conditions: hosts and first segments; neither list is empty.
fn keys_of(conditions: &[Condition]) -> (Vec<Key>, Vec<Key>) {
    let hosts = keys(conditions, |condition| match condition {
        Condition::HostHeader(hosts) => Some(hosts.iter().map(|host| host.literal().map(Box::from)).collect()),
        _ => None,
    });
    let segments = keys(conditions, |condition| match condition {
        Condition::PathPattern(paths) => Some(paths.iter().map(|path| first_literal_segment(path.source()).map(Box::from)).collect()),
        _ => None,
    });
    (hosts, segments)
}

/// What the first condition of a kind demands: one key for each alternative, `None` among them when one of them has none.
/// A rule without such a condition, or with too many alternatives, stands where every request looks.
fn keys(conditions: &[Condition], of: impl Fn(&Condition) -> Option<Vec<Key>>) -> Vec<Key> {
    match conditions.iter().find_map(of) {
        Some(keys) if (1..=MAX_ALTERNATIVES).contains(&keys.len()) && keys.iter().all(Option::is_some) => keys,
        _ => vec![None],
    }
}

/// `svc` of `/svc/api/*` and of `/svc`; nothing of `/svc*`, which also matches `/svc2`.
fn first_literal_segment(pattern: &str) -> Option<&str> {
    let rest = pattern.strip_prefix('/')?;
    let segment = rest.split('/').next()?;
    (!segment.contains(['*', '?'])).then_some(segment)
}

const MAX_ALTERNATIVES: usize = 16;

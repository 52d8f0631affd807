//! Rules in order of priority; the first whose conditions all hold is the one.

use super::Condition;
use super::index::Index;
use crate::message::RequestView;

/// A rule and what it leads to.
#[derive(Debug)]
pub struct Rule<T> {
    /// 1–50,000 as on an ALB; lowest first.
    pub priority: u32,
    pub conditions: Vec<Condition>,
    pub then: T,
}

/// The rules of one listener.
#[derive(Debug)]
pub struct RuleTable<T> {
    rules: Vec<Rule<T>>,
    index: Index,
    default: T,
}

/// A rule that was tried for a request; it matches when nothing failed.
pub struct Tried<'a, T> {
    pub rule: &'a Rule<T>,
    pub failed: Vec<&'a Condition>,
}

/// The path can be read in two ways, and they lead to different rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmbiguousPath;

impl<T> RuleTable<T> {
    #[must_use]
    pub fn new(mut rules: Vec<Rule<T>>, default: T) -> Self {
        rules.sort_by_key(|rule| rule.priority);
        let index = Index::of(&rules);
        Self { rules, index, default }
    }

    /// The rule for a request, the default where none matches.
    ///
    /// A path with `//`, `%2F` or `;` in it is also tried as a laxer program would read it. A rule that protects
    /// `/private*` must not be stepped around by `//private` (CVE-2021-31920, CVE-2021-29492, CVE-2026-73553).
    pub fn find(&self, request: &RequestView<'_>) -> Result<&T, AmbiguousPath> {
        let position = self.position(request, request.target.path());
        if let Some(other) = request.target.second_reading()
            && self.position(request, other) != position
        {
            return Err(AmbiguousPath);
        }
        Ok(position.map_or(&self.default, |index| &self.rules[index].then))
    }

    /// What `find` does, told: each rule that was tried with the conditions that did not hold, up to the one that matches.
    #[must_use]
    pub fn explain<'a>(&'a self, request: &RequestView<'_>) -> Vec<Tried<'a, T>> {
        let mut tried = Vec::new();
        for rule in &self.rules {
            let failed: Vec<&Condition> =
                rule.conditions.iter().filter(|condition| !condition.holds(request, request.target.path())).collect();
            let matches = failed.is_empty();
            tried.push(Tried { rule, failed });
            if matches {
                break;
            }
        }
        tried
    }

    /// Pairs of priorities: a rule that can never match, and the earlier one that takes all of its requests.
    #[must_use]
    pub fn shadowed(&self) -> Vec<(u32, u32)> {
        let takes_all =
            |early: &Rule<T>, late: &Rule<T>| early.conditions.iter().all(|wide| late.conditions.iter().any(|narrow| wide.covers(narrow)));
        let shadow = |(position, late): (usize, &Rule<T>)| {
            let mut earlier = self.index.rivals(&late.conditions).take_while(|rival| *rival < position);
            let early = earlier.find(|rival| takes_all(&self.rules[*rival], late))?;
            Some((late.priority, self.rules[early].priority))
        };
        self.rules.iter().enumerate().filter_map(shadow).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.rules.iter().map(|rule| &rule.then).chain([&self.default])
    }

    fn position(&self, request: &RequestView<'_>, path: &str) -> Option<usize> {
        self.index.first(request.authority.host(), path, |position| {
            self.rules[position].conditions.iter().all(|condition| condition.holds(request, path))
        })
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use proptest::prelude::*;

    use super::*;
    use crate::message::{Authority, RequestTarget, Scheme};
    use crate::rules::{Case, Wildcard};

    fn rule(priority: u32, hosts: &[String], paths: &[String]) -> Rule<u32> {
        let wildcards = |values: &[String], case| values.iter().map(|value| Wildcard::new(value, case).unwrap()).collect::<Vec<_>>();
        let mut conditions = Vec::new();
        if !hosts.is_empty() {
            conditions.push(Condition::HostHeader(wildcards(hosts, Case::LowerCased)));
        }
        if !paths.is_empty() {
            conditions.push(Condition::PathPattern(wildcards(paths, Case::Sensitive)));
        }
        Rule { priority, conditions, then: priority }
    }

    fn found(table: &RuleTable<u32>, host: &str, path: &str) -> Result<u32, AmbiguousPath> {
        let (authority, target) = (Authority::parse(host.as_bytes()).unwrap(), RequestTarget::parse(path.as_bytes()).unwrap());
        let request = RequestView {
            method: &Method::GET,
            scheme: Scheme::Https,
            port: 443,
            authority: &authority,
            target: &target,
            headers: &HeaderMap::new(),
            client: std::net::Ipv4Addr::LOCALHOST.into(),
            request_id: "",
        };
        table.find(&request).copied()
    }

    proptest! {
        #[test]
        fn the_index_finds_what_trying_every_rule_finds(
            rules in prop::collection::vec((prop::collection::vec("(a|b|\\*)\\.(x|y)", 0..3), prop::collection::vec("/[ab*]{0,2}(/[ab*?]{0,2})?", 0..3)), 0..12),
            host in "[ab]\\.[xy]",
            path in "/([ab]{1,2}(/[ab]{1,2})?)?",
        ) {
            let of = || rules.iter().enumerate().map(|(at, (hosts, paths))| rule(u32::try_from(at).unwrap() + 1, hosts, paths));
            let plainly = of().find(|rule| {
                rule.conditions.iter().all(|condition| match condition {
                    Condition::HostHeader(hosts) => hosts.iter().any(|pattern| pattern.matches(&host)),
                    Condition::PathPattern(paths) => paths.iter().any(|pattern| pattern.matches(&path)),
                    _ => false,
                })
            });
            let table = RuleTable::new(of().collect(), 0);
            prop_assert_eq!(found(&table, &host, &path), Ok(plainly.map_or(0, |rule| rule.priority)));
        }
    }

    #[test]
    fn rules_that_can_never_match_are_found() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let of = |priority, hosts: &[&str], paths: &[&str]| rule(priority, &texts(hosts), &texts(paths));
        let rules = vec![
            of(1, &["a.x"], &["/api/*"]),
            of(2, &["a.x"], &["/api/v1/*", "/api/v2"]),
            of(3, &["b.x"], &["/api/v1"]),
            of(4, &[], &["/static*"]),
            of(5, &["b.x"], &["/static/css/*"]),
            of(6, &["*.x"], &["/s*"]),
            of(7, &["b.x"], &["/s2", "/t"]),
            of(8, &[], &["/s*"]),
        ];
        assert_eq!(RuleTable::new(rules, 0).shadowed(), [(2, 1), (5, 4)]);
    }

    #[test]
    fn a_path_whose_readings_lead_to_different_rules_is_refused() {
        let table = RuleTable::new(vec![rule(10, &[], &["/private*".to_owned()])], 0);
        for path in ["//private", "/private/x", "/public//x", "/public;v=1/x"] {
            assert_eq!(found(&table, "a.x", path).is_ok(), path != "//private", "{path}");
        }
        assert_eq!(found(&table, "a.x", "/%2fprivate"), Err(AmbiguousPath));
    }
}

//! Rules in order of priority; the first whose conditions all hold is the one.

use super::Condition;
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
    default: T,
}

/// The path can be read in two ways, and they lead to different rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmbiguousPath;

impl<T> RuleTable<T> {
    #[must_use]
    pub fn new(mut rules: Vec<Rule<T>>, default: T) -> Self {
        rules.sort_by_key(|rule| rule.priority);
        Self { rules, default }
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

    /// Pairs of priorities: a rule that can never match, and the earlier one that takes all of its requests.
    #[must_use]
    pub fn shadowed(&self) -> Vec<(u32, u32)> {
        let takes_all =
            |early: &Rule<T>, late: &Rule<T>| early.conditions.iter().all(|wide| late.conditions.iter().any(|narrow| wide.covers(narrow)));
        let earlier = |index: usize| self.rules[..index].iter().find(|early| takes_all(early, &self.rules[index]));
        (0..self.rules.len()).filter_map(|index| Some((self.rules[index].priority, earlier(index)?.priority))).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.rules.iter().map(|rule| &rule.then).chain([&self.default])
    }

    fn position(&self, request: &RequestView<'_>, path: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule.conditions.iter().all(|condition| condition.holds(request, path)))
    }
}

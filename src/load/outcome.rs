//! What came of a run: the record of all threads, and what it was made with.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::figures;
use super::plan::{Connections, Load, PeopleFrom, Plan, Version, shown};
use super::record::Record;

/// Everything that tables, JSON and reports tell. It holds no cookie, no token and no query.
pub struct Outcome {
    pub(super) started: String,
    pub(super) method: String,
    pub(super) pages: Vec<String>,
    pub(super) addresses: Vec<String>,
    pub(super) version: Version,
    pub(super) load: Load,
    pub(super) duration: Duration,
    pub(super) warm_up: Duration,
    pub(super) requests: Option<u64>,
    pub(super) timeout: Duration,
    pub(super) threads: usize,
    pub(super) sessions: usize,
    pub(super) people: &'static str,
    pub(super) connections: Connections,
    pub(super) sign_ins: SignIns,
    pub(super) ended_early: bool,
    pub(super) notes: Vec<String>,
    pub(super) record: Record,
    /// For how long it was measured.
    pub(super) measured: Duration,
}

/// The sign-ins before the load.
pub(super) struct SignIns {
    pub(super) took: Duration,
    pub(super) each: Histogram<u64>,
}

/// What the run was like beside what the plan says.
pub(super) struct Circumstances {
    pub(super) started: String,
    pub(super) addresses: Vec<String>,
    pub(super) version: Version,
    pub(super) threads: usize,
    pub(super) sign_ins: SignIns,
    pub(super) ended_early: bool,
    pub(super) stopped_after: Duration,
    pub(super) notes: Vec<String>,
}

impl Outcome {
    pub(super) fn of(plan: &Plan, record: Record, circumstances: Circumstances) -> Self {
        let Circumstances { started, addresses, version, threads, sign_ins, ended_early, stopped_after, notes } = circumstances;
        let reached = plan.requests.is_some_and(|most| record.requests() >= most);
        // Where the number of requests ended it, the time that they took is what counts.
        let measured = match (ended_early, reached) {
            (true, _) => stopped_after.saturating_sub(plan.warm_up).min(plan.duration),
            (false, true) => record.last.max(plan.needed().unwrap_or_default()).min(plan.duration),
            (false, false) => plan.duration,
        };
        let mut outcome = Self {
            started,
            method: plan.method.to_string(),
            pages: plan.pages.iter().map(|page| shown(&page.url)).collect(),
            addresses,
            version,
            load: plan.load,
            duration: plan.duration,
            warm_up: plan.warm_up,
            requests: plan.requests,
            timeout: plan.timeout,
            threads,
            sessions: plan.sessions,
            people: plan.people.kind(),
            connections: plan.connections(version),
            sign_ins,
            ended_early,
            notes,
            record,
            measured,
        };
        outcome.notes.extend(outcome.warnings());
        outcome
    }

    /// What makes the figures mean something else than they seem to.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.keeps_up() {
            warnings.push(format!(
                "This generator did not keep up: it was {} late at the 99th percentile, which is in the response times. Ask for a lower rate, or run it on a faster or a quieter machine.",
                figures::whole_time(self.lag())
            ));
        }
        if self.record.processor > BUSY {
            warnings.push(format!(
                "This generator used {:.0} % of a processor: the target may be faster than these figures. Use more --threads, or another machine.",
                self.record.processor * 100.0
            ));
        }
        if !self.load.is_open() {
            warnings.push(
                "Closed loop: while an answer is late, nobody else asks, so slow moments are met less often than visitors meet them (coordinated omission). Use --rate to see what they see.".to_owned(),
            );
        }
        if self.ended_early {
            warnings.push(format!("Ended early, after {}.", figures::seconds(self.measured)));
        }
        warnings
    }

    /// Microseconds, at the 99th percentile.
    pub(super) fn lag(&self) -> u64 {
        self.record.lag.value_at_percentile(99.0)
    }

    /// Whether requests were sent when they should have been.
    pub(super) fn keeps_up(&self) -> bool {
        self.lag() <= LAG_ALLOWED
    }

    /// Answers each second.
    pub(super) fn rate(&self) -> f64 {
        self.per_second(self.record.in_time as f64)
    }

    pub(super) fn per_second(&self, number: f64) -> f64 {
        let seconds = self.measured.as_secs_f64();
        if seconds > 0.0 { number / seconds } else { 0.0 }
    }

    /// Requests that were not answered as expected.
    pub(super) fn errors(&self) -> u64 {
        self.record.requests() - self.record.good
    }

    /// Whether anything went as it should.
    pub fn has_good_answers(&self) -> bool {
        self.record.good > 0
    }
}

impl PeopleFrom {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::SignIn(_) => "signed in",
            Self::Ready(_) => "with cookies or tokens of their own",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Microseconds. A machine that has time sends within one or two hundred of them.
const LAG_ALLOWED: u64 = 5_000;
/// Of a processor.
const BUSY: f64 = 0.95;

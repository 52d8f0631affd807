//! What one thread has measured. Threads keep records of their own and put them together at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::verdict::Verdict;

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Failure {
    /// Neither before nor after it was sent was there an answer in time.
    Timeout,
    /// The connection was not made.
    Connect,
    Tls,
    /// The connection ended before the answer did.
    Closed,
    /// What came is no HTTP.
    Protocol,
}

/// A stretch of the run, by the times at which requests should have been sent and at which they ended.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) response: Histogram<u64>,
    pub(super) ended: u64,
    pub(super) failed: u64,
}

/// Times are microseconds.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// From when a request should have been sent to the last octet of its answer; those without an answer in time count with that time.
    pub(super) response: Histogram<u64>,
    /// From when it was sent.
    pub(super) service: Histogram<u64>,
    pub(super) tcp: Histogram<u64>,
    pub(super) tls: Histogram<u64>,
    /// How late this generator itself was.
    pub(super) lag: Histogram<u64>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) failures: BTreeMap<Failure, u64>,
    pub(super) good: u64,
    pub(super) signed_out: u64,
    pub(super) other_status: u64,
    pub(super) other_text: u64,
    pub(super) octets: u64,
    /// Answers within the time that was measured.
    pub(super) in_time: u64,
    pub(super) warm_up: u64,
    pub(super) connections_failed: u64,
    pub(super) stretches: Vec<Stretch>,
    pub(super) stretch: Duration,
    /// When the last request ended, from the beginning of what is measured.
    pub(super) last: Duration,
    /// The share of a processor that this thread used.
    pub(super) processor: f64,
}

impl Record {
    /// For a run of this length.
    pub(super) fn new(length: Duration) -> Result<Self, hdrhistogram::CreationError> {
        let fine = || Histogram::<u64>::new(3);
        Ok(Self {
            response: fine()?,
            service: fine()?,
            tcp: fine()?,
            tls: fine()?,
            lag: fine()?,
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            good: 0,
            signed_out: 0,
            other_status: 0,
            other_text: 0,
            octets: 0,
            in_time: 0,
            warm_up: 0,
            connections_failed: 0,
            stretches: Vec::new(),
            stretch: Duration::from_secs(length.as_secs().div_ceil(MOST_STRETCHES).max(1)),
            last: Duration::ZERO,
            processor: 0.0,
        })
    }

    /// An answer, by the times at which it was due and ended.
    pub(super) fn answered(&mut self, due: Duration, ended: Duration, service: Duration, status: u16, octets: u64, verdict: Verdict) {
        let count = match verdict {
            Verdict::Good => &mut self.good,
            Verdict::SignedOut => &mut self.signed_out,
            Verdict::Status => &mut self.other_status,
            Verdict::Text => &mut self.other_text,
        };
        *count += 1;
        *self.statuses.entry(status).or_default() += 1;
        self.octets += octets;
        note(&mut self.service, service);
        self.ended(due, ended, true, verdict == Verdict::Good);
    }

    /// No answer.
    pub(super) fn failed(&mut self, due: Duration, ended: Duration, failure: Failure) {
        *self.failures.entry(failure).or_default() += 1;
        // Whoever gave up has waited at least that long; leaving that out would make a bad answer look better than a slow one.
        self.ended(due, ended, failure == Failure::Timeout, false);
    }

    fn ended(&mut self, due: Duration, ended: Duration, has_waited: bool, is_good: bool) {
        self.last = self.last.max(ended);
        let taken = ended.saturating_sub(due);
        if has_waited {
            note(&mut self.response, taken);
            if let Some(stretch) = self.stretch_at(due) {
                note(&mut stretch.response, taken);
            }
        }
        if let Some(stretch) = self.stretch_at(ended) {
            stretch.ended += u64::from(is_good);
            stretch.failed += u64::from(!is_good);
        }
    }

    fn stretch_at(&mut self, time: Duration) -> Option<&mut Stretch> {
        let at = usize::try_from(time.as_nanos() / self.stretch.as_nanos()).ok()?;
        while self.stretches.len() <= at {
            self.stretches.push(Stretch { response: Histogram::new(2).ok()?, ended: 0, failed: 0 });
        }
        self.stretches.get_mut(at)
    }

    pub(super) fn add(&mut self, other: &Self) -> Result<(), hdrhistogram::AdditionError> {
        for (mine, theirs) in [
            (&mut self.response, &other.response),
            (&mut self.service, &other.service),
            (&mut self.tcp, &other.tcp),
            (&mut self.tls, &other.tls),
            (&mut self.lag, &other.lag),
        ] {
            mine.add(theirs)?;
        }
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        for (mine, theirs) in [
            (&mut self.good, other.good),
            (&mut self.signed_out, other.signed_out),
            (&mut self.other_status, other.other_status),
            (&mut self.other_text, other.other_text),
            (&mut self.octets, other.octets),
            (&mut self.in_time, other.in_time),
            (&mut self.warm_up, other.warm_up),
            (&mut self.connections_failed, other.connections_failed),
        ] {
            *mine += theirs;
        }
        for (at, theirs) in other.stretches.iter().enumerate() {
            match self.stretches.get_mut(at) {
                Some(mine) => {
                    mine.response.add(&theirs.response)?;
                    mine.ended += theirs.ended;
                    mine.failed += theirs.failed;
                }
                None => self.stretches.push(theirs.clone()),
            }
        }
        self.last = self.last.max(other.last);
        self.processor = self.processor.max(other.processor);
        Ok(())
    }

    pub(super) fn failures_in_all(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Requests that ended, one way or the other.
    pub(super) fn requests(&self) -> u64 {
        self.good + self.signed_out + self.other_status + self.other_text + self.failures_in_all()
    }
}

impl Failure {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Timeout => "no answer in time",
            Self::Connect => "not connected",
            Self::Tls => "TLS failed",
            Self::Closed => "connection closed",
            Self::Protocol => "not HTTP",
        }
    }
}

/// Puts a time into a histogram, which grows with it.
pub(super) fn note(histogram: &mut Histogram<u64>, time: Duration) {
    let _ = histogram.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

/// A point of a chart for each.
const MOST_STRETCHES: u64 = 600;

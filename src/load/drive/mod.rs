//! The load itself: threads that each have people, connections and a record of their own.

mod carry;
mod lane;
mod person;
mod schedule;
mod worker;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{HeaderMap, Method};

use super::dial::Dialer;
use super::people::Person;
use super::plan::{Load, Page, Plan, Version};
use super::record::{Record, note};
use super::verdict::Judge;
use schedule::Schedule;

/// What all threads know.
pub(super) struct Drive {
    pub(super) pages: Vec<Page>,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) load: Load,
    pub(super) requests: Option<u64>,
    pub(super) timeout: Duration,
    pub(super) dialer: Dialer,
    pub(super) judge: Judge,
    pub(super) begin: Instant,
    /// From here on it is measured.
    pub(super) from: Instant,
    pub(super) end: Instant,
    /// How long what is measured will take, as far as that is known.
    pub(super) length: Duration,
    /// One for each thread, so that they do not wait for each other.
    pub(super) lives: Vec<Live>,
    stop: AtomicBool,
    /// Requests of a closed loop that are measured.
    tickets: AtomicU64,
}

/// What can be seen while it runs.
#[derive(Default)]
pub(super) struct Live {
    pub(super) ended: AtomicU64,
    pub(super) bad: AtomicU64,
    pub(super) waiting: AtomicU64,
    recent: Mutex<Option<Histogram<u64>>>,
}

/// What one thread has to do.
pub(super) struct Share {
    /// In groups that have their connections together, each with its number in all.
    groups: Vec<Group>,
    sessions: usize,
    concurrency: usize,
    /// Whom a closed loop lets ask, in turn: places in `groups`.
    turns: VecDeque<usize>,
}

struct Group {
    people: Vec<(usize, Person)>,
    connections: usize,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum DriveError {
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error("a thread has ended before its time")]
    Lost,
    #[error("the figures of the threads cannot be put together: {0}")]
    Add(#[from] hdrhistogram::AdditionError),
    #[error("the figures cannot be kept: {0}")]
    Create(#[from] hdrhistogram::CreationError),
}

impl Drive {
    pub(super) fn new(plan: &Plan, dialer: Dialer, judge: Judge, begin: Instant, threads: usize) -> Self {
        let mut headers = plan.headers.clone();
        headers.entry(http::header::USER_AGENT).or_insert(http::HeaderValue::from_static(super::client::USER_AGENT));
        headers.entry(http::header::ACCEPT).or_insert(http::HeaderValue::from_static("*/*"));
        Self {
            pages: plan.pages.clone(),
            method: plan.method.clone(),
            headers,
            body: plan.body.clone(),
            load: plan.load,
            requests: plan.requests,
            timeout: plan.timeout,
            dialer,
            judge,
            begin,
            from: begin + plan.warm_up,
            end: begin + plan.length(),
            length: plan.needed().map_or(plan.duration, |needed| needed.min(plan.duration)),
            lives: (0..threads).map(|_| Live::default()).collect(),
            stop: AtomicBool::new(false),
            tickets: AtomicU64::new(0),
        }
    }

    /// Ends it early: nothing more is sent.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether one more request of a closed loop may begin now.
    fn takes_another(&self, now: Instant) -> bool {
        if self.is_stopped() || now >= self.end {
            return false;
        }
        now < self.from || self.requests.is_none_or(|most| self.tickets.fetch_add(1, Ordering::Relaxed) < most)
    }

    /// Runs to the end, on threads of its own.
    pub(super) fn run(self: &Arc<Self>, shares: Vec<Share>) -> Result<Record, DriveError> {
        let threads: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(number, share)| {
                let drive = self.clone();
                std::thread::Builder::new().name("bench".to_owned()).spawn(move || worker::work(&drive, number, share))
            })
            .collect::<Result<_, _>>()?;
        let mut whole = Record::new(self.length)?;
        for thread in threads {
            whole.add(&thread.join().map_err(|_| DriveError::Lost)??)?;
        }
        Ok(whole)
    }
}

impl Live {
    fn note(&self, taken: Duration, is_good: bool) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.bad.fetch_add(u64::from(!is_good), Ordering::Relaxed);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.is_none() {
            *recent = Histogram::new(2).ok();
        }
        if let Some(histogram) = recent.as_mut() {
            note(histogram, taken);
        }
    }

    /// Response times since this was asked last.
    pub(super) fn recent(&self) -> Option<Histogram<u64>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Divides people, connections and concurrency among threads.
pub(super) fn shares(plan: &Plan, people: Vec<Person>, version: Version) -> Vec<Share> {
    let connections = plan.connections(version);
    let sessions = people.len().max(1);
    let groups = connections.groups.min(sessions);
    let mut threads = plan.threads.clamp(1, groups);
    let mut concurrency = 0;
    if let Load::Concurrency(asked) = plan.load {
        concurrency = asked;
        threads = threads.min(asked);
    }
    let mut shares: Vec<Share> =
        (0..threads).map(|_| Share { groups: Vec::new(), sessions, concurrency: 0, turns: VecDeque::new() }).collect();
    let mut made: Vec<Group> = (0..groups)
        .map(|group| Group { people: Vec::new(), connections: connections.most / groups + usize::from(group < connections.most % groups) })
        .collect();
    for (number, person) in people.into_iter().enumerate() {
        made[number % groups].people.push((number, person));
    }
    for (number, group) in made.into_iter().enumerate() {
        shares[number % threads].groups.push(group);
    }
    for (number, share) in shares.iter_mut().enumerate() {
        let own: Vec<usize> = share.people().map(|(number, _)| *number).collect();
        // As often as the person is to ask at a time; with fewer at a time than people, each in turn.
        let mut turns: Vec<(usize, usize)> = Vec::new();
        for (place, person) in own.into_iter().enumerate() {
            turns.extend((person..sessions.max(concurrency)).step_by(sessions).map(|turn| (turn, place)));
        }
        turns.sort_unstable();
        share.concurrency =
            if concurrency >= sessions { turns.len() } else { concurrency / threads + usize::from(number < concurrency % threads) };
        share.turns = turns.into_iter().map(|(_, place)| place).collect();
    }
    shares
}

impl Share {
    fn people(&self) -> impl Iterator<Item = &(usize, Person)> {
        self.groups.iter().flat_map(|group| &group.people)
    }

    /// When its people are to ask, where that is fixed in advance.
    fn schedule(&self, drive: &Drive) -> Option<Schedule> {
        let Load::Rate(rate) = drive.load else { return None };
        let people = self.people().map(|(number, _)| *number as u64).collect();
        Some(Schedule::new(rate, drive, self.sessions as u64, people))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_and_no_connection_is_lost_among_threads() {
        for (sessions, concurrency, threads, most) in
            [(3, 8, 2, None), (50, 10, 4, None), (1, 1, 8, None), (7, 20, 3, Some(5)), (5, 2, 5, Some(64))]
        {
            let plan = crate::load::run::tests::plan(sessions, Load::Concurrency(concurrency), threads, most);
            let people = (0..sessions).map(|number| Person::new(number.to_string())).collect();
            let shares = shares(&plan, people, Version::Http1);
            let sum = |of: &dyn Fn(&Share) -> usize| shares.iter().map(of).sum::<usize>();
            assert_eq!(sum(&|share| share.people().count()), sessions);
            assert_eq!(sum(&|share| share.concurrency), concurrency, "{sessions} {concurrency} {threads}");
            assert_eq!(sum(&|share| share.turns.len()), sessions.max(concurrency));
            let connections = sum(&|share| share.groups.iter().map(|group| group.connections).sum());
            assert_eq!(connections, most.unwrap_or(sessions.max(concurrency)));
            assert!(shares.iter().all(|share| share.concurrency > 0 && share.concurrency <= share.turns.len()));
        }
    }
}

//! One thread of the load: takes what is due to connections, and writes down what came of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::Uri;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{Notify, mpsc};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout_at;

use super::lane::{Arrival, Lane};
use super::person::Asker;
use super::schedule::Schedule;
use super::{Drive, DriveError, Live, Share};
use crate::load::connection::Reply;
use crate::load::record::{Failure, Record, note};
use crate::load::verdict::Verdict;

pub(super) struct Worker {
    pub(super) drive: Arc<Drive>,
    number: usize,
    pub(super) people: Vec<Asker>,
    pub(super) lanes: Vec<Lane>,
    pub(super) record: RefCell<Record>,
    /// Arrived and not ended.
    outstanding: Cell<u64>,
    settled: Notify,
    /// People that a closed loop may let ask next.
    turns: RefCell<VecDeque<usize>>,
    rounds: Cell<usize>,
    /// Turns of a closed loop that go on.
    going: Cell<usize>,
    pub(super) dialed: Cell<usize>,
    /// What is asked for, page by page: over HTTP/1.1, and over HTTP/2.
    pub(super) uris: Vec<(Uri, Uri)>,
}

/// Does its share and answers what it has measured.
pub(super) fn work(drive: &Arc<Drive>, number: usize, share: Share) -> Result<Record, DriveError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let before = processor_time();
    let begin = Instant::now();
    let schedule = share.schedule(drive);
    let concurrency = share.concurrency;
    let worker = Rc::new(Worker::new(drive, number, share)?);
    LocalSet::new().block_on(&runtime, async {
        match schedule {
            Some(schedule) => worker.open_loop(schedule).await?,
            None => worker.closed_loop(concurrency).await,
        }
        let used = processor_time().saturating_sub(before).as_secs_f64();
        worker.record.borrow_mut().processor = used / begin.elapsed().as_secs_f64().max(f64::EPSILON);
        worker.drain().await;
        Ok::<_, DriveError>(())
    })?;
    let record = worker.record.borrow().clone();
    Ok(record)
}

impl Worker {
    fn new(drive: &Arc<Drive>, number: usize, share: Share) -> Result<Self, DriveError> {
        let lanes = share.groups.iter().map(|group| Lane::new(group.connections)).collect();
        let people = share.groups.into_iter().enumerate().flat_map(|(at, group)| {
            let asker = move |(number, person)| Asker::new(number, at, person, drive);
            group.people.into_iter().map(asker)
        });
        Ok(Self {
            people: people.collect(),
            lanes,
            number,
            record: RefCell::new(Record::new(drive.length)?),
            outstanding: Cell::new(0),
            settled: Notify::new(),
            turns: RefCell::new(share.turns),
            rounds: Cell::new(0),
            going: Cell::new(0),
            uris: drive.pages.iter().map(|page| (page.path.clone().into(), page.whole())).collect(),
            dialed: Cell::new(number),
            drive: drive.clone(),
        })
    }

    async fn open_loop(self: &Rc<Self>, schedule: Schedule) -> Result<(), DriveError> {
        let (sender, mut due) = mpsc::unbounded_channel();
        let (keeper, drive) = (schedule.clone(), self.drive.clone());
        let thread = std::thread::Builder::new().name("bench clock".to_owned()).spawn(move || keeper.keep(&drive, &sender))?;
        let mut index = 0;
        while let Some(until) = due.recv().await {
            while index < until {
                let Some(due) = schedule.due(index) else { break };
                if due >= self.drive.from {
                    note(&mut self.record.borrow_mut().lag, due.elapsed());
                }
                let (round, person) = schedule.turn(index);
                self.arrive(due, person, usize::try_from(round).unwrap_or_default());
                index += 1;
            }
        }
        thread.join().map_err(|_| DriveError::Lost)
    }

    async fn closed_loop(self: &Rc<Self>, concurrency: usize) {
        tokio::time::sleep_until(self.drive.begin.into()).await;
        self.going.set(concurrency);
        for _ in 0..concurrency {
            self.next_turn();
        }
        while self.going.get() > 0 && !self.drive.is_stopped() {
            let _ = tokio::time::timeout(LOOK_FOR_STOP, self.settled.notified()).await;
        }
    }

    /// Lets somebody ask, if there is anything left to ask for.
    fn next_turn(self: &Rc<Self>) {
        let now = Instant::now();
        if !self.drive.takes_another(now) {
            self.going.set(self.going.get().saturating_sub(1));
            return self.settled.notify_one();
        }
        let Some(person) = self.turns.borrow_mut().pop_front() else { return };
        self.rounds.set(self.rounds.get() + 1);
        self.arrive(now, person, self.rounds.get() / self.people.len().max(1));
    }

    fn arrive(self: &Rc<Self>, due: Instant, person: usize, round: usize) {
        let asker = &self.people[person];
        let page = (round + asker.number) % self.drive.pages.len();
        self.outstanding.set(self.outstanding.get() + 1);
        self.live().waiting.fetch_add(1, Ordering::Relaxed);
        self.lanes[asker.group].waiting.borrow_mut().push_back(Arrival { due, person, page, tries: 0 });
        self.provide(asker.group);
    }

    pub(super) fn answered(self: &Rc<Self>, arrival: &Arrival, sent: Instant, reply: &Reply) {
        let now = Instant::now();
        let asker = &self.people[arrival.person];
        asker.keep(&reply.headers, &self.drive.pages[arrival.page]);
        let verdict = self.drive.judge.judge(reply.status, &reply.headers, &reply.body, asker.needle.as_deref());
        if let Some((due, ended)) = self.measured(arrival, now) {
            let mut record = self.record.borrow_mut();
            record.in_time += u64::from(now <= self.drive.end);
            record.answered(due, ended, now.saturating_duration_since(sent), reply.status.as_u16(), reply.octets, verdict);
        }
        self.settle(arrival, now, verdict == Verdict::Good);
        self.turn_over(arrival.person);
    }

    pub(super) fn fail(self: &Rc<Self>, arrival: &Arrival, failure: Failure) {
        let now = Instant::now();
        if let Some((due, ended)) = self.measured(arrival, now) {
            self.record.borrow_mut().failed(due, ended, failure);
        }
        self.settle(arrival, now, false);
        // Where nothing answers, a closed loop would only count how fast that can be found out.
        let (worker, person) = (self.clone(), arrival.person);
        if !self.drive.load.is_open() {
            spawn_local(async move {
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                worker.turn_over(person);
            });
        }
    }

    /// When it was due and when it ended, from the beginning of what is measured; the warm-up is only counted.
    fn measured(&self, arrival: &Arrival, now: Instant) -> Option<(Duration, Duration)> {
        let from = self.drive.from;
        if arrival.due < from {
            self.record.borrow_mut().warm_up += 1;
            return None;
        }
        Some((arrival.due - from, now.saturating_duration_since(from)))
    }

    fn settle(&self, arrival: &Arrival, now: Instant, is_good: bool) {
        self.outstanding.set(self.outstanding.get().saturating_sub(1));
        self.live().waiting.fetch_sub(1, Ordering::Relaxed);
        self.live().note(now.saturating_duration_since(arrival.due), is_good);
        if self.outstanding.get() == 0 {
            self.settled.notify_one();
        }
    }

    fn turn_over(self: &Rc<Self>, person: usize) {
        if !self.drive.load.is_open() {
            self.turns.borrow_mut().push_back(person);
            self.next_turn();
        }
    }

    /// What was sent may be answered; what nobody took in time has failed.
    async fn drain(self: &Rc<Self>) {
        let patience = if self.drive.is_stopped() { self.drive.timeout.min(PATIENCE_AFTER_STOP) } else { self.drive.timeout };
        // Each request knows itself when it is late: this only is for what does not end.
        let limit = tokio::time::Instant::now() + patience + GRACE;
        while self.outstanding.get() > 0 && tokio::time::Instant::now() < limit {
            let _ = timeout_at(limit, self.settled.notified()).await;
        }
        for lane in &self.lanes {
            for arrival in lane.close() {
                self.fail(&arrival, Failure::Timeout);
            }
        }
    }

    fn live(&self) -> &Live {
        &self.drive.lives[self.number]
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);
const PATIENCE_AFTER_STOP: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(1);
const LOOK_FOR_STOP: Duration = Duration::from_millis(100);

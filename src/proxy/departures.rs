//! Targets that have left their group, by a reload or because their name leads elsewhere: no new request goes to them, and those that
//! run may finish until the deregistration delay is over (ALB: deregistration_delay.timeout_seconds). And answers that nobody takes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use super::backlog::{MayHold, to_be_ended};
use super::ending::Ending;
use crate::gateway::{Outstanding, TargetGroup};

/// What runs where, and what has left.
#[derive(Default)]
pub struct Departures {
    running: [Mutex<Slab<Running>>; SHARDS],
    turn: AtomicUsize,
    gone: Mutex<Vec<Gone>>,
}

struct Running {
    group: Arc<TargetGroup>,
    index: usize,
    socket: Option<SocketAddr>,
    ending: Arc<Ending>,
    may_hold: MayHold,
}

struct Gone {
    group: String,
    target: String,
    /// One of the addresses behind a name; `None`: the target with all of them.
    socket: Option<SocketAddr>,
    due: Instant,
}

/// One request at a target; forgotten when this is dropped.
pub(super) struct InFlight {
    departures: Arc<Departures>,
    shard: usize,
    place: usize,
}

impl Departures {
    /// From now on no request goes there.
    pub fn leaves(&self, group: &TargetGroup, target: &str, socket: Option<SocketAddr>) {
        self.returns(&group.name, target, socket);
        let due = Instant::now() + group.deregistration_delay;
        locked(&self.gone).push(Gone { group: group.name.clone(), target: target.to_owned(), socket, due });
    }

    /// It is back before its delay was over.
    pub fn returns(&self, group: &str, target: &str, socket: Option<SocketAddr>) {
        locked(&self.gone).retain(|gone| gone.group != group || gone.target != target || gone.socket != socket);
    }

    /// Ends what has not finished in time, and answers that nobody takes where there are too many. To be called every `SWEEP`.
    pub fn sweep(&self) {
        self.end_untaken();
        self.end_departed();
    }

    fn end_untaken(&self) {
        let mut endings = Vec::new();
        let mut held = Vec::new();
        let now = Instant::now();
        for shard in &self.running {
            for running in locked(shard).iter().map(|(_, running)| running) {
                if let Some(of_this) = running.ending.backlog.held(running.may_hold, now) {
                    held.push(of_this);
                    endings.push(running.ending.clone());
                }
            }
        }
        for index in to_be_ended(&held) {
            endings[index].comes_now("ClientTooSlow");
        }
    }

    fn end_departed(&self) {
        let mut gone = locked(&self.gone);
        if gone.is_empty() {
            return;
        }
        let now = Instant::now();
        let (due, waiting): (Vec<Gone>, Vec<Gone>) = gone.drain(..).partition(|gone| gone.due <= now);
        *gone = waiting;
        drop(gone);
        for shard in self.running.iter().filter(|_| !due.is_empty()) {
            for running in locked(shard).iter().map(|(_, running)| running).filter(|running| due.iter().any(|gone| gone.is_of(running))) {
                running.ending.comes_now("TargetDeregistered");
            }
        }
    }

    pub(super) fn begins(
        self: &Arc<Self>,
        group: &Arc<TargetGroup>,
        outstanding: &Outstanding,
        ending: Arc<Ending>,
        may_hold: MayHold,
    ) -> InFlight {
        let shard = self.turn.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let socket = outstanding.target().socket(outstanding.turn);
        let running = Running { group: group.clone(), index: outstanding.index, socket, ending, may_hold };
        let place = locked(&self.running[shard]).insert(running);
        InFlight { departures: self.clone(), shard, place }
    }
}

impl Gone {
    fn is_of(&self, running: &Running) -> bool {
        self.group == running.group.name
            && self.target == running.group.targets[running.index].name
            && (self.socket.is_none() || self.socket == running.socket)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // What it holds is let go of behind the lock.
        let running = locked(&self.departures.running[self.shard]).try_remove(self.place);
        drop(running);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often to look whether a delay is over.
pub const SWEEP: Duration = Duration::from_millis(500);
/// Requests of several threads seldom meet.
const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;

    use super::*;
    use crate::clock::UnixTime;
    use crate::gateway::{Algorithm, Balance, ProtocolVersion, Target, TargetAddress, TargetTimeouts, Wanted};

    const NO_LIMIT: MayHold = MayHold { listener: 0, octets: u64::MAX, time: Duration::ZERO };

    fn group(delay: Duration) -> Arc<TargetGroup> {
        let sockets = vec![SocketAddr::from(([10, 0, 0, 1], 80)), SocketAddr::from(([10, 0, 0, 2], 80))];
        let address = TargetAddress::Inet { host: "app.internal".to_owned(), port: 80, resolved: ArcSwap::from_pointee(sockets) };
        Arc::new(TargetGroup {
            name: "app".to_owned(),
            id: 0,
            protocol_version: ProtocolVersion::Http1,
            tls: None,
            timeouts: TargetTimeouts { connect: Duration::ZERO, response: Duration::ZERO, idle: Duration::ZERO },
            health_check: None,
            deregistration_delay: delay,
            stickiness: None,
            balance: Balance::new(Algorithm::RoundRobin, Duration::ZERO),
            targets: vec![Target::new(address, "app.internal:80".to_owned(), 1)],
        })
    }

    /// A request at each of the two addresses, and whether it was ended.
    fn ended_after(delay: Duration, happens: impl Fn(&Departures, &TargetGroup, SocketAddr)) -> [bool; 2] {
        let (departures, group) = (Arc::<Departures>::default(), group(delay));
        let running: Vec<_> = (0..2)
            .map(|_| {
                let outstanding = group.pick(Wanted { sticky: None, tried: &[], random: 0, now: UnixTime(1) }).unwrap();
                let (ending, socket) = (Arc::<Ending>::default(), outstanding.target().socket(outstanding.turn).unwrap());
                (departures.begins(&group, &outstanding, ending.clone(), NO_LIMIT), ending, socket)
            })
            .collect();
        happens(&departures, &group, running[0].2);
        departures.sweep();
        [0, 1].map(|index| running[index].1.reason() == Some("TargetDeregistered"))
    }

    #[test]
    fn an_address_that_its_name_has_left_ends_what_runs_there_alone() {
        let name = "app.internal:80";
        assert_eq!(ended_after(Duration::ZERO, |departures, group, first| departures.leaves(group, name, Some(first))), [true, false]);
        assert_eq!(ended_after(Duration::ZERO, |departures, group, _| departures.leaves(group, name, None)), [true, true]);
        assert_eq!(ended_after(Duration::ZERO, |departures, group, _| departures.leaves(group, "other:80", None)), [false, false]);
        assert_eq!(ended_after(Duration::from_secs(300), |departures, group, _| departures.leaves(group, name, None)), [false, false]);
        let returned = |departures: &Departures, group: &TargetGroup, first: SocketAddr| {
            departures.leaves(group, name, Some(first));
            departures.returns(&group.name, name, Some(first));
        };
        assert_eq!(ended_after(Duration::ZERO, returned), [false, false], "it is back");
    }

    #[test]
    fn requests_that_have_ended_are_forgotten() {
        let (departures, group) = (Arc::<Departures>::default(), group(Duration::ZERO));
        let outstanding = group.pick(Wanted { sticky: None, tried: &[], random: 0, now: UnixTime(1) }).unwrap();
        drop(departures.begins(&group, &outstanding, Arc::default(), NO_LIMIT));
        assert!(departures.running.iter().all(|shard| locked(shard).is_empty()));
    }
}

//! When requests of an open loop should be sent: fixed before the first one is.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::Drive;

/// The arrivals of one thread, out of those of all: number `n` is due at `n / rate`, for person `n mod sessions`.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    rate: f64,
    begin: Instant,
    end: Instant,
    /// How many there are in all, of which some may be of the warm-up.
    most: u64,
    sessions: u64,
    /// The people of this thread, by their numbers among all.
    people: Vec<u64>,
}

impl Schedule {
    pub(super) fn new(rate: f64, drive: &Drive, sessions: u64, people: Vec<u64>) -> Self {
        let begin = drive.begin;
        let warm_up = first_after(drive.from.saturating_duration_since(begin), rate);
        let most = drive.requests.map_or(u64::MAX, |requests| warm_up.saturating_add(requests));
        Self { rate, begin, end: drive.end, most, sessions, people }
    }

    /// When arrival `index` of this thread is due; `None` after the last.
    pub(super) fn due(&self, index: u64) -> Option<Instant> {
        let (round, person) = self.place(index)?;
        let number = round.checked_mul(self.sessions)?.checked_add(person)?;
        let due = self.begin + Duration::try_from_secs_f64(number as f64 / self.rate).ok()?;
        (number < self.most && due < self.end).then_some(due)
    }

    /// How often everybody has been asked for before, and which of this thread's people is next.
    pub(super) fn turn(&self, index: u64) -> (u64, usize) {
        let people = self.people.len().max(1) as u64;
        (index / people, usize::try_from(index % people).unwrap_or_default())
    }

    fn place(&self, index: u64) -> Option<(u64, u64)> {
        let (round, place) = self.turn(index);
        self.people.get(place).map(|person| (round, *person))
    }

    /// Tells how many arrivals are due, as soon as they are. It sleeps on a thread of its own, since timers of a runtime are a thousandth
    /// of a second coarse, and that much would be counted as the target's.
    pub(super) fn keep(&self, drive: &Drive, sender: &UnboundedSender<u64>) {
        let mut index = 0;
        while let Some(due) = self.due(index) {
            if drive.is_stopped() {
                return;
            }
            let now = Instant::now();
            if due > now {
                std::thread::sleep((due - now).min(LONGEST_SLEEP));
                continue;
            }
            while self.due(index).is_some_and(|due| due <= now) {
                index += 1;
            }
            if sender.send(index).is_err() {
                return;
            }
        }
    }
}

/// The number of the first arrival that is due at `time` or later.
fn first_after(time: Duration, rate: f64) -> u64 {
    (time.as_secs_f64() * rate).ceil() as u64
}

/// So that a run can be ended early.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(people: &[u64], most: u64) -> Schedule {
        let begin = Instant::now();
        Schedule { rate: 1000.0, begin, end: begin + Duration::from_secs(1), most, sessions: 5, people: people.to_vec() }
    }

    fn numbers(schedule: &Schedule) -> Vec<u128> {
        (0..).map_while(|index| schedule.due(index)).map(|due| (due - schedule.begin + Duration::from_micros(1)).as_millis()).collect()
    }

    #[test]
    fn threads_together_have_each_arrival_once() {
        let (one, two) = (schedule(&[0, 2, 4], u64::MAX), schedule(&[1, 3], u64::MAX));
        let mut all = [numbers(&one), numbers(&two)].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<u128>>());
        assert_eq!(one.turn(7), (2, 1));
    }

    #[test]
    fn no_more_are_made_than_were_asked_for() {
        assert_eq!(numbers(&schedule(&[0, 1, 2, 3, 4], 7)).len(), 7);
        assert_eq!(first_after(Duration::from_millis(2500), 2.0), 5);
    }
}

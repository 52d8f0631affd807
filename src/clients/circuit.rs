//! A provider that has stopped answering is left alone for a moment: whoever wants to sign in learns it at once, and the provider is not
//! buried under what has piled up when it comes back (threat I16).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::provider::CallError;

/// Closed while calls are answered, in whatever words.
#[derive(Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Default)]
struct State {
    /// Unanswered calls since the last answer.
    unanswered: u32,
    /// Nobody calls before then; after it one does, and tells how it is.
    open_until: Option<Instant>,
    is_probing: bool,
}

/// One call.
pub(super) struct Attempt<'a> {
    circuit: &'a Circuit,
    is_probe: bool,
}

impl Circuit {
    pub(super) fn attempt(&self, now: Instant) -> Result<Attempt<'_>, CallError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open_until {
            None => Ok(Attempt { circuit: self, is_probe: false }),
            Some(until) if until <= now && !state.is_probing => {
                state.is_probing = true;
                Ok(Attempt { circuit: self, is_probe: true })
            }
            Some(_) => Err(CallError::CoolingDown("it has not answered for a while".to_owned())),
        }
    }
}

impl Attempt<'_> {
    pub(super) fn ends(&self, error: Option<&CallError>, now: Instant) {
        let mut state = self.circuit.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            // What is too large has been answered.
            None | Some(CallError::TooLarge | CallError::CoolingDown(_)) => {
                *state = State { is_probing: state.is_probing, ..State::default() }
            }
            Some(CallError::Timeout | CallError::Connection(_)) => {
                state.unanswered = state.unanswered.saturating_add(1);
                if state.unanswered >= UNANSWERED {
                    state.open_until = Some(now + REST);
                }
            }
        }
    }
}

/// A visitor who goes away takes the probe along: somebody else makes the next one.
impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.circuit.0.lock().unwrap_or_else(PoisonError::into_inner).is_probing = false;
        }
    }
}

const UNANSWERED: u32 = 5;
const REST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn unanswered(circuit: &Circuit, now: Instant) {
        circuit.attempt(now).ok().unwrap().ends(Some(&CallError::Timeout), now);
    }

    #[test]
    fn it_opens_after_some_calls_without_an_answer_and_one_call_closes_it() {
        let (circuit, begin) = (Circuit::default(), Instant::now());
        for _ in 0..UNANSWERED {
            unanswered(&circuit, begin);
        }
        assert!(circuit.attempt(begin + REST - Duration::from_millis(1)).is_err(), "left alone");
        let probe = circuit.attempt(begin + REST).ok().unwrap();
        assert!(circuit.attempt(begin + REST).is_err(), "one asks");
        probe.ends(Some(&CallError::Connection("refused".to_owned())), begin + REST);
        drop(probe);
        assert!(circuit.attempt(begin + REST + Duration::from_secs(1)).is_err(), "still away");
        let probe = circuit.attempt(begin + REST * 2).ok().unwrap();
        probe.ends(None, begin + REST * 2);
        drop(probe);
        for _ in 1..UNANSWERED {
            unanswered(&circuit, begin + REST * 2);
        }
        assert!(circuit.attempt(begin + REST * 2).is_ok(), "closed, and counting anew");
    }

    #[test]
    fn a_probe_whose_visitor_has_gone_away_is_made_by_the_next() {
        let (circuit, begin) = (Circuit::default(), Instant::now());
        for _ in 0..UNANSWERED {
            unanswered(&circuit, begin);
        }
        drop(circuit.attempt(begin + REST).ok().unwrap());
        assert!(circuit.attempt(begin + REST).is_ok());
    }

    #[test]
    fn answers_of_any_kind_keep_it_closed() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..3 * UNANSWERED {
            unanswered(&circuit, now);
            circuit.attempt(now).ok().unwrap().ends(Some(&CallError::TooLarge), now);
        }
        assert!(circuit.attempt(now).is_ok());
    }
}

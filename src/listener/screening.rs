//! What the two sides of a connection tell each other: the screen, which sees the octets before the parser does, and the proxy, which
//! gets requests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::message::Malformed;
use crate::message::head::Oddity;

/// What the screen has to say of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Note {
    /// As it was sent.
    pub oddity: Option<Oddity>,
    /// It is not to be served: what the parser has read stands in for it.
    pub refused: Option<Malformed>,
}

/// Shared between the two sides of one HTTP/1.1 connection.
#[derive(Debug, Default)]
pub struct Screening {
    /// Heads that the parser may have.
    let_through: AtomicU64,
    taken: AtomicU64,
    over: AtomicU64,
    has_notes: AtomicBool,
    notes: Mutex<VecDeque<(u64, Note)>>,
    fault: AtomicU8,
}

impl Screening {
    /// What is to be known of the next request. One that the screen knows nothing of was made of a body: parser and screen do not agree.
    pub fn next(&self) -> Note {
        let number = self.taken.fetch_add(1, Ordering::AcqRel) + 1;
        if number > self.let_through.load(Ordering::Acquire) {
            return Note { oddity: None, refused: Some(Malformed::Framing) };
        }
        if !self.has_notes.load(Ordering::Acquire) {
            return Note::default();
        }
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let note = notes.pop_front_if(|(of, _)| *of == number).map(|(_, note)| note);
        self.has_notes.store(!notes.is_empty(), Ordering::Release);
        note.unwrap_or_default()
    }

    /// Whether the parser's side has something of a request that it has not begun with.
    pub(super) fn has_untaken(&self) -> bool {
        self.let_through.load(Ordering::Acquire) > self.taken.load(Ordering::Acquire)
    }

    /// A request has been answered.
    pub fn is_over(&self) {
        self.over.fetch_add(1, Ordering::AcqRel);
    }

    /// Why the screen has ended a body.
    pub fn fault(&self) -> Option<Malformed> {
        match self.fault.load(Ordering::Acquire) {
            FRAMING => Some(Malformed::Framing),
            SLOW => Some(Malformed::TooSlow),
            _ => None,
        }
    }

    /// The number of the head, counted from 1.
    pub(super) fn let_through(&self, note: Note) -> u64 {
        let number = self.let_through.load(Ordering::Acquire) + 1;
        if note != Note::default() {
            self.notes.lock().unwrap_or_else(PoisonError::into_inner).push_back((number, note));
            self.has_notes.store(true, Ordering::Release);
        }
        self.let_through.store(number, Ordering::Release);
        number
    }

    pub(super) fn has_answered(&self, number: u64) -> bool {
        self.over.load(Ordering::Acquire) >= number
    }

    pub(super) fn fail(&self, why: Malformed) {
        self.fault.store(if why == Malformed::TooSlow { SLOW } else { FRAMING }, Ordering::Release);
    }
}

const FRAMING: u8 = 1;
const SLOW: u8 = 2;

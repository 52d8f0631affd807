//! The octets of an HTTP/1.1 connection, looked at before the parser has them.
//!
//! A head reaches the parser whole, and only if it has one meaning; in place of one that is refused the parser gets a plain one, so that
//! the refusal is answered and logged like every request, and nothing after it is read. Bodies are followed octet by octet: where one
//! ends is decided here. Slow heads and slow bodies end here too (threats D01 to D12, Q03): the parser's time-out begins anew with every byte.

mod stand_in;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use self::stand_in::stand_in;
use super::screening::{Note, Screening};
use crate::config::ListenerLimits;
use crate::message::head::{self, BodyLength, DesyncMitigation, Refusal};
use crate::message::{Chunks, Malformed};

pub(super) struct Screen {
    shared: Arc<Screening>,
    mode: DesyncMitigation,
    limits: ListenerLimits,
    state: State,
    /// Of a head that has not ended.
    collected: Vec<u8>,
    searched: usize,
    empty_lines: u8,
    /// What the parser is to have next, and how much of it it has.
    ready: Vec<u8>,
    given: usize,
    failed: bool,
    timer: Option<Pin<Box<Sleep>>>,
    body: Pace,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Head,
    Octets(u64),
    Chunked(Chunks),
    /// The request with this number may switch to another protocol.
    Opaque {
        request: u64,
        octets: bool,
    },
    /// Whatever comes is read past, so that the answer is not lost to a reset.
    Over {
        discarded: usize,
    },
}

/// How fast a body comes. Only what we wait for counts, not what the target makes us wait.
#[derive(Default)]
struct Pace {
    received: u64,
    waited: Duration,
    since: Option<Instant>,
}

/// What is to be done with the octets at hand.
enum Step {
    Pass(usize),
    Wait,
    /// So many are replaced.
    Replace(usize, Vec<u8>),
    Fail,
}

impl Screen {
    pub(super) fn new(shared: Arc<Screening>, mode: DesyncMitigation, limits: ListenerLimits) -> Self {
        Self {
            shared,
            mode,
            limits,
            state: State::Head,
            collected: Vec::new(),
            searched: 0,
            empty_lines: 0,
            ready: Vec::new(),
            given: 0,
            failed: false,
            timer: None,
            body: Pace::default(),
        }
    }

    pub(super) fn poll_read(
        &mut self,
        mut inner: impl AsyncRead + Unpin,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            if self.failed {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the body is not framed as announced, or too slow")));
            }
            self.resume();
            if self.failed {
                continue;
            }
            if !self.collected.is_empty() || matches!(self.state, State::Over { .. }) {
                // The rest of a head, or what nobody wants.
                let mut piece = [0; PIECE];
                let mut piece = ReadBuf::new(&mut piece);
                if Pin::new(&mut inner).poll_read(context, &mut piece)?.is_pending() {
                    ready!(self.poll_timer(context));
                    continue;
                }
                if piece.filled().is_empty() || self.has_discarded_enough(piece.filled().len()) {
                    self.collected = Vec::new();
                    return Poll::Ready(Ok(()));
                }
                let mut octets = std::mem::take(&mut self.collected);
                octets.extend_from_slice(piece.filled());
                self.digest(octets);
                continue;
            }
            // The usual case: what comes goes on where it is.
            let before = buffer.filled().len();
            if Pin::new(&mut inner).poll_read(context, buffer)?.is_pending() {
                ready!(self.poll_timer(context));
                continue;
            }
            let octets = &buffer.filled()[before..];
            if octets.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let passed = self.pass(octets);
            if passed < octets.len() {
                let rest = octets[passed..].to_vec();
                self.digest(rest);
                buffer.set_filled(before + passed);
            }
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// A request was refused: more may be on its way, and is not looked at.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over { .. })
    }

    /// Hands out what is ready.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let rest = &self.ready[self.given..];
        let count = rest.len().min(buffer.remaining());
        if count == 0 {
            return false;
        }
        buffer.put_slice(&rest[..count]);
        self.given += count;
        if self.given == self.ready.len() {
            self.ready = Vec::new();
            self.given = 0;
        }
        true
    }

    /// How many of the octets may go on as they are.
    fn pass(&mut self, octets: &[u8]) -> usize {
        let mut at = 0;
        while at < octets.len() {
            let before = self.state;
            let Some(count) = self.plain(&octets[at..]) else {
                self.state = before;
                break;
            };
            at += count;
        }
        at
    }

    /// The usual steps.
    fn plain(&mut self, octets: &[u8]) -> Option<usize> {
        if matches!(self.state, State::Head) {
            let end = head::length(octets, 0)?;
            let read = head::read(&octets[..end], self.mode, &self.limits.head).ok().filter(|head| head.normal_form.is_none())?;
            self.begin(&read);
            return Some(end);
        }
        match self.step(octets) {
            Step::Pass(count) => Some(count),
            Step::Wait | Step::Replace(..) | Step::Fail => None,
        }
    }

    /// Everything else: what may go on is made ready, and what has to wait is kept.
    fn digest(&mut self, mut octets: Vec<u8>) {
        let mut at = 0;
        while at < octets.len() {
            match self.step(&octets[at..]) {
                Step::Pass(count) => {
                    self.ready.extend_from_slice(&octets[at..at + count]);
                    at += count;
                }
                Step::Replace(count, form) => {
                    self.ready.extend_from_slice(&form);
                    at += count;
                }
                Step::Wait => {
                    octets.drain(..at);
                    self.collected = octets;
                    return;
                }
                Step::Fail => {
                    self.failed = true;
                    return;
                }
            }
        }
    }

    fn step(&mut self, octets: &[u8]) -> Step {
        match &mut self.state {
            State::Head => self.head(octets),
            State::Octets(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(octets.len());
                *left -= count as u64;
                if *left == 0 {
                    self.state = State::Head;
                }
                self.has_come(count);
                Step::Pass(count)
            }
            State::Chunked(chunks) => match chunks.read(octets) {
                Ok(count) => {
                    if chunks.is_over() {
                        self.state = State::Head;
                    }
                    self.has_come(count);
                    Step::Pass(count)
                }
                Err(_) => {
                    self.shared.fail(Malformed::Framing);
                    Step::Fail
                }
            },
            State::Opaque { octets: some, .. } => {
                *some = true;
                Step::Pass(octets.len())
            }
            State::Over { .. } => Step::Replace(octets.len(), Vec::new()),
        }
    }

    fn head(&mut self, octets: &[u8]) -> Step {
        // RFC 9112 §2.2 asks for patience with an empty line in front, and no more.
        if octets.starts_with(b"\r\n") && self.empty_lines < MOST_EMPTY_LINES {
            self.empty_lines += 1;
            self.searched = 0;
            return Step::Replace(2, Vec::new());
        }
        let Some(end) = head::length(octets, self.searched) else {
            self.searched = octets.len();
            if octets.len() <= self.limits.head.bytes {
                return Step::Wait;
            }
            // It says which limit it is.
            let refusal = head::read(octets, self.mode, &self.limits.head).err().unwrap_or(Malformed::HeaderTooLarge.into());
            return self.refuse(octets, refusal);
        };
        match head::read(&octets[..end], self.mode, &self.limits.head) {
            Ok(mut head) => {
                self.begin(&head);
                match head.normal_form.take() {
                    Some(form) => Step::Replace(end, form),
                    None => Step::Pass(end),
                }
            }
            Err(refusal) => self.refuse(&octets[..end], refusal),
        }
    }

    /// The parser may have this head.
    fn begin(&mut self, head: &head::Head) {
        let request = self.shared.let_through(Note { oddity: head.oddity, refused: None });
        (self.searched, self.empty_lines) = (0, 0);
        self.timer = None;
        self.body = Pace::default();
        self.state = match head.body {
            BodyLength::None if head.offers_upgrade => State::Opaque { request, octets: false },
            BodyLength::None => State::Head,
            BodyLength::Octets(length) => State::Octets(length),
            BodyLength::Chunked => State::Chunked(Chunks::default()),
        };
    }

    /// All that has come is replaced by a head that says no more than who wants an answer in which form.
    fn refuse(&mut self, head: &[u8], Refusal { malformed, oddity }: Refusal) -> Step {
        self.shared.let_through(Note { oddity, refused: Some(malformed) });
        self.timer = None;
        self.state = State::Over { discarded: 0 };
        Step::Replace(head.len(), stand_in(head))
    }

    /// An `Upgrade` that was not accepted: the next request begins, unless what came was never looked at.
    fn resume(&mut self) {
        if let State::Opaque { request, octets } = self.state
            && self.shared.has_answered(request)
        {
            self.state = State::Head;
            self.failed |= octets;
        }
    }

    /// Of a body.
    fn has_come(&mut self, octets: usize) {
        self.timer = None;
        self.body.received += octets as u64;
        if let Some(since) = self.body.since.take() {
            self.body.waited += since.elapsed();
        }
    }

    fn has_discarded_enough(&mut self, more: usize) -> bool {
        let State::Over { discarded } = &mut self.state else { return false };
        *discarded += more;
        *discarded > MOST_DISCARDED
    }

    /// Nothing has come. Ready when that has lasted too long.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = match self.state {
            State::Head if !self.collected.is_empty() => Some(self.limits.header_timeout),
            State::Octets(_) | State::Chunked(_) => self.body.patience(self.limits.minimum_body_rate),
            _ => None,
        };
        let Some(limit) = limit else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(context));
        self.timer = None;
        if matches!(self.state, State::Head) {
            let octets = std::mem::take(&mut self.collected);
            if let Step::Replace(_, form) = self.refuse(&octets, Malformed::TooSlow.into()) {
                self.ready = form;
            }
        } else {
            self.shared.fail(Malformed::TooSlow);
            self.failed = true;
        }
        Poll::Ready(())
    }
}

impl Pace {
    /// How long may still be waited. A client that has not begun may be waiting for a `100 Continue` of the target.
    fn patience(&mut self, octets_a_second: u32) -> Option<Duration> {
        if octets_a_second == 0 || self.received == 0 {
            return None;
        }
        self.since.get_or_insert_with(Instant::now);
        let earned = Duration::from_secs(self.received / u64::from(octets_a_second));
        Some((GRACE + earned).saturating_sub(self.waited))
    }
}

const MOST_EMPTY_LINES: u8 = 2;
/// As much of a head as is usually missing.
const PIECE: usize = 4096;
const MOST_DISCARDED: usize = 16 * 1024 * 1024;
/// Before a body has to come at the least rate.
const GRACE: Duration = Duration::from_secs(20);

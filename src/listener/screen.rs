//! The octets of an HTTP/1.1 connection, looked at before the parser has them.
//!
//! A head reaches the parser whole, and only if it has one meaning; in place of one that is refused the parser gets a plain one, so that
//! the refusal is answered and logged like every request, and nothing after it is read. Bodies are followed octet by octet: where one
//! ends is decided here. Slow heads and slow bodies end here too (threats D01 to D12, Q03): the parser's time-out begins anew with every byte.

mod pace;
mod stand_in;
#[cfg(test)]
mod tests;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep};

use self::pace::Pace;
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
    collected: BytesMut,
    searched: usize,
    empty_lines: u8,
    /// What the parser is to have next.
    ready: BytesMut,
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
            collected: BytesMut::new(),
            searched: 0,
            empty_lines: 0,
            ready: BytesMut::new(),
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
                if ready!(self.poll_more(&mut inner, context))? == 0 {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            // Bodies: what comes goes on where it is.
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
                let rest = BytesMut::from(&octets[passed..]);
                self.digest(rest);
                buffer.set_filled(before + passed);
            }
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Waits for the next head, and hands it out whole, with whatever came right behind it. `None`: there is to be no further request.
    pub(super) fn poll_head(&mut self, mut inner: impl AsyncRead + Unpin, context: &mut Context<'_>) -> Poll<io::Result<Option<BytesMut>>> {
        self.resume();
        loop {
            if !self.ready.is_empty() {
                return Poll::Ready(Ok(Some(std::mem::take(&mut self.ready))));
            }
            // Of a body that nobody has read to its end no head is made.
            if self.failed || !matches!(self.state, State::Head) || ready!(self.poll_more(&mut inner, context))? == 0 {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// Reads on, and digests it. How many octets have come, or one for what has come of waiting too long.
    fn poll_more(&mut self, inner: &mut (impl AsyncRead + Unpin), context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [const { MaybeUninit::uninit() }; PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        if Pin::new(inner).poll_read(context, &mut piece)?.is_pending() {
            ready!(self.poll_timer(context));
            return Poll::Ready(Ok(1));
        }
        let count = piece.filled().len();
        let mut octets = std::mem::take(&mut self.collected);
        if count == 0 || self.has_discarded_enough(count) {
            return Poll::Ready(Ok(0));
        }
        octets.extend_from_slice(piece.filled());
        self.digest(octets);
        Poll::Ready(Ok(count))
    }

    pub(super) fn has_untaken(&self) -> bool {
        self.shared.has_untaken()
    }

    /// A head has begun and not ended.
    pub(super) fn is_in_head(&self) -> bool {
        !self.collected.is_empty()
    }

    /// A request was refused: more may be on its way, and is not looked at.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over { .. })
    }

    /// Hands out what is ready.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let count = self.ready.len().min(buffer.remaining());
        if count == 0 {
            return false;
        }
        buffer.put_slice(&self.ready[..count]);
        self.ready.advance(count);
        if self.ready.is_empty() {
            self.ready = BytesMut::new();
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

    /// What may go on is made ready, and what has to wait is kept; neither is copied.
    fn digest(&mut self, mut octets: BytesMut) {
        while !octets.is_empty() {
            match self.step(&octets) {
                Step::Pass(count) if count == octets.len() => self.make_ready(std::mem::take(&mut octets)),
                Step::Pass(count) => {
                    let some = octets.split_to(count);
                    self.make_ready(some);
                }
                Step::Replace(count, form) => {
                    octets.advance(count);
                    self.ready.extend_from_slice(&form);
                }
                Step::Wait => {
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

    fn make_ready(&mut self, octets: BytesMut) {
        if self.ready.is_empty() {
            self.ready = octets;
        } else {
            self.ready.unsplit(octets);
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
        self.body.has_come(octets);
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
                self.ready = BytesMut::from(&form[..]);
            }
        } else {
            self.shared.fail(Malformed::TooSlow);
            self.failed = true;
        }
        Poll::Ready(())
    }
}

const MOST_EMPTY_LINES: u8 = 2;
/// As much of a head as is usually missing.
const PIECE: usize = 4096;
const MOST_DISCARDED: usize = 16 * 1024 * 1024;

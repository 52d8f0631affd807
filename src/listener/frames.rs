//! The frames of an HTTP/2 connection, counted before the parser has them (RFC 9113 §10.5): requests that are taken back, frames that carry
//! nothing, and blocks of header fields that do not end (CVE-2023-44487, CVE-2019-9511 to 9518, VU#421664).
//!
//! The parser has limits of its own for most of these. None of them is one on time, and a stream that is reset has cost a request by then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::config::ListenerLimits;

pub(super) struct Frames {
    limits: ListenerLimits,
    preface_left: usize,
    head: [u8; HEAD],
    head_length: usize,
    payload_left: usize,
    /// HEADERS have come, and not their end.
    in_block: bool,
    resets: PerMinute,
    empty: PerMinute,
    failed: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Counted in whole minutes of the connection.
struct PerMinute {
    most: u32,
    count: u32,
    since: Instant,
}

/// More than anybody needs who means well.
struct Flood;

impl Frames {
    pub(super) fn new(limits: ListenerLimits) -> Self {
        let per_minute = |most| PerMinute { most, count: 0, since: Instant::now() };
        Self {
            limits,
            preface_left: PREFACE,
            head: [0; HEAD],
            head_length: 0,
            payload_left: 0,
            in_block: false,
            resets: per_minute(limits.http2.resets_per_minute),
            empty: per_minute(limits.http2.control_frames_per_minute),
            failed: false,
            timer: None,
        }
    }

    pub(super) fn poll_read(
        &mut self,
        mut inner: impl AsyncRead + Unpin,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.failed {
            return Poll::Ready(Err(flood()));
        }
        let before = buffer.filled().len();
        if Pin::new(&mut inner).poll_read(context, buffer)?.is_ready() {
            let octets = &buffer.filled()[before..];
            if self.read(octets).is_err() {
                self.failed = true;
                buffer.set_filled(before);
                return Poll::Ready(Err(flood()));
            }
            if !self.is_in_head() {
                self.timer = None;
            } else if self.timer.is_none() {
                self.timer = Some(Box::pin(sleep(self.limits.header_timeout)));
            }
            return Poll::Ready(Ok(()));
        }
        if !self.is_in_head() {
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.limits.header_timeout)));
        ready!(timer.as_mut().poll(context));
        self.failed = true;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the preface or a header block took too long")))
    }

    /// Something has to come before the next request can.
    fn is_in_head(&self) -> bool {
        let of_a_head = self.payload_left > 0 && matches!(self.head[3], HEADERS | CONTINUATION);
        self.preface_left > 0 || self.in_block || of_a_head
    }

    fn read(&mut self, mut octets: &[u8]) -> Result<(), Flood> {
        let of_preface = self.preface_left.min(octets.len());
        self.preface_left -= of_preface;
        octets = &octets[of_preface..];
        while !octets.is_empty() {
            let of_payload = self.payload_left.min(octets.len());
            self.payload_left -= of_payload;
            octets = &octets[of_payload..];
            let of_head = (HEAD - self.head_length).min(octets.len());
            self.head[self.head_length..self.head_length + of_head].copy_from_slice(&octets[..of_head]);
            self.head_length += of_head;
            octets = &octets[of_head..];
            if self.head_length == HEAD {
                self.head_length = 0;
                self.begin()?;
            }
        }
        Ok(())
    }

    /// The head of a frame is there (RFC 9113 §4.1).
    fn begin(&mut self) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = self.head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.payload_left = length;
        match kind {
            DATA if length > 0 || flags & END_STREAM != 0 => Ok(()),
            HEADERS | CONTINUATION => {
                self.in_block = flags & END_HEADERS == 0;
                if kind == CONTINUATION && length == 0 { self.empty.add() } else { Ok(()) }
            }
            RST_STREAM => self.resets.add(),
            WINDOW_UPDATE => Ok(()),
            // DATA without data, PRIORITY, SETTINGS, PING, and what nobody knows.
            _ => self.empty.add(),
        }
    }
}

impl PerMinute {
    fn add(&mut self) -> Result<(), Flood> {
        if self.since.elapsed() >= MINUTE {
            self.since = Instant::now();
            self.count = 0;
        }
        self.count += 1;
        if self.count <= self.most { Ok(()) } else { Err(Flood) }
    }
}

fn flood() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "more resets or empty frames than `limits.http2` allows")
}

const PREFACE: usize = 24;
const HEAD: usize = 9;
const MINUTE: Duration = Duration::from_secs(60);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

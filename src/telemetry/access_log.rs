//! The access log: formatted on the request's own thread, written by another, so that a full disk or a reader who has stopped
//! costs lines and never a request (threat Q14).

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Entry;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLogFormat {
    Json,
    Alb,
    /// Of `demo`.
    Person,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    StandardOutput,
    File(PathBuf),
}

/// Takes lines until it is closed.
pub struct AccessLog {
    format: AccessLogFormat,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Pending {
    lines: Vec<u8>,
    closed: bool,
}

impl AccessLog {
    /// Opens the destination; a file is appended to.
    pub fn open(format: AccessLogFormat, destination: &Destination) -> std::io::Result<Self> {
        let out: Box<dyn Write + Send> = match destination {
            Destination::StandardOutput => Box::new(std::io::stdout()),
            Destination::File(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        };
        let shared = Arc::new(Shared::default());
        let taken = shared.clone();
        let writer = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || taken.write_all(out))?;
        Ok(Self { format, shared, writer: Mutex::new(Some(writer)) })
    }

    pub fn write(&self, entry: &Entry<'_>) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            match self.format {
                AccessLogFormat::Json => entry.json(line),
                AccessLogFormat::Alb => line.extend_from_slice(entry.alb().as_bytes()),
                // A path may hold what moves a terminal's cursor.
                AccessLogFormat::Person => line.extend_from_slice(entry.for_a_person().replace(char::is_control, "·").as_bytes()),
            }
            line.push(b'\n');
            self.shared.push(line);
        });
    }

    /// Lines that could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is pending. Bounded: a destination that blocks is left alone.
    pub fn close(&self) {
        self.shared.pending().closed = true;
        self.shared.changed.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        for _ in 0..50 {
            if writer.as_ref().is_none_or(JoinHandle::is_finished) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the writer for the first line only: one wake-up for each request would cost more than the line.
    fn push(&self, line: &[u8]) {
        let mut pending = self.pending();
        if pending.lines.len() + line.len() > MAX_PENDING {
            drop(pending);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_first = pending.lines.is_empty();
        pending.lines.extend_from_slice(line);
        drop(pending);
        if is_first {
            self.changed.notify_one();
        }
    }

    fn write_all(&self, mut out: Box<dyn Write + Send>) {
        let mut lines = Vec::new();
        loop {
            let mut pending = self.pending();
            while pending.lines.is_empty() && !pending.closed {
                pending = self.changed.wait(pending).unwrap_or_else(PoisonError::into_inner);
            }
            if !pending.closed {
                drop(pending);
                std::thread::sleep(GATHER);
                pending = self.pending();
            }
            // The two take turns: neither has to grow anew for every batch.
            std::mem::swap(&mut lines, &mut pending.lines);
            let closed = pending.closed;
            drop(pending);
            if out.write_all(&lines).and_then(|()| out.flush()).is_err() {
                let lost = lines.iter().filter(|byte| **byte == b'\n').count();
                self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
            }
            if closed {
                return;
            }
            lines.clear();
            lines.shrink_to(KEPT);
        }
    }
}

thread_local! {
    /// Each request's line is written where that of the one before was.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a destination that blocks may cost in memory.
const MAX_PENDING: usize = 8 * 1024 * 1024;
/// As much as a busy moment gathers.
const KEPT: usize = 1024 * 1024;
/// How long lines are gathered: short enough for a person who watches.
const GATHER: Duration = Duration::from_millis(25);

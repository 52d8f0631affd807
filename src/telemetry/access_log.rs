//! The access log: formatted on the request's own thread, written by another, so that a full disk or a reader who has stopped
//! costs lines and never a request (threat Q14).

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

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
    lines: Mutex<Option<SyncSender<String>>>,
    dropped: Arc<AtomicU64>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl AccessLog {
    /// Opens the destination; a file is appended to.
    pub fn open(format: AccessLogFormat, destination: &Destination) -> std::io::Result<Self> {
        let out: Box<dyn Write + Send> = match destination {
            Destination::StandardOutput => Box::new(std::io::stdout()),
            Destination::File(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        };
        let (lines, received) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = dropped.clone();
        let writer = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write_all(&received, out, &lost))?;
        Ok(Self { format, lines: Mutex::new(Some(lines)), dropped, writer: Mutex::new(Some(writer)) })
    }

    pub fn write(&self, entry: &Entry) {
        let line = match self.format {
            AccessLogFormat::Json => entry.json(),
            AccessLogFormat::Alb => entry.alb(),
            // A path may hold what moves a terminal's cursor.
            AccessLogFormat::Person => entry.for_a_person().replace(char::is_control, "·"),
        };
        if let Some(lines) = &*self.lines.lock().unwrap_or_else(PoisonError::into_inner)
            && let Err(TrySendError::Full(_)) = lines.try_send(line)
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is queued. Bounded: a destination that blocks is left alone.
    pub fn close(&self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        for _ in 0..50 {
            if writer.as_ref().is_none_or(JoinHandle::is_finished) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn write_all(lines: &Receiver<String>, out: Box<dyn Write + Send>, lost: &AtomicU64) {
    let mut out = BufWriter::new(out);
    while let Ok(mut line) = lines.recv() {
        loop {
            line.push('\n');
            if out.write_all(line.as_bytes()).is_err() {
                lost.fetch_add(1, Ordering::Relaxed);
            }
            match lines.try_recv() {
                Ok(next) => line = next,
                Err(_) => break,
            }
        }
        if out.flush().is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

const QUEUE: usize = 8192;

//! `reload_on_change`: the files of the configuration are looked at every second.
//!
//! Looking is all that works everywhere: a notification is for a file, and what changes may be a link two folders above it (Kubernetes), a
//! file with the same name (editors, certbot), or a file on another machine.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Running;
use crate::config::Files;

/// What was read for the configuration, in use or refused, and whether changes of it count.
pub(super) struct Watched(Mutex<(bool, Files)>);

impl Watched {
    pub(super) fn new(counts: bool, files: Files) -> Self {
        Self(Mutex::new((counts, files)))
    }

    /// The files as they are now.
    pub(super) fn now(&self) -> Files {
        let files = self.lock().1.clone();
        files.now()
    }

    /// What was refused is refused once: it is looked at again when something has changed.
    pub(super) fn tried(&self, files: Files) {
        self.lock().1 = files;
    }

    pub(super) fn is_in_use(&self, counts: bool, files: Files) {
        *self.lock() = (counts, files);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (bool, Files)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Ends once a file of the configuration is not what it was when it was read, and nothing has changed any more for a moment: what
    /// belongs together is rarely written together. Never ends without `reload_on_change`.
    pub async fn files_changed(&self) {
        let mut seen: Option<Files> = None;
        let mut looks = 0;
        loop {
            sleep(if seen.is_some() { SETTLED_AFTER } else { EVERY }).await;
            let (counts, known) = self.reloadable.watched.lock().clone();
            if !counts {
                seen = None;
                continue;
            }
            // A file may be on a disk that does not answer.
            let compared = spawn_blocking(move || Some(known.now()).filter(|now| *now != known)).await;
            match compared.unwrap_or_default() {
                None => (seen, looks) = (None, 0),
                Some(now) if seen.as_ref() == Some(&now) || looks >= MAX_LOOKS => return,
                Some(now) => (seen, looks) = (Some(now), looks + 1),
            }
        }
    }
}

const EVERY: Duration = Duration::from_secs(1);
const SETTLED_AFTER: Duration = Duration::from_millis(500);
/// A file that is written all the time does not keep the others from being read.
const MAX_LOOKS: usize = 20;

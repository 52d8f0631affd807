//! The files that a configuration was made of, and how they were told to be when they were read.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// By their paths, as configured: where a link leads elsewhere, the file is another one. `None` where there was no file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<PathBuf, Option<State>>);

/// What changes when a file is written, replaced, or made readable.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Files {
    /// To be called before a file is read: what is written during that is a change then. The first look counts.
    pub(super) fn note(&mut self, path: &Path) {
        if !self.0.contains_key(path) {
            self.0.insert(path.to_owned(), State::of(path));
        }
    }

    /// The same files as they are at this moment.
    #[must_use]
    pub fn now(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), State::of(path))).collect())
    }

    /// With those of `others` that are not among them.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for (path, state) in others.0 {
            self.0.entry(path).or_insert(state);
        }
        self
    }
}

impl State {
    fn of(path: &Path) -> Option<Self> {
        // Of a pipe or a terminal nothing can be told.
        let metadata = std::fs::metadata(path).ok().filter(|metadata| metadata.is_file() || metadata.is_dir())?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

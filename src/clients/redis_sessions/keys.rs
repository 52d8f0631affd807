//! Names of keys and of the channel. Braces keep what is changed in one step in one slot of a cluster.

use std::time::Duration;

use crate::identity::{Mark, SessionId};
use crate::message::hex;

pub(super) struct Keys {
    prefix: String,
    pub(super) channel: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), channel: format!("{prefix}:events") }
    }

    /// A string: see `State`.
    pub(super) fn session(&self, id: SessionId) -> String {
        format!("{}:session:{{{}}}", self.prefix, hex(&id.0))
    }

    /// A pattern. What is in a prefix has no meaning in it.
    pub(super) fn all_sessions(&self) -> String {
        format!("{}:session:{{*}}", self.prefix)
    }

    /// Whose turn it is to refresh.
    pub(super) fn turn(&self, id: SessionId) -> String {
        format!("{}:turn:{{{}}}", self.prefix, hex(&id.0))
    }

    /// The ids of the sessions that are found by a mark, by the time of their sign-in.
    pub(super) fn mark(&self, mark: Mark) -> String {
        format!("{}:mark:{}", self.prefix, hex(&mark.bytes()))
    }

    /// A name that works once.
    pub(super) fn once(&self, name: &[u8; 16]) -> String {
        format!("{}:once:{}", self.prefix, hex(name))
    }
}

/// As Redis takes them: never zero, which would be an error.
pub(super) fn milliseconds(lifetime: Duration) -> u64 {
    u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).clamp(1, LONGEST_MILLISECONDS)
}

/// A year. Redis refuses what overflows.
const LONGEST_MILLISECONDS: u64 = 365 * 24 * 60 * 60 * 1000;

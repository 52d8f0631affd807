//! Time as an argument: whole seconds since 1970, as every `exp`, `iat` and `Max-Age` counts them.
//!
//! Nothing below `clients` reads the system clock; tests move it by handing in another `Clock`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z (RFC 7519 §2, NumericDate without its fraction).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// Saturates, so that no `exp` of a stranger can wrap around.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// How long after `earlier` this is; zero when it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    fn now(&self) -> UnixTime;

    /// Microseconds since 1970, for lines of a log that are to be put in order.
    fn now_in_microseconds(&self) -> u64 {
        self.now().0.saturating_mul(1_000_000)
    }
}

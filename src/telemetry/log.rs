//! The log of the process: our own words only. What libraries say at their finer levels would hold headers, and with them
//! cookies and tokens (threat U10), so it is not asked for at any level.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// `error`, `warn`, `info`, `debug` or `trace`.
#[must_use]
pub fn level(name: &str) -> Option<Level> {
    ["error", "warn", "info", "debug", "trace"].contains(&name).then(|| name.parse().ok()).flatten()
}

/// Writes to standard error. A second call changes nothing.
pub fn init(level: Level, format: LogFormat, color: bool) {
    let ours = Targets::new().with_target("vestibule", level);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(color);
    let layer = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
}

//! What the operator sees: the access log, the metrics, the log of the process.

mod access_log;
mod alb_line;
mod entry;
mod json_line;
mod log;
mod metrics;
mod person_line;

pub use access_log::{AccessLog, AccessLogFormat, Destination};
pub use entry::Entry;
pub use log::{LogFormat, init as init_log, level as parse_level};
pub use metrics::Metrics;

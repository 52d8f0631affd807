//! Load on a deployment behind a login: signs people in as a browser would, drives requests with their cookies, and says what came of it.

mod charts;
mod check;
mod client;
mod connection;
mod cookies;
mod dial;
mod drive;
mod figures;
mod form;
mod outcome;
mod people;
mod plan;
mod progress;
mod record;
mod report;
mod run;
mod sign_in;
mod summary;
mod threshold;
mod trust;
mod verdict;

pub use outcome::Outcome;
pub use people::{PeopleError, Person, User, cookies_from, tokens_from, users_from};
pub use plan::{Connections, Fields, Load, Page, PeopleFrom, Plan, PlanError, Version, is_loopback, shown};
pub use report::report;
pub use run::{LoadError, run};
pub use summary::{announcement, json, table};
pub use threshold::{Judged, Threshold, ThresholdError};
pub use trust::{TrustError, client_config};
pub use verdict::{Expectation, Statuses};

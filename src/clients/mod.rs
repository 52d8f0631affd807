//! What reaches out: the system's clock and randomness, providers over HTTPS, name resolution, health checks.

mod fetched;
mod health_check;
mod provider_connection;
mod resolver;
mod system;
mod tls_roots;

pub use health_check::{HealthObserver, check_targets};
pub use provider_connection::{Observer, ProviderConnection, ProviderEvent};
pub use resolver::{resolve_targets, resolve_targets_once};
pub use system::{SystemClock, system_entropy};
pub use tls_roots::{RootsError, client_config};

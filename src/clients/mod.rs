//! What reaches out: the system's clock and randomness, providers over HTTPS, name resolution, health checks, certificates by ACME; and where sessions are kept.

mod acme;
mod calls;
mod circuit;
mod fetched;
mod freshness;
mod health_check;
mod key_connection;
mod memory_sessions;
mod provider_connection;
mod redis_sessions;
mod resolver;
mod system;
mod tls_roots;

pub use acme::{AcmeCertificate, AcmeError, AcmeEvent, AcmeObserver, Challenges, Obtained, ask_directory};
pub use calls::{Observer, ProviderEvent};
pub use health_check::{HealthObserver, check_targets};
pub use key_connection::KeyConnection;
pub use memory_sessions::MemorySessions;
pub use provider_connection::ProviderConnection;
pub use redis_sessions::{RedisSessions, StoreObserver};
pub use resolver::{AddressObserver, resolve_targets, resolve_targets_once};
pub use system::{SystemClock, system_entropy};
pub use tls_roots::{RootsError, client_config};

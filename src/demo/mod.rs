//! What `vestibule demo` brings along so that signing in can be tried with nothing else at hand.

pub mod identity_provider;
pub mod sample_application;

mod certificates;
mod file;
mod page;
mod server;

pub use certificates::{DemoCertificates, DemoCertificatesError};

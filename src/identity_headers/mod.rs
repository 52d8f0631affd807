//! What the target is told about the person, and what a client must not be able to say (docs/request-lifecycle.md).

mod client_certificate;
mod forwarded;
mod protected;
mod signer;
mod values;

pub use client_certificate::{ClientCertificateMode, client_certificate_headers};
pub use forwarded::{ForwardedFor, ForwardedForMode, ForwardedSettings, trace_id};
pub use protected::ProtectedHeaders;
pub use signer::{Signer, SigningKey, SigningKeyError};
pub use values::{ClaimHeader, HeaderError, IdentityHeaders};

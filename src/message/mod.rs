//! What is on the wire, made unambiguous once: target, authority, cookies, JSON.
//!
//! Everything above sees only these forms, so that what a rule matched is what the target receives.

mod authority;
mod chunks;
mod connection;
pub mod cookies;
mod fetch;
pub mod head;
mod hex;
pub mod json;
mod network;
mod request;
mod target;

pub use authority::Authority;
pub use chunks::{BadChunk, Chunks};
pub use connection::{ConnectionInfo, Scheme, TlsInfo};
pub use fetch::{RequestKind, is_grpc, kind, sends_form, shows_page};
pub use hex::hex;
pub use network::Network;
pub use request::RequestView;
pub use target::RequestTarget;

/// Why a request is refused before any rule sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("no Host, or more than one")]
    Host,
    #[error("the Host is not a name, an address or a port")]
    Authority,
    #[error("the Host and the request target name different hosts")]
    HostMismatch,
    #[error("the request target does not begin with a slash")]
    TargetForm,
    #[error("the path holds a byte or an escape that programs read differently")]
    Path,
    #[error("the path holds a dot segment")]
    DotSegment,
    #[error("the path can be read in two ways that different rules match")]
    AmbiguousPath,
    #[error("the query holds a control character")]
    Query,
    #[error("the request line or a header line is not as RFC 9112 has it")]
    Head,
    #[error("the body's length is given in two ways")]
    Framing,
    #[error("the method is not allowed here")]
    Method,
    #[error("the request target is longer than `limits.target_bytes`")]
    TargetTooLong,
    #[error("the header is larger than `limits.header_bytes`, or has more fields than `limits.header_fields`")]
    HeaderTooLarge,
    #[error("the body is larger than `limits.body_bytes`")]
    BodyTooLarge,
    #[error("the header took longer than `limits.header_timeout`, or the body comes more slowly than `limits.minimum_body_rate`")]
    TooSlow,
    #[error("an expectation other than 100-continue")]
    Expectation,
}

/// ALB's limit for a request line (Quotas for your Application Load Balancers): none is read that is longer, whatever the file says.
pub const MAX_TARGET_BYTES: usize = 16 * 1024;

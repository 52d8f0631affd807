//! Our own accept loop, as a pingora `Service`: TLS by SNI, the PROXY protocol, handshake and header deadlines, a cap on
//! connections.
//!
//! Pingora's stock listener builds its TLS configuration itself, without versions, tickets or a deadline for headers.

mod certificates;
mod handover;
mod handshake;
mod head_deadline;
mod proxy_protocol;
mod service;
mod stream;

pub use certificates::{TlsError, server_config};
pub use handover::{Inherited, Taker, hand_over};
pub use head_deadline::HeadDeadline;
pub use proxy_protocol::{ParsedHeader, ProxyHeader, ProxyHeaderError, parse_proxy_header, read_proxy_header};
pub use service::{Accepting, ConnectionCounter, Listener};
pub use stream::{ClientStream, Connection};

//! Our own accept loop, as a pingora `Service`: TLS by SNI, the PROXY protocol, a deadline for handshakes, caps on connections; and what
//! comes is looked at before pingora's parsers see it.
//!
//! Pingora's stock listener builds its TLS configuration itself, without versions, tickets or a deadline for headers.

mod addresses;
mod certificates;
mod frames;
mod gathering;
mod handover;
mod handshake;
mod idle;
mod proof;
mod proxy_protocol;
mod screen;
mod screening;
mod service;
mod stream;
mod tickets;

pub use certificates::{TlsCommons, TlsError};
pub use handover::{Inherited, Taker, hand_over};
pub use idle::{Idle, Member};
pub use proxy_protocol::{ParsedHeader, ProxyHeader, ProxyHeaderError, parse_proxy_header, read_proxy_header};
pub use screening::{Note, Screening};
pub use service::{Accepting, ConnectionEvent, ConnectionEvents, Listener, Serve};
pub use stream::{ClientStream, Connection};

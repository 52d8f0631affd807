//! Our own accept loop, as a pingora `Service`: TLS by SNI, handshake and header deadlines, a cap on connections.
//!
//! Pingora's stock listener builds its TLS configuration itself, without versions, tickets or a deadline for headers.

mod certificates;
mod handover;
mod handshake;
mod head_deadline;
mod proof;
mod service;
mod stream;
mod tickets;

pub use certificates::{TlsCommons, TlsError};
pub use handover::{Inherited, Taker, hand_over};
pub use head_deadline::HeadDeadline;
pub use service::{Accepting, ConnectionCounter, Listener};
pub use stream::{ClientStream, Connection};

//! What the listener knows of a connection before the first byte of a request.

use std::net::SocketAddr;
use std::sync::Mutex;

use http::{HeaderName, HeaderValue};

/// How the browser speaks to us, or to the trusted proxy in front of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Facts of the handshake, for the log and for ALB's `x-amzn-tls-*`.
#[derive(Debug, Clone)]
pub struct TlsInfo {
    /// `TLSv1.3`
    pub version: &'static str,
    /// The cipher suite, as OpenSSL names it.
    pub cipher: String,
    pub server_name: Option<String>,
    /// What targets are told of the connection.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// One accepted connection.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// Position of the listener in the configuration.
    pub listener: usize,
    /// The client: the other end, or whom a balancer has said to speak for (PROXY protocol).
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// The port of the balancer to which the client has connected, where it says so.
    pub asked_port: Option<u16>,
    pub tls: Option<TlsInfo>,
    /// What the last login that began on it without a cookie was bound to, and when, in seconds since 1970.
    pub login_nonce: Mutex<Option<(String, u64)>>,
}

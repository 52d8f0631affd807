//! Limits of a listener.

use crate::config::reader::{Located, Seconds};

section! {
    /// Limits of a listener.
    pub struct Limits {
        /// Connections at a time; more wait in the kernel. Default 10000.
        connections: Option<Located<u32>>,
        /// Connections of one address (one /64 of version 6) at a time, unless trusted_proxies names it; more are closed. Default 2500.
        connections_per_address: Option<Located<u32>>,
        /// For a TLS handshake. Default 10s.
        handshake_timeout: Option<Located<Seconds>>,
        /// From the first byte of a request to the end of its header. Default 15s.
        header_timeout: Option<Located<Seconds>>,
        /// Of request line and header together. Default 65536.
        header_bytes: Option<Located<u32>>,
        /// Header fields. Default 128.
        header_fields: Option<Located<u32>>,
        /// Of a request target. Default 16384.
        target_bytes: Option<Located<u32>>,
        /// Of a request body; 0: no limit. Default 1073741824.
        body_bytes: Option<Located<u64>>,
        /// In bytes a second, after 20 seconds of waiting for the client; 0: none. Default 500.
        minimum_body_rate: Option<Located<u32>>,
        /// For a connection without a request. Default 60s.
        idle_timeout: Option<Located<Seconds>>,
        /// For a client that takes nothing of an answer. Default 60s.
        send_timeout: Option<Located<Seconds>>,
        /// Of answers that clients are slow to take, all together; 0: no limit. Default 268435456.
        unsent_bytes: Option<Located<u64>>,
        /// Limits of a connection of HTTP/2.
        http2: Option<Http2Limits>,
        /// Sign-ins that one address (one /64 of version 6) may begin in a minute. Default 60000.
        sign_ins_per_address: Option<Located<u32>>,
        /// Sign-ins and bearer tokens of one address that may be refused in a minute. Default 60000.
        failures_per_address: Option<Located<u32>>,
    }
}

section! {
    /// Limits of a connection of HTTP/2.
    pub struct Http2Limits {
        /// Requests at a time. Default 100.
        concurrent_streams: Option<Located<u32>>,
        /// Requests that the client takes back. Default 1000.
        resets_per_minute: Option<Located<u32>>,
        /// Frames that carry nothing: SETTINGS, PING, PRIORITY, empty ones and unknown ones. Default 10000.
        control_frames_per_minute: Option<Located<u32>>,
    }
}

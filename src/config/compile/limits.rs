//! `limits`: how much of everything one client may have.

use std::time::Duration;

use super::context::Context;
use crate::config::raw::{Http2Limits as RawHttp2, Limits as Raw, Listener};
use crate::config::reader::{Located, Seconds};
use crate::gateway::PerAddress;
use crate::message::MAX_TARGET_BYTES;
use crate::message::head::HeadLimits;

/// Limits of a listener.
#[derive(Debug, Clone, Copy)]
pub struct ListenerLimits {
    pub connections: usize,
    pub connections_per_address: u32,
    pub handshake_timeout: Duration,
    pub header_timeout: Duration,
    pub head: HeadLimits,
    /// 0: none.
    pub body_bytes: u64,
    /// In octets a second; 0: none.
    pub minimum_body_rate: u32,
    pub idle_timeout: Duration,
    pub send_timeout: Duration,
    /// Of answers that clients are slow to take, all together.
    pub unsent_bytes: u64,
    pub http2: Http2Limits,
}

/// Limits of a connection of HTTP/2.
#[derive(Debug, Clone, Copy)]
pub struct Http2Limits {
    pub concurrent_streams: u32,
    pub resets_per_minute: u32,
    pub control_frames_per_minute: u32,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 2_500,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(15),
            head: HeadLimits { target: MAX_TARGET_BYTES, bytes: 64 * 1024, fields: 128 },
            body_bytes: 1024 * 1024 * 1024,
            minimum_body_rate: 500,
            idle_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            unsent_bytes: 256 * 1024 * 1024,
            http2: Http2Limits { concurrent_streams: 100, resets_per_minute: 1_000, control_frames_per_minute: 10_000 },
        }
    }
}

pub(super) fn compile(context: &mut Context<'_>, raw: &Listener) -> ListenerLimits {
    let default = ListenerLimits::default();
    let Some(raw) = &raw.limits else { return default };
    ListenerLimits {
        connections: count(context, raw.connections.as_ref(), 10_000, u32::MAX) as usize,
        connections_per_address: count(context, raw.connections_per_address.as_ref(), default.connections_per_address, u32::MAX),
        handshake_timeout: time(context, raw.handshake_timeout.as_ref(), default.handshake_timeout),
        header_timeout: time(context, raw.header_timeout.as_ref(), default.header_timeout),
        head: head(context, raw),
        body_bytes: raw.body_bytes.as_ref().map_or(default.body_bytes, |at| at.value),
        minimum_body_rate: raw.minimum_body_rate.as_ref().map_or(default.minimum_body_rate, |at| at.value),
        idle_timeout: time(context, raw.idle_timeout.as_ref(), default.idle_timeout),
        send_timeout: time(context, raw.send_timeout.as_ref(), default.send_timeout),
        unsent_bytes: raw.unsent_bytes.as_ref().map_or(default.unsent_bytes, |at| if at.value == 0 { u64::MAX } else { at.value }),
        http2: raw.http2.as_ref().map_or(default.http2, |raw| http2(context, raw, default.http2)),
    }
}

fn head(context: &mut Context<'_>, raw: &Raw) -> HeadLimits {
    HeadLimits {
        target: count(context, raw.target_bytes.as_ref(), MAX_TARGET, MAX_TARGET) as usize,
        bytes: count(context, raw.header_bytes.as_ref(), 64 * 1024, MAX_HEADER_BYTES) as usize,
        fields: count(context, raw.header_fields.as_ref(), 128, MAX_HEADER_FIELDS) as usize,
    }
}

fn http2(context: &mut Context<'_>, raw: &RawHttp2, default: Http2Limits) -> Http2Limits {
    Http2Limits {
        concurrent_streams: count(context, raw.concurrent_streams.as_ref(), default.concurrent_streams, 10_000),
        resets_per_minute: count(context, raw.resets_per_minute.as_ref(), default.resets_per_minute, u32::MAX),
        control_frames_per_minute: count(context, raw.control_frames_per_minute.as_ref(), default.control_frames_per_minute, u32::MAX),
    }
}

pub(super) fn per_address(context: &mut Context<'_>, raw: &Listener) -> PerAddress {
    let limits = raw.limits.as_ref();
    PerAddress {
        sign_ins: count(context, limits.and_then(|limits| limits.sign_ins_per_address.as_ref()), SIGN_INS_PER_ADDRESS, u32::MAX),
        failures: count(context, limits.and_then(|limits| limits.failures_per_address.as_ref()), FAILURES_PER_ADDRESS, u32::MAX),
    }
}

fn count(context: &mut Context<'_>, at: Option<&Located<u32>>, default: u32, most: u32) -> u32 {
    let Some(at) = at else { return default };
    if at.value == 0 {
        context.error(at, "must be at least 1");
    } else if at.value > most {
        context.error(at, format!("must be at most {most}"));
    }
    at.value
}

fn time(context: &mut Context<'_>, at: Option<&Located<Seconds>>, default: Duration) -> Duration {
    if let Some(at) = at.filter(|at| at.value.0.is_zero()) {
        context.error(at, "must be at least 1s");
    }
    at.map_or(default, |at| at.value.0)
}

/// A thousand a second: a flood, and neither an office behind one address nor a load test. Where a balancer hides the addresses behind
/// it, everybody has this one.
const SIGN_INS_PER_ADDRESS: u32 = 60_000;
const FAILURES_PER_ADDRESS: u32 = 60_000;
/// What pingora's parser takes.
const MAX_HEADER_FIELDS: u32 = 256;
const MAX_HEADER_BYTES: u32 = 1024 * 1024 - 1;
#[expect(clippy::cast_possible_truncation, reason = "16 KiB")]
const MAX_TARGET: u32 = MAX_TARGET_BYTES as u32;

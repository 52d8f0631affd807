//! The line of a request.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};

use http::header::LOCATION;
use http::{HeaderValue, Version};
use pingora::proxy::Session;

use super::context::RequestContext;
use crate::message::{Authority, RequestTarget, Scheme};
use crate::telemetry::Entry;

/// What the session knows at the end of a request.
struct Sent<'a> {
    status: u16,
    received_bytes: usize,
    sent_bytes: usize,
    location: Option<&'a HeaderValue>,
}

pub(super) fn entry<'a>(session: &'a Session, context: &'a RequestContext, finished_at: u64) -> Entry<'a> {
    let written = session.response_written();
    let sent = Sent {
        status: context.status.or_else(|| written.map(|response| response.status.as_u16())).unwrap_or(0),
        received_bytes: session.body_bytes_read(),
        sent_bytes: session.body_bytes_sent(),
        location: written.and_then(|response| response.headers.get(LOCATION)),
    };
    make(&sent, context, finished_at)
}

/// What is left of a request that was dropped: nobody counted what was received.
pub(super) fn of_dropped(context: &RequestContext, finished_at: u64) -> Entry<'_> {
    let status = context.target_status.unwrap_or(0);
    make(&Sent { status, received_bytes: 0, sent_bytes: context.sent, location: None }, context, finished_at)
}

fn make<'a>(sent: &Sent<'a>, context: &'a RequestContext, finished_at: u64) -> Entry<'a> {
    let connection = context.connection.as_ref();
    let listener = connection.and_then(|connection| context.gateway.listeners.get(connection.listener));
    let tls = connection.and_then(|connection| connection.tls.as_ref());
    let scheme = context.forwarded.as_ref().map_or(Scheme::Http, |forwarded| forwarded.scheme);
    let record = &context.record;
    let rewritten = context.forward.as_ref().map(|forward| &forward.rewritten);
    // What held a code still holds it when it has been rewritten.
    let masks_query = record.masks_query || context.target.as_ref().is_some_and(|target| may_hold_a_code(context, target));
    let redirects = record.actions.last() == Some(&"redirect");
    let method = context.seen.method.as_str();
    Entry {
        record,
        listener: listener.map_or("", |listener| &listener.name),
        kind: kind(context.seen.version, tls.is_some(), sent.status),
        finished_at,
        elapsed: context.started.elapsed(),
        client: connection.map_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), |connection| connection.peer),
        target: context.target_name(),
        target_group: context.forward.as_ref().map(|forward| forward.target_group.name.as_str()),
        target_time: context.target_time,
        status: sent.status,
        target_status: context.target_status,
        received_bytes: sent.received_bytes,
        sent_bytes: sent.sent_bytes,
        method: method.get(..LONGEST_METHOD).unwrap_or(method),
        url: url(context, scheme, masks_query),
        redirect_url: sent.location.filter(|_| redirects).and_then(|location| location.to_str().ok()),
        transformed_host: rewritten.and_then(|rewritten| rewritten.authority.as_ref()).map(Authority::as_str),
        transformed_uri: rewritten
            .and_then(|rewritten| rewritten.target.as_ref())
            .map(|target| path_and_query(context, target, masks_query).concat()),
        version: match context.seen.version {
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        },
        user_agent: context.seen.user_agent.as_ref().map_or(Cow::Borrowed("-"), shown),
        tls_cipher: tls.map(|tls| tls.cipher.as_str()),
        tls_version: tls.map(|tls| tls.version),
        server_name: tls.and_then(|tls| tls.server_name.as_deref()),
        trace_id: context.trace_id.as_ref().and_then(|value| value.to_str().ok()),
        request_id: &context.request_id,
        oddity: context.note.oddity,
    }
}

/// As much of it as anybody wants to read.
fn shown(value: &HeaderValue) -> Cow<'_, str> {
    match String::from_utf8_lossy(value.as_bytes()) {
        long if long.len() > LONGEST_USER_AGENT => Cow::Owned(long.chars().take(LONGEST_USER_AGENT).collect()),
        text => text,
    }
}

/// `https://host:443/path?query`, always with the port, as ALB writes it. The query of a callback holds a code; that of a
/// request that was refused may hold one too.
fn url(context: &RequestContext, scheme: Scheme, masks_query: bool) -> String {
    let Some(authority) = &context.authority else { return "-".to_owned() };
    let mut port = itoa::Buffer::new();
    let port = port.format(authority.port().unwrap_or(scheme.default_port()));
    let [path, query] = context.target.as_ref().map_or(["/-", ""], |target| path_and_query(context, target, masks_query));
    [scheme.as_str(), "://", authority.host(), ":", port, path, query].concat()
}

/// The second with its question mark.
fn path_and_query<'a>(context: &RequestContext, target: &'a RequestTarget, masks_query: bool) -> [&'a str; 2] {
    let (path, rest) = (target.path(), &target.as_str()[target.path().len()..]);
    if !rest.is_empty() && (masks_query || may_hold_a_code(context, target)) { [path, "?[masked]"] } else { [path, rest] }
}

fn may_hold_a_code(context: &RequestContext, target: &RequestTarget) -> bool {
    let is_own = target.path().starts_with(context.gateway.prefix.as_str());
    target.query().is_some_and(|query| is_own || looks_like_a_callback(query))
}

/// A callback under another spelling of its path, or another gateway's, is no place for a code either.
fn looks_like_a_callback(query: &str) -> bool {
    let has = |wanted: &str| query.split('&').any(|pair| pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case(wanted)));
    (has("code") && has("state")) || has("id_token") || has("access_token")
}

fn kind(version: Version, tls: bool, status: u16) -> &'static str {
    match (version == Version::HTTP_2, status == 101, tls) {
        (true, ..) => "h2",
        (false, true, true) => "wss",
        (false, true, false) => "ws",
        (false, false, true) => "https",
        (false, false, false) => "http",
    }
}

const LONGEST_METHOD: usize = 64;
const LONGEST_USER_AGENT: usize = 1024;

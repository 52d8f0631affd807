//! The line of a request.

use std::net::{Ipv4Addr, SocketAddr};

use http::Version;
use pingora::proxy::Session;

use super::context::RequestContext;
use crate::message::{RequestTarget, Scheme};
use crate::telemetry::Entry;

/// What the session knows at the end of a request.
struct Sent {
    status: u16,
    received_bytes: usize,
    sent_bytes: usize,
    redirect_url: Option<String>,
}

pub(super) fn entry(session: &Session, context: &mut RequestContext, finished_at: u64) -> Entry {
    let written = session.response_written();
    let sent = Sent {
        status: context.status.or_else(|| written.map(|response| response.status.as_u16())).unwrap_or(0),
        received_bytes: session.body_bytes_read(),
        sent_bytes: session.body_bytes_sent(),
        redirect_url: written.and_then(|response| response.headers.get("location")?.to_str().ok().map(str::to_owned)),
    };
    make(sent, context, finished_at)
}

/// What is left of a request that was dropped: nobody counted what was received.
pub(super) fn of_dropped(context: &mut RequestContext, finished_at: u64) -> Entry {
    let status = context.target_status.unwrap_or(0);
    make(Sent { status, received_bytes: 0, sent_bytes: context.sent, redirect_url: None }, context, finished_at)
}

fn make(sent: Sent, context: &mut RequestContext, finished_at: u64) -> Entry {
    let connection = context.connection.as_ref();
    let listener = connection.and_then(|connection| context.gateway.listeners.get(connection.listener));
    let tls = connection.and_then(|connection| connection.tls.as_ref());
    let scheme = context.forwarded.as_ref().map_or(Scheme::Http, |forwarded| forwarded.scheme);
    let mut record = std::mem::take(&mut context.record);
    let status = sent.status;
    let rewritten = context.forward.as_ref().map(|forward| &forward.rewritten);
    // What held a code still holds it when it has been rewritten.
    let masks_query = record.masks_query || context.target.as_ref().is_some_and(|target| may_hold_a_code(context, target));
    if record.actions.last() == Some(&"redirect") {
        record.redirect_url = sent.redirect_url;
    }
    Entry {
        listener: listener.map(|listener| listener.name.clone()).unwrap_or_default(),
        kind: kind(context.seen.version, tls.is_some(), status),
        finished_at,
        elapsed: context.started.elapsed(),
        client: connection.map_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), |connection| connection.peer),
        target: context.target_name.clone(),
        target_group: context.forward.as_ref().map(|forward| forward.target_group.name.clone()),
        target_time: context.target_time,
        status,
        target_status: context.target_status,
        received_bytes: sent.received_bytes,
        sent_bytes: sent.sent_bytes,
        method: context.seen.method.as_str().chars().take(64).collect(),
        url: url(context, scheme, masks_query),
        transformed_host: rewritten.and_then(|rewritten| rewritten.authority.as_ref()).map(|authority| authority.as_str().to_owned()),
        transformed_uri: rewritten
            .and_then(|rewritten| rewritten.target.as_ref())
            .map(|target| path_and_query(context, target, masks_query)),
        version: match context.seen.version {
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        },
        user_agent: context
            .seen
            .user_agent
            .as_ref()
            .map_or_else(|| "-".to_owned(), |value| String::from_utf8_lossy(value.as_bytes()).chars().take(1024).collect()),
        tls_cipher: tls.map(|tls| tls.cipher.clone()),
        tls_version: tls.map(|tls| tls.version),
        server_name: tls.and_then(|tls| tls.server_name.clone()),
        trace_id: context.trace_id.as_ref().and_then(|value| value.to_str().ok()).map(str::to_owned),
        request_id: context.request_id.clone(),
        oddity: context.note.oddity,
        record,
    }
}

/// `https://host:443/path?query`, always with the port, as ALB writes it. The query of a callback holds a code; that of a
/// request that was refused may hold one too.
fn url(context: &RequestContext, scheme: Scheme, masks_query: bool) -> String {
    let Some(authority) = &context.authority else { return "-".to_owned() };
    let port = authority.port().unwrap_or(scheme.default_port());
    let rest = context.target.as_ref().map_or_else(|| "/-".to_owned(), |target| path_and_query(context, target, masks_query));
    format!("{}://{}:{port}{rest}", scheme.as_str(), authority.host())
}

fn path_and_query(context: &RequestContext, target: &RequestTarget, masks_query: bool) -> String {
    let path = target.path();
    match target.query() {
        Some(_) if masks_query || may_hold_a_code(context, target) => format!("{path}?[masked]"),
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
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

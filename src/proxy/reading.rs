//! From pingora's request to `RequestView`: the one place where a request is made unambiguous, before any rule sees it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Version};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use tokio::time::timeout;

use super::context::RequestContext;
use crate::gateway::{Body, Gateway, ListenerRules, Reply, Visitor, for_malformed};
use crate::identity_headers::{ForwardedFor, trace_id};
use crate::message::head::HeadLimits;
use crate::message::{Authority, ConnectionInfo, Malformed, RequestTarget, RequestView};

/// Normalises method, host and target into the context, or says why that cannot be done.
pub(super) fn read(session: &Session, context: &mut RequestContext) -> Result<(), Malformed> {
    let header = session.req_header();
    if let Some(malformed) = context.note.refused {
        return Err(malformed);
    }
    if session.is_http2() {
        limit_head(header, &context.limits.head)?;
    }
    if matches!(header.method, Method::TRACE | Method::CONNECT) {
        return Err(Malformed::Method);
    }
    limit_body(&header.headers, context.limits.body_bytes)?;
    // Nobody sends both and means well: the content would be the next request to a target that reads neither.
    if header.headers.contains_key(UPGRADE) && matches!(header.method, Method::GET | Method::HEAD) && announces_content(&header.headers) {
        return Err(Malformed::Framing);
    }
    if header.version != Version::HTTP_10 && header.headers.get_all(EXPECT).iter().any(|value| !is_continue(value)) {
        return Err(Malformed::Expectation);
    }
    let raw = header.raw_path();
    let (named, raw) = split_absolute(raw)?;
    let from_uri = header.uri.authority().map(|authority| authority.as_str().as_bytes());
    let authority = authority(&header.headers, named.or(from_uri), header.version)?;
    context.authority = Some(authority);
    context.target = Some(RequestTarget::parse(raw)?);
    let (Some(connection), Some(listener)) = (&context.connection, listener(context, &context.gateway)) else { return Ok(()) };
    let own_port = if listener.port == 0 { connection.local.port() } else { listener.port };
    let port = connection.asked_port.unwrap_or(own_port);
    context.forwarded = Some(ForwardedFor::read(&header.headers, connection.peer, listener.scheme, port, &listener.forwarded));
    context.trace_id = Some(trace_id(&header.headers, context.created_at, context.trace_random));
    Ok(())
}

/// What the screen has done for HTTP/1.1. Crumbs of cookies are one field each (RFC 9113 §8.2.3).
fn limit_head(header: &RequestHeader, limits: &HeadLimits) -> Result<(), Malformed> {
    if header.raw_path().len() > limits.target {
        return Err(Malformed::TargetTooLong);
    }
    let octets: usize = header.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    let cookies = header.headers.get_all(COOKIE).iter().count().saturating_sub(1);
    if octets > limits.bytes || header.headers.len() - cookies > limits.fields { Err(Malformed::HeaderTooLarge) } else { Ok(()) }
}

/// What is announced. What comes without a length is counted (`count_body`).
fn limit_body(headers: &HeaderMap, limit: u64) -> Result<(), Malformed> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if limit > 0 && announced.is_some_and(|length| length > limit) { Err(Malformed::BodyTooLarge) } else { Ok(()) }
}

/// By its headers, which over HTTP/2 need not say so.
pub(super) fn announces_content(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes().iter().any(|digit| *digit != b'0'))
}

/// One more piece of the body; an error when there has been too much.
pub(super) fn count_body(piece: Option<&Bytes>, context: &mut RequestContext) -> Result<(), Malformed> {
    // Octets of another protocol are no body.
    if context.target_status == Some(101) {
        return Ok(());
    }
    context.received += piece.map_or(0, |piece| piece.len() as u64);
    let limit = context.limits.body_bytes;
    if limit > 0 && context.received > limit { Err(Malformed::BodyTooLarge) } else { Ok(()) }
}

fn is_continue(value: &HeaderValue) -> bool {
    value.as_bytes().eq_ignore_ascii_case(b"100-continue")
}

/// An absolute-form target (RFC 9112 §3.2.2) is accepted when it names the same host; its path is what counts.
fn split_absolute(raw: &[u8]) -> Result<(Option<&[u8]>, &[u8]), Malformed> {
    let lower = |prefix: &str| raw.len() >= prefix.len() && raw[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes());
    let start = match () {
        () if lower("https://") => 8,
        () if lower("http://") => 7,
        () => return Ok((None, raw)),
    };
    let rest = &raw[start..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let path = if end == rest.len() { &b"/"[..] } else { &rest[end..] };
    if path.starts_with(b"/") { Ok((Some(&rest[..end]), path)) } else { Err(Malformed::TargetForm) }
}

/// Exactly one host, wherever it stands (RFC 9112 §3.2, RFC 9113 §8.3.1).
fn authority(headers: &HeaderMap, named: Option<&[u8]>, version: Version) -> Result<Authority, Malformed> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(Authority::parse(host.as_bytes())?),
        (None, None) if version == Version::HTTP_2 => None,
        _ => return Err(Malformed::Host),
    };
    let named = named.map(Authority::parse).transpose()?;
    match (named, host) {
        (Some(named), Some(host)) if named != host => Err(Malformed::HostMismatch),
        (Some(authority), _) | (None, Some(authority)) => Ok(authority),
        (None, None) => Err(Malformed::Host),
    }
}

fn listener<'g>(context: &RequestContext, gateway: &'g Gateway) -> Option<&'g ListenerRules> {
    gateway.listeners.get(context.connection.as_ref()?.listener)
}

/// What the gateway sees. `None` only if `read` has not been done.
pub(super) fn view<'a>(
    session: &'a Session,
    context: &'a RequestContext,
    gateway: &'a Gateway,
) -> Option<(RequestView<'a>, &'a ListenerRules)> {
    let header = session.req_header();
    let forwarded = context.forwarded.as_ref()?;
    let view = RequestView {
        method: &header.method,
        scheme: forwarded.scheme,
        port: forwarded.port,
        authority: context.authority.as_ref()?,
        target: context.target.as_ref()?,
        headers: &header.headers,
        client: forwarded.client,
        request_id: &context.request_id,
    };
    Some((view, listener(context, gateway)?))
}

/// The connection, unless a proxy is at its other end.
pub(super) fn unshared_connection<'a>(context: &'a RequestContext, listener: &ListenerRules) -> Option<&'a ConnectionInfo> {
    let connection = context.connection.as_deref()?;
    let is_proxy = listener.forwarded.trusted_proxies.iter().any(|network| network.contains(&connection.peer.ip().to_canonical()));
    (!is_proxy).then_some(connection)
}

/// The body of a request that the gateway reads itself, at most `limit` bytes of it and not for long: nobody has signed in yet. It can be
/// replaced then (`forms::replace`), because pingora has its end in the buffer for another attempt.
pub(super) async fn body(session: &mut Session, limit: usize) -> Body {
    let headers = &session.req_header().headers;
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Body::TooLarge;
    }
    let waits = headers.get(EXPECT).is_some_and(is_continue);
    timeout(BODY_TIMEOUT, read_body(session, limit, announced, waits)).await.unwrap_or(Body::Broken)
}

async fn read_body(session: &mut Session, limit: usize, announced: Option<usize>, waits: bool) -> Body {
    if waits && session.downstream_session.write_continue_response().await.is_err() {
        return Body::Broken;
    }
    let mut body = BytesMut::new();
    loop {
        // Pingora's buffer is one or nothing: more than fits, and it says nothing at all of the body, so that the request would wait for
        // one forever. A piece is never larger than the buffer, so there is a moment at which the rest fits.
        if announced.is_none_or(|length| length.saturating_sub(body.len()) <= RETRY_BUFFER_BYTES) {
            session.downstream_session.enable_retry_buffering();
        }
        match session.downstream_session.read_request_body().await {
            Ok(Some(piece)) if body.len() + piece.len() > limit => return Body::TooLarge,
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) if session.downstream_session.retry_buffer_truncated() => return Body::TooLarge,
            Ok(None) => return Body::Whole(body.freeze()),
            Err(_) => return Body::Broken,
        }
    }
}

/// The rest of a body that is too large, as far as that is reasonable. A browser that is still sending when the connection ends shows
/// that, and not the page that it was sent.
pub(super) async fn discard(session: &mut Session) {
    if session.req_header().headers.contains_key(EXPECT) {
        return;
    }
    let read = async {
        let mut discarded = 0;
        while let Ok(Some(piece)) = session.downstream_session.read_request_body().await {
            discarded += piece.len();
            if discarded > MAX_DISCARDED_BYTES {
                return;
            }
        }
    };
    let _ = timeout(BODY_TIMEOUT, read).await;
}

const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A photograph.
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;
/// Pingora's `BODY_BUF_LIMIT`, and the largest piece that it reads at once.
const RETRY_BUFFER_BYTES: usize = 64 * 1024;

/// The answer to a request that has no view.
pub(super) fn refuse(session: &Session, context: &mut RequestContext, error: Malformed) -> Reply {
    let gateway = context.gateway.clone();
    let host = context.authority.as_ref().map(|authority| authority.host().to_owned()).unwrap_or_default();
    let served = listener(context, &gateway).is_some_and(|listener| listener.hosts.serve(&host));
    let visitor =
        Visitor { host: if served { &host } else { "" }, headers: &session.req_header().headers, request_id: &context.request_id };
    for_malformed(error).reply(&gateway, visitor, None, &mut context.record)
}

//! From us to the target and back: which connection, which headers.

use std::path::Path;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, SERVER, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::ErrorType::{HTTPStatus, InternalError, InvalidHTTPHeader};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, HttpPeer};
use pingora::proxy::Session;
use tokio::time::Instant;

use super::context::RequestContext;
use super::forms;
use super::held_writes::HoldWrites;
use super::reading::announces_content;
use super::target_tls::TargetIdentities;
use super::writing;
use crate::clock::{Clock, UnixTime};
use crate::gateway::{ProtocolVersion, Target, TargetAddress, TargetGroup, Wanted};
use crate::secret::Entropy;

/// Connections that are tried for one request.
pub(super) const MAX_ATTEMPTS: usize = 3;
/// As many as servers usually allow (RFC 9113 §6.5.2); pingora's own default is one.
const STREAMS_PER_CONNECTION: usize = 100;

/// The target for the request, or for another attempt at it.
pub(super) fn peer(context: &mut RequestContext, identities: &TargetIdentities, entropy: &Entropy, now: UnixTime) -> Result<Box<HttpPeer>> {
    let Some(forward) = &context.forward else { return Error::e_explain(InternalError, "nothing to forward to") };
    let group = &forward.target_group;
    let random = if group.balance.is_random() { entropy.bytes().map(u64::from_le_bytes).unwrap_or_default() } else { 0 };
    context.outstanding = None;
    let wanted = Wanted { sticky: forward.sticky.target, tried: &context.tried, random, now };
    let Some(outstanding) = group.pick(wanted) else { return Error::e_explain(HTTPStatus(503), "no target") };
    let target = outstanding.target();
    let mut peer = connect_to(group, target, outstanding.turn)?;
    let timeouts = &group.timeouts;
    peer.group_key = group.id;
    identities.apply(group, &mut peer);
    let options = &mut peer.options;
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect);
    options.read_timeout = Some(timeouts.response);
    options.write_timeout = Some(timeouts.response);
    options.idle_timeout = Some(timeouts.idle);
    match group.protocol_version {
        ProtocolVersion::Http1 => options.set_http_version(1, 1),
        // No way back to HTTP/1.1: what the file says is what the target speaks, or 502.
        ProtocolVersion::Http2 | ProtocolVersion::Grpc => {
            options.set_http_version(2, 2);
            options.max_h2_streams = STREAMS_PER_CONNECTION;
        }
    }
    context.attempts += 1;
    context.asked = Some((group.clone(), outstanding.index));
    context.target_started = Some(Instant::now());
    context.outstanding = Some(outstanding);
    Ok(Box::new(peer))
}

/// For a request that wants to switch protocols. Such connections are not shared with others.
pub(super) fn hold_writes(peer: &mut HttpPeer) {
    peer.group_key = !peer.group_key;
    peer.options.custom_l4 = Some(Arc::new(HoldWrites));
}

fn connect_to(group: &TargetGroup, target: &Target, turn: usize) -> Result<HttpPeer> {
    let tls = group.tls.is_some();
    match &target.address {
        TargetAddress::Inet { host, .. } => match target.socket(turn) {
            Some(socket) => Ok(HttpPeer::new(socket, tls, if tls { host.clone() } else { String::new() })),
            None => Error::e_explain(HTTPStatus(503), "the target's name does not resolve"),
        },
        TargetAddress::Unix(path) => {
            let path: &Path = path;
            HttpPeer::new_uds(path.to_str().unwrap_or_default(), tls, if tls { "localhost".to_owned() } else { String::new() })
        }
    }
}

/// Takes out what only the gateway may say, then says it. Runs again when a request is tried on another target, so it only
/// borrows.
pub(super) fn prepare(original: &RequestHeader, upstream: &mut RequestHeader, context: &RequestContext) -> Result<()> {
    let (Some(forward), Some(authority), Some(target), Some(forwarded)) =
        (&context.forward, &context.authority, &context.target, &context.forwarded)
    else {
        return Error::e_explain(InternalError, "nothing to forward");
    };
    let authority = forward.rewritten.authority.as_ref().unwrap_or(authority);
    let target = forward.rewritten.target.as_ref().unwrap_or(target);
    let gateway = &context.gateway;
    for name in gateway.protected.found_in(&upstream.headers) {
        while upstream.remove_header(&name).is_some() {}
    }
    // What was matched is what is forwarded: the normal form, not what was sent.
    if original.raw_path() != target.as_str().as_bytes() || upstream.uri.authority().is_some() {
        upstream.set_raw_path(target.as_str().as_bytes())?;
    }
    if upstream.headers.get(HOST).is_none_or(|host| host.as_bytes() != authority.as_str().as_bytes()) {
        upstream.insert_header(HOST, authority.as_str())?;
    }
    if original.headers.contains_key(COOKIE) {
        while upstream.remove_header(&COOKIE).is_some() {}
        if let Some(cookies) = gateway.target_cookies(&original.headers) {
            upstream.insert_header(COOKIE, cookies)?;
        }
    }
    // What came under this name is gone already, with all that only the gateway may say.
    if let Some(chain) = &forwarded.chain {
        upstream.insert_header(X_FORWARDED_FOR, chain.clone())?;
    }
    upstream.insert_header(X_FORWARDED_PROTO, HeaderValue::from_static(forwarded.scheme.as_str()))?;
    upstream.insert_header(X_FORWARDED_PORT, forwarded.port)?;
    if let Some(trace_id) = &context.trace_id {
        upstream.insert_header(X_AMZN_TRACE_ID, trace_id.clone())?;
    }
    let tls = context.connection.as_ref().and_then(|connection| connection.tls.as_ref());
    for (name, value) in tls.iter().flat_map(|tls| &tls.headers) {
        upstream.insert_header(name.clone(), value.clone())?;
    }
    if let Some(form) = &forward.resent {
        forms::describe(form, upstream)?;
    }
    frame(upstream, context)?;
    if let Some(identity) = &forward.identity {
        for (name, value) in &identity.headers {
            upstream.insert_header(name.clone(), value.clone())?;
        }
    }
    Ok(())
}

/// The body's length in one form; and content that a method does not have is the last thing on its connection: a target that does not read
/// it takes it for the next request (threat D11).
fn frame(upstream: &mut RequestHeader, context: &RequestContext) -> Result<()> {
    if let Some(length) = upstream.headers.get(CONTENT_LENGTH).and_then(canonical_length) {
        upstream.insert_header(CONTENT_LENGTH, length)?;
    }
    let without_body = matches!(upstream.method, Method::GET | Method::HEAD);
    let unannounced = context.has_body_without_length && !upstream.headers.contains_key(CONTENT_LENGTH);
    let has_body = announces_content(&upstream.headers) || unannounced;
    let is_http1 = context.forward.as_ref().is_some_and(|forward| forward.target_group.protocol_version == ProtocolVersion::Http1);
    if without_body && has_body && is_http1 && !upstream.headers.contains_key(UPGRADE) {
        upstream.insert_header(CONNECTION, HeaderValue::from_static("close"))?;
    }
    Ok(())
}

/// `005`, `5, 5` (pingora has made sure that they are the same) and `+5`, if it lets that pass: one number. `None` where it is that already.
fn canonical_length(value: &HeaderValue) -> Option<HeaderValue> {
    let octets = value.as_bytes();
    let is_canonical = octets.iter().all(u8::is_ascii_digit) && (octets.len() == 1 || octets.first() != Some(&b'0'));
    if is_canonical {
        return None;
    }
    let first = octets.split(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
    let length = std::str::from_utf8(first).ok()?.parse::<u64>().ok()?;
    Some(HeaderValue::from(length))
}

/// One length, or chunks and nothing else. Lists are what the next program may read in another way.
fn unify_framing(response: &mut ResponseHeader) -> Result<()> {
    let odd_coding = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"chunked");
    let mut codings = response.headers.get_all(TRANSFER_ENCODING).iter();
    if codings.next().is_some_and(odd_coding) || codings.next().is_some() {
        return Err(Error::explain(InvalidHTTPHeader, "a transfer coding other than chunked").into_up());
    }
    let mut lengths = response.headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(()) };
    let canonical = canonical_length(first);
    if canonical.is_some() || lengths.next().is_some() {
        let one = canonical.unwrap_or_else(|| first.clone());
        response.insert_header(CONTENT_LENGTH, one)?;
    }
    Ok(())
}

/// Notes what the target answered. It can neither set our cookies (threat S18) nor switch protocols unasked.
pub(super) fn inspect_response(
    session: &Session,
    response: &mut ResponseHeader,
    context: &mut RequestContext,
    clock: &dyn Clock,
) -> Result<()> {
    // Pingora lets no other method switch; what its target says then was not asked for.
    if response.status.as_u16() == 101 && (!session.is_upgrade_req() || session.req_header().method != Method::GET) {
        return Err(Error::explain(InvalidHTTPHeader, "a 101 that nobody asked for").into_up());
    }
    unify_framing(response)?;
    if !response.status.is_informational() || response.status.as_u16() == 101 {
        context.target_status = Some(response.status.as_u16());
        context.target_time = context.target_started.map(|started| started.elapsed());
    }
    if response.status.as_u16() != 101 {
        remove_hop_by_hop(response);
    }
    let ours = |value: &HeaderValue| {
        let name = value.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
        context.gateway.owns_cookie(name.trim_ascii())
    };
    if response.headers.get_all(SET_COOKIE).iter().any(ours) {
        let kept: Vec<HeaderValue> = response.headers.get_all(SET_COOKIE).iter().filter(|value| !ours(value)).cloned().collect();
        while response.remove_header(&SET_COOKIE).is_some() {}
        for value in kept {
            response.append_header(SET_COOKIE, value)?;
        }
    }
    if !response.status.is_informational() || response.status.as_u16() == 101 {
        remember_target(response, context, clock)?;
    }
    if !response.status.is_informational() {
        set_headers(response, context)?;
    }
    Ok(())
}

/// What the listener says of every answer.
fn set_headers(response: &mut ResponseHeader, context: &RequestContext) -> Result<()> {
    let (Some(listener), Some(scheme)) = (context.listener(), context.scheme()) else { return Ok(()) };
    let headers = &listener.response_headers;
    if !headers.keeps_server {
        while response.remove_header(&SERVER).is_some() {}
    }
    writing::set(response, headers.for_content(scheme))
}

/// Fields that frame, route, authenticate or control have no place in trailers (RFC 9110 §6.5.1): what comes after the body was not
/// looked at with the head, and would set our cookies after all (threat S18).
pub(super) fn inspect_trailers(trailers: &mut HeaderMap) {
    const REFUSED: [&str; 16] = [
        "set-cookie",
        "set-cookie2",
        "content-length",
        "content-type",
        "content-encoding",
        "content-range",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "upgrade",
        "host",
        "location",
        "cache-control",
        "www-authenticate",
        "trailer",
        "te",
    ];
    for name in REFUSED {
        trailers.remove(name);
    }
}

/// Keeps the session up to date, and the visitor with the target that has answered.
fn remember_target(response: &mut ResponseHeader, context: &RequestContext, clock: &dyn Clock) -> Result<()> {
    let (Some(forward), Some(outstanding), Some(forwarded)) = (&context.forward, &context.outstanding, &context.forwarded) else {
        return Ok(());
    };
    for cookie in &forward.set_cookies {
        response.append_header(SET_COOKIE, cookie.clone())?;
    }
    if !forward.sticky.may_set(&forward.target_group) {
        return Ok(());
    }
    let (sealer, now) = (&context.gateway.authentication.sealer, clock.now());
    let set = forward.sticky.set_cookies(&forward.target_group, outstanding.index, &response.headers, forwarded.scheme, sealer, now);
    for cookie in set {
        response.append_header(SET_COOKIE, cookie)?;
    }
    Ok(())
}

/// What is between the target and us (RFC 9110 §7.6.1). A target may nominate fields of its own, but not take away what the
/// answer means.
fn remove_hop_by_hop(response: &mut ResponseHeader) {
    const KEPT: [&str; 6] = ["set-cookie", "content-type", "content-length", "transfer-encoding", "location", "cache-control"];
    let nominated = response
        .headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.eq_ignore_ascii_case("close") && !name.eq_ignore_ascii_case("keep-alive"))
        .filter_map(|name| name.parse::<HeaderName>().ok())
        .filter(|name| !KEPT.contains(&name.as_str()));
    // Most answers have none of them, and one look at the names costs less than to ask for each.
    let found: Vec<HeaderName> = response.headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned().chain(nominated).collect();
    for name in &found {
        while response.remove_header(name).is_some() {}
    }
}

const HOP_BY_HOP: [HeaderName; 4] = [HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection"), TE, UPGRADE];
// Pingora copies a `HeaderName` for the case in which it is sent.
const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
const X_FORWARDED_PORT: &str = "x-forwarded-port";
const X_AMZN_TRACE_ID: &str = "x-amzn-trace-id";

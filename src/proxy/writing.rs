//! Answers of our own, onto the wire.

use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Method};
use pingora::ErrorType::{
    ConnectTimedout, ConnectionClosed, H2Error, HTTPStatus, ReadError, ReadTimedout, TLSHandshakeTimedout, WriteError, WriteTimedout,
};
use pingora::http::ResponseHeader;
use pingora::prelude::Error;
use pingora::protocols::http::HttpTask;
use pingora::proxy::{FailToProxy, Session};
use pingora::{ErrorSource, Result};

use super::context::RequestContext;
use crate::gateway::{Reply, TargetFailure, Visitor, for_malformed, for_target};
use crate::message::Malformed;

/// Writes a whole reply. A request body that has not been read ends the connection: it must never become the next request
/// (CVE-2025-4366, threat D06); pingora closes in that case.
pub(super) async fn write(session: &mut Session, context: &mut RequestContext, reply: Reply) -> Result<()> {
    let status = if reply.is_grpc { 200 } else { reply.status };
    let mut header = ResponseHeader::build(status, Some(reply.headers.len() + 1))?;
    if reply.status == 561 {
        header.set_reason_phrase(Some("Identity Provider Error"))?;
    }
    for (name, value) in reply.headers {
        header.append_header(name, value)?;
    }
    if let (Some(listener), Some(scheme)) = (context.listener(), context.scheme()) {
        if reply.is_content {
            set(&mut header, listener.response_headers.for_content(scheme))?;
        } else {
            set(&mut header, listener.response_headers.for_own(scheme))?;
        }
    }
    header.insert_header(CONTENT_LENGTH, reply.body.len())?;
    context.status = Some(reply.status);
    let without_body = session.req_header().method == Method::HEAD || reply.body.is_empty();
    if session.is_http2() && without_body {
        // Pingora's own way ends the stream with an empty DATA frame, and what gRPC calls `Trailers-Only` is one HEADERS frame.
        session.downstream_session.response_duplex_vec(vec![HttpTask::Header(Box::new(header), true)]).await?;
    } else {
        session.write_response_header(Box::new(header), without_body).await?;
    }
    if !without_body {
        session.write_response_body(Some(reply.body), true).await?;
    }
    Ok(())
}

/// Each in place of what stands there under its name.
pub(super) fn set<'h>(header: &mut ResponseHeader, headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>) -> Result<()> {
    headers.into_iter().try_for_each(|(name, value)| header.insert_header(name.clone(), value.clone()))
}

/// A target failed, or the client did. Once the target's answer has begun, all that is left is to end the connection.
pub(super) async fn target_failed(session: &mut Session, error: &Error, context: &mut RequestContext) -> FailToProxy {
    let fault = context.screening.as_ref().and_then(|screening| screening.fault());
    let verdict = match (error.etype(), error.esource()) {
        (HTTPStatus(413), ErrorSource::Downstream) => for_malformed(Malformed::BodyTooLarge),
        (ReadError, ErrorSource::Downstream) if let Some(fault) = fault => for_malformed(fault),
        (ReadError | WriteError | ConnectionClosed | ReadTimedout | WriteTimedout | H2Error, ErrorSource::Downstream) => {
            return client_failed(session, context);
        }
        // A nominated header that must not be taken out, a chunk that is none.
        (_, ErrorSource::Downstream) => for_malformed(Malformed::Head),
        (error, source) => for_target(target_failure(error, source)),
    };
    if session.response_written().is_some() {
        context.record.error_reason = Some(verdict.reason);
        context.record.detail = Some(error.etype().as_str().to_owned());
        return FailToProxy { error_code: 0, can_reuse_downstream: false };
    }
    let status = verdict.status;
    let gateway = context.gateway.clone();
    let host = context.authority.as_ref().map(|authority| authority.host().to_owned()).unwrap_or_default();
    let headers = session.req_header().headers.clone();
    let visitor = Visitor { host: &host, headers: &headers, request_id: &context.request_id };
    let detail = verdict.detail.clone();
    // What was asked for by GET may be asked for again with one click.
    let again = context.target.as_ref().filter(|_| session.req_header().method == Method::GET).map(crate::message::RequestTarget::href);
    let reply = verdict.reply(&gateway, visitor, again.as_deref(), &mut context.record);
    context.record.detail = Some(format!("{} ({})", detail, error.etype().as_str()));
    session.set_keepalive(None);
    // The client may have gone in the meantime.
    let _ = write(session, context, reply).await;
    FailToProxy { error_code: status, can_reuse_downstream: false }
}

fn target_failure(error: &pingora::ErrorType, source: &ErrorSource) -> TargetFailure {
    match (error, source) {
        (HTTPStatus(503), _) => TargetFailure::Unavailable,
        (ConnectTimedout | TLSHandshakeTimedout | ReadTimedout | WriteTimedout, ErrorSource::Upstream) => TargetFailure::Timeout,
        (_, ErrorSource::Upstream) => TargetFailure::Failed,
        (_, ErrorSource::Downstream | ErrorSource::Internal | ErrorSource::Unset) => TargetFailure::Internal,
    }
}

/// It went away, or sends nothing any more.
fn client_failed(session: &Session, context: &mut RequestContext) -> FailToProxy {
    context.record.error_reason = Some("ClientClosedConnection");
    if session.response_written().is_none() {
        // ALB's status for a client that left.
        context.status = Some(460);
    }
    FailToProxy { error_code: 0, can_reuse_downstream: false }
}

//! Forms that met no session: the body is read when nobody else wants it, and takes the place of another one later.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::context::RequestContext;
use super::reading;
use crate::authentication::MAX_FORM_BYTES;
use crate::clock::UnixTime;
use crate::gateway::{Body, Exchange, Reply, Resent, keep_form};

/// `refusal`, on the page that holds the form.
pub(super) async fn keep(session: &mut Session, context: &mut RequestContext, rule: u32, refusal: Reply, now: UnixTime) -> Reply {
    let body = reading::body(session, MAX_FORM_BYTES).await;
    if matches!(body, Body::TooLarge) {
        reading::discard(session).await;
    }
    let gateway = context.gateway.clone();
    let record = std::mem::take(&mut context.record);
    let Some((request, listener)) = reading::view(session, context, &gateway) else { return refusal };
    let (connection, set_cookies) = (None, Vec::new());
    let mut exchange =
        Exchange { gateway: &gateway, listener, request: &request, now, body, record, connection, set_cookies, keeps_form: None };
    let reply = keep_form(rule, refusal, &mut exchange);
    context.record = exchange.record;
    reply
}

/// The head that belongs to the form.
pub(super) fn describe(form: &Resent, upstream: &mut RequestHeader) -> Result<()> {
    for name in [TRANSFER_ENCODING, CONTENT_ENCODING, EXPECT] {
        while upstream.remove_header(&name).is_some() {}
    }
    upstream.insert_header(CONTENT_TYPE, form.content_type.clone())?;
    upstream.insert_header(CONTENT_LENGTH, form.body.len())
}

/// Pingora hands over what it has buffered of the body that came, again for each attempt; the form goes on in its place.
pub(super) fn replace(form: &Resent, body: &mut Option<Bytes>, is_last: bool) {
    *body = if is_last { Some(form.body.clone()).filter(|form| !form.is_empty()) } else { Some(Bytes::new()) };
}

/// A form that no target was there to take may be sent again.
pub(super) async fn target_failed(context: &RequestContext) {
    if let Some(form) = context.resent().filter(|_| !context.was_connected) {
        form.was_not_sent(&context.gateway).await;
    }
}

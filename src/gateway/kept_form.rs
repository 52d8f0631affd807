//! A form that was sent without a session, from the page that keeps it to the target (docs/sessions.md).
//!
//! Nothing of it reaches a target before somebody is signed in, and then only with a click on a page of ours (threats F26, R13): a
//! form that were sent by itself could be another site's, sent in the name of whoever signs in.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, SET_COOKIE, TRANSFER_ENCODING, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};

use super::pages::{FormField, PageContext};
use super::sign_in_challenge::page_of;
use super::{Body, Exchange, Forward, Gateway, Reply, endpoints, reply};
use crate::authentication::{Decision, FORM_LIFETIME, KeptForm, KeptFormError, OnUnauthenticatedRequest, Presented, decide};
use crate::message::{RequestKind, RequestTarget, RequestView, sends_form};

/// What is sent in place of the request's own body.
pub struct Resent {
    id: [u8; 16],
    pub content_type: HeaderValue,
    pub body: Bytes,
}

/// Whether the request's form is kept while its sender signs in: where a page would be redirected. Not another site's, which would have
/// it sent with one click of ours (CSRF).
pub(super) fn is_kept(mode: OnUnauthenticatedRequest, presented: &Presented, request: &RequestView<'_>) -> bool {
    sends_form(request.method, request.headers)
        && request.is_from_own_page()
        && decide(mode, presented, RequestKind::Navigation) == Decision::Redirect
}

/// `refusal`, on the page that holds the form of `exchange.body`.
#[must_use]
pub fn keep_form(rule: u32, refusal: Reply, exchange: &mut Exchange<'_>) -> Reply {
    let request = exchange.request;
    let body = match std::mem::take(&mut exchange.body) {
        Body::Whole(body) => body,
        Body::TooLarge => {
            exchange.record.form = Some("too_large");
            let login = endpoints::login::url(exchange.gateway, rule, &page_of(exchange));
            return refusal_on("form_too_large", refusal, &login, None, exchange);
        }
        Body::Unread | Body::Broken => return refusal,
    };
    let content_type = request.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let target = request.target.as_str();
    match exchange.gateway.authentication.new_form(request.origin(), target, content_type, &body, exchange.now) {
        Ok(form) => held(rule, &form, refusal, exchange),
        Err(error) => exchange.refuse(reply::unhandled(&error), None),
    }
}

/// `refusal`, on the page that holds the form.
fn held(rule: u32, form: &KeptForm, refusal: Reply, exchange: &mut Exchange<'_>) -> Reply {
    let gateway = exchange.gateway;
    let Some(authenticate) = endpoints::rule(exchange.listener, rule) else { return refusal };
    let sealed = match gateway.authentication.seal_form(authenticate, form) {
        Ok(sealed) => sealed,
        Err(error) => return exchange.refuse(reply::unhandled(&error), None),
    };
    exchange.record.form = Some("kept");
    let action = endpoints::form::url(gateway, rule);
    let login = endpoints::login::url(gateway, rule, &action);
    refusal_on("form_not_sent", refusal, &login, Some(FormField { action: &action, value: &sealed }), exchange)
}

/// Another page, with the same status and the same challenge.
fn refusal_on(situation: &str, refusal: Reply, login: &str, form: Option<FormField<'_>>, exchange: &Exchange<'_>) -> Reply {
    let visitor = exchange.visitor();
    let (status, action) = (Some(refusal.status), Some(login));
    let context = PageContext { host: visitor.host, status, request_id: visitor.request_id, action, form, ..PageContext::default() };
    let mut page = reply::page_reply(exchange.gateway, visitor, refusal.status, situation, &context);
    page.headers.extend(refusal.headers.into_iter().filter(|(name, _)| [WWW_AUTHENTICATE, SET_COOKIE].contains(name)));
    page
}

/// "Send the form": the request that was kept, with whatever else the present one has.
pub(super) struct Resending {
    form: KeptForm,
    target: RequestTarget,
    content_type: HeaderValue,
    headers: HeaderMap,
}

impl Resending {
    pub(super) fn read(exchange: &mut Exchange<'_>) -> Result<Self, Reply> {
        let present = exchange.request.headers;
        let resending = match endpoints::form::opened(exchange).and_then(|form| Self::of(form, present)) {
            Ok(resending) => resending,
            Err(error) => return Err(exchange.refuse(reply::for_kept_form(error), None)),
        };
        exchange.record.resent = Some(Box::new(resending.target.clone()));
        if exchange.gateway.authentication.used_forms.is_used(&resending.form.id) {
            return Err(resending.refuse_used(exchange));
        }
        Ok(resending)
    }

    fn of(form: KeptForm, present: &HeaderMap) -> Result<Self, KeptFormError> {
        let target = RequestTarget::parse(form.target.as_bytes()).map_err(|_| KeptFormError::Unusable)?;
        let content_type = HeaderValue::from_bytes(&form.content_type).map_err(|_| KeptFormError::Unusable)?;
        let mut headers = present.clone();
        for name in [TRANSFER_ENCODING, CONTENT_ENCODING, EXPECT] {
            headers.remove(name);
        }
        headers.insert(CONTENT_TYPE, content_type.clone());
        headers.insert(CONTENT_LENGTH, form.body.len().into());
        Ok(Self { form, target, content_type, headers })
    }

    /// As rules and policies see it.
    pub(super) fn request<'a>(&'a self, present: &RequestView<'a>) -> RequestView<'a> {
        RequestView { target: &self.target, headers: &self.headers, ..*present }
    }

    /// Only what goes to a target is used up: whoever may not send it can still let somebody else sign in. Of two clicks at the same
    /// moment one goes on.
    pub(super) async fn finish(
        self,
        decision: Result<Forward, Reply>,
        keeps_form: Option<u32>,
        exchange: &mut Exchange<'_>,
    ) -> Result<Forward, Reply> {
        let forward = match (decision, keeps_form) {
            (Ok(forward), _) => forward,
            (Err(refusal), Some(rule)) => {
                let renewed = KeptForm { ends_at: exchange.now.plus(FORM_LIFETIME), ..self.form };
                return Err(held(rule, &renewed, refusal, exchange));
            }
            (Err(reply), None) => return Err(reply),
        };
        match exchange.gateway.authentication.use_form(&self.form).await {
            Ok(true) => {}
            Ok(false) => return Err(self.refuse_used(exchange)),
            Err(error) => {
                exchange.gateway.authentication.used_forms.release(&self.form.id);
                return Err(exchange.refuse(reply::for_session_store(&error), None));
            }
        }
        exchange.record.form = Some("sent");
        let resent = Resent { id: self.form.id, content_type: self.content_type, body: self.form.body.into() };
        Ok(Forward { resent: Some(Box::new(resent)), ..forward })
    }

    fn refuse_used(&self, exchange: &mut Exchange<'_>) -> Reply {
        exchange.refuse(reply::for_kept_form(KeptFormError::Used), Some(&self.target.href()))
    }
}

impl Resent {
    /// No target was there to take it: it may be sent again.
    pub async fn was_not_sent(&self, gateway: &Gateway) {
        gateway.authentication.form_was_not_sent(self.id).await;
    }
}

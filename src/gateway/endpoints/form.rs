//! `/oauth2/form`: where a form that met no session is sent after all, when its sender is signed in (`kept_form`).

use super::{login, rule};
use crate::authentication::{KeptForm, KeptFormError, MAX_FORM_BYTES, Presented};
use crate::gateway::pages::{FormField, PageContext};
use crate::gateway::{Body, Exchange, Gateway, Reply, reply};
use crate::message::MAX_TARGET_BYTES;

/// Everything sealed, in base64, with room for what stands beside it.
pub(super) const MAX_BODY_BYTES: usize = (MAX_FORM_BYTES + MAX_TARGET_BYTES + 1024) / 3 * 4;

/// The page for the forms of a rule.
pub(in crate::gateway) fn url(gateway: &Gateway, rule: u32) -> String {
    format!("{}/form?rule={rule}", gateway.prefix)
}

/// After a sign-in. The form is in the tab: the page's script finds it there, or the person goes to the tab that has it.
pub(super) async fn serve(exchange: &mut Exchange<'_>) -> Reply {
    let (gateway, request) = (exchange.gateway, exchange.request);
    let priority = priority(exchange);
    let own = url(gateway, priority);
    let Some(authenticate) = rule(exchange.listener, priority) else {
        return reply::plain_reply(gateway, exchange.visitor(), 404, "not_found", None);
    };
    let (way, presented) = gateway.authentication.presented_by_any(authenticate, request.headers, exchange.now).await;
    let known = match &presented {
        Presented::Session(session) => gateway.known.identity(way, session).ok(),
        Presented::Unavailable(error) => return super::store_failed(error, exchange),
        _ => None,
    };
    let Some(known) = known.filter(|known| gateway.authentication.over(known.term(), exchange.now).is_none()) else {
        let login = login::url(gateway, priority, &own);
        return exchange.refuse(reply::unauthenticated("AuthMissingCookie"), Some(&login));
    };
    exchange.record.outcome = Some("session");
    exchange.record.note_person(&known.identity);
    let visitor = exchange.visitor();
    let context = PageContext {
        host: visitor.host,
        identity: &known.identity.display_name,
        request_id: visitor.request_id,
        secondary: Some("/"),
        form: Some(FormField { action: &own, value: "" }),
        ..PageContext::default()
    };
    reply::page_reply(gateway, visitor, 200, "form_waiting", &context)
}

/// The form that the request brings back. Another site cannot have it sent.
pub(in crate::gateway) fn opened(exchange: &Exchange<'_>) -> Result<KeptForm, KeptFormError> {
    if !exchange.request.is_from_own_page() {
        return Err(KeptFormError::Foreign);
    }
    let authenticate = rule(exchange.listener, priority(exchange)).ok_or(KeptFormError::Missing)?;
    let Body::Whole(body) = &exchange.body else { return Err(KeptFormError::Missing) };
    let mut fields = form_urlencoded::parse(body).filter(|(name, _)| name == "form");
    let (Some((_, sealed)), None) = (fields.next(), fields.next()) else { return Err(KeptFormError::Missing) };
    exchange.gateway.authentication.open_form(authenticate, &sealed, &exchange.request.origin(), exchange.now)
}

/// The rule whose sign-in the form waits for; where none is named, the first.
fn priority(exchange: &Exchange<'_>) -> u32 {
    let query = exchange.request.target.query().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "rule");
    let named = named.and_then(|(_, value)| value.parse().ok());
    named.unwrap_or_else(|| exchange.listener.authenticating().next().map_or(0, |authenticate| authenticate.rule))
}

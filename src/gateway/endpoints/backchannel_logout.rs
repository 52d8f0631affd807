//! `/oauth2/backchannel_logout`: the provider says that somebody has signed out. No browser is involved.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::authentication::{Authenticate, BackchannelLogoutError};
use crate::gateway::{Body, Exchange, ListenerRules, Reply, TokenEvent, reply};
use crate::message::Scheme;
use crate::provider::LogoutToken;

/// A logout token has some 500 bytes. Whoever sends more than this has none.
pub(super) const MAX_BODY_BYTES: usize = 16 * 1024;

pub(super) async fn serve(exchange: &mut Exchange<'_>) -> Reply {
    match log_out(exchange).await {
        Ok((authenticate, token)) => {
            exchange.record.outcome = Some("signed_out");
            exchange.record.logout_token = Some(TokenEvent::Success);
            exchange.record.identity_provider = Some(authenticate.provider.name.clone());
            exchange.record.subject = token.whom.subject().map(Into::into);
            Reply::json(200, &json!({}))
        }
        Err(error) => refuse(&error, exchange),
    }
}

async fn log_out<'a>(exchange: &Exchange<'a>) -> Result<(&'a Authenticate, LogoutToken), BackchannelLogoutError> {
    if exchange.request.scheme == Scheme::Http {
        return Err(BackchannelLogoutError::Request("it came over plain http"));
    }
    let token = logout_token(exchange)?;
    let (gateway, now) = (exchange.gateway, exchange.now);
    let ways = gateway.listeners.iter().flat_map(ListenerRules::authenticating);
    let (authenticate, token) = gateway.authentication.backchannel_logout(&token, ways, now).await?;
    Ok((authenticate, token))
}

/// The one `logout_token` of the form (§2.5). Other parameters may stand beside it.
fn logout_token(exchange: &Exchange<'_>) -> Result<String, BackchannelLogoutError> {
    let bad = BackchannelLogoutError::Request;
    if !is_form(exchange.request.headers) {
        return Err(bad("its body is no form"));
    }
    let body = match &exchange.body {
        Body::Whole(body) => body,
        Body::TooLarge => return Err(BackchannelLogoutError::TooLarge),
        Body::Unread | Body::Broken => return Err(bad("its body did not come")),
    };
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Ok(token.into_owned()),
        (Some(_), Some(_)) => Err(bad("there is more than one logout_token")),
        (None, _) => Err(bad("there is no logout_token")),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// §2.8. A status above 499 has the provider try again.
fn refuse(error: &BackchannelLogoutError, exchange: &mut Exchange<'_>) -> Reply {
    exchange.record.logout_token = Some(TokenEvent::Failure);
    let verdict = reply::for_backchannel_logout(error);
    let (status, request_id) = (verdict.status, exchange.request.request_id);
    let refusal = exchange.refuse(verdict, None);
    let (error, description) = match status {
        503 => ("temporarily_unavailable", "The keys of the provider cannot be had"),
        413 => ("invalid_request", "The request is too large"),
        _ => ("invalid_request", "The logout token is not accepted"),
    };
    let body = json!({"error": error, "error_description": description, "request_id": request_id});
    let mut reply = Reply::json(status, &body);
    reply.headers.extend(refusal.headers.into_iter().filter(|(name, _)| *name == http::header::RETRY_AFTER));
    reply
}

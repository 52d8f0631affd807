//! `/oauth2/idpresponse`: the redirect URI of the authorization-code flow.

use super::login;
use crate::authentication::{Authenticate, CallbackError, CallbackFailure, LoginState, Presented, SessionStoreError};
use crate::gateway::{AuthenticationEvent, Exchange, Reply, reply};
use crate::session::Ending;

pub(super) async fn serve(exchange: &mut Exchange<'_>) -> Reply {
    if exchange.has_failed_too_often() {
        return exchange.too_many("AuthTooManyFailures");
    }
    let (authentication, request) = (&exchange.gateway.authentication, exchange.request);
    let query = request.target.query().unwrap_or_default();
    let called = format!("{}{}", request.origin(), request.target.path());
    let (login, response) = match authentication.open_callback(query, &called, request.headers, exchange.now) {
        Ok(opened) => opened,
        Err(failure) => return refuse(failure, exchange).await,
    };
    let Some(authenticate) = super::beginner(exchange.listener, &login) else {
        return refuse(CallbackFailure { error: CallbackError::OtherRule, login: Some(Box::new(login)) }, exchange).await;
    };
    exchange.record.identity_provider = Some(authenticate.provider.name.clone());
    match authentication.finish(authenticate, &login, &response, exchange.now).await {
        Ok(signed_in) => {
            if let Err(error) = end_former_sessions(authenticate, exchange).await {
                return super::store_failed(&error, exchange);
            }
            exchange.record.outcome = Some("signed_in");
            exchange.record.event = Some(AuthenticationEvent::Success);
            exchange.record.subject = Some(signed_in.subject.into());
            exchange.record.display_name = Some(signed_in.display_name.into());
            exchange.record.session = Some(signed_in.session.hash().into());
            Reply::redirect(302, &signed_in.location).with_cookies(signed_in.set_cookies)
        }
        Err(error) => refuse(CallbackFailure { error, login: Some(Box::new(login)) }, exchange).await,
    }
}

/// A session that the browser had before does not live on beside the new one (session fixation, threat S01).
async fn end_former_sessions(authenticate: &Authenticate, exchange: &Exchange<'_>) -> Result<(), SessionStoreError> {
    for (former, session) in super::sessions(exchange).await? {
        if former.cookie == authenticate.cookie {
            exchange.gateway.authentication.end(session.id, Ending::Replaced).await?;
        }
    }
    Ok(())
}

async fn refuse(failure: CallbackFailure, exchange: &mut Exchange<'_>) -> Reply {
    let CallbackFailure { error, login } = failure;
    if let (CallbackError::UsedState, Some(login)) = (&error, &login)
        && is_signed_in(login, exchange).await
    {
        // Back, reload, a second click: the person is in, and goes where the login led.
        exchange.record.outcome = Some("session");
        return Reply::redirect(302, &format!("{}{}", login.origin, login.return_to));
    }
    if let (CallbackError::NotSilently(_), Some(login)) = (&error, &login) {
        // Whoever began it in a frame finds out there that nobody is signed in; a page of ours would be of no use to them.
        let verdict = reply::for_callback(&error);
        exchange.record.outcome = Some("refused");
        exchange.record.error_reason = Some(verdict.reason);
        exchange.record.detail = Some(verdict.detail);
        return Reply::redirect(verdict.status, &format!("{}{}", login.origin, login.return_to));
    }
    exchange.record.outcome = Some("failed");
    exchange.note_failure();
    let (priority, return_to) = match &login {
        // A state of another host is not followed to that host.
        Some(login) if !matches!(error, CallbackError::OtherRule) => (login.rule, login.return_to.as_str()),
        _ => (exchange.listener.authenticating().next().map_or(0, |authenticate| authenticate.rule), "/"),
    };
    let url = if matches!(error, CallbackError::Insufficient(_) | CallbackError::UnmetRequirements) { login::url_anew } else { login::url };
    let again = url(exchange.gateway, priority, return_to);
    // Where there are several providers, another one may do better.
    let again = if login.as_ref().is_some_and(|login| login.own_redirect_uri) { again + "&choose=true" } else { again };
    exchange.refuse(reply::for_callback(&error), Some(&again))
}

async fn is_signed_in(login: &LoginState, exchange: &Exchange<'_>) -> bool {
    let Some(authenticate) = super::beginner(exchange.listener, login) else { return false };
    let presented = exchange.gateway.authentication.presented(authenticate, exchange.request.headers, exchange.now).await;
    matches!(presented, Presented::Session(_))
}

//! `/oauth2/idpresponse`: the redirect URI of the authorization-code flow.

use super::login;
use crate::authentication::{CallbackError, CallbackFailure, LoginState, Presented};
use crate::clock::UnixTime;
use crate::gateway::{AuthenticationEvent, Gateway, ListenerRules, Record, Reply, reply};
use crate::message::RequestView;

pub(super) async fn serve(
    gateway: &Gateway,
    listener: &ListenerRules,
    request: &RequestView<'_>,
    now: UnixTime,
    record: &mut Record,
) -> Reply {
    let query = request.target.query().unwrap_or_default();
    let authentication = &gateway.authentication;
    let (login, response) = match authentication.open_callback(query, &request.origin(), request.headers, now) {
        Ok(opened) => opened,
        Err(failure) => return refuse(gateway, listener, request, failure, now, record),
    };
    let Some(authenticate) = super::rule(listener, login.rule) else {
        let failure = CallbackFailure { error: CallbackError::OtherRule, login: Some(Box::new(login)) };
        return refuse(gateway, listener, request, failure, now, record);
    };
    record.identity_provider = Some(authenticate.provider.name.clone());
    match authentication.finish(authenticate, &login, &response, request.headers, now).await {
        Ok(signed_in) => {
            record.outcome = Some("signed_in");
            record.event = Some(AuthenticationEvent::Success);
            record.subject = Some(signed_in.subject);
            record.display_name = Some(signed_in.display_name);
            record.session = Some(signed_in.session.hash());
            Reply::redirect(302, &signed_in.location).with_cookies(signed_in.set_cookies)
        }
        Err(error) => refuse(gateway, listener, request, CallbackFailure { error, login: Some(Box::new(login)) }, now, record),
    }
}

fn refuse(
    gateway: &Gateway,
    listener: &ListenerRules,
    request: &RequestView<'_>,
    failure: CallbackFailure,
    now: UnixTime,
    record: &mut Record,
) -> Reply {
    let CallbackFailure { error, login } = failure;
    if let (CallbackError::UsedState, Some(login)) = (&error, &login)
        && is_signed_in(gateway, listener, request, login, now)
    {
        // Back, reload, a second click: the person is in, and goes where the login led.
        record.outcome = Some("session");
        return Reply::redirect(302, &format!("{}{}", login.origin, login.return_to));
    }
    record.outcome = Some("failed");
    let (priority, return_to) = match &login {
        // A state of another host is not followed to that host.
        Some(login) if !matches!(error, CallbackError::OtherRule) => (login.rule, login.return_to.as_str()),
        _ => (listener.authenticating().next().map_or(0, |authenticate| authenticate.rule), "/"),
    };
    let again = login::url(gateway, priority, return_to);
    reply::for_callback(&error).reply(gateway, request.visitor(), Some(&again), record)
}

fn is_signed_in(gateway: &Gateway, listener: &ListenerRules, request: &RequestView<'_>, login: &LoginState, now: UnixTime) -> bool {
    super::rule(listener, login.rule)
        .is_some_and(|authenticate| matches!(gateway.authentication.presented(authenticate, request.headers, now), Presented::Session(_)))
}

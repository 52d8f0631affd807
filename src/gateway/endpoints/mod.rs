//! The gateway's own paths, on every listener that signs people in (docs/configuration.md, Endpoints).

mod backchannel_logout;
mod callback;
pub(super) mod form;
mod frontchannel_logout;
mod keys;
pub(super) mod login;
mod logout;
mod protected_resource;
mod session;

use std::sync::Arc;

use super::{Exchange, Gateway, ListenerRules, Reply, reply};
use crate::authentication::{Authenticate, LoginState, Presented, ProtectedResource, SessionStoreError, WELL_KNOWN};
use crate::message::{Malformed, RequestView, Scheme};
use crate::session::OpenedSession;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    IdpResponse,
    Login,
    Logout,
    BackchannelLogout,
    FrontchannelLogout,
    Key(&'a str),
    JwksJson,
    Session,
    Form,
    ProtectedResource(&'a ProtectedResource),
}

impl Endpoint<'_> {
    /// See `Gateway::wants_body`.
    pub(super) fn wants_body(self, request: &RequestView<'_>) -> Option<usize> {
        let limit = match self {
            Endpoint::BackchannelLogout => backchannel_logout::MAX_BODY_BYTES,
            Endpoint::Form if request.is_from_own_page() => form::MAX_BODY_BYTES,
            _ => return None,
        };
        (*request.method == http::Method::POST).then_some(limit)
    }
}

/// By exact path: a spelling that a laxer program would read as one of ours is just a path to the rules.
pub(super) fn find<'a>(gateway: &Gateway, listener: &'a ListenerRules, request: &RequestView<'a>) -> Option<Endpoint<'a>> {
    if let Some(resource) = resource(listener, request) {
        return Some(Endpoint::ProtectedResource(resource));
    }
    let path = request.target.path().strip_prefix(gateway.prefix.as_str())?;
    let endpoint = match path {
        "/idpresponse" => Endpoint::IdpResponse,
        own if own.starts_with("/idpresponse/") => Endpoint::IdpResponse,
        "/login" => Endpoint::Login,
        "/logout" => Endpoint::Logout,
        "/backchannel_logout" => Endpoint::BackchannelLogout,
        "/frontchannel_logout" => Endpoint::FrontchannelLogout,
        "/jwks.json" => Endpoint::JwksJson,
        "/session" => Endpoint::Session,
        "/form" => Endpoint::Form,
        _ => Endpoint::Key(path.strip_prefix("/keys/")?),
    };
    listener.authenticating().next().map(|_| endpoint)
}

pub(super) async fn serve(endpoint: Endpoint<'_>, exchange: &mut Exchange<'_>) -> Reply {
    exchange.record.actions.push("authenticate");
    exchange.record.masks_query = matches!(endpoint, Endpoint::IdpResponse | Endpoint::Logout | Endpoint::FrontchannelLogout);
    let method = exchange.request.method.as_str();
    let allowed = match endpoint {
        Endpoint::IdpResponse | Endpoint::Login | Endpoint::FrontchannelLogout => method == "GET",
        Endpoint::Logout => matches!(method, "GET" | "POST"),
        Endpoint::BackchannelLogout => method == "POST",
        // Its POST is the pipeline's: it goes on to a target.
        Endpoint::Form => method == "GET",
        Endpoint::Key(_) | Endpoint::JwksJson | Endpoint::Session | Endpoint::ProtectedResource(_) => matches!(method, "GET" | "HEAD"),
    };
    if !allowed {
        return exchange.refuse(reply::for_malformed(Malformed::Method), None);
    }
    if exchange.request.scheme == Scheme::Http && endpoint != Endpoint::BackchannelLogout {
        // Cookies are `Secure`, and a code is not redeemed that came in the clear (threat F23).
        return Reply::redirect(302, &exchange.request.https_url());
    }
    match endpoint {
        Endpoint::IdpResponse => callback::serve(exchange).await,
        Endpoint::Login => login::serve(exchange).await,
        Endpoint::Logout => logout::serve(exchange).await,
        Endpoint::BackchannelLogout => backchannel_logout::serve(exchange).await,
        Endpoint::FrontchannelLogout => frontchannel_logout::serve(exchange).await,
        Endpoint::Key(kid) => keys::pem(kid, exchange),
        Endpoint::JwksJson => keys::jwks(exchange.gateway),
        Endpoint::Session => session::serve(exchange).await,
        Endpoint::Form => form::serve(exchange).await,
        Endpoint::ProtectedResource(resource) => protected_resource::serve(resource),
    }
}

/// Few listeners have any, and the rest should not pay for it: one look at the path's beginning.
fn resource<'a>(listener: &'a ListenerRules, request: &RequestView<'a>) -> Option<&'a ProtectedResource> {
    let path = request.target.path();
    if !path.starts_with(WELL_KNOWN) {
        return None;
    }
    listener.protected_resources().map(|resource| &**resource).find(|resource| resource.is_at(request.authority.as_str(), path))
}

/// The rule that a link names.
pub(super) fn rule(listener: &ListenerRules, priority: u32) -> Option<&Arc<Authenticate>> {
    listener.authenticating().find(|authenticate| authenticate.rule == priority)
}

/// The rule, and the provider of it, that began a login.
fn beginner<'a>(listener: &'a ListenerRules, login: &LoginState) -> Option<&'a Arc<Authenticate>> {
    listener.authenticating().find(|authenticate| authenticate.rule == login.rule && *authenticate.provider.name == login.provider)
}

/// Sessions of this listener's rules that the browser holds: one for each cookie name and provider.
async fn sessions<'a>(exchange: &Exchange<'a>) -> Result<Vec<(&'a Arc<Authenticate>, OpenedSession)>, SessionStoreError> {
    let (gateway, headers, now) = (exchange.gateway, exchange.request.headers, exchange.now);
    let authentication = &gateway.authentication;
    let mut found: Vec<(_, OpenedSession)> = Vec::new();
    for authenticate in exchange.listener.authenticating() {
        match authentication.presented(authenticate, headers, now).await {
            Presented::Session(session) if !found.iter().any(|(_, known)| known.id == session.id) => {
                let known = gateway.known.identity(authenticate, &session);
                if !known.is_ok_and(|known| authentication.over(known.term(), now).is_some()) {
                    found.push((authenticate, session));
                }
            }
            Presented::Unavailable(error) => return Err(error),
            Presented::Session(_) | Presented::Nothing | Presented::Unusable => {}
            Presented::Expired(_) | Presented::Ended(_) | Presented::Unknown(_) => {}
        }
    }
    Ok(found)
}

/// Nobody can tell who is signed in.
fn store_failed(error: &SessionStoreError, exchange: &mut Exchange<'_>) -> Reply {
    exchange.refuse(reply::for_session_store(error), None)
}

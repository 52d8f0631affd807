//! The gateway's own paths, on every listener that signs people in (contract §3).

mod callback;
mod keys;
pub(super) mod login;
mod logout;
mod session;

use std::sync::Arc;

use super::{Gateway, ListenerRules, Record, Reply, reply};
use crate::authentication::{Authenticate, Presented};
use crate::clock::UnixTime;
use crate::message::{Malformed, RequestView, Scheme};
use crate::session::OpenedSession;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    IdpResponse,
    Login,
    Logout,
    Key(&'a str),
    JwksJson,
    Session,
}

/// By exact path: a spelling that a laxer program would read as one of ours is just a path to the rules.
pub(super) fn find<'a>(gateway: &Gateway, listener: &ListenerRules, request: &RequestView<'a>) -> Option<Endpoint<'a>> {
    let path = request.target.path().strip_prefix(gateway.prefix.as_str())?;
    let endpoint = match path {
        "/idpresponse" => Endpoint::IdpResponse,
        "/login" => Endpoint::Login,
        "/logout" => Endpoint::Logout,
        "/jwks.json" => Endpoint::JwksJson,
        "/session" => Endpoint::Session,
        _ => Endpoint::Key(path.strip_prefix("/keys/")?),
    };
    listener.authenticating().next().map(|_| endpoint)
}

pub(super) async fn serve(
    endpoint: Endpoint<'_>,
    gateway: &Gateway,
    listener: &ListenerRules,
    request: &RequestView<'_>,
    now: UnixTime,
    record: &mut Record,
) -> Reply {
    record.actions.push("authenticate");
    record.masks_query = matches!(endpoint, Endpoint::IdpResponse | Endpoint::Logout);
    let allowed = match endpoint {
        Endpoint::IdpResponse | Endpoint::Login => *request.method == http::Method::GET,
        Endpoint::Logout => matches!(request.method.as_str(), "GET" | "POST"),
        Endpoint::Key(_) | Endpoint::JwksJson | Endpoint::Session => matches!(request.method.as_str(), "GET" | "HEAD"),
    };
    if !allowed {
        return reply::for_malformed(Malformed::Method).reply(gateway, request.visitor(), None, record);
    }
    if request.scheme == Scheme::Http {
        // Cookies are `Secure`, and a code is not redeemed that came in the clear (threat F23).
        return Reply::redirect(302, &request.https_url());
    }
    match endpoint {
        Endpoint::IdpResponse => callback::serve(gateway, listener, request, now, record).await,
        Endpoint::Login => login::serve(gateway, listener, request, now, record).await,
        Endpoint::Logout => logout::serve(gateway, listener, request, now, record).await,
        Endpoint::Key(kid) => keys::pem(gateway, request, kid),
        Endpoint::JwksJson => keys::jwks(gateway),
        Endpoint::Session => session::serve(gateway, listener, request, now),
    }
}

/// The rule that began a login, or that a link names.
fn rule(listener: &ListenerRules, priority: u32) -> Option<&Arc<Authenticate>> {
    listener.authenticating().find(|authenticate| authenticate.rule == priority)
}

/// Sessions of this listener's rules that the browser holds: one for each cookie name and provider.
fn sessions<'a>(
    gateway: &'a Gateway,
    listener: &'a ListenerRules,
    request: &RequestView<'a>,
    now: UnixTime,
) -> impl Iterator<Item = (&'a Arc<Authenticate>, OpenedSession)> {
    let headers = request.headers;
    let mut seen = Vec::new();
    listener.authenticating().filter_map(move |authenticate| match gateway.authentication.presented(authenticate, headers, now) {
        Presented::Session(session) if !seen.contains(&session.id) => {
            seen.push(session.id);
            Some((authenticate, session))
        }
        _ => None,
    })
}

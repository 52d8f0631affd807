//! `/oauth2/login`: the start of a login by a link, from our own pages and the `login_url` of a 401.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::rule;
use crate::authentication::Authenticate;
use crate::clock::UnixTime;
use crate::gateway::{Gateway, ListenerRules, Record, Reply, reply};
use crate::message::{RequestTarget, RequestView};

/// The link for a rule. It carries nothing that would let its writer choose scope, client or redirect URI (threat F20).
pub(in crate::gateway) fn url(gateway: &Gateway, rule: u32, return_to: &str) -> String {
    format!("{}/login?rule={rule}&return_to={}", gateway.prefix, utf8_percent_encode(return_to, NON_ALPHANUMERIC))
}

pub(super) async fn serve(
    gateway: &Gateway,
    listener: &ListenerRules,
    request: &RequestView<'_>,
    now: UnixTime,
    record: &mut Record,
) -> Reply {
    let mut priority = None;
    let mut return_to = None;
    for (name, value) in form_urlencoded::parse(request.target.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "rule" => priority = value.parse().ok(),
            // Only a path of this origin, in normal form: it cannot name another host.
            "return_to" => return_to = RequestTarget::parse(value.as_bytes()).ok().map(|target| target.as_str().to_owned()),
            _ => {}
        }
    }
    let authenticate = priority.and_then(|priority| rule(listener, priority)).or_else(|| listener.authenticating().next());
    match authenticate {
        Some(authenticate) => begin(gateway, authenticate, request, return_to.as_deref().unwrap_or("/"), now, record).await,
        None => reply::plain_reply(gateway, request.visitor(), 404, "not_found", None),
    }
}

/// 302 to the provider.
pub(in crate::gateway) async fn begin(
    gateway: &Gateway,
    authenticate: &Authenticate,
    request: &RequestView<'_>,
    return_to: &str,
    now: UnixTime,
    record: &mut Record,
) -> Reply {
    record.identity_provider = Some(authenticate.provider.name.clone());
    match gateway.authentication.begin(authenticate, request, return_to, now).await {
        Ok(start) => {
            record.outcome = Some("redirected");
            Reply::redirect(302, &start.location).with_cookies([start.set_cookie])
        }
        Err(error) => reply::for_login(&error).reply(gateway, request.visitor(), Some(&url(gateway, authenticate.rule, return_to)), record),
    }
}

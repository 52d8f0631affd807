//! `/oauth2/login`: the start of a login by a link, from our own pages and the `login_url` of a 401.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::rule;
use crate::authentication::Authenticate;
use crate::gateway::{Exchange, Gateway, Reply, reply};
use crate::message::RequestTarget;

/// The link for a rule. It carries nothing that would let its writer choose scope, client or redirect URI (threat F20).
pub(in crate::gateway) fn url(gateway: &Gateway, rule: u32, return_to: &str) -> String {
    format!("{}/login?rule={rule}&return_to={}", gateway.prefix, utf8_percent_encode(return_to, NON_ALPHANUMERIC))
}

pub(super) async fn serve(exchange: &mut Exchange<'_>) -> Reply {
    let mut priority = None;
    let mut return_to = None;
    for (name, value) in form_urlencoded::parse(exchange.request.target.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "rule" => priority = value.parse().ok(),
            // Only a path of this origin, in normal form: it cannot name another host.
            "return_to" => return_to = RequestTarget::parse(value.as_bytes()).ok().map(|target| target.as_str().to_owned()),
            _ => {}
        }
    }
    let listener = exchange.listener;
    let authenticate = priority.and_then(|priority| rule(listener, priority)).or_else(|| listener.authenticating().next());
    match authenticate {
        Some(authenticate) => begin(authenticate, return_to.as_deref().unwrap_or("/"), exchange).await,
        None => reply::plain_reply(exchange.gateway, exchange.visitor(), 404, "not_found", None),
    }
}

/// 302 to the provider.
pub(in crate::gateway) async fn begin(authenticate: &Authenticate, return_to: &str, exchange: &mut Exchange<'_>) -> Reply {
    exchange.record.identity_provider = Some(authenticate.provider.name.clone());
    match exchange.gateway.authentication.begin(authenticate, exchange.request, return_to, exchange.now).await {
        Ok(start) => {
            exchange.record.outcome = Some("redirected");
            Reply::redirect(302, &start.location).with_cookies([start.set_cookie])
        }
        Err(error) => {
            let again = url(exchange.gateway, authenticate.rule, return_to);
            exchange.refuse(reply::for_login(&error), Some(&again))
        }
    }
}

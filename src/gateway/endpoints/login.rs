//! `/oauth2/login`: the start of a login by a link, from our own pages and the `login_url` of a 401; where a rule has several providers,
//! the page to choose from.

use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::rule;
use crate::authentication::{Authenticate, Presented, Prompt, chosen, remember_choice};
use crate::gateway::pages::{Link, PageContext};
use crate::gateway::{Exchange, Gateway, Reply, reply};
use crate::message::{RequestTarget, shows_page};

/// The link for a rule. It carries nothing that would let its writer choose scope, client or redirect URI (threat F20).
pub(in crate::gateway) fn url(gateway: &Gateway, rule: u32, return_to: &str) -> String {
    format!("{}/login?rule={rule}&return_to={}", gateway.prefix, utf8_percent_encode(return_to, NON_ALPHANUMERIC))
}

/// The same for somebody who has just signed in and has to do so again. Whoever else writes it has a person asked once more, and
/// nothing else.
pub(in crate::gateway) fn url_anew(gateway: &Gateway, rule: u32, return_to: &str) -> String {
    url(gateway, rule, return_to) + "&reauthenticate=true"
}

/// The same after a failure: where there are several providers, another one may do better.
pub(in crate::gateway) fn url_again(authenticate: &Authenticate, gateway: &Gateway, return_to: &str) -> String {
    let choose = if authenticate.own_redirect_uri { "&choose=true" } else { "" };
    url(gateway, authenticate.rule, return_to) + choose
}

pub(super) async fn serve(exchange: &mut Exchange<'_>) -> Reply {
    let mut priority = None;
    let mut return_to = None;
    let mut provider = None;
    let mut asks = false;
    let mut prompt = Prompt::AsConfigured;
    for (name, value) in form_urlencoded::parse(exchange.request.target.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "rule" => priority = value.parse().ok(),
            // Only a path of this origin, in normal form: it cannot name another host.
            "return_to" => return_to = RequestTarget::parse(value.as_bytes()).ok().map(|target| target.as_str().to_owned()),
            "identity_provider" => provider = Some(value.into_owned()),
            "choose" => asks = true,
            "reauthenticate" => prompt = Prompt::Login,
            "silent" => prompt = Prompt::None,
            _ => {}
        }
    }
    let listener = exchange.listener;
    let authenticate = priority.and_then(|priority| rule(listener, priority)).or_else(|| listener.authenticating().next());
    let Some(authenticate) = authenticate else {
        return reply::plain_reply(exchange.gateway, exchange.visitor(), 404, "not_found", None);
    };
    let return_to = return_to.as_deref().unwrap_or("/");
    let named = provider.and_then(|name| authenticate.ways().find(|way| *way.provider.name == *name));
    if let Some(way) = named.filter(|_| authenticate.is_choice()) {
        return begin(way, return_to, prompt, exchange).await.with_cookies([remember_choice(&way.provider.name)]);
    }
    if asks && authenticate.is_choice() {
        return choices(authenticate, return_to, prompt, exchange);
    }
    // Whoever is signed in, and not well enough, signs in where they did.
    if let Some((way, needed)) = insufficient(authenticate, exchange).await {
        return begin(way, return_to, if prompt == Prompt::AsConfigured { needed } else { prompt }, exchange).await;
    }
    match chosen(authenticate, exchange.request.headers) {
        Some(way) => begin(way, return_to, prompt, exchange).await,
        None if authenticate.is_choice() => choices(authenticate, return_to, prompt, exchange),
        None => begin(authenticate, return_to, prompt, exchange).await,
    }
}

/// The provider of a session that is not enough for the rule, and what has to be asked of it.
async fn insufficient<'a>(authenticate: &'a Arc<Authenticate>, exchange: &Exchange<'_>) -> Option<(&'a Arc<Authenticate>, Prompt)> {
    let gateway = exchange.gateway;
    let (way, presented) = gateway.authentication.presented_by_any(authenticate, exchange.request.headers, exchange.now).await;
    let Presented::Session(session) = presented else { return None };
    let known = gateway.known.identity(way, &session).ok()?;
    let found = way.requirements.judge(&known.identity.claims, exchange.now).err()?;
    Some((way, found.prompt()))
}

/// To the provider that the person has chosen before, or to the page to choose from.
pub(in crate::gateway) async fn begin_any(authenticate: &Arc<Authenticate>, return_to: &str, exchange: &mut Exchange<'_>) -> Reply {
    if !authenticate.is_choice() {
        return begin(authenticate, return_to, Prompt::AsConfigured, exchange).await;
    }
    match chosen(authenticate, exchange.request.headers) {
        Some(way) => begin(way, return_to, Prompt::AsConfigured, exchange).await,
        None => {
            exchange.record.outcome = Some("redirected");
            Reply::redirect(302, &exchange.own_url(&url(exchange.gateway, authenticate.rule, return_to)))
        }
    }
}

/// 302 to the provider.
pub(in crate::gateway) async fn begin(authenticate: &Authenticate, return_to: &str, prompt: Prompt, exchange: &mut Exchange<'_>) -> Reply {
    exchange.record.identity_provider = Some(authenticate.provider.name.clone());
    if let Err(reply) = exchange.begins_sign_in() {
        return reply;
    }
    match exchange.gateway.authentication.begin(authenticate, exchange.request, exchange.connection, return_to, prompt, exchange.now).await
    {
        Ok(start) => {
            exchange.record.outcome = Some("redirected");
            Reply::redirect(302, &start.location).with_cookies([start.set_cookie])
        }
        Err(error) => {
            let again = url_again(authenticate, exchange.gateway, return_to);
            exchange.refuse(reply::for_login(&error), Some(&again))
        }
    }
}

/// One link for each provider, by the name that a person knows.
fn choices(authenticate: &Arc<Authenticate>, return_to: &str, prompt: Prompt, exchange: &Exchange<'_>) -> Reply {
    let visitor = exchange.visitor();
    let link = |way: &Arc<Authenticate>| {
        let name = utf8_percent_encode(&way.provider.name, NON_ALPHANUMERIC);
        let url = if prompt == Prompt::Login { url_anew } else { url };
        let href = format!("{}&identity_provider={name}", url(exchange.gateway, way.rule, return_to));
        Link { href, label: way.provider.display_name.clone() }
    };
    let choices: Vec<Link> = authenticate.ways().map(link).collect();
    if !shows_page(visitor.headers) {
        let listed: Vec<_> = choices
            .iter()
            .map(|choice| serde_json::json!({"display_name": choice.label, "login_url": exchange.own_url(&choice.href)}))
            .collect();
        return Reply::json(200, &serde_json::json!({"identity_providers": listed}));
    }
    let context = PageContext { host: visitor.host, request_id: visitor.request_id, choices, ..PageContext::default() };
    reply::page_reply(exchange.gateway, visitor, 200, "choose_provider", &context)
}

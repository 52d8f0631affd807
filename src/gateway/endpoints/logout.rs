//! `/oauth2/logout`: ends the session here, then at the provider, then leads to an allowed place.

use http::header::{HeaderValue, SET_COOKIE};

use crate::authentication::{Authenticate, LogoutState, forget_choice};
use crate::gateway::known_sessions::Known;
use crate::gateway::pages::PageContext;
use crate::gateway::{Exchange, ListenerRules, Reply, reply};
use crate::message::shows_page;
use crate::session::Ending;

pub(super) async fn serve(exchange: &mut Exchange<'_>) -> Reply {
    let (gateway, request) = (exchange.gateway, exchange.request);
    let parameters = Parameters::read(request.target.query().unwrap_or_default());
    let wanted = parameters.return_to.as_deref().and_then(|place| gateway.return_places.resolve(place, &request.origin()));
    let sessions = match super::sessions(exchange).await {
        Ok(sessions) => sessions,
        Err(error) => return super::store_failed(&error, exchange),
    };
    let Some((authenticate, first)) = sessions.first() else {
        return arrive(&parameters, wanted, exchange);
    };
    let hash = first.id.hash();
    if !gateway.authentication.is_wished(request, &hash, parameters.session.as_deref()) {
        return confirm(&hash, parameters.return_to.as_deref(), exchange);
    }
    exchange.record.outcome = Some("signed_out");
    exchange.record.session = Some(hash.into());
    exchange.record.identity_provider = Some(authenticate.provider.name.clone());
    let people: Vec<_> = sessions.iter().map(|(way, session)| gateway.known.identity(way, session).ok()).collect();
    let person = people.first().cloned().flatten();
    for (_, session) in &sessions {
        gateway.known.forget(session.id);
        match gateway.authentication.end(session.id, Ending::SignedOut).await {
            Ok(is_first) => exchange.record.revoked += u64::from(is_first),
            // Not a word of goodbye: a copy of the cookie would still be good at other instances. The person can try again.
            Err(error) => return super::store_failed(&error, exchange),
        }
    }
    let elsewhere = match &person {
        Some(person) => at_provider(authenticate, person, wanted.as_deref(), exchange).await,
        None => None,
    };
    for ((way, session), person) in sessions.iter().zip(&people) {
        let identity = person.as_ref().map(|person| &person.identity);
        gateway.authentication.revoke_tokens(way, session, identity, exchange.now);
    }
    let reply = match elsewhere.or(wanted) {
        Some(location) => Reply::redirect(if *request.method == http::Method::POST { 303 } else { 302 }, &location),
        None => signed_out(exchange),
    };
    without_cookies(reply, exchange.listener).with_cookies([forget_choice()])
}

/// Where the provider ends its own session. When it cannot be asked where that is, the session here has ended all the same.
async fn at_provider(authenticate: &Authenticate, person: &Known, wanted: Option<&str>, exchange: &Exchange<'_>) -> Option<String> {
    let metadata = authenticate.client.metadata().await.ok()?;
    let landing = exchange.own_url(&format!("{}/logout", exchange.gateway.prefix));
    exchange.gateway.authentication.end_session_url(authenticate, &metadata, &person.identity, &landing, wanted, exchange.now).ok()?
}

/// Nobody is signed in (any more): back from the provider, or by an old link.
fn arrive(parameters: &Parameters, wanted: Option<String>, exchange: &mut Exchange<'_>) -> Reply {
    exchange.record.outcome = Some("signed_out");
    let sealer = &exchange.gateway.authentication.sealer;
    let sealed = parameters.state.as_deref().and_then(|state| LogoutState::open(sealer, state, exchange.now).ok());
    let reply = match sealed.map(|state| state.return_to).or(wanted) {
        Some(location) => Reply::redirect(302, &location),
        None => signed_out(exchange),
    };
    without_cookies(reply, exchange.listener)
}

fn signed_out(exchange: &Exchange<'_>) -> Reply {
    if !shows_page(exchange.request.headers) {
        return Reply::json(200, &serde_json::json!({"signed_in": false}));
    }
    let visitor = exchange.visitor();
    let context = PageContext { host: visitor.host, request_id: visitor.request_id, action: Some("/"), ..PageContext::default() };
    reply::page_reply(exchange.gateway, visitor, 200, "signed_out", &context)
}

/// Another site may have sent the browser here: the person decides (threat L12).
fn confirm(hash: &str, return_to: Option<&str>, exchange: &Exchange<'_>) -> Reply {
    let visitor = exchange.visitor();
    let mut action = format!("{}/logout?session={hash}", exchange.gateway.prefix);
    if let Some(place) = return_to {
        action.push_str("&return_to=");
        action.extend(form_urlencoded::byte_serialize(place.as_bytes()));
    }
    if !shows_page(visitor.headers) {
        return Reply::json(403, &serde_json::json!({"error": "confirm_sign_out", "request_id": visitor.request_id}));
    }
    let context = PageContext {
        host: visitor.host,
        request_id: visitor.request_id,
        action: Some(&action),
        secondary: Some("/"),
        ..PageContext::default()
    };
    reply::page_reply(exchange.gateway, visitor, 200, "confirm_sign_out", &context)
}

/// All shards of all rules, whether or not they opened.
fn without_cookies(mut reply: Reply, listener: &ListenerRules) -> Reply {
    let mut names: Vec<&crate::session::SessionCookie> = Vec::new();
    for authenticate in listener.authenticating() {
        if !names.contains(&&authenticate.cookie) {
            names.push(&authenticate.cookie);
            reply.headers.extend(authenticate.cookie.delete().filter_map(|cookie| Some((SET_COOKIE, HeaderValue::try_from(cookie).ok()?))));
        }
    }
    reply
}

#[derive(Default)]
struct Parameters {
    return_to: Option<String>,
    session: Option<String>,
    state: Option<String>,
}

impl Parameters {
    fn read(query: &str) -> Self {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).take(16) {
            match &*name {
                "return_to" => parameters.return_to = Some(value.into_owned()),
                "session" => parameters.session = Some(value.into_owned()),
                "state" => parameters.state = Some(value.into_owned()),
                _ => {}
            }
        }
        parameters
    }
}

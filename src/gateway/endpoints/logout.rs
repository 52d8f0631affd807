//! `/oauth2/logout`: ends the session here, then at the provider, then leads to an allowed place.

use http::header::{HeaderValue, SET_COOKIE};

use crate::authentication::{Authenticate, LogoutState};
use crate::clock::UnixTime;
use crate::gateway::known_sessions::Known;
use crate::gateway::pages::PageContext;
use crate::gateway::{Gateway, ListenerRules, Record, Reply, reply};
use crate::message::{RequestView, shows_page};

pub(super) async fn serve(
    gateway: &Gateway,
    listener: &ListenerRules,
    request: &RequestView<'_>,
    now: UnixTime,
    record: &mut Record,
) -> Reply {
    let parameters = Parameters::read(request.target.query().unwrap_or_default());
    let wanted = parameters.return_to.as_deref().and_then(|place| gateway.return_places.resolve(place, &request.origin()));
    let sessions: Vec<_> = super::sessions(gateway, listener, request, now).collect();
    let Some((authenticate, first)) = sessions.first() else {
        return arrive(gateway, listener, request, &parameters, wanted, now, record);
    };
    let hash = first.id.hash();
    if !gateway.authentication.is_wished(request, &hash, parameters.session.as_deref()) {
        return confirm(gateway, request, &hash, parameters.return_to.as_deref());
    }
    record.outcome = Some("signed_out");
    record.session = Some(hash);
    record.identity_provider = Some(authenticate.provider.name.clone());
    let person = gateway.known.identity(authenticate, first).ok();
    for (_, session) in &sessions {
        gateway.authentication.ended.end(session.id, now);
        gateway.known.forget(session.id);
        record.revoked += 1;
    }
    let elsewhere = match &person {
        Some(person) => at_provider(gateway, authenticate, request, person, wanted.as_deref(), now).await,
        None => None,
    };
    let reply = match elsewhere.or(wanted) {
        Some(location) => Reply::redirect(if *request.method == http::Method::POST { 303 } else { 302 }, &location),
        None => signed_out(gateway, request),
    };
    without_cookies(reply, listener)
}

/// Where the provider ends its own session. When it cannot be asked where that is, the session here has ended all the same.
async fn at_provider(
    gateway: &Gateway,
    authenticate: &Authenticate,
    request: &RequestView<'_>,
    person: &Known,
    wanted: Option<&str>,
    now: UnixTime,
) -> Option<String> {
    let metadata = authenticate.client.metadata().await.ok()?;
    let landing = format!("{}{}/logout", request.origin(), gateway.prefix);
    gateway.authentication.end_session_url(authenticate, &metadata, &person.identity, &landing, wanted, now).ok()?
}

/// Nobody is signed in (any more): back from the provider, or by an old link.
fn arrive(
    gateway: &Gateway,
    listener: &ListenerRules,
    request: &RequestView<'_>,
    parameters: &Parameters,
    wanted: Option<String>,
    now: UnixTime,
    record: &mut Record,
) -> Reply {
    record.outcome = Some("signed_out");
    let sealed = parameters.state.as_deref().and_then(|state| LogoutState::open(&gateway.authentication.sealer, state, now).ok());
    let reply = match sealed.map(|state| state.return_to).or(wanted) {
        Some(location) => Reply::redirect(302, &location),
        None => signed_out(gateway, request),
    };
    without_cookies(reply, listener)
}

fn signed_out(gateway: &Gateway, request: &RequestView<'_>) -> Reply {
    if !shows_page(request.headers) {
        return Reply::json(200, &serde_json::json!({"signed_in": false}));
    }
    let context =
        PageContext { host: request.authority.host(), request_id: request.request_id, action: Some("/"), ..PageContext::default() };
    reply::page_reply(gateway, request.visitor(), 200, "signed_out", &context)
}

/// Another site may have sent the browser here: the person decides (threat L12).
fn confirm(gateway: &Gateway, request: &RequestView<'_>, hash: &str, return_to: Option<&str>) -> Reply {
    let mut action = format!("{}/logout?session={hash}", gateway.prefix);
    if let Some(place) = return_to {
        action.push_str("&return_to=");
        action.extend(form_urlencoded::byte_serialize(place.as_bytes()));
    }
    if !shows_page(request.headers) {
        return Reply::json(403, &serde_json::json!({"error": "confirm_sign_out", "request_id": request.request_id}));
    }
    let context = PageContext {
        host: request.authority.host(),
        request_id: request.request_id,
        action: Some(&action),
        secondary: Some("/"),
        ..PageContext::default()
    };
    reply::page_reply(gateway, request.visitor(), 200, "confirm_sign_out", &context)
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

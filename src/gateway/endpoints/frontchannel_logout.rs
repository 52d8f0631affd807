//! `/oauth2/frontchannel_logout`: a page of the provider's embeds this one while somebody signs out there (OpenID Connect Front-Channel
//! Logout 1.0 §3).
//!
//! Anybody can make a browser ask for it. It ends the session that this very browser shows, and only if the request names it; tokens
//! are not touched (threat L13). Where a browser keeps the cookies back, as in a frame on a page of another site, nothing ends.

use http::HeaderValue;
use http::header::SET_COOKIE;
use url::Url;

use crate::authentication::{Authenticate, SessionStoreError};
use crate::gateway::{Exchange, Reply, reply};
use crate::identity::Mark;
use crate::session::Ending;

pub(super) async fn serve(exchange: &mut Exchange<'_>) -> Reply {
    let Some((iss, sid)) = parameters(exchange.request.target.query().unwrap_or_default()) else {
        return exchange.refuse(reply::bad_logout_request("iss and sid are each there once"), None);
    };
    let origins = embedders(&iss, exchange).await;
    if origins.is_empty() {
        return exchange.refuse(reply::bad_logout_request("iss is no provider's here"), None);
    }
    let ended = match end(&iss, &sid, exchange).await {
        Ok(ended) => ended,
        Err(error) => return super::store_failed(&error, exchange),
    };
    let mut reply = Reply::embedded(&origins.join(" "));
    for authenticate in ended {
        let deleted = authenticate.cookie.delete().filter_map(|cookie| Some((SET_COOKIE, HeaderValue::try_from(cookie).ok()?)));
        reply.headers.extend(deleted);
    }
    reply
}

/// Both have to be there. Without them any page could sign people out.
fn parameters(query: &str) -> Option<(String, String)> {
    let once = |wanted: &str| {
        let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
        match (found.next(), found.next()) {
            (Some((_, value)), None) if !value.is_empty() => Some(value.into_owned()),
            _ => None,
        }
    };
    Some((once("iss")?, once("sid")?))
}

/// The browser's sessions that are meant, ended; each with its rule.
async fn end<'a>(iss: &str, sid: &str, exchange: &mut Exchange<'a>) -> Result<Vec<&'a Authenticate>, SessionStoreError> {
    let gateway = exchange.gateway;
    let sessions = super::sessions(exchange).await?;
    let mut ended = Vec::new();
    for (authenticate, session) in &sessions {
        let Ok(known) = gateway.known.identity(authenticate, session) else { continue };
        let named = Mark::provider_session(iss, &authenticate.provider.client_id, sid);
        let Some(own) = known.identity.session.as_ref().filter(|own| *known.identity.issuer == *iss && own.marks.has(named)) else {
            continue;
        };
        exchange.record.outcome = Some("signed_out");
        exchange.record.session = Some(own.hash.clone());
        exchange.record.identity_provider = Some(authenticate.provider.name.clone());
        gateway.known.forget(session.id);
        exchange.record.revoked += u64::from(gateway.authentication.end(session.id, Ending::SignedOut).await?);
        ended.push(&***authenticate);
    }
    Ok(ended)
}

/// Origins of the provider that calls itself so: the only pages that may embed the answer. None where it is no provider of this
/// listener, or has never been reached.
async fn embedders(iss: &str, exchange: &Exchange<'_>) -> Vec<String> {
    let mut origins = Vec::new();
    let mut asked: Vec<&str> = Vec::new();
    for authenticate in exchange.listener.authenticating() {
        if asked.contains(&&*authenticate.provider.name) {
            continue;
        }
        asked.push(&authenticate.provider.name);
        let Ok(metadata) = authenticate.client.metadata().await else { continue };
        if !authenticate.provider.issuers.of_response(&metadata.issuer, iss) {
            continue;
        }
        let places = [Some(iss), Some(&*metadata.authorization_endpoint), metadata.end_session_endpoint.as_deref()];
        for origin in places.into_iter().flatten().filter_map(origin) {
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
    }
    origins
}

fn origin(url: &str) -> Option<String> {
    let origin = Url::parse(url).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

//! `/oauth2/session`: what a page may know of the session. No token ever (threat S24).

use serde_json::{Map, Value, json};

use crate::gateway::{Exchange, Reply};

/// The one answer that a page may put into a frame: where a sign-in without a word comes back to.
pub(super) async fn serve(exchange: &mut Exchange<'_>) -> Reply {
    let reply = told(exchange).await;
    if reply.status == 200 { reply.framed_by_own_pages() } else { reply }
}

async fn told(exchange: &mut Exchange<'_>) -> Reply {
    let gateway = exchange.gateway;
    let sessions = match super::sessions(exchange).await {
        Ok(sessions) => sessions,
        Err(error) => return super::store_failed(&error, exchange),
    };
    let person = sessions.iter().find_map(|(authenticate, session)| gateway.known.identity(authenticate, session).ok());
    let Some(person) = person else { return Reply::json(200, &json!({"signed_in": false})) };
    let identity = &person.identity;
    let configured = gateway.claim_headers.iter().map(|header| header.claim.as_str());
    let shown: Map<String, Value> =
        SHOWN.into_iter().chain(configured).filter_map(|name| Some((name.to_owned(), identity.claims.get(name)?.clone()))).collect();
    Reply::json(
        200,
        &json!({
            "signed_in": true,
            "subject": &*identity.subject,
            "identity_provider": &*identity.provider,
            "claims": shown,
            "expires_at": identity.expires_at.0,
            "expires_in": identity.expires_at.since(exchange.now).as_secs(),
        }),
    )
}

/// Claims that a page greets people with, beside those that `identity_headers.claims` chooses.
const SHOWN: [&str; 6] = ["name", "given_name", "family_name", "email", "preferred_username", "picture"];

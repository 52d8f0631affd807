//! `/sessions`: who is signed in, and the end of it. By hash, as the access log has it, or all of a person.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Admin;
use crate::authentication::SessionStoreError;
use crate::gateway::SeenSession;

pub(super) fn routes() -> Router<Arc<Admin>> {
    Router::new().route("/sessions", get(list).delete(end_all)).route("/sessions/{id}", delete(end))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    subject: Option<String>,
    identity_provider: Option<String>,
    limit: Option<usize>,
}

async fn list(State(admin): State<Arc<Admin>>, wanted: Result<Query<Wanted>, QueryRejection>) -> Response {
    let Ok(Query(wanted)) = wanted else { return bad_request("the parameters are subject, identity_provider and limit") };
    let is_wanted = |seen: &Arc<SeenSession>| {
        wanted.subject.as_deref().is_none_or(|subject| subject == &*seen.subject)
            && wanted.identity_provider.as_deref().is_none_or(|provider| provider == &*seen.provider)
    };
    let gateway = admin.gateway.load_full();
    let sessions: Vec<_> = match gateway.sessions(admin.clock.now()).await {
        Ok(sessions) => sessions.into_iter().filter(is_wanted).collect(),
        Err(error) => {
            tracing::warn!(%error, "the sessions cannot be listed");
            let body = json!({"error": "the session store did not answer; try again"});
            return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
        }
    };
    let shown: Vec<Value> = sessions.iter().take(wanted.limit.unwrap_or(LIMIT)).map(|seen| show(seen)).collect();
    Json(json!({"sessions": shown, "total": sessions.len()})).into_response()
}

fn show(seen: &SeenSession) -> Value {
    json!({
        "id": seen.hash(),
        "subject": &*seen.subject,
        "identity_provider": &*seen.provider,
        "signed_in_at": seen.signed_in_at().0,
        "last_seen_at": seen.last_seen_at().0,
        "expires_at": seen.expires_at.0,
    })
}

async fn end(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    // A mistake in the last digit must not look like success.
    if id.len() != 16 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return bad_request("an id has 16 hexadecimal digits, as session_id in the access log");
    }
    let gateway = admin.gateway.load_full();
    let count = match gateway.end_session(&id, admin.clock.now()).await {
        Ok(count) => count,
        Err(error) => return unavailable(&error),
    };
    tracing::info!(session = id, seen = count > 0, "a session was ended at the admin address");
    ended(&admin, count)
}

async fn end_all(State(admin): State<Arc<Admin>>, wanted: Result<Query<Wanted>, QueryRejection>) -> Response {
    // Both, so that nobody is meant whose subject at another provider happens to be the same, and nobody means all.
    let Ok(Query(Wanted { subject: Some(subject), identity_provider: Some(provider), limit: None })) = wanted else {
        return bad_request("the parameters are subject and identity_provider");
    };
    let gateway = admin.gateway.load_full();
    match gateway.end_sessions_of(&provider, &subject, admin.clock.now()).await {
        Ok(Some(count)) => {
            tracing::info!(subject, provider, seen = count, "the sessions of a person were ended at the admin address");
            ended(&admin, count)
        }
        Err(error) => unavailable(&error),
        Ok(None) => (StatusCode::NOT_FOUND, Json(json!({"error": "no rule has such an identity_provider"}))).into_response(),
    }
}

/// How many had been seen here; what had not is over all the same.
fn ended(admin: &Admin, seen: usize) -> Response {
    admin.metrics.sessions_revoked(u64::try_from(seen).unwrap_or_default());
    Json(json!({"ended": true, "seen": seen})).into_response()
}

/// They are over here, and not yet everywhere: whoever asked has to ask again.
fn unavailable(error: &SessionStoreError) -> Response {
    tracing::warn!(%error, "sessions were ended at the admin address, and other instances may not know");
    let body = json!({"ended": false, "error": "the session store did not answer: over here, and not yet at every instance; try again"});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

fn bad_request(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response()
}

const LIMIT: usize = 1000;

//! What only a development provider has: new signing keys on request.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::Internal;
use super::keys::{Pair, Use};
use super::parameters::Parameters;
use super::{IdentityProvider, Pool};

/// `POST /_development/rotate-keys`. The old keys stay published until the next rotation; `?forget=true` drops them at
/// once, as after a leak.
pub(super) async fn rotate_keys(
    State(IdentityProvider(pool)): State<IdentityProvider>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Internal> {
    // A browser names the page that sends a POST; pages of others have no business here.
    if headers.get(header::ORIGIN).is_some_and(|origin| origin != pool.origin.as_str()) {
        return Ok((StatusCode::FORBIDDEN, Json(json!({ "error": "forbidden" }))).into_response());
    }
    let forget = Parameters::parse(&query.unwrap_or_default()).one("forget") == Some("true");
    let _one_at_a_time = pool.rotation.lock().await;
    rotate(&pool, forget).await?;
    let keys = pool.keys();
    Ok(Json(json!({ "id": keys.kid(Use::Id), "access": keys.kid(Use::Access), "forgotten": forget })).into_response())
}

/// Rotates if the keys are older than the settings allow. Looked at when keys are asked for or used: there is no timer.
pub(super) async fn rotate_when_due(pool: &Arc<Pool>) -> Result<(), Internal> {
    let Some(interval) = pool.settings.key_rotation_interval else { return Ok(()) };
    let _one_at_a_time = pool.rotation.lock().await;
    if pool.clock.now().since(pool.keys().since()) >= interval {
        rotate(pool, false).await?;
    }
    Ok(())
}

async fn rotate(pool: &Arc<Pool>, forget: bool) -> Result<(), Internal> {
    let next = tokio::task::spawn_blocking(Pair::generate).await.map_err(|_| Internal::Signing)??;
    let now = pool.clock.now();
    pool.keys.write().unwrap_or_else(PoisonError::into_inner).rotate(next, forget, now);
    Ok(())
}

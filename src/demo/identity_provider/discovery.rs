//! The discovery document (OpenID Connect Discovery §3) and the key set.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::Internal;
use super::{IdentityProvider, development, scope};

/// The fields that a user pool has and no others: `code_challenge_methods_supported` is missing there, though S256 works.
pub(super) async fn openid_configuration(State(IdentityProvider(pool)): State<IdentityProvider>) -> Json<Value> {
    let (origin, issuer) = (&pool.origin, &pool.issuer);
    let scopes: Vec<_> = scope::SCOPES.into_iter().filter(|scope| !scope.starts_with("aws.")).collect();
    Json(json!({
        "authorization_endpoint": format!("{origin}/oauth2/authorize"),
        "end_session_endpoint": format!("{origin}/logout"),
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code", "token"],
        "revocation_endpoint": format!("{origin}/oauth2/revoke"),
        "scopes_supported": scopes,
        "subject_types_supported": ["public"],
        "token_endpoint": format!("{origin}/oauth2/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "userinfo_endpoint": format!("{origin}/oauth2/userInfo"),
    }))
}

pub(super) async fn json_web_key_set(State(IdentityProvider(pool)): State<IdentityProvider>) -> Result<Json<Value>, Internal> {
    development::rotate_when_due(&pool).await?;
    Ok(Json(pool.keys().json_web_key_set()))
}

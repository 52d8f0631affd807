//! The user-info endpoint (OpenID Connect Core §5.3), with a user pool's peculiarities: booleans as strings, no groups,
//! and a challenge without a scheme.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::keys::Use;
use super::scope::{attributes, subject};
use super::{IdentityProvider, Pool};

/// `GET` or `POST /oauth2/userInfo`
pub(super) async fn user_info(State(IdentityProvider(pool)): State<IdentityProvider>, headers: HeaderMap) -> Response {
    match claims(&pool, &headers) {
        Ok(claims) => Json(claims).into_response(),
        Err(fault) => fault.into_response(),
    }
}

fn claims(pool: &Pool, headers: &HeaderMap) -> Result<Value, Fault> {
    let token = bearer(headers).ok_or(Fault::Missing)?;
    let claims = pool.keys().verify(Use::Access, token).ok_or(Fault::Invalid)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let now = pool.clock.now();
    let expired = claims.get("exp").and_then(Value::as_u64).is_none_or(|exp| exp <= now.0);
    if expired || text("iss") != Some(&pool.issuer) || text("token_use") != Some("access") {
        return Err(Fault::Invalid);
    }
    // A JWT outlives its revocation; the provider that issued it knows better.
    let grants = pool.grants();
    let grant = text("origin_jti").and_then(|origin_jti| grants.live(origin_jti, now)).ok_or(Fault::Invalid)?;
    if !grant.scopes.contains(&"openid") {
        return Err(Fault::InsufficientScope);
    }
    let user = pool.settings.user(&grant.username).ok_or(Fault::Invalid)?;
    let mut claims = attributes(user, &grant.scopes, |verified| Value::String(verified.to_string()));
    claims.insert("sub".to_owned(), json!(subject(&pool.settings.pool_id, user)));
    claims.insert("username".to_owned(), json!(user.username));
    Ok(Value::Object(claims))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

enum Fault {
    Missing,
    Invalid,
    InsufficientScope,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, error, description, challenge) = match self {
            Self::Missing => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "a bearer token is required",
                r#"error="invalid_request", error_description="a bearer token is required""#,
            ),
            Self::Invalid => (
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "the access token is expired, revoked or malformed",
                r#"error="invalid_token", error_description="the access token is expired, revoked or malformed""#,
            ),
            Self::InsufficientScope => (
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                "the access token lacks the scope openid",
                r#"error="insufficient_scope", error_description="the access token lacks the scope openid""#,
            ),
        };
        let body = Json(json!({ "error": error, "error_description": description }));
        let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))];
        (status, challenge, body).into_response()
    }
}

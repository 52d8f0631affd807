//! The token endpoint (RFC 6749 §3.2) and the revocation endpoint (RFC 7009).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::client_authentication::authenticate;
use super::error::{OAuthError, Refusal};
use super::grants::{Grant, Redemption};
use super::parameters::Parameters;
use super::settings::Client;
use super::tokens::{Issue, refresh_token};
use super::{IdentityProvider, Pool, development};

/// `POST /oauth2/token`
pub(super) async fn token(
    State(IdentityProvider(pool)): State<IdentityProvider>,
    headers: HeaderMap,
    body: String,
) -> Result<Json<Value>, Refusal> {
    let form = form(&headers, &body)?;
    let client = authenticate(&headers, &form, &pool.settings)?;
    development::rotate_when_due(&pool).await?;
    match form.one("grant_type") {
        Some("authorization_code") => authorization_code(&pool, client, &form),
        Some("refresh_token") => refresh(&pool, client, &form),
        Some(_) => Err(UNSUPPORTED_GRANT_TYPE.into()),
        None => Err(MISSING_PARAMETER.into()),
    }
}

fn authorization_code(pool: &Pool, client: &Client, form: &Parameters) -> Result<Json<Value>, Refusal> {
    let redemption = Redemption {
        code: form.one("code").ok_or(MISSING_PARAMETER)?,
        client_id: &client.id,
        redirect_uri: form.one("redirect_uri"),
        code_verifier: form.one("code_verifier"),
    };
    let now = pool.clock.now();
    let lifetime = pool.settings.refresh_token_validity;
    let refresh_token = refresh_token(&pool.entropy)?;
    let pending = {
        let mut grants = pool.grants();
        let pending = grants.redeem(redemption, lifetime, now)?;
        grants.add_refresh_token(&refresh_token, &pending.grant, lifetime, now);
        pending
    };
    answer(pool, &pending.grant, pending.nonce.as_deref(), Some(refresh_token))
}

/// Without rotation the answer has no refresh token: the client keeps the one it has.
fn refresh(pool: &Pool, client: &Client, form: &Parameters) -> Result<Json<Value>, Refusal> {
    let brought = form.one("refresh_token").ok_or(MISSING_PARAMETER)?;
    let rotate = pool.settings.rotate_refresh_tokens;
    let now = pool.clock.now();
    let next = if rotate { Some(refresh_token(&pool.entropy)?) } else { None };
    let grant = {
        let mut grants = pool.grants();
        let grant = grants.refresh(brought, &client.id, rotate, now)?;
        if let Some(next) = &next {
            grants.add_refresh_token(next, &grant, pool.settings.refresh_token_validity, now);
        }
        grant
    };
    answer(pool, &grant, None, next)
}

fn answer(pool: &Pool, grant: &Grant, nonce: Option<&str>, refresh_token: Option<String>) -> Result<Json<Value>, Refusal> {
    let user = pool.settings.user(&grant.username).ok_or(NO_SUCH_USER)?;
    let issue = Issue {
        settings: &pool.settings,
        issuer: &pool.issuer,
        keys: &pool.keys(),
        entropy: &pool.entropy,
        user,
        grant,
        now: pool.clock.now(),
    };
    let access_token = issue.access_token()?;
    let mut answer = Map::new();
    if let Some(id_token) = issue.id_token(nonce, &access_token)? {
        answer.insert("id_token".to_owned(), json!(id_token));
    }
    answer.insert("access_token".to_owned(), json!(access_token));
    if let Some(refresh_token) = refresh_token {
        answer.insert("refresh_token".to_owned(), json!(refresh_token));
    }
    answer.insert("expires_in".to_owned(), json!(pool.settings.token_validity.as_secs()));
    answer.insert("token_type".to_owned(), json!("Bearer"));
    Ok(Json(Value::Object(answer)))
}

/// `POST /oauth2/revoke`: refresh tokens only, as in a user pool.
pub(super) async fn revoke(
    State(IdentityProvider(pool)): State<IdentityProvider>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Refusal> {
    let form = form(&headers, &body)?;
    let client = authenticate(&headers, &form, &pool.settings)?;
    let token = form.one("token").ok_or(MISSING_PARAMETER)?;
    // A signed token has three parts, a refresh token five.
    if token.split('.').count() == 3 {
        return Err(UNSUPPORTED_TOKEN_TYPE.into());
    }
    pool.grants().revoke_refresh_token(token, &client.id, pool.clock.now())?;
    Ok(StatusCode::OK.into_response())
}

fn form(headers: &HeaderMap, body: &str) -> Result<Parameters, OAuthError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(NOT_A_FORM);
    }
    let parameters = Parameters::parse(body);
    if parameters.any_repeated() { Err(REPEATED_PARAMETER) } else { Ok(parameters) }
}

const NOT_A_FORM: OAuthError = OAuthError::new("invalid_request", "the content type must be application/x-www-form-urlencoded");
const REPEATED_PARAMETER: OAuthError = OAuthError::new("invalid_request", "a parameter is there twice");
const MISSING_PARAMETER: OAuthError = OAuthError::new("invalid_request", "a required parameter is missing");
const UNSUPPORTED_GRANT_TYPE: OAuthError = OAuthError::new("unsupported_grant_type", "authorization_code or refresh_token");
const UNSUPPORTED_TOKEN_TYPE: OAuthError = OAuthError::new("unsupported_token_type", "only refresh tokens can be revoked");
const NO_SUCH_USER: OAuthError = OAuthError::new("invalid_grant", "the user is gone");

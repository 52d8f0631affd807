//! `/oauth2/authorize` and the sign-in page `/login`, which takes the same parameters.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::super::authorization_request::{AuthorizationRequest, Prompt};
use super::super::client_authentication::same;
use super::super::error::Internal;
use super::super::grants::{Grant, Pending};
use super::super::language;
use super::super::parameters::Parameters;
use super::super::session::{self, Session};
use super::super::settings::User;
use super::super::tokens::random_uuid;
use super::super::{IdentityProvider, Pool};
use super::pages::{Notice, SignIn};
use super::{redirect, refuse, set_cookie};

/// `GET /oauth2/authorize`: straight back for somebody who is signed in, to the sign-in page for everybody else.
pub(in super::super) async fn authorize(
    State(IdentityProvider(pool)): State<IdentityProvider>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Internal> {
    let query = query.unwrap_or_default();
    let parameters = Parameters::parse(&query);
    let request = match AuthorizationRequest::read(&parameters, &pool.settings) {
        Ok(request) => request,
        Err(fault) => return Ok(refuse(&pool, &fault)),
    };
    let session = pool.sessions().of(&headers, pool.clock.now());
    match (request.prompt, session) {
        (Prompt::Unspecified | Prompt::None, Some(session)) => Ok(redirect(&grant(&pool, &request, &session)?)),
        (Prompt::None, None) => Ok(redirect(&request.answer(&[("error", "login_required")]))),
        (Prompt::Unspecified | Prompt::Login, _) => Ok(redirect(&format!("/login?{query}"))),
    }
}

/// `GET /login`
pub(in super::super) async fn login_page(
    State(IdentityProvider(pool)): State<IdentityProvider>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Internal> {
    let query = query.unwrap_or_default();
    let parameters = Parameters::parse(&query);
    match AuthorizationRequest::read(&parameters, &pool.settings) {
        Ok(request) => {
            let username = parameters.one("login_hint").unwrap_or_default();
            page(&pool, &headers, &query, &parameters, &request, username, None)
        }
        Err(fault) => Ok(refuse(&pool, &fault)),
    }
}

/// `POST /login`
pub(in super::super) async fn sign_in(
    State(IdentityProvider(pool)): State<IdentityProvider>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: String,
) -> Result<Response, Internal> {
    let query = query.unwrap_or_default();
    let parameters = Parameters::parse(&query);
    let request = match AuthorizationRequest::read(&parameters, &pool.settings) {
        Ok(request) => request,
        Err(fault) => return Ok(refuse(&pool, &fault)),
    };
    let form = Parameters::parse(&body);
    let username = form.one("username").unwrap_or_default().trim();
    if !session::form_is_ours(&headers, form.one("_csrf")) {
        return page(&pool, &headers, &query, &parameters, &request, username, Some(Notice::Stale));
    }
    let Some(user) = user_with(&pool.settings.users, username, form.one("password").unwrap_or_default()) else {
        return page(&pool, &headers, &query, &parameters, &request, username, Some(Notice::Wrong));
    };
    let now = pool.clock.now();
    let session = Session { username: user.username.clone(), auth_time: now };
    let mut response = redirect(&grant(&pool, &request, &session)?);
    let token = pool.entropy.token()?;
    let cookie = {
        let mut sessions = pool.sessions();
        sessions.end(&headers);
        sessions.begin(token, session, now)
    };
    set_cookie(&mut response, &cookie);
    tracing::debug!(client = %request.client.id, username = %user.username, "signed in at the development identity provider");
    Ok(response)
}

/// Compares a password also when there is no such user, so that neither words nor time tell the two apart.
fn user_with<'a>(users: &'a [User], username: &str, password: &str) -> Option<&'a User> {
    let user = users.iter().find(|user| user.username == username || user.email.eq_ignore_ascii_case(username));
    let expected = user.map_or("", |user| user.password.expose().as_str());
    let right = same(expected, password);
    user.filter(|user| right && !user.password.expose().is_empty())
}

/// The redirect URI with a new code.
fn grant(pool: &Pool, request: &AuthorizationRequest<'_>, session: &Session) -> Result<String, Internal> {
    let code = random_uuid(&pool.entropy)?;
    let pending = Pending {
        grant: Grant {
            origin_jti: random_uuid(&pool.entropy)?,
            event_id: random_uuid(&pool.entropy)?,
            client_id: request.client.id.clone(),
            username: session.username.clone(),
            scopes: request.scopes.clone(),
            auth_time: session.auth_time,
        },
        redirect_uri: request.redirect_uri.clone(),
        code_challenge: request.code_challenge.clone(),
        nonce: request.nonce.clone(),
    };
    let location = request.answer(&[("code", &code)]);
    pool.grants().offer(code, pending, pool.clock.now());
    Ok(location)
}

fn page(
    pool: &Pool,
    headers: &HeaderMap,
    query: &str,
    parameters: &Parameters,
    request: &AuthorizationRequest<'_>,
    username: &str,
    notice: Option<Notice>,
) -> Result<Response, Internal> {
    let token = match session::form_token(headers) {
        Some(token) => token.to_owned(),
        None => pool.entropy.token()?,
    };
    let accept_language = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let page = SignIn {
        status: if notice.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK },
        phrases: language::choose(parameters.one("lang"), accept_language),
        application: &request.client.name,
        query,
        form_token: &token,
        username,
        notice,
    };
    let mut response = page.respond(pool)?;
    set_cookie(&mut response, &session::form_cookie(&token));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::super::super::Settings;
    use super::user_with;
    use crate::secret::Secret;

    #[test]
    fn a_user_needs_the_password_of_their_own() {
        let users = Settings::default().users;
        let name = |username: &str, password: &str| user_with(&users, username, password).map(|user| user.username.as_str());
        assert_eq!(name("alice", "wonderland"), Some("alice"));
        assert_eq!(name("Alice@example.com", "wonderland"), Some("alice"));
        for (username, password) in [("alice", "builder"), ("alice", ""), ("alice", "Wonderland"), ("", ""), ("carol", "")] {
            assert_eq!(name(username, password), None, "{username}/{password}");
        }
    }

    #[test]
    fn a_user_without_a_password_cannot_sign_in() {
        let mut users = Settings::default().users;
        users[0].password = Secret::from("");
        assert!(user_with(&users, "alice", "").is_none());
    }
}

//! The hosted pages. They say what is wrong and what to do about it: whoever reads them is setting something up.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::super::authorization_request::PageFault;
use super::super::error::Internal;
use super::super::language::Phrases;
use super::super::parameters::with_parameter;
use super::super::{IdentityProvider, Pool};
use crate::demo::page::{Page, render};

/// The sign-in page.
pub(super) struct SignIn<'a> {
    pub(super) status: StatusCode,
    pub(super) phrases: &'static Phrases,
    pub(super) application: &'a str,
    pub(super) query: &'a str,
    pub(super) form_token: &'a str,
    pub(super) username: &'a str,
    pub(super) notice: Option<Notice>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Notice {
    Wrong,
    Stale,
}

#[derive(Serialize)]
struct SampleUser<'a> {
    username: &'a str,
    password: &'a str,
    groups: &'a [String],
    initial: String,
    link: String,
    chosen: bool,
}

impl SignIn<'_> {
    pub(super) fn respond(&self, pool: &Pool) -> Result<Response, Internal> {
        let main = render(
            "sign_in.html",
            include_str!("templates/sign_in.html"),
            &json!({
                "phrases": self.phrases,
                "brand": pool.settings.branding.title,
                "logo": pool.theme.logo(),
                "application": self.application,
                "action": format!("/login?{}", self.query),
                "form_token": self.form_token,
                "username": self.username,
                "notice": self.notice,
                "users": sample_users(pool, self.query, self.username),
            }),
        )?;
        let title = format!("{} · {}", self.phrases.sign_in, pool.settings.branding.title);
        let page = Page { status: self.status, language: self.phrases.tag, title: &title, shape: "card", main, script: None };
        Ok(page.respond(&pool.theme))
    }
}

fn sample_users<'a>(pool: &'a Pool, query: &str, chosen: &str) -> Vec<SampleUser<'a>> {
    let users = if pool.shows_users { pool.settings.users.as_slice() } else { &[] };
    let sample = |user: &'a super::super::User| SampleUser {
        username: &user.username,
        password: user.password.expose(),
        groups: &user.groups,
        initial: user.username.chars().take(1).flat_map(char::to_uppercase).collect(),
        link: format!("/login?{}", with_parameter(query, "login_hint", &user.username)),
        chosen: user.username == chosen,
    };
    users.iter().take(MOST_USERS).map(sample).collect()
}

/// An authorization request that cannot be answered to its client.
pub(super) fn request_fault(pool: &Pool, fault: &PageFault) -> Response {
    let (code, sentence, advice, value) = match fault {
        PageFault::UnknownClient(id) if id.is_empty() => {
            ("invalid_request", "The application did not say who it is.", "Its link lacks client_id, or has it twice.".to_owned(), "")
        }
        PageFault::UnknownClient(id) => (
            "invalid_client",
            "This application is not known here.",
            "No client with this client_id is set up. Add it to the clients of the development identity provider, or correct it in the application:".to_owned(),
            id.as_str(),
        ),
        PageFault::UnknownRedirectUri { client, redirect_uri } => (
            "redirect_mismatch",
            "The application asked to return to an address that is not registered.",
            format!("Add this redirect_uri to the client “{client}”, to the letter, or correct it in the application:"),
            if redirect_uri.is_empty() { "(none was sent, or two)" } else { redirect_uri },
        ),
    };
    fault_page(pool, StatusCode::BAD_REQUEST, "Sign-in cannot start", sentence, &advice, value, code)
}

/// `/logout` without what it needs. `problem` is in Cognito's words.
pub(super) fn logout_fault(pool: &Pool, problem: &str, refused: Option<(&str, &str)>) -> Response {
    let (advice, value) = match refused {
        Some((client, uri)) => (format!("Add it to the logout URIs of the client “{client}”, to the letter:"), uri),
        None => ("Sign-out takes client_id with logout_uri, or client_id with redirect_uri and response_type=code.".to_owned(), ""),
    };
    fault_page(pool, StatusCode::BAD_REQUEST, "You are still signed in", problem, &advice, value, "invalid_request")
}

pub(in super::super) async fn not_found(State(IdentityProvider(pool)): State<IdentityProvider>) -> Response {
    fault_page(&pool, StatusCode::NOT_FOUND, "Nothing here", "There is no page at this address.", "", "", "not_found")
}

fn fault_page(pool: &Pool, status: StatusCode, heading: &str, sentence: &str, advice: &str, value: &str, code: &str) -> Response {
    let main = render(
        "fault.html",
        include_str!("templates/fault.html"),
        &json!({
            "brand": pool.settings.branding.title,
            "logo": pool.theme.logo(),
            "heading": heading, "sentence": sentence, "advice": advice, "value": value, "code": code,
        }),
    );
    let title = format!("{heading} · {}", pool.settings.branding.title);
    match main {
        Ok(main) => Page { status, language: "en", title: &title, shape: "card", main, script: None }.respond(&pool.theme),
        Err(error) => Internal::from(error).into_response(),
    }
}

/// `/`: what this is, and what to write into a configuration.
pub(in super::super) async fn overview(
    State(IdentityProvider(pool)): State<IdentityProvider>,
    headers: HeaderMap,
) -> Result<Response, Internal> {
    let session = pool.sessions().of(&headers, pool.clock.now());
    let main = render(
        "overview.html",
        include_str!("templates/overview.html"),
        &json!({
            "brand": pool.settings.branding.title,
            "logo": pool.theme.logo(),
            "issuer": pool.issuer,
            "origin": pool.origin,
            "user_pool_arn": pool.user_pool_arn(),
            "clients": pool.settings.clients.iter().map(|client| json!({ "id": client.id, "name": client.name })).collect::<Vec<_>>(),
            "users": sample_users(&pool, "", ""),
            "signed_in": session.map(|session| session.username),
        }),
    )?;
    let title = format!("{} · Development identity provider", pool.settings.branding.title);
    Ok(Page { status: StatusCode::OK, language: "en", title: &title, shape: "card", main, script: None }.respond(&pool.theme))
}

/// More would push the form's own answer off the page.
const MOST_USERS: usize = 8;

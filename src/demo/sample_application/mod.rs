//! The sample application of `vestibule demo`: what an application behind the gateway receives, shown to the person who
//! is signed in, and checked as an application should check it.
//!
//! It has no sign-in of its own. Whatever it believes about a person it believes because the signature of
//! `x-amzn-oidc-data` holds and the signer is the expected one; the other two headers prove nothing by themselves.

mod identity_token;
mod pages;
mod public_keys;
mod received;
#[cfg(test)]
mod tests;
mod verification;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use url::Url;

use self::public_keys::PublicKeys;
use self::received::Received;
use self::verification::{Report, examine};
use super::page::{Theme, ThemeError, with_security_headers};
use super::server;
use crate::clock::Clock;

/// What the application has to know of its gateway.
#[derive(Clone, Debug)]
pub struct SampleSettings {
    /// The gateway's `/oauth2/keys/`, below which each key is found by its id.
    pub jwks_base: Url,
    /// PEM. The only certificate authority that is trusted for fetching keys; without one, keys come over http:// only.
    pub root_certificate: Option<String>,
    /// The `signer` that `x-amzn-oidc-data` must name. Without this check any gateway's signature would do, as long as
    /// its key could be fetched.
    pub signer: String,
}

/// Why the application does not run.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    #[error("the gateway's root certificate cannot be read")]
    RootCertificate,
    #[error("the client for fetching keys cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    #[error(transparent)]
    Theme(#[from] ThemeError),
    #[error("the sample application cannot serve: {0}")]
    Serve(#[from] std::io::Error),
}

/// The application, ready to answer. Cloning shares it.
#[derive(Clone)]
pub struct SampleApplication(Arc<Application>);

struct Application {
    settings: SampleSettings,
    keys: PublicKeys,
    clock: Arc<dyn Clock>,
    theme: Theme,
}

/// Serves until `shutdown` is done; the requests at hand have two more seconds.
pub async fn serve(
    settings: SampleSettings,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), SampleError> {
    let application = SampleApplication::new(settings, clock)?;
    Ok(server::serve(listener, application.router(), shutdown).await?)
}

impl SampleApplication {
    pub fn new(settings: SampleSettings, clock: Arc<dyn Clock>) -> Result<Self, SampleError> {
        let keys = PublicKeys::new(&settings.jwks_base, settings.root_certificate.as_deref())?;
        Ok(Self(Arc::new(Application { settings, keys, clock, theme: Theme::own()? })))
    }

    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(home))
            .route("/public", get(public))
            .route("/optional", get(optional))
            .route("/api/me", get(me))
            .route("/healthz", get(async || "ok"))
            .fallback(not_found)
            .layer(map_response(with_security_headers))
            .with_state(self.clone())
    }
}

impl Application {
    /// None: no gateway says that anybody is signed in.
    async fn report(&self, received: &Received<'_>) -> Option<Report> {
        if !received.anything() {
            return None;
        }
        Some(examine(received, &self.keys, &self.settings.signer, self.clock.now()).await)
    }
}

async fn home(State(SampleApplication(application)): State<SampleApplication>, headers: HeaderMap) -> Response {
    let received = Received::of(&headers);
    let report = application.report(&received).await;
    pages::home(&application, &headers, &received, report.as_ref())
}

async fn public(State(SampleApplication(application)): State<SampleApplication>) -> Response {
    pages::public(&application)
}

async fn optional(State(SampleApplication(application)): State<SampleApplication>, headers: HeaderMap) -> Response {
    let report = application.report(&Received::of(&headers)).await;
    pages::optional(&application, report.as_ref())
}

/// In `deny` mode the gateway answers 401 before this is asked; here it is what remains if somebody goes around it.
async fn me(State(SampleApplication(application)): State<SampleApplication>, headers: HeaderMap) -> Response {
    let refuse = |error: &str, reason: &str| {
        (StatusCode::UNAUTHORIZED, Json(json!({ "error": error, "reason": reason, "answered_by": "sample application" }))).into_response()
    };
    let Some(report) = application.report(&Received::of(&headers)).await else {
        return refuse("not_signed_in", "the request carries no identity");
    };
    match report.verified() {
        Some(claims) => Json(json!({ "verified": true, "subject": claims.get("sub"), "claims": claims })).into_response(),
        None => refuse("not_verified", &report.first_failure().unwrap_or_default()),
    }
}

async fn not_found(State(SampleApplication(application)): State<SampleApplication>) -> Response {
    pages::not_found(&application)
}

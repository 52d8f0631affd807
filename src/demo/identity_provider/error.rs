//! Failures of the provider itself, and OAuth 2.0 error answers in JSON.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::secret::EntropyError;

/// Nothing that a request could have done differently.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum Internal {
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    #[error("a token could not be signed")]
    Signing,
    #[error("a page could not be made")]
    Page,
}

impl From<minijinja::Error> for Internal {
    fn from(_: minijinja::Error) -> Self {
        Self::Page
    }
}

impl IntoResponse for Internal {
    fn into_response(self) -> Response {
        tracing::error!(error = %self, "the development identity provider failed");
        (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": "server_error" }))).into_response()
    }
}

/// An error of the token or revocation endpoint (RFC 6749 §5.2); status 400 for every one, as Cognito has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OAuthError {
    pub(super) error: &'static str,
    pub(super) description: &'static str,
}

impl OAuthError {
    pub(super) const fn new(error: &'static str, description: &'static str) -> Self {
        Self { error, description }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

/// Either, for the endpoints that clients call.
#[derive(Debug)]
pub(super) enum Refusal {
    OAuth(OAuthError),
    Internal(Internal),
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl<E: Into<Internal>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::OAuth(error) => error.into_response(),
            Self::Internal(error) => error.into_response(),
        }
    }
}

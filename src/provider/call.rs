//! One HTTP exchange with a provider, as data.

use http::{HeaderName, HeaderValue};

use crate::secret::Secret;

/// Which endpoint is called: a label of `auth_latency_seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Discovery,
    Keys,
    Token,
    UserInfo,
    Introspection,
    PushedAuthorization,
    Revocation,
}

impl Endpoint {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Keys => "jwks",
            Self::Token => "token",
            Self::UserInfo => "userinfo",
            Self::Introspection => "introspection",
            Self::PushedAuthorization => "pushed_authorization",
            Self::Revocation => "revocation",
        }
    }

    /// More than this is not read. A provider's answers have a few KB; a key set has its own limit.
    #[must_use]
    pub fn max_bytes(self) -> usize {
        match self {
            Self::Keys => crate::tokens::MAX_KEY_SET_BYTES,
            Self::Discovery => 128 * 1024,
            Self::Token | Self::UserInfo | Self::Introspection | Self::PushedAuthorization | Self::Revocation => 256 * 1024,
        }
    }
}

/// A request to a provider. `form` makes it a POST.
#[derive(Debug)]
pub struct ProviderCall {
    pub endpoint: Endpoint,
    pub url: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub form: Option<Secret<String>>,
    /// For somebody who is signed in already, and does not wait behind those who are not.
    pub is_refresh: bool,
}

/// What came back, whole and within the limit.
#[derive(Debug)]
pub struct ProviderAnswer {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

impl ProviderAnswer {
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// `application/json` or a `+json` type (RFC 6749 §5.1 and OIDC Core §5.3.2 demand it; a proxy's HTML page is none).
    #[must_use]
    pub fn is_json(&self) -> bool {
        let media_type = self.content_type.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    }
}

/// No answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("no answer in time")]
    Timeout,
    #[error("the answer is too large")]
    TooLarge,
    #[error("no connection: {0}")]
    Connection(String),
    /// The endpoint is being left alone for a moment after a failure.
    #[error("not asked again yet after: {0}")]
    CoolingDown(String),
}

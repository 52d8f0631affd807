//! An OpenID Provider, and what is said to it and by it: one file a message, named as the specifications name them.
//!
//! Nothing here speaks to a network. Requests are built, answers are judged.

mod authorization_request;
mod authorization_response;
mod call;
mod claims;
mod client_assertion;
mod client_authentication;
mod client_key;
mod end_session_request;
mod id_token;
mod introspection;
mod issuers;
mod logout_token;
mod metadata;
mod pushed_authorization;
mod revocation;
mod token_request;
mod token_response;
mod user_info;

use std::sync::Arc;

pub use authorization_request::{AuthorizationRequest, CodeVerifier};
pub use authorization_response::{AuthorizationResponse, AuthorizationResponseError};
pub use call::{CallError, Endpoint, ProviderAnswer, ProviderCall};
pub use claims::{LEEWAY, has_come, is_of_domain, is_over, personal, seconds, subject};
pub use client_assertion::Moment;
pub use client_authentication::{AssertionAudience, ClientAuthentication};
pub use client_key::{ClientKey, ClientKeyError};
pub use end_session_request::EndSessionRequest;
pub use id_token::{ExpectedNonce, IdTokenClaims, IdTokenError, IdTokenExpectations, NonceHash, nonce_hash, verify_claims};
pub use introspection::{IntrospectionError, introspection_call, introspection_claims};
pub use issuers::{Issuers, TENANT};
pub use logout_token::{LOGOUT_TOKEN_LIFETIME, LoggedOut, LogoutToken, LogoutTokenError, LogoutTokenExpectations};
pub use metadata::{Endpoints, MetadataError, ProviderMetadata, UrlError, UrlPolicy};
pub use pushed_authorization::{PushedError, PushedRequests, pushed_authorization_call, pushed_authorization_reference};
pub use revocation::{TokenTypeHint, revocation_call};
pub use token_request::{code_exchange, refresh};
pub use token_response::{TokenError, TokenResponse};
pub use user_info::{UserInfoError, merge, user_info_call, user_info_claims};

/// How a session at the provider is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogoutStyle {
    /// OpenID Connect RP-Initiated Logout 1.0.
    RpInitiated,
    /// Amazon Cognito's `/logout?client_id&logout_uri`, which knows none of the OpenID parameters.
    Cognito,
    /// `logout_url`, in which `{client_id}` and `{return_to}` are replaced: for providers with a way of their own.
    Template(String),
}

/// One identity provider of the configuration.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in the configuration; a label in metrics.
    pub name: Arc<str>,
    /// What a person calls it.
    pub display_name: String,
    pub client_id: Arc<str>,
    pub client_authentication: ClientAuthentication,
    pub assertion_audience: AssertionAudience,
    pub pushed_requests: PushedRequests,
    pub issuers: Issuers,
    /// Where discovery is read.
    pub discovery_url: String,
    /// Endpoints set in the configuration; these win.
    pub endpoints: Endpoints,
    pub logout: LogoutStyle,
    /// Google's `hd`. Empty: any account.
    pub hosted_domains: Vec<String>,
    /// Whether the UserInfo endpoint is asked at a login.
    pub asks_user_info: bool,
    pub urls: UrlPolicy,
}

impl Provider {
    /// Whether discovery has to be asked: for endpoints that are not set, or for which of its issuers an emulator calls itself.
    #[must_use]
    pub fn needs_discovery(&self) -> bool {
        !self.endpoints.are_complete() || self.issuers.are_several()
    }

    /// Whether what was fetched from one is good for the other: the same name, issuers and places, whatever the client.
    #[must_use]
    pub fn is_asked_like(&self, other: &Self) -> bool {
        self.name == other.name
            && self.issuers == other.issuers
            && self.discovery_url == other.discovery_url
            && self.endpoints == other.endpoints
            && self.urls == other.urls
            && self.shows_certificate() == other.shows_certificate()
    }

    /// Whether its endpoints are those for clients with a certificate (RFC 8705 §5).
    fn shows_certificate(&self) -> bool {
        matches!(self.client_authentication, ClientAuthentication::TlsClientAuth)
    }

    /// Binds a sealed session to this very provider: one that is configured anew under the same name does not inherit
    /// the sessions of another (ALBeast: the signed issuer came from the configuration of the moment).
    #[must_use]
    pub fn binding(&self) -> [&[u8]; 3] {
        [self.name.as_bytes(), self.issuers.first().as_bytes(), self.client_id.as_bytes()]
    }
}

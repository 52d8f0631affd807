//! The start of a login: 302 to the provider.

use super::browser_nonce::BrowserNonce;
use super::{Authenticate, Authentication, LoginState, ProviderClientError};
use crate::clock::UnixTime;
use crate::message::{ConnectionInfo, RequestView};
use crate::provider::{
    AuthorizationRequest, CallError, CodeVerifier, Moment, ProviderMetadata, PushedError, PushedRequests, pushed_authorization_call,
    pushed_authorization_reference,
};
use crate::secret::EntropyError;
use crate::session::SealError;

/// A longer path and query is not carried through the login; the person returns to `/`. Providers refuse URLs of more
/// than some 8 KB, and the state grows by a third in base64.
pub const MAX_RETURN_BYTES: usize = 3072;

/// Whether the provider shows a page to somebody whom it knows (`prompt`, OIDC Core §3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    AsConfigured,
    /// The person signs in again.
    Login,
    /// No page at all: a session, or the word that there is none without asking somebody.
    None,
}

/// What the browser is told.
#[derive(Debug)]
pub struct LoginStart {
    pub location: String,
    pub set_cookie: String,
}

#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error(transparent)]
    Provider(#[from] ProviderClientError),
    #[error("the endpoint for pushed authorization requests: {0}")]
    PushedCall(CallError),
    #[error(transparent)]
    Pushed(#[from] PushedError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl Authentication {
    /// `return_to` is a path and query of the request's own origin, in normal form.
    pub async fn begin(
        &self,
        authenticate: &Authenticate,
        request: &RequestView<'_>,
        connection: Option<&ConnectionInfo>,
        return_to: &str,
        prompt: Prompt,
        now: UnixTime,
    ) -> Result<LoginStart, LoginError> {
        let metadata = authenticate.client.metadata().await?;
        let browser = BrowserNonce::presented_or_new(request.headers, connection, &self.entropy, now)?;
        let verifier = CodeVerifier(self.entropy.token()?);
        let origin = request.origin();
        let state = LoginState {
            id: self.entropy.bytes()?,
            started_at: now,
            rule: authenticate.rule,
            provider: authenticate.provider.name.to_string(),
            own_redirect_uri: authenticate.own_redirect_uri,
            browser: browser.hash(),
            nonce: self.entropy.token()?,
            code_verifier: verifier.0.clone(),
            origin: origin.clone(),
            is_silent: prompt == Prompt::None,
            return_to: if return_to.len() > MAX_RETURN_BYTES { "/".to_owned() } else { return_to.to_owned() },
        };
        let requirements = &authenticate.requirements;
        let acr_values = (!requirements.acr_values.is_empty()).then(|| requirements.acr_values.join(" "));
        let max_age = requirements.max_age.map(|seconds| seconds.to_string());
        let prompt = match prompt {
            Prompt::AsConfigured => None,
            Prompt::Login => Some(with_login(&authenticate.extra_params)),
            Prompt::None => Some("none".to_owned()),
        };
        let request = AuthorizationRequest {
            client_id: &authenticate.provider.client_id,
            redirect_uri: &self.redirect_uri(&state),
            scope: &authenticate.scope,
            state: &state.seal(&self.sealer)?,
            nonce: &state.nonce,
            code_challenge: &verifier.challenge(),
            acr_values: acr_values.as_deref(),
            max_age: max_age.as_deref(),
            prompt: prompt.as_deref(),
            extra: &authenticate.extra_params,
        };
        let location = self.location(authenticate, &metadata, &request, now).await?;
        Ok(LoginStart { location, set_cookie: browser.set_cookie() })
    }

    /// The provider's address for this request, which is pushed first where it can be.
    async fn location(
        &self,
        authenticate: &Authenticate,
        metadata: &ProviderMetadata,
        request: &AuthorizationRequest<'_>,
        now: UnixTime,
    ) -> Result<String, LoginError> {
        let provider = &authenticate.provider;
        let is_needed = metadata.requires_pushed_requests || provider.pushed_requests == PushedRequests::Always;
        let endpoint = match (&metadata.pushed_authorization_endpoint, provider.pushed_requests) {
            (Some(endpoint), PushedRequests::Auto | PushedRequests::Always) => endpoint,
            (Some(endpoint), PushedRequests::Never) if is_needed => endpoint,
            (None, _) if is_needed => return Err(PushedError::NoEndpoint.into()),
            _ => return Ok(request.url(&metadata.authorization_endpoint)),
        };
        let moment = Moment { entropy: &self.entropy, now };
        let call = pushed_authorization_call(provider, metadata, request, endpoint, moment)?;
        let pushed = match authenticate.client.call(call).await {
            Ok(answer) => pushed_authorization_reference(&answer).map_err(LoginError::from),
            Err(error) => Err(LoginError::PushedCall(error)),
        };
        match pushed {
            Ok(reference) => Ok(AuthorizationRequest::reference_url(&metadata.authorization_endpoint, &provider.client_id, &reference)),
            Err(error) if is_needed => Err(error),
            Err(_) => Ok(request.url(&metadata.authorization_endpoint)),
        }
    }
}

/// `prompt=login`, and whatever the configuration wants to be shown beside it. `none` allows of nothing beside itself.
fn with_login(extra: &[(String, String)]) -> String {
    let configured = extra.iter().find(|(name, _)| name == "prompt").map_or("", |(_, value)| value.as_str());
    let others = configured.split(' ').filter(|word| !matches!(*word, "" | "login" | "none"));
    std::iter::once("login").chain(others).collect::<Vec<_>>().join(" ")
}

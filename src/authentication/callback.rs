//! The end of a login: the browser is back from the provider.
//!
//! Everything that can be checked without the provider is checked first, so that a code which somebody else's browser
//! brings stays unspent (RFC 9700 §4.7, threats F01–F06, F14–F17).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::browser_nonce::BrowserNonce;
use super::id_token_check::IdTokenFailure;
use super::refresh::{due, lifetime};
use super::session_check::ISSUER;
use super::{Authenticate, Authentication, Insufficient, LOGIN_LIFETIME, LoginState, ProviderClientError, SessionWriteError};
use crate::clock::UnixTime;
use crate::identity::{SessionId, display_name};
use crate::provider::{
    AuthorizationResponse, AuthorizationResponseError, CallError, CodeVerifier, ExpectedNonce, IdTokenClaims, Issuers, Moment,
    ProviderMetadata, TokenError, TokenResponse, UserInfoError, code_exchange, merge, nonce_hash, user_info_call, user_info_claims,
};
use crate::secret::EntropyError;
use crate::session::SessionRecord;

/// Each step of the callback that can fail, in the order of the steps.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    #[error(transparent)]
    Response(#[from] AuthorizationResponseError),
    #[error("there is no state")]
    MissingState,
    #[error("the state is not one of ours")]
    InvalidState,
    #[error("the browser's nonce is missing: another browser, or cookies are blocked")]
    MissingBrowserNonce,
    #[error("the browser's nonce is not that of the state")]
    InvalidBrowserNonce,
    #[error("the login took longer than 15 minutes")]
    LateState,
    #[error("the state has been used")]
    UsedState,
    #[error("the login was begun under another host or rule")]
    OtherRule,
    #[error("the provider's metadata: {0}")]
    Metadata(ProviderClientError),
    #[error("iss in the response is not the issuer, or is missing")]
    ResponseIssuer,
    #[error("the provider says access_denied")]
    AccessDenied,
    #[error("the provider answered with an error: {0}")]
    ErrorResponse(String),
    #[error("the provider says unmet_authentication_requirements")]
    UnmetRequirements,
    #[error("the provider would have to ask the person: {0}")]
    NotSilently(String),
    #[error("there is no code")]
    MissingCode,
    #[error("the token endpoint: {0}")]
    TokenCall(CallError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    IdToken(#[from] IdTokenFailure),
    #[error("the sign-in is not what the rule asks for: {0}")]
    Insufficient(#[from] Insufficient),
    #[error("the UserInfo endpoint: {0}")]
    UserInfoCall(CallError),
    #[error(transparent)]
    UserInfo(#[from] UserInfoError),
    #[error(transparent)]
    Session(#[from] SessionWriteError),
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// A failed callback, and where the person may start again: only known once the state has opened.
#[derive(Debug)]
pub struct CallbackFailure {
    pub error: CallbackError,
    pub login: Option<Box<LoginState>>,
}

/// A finished login.
#[derive(Debug)]
pub struct SignedIn {
    pub set_cookies: Vec<String>,
    /// Absolute, on the origin where the login began.
    pub location: String,
    pub subject: String,
    pub display_name: String,
    pub session: SessionId,
}

impl Authentication {
    /// Where the provider sends the browser back to: one place for all, or one of its own.
    pub(super) fn redirect_uri(&self, login: &LoginState) -> String {
        let own = login.own_redirect_uri.then(|| format!("/{}", utf8_percent_encode(&login.provider, COMPONENT)));
        format!("{}{}{}", login.origin, self.callback_path, own.unwrap_or_default())
    }

    /// Opens the state of a callback and checks that it is this browser's, in time and unused. `called` is the URL without its query.
    pub fn open_callback(
        &self,
        query: &str,
        called: &str,
        headers: &HeaderMap,
        now: UnixTime,
    ) -> Result<(LoginState, AuthorizationResponse), CallbackFailure> {
        let refuse = |error: CallbackError| CallbackFailure { error, login: None };
        let response = AuthorizationResponse::parse(query).map_err(|error| refuse(error.into()))?;
        let state = response.state.as_deref().ok_or_else(|| refuse(CallbackError::MissingState))?;
        let login = LoginState::open(&self.sealer, state).map_err(|_| refuse(CallbackError::InvalidState))?;
        let checked = self.check_login(&login, called, headers, now);
        match checked {
            Ok(()) => Ok((login, response)),
            Err(error) => Err(CallbackFailure { error, login: Some(Box::new(login)) }),
        }
    }

    fn check_login(&self, login: &LoginState, called: &str, headers: &HeaderMap, now: UnixTime) -> Result<(), CallbackError> {
        // Another host, or the way back of another provider, whose code must not go to this one (RFC 9700 §4.4).
        if self.redirect_uri(login) != called {
            return Err(CallbackError::OtherRule);
        }
        // Late before the nonce: the cookie has gone by then too, and "took too long" is what helps.
        if login.is_late(now) {
            return Err(CallbackError::LateState);
        }
        let browser = BrowserNonce::presented(headers).ok_or(CallbackError::MissingBrowserNonce)?;
        verify_slices_are_equal(&browser.hash(), &login.browser).map_err(|_| CallbackError::InvalidBrowserNonce)?;
        if self.finished_logins.is_used(&login.id) { Err(CallbackError::UsedState) } else { Ok(()) }
    }

    /// Exchanges the code and makes the session.
    pub async fn finish(
        &self,
        authenticate: &Authenticate,
        login: &LoginState,
        response: &AuthorizationResponse,
        now: UnixTime,
    ) -> Result<SignedIn, CallbackError> {
        if *login.provider != *authenticate.provider.name {
            return Err(CallbackError::OtherRule);
        }
        let metadata = authenticate.client.metadata().await.map_err(CallbackError::Metadata)?;
        check_response_issuer(&authenticate.provider.issuers, &metadata, response)?;
        // From here on this state is spent, whatever comes of it.
        if !self.finished_logins.claim(login.id)
            || !self.claim_everywhere(login.id, LOGIN_LIFETIME).await.map_err(SessionWriteError::Store)?
        {
            return Err(CallbackError::UsedState);
        }
        match response.error.as_deref() {
            Some("access_denied") => return Err(CallbackError::AccessDenied),
            // OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
            Some("unmet_authentication_requirements") => return Err(CallbackError::UnmetRequirements),
            Some(error) if login.is_silent && NEEDS_A_PERSON.contains(&error) => return Err(CallbackError::NotSilently(error.to_owned())),
            Some(error) => return Err(CallbackError::ErrorResponse(log_safe(error))),
            None => {}
        }
        let code = response.code.as_deref().ok_or(CallbackError::MissingCode)?;
        let tokens = self.exchange(authenticate, &metadata, login, code, now).await?;
        let id_token = tokens.id_token.as_ref().ok_or(TokenError::Member("id_token"))?;
        let both = (id_token.expose().as_str(), tokens.access_token.expose().as_str());
        let nonce = ExpectedNonce::Exactly(&login.nonce);
        let IdTokenClaims { issuer, mut claims } = self.check_id_token(authenticate, &metadata, both, nonce, now).await?;
        // Here and not at the page that the login leads to: from there it would lead to the provider again, and so on for ever.
        authenticate.requirements.judge(&claims, now)?;
        if let Some(endpoint) = metadata.user_info_endpoint.as_ref().filter(|_| authenticate.provider.asks_user_info) {
            let call = user_info_call(endpoint, tokens.access_token.expose());
            let answer = authenticate.client.call(call).await.map_err(CallbackError::UserInfoCall)?;
            let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
            let user_info = user_info_claims(&answer, subject)?;
            merge(&mut claims, user_info);
        }
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        claims.insert(ISSUER.to_owned(), issuer.to_string().into());
        let display_name = display_name(&claims).unwrap_or(&subject).to_owned();
        let (refresh_from, access_expires_at) = due(&tokens, now);
        let record = SessionRecord {
            id: SessionId(self.entropy.bytes()?),
            signed_in_at: now,
            expires_at: now.plus(lifetime(authenticate, &tokens)),
            generation: 0,
            seen_at: now,
            refresh_from,
            access_expires_at,
            nonce: nonce_hash(&login.nonce),
            claims,
            access_token: tokens.access_token.expose().clone(),
            id_token: id_token.expose().clone(),
            refresh_token: tokens.refresh_token.map_or_else(String::new, |token| token.expose().clone()),
        };
        let set_cookies = self.write_first(authenticate, &record, now).await?;
        Ok(SignedIn { set_cookies, location: format!("{}{}", login.origin, login.return_to), subject, display_name, session: record.id })
    }

    async fn exchange(
        &self,
        authenticate: &Authenticate,
        metadata: &ProviderMetadata,
        login: &LoginState,
        code: &str,
        now: UnixTime,
    ) -> Result<TokenResponse, CallbackError> {
        let redirect_uri = self.redirect_uri(login);
        let verifier = CodeVerifier(login.code_verifier.clone());
        let moment = Moment { entropy: &self.entropy, now };
        let call = code_exchange(&authenticate.provider, metadata, code, &redirect_uri, &verifier, moment)?;
        let answer = authenticate.client.call(call).await.map_err(CallbackError::TokenCall)?;
        Ok(TokenResponse::parse(&answer)?)
    }
}

/// RFC 9207 §2.4: a wrong `iss` is refused, a missing one where the provider promised it; a mix-up of two providers ends here
/// with the code unspent.
fn check_response_issuer(issuers: &Issuers, metadata: &ProviderMetadata, response: &AuthorizationResponse) -> Result<(), CallbackError> {
    let sound = response.iss.as_deref().map_or(!metadata.sends_iss, |iss| issuers.of_response(&metadata.issuer, iss));
    if sound { Ok(()) } else { Err(CallbackError::ResponseIssuer) }
}

/// An error code as RFC 6749 §4.1.2.1 defines them; anything else is text from a URL that anybody can write.
fn log_safe(error: &str) -> String {
    let sound = error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if sound { error.to_owned() } else { "unprintable".to_owned() }
}

/// Errors of a provider that was asked to show nothing (OIDC Core §3.1.2.6).
const NEEDS_A_PERSON: [&str; 4] = ["login_required", "interaction_required", "account_selection_required", "consent_required"];
/// A provider's name as a segment of a path.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

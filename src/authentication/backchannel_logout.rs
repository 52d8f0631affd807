//! A provider says that somebody has signed out (OpenID Connect Back-Channel Logout 1.0 §2.5–2.7).

use std::sync::Arc;

use aws_lc_rs::digest;
use serde_json::{Map, Value};

use super::{Authenticate, Authentication, ProviderClientError, SessionStoreError};
use crate::clock::UnixTime;
use crate::identity::Mark;
use crate::provider::{LoggedOut, LogoutToken, LogoutTokenError, LogoutTokenExpectations};
use crate::tokens::{Compact, Verified, VerifyError};

/// Why a logout request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackchannelLogoutError {
    /// Not what §2.5 describes.
    #[error("the logout request is not one: {0}")]
    Request(&'static str),
    #[error("the logout request is too large")]
    TooLarge,
    #[error("the logout token: {0}")]
    Signature(#[from] VerifyError),
    #[error("iss and aud of the logout token are those of no provider here")]
    Stranger,
    #[error("the logout token: {0}")]
    Token(#[from] LogoutTokenError),
    #[error("the logout token has been used")]
    Used,
    #[error("the provider's metadata: {0}")]
    Metadata(ProviderClientError),
    #[error("the key set: {0}")]
    Keys(ProviderClientError),
    /// The sessions are over here, and perhaps not yet at other instances.
    #[error(transparent)]
    Store(#[from] SessionStoreError),
}

impl Authentication {
    /// Ends the sessions that a logout token names. `ways` are those of all listeners: sessions are one gateway's, whichever name
    /// the provider knows it by.
    pub async fn backchannel_logout<'a>(
        &self,
        token: &str,
        ways: impl Iterator<Item = &'a Arc<Authenticate>>,
        now: UnixTime,
    ) -> Result<(&'a Arc<Authenticate>, LogoutToken), BackchannelLogoutError> {
        let parsed = Compact::parse(token)?;
        let claims = parsed.unverified_claims().ok_or(VerifyError::Payload)?;
        let (way, issuer) = issuing(&claims, ways).await?;
        let verified = self.verify_logout_token(way, &parsed).await?;
        let provider = &way.provider;
        let expected = LogoutTokenExpectations {
            issuers: &provider.issuers,
            issuer: &issuer,
            client_id: &provider.client_id,
            token_type: parsed.token_type.as_deref(),
            now,
        };
        let token = LogoutToken::judge(&verified, &expected)?;
        let name = fingerprint(&token);
        if self.used_logout_tokens.is_used(&name) {
            return Err(BackchannelLogoutError::Used);
        }
        self.log_out(&token, &provider.client_id, now).await?;
        // Not before: the provider tries again where a store did not answer.
        let _ = self.used_logout_tokens.claim(name);
        Ok((way, token))
    }

    async fn verify_logout_token(
        &self,
        way: &Authenticate,
        token: &Compact<'_>,
    ) -> Result<Verified<Map<String, Value>>, BackchannelLogoutError> {
        let keys = way.client.keys().await.map_err(BackchannelLogoutError::Keys)?;
        match self.verifier.verify(token, &keys) {
            Err(VerifyError::UnknownKey) => {
                let newer = way.client.newer_keys(&keys).await.map_err(BackchannelLogoutError::Keys)?;
                Ok(self.verifier.verify(token, &newer)?)
            }
            verified => Ok(verified?),
        }
    }

    async fn log_out(&self, token: &LogoutToken, client_id: &str, now: UnixTime) -> Result<(), SessionStoreError> {
        let issuer = &token.issuer;
        let marks = match &token.whom {
            LoggedOut::Subject(subject) => vec![Mark::subject(issuer, client_id, subject)],
            LoggedOut::Session { sid, subject } => {
                let session = Mark::provider_session(issuer, client_id, sid);
                // Of a session that began without a `sid` nobody can say that it is not this one.
                let unnamed = subject.as_ref().map(|subject| Mark::without_provider_session(issuer, client_id, subject));
                std::iter::once(session).chain(unnamed).collect()
            }
        };
        self.end_marked(&marks, token.ends_until(now)).await
    }
}

/// The provider whose token it says it is, with the issuer that its metadata names. Nothing is believed for that: that provider's
/// keys verify the token.
async fn issuing<'a>(
    claims: &Map<String, Value>,
    ways: impl Iterator<Item = &'a Arc<Authenticate>>,
) -> Result<(&'a Arc<Authenticate>, Arc<str>), BackchannelLogoutError> {
    let mut unavailable = None;
    let mut asked: Vec<&str> = Vec::new();
    for way in ways.filter(|way| names(claims, &way.provider.client_id)) {
        if asked.contains(&&*way.provider.name) {
            continue;
        }
        asked.push(&way.provider.name);
        match way.client.metadata().await {
            Ok(metadata) if way.provider.issuers.of_token(&metadata.issuer, claims, None).is_some() => {
                return Ok((way, metadata.issuer.clone()));
            }
            Ok(_) => {}
            Err(error) => unavailable = Some(error),
        }
    }
    Err(unavailable.map_or(BackchannelLogoutError::Stranger, BackchannelLogoutError::Metadata))
}

fn names(claims: &Map<String, Value>, client_id: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(audience)) => audience == client_id,
        Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience == client_id),
        _ => false,
    }
}

/// A `jti` is unique within its issuer.
fn fingerprint(token: &LogoutToken) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    for word in [&*token.issuer, &token.id] {
        context.update(&(word.len() as u64).to_be_bytes());
        context.update(word.as_bytes());
    }
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&context.finish().as_ref()[..16]);
    fingerprint
}

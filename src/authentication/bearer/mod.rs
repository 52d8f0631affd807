//! Bearer tokens (RFC 6750): what ALB's `jwt-validation` checks, and tokens that are as good as a session (`bearer_tokens`).
//!
//! A token is judged in one order: its form, its signature, what it is for, whom it is for, its time, what the rule asks beside.
//! Opaque tokens are the provider's to judge (RFC 7662).

mod additional_claim;
mod error;
mod introspect;
mod policy;
mod presented;
mod resource;

use std::sync::Arc;

use serde_json::{Map, Value};

pub use additional_claim::{AdditionalClaim, ClaimFormat};
pub use error::BearerError;
pub use introspect::Introspection;
pub use policy::{TokenPolicy, TokenUse};
pub use presented::{Credentials, credentials};
pub use resource::{ProtectedResource, WELL_KNOWN};

use super::{AuthenticationRequirements, KeySource, ProviderClient};
use crate::clock::UnixTime;
use crate::identity::{Identity, display_name};
use crate::provider::{Issuers, Moment, Provider, is_of_domain, personal, seconds, subject};
use crate::secret::Secret;
use crate::tokens::{Compact, KeySet, Thumbprint, Verified, Verifier, VerifyError};

/// What a rule asks of a bearer token.
pub struct BearerTokens {
    /// Tells rules apart where judged tokens are remembered: what one rule accepts, another may not.
    pub id: u32,
    /// The provider's name, or the issuer: for the log.
    pub name: Arc<str>,
    pub source: TokenSource,
    /// The algorithms that are accepted.
    pub verifier: Verifier,
    pub policy: TokenPolicy,
    /// For tokens that are no JWT.
    pub introspection: Option<Introspection>,
    pub resource: Option<Arc<ProtectedResource>>,
}

/// Who issues the tokens.
pub enum TokenSource {
    /// A provider at which people sign in too.
    Provider { provider: Arc<Provider>, client: Arc<dyn ProviderClient>, more_issuers: Vec<Arc<str>> },
    /// An issuer of which only the keys are known.
    Keys { issuer: Arc<str>, keys: Arc<dyn KeySource> },
}

/// The `jwt_validation` action of a rule.
pub struct JwtValidation {
    pub tokens: Arc<BearerTokens>,
    /// How and when the person behind a token has to have signed in.
    pub requirements: AuthenticationRequirements,
    /// Whether the target gets identity headers beside the token; ALB sends none.
    pub identity_headers: bool,
    /// A real preflight passes, bare.
    pub allow_cors_preflight: bool,
}

/// A token that may pass.
pub struct BearerIdentity {
    pub identity: Identity,
    /// Until when it may be remembered.
    pub until: UnixTime,
    /// The key that vouches for it, and the key set in which it was found. An opaque token has none.
    pub vouched: Option<(Thumbprint, Arc<KeySet>)>,
}

impl BearerTokens {
    /// Judges a token that has not been seen before. Costs at most one signature check, or one call to the provider.
    pub async fn judge(&self, token: &str, moment: Moment<'_>) -> Result<BearerIdentity, BearerError> {
        let now = moment.now;
        match (Compact::parse(token), &self.introspection, &self.source) {
            (Ok(parsed), ..) => {
                let (verified, keys) = self.verify(&parsed).await?;
                self.accept(token, &parsed, verified, keys, now).await
            }
            (Err(VerifyError::Form), Some(introspection), TokenSource::Provider { provider, client, .. }) => {
                let mut claims = introspection.ask(provider, client, token, moment).await?;
                let issuer = self.issuer_of_answer(&claims)?;
                let until = self.policy.judge_introspected(&claims, now)?.min(now.plus(introspection.max_age));
                self.identity(token, issuer, &mut claims, until, None)
            }
            (Err(error), ..) => Err(BearerError::Form(error)),
        }
    }

    /// Whether a token names one of this provider's issuers, believed or not.
    pub async fn may_be_of(&self, token: &str) -> bool {
        let Some(claims) = Compact::parse(token).ok().and_then(|parsed| parsed.unverified_claims()) else { return false };
        self.issuer_of_token(&claims, None).await.is_ok()
    }

    /// Whoever a token with these claims would be, for a dry run: nothing of it is proven.
    pub fn identity_of_claims(&self, mut claims: Map<String, Value>) -> Result<Identity, BearerError> {
        let issuer = self.source.first_issuer().clone();
        self.identity("THE-ACCESS-TOKEN", issuer, &mut claims, UnixTime(0), None).map(|judged| judged.identity)
    }

    /// The keys in memory, to see whether the one that vouched for a token is still there.
    #[must_use]
    pub fn current_keys(&self) -> Option<Arc<KeySet>> {
        self.source.keys().current_keys()
    }

    async fn verify(&self, token: &Compact<'_>) -> Result<(Verified<Map<String, Value>>, Arc<KeySet>), BearerError> {
        let source = self.source.keys();
        let keys = source.keys().await.map_err(BearerError::Keys)?;
        match self.verifier.verify(token, &keys) {
            Err(VerifyError::UnknownKey) => {
                let newer = source.newer_keys(&keys).await.map_err(BearerError::Keys)?;
                let verified = self.verifier.verify(token, &newer).map_err(BearerError::from_verification)?;
                Ok((verified, newer))
            }
            other => Ok((other.map_err(BearerError::from_verification)?, keys)),
        }
    }

    async fn accept(
        &self,
        token: &str,
        parsed: &Compact<'_>,
        verified: Verified<Map<String, Value>>,
        keys: Arc<KeySet>,
        now: UnixTime,
    ) -> Result<BearerIdentity, BearerError> {
        let (key, key_issuer) = (verified.key(), verified.key_issuer().cloned());
        let mut claims = verified.into_claims();
        let issuer = self.issuer_of_token(&claims, key_issuer.as_deref()).await?;
        self.policy.judge(&claims, parsed.token_type.as_deref(), now)?;
        let until = UnixTime(seconds(&claims, "exp").unwrap_or_default());
        self.identity(token, issuer, &mut claims, until, Some((key, keys)))
    }

    async fn issuer_of_token(&self, claims: &Map<String, Value>, key_issuer: Option<&str>) -> Result<Arc<str>, BearerError> {
        if !claims.contains_key("iss") {
            return Err(BearerError::Missing("iss".into()));
        }
        let accepted = match &self.source {
            TokenSource::Provider { provider, client, more_issuers } => {
                let metadata = client.metadata().await.map_err(BearerError::Metadata)?;
                let known = provider.issuers.of_token(&metadata.issuer, claims, key_issuer);
                known.or_else(|| more_issuers.iter().find_map(|issuer| Issuers::one(issuer).of_token(issuer, claims, key_issuer)))
            }
            TokenSource::Keys { issuer, .. } => Issuers::one(issuer).of_token(issuer, claims, key_issuer),
        };
        let issuer = accepted.ok_or_else(|| BearerError::Value("iss".into()))?;
        match &self.source {
            TokenSource::Provider { provider, .. } if !is_of_domain(claims, &provider.hosted_domains) => {
                Err(BearerError::Value("hd".into()))
            }
            TokenSource::Provider { .. } | TokenSource::Keys { .. } => Ok(issuer),
        }
    }

    /// An answer may leave its `iss` out (RFC 7662 §2.2): it came from the provider itself.
    fn issuer_of_answer(&self, claims: &Map<String, Value>) -> Result<Arc<str>, BearerError> {
        let first = self.source.first_issuer();
        match claims.get("iss").map(Value::as_str) {
            None => Ok(first.clone()),
            Some(Some(iss)) if iss == &**first => Ok(first.clone()),
            Some(_) => Err(BearerError::Value("iss".into())),
        }
    }

    fn identity(
        &self,
        token: &str,
        issuer: Arc<str>,
        claims: &mut Map<String, Value>,
        until: UnixTime,
        vouched: Option<(Thumbprint, Arc<KeySet>)>,
    ) -> Result<BearerIdentity, BearerError> {
        let client_id = policy::client(claims);
        // A machine's token may name nobody but the machine (client credentials grant).
        let subject: Arc<str> = match (subject(claims), claims.contains_key("sub")) {
            (Some(subject), _) => subject.into(),
            (None, true) => return Err(BearerError::Format("sub".into())),
            (None, false) if client_id.is_none() && self.policy.names_a_subject => return Err(BearerError::Missing("sub".into())),
            (None, false) => client_id.unwrap_or_default().into(),
        };
        let client_id: Arc<str> = client_id.map_or_else(|| self.source.client_id(), Arc::from);
        let display_name = display_name(claims).map_or_else(|| subject.clone(), Arc::from);
        personal(claims);
        let identity = Identity {
            provider: self.name.clone(),
            issuer,
            client_id,
            subject,
            display_name,
            claims: std::mem::take(claims),
            access_token: Secret::from(token),
            id_token: Secret::from(""),
            session: None,
            expires_at: until,
        };
        Ok(BearerIdentity { identity, until, vouched })
    }
}

impl TokenSource {
    fn keys(&self) -> &dyn KeySource {
        match self {
            Self::Provider { client, .. } => &**client,
            Self::Keys { keys, .. } => &**keys,
        }
    }

    fn first_issuer(&self) -> &Arc<str> {
        match self {
            Self::Provider { provider, .. } => provider.issuers.first(),
            Self::Keys { issuer, .. } => issuer,
        }
    }

    fn client_id(&self) -> Arc<str> {
        match self {
            Self::Provider { provider, .. } => provider.client_id.clone(),
            Self::Keys { .. } => "".into(),
        }
    }
}

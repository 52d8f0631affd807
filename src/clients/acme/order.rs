//! One order at an authority, from the account to the certificate (RFC 8555 §7).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, Problem, RetryPolicy,
};

use super::cache::Cache;
use super::challenges::{Challenges, Shown};
use super::connection::AcmeConnection;
use crate::gateway::{AcmeChallenge, AcmeOrder};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The authority says so (RFC 7807).
    #[error("{detail} ({problem})")]
    Refused { problem: String, detail: String },
    #[error("the authority offers no {0} challenge for {1}")]
    NotOffered(&'static str, String),
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("the cache: {0}")]
    Cache(#[from] std::io::Error),
}

impl From<Error> for AcmeError {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) => problem.into(),
            Error::Other(error) => Self::Unreachable(error.to_string()),
            Error::Json(error) => Self::Unreachable(format!("what answers is no ACME server: {error}")),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<Problem> for AcmeError {
    fn from(problem: Problem) -> Self {
        let mut detail = problem.detail.unwrap_or_else(|| "no detail is given".to_owned());
        for part in problem.subproblems {
            detail = format!("{detail}; {part}");
        }
        Self::Refused { problem: problem.r#type.unwrap_or_else(|| "about:blank".to_owned()), detail }
    }
}

/// Private key and chain, PEM.
pub(super) async fn obtain(wanted: &AcmeOrder, cache: &Cache, challenges: &Challenges) -> Result<String, AcmeError> {
    match attempt(wanted, cache, challenges).await {
        // An authority that was set up anew: so is the account.
        Err(AcmeError::Refused { problem, .. }) if problem == "urn:ietf:params:acme:error:accountDoesNotExist" => {
            cache.forget_account()?;
            attempt(wanted, cache, challenges).await
        }
        outcome => outcome,
    }
}

async fn attempt(wanted: &AcmeOrder, cache: &Cache, challenges: &Challenges) -> Result<String, AcmeError> {
    let account = account(wanted, cache).await?;
    let names: Vec<Identifier> = wanted.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let shown = show(wanted, &mut order, cache, challenges).await?;
    let state = order.poll_ready(&PATIENCE).await;
    drop(shown);
    if state? != OrderStatus::Ready {
        return Err(refusal(&mut order).await);
    }
    let private_key = zeroize::Zeroizing::new(order.finalize().await?);
    let chain = order.poll_certificate(&PATIENCE).await?;
    Ok(format!("{}\n{chain}", *private_key))
}

async fn account(wanted: &AcmeOrder, cache: &Cache) -> Result<Account, AcmeError> {
    let connection = AcmeConnection::new(wanted.authorities.as_deref()).map_err(AcmeError::Unreachable)?;
    let builder = Account::builder_with_http(Box::new(connection));
    if let Some(known) = cache.account()?.map(zeroize::Zeroizing::new)
        && let Ok(credentials) = serde_json::from_str(&known)
    {
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact: Vec<&str> = wanted.contact.iter().map(String::as_str).collect();
    // The configuration is refused without it.
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let external = wanted.external_account.as_ref().map(|known| ExternalAccountKey::new(known.key_id.clone(), known.hmac_key.expose()));
    let (account, credentials) = builder.create(&new, wanted.directory_url.clone(), external.as_ref()).await?;
    let credentials = serde_json::to_string(&credentials).map(zeroize::Zeroizing::new).map_err(Error::from)?;
    cache.keep_account(&credentials)?;
    Ok(account)
}

/// Shows what the authority wants to see, for every name of which it does not know already, and says that it may look.
async fn show(wanted: &AcmeOrder, order: &mut Order, cache: &Cache, challenges: &Challenges) -> Result<Vec<Shown>, AcmeError> {
    let mut shown = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        shown.push(answer(wanted.challenge, authorization, cache, challenges).await?);
    }
    Ok(shown)
}

async fn answer(
    challenge: AcmeChallenge,
    mut authorization: AuthorizationHandle<'_>,
    cache: &Cache,
    challenges: &Challenges,
) -> Result<Shown, AcmeError> {
    let name = authorization.identifier().to_string();
    let (kind, label) = match challenge {
        AcmeChallenge::Http01 => (ChallengeType::Http01, "http-01"),
        AcmeChallenge::TlsAlpn01 => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
    };
    let mut offered = authorization.challenge(kind).ok_or_else(|| AcmeError::NotOffered(label, name.clone()))?;
    let proof = offered.key_authorization();
    let shown = match challenge {
        AcmeChallenge::Http01 => challenges.show_over_http(&offered.token, proof.as_str(), cache),
        AcmeChallenge::TlsAlpn01 => {
            let shown = challenges.show_in_handshakes(&name, proof.as_str(), cache);
            shown.map_err(|error| AcmeError::Failed(error.to_string()))?
        }
    };
    offered.set_ready().await?;
    Ok(shown)
}

/// What the authority has found wrong: it stands with the challenge that failed.
async fn refusal(order: &mut Order) -> AcmeError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.clone()) {
            return problem.into();
        }
    }
    AcmeError::Failed("the order is invalid, and the authority does not say why".to_owned())
}

/// Authorities look from several places, one after another.
const PATIENCE: RetryPolicy = RetryPolicy::new().initial_delay(Duration::from_millis(500)).timeout(Duration::from_secs(120));

//! Certificates by ACME (RFC 8555): what is asked for, and the answers to HTTP-01 challenges.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::{Exchange, Reply};
use crate::message::Scheme;
use crate::secret::Secret;

/// One certificate, from whom it is, and how it is proven that its names are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeOrder {
    pub directory_url: String,
    /// `mailto:` URLs.
    pub contact: Vec<String>,
    /// In lower case, sorted. Never empty, and none of them a wildcard.
    pub domains: Vec<String>,
    pub challenge: AcmeChallenge,
    /// A folder for account key and certificates.
    pub cache: PathBuf,
    /// PEM; believed instead of the system's authorities.
    pub authorities: Option<Vec<u8>>,
    pub external_account: Option<ExternalAccount>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// An answer at a path, over plain HTTP (RFC 8555 §8.3).
    Http01,
    /// A certificate in a handshake (RFC 8737).
    TlsAlpn01,
}

/// An account that the authority's operator knows already (RFC 8555 §7.3.4).
#[derive(Debug, Clone)]
pub struct ExternalAccount {
    pub key_id: String,
    pub hmac_key: Secret<Vec<u8>>,
}

impl PartialEq for ExternalAccount {
    fn eq(&self, other: &Self) -> bool {
        self.key_id == other.key_id && self.hmac_key.expose() == other.hmac_key.expose()
    }
}

impl Eq for ExternalAccount {}

impl AcmeOrder {
    /// A label in metrics and the log.
    #[must_use]
    pub fn name(&self) -> String {
        format!("acme:{}", self.domains.join(","))
    }
}

/// Answers that an authority is about to ask for, by token. Shared between whoever orders and all listeners, and kept over reloads.
#[derive(Clone, Default)]
pub struct HttpChallenges {
    own: Arc<RwLock<HashMap<String, String>>>,
    others: Arc<OnceLock<Others>>,
}

/// What another gateway is asked for, where several share what they know.
type Others = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

impl HttpChallenges {
    pub fn put(&self, token: &str, key_authorization: &str) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), key_authorization.to_owned());
    }

    pub fn remove(&self, token: &str) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// Where answers are that this gateway has not ordered itself. The first call counts.
    pub fn ask_others(&self, others: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        let _ = self.others.set(Box::new(others));
    }

    fn answer(&self, token: &str) -> Option<String> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        own.or_else(|| self.others.get()?(token))
    }
}

impl fmt::Debug for HttpChallenges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HttpChallenges")
    }
}

/// The answer to an authority that asks over plain HTTP: before hosts and rules, so that no redirect swallows it. A token that is none of
/// ours is an ordinary path: the application may have an ACME client of its own.
pub(super) fn answer(exchange: &Exchange<'_>) -> Option<Reply> {
    if exchange.listener.scheme != Scheme::Http || !matches!(exchange.request.method.as_str(), "GET" | "HEAD") {
        return None;
    }
    let token = exchange.request.target.path().strip_prefix(WELL_KNOWN)?;
    Some(Reply::octets(exchange.gateway.http_challenges.answer(token)?))
}

const WELL_KNOWN: &str = "/.well-known/acme-challenge/";

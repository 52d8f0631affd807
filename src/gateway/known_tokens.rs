//! Bearer tokens that have been judged: the second request with one costs a look-up.
//!
//! A token is found by its rule and by every byte of it, so that a forged one meets no genuine one. It is forgotten at its `exp`,
//! and when the key that vouches for it leaves the key set.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use equivalent::Equivalent;
use moka::{future, sync};

use super::known_sessions::Known;
use crate::authentication::{BearerError, BearerTokens};
use crate::clock::UnixTime;
use crate::provider::Moment;
use crate::secret::Secret;
use crate::tokens::{KeySet, Thumbprint};

/// Bounded by bytes and by time since the last request.
pub struct KnownTokens {
    judged: future::Cache<TokenKey, Arc<KnownToken>>,
    /// Of opaque ones that the provider has refused: it is not asked again at once (threat Q06).
    inactive: sync::Cache<TokenKey, ()>,
}

struct KnownToken {
    known: Arc<Known>,
    until: UnixTime,
    vouched: Option<Vouched>,
}

/// A key, and the key set in which it was last found.
struct Vouched {
    key: Thumbprint,
    found_in: ArcSwap<KeySet>,
}

/// The person or program behind a token, and whether it was in memory.
pub(super) struct Judged {
    pub(super) known: Arc<Known>,
    pub(super) was_known: bool,
}

impl KnownTokens {
    #[must_use]
    pub fn new() -> Self {
        let weigh = |key: &TokenKey, _: &Arc<KnownToken>| u32::try_from(key.token.expose().len() * COPIES + OVERHEAD).unwrap_or(u32::MAX);
        Self {
            judged: future::Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).time_to_idle(FORGOTTEN_AFTER).build(),
            inactive: sync::Cache::builder().max_capacity(MAX_INACTIVE).time_to_live(INACTIVE_FOR).build(),
        }
    }

    /// Whoever is behind a token that has been judged.
    pub(super) async fn known(&self, tokens: &BearerTokens, token: &str, now: UnixTime) -> Option<Arc<Known>> {
        let asked = Asked { rule: tokens.id, token };
        let found = self.judged.get(&asked).await?;
        if found.is_good(tokens, now) {
            return Some(found.known.clone());
        }
        self.judged.invalidate(&asked).await;
        None
    }

    /// Any number of requests that bring the same new token at the same moment have it judged once.
    pub(super) async fn judge(&self, tokens: &BearerTokens, token: &str, moment: Moment<'_>) -> Result<Judged, BearerError> {
        if let Some(known) = self.known(tokens, token, moment.now).await {
            return Ok(Judged { known, was_known: true });
        }
        let asked = Asked { rule: tokens.id, token };
        if self.inactive.contains_key(&asked) {
            return Err(BearerError::Inactive);
        }
        let judging = async {
            let judged = tokens.judge(token, moment).await?;
            let vouched = judged.vouched.map(|(key, keys)| Vouched { key, found_in: ArcSwap::new(keys) });
            Ok(Arc::new(KnownToken { known: Arc::new(Known::new(judged.identity)), until: judged.until, vouched }))
        };
        match self.judged.try_get_with(asked.key(), judging).await {
            Ok(fresh) => Ok(Judged { known: fresh.known.clone(), was_known: false }),
            Err(error) => {
                if *error == BearerError::Inactive {
                    self.inactive.insert(asked.key(), ());
                }
                Err(Arc::unwrap_or_clone(error))
            }
        }
    }
}

impl Default for KnownTokens {
    fn default() -> Self {
        Self::new()
    }
}

impl KnownToken {
    fn is_good(&self, tokens: &BearerTokens, now: UnixTime) -> bool {
        now < self.until && self.vouched.as_ref().is_none_or(|vouched| vouched.still_holds(tokens))
    }
}

impl Vouched {
    /// A key set is looked through once for each token, when it has changed.
    fn still_holds(&self, tokens: &BearerTokens) -> bool {
        let Some(current) = tokens.current_keys() else { return true };
        if Arc::ptr_eq(&current, &self.found_in.load()) {
            return true;
        }
        let holds = current.contains(self.key);
        if holds {
            self.found_in.store(current);
        }
        holds
    }
}

struct TokenKey {
    rule: u32,
    token: Secret<String>,
}

/// The same, borrowed: a look-up copies nothing.
struct Asked<'a> {
    rule: u32,
    token: &'a str,
}

impl Asked<'_> {
    fn key(&self) -> TokenKey {
        TokenKey { rule: self.rule, token: Secret::from(self.token) }
    }
}

/// Only the end of a token is hashed: a part of its signature, as random as anything. Whoever writes other tokens with the same end
/// gains nothing, because only genuine ones are kept and all of it is compared.
fn hash(rule: u32, token: &str, state: &mut impl Hasher) {
    rule.hash(state);
    let bytes = token.as_bytes();
    bytes[bytes.len().saturating_sub(HASHED_BYTES)..].hash(state);
}

impl Hash for TokenKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.rule, self.token.expose(), state);
    }
}

impl PartialEq for TokenKey {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule && self.token.expose() == other.token.expose()
    }
}

impl Eq for TokenKey {}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.rule, self.token, state);
    }
}

impl Equivalent<TokenKey> for Asked<'_> {
    fn equivalent(&self, key: &TokenKey) -> bool {
        self.rule == key.rule && self.token == key.token.expose()
    }
}

const HASHED_BYTES: usize = 48;
/// A token is kept as a key, as the access token, as a header, and taken apart into claims.
const COPIES: usize = 5;
const OVERHEAD: usize = 2048;
const MAX_BYTES: u64 = 64 * 1024 * 1024;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);
const MAX_INACTIVE: u64 = 10_000;
const INACTIVE_FOR: Duration = Duration::from_secs(10);

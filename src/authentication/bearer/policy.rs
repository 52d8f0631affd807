//! What a token is for and whom it is for (RFC 9068 §4, RFC 8725 §3.8–3.12).

use serde_json::{Map, Value};

use super::{AdditionalClaim, BearerError};
use crate::clock::UnixTime;
use crate::provider::{has_come, is_over, seconds};

/// What a token was made for; Cognito's `token_use`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUse {
    Access,
    Id,
}

/// The conditions of one rule.
#[derive(Debug, Clone, Default)]
pub struct TokenPolicy {
    /// `aud` holds one of these. Where it is empty, a token with an `aud` does not pass.
    pub audiences: Vec<String>,
    /// The client that the token was issued to is one of these. Empty: any. Cognito's access tokens have nothing else.
    pub client_ids: Vec<String>,
    /// Neither audience nor client is asked for, as with ALB's `jwt-validation`.
    pub is_for_anybody: bool,
    /// Whether the token has to say who it is.
    pub names_a_subject: bool,
    /// Empty: any.
    pub token_uses: Vec<TokenUse>,
    /// `typ` of the header, without `application/`. Empty: `JWT`, `at+jwt` or none.
    pub types: Vec<String>,
    /// All of them.
    pub scopes: Vec<String>,
    pub additional_claims: Vec<AdditionalClaim>,
}

impl TokenPolicy {
    /// A JWT whose signature and issuer are proven.
    pub fn judge(&self, claims: &Map<String, Value>, token_type: Option<&str>, now: UnixTime) -> Result<(), BearerError> {
        self.judge_type(token_type)?;
        self.judge_use(claims)?;
        let expires = match (claims.get("exp"), seconds(claims, "exp")) {
            (None, _) => return Err(BearerError::Missing("exp".to_owned())),
            (Some(_), None) => return Err(BearerError::Format("exp".to_owned())),
            (Some(_), Some(expires)) => expires,
        };
        if is_over(expires, now) {
            return Err(BearerError::Expired);
        }
        self.judge_content(claims, now)
    }

    /// The provider's answer about an opaque token, and until when it holds. The provider has said that it is active.
    pub fn judge_introspected(&self, claims: &Map<String, Value>, now: UnixTime) -> Result<UnixTime, BearerError> {
        self.judge_use(claims)?;
        let expires = match (claims.get("exp"), seconds(claims, "exp")) {
            (None, _) => u64::MAX,
            (Some(_), None) => return Err(BearerError::Format("exp".to_owned())),
            (Some(_), Some(expires)) => expires,
        };
        if expires <= now.0 {
            return Err(BearerError::Expired);
        }
        self.judge_content(claims, now)?;
        Ok(UnixTime(expires))
    }

    /// A token of another kind by the same issuer is none for us (RFC 8725 §3.11): a logout token, a security event, a DPoP proof.
    fn judge_type(&self, token_type: Option<&str>) -> Result<(), BearerError> {
        let named = token_type.map(str::to_ascii_lowercase);
        let named = named.as_deref().map(|name| name.strip_prefix("application/").unwrap_or(name));
        let sound = match (self.types.is_empty(), named) {
            (true, None) => true,
            (true, Some(name)) => matches!(name, "jwt" | "at+jwt"),
            (false, None) => false,
            (false, Some(name)) => self.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)),
        };
        if sound { Ok(()) } else { Err(BearerError::Type) }
    }

    fn judge_use(&self, claims: &Map<String, Value>) -> Result<(), BearerError> {
        // Whoever holds a token with `cnf` has to prove a key too (RFC 7800, 8705, 9449). Taken as a bearer token it would be worth
        // as much when stolen as when held.
        if claims.contains_key("events") || claims.contains_key("cnf") {
            return Err(BearerError::OtherUse);
        }
        let found = match claims.get("token_use").map(Value::as_str) {
            Some(Some("access")) => TokenUse::Access,
            Some(Some("id")) => TokenUse::Id,
            Some(_) => return Err(BearerError::OtherUse),
            None if ["nonce", "at_hash", "c_hash", "s_hash"].iter().any(|name| claims.contains_key(*name)) => TokenUse::Id,
            None => TokenUse::Access,
        };
        if self.token_uses.is_empty() || self.token_uses.contains(&found) { Ok(()) } else { Err(BearerError::OtherUse) }
    }

    fn judge_content(&self, claims: &Map<String, Value>, now: UnixTime) -> Result<(), BearerError> {
        if !has_come(claims, "nbf", now) || !has_come(claims, "iat", now) {
            return Err(BearerError::NotYet);
        }
        if !self.is_for_anybody {
            self.judge_recipient(claims)?;
        }
        for claim in &self.additional_claims {
            claim.judge(claims)?;
        }
        let granted = scopes(claims);
        if self.scopes.iter().all(|scope| granted.contains(&scope.as_str())) { Ok(()) } else { Err(BearerError::Scope) }
    }

    /// A token that another application has received does not pass here (threats T03–T07).
    fn judge_recipient(&self, claims: &Map<String, Value>) -> Result<(), BearerError> {
        let ours = |audience: &str| self.audiences.iter().any(|known| known == audience);
        let sound = match claims.get("aud") {
            Some(Value::String(audience)) => ours(audience),
            Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).any(ours),
            Some(_) => return Err(BearerError::Format("aud".to_owned())),
            None if self.client_ids.is_empty() => return Err(BearerError::Missing("aud".to_owned())),
            None => true,
        };
        if !sound {
            return Err(BearerError::Value("aud".to_owned()));
        }
        if self.client_ids.is_empty() {
            return Ok(());
        }
        match client(claims) {
            Some(client) if self.client_ids.iter().any(|known| known == client) => Ok(()),
            Some(_) => Err(BearerError::Value("client_id".to_owned())),
            None => Err(BearerError::Missing("client_id".to_owned())),
        }
    }
}

/// The client that a token was issued to: `client_id` (RFC 9068, RFC 7662, Cognito), `azp` (OpenID), `cid` (Okta), `appid` (Entra ID's
/// version 1).
pub(super) fn client(claims: &Map<String, Value>) -> Option<&str> {
    ["client_id", "azp", "cid", "appid"].iter().find_map(|name| claims.get(*name)).and_then(Value::as_str)
}

/// `scope` as RFC 8693 §4.2 has it, or `scp` as Entra ID (a text) and Okta (a list) write it.
fn scopes(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(text)) => text.split(' ').collect(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

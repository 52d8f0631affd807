//! The three tokens of a user pool, with its claims and its oddities.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::error::Internal;
use super::grants::Grant;
use super::keys::{SigningKeys, Use};
use super::scope::{attributes, subject};
use super::settings::{Settings, User};
use crate::clock::UnixTime;
use crate::secret::Entropy;

/// What every token of one answer has in common.
pub(super) struct Issue<'a> {
    pub(super) settings: &'a Settings,
    pub(super) issuer: &'a str,
    pub(super) keys: &'a SigningKeys,
    pub(super) entropy: &'a Entropy,
    pub(super) user: &'a User,
    pub(super) grant: &'a Grant,
    pub(super) now: UnixTime,
}

impl Issue<'_> {
    /// No `aud` but `client_id`, and nothing that describes the person.
    pub(super) fn access_token(&self) -> Result<String, Internal> {
        let mut claims = self.common("access")?;
        claims.insert("client_id".to_owned(), json!(self.grant.client_id));
        claims.insert("scope".to_owned(), json!(self.grant.scopes.join(" ")));
        claims.insert("username".to_owned(), json!(self.user.username));
        claims.insert("version".to_owned(), json!(2));
        self.keys.sign(Use::Access, &claims, self.entropy)
    }

    /// None without the scope `openid`.
    pub(super) fn id_token(&self, nonce: Option<&str>, access_token: &str) -> Result<Option<String>, Internal> {
        if !self.grant.scopes.contains(&"openid") {
            return Ok(None);
        }
        let mut claims = attributes(self.user, &self.grant.scopes, Value::Bool);
        claims.extend(self.common("id")?);
        claims.insert("aud".to_owned(), json!(self.grant.client_id));
        claims.insert("at_hash".to_owned(), json!(access_token_hash(access_token)));
        claims.insert("cognito:username".to_owned(), json!(self.user.username));
        if let Some(nonce) = nonce {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        self.keys.sign(Use::Id, &claims, self.entropy).map(Some)
    }

    fn common(&self, token_use: &str) -> Result<Map<String, Value>, Internal> {
        let mut claims = Map::new();
        let mut add = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        add("sub", json!(subject(&self.settings.pool_id, self.user)));
        add("iss", json!(self.issuer));
        add("token_use", json!(token_use));
        add("auth_time", json!(self.grant.auth_time));
        add("iat", json!(self.now));
        add("exp", json!(self.now.plus(self.settings.token_validity)));
        add("jti", json!(random_uuid(self.entropy)?));
        add("origin_jti", json!(self.grant.origin_jti));
        add("event_id", json!(self.grant.event_id));
        if !self.user.groups.is_empty() {
            add("cognito:groups", json!(self.user.groups));
        }
        Ok(claims)
    }
}

/// An opaque token in the shape of a user pool's: five parts, 1.8 kB. Its length is the point of it: three tokens of
/// this size do not fit into one cookie.
pub(super) fn refresh_token(entropy: &Entropy) -> Result<String, Internal> {
    let header = r#"{"cty":"JWT","enc":"A256GCM","alg":"RSA-OAEP"}"#;
    Ok([
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(entropy.bytes::<256>()?),
        URL_SAFE_NO_PAD.encode(entropy.bytes::<12>()?),
        URL_SAFE_NO_PAD.encode(entropy.bytes::<980>()?),
        URL_SAFE_NO_PAD.encode(entropy.bytes::<16>()?),
    ]
    .join("."))
}

pub(super) fn random_uuid(entropy: &Entropy) -> Result<String, Internal> {
    Ok(uuid::Builder::from_random_bytes(entropy.bytes()?).into_uuid().to_string())
}

/// OpenID Connect Core §3.1.3.6.
fn access_token_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, access_token.as_bytes()).as_ref()[..16])
}

//! Who somebody is, as far as a provider has vouched for it.

mod marks;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::message::hex;
use crate::secret::Secret;

pub use marks::{Mark, Marks};

/// Names a session. Never leaves the gateway unsealed; logs show a hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// Sixteen hexadecimal digits of SHA-256: enough to find a session in a log, useless to forge one.
    #[must_use]
    pub fn hash(&self) -> String {
        let digest = digest::digest(&digest::SHA256, &self.0);
        hex(&digest.as_ref()[..8])
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionId({})", self.hash())
    }
}

/// The session that somebody is signed in with.
#[derive(Debug, Clone)]
pub struct KnownSession {
    pub id: SessionId,
    /// For the log.
    pub hash: Arc<str>,
    pub marks: Marks,
}

impl KnownSession {
    /// `issuer` is the one that has signed the ID token, and `sid` that token's.
    #[must_use]
    pub fn new(id: SessionId, (issuer, client_id): (&str, &str), subject: &str, sid: Option<&str>, signed_in_at: UnixTime) -> Self {
        let hash: Arc<str> = id.hash().into();
        let marks = Marks::new(&hash, (issuer, client_id), subject, sid, signed_in_at);
        Self { id, hash, marks }
    }
}

/// A signed-in person, or a program with a token.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The provider's name in the configuration.
    pub provider: Arc<str>,
    pub issuer: Arc<str>,
    pub client_id: Arc<str>,
    /// `sub`: unique within the issuer (OIDC Core §2).
    pub subject: Arc<str>,
    /// How a page or a person's log calls them: the user name, the e-mail address, or the subject.
    pub display_name: Arc<str>,
    /// The claims of the ID token and of user info, merged.
    pub claims: Map<String, Value>,
    pub access_token: Secret<String>,
    /// Kept for `id_token_hint` at logout; empty where there is none.
    pub id_token: Secret<String>,
    /// `None`: a bearer token's.
    pub session: Option<KnownSession>,
    pub expires_at: UnixTime,
}

/// The best of the claims by which people know each other.
#[must_use]
pub fn display_name(claims: &Map<String, Value>) -> Option<&str> {
    ["preferred_username", "cognito:username", "username", "email", "name"]
        .iter()
        .find_map(|name| claims.get(*name).and_then(Value::as_str))
}

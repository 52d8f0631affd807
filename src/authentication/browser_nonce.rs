//! `AWSALBAuthNonce`: one value a browser, for all its tabs, to which every login that it starts is bound. A callback that
//! another browser brings is refused before the code is spent (login CSRF, RFC 9700 §4.7).

use aws_lc_rs::digest;
use http::HeaderMap;

use crate::message::cookies;
use crate::secret::{Entropy, EntropyError};

/// The cookie's name, as ALB's.
pub const NONCE_COOKIE: &str = "AWSALBAuthNonce";

/// What a browser brings, or what it is given.
pub(super) struct BrowserNonce(String);

impl BrowserNonce {
    pub(super) fn presented(headers: &HeaderMap) -> Option<Self> {
        let value = std::str::from_utf8(cookies::find(headers, NONCE_COOKIE)?).ok()?;
        let sound =
            (22..=64).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        sound.then(|| Self(value.to_owned()))
    }

    /// Kept where there is one: a new one would end the logins of other tabs.
    pub(super) fn presented_or_new(headers: &HeaderMap, entropy: &Entropy) -> Result<Self, EntropyError> {
        Self::presented(headers).map_or_else(|| entropy.token().map(Self), Ok)
    }

    /// What the state holds, so that whoever reads a URL cannot make the cookie.
    pub(super) fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref());
        hash
    }

    pub(super) fn set_cookie(&self) -> String {
        format!("{NONCE_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=900", self.0)
    }
}

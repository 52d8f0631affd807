//! `AWSALBAuthNonce`: one value a browser, for all its tabs, to which every login that it starts is bound. A callback that
//! another browser brings is refused before the code is spent (login CSRF, RFC 9700 §4.7).

use std::sync::PoisonError;

use aws_lc_rs::digest;
use http::HeaderMap;

use crate::clock::UnixTime;
use crate::message::{ConnectionInfo, cookies};
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

    /// Kept where there is one: a new one would end the logins of other tabs. Tabs that a browser opens at the same moment ask before it
    /// has got any; they share a connection of HTTP/2, and what the first of them was given.
    pub(super) fn presented_or_new(
        headers: &HeaderMap,
        connection: Option<&ConnectionInfo>,
        entropy: &Entropy,
        now: UnixTime,
    ) -> Result<Self, EntropyError> {
        if let Some(presented) = Self::presented(headers) {
            return Ok(presented);
        }
        let fresh = entropy.token()?;
        // Behind a proxy the connection is that of many visitors, who must not know each other's.
        let own = connection.filter(|_| !PROXIED.iter().any(|name| headers.contains_key(*name)));
        let Some(connection) = own else { return Ok(Self(fresh)) };
        let mut shared = connection.login_nonce.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shared {
            Some((value, at)) if now.0.abs_diff(*at) <= SAME_MOMENT => Ok(Self(value.clone())),
            Some(_) | None => {
                *shared = Some((fresh.clone(), now.0));
                Ok(Self(fresh))
            }
        }
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

/// Headers of a request that has come through somebody else's hands.
const PROXIED: [&str; 3] = ["x-forwarded-for", "forwarded", "via"];
/// In seconds: as long as a browser may take to ask for all its tabs.
const SAME_MOMENT: u64 = 30;

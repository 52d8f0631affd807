//! The login itself, sealed into `state`: a login that never finishes costs nothing here.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::session::{Purpose, SealError, Sealer};

/// A login that takes longer is begun anew (ALB: 15 minutes, fixed).
pub const LOGIN_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// What the callback has to know. Only `open` makes one of something that came from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginState {
    /// Makes a `state` work once.
    pub id: [u8; 16],
    pub started_at: UnixTime,
    /// Priority of the rule that began it.
    pub rule: u32,
    pub provider: String,
    /// Whether the answer comes to the provider's own redirect URI.
    pub own_redirect_uri: bool,
    /// SHA-256 of the browser's nonce.
    pub browser: [u8; 32],
    /// OpenID `nonce`.
    pub nonce: String,
    pub code_verifier: String,
    /// Whether the provider was asked to show nothing (`prompt=none`).
    pub is_silent: bool,
    /// `https://host[:port]`: the callback must come to the host that began the login.
    pub origin: String,
    /// Path and query to return to on that origin.
    pub return_to: String,
}

impl LoginState {
    pub fn seal(&self, sealer: &Sealer) -> Result<String, SealError> {
        let plain = postcard::to_allocvec(self).map_err(|_| SealError::NoKey)?;
        Ok(URL_SAFE_NO_PAD.encode(sealer.seal(Purpose::LoginState, &[b"login"], &plain)?))
    }

    pub fn open(sealer: &Sealer, state: &str) -> Result<Self, SealError> {
        let sealed = URL_SAFE_NO_PAD.decode(state).map_err(|_| SealError::Refused)?;
        let plain = sealer.open(Purpose::LoginState, &[b"login"], sealed)?;
        postcard::from_bytes(&plain).map_err(|_| SealError::Refused)
    }

    /// A clock that jumped back makes no state live longer than its lifetime either way.
    #[must_use]
    pub fn is_late(&self, now: UnixTime) -> bool {
        now >= self.started_at.plus(LOGIN_LIFETIME) || self.started_at > now.plus(LOGIN_LIFETIME)
    }
}

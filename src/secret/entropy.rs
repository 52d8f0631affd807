//! Randomness as an argument, so that what decides never reaches for it.

use std::sync::Arc;

use aws_lc_rs::rand::SecureRandom;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The system's random source, handed down from the top.
#[derive(Clone)]
pub struct Entropy(Arc<dyn SecureRandom + Send + Sync>);

/// The random source failed; nothing may be sealed, signed or issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the random source failed")]
pub struct EntropyError;

impl Entropy {
    pub fn new(source: Arc<dyn SecureRandom + Send + Sync>) -> Self {
        Self(source)
    }

    /// What aws-lc-rs asks for when it signs.
    #[must_use]
    pub fn source(&self) -> &dyn SecureRandom {
        &*self.0
    }

    /// `N` fresh bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes).map_err(|_| EntropyError)?;
        Ok(bytes)
    }

    /// 256 bits in base64url: 43 characters, the alphabet of a `code_verifier` (RFC 7636 §4.1).
    pub fn token(&self) -> Result<String, EntropyError> {
        Ok(URL_SAFE_NO_PAD.encode(self.bytes::<32>()?))
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Entropy")
    }
}

/// The system's source, for unit tests below the line.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "unit tests have nobody above them to hand one down")]
pub(crate) fn test_entropy() -> Entropy {
    Entropy::new(Arc::new(aws_lc_rs::rand::SystemRandom::new()))
}

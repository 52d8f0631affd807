//! The only maker of `Verified`: whoever holds one holds a payload that a key of the issuer has signed.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Algorithm, Compact, KeySet, Thumbprint};
use crate::message::json;

/// A payload under a proven signature.
#[derive(Debug, Clone)]
pub struct Verified<Claims> {
    claims: Claims,
    algorithm: Algorithm,
    key: Thumbprint,
    key_issuer: Option<Arc<str>>,
}

impl<Claims> Verified<Claims> {
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    pub fn into_claims(self) -> Claims {
        self.claims
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key that has verified it.
    pub fn key(&self) -> Thumbprint {
        self.key
    }

    /// Whose tokens that key signs, where the key set says so.
    pub fn key_issuer(&self) -> Option<&Arc<str>> {
        self.key_issuer.as_ref()
    }
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("the token is longer than 64 KiB")]
    TooLong,
    #[error("the token is not a JWS in compact form")]
    Form,
    #[error("the token's header asks for an extension")]
    Critical,
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    #[error("no key of the issuer has the token's key id and algorithm")]
    UnknownKey,
    #[error("the signature is wrong")]
    Signature,
    #[error("the payload is not a JSON object with distinct members")]
    Payload,
}

/// Checks signatures by one list of algorithms.
#[derive(Debug, Clone)]
pub struct Verifier {
    algorithms: Vec<Algorithm>,
}

impl Verifier {
    /// Accepts these algorithms only, whatever the key would allow (RFC 8725 §3.1).
    #[must_use]
    pub fn new(algorithms: &[Algorithm]) -> Self {
        Self { algorithms: algorithms.to_vec() }
    }

    /// The claims of a JWT.
    pub fn verify(&self, token: &Compact<'_>, keys: &KeySet) -> Result<Verified<Map<String, Value>>, VerifyError> {
        let Verified { claims, algorithm, key, key_issuer } = self.verify_bytes(token, keys)?;
        let claims = json::object(&claims).map_err(|_| VerifyError::Payload)?;
        Ok(Verified { claims, algorithm, key, key_issuer })
    }

    /// The payload of any JWS.
    pub fn verify_bytes(&self, token: &Compact<'_>, keys: &KeySet) -> Result<Verified<Vec<u8>>, VerifyError> {
        if !self.algorithms.contains(&token.algorithm) {
            return Err(VerifyError::Algorithm);
        }
        let mut error = VerifyError::UnknownKey;
        for (key, public) in keys.candidates(token.key_id.as_deref(), token.algorithm) {
            if public.verify_sig(token.signing_input, &token.signature).is_ok() {
                let (claims, key_issuer) = (token.payload()?, key.issuer.clone());
                return Ok(Verified { claims, algorithm: token.algorithm, key: key.thumbprint(), key_issuer });
            }
            error = VerifyError::Signature;
        }
        Err(error)
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new(&Algorithm::ALL)
    }
}

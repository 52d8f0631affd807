//! The pool's signing keys (RS256) and the key set that publishes them.
//!
//! As in a user pool there are two, one for ID tokens and one for access tokens, so that a client which takes the first
//! key of the set, or remembers only one, fails here and not in production.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::error::Internal;
use crate::clock::UnixTime;
use crate::secret::Entropy;

/// Which of the two keys signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Id,
    Access,
}

/// The keys that sign, and those that signed until the last rotation.
pub(super) struct SigningKeys {
    current: Pair,
    previous: Option<Pair>,
    since: UnixTime,
}

/// One generation of keys.
pub(super) struct Pair {
    id: SigningKey,
    access: SigningKey,
}

struct SigningKey {
    kid: String,
    key: KeyPair,
}

impl Pair {
    /// Takes a few hundred milliseconds: keep it off the threads that answer requests.
    pub(super) fn generate() -> Result<Self, Internal> {
        Ok(Self { id: SigningKey::generate()?, access: SigningKey::generate()? })
    }
}

impl SigningKeys {
    pub(super) fn new(current: Pair, since: UnixTime) -> Self {
        Self { current, previous: None, since }
    }

    /// What is signed with the old keys can still be verified until the next rotation, unless they are forgotten.
    pub(super) fn rotate(&mut self, next: Pair, forget: bool, now: UnixTime) {
        let previous = std::mem::replace(&mut self.current, next);
        self.previous = (!forget).then_some(previous);
        self.since = now;
    }

    pub(super) fn since(&self) -> UnixTime {
        self.since
    }

    pub(super) fn kid(&self, key_use: Use) -> &str {
        &self.current.of(key_use).kid
    }

    /// A compact JWS whose header holds `kid` and `alg` and nothing else, as a user pool's does.
    pub(super) fn sign(&self, key_use: Use, claims: &Map<String, Value>, entropy: &Entropy) -> Result<String, Internal> {
        let signing_key = self.current.of(key_use);
        let header = json!({ "kid": signing_key.kid, "alg": "RS256" });
        let payload = serde_json::to_vec(claims).map_err(|_| Internal::Signing)?;
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
        let mut signature = vec![0; signing_key.key.public_modulus_len()];
        signing_key.key.sign(&RSA_PKCS1_SHA256, entropy.source(), token.as_bytes(), &mut signature).map_err(|_| Internal::Signing)?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }

    /// The claims of a token that this pool signed for `key_use`; the other key's tokens are refused, so that an ID
    /// token is never taken for an access token.
    pub(super) fn verify(&self, key_use: Use, token: &str) -> Option<Map<String, Value>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let kid = header.get("kid")?.as_str()?;
        let signing_key = self.pairs().map(|pair| pair.of(key_use)).find(|signing_key| signing_key.kid == kid)?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, signing_key.key.public_key().as_ref())
            .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?)
            .ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// The JWK Set (RFC 7517 §5).
    pub(super) fn json_web_key_set(&self) -> Value {
        json!({ "keys": self.pairs().flat_map(|pair| [pair.id.public(), pair.access.public()]).collect::<Vec<_>>() })
    }

    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl Pair {
    fn of(&self, key_use: Use) -> &SigningKey {
        match key_use {
            Use::Id => &self.id,
            Use::Access => &self.access,
        }
    }
}

impl SigningKey {
    fn generate() -> Result<Self, Internal> {
        let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| Internal::Signing)?;
        let kid = key_id(key.public_key().as_ref());
        Ok(Self { kid, key })
    }

    fn public(&self) -> Value {
        let public_key = self.key.public_key();
        json!({
            "alg": "RS256",
            "e": URL_SAFE_NO_PAD.encode(public_key.exponent().big_endian_without_leading_zero()),
            "kid": self.kid,
            "kty": "RSA",
            "n": URL_SAFE_NO_PAD.encode(public_key.modulus().big_endian_without_leading_zero()),
            "use": "sig",
        })
    }
}

/// A key id as a user pool writes it, in base64. Each one holds `/`, `+` and `=`, which a pool's do now and then: who
/// puts a `kid` into a path or a query unescaped learns it on the first day.
fn key_id(public_key: &[u8]) -> String {
    let mut kid = STANDARD.encode(digest(&SHA256, public_key));
    kid.replace_range(5..6, "/");
    kid.replace_range(11..12, "+");
    kid
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::{Pair, SigningKeys, Use, key_id};
    use crate::clock::UnixTime;
    use crate::secret::test_entropy;

    #[test]
    fn a_key_id_needs_escaping() {
        let kid = key_id(b"some key");
        assert_eq!(kid.len(), 44);
        assert!(kid.contains('/') && kid.contains('+') && kid.ends_with('='), "{kid}");
    }

    #[test]
    fn a_token_verifies_until_its_key_is_forgotten_and_only_for_its_use() {
        let mut keys = SigningKeys::new(Pair::generate().unwrap(), UnixTime(0));
        let claims = Map::from_iter([("sub".to_owned(), json!("a"))]);
        let token = keys.sign(Use::Access, &claims, &test_entropy()).unwrap();
        assert_eq!(keys.verify(Use::Access, &token), Some(claims));
        assert_eq!(keys.verify(Use::Id, &token), None);
        assert_eq!(keys.verify(Use::Access, &token.replace('.', ".e")), None);

        keys.rotate(Pair::generate().unwrap(), false, UnixTime(1));
        assert!(keys.verify(Use::Access, &token).is_some());
        assert_eq!(keys.json_web_key_set()["keys"].as_array().unwrap().len(), 4);

        keys.rotate(Pair::generate().unwrap(), true, UnixTime(2));
        assert!(keys.verify(Use::Access, &token).is_none());
        assert_eq!(keys.json_web_key_set()["keys"].as_array().unwrap().len(), 2);
    }
}

//! AES-256-GCM under keys that are derived for one purpose each (RFC 5116, RFC 5869).
//!
//! A sealed value is `version ‖ key id ‖ nonce ‖ ciphertext`. The purpose and whatever the value belongs to (cookie
//! name, provider) are associated data: a value moved elsewhere does not open. One failure looks like any other.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::{Entropy, EntropyError, Secret};

/// What a sealed value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Session,
    /// What the browser holds of a session in a store.
    SessionReference,
    /// A session in a store.
    StoredSession,
    LoginState,
    /// Which target group and target a visitor had before.
    Stickiness,
    /// A form that waits for a sign-in.
    KeptForm,
}

impl Purpose {
    const ALL: [Self; 6] = [Self::Session, Self::SessionReference, Self::StoredSession, Self::LoginState, Self::Stickiness, Self::KeptForm];

    fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"vestibule session 1",
            Self::SessionReference => b"vestibule session reference 1",
            Self::StoredSession => b"vestibule stored session 1",
            Self::LoginState => b"vestibule login state 1",
            Self::Stickiness => b"vestibule stickiness 1",
            Self::KeptForm => b"vestibule kept form 1",
        }
    }
}

/// 32 bytes from which everything else is derived.
#[derive(Debug, Clone)]
pub struct SessionKey(Secret<[u8; 32]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionKeyError {
    #[error("the session key is not base64")]
    Encoding,
    #[error("the session key has {0} bytes; 32 are needed")]
    Length(usize),
    #[error("the session key is not random: it repeats a few bytes")]
    Weak,
}

impl SessionKey {
    /// Reads 32 bytes of standard base64.
    pub fn parse(text: &str) -> Result<Self, SessionKeyError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| SessionKeyError::Encoding)?;
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| SessionKeyError::Length(bytes.len()))?;
        let mut distinct = key.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        // 32 random bytes have fewer than 16 distinct values once in 10^12 times.
        if distinct.len() < 16 {
            return Err(SessionKeyError::Weak);
        }
        Ok(Self(Secret::new(key)))
    }

    /// A fresh key, as `vestibule keys session` prints it.
    pub fn generate(entropy: &Entropy) -> Result<String, EntropyError> {
        Ok(STANDARD.encode(entropy.bytes::<32>()?))
    }
}

/// Seals with the first key, opens with any.
#[derive(Debug)]
pub struct Sealer {
    keys: Vec<Derived>,
    entropy: Entropy,
}

#[derive(Debug)]
struct Derived {
    id: [u8; 4],
    by_purpose: [LessSafeKey; Purpose::ALL.len()],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("there is no key to seal with")]
    NoKey,
    #[error("the random source failed")]
    Entropy,
    #[error("the value does not open")]
    Refused,
}

impl From<EntropyError> for SealError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}

impl Sealer {
    pub fn new(keys: &[SessionKey], entropy: Entropy) -> Result<Self, SealError> {
        let keys = keys.iter().map(Derived::from).collect::<Result<_, _>>()?;
        Ok(Self { keys, entropy })
    }

    /// `context` is what the value belongs to; the same pieces must be given to `open`.
    pub fn seal(&self, purpose: Purpose, context: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.keys.first().ok_or(SealError::NoKey)?;
        let nonce: [u8; NONCE_LEN] = self.entropy.bytes()?;
        let mut body = plain.to_vec();
        let aad = Aad::from(associated_data(purpose, context));
        let tag = key
            .of(purpose)
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_| SealError::NoKey)?;
        Ok([&[VERSION], key.id.as_slice(), &nonce, &body, tag.as_ref()].concat())
    }

    /// Whether the key that has sealed this is not the first any more.
    #[must_use]
    pub fn is_former(&self, sealed: &[u8]) -> bool {
        let first = self.keys.first().map(|key| key.id.as_slice());
        first.is_some() && sealed.get(1..5) != first
    }

    /// Opens in place: the value is on the path of every request.
    pub fn open(&self, purpose: Purpose, context: &[&[u8]], mut sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        let (&[version, ref id @ ..], rest) = sealed.split_first_chunk::<5>().ok_or(SealError::Refused)?;
        let nonce = *rest.first_chunk::<NONCE_LEN>().ok_or(SealError::Refused)?;
        if version != VERSION {
            return Err(SealError::Refused);
        }
        let key = self.keys.iter().find(|key| key.id == *id).ok_or(SealError::Refused)?;
        let aad = Aad::from(associated_data(purpose, context));
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = key.of(purpose).open_within(nonce, aad, &mut sealed, 5 + NONCE_LEN..).map_err(|_| SealError::Refused)?.len();
        sealed.truncate(length);
        Ok(sealed)
    }
}

impl Derived {
    fn from(key: &SessionKey) -> Result<Self, SealError> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestibule").extract(key.0.expose());
        let mut id = [0; 4];
        expand(&secret, b"vestibule key id", &mut id)?;
        let purpose_key = |purpose: Purpose| {
            let mut bytes = zeroize::Zeroizing::new([0; 32]);
            expand(&secret, purpose.label(), &mut *bytes)?;
            UnboundKey::new(&AES_256_GCM, &*bytes).map(LessSafeKey::new).map_err(|_| SealError::NoKey)
        };
        let [session, reference, stored, login, stickiness, form] = Purpose::ALL.map(purpose_key);
        Ok(Self { id, by_purpose: [session?, reference?, stored?, login?, stickiness?, form?] })
    }

    fn of(&self, purpose: Purpose) -> &LessSafeKey {
        match purpose {
            Purpose::Session => &self.by_purpose[0],
            Purpose::SessionReference => &self.by_purpose[1],
            Purpose::StoredSession => &self.by_purpose[2],
            Purpose::LoginState => &self.by_purpose[3],
            Purpose::Stickiness => &self.by_purpose[4],
            Purpose::KeptForm => &self.by_purpose[5],
        }
    }
}

fn expand(secret: &hkdf::Prk, label: &[u8], out: &mut [u8]) -> Result<(), SealError> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    secret.expand(&[label], Length(out.len())).and_then(|okm| okm.fill(out)).map_err(|_| SealError::NoKey)
}

/// Each piece with its length in front, so that no two lists of pieces read alike.
fn associated_data(purpose: Purpose, context: &[&[u8]]) -> Vec<u8> {
    let mut data = purpose.label().to_vec();
    for piece in context {
        data.extend_from_slice(&(piece.len() as u64).to_le_bytes());
        data.extend_from_slice(piece);
    }
    data
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::test_entropy;

    fn key(entropy: &Entropy) -> SessionKey {
        SessionKey::parse(&SessionKey::generate(entropy).unwrap()).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_only_where_it_belongs_and_only_whole() {
        let entropy = test_entropy();
        let sealer = Sealer::new(&[key(&entropy)], entropy).unwrap();
        let sealed = sealer.seal(Purpose::Session, &[b"cookie", b"op"], b"hello").unwrap();
        assert_eq!(sealer.open(Purpose::Session, &[b"cookie", b"op"], sealed.clone()).unwrap(), b"hello");
        for (purpose, context) in [
            (Purpose::LoginState, [&b"cookie"[..], b"op"]),
            (Purpose::Session, [b"cookieo", b"p"]),
            (Purpose::Session, [b"cookie", b"other"]),
        ] {
            assert_eq!(sealer.open(purpose, &context, sealed.clone()), Err(SealError::Refused));
        }
        for at in 0..sealed.len() {
            let mut tampered = sealed.clone();
            tampered[at] ^= 1;
            assert!(sealer.open(Purpose::Session, &[b"cookie", b"op"], tampered).is_err(), "byte {at}");
            assert!(sealer.open(Purpose::Session, &[b"cookie", b"op"], sealed[..at].to_vec()).is_err(), "length {at}");
        }
    }

    #[test]
    fn an_old_key_opens_and_the_first_key_seals() {
        let entropy = test_entropy();
        let (old, new) = (key(&entropy), key(&entropy));
        let before = Sealer::new(std::slice::from_ref(&old), entropy.clone()).unwrap();
        let after = Sealer::new(&[new, old], entropy).unwrap();
        let sealed = before.seal(Purpose::Session, &[], b"x").unwrap();
        assert!(after.open(Purpose::Session, &[], sealed).is_ok());
        let sealed = after.seal(Purpose::Session, &[], b"x").unwrap();
        assert!(before.open(Purpose::Session, &[], sealed).is_err());
    }

    #[test]
    fn weak_keys_are_refused() {
        assert!(matches!(SessionKey::parse("changeme!"), Err(SessionKeyError::Encoding)));
        assert!(matches!(SessionKey::parse("AAAA"), Err(SessionKeyError::Length(3))));
        assert!(matches!(SessionKey::parse(&STANDARD.encode([7; 32])), Err(SessionKeyError::Weak)));
    }
}

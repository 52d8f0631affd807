//! AES-256-GCM under keys that are derived for one purpose each (RFC 5116, RFC 5869).
//!
//! A sealed value is `version ‖ key id ‖ salt ‖ nonce ‖ ciphertext`. The purpose and whatever the value belongs to (cookie
//! name, provider) are associated data: a value moved elsewhere does not open. One failure looks like any other.
//!
//! Whoever asks for pages without end has a value sealed for each of them, and a nonce of 96 random bits must not come twice under one
//! key. So each process seals under a key of its own, derived with a random salt, and takes another one long before that could happen
//! (NIST SP 800-38D §8.3; docs/decisions/0008).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

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
    /// How many values are sealed under one derived key.
    bound: u64,
}

/// Everything that one session key gives.
#[derive(Debug)]
struct Derived {
    id: [u8; 4],
    secret: hkdf::Prk,
    by_purpose: [Keys; Purpose::ALL.len()],
}

/// Of one purpose.
#[derive(Debug)]
struct Keys {
    sealing: ArcSwapOption<Sealing>,
    /// Of other processes, and of this one before. Found by the salt of a value that has opened.
    opening: Cache<Salt, Arc<LessSafeKey>>,
}

#[derive(Debug)]
struct Sealing {
    salt: Salt,
    key: LessSafeKey,
    seals: AtomicU64,
}

type Salt = [u8; SALT_LEN];

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
        Self::bounded(keys, entropy, SEALS_PER_KEY)
    }

    fn bounded(keys: &[SessionKey], entropy: Entropy, bound: u64) -> Result<Self, SealError> {
        let keys = keys.iter().map(Derived::from).collect::<Result<_, _>>()?;
        Ok(Self { keys, entropy, bound })
    }

    /// `context` is what the value belongs to; the same pieces must be given to `open`.
    pub fn seal(&self, purpose: Purpose, context: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.keys.first().ok_or(SealError::NoKey)?;
        let sealing = key.sealing(purpose, self.bound, &self.entropy)?;
        let nonce: [u8; NONCE_LEN] = self.entropy.bytes()?;
        let mut body = plain.to_vec();
        let aad = Aad::from(associated_data(purpose, context));
        let tag =
            sealing.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body).map_err(|_| SealError::NoKey)?;
        Ok([&[VERSION], key.id.as_slice(), &sealing.salt, &nonce, &body, tag.as_ref()].concat())
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
        let (&salt, rest) = rest.split_first_chunk::<SALT_LEN>().ok_or(SealError::Refused)?;
        let nonce = Nonce::assume_unique_for_key(*rest.first_chunk::<NONCE_LEN>().ok_or(SealError::Refused)?);
        if version != VERSION {
            return Err(SealError::Refused);
        }
        let derived = self.keys.iter().find(|key| key.id == *id).ok_or(SealError::Refused)?;
        let keys = derived.of(purpose);
        let aad = Aad::from(associated_data(purpose, context));
        let sealing = keys.sealing.load();
        let length = match sealing.as_ref().filter(|own| own.salt == salt) {
            Some(own) => opened(&own.key, nonce, aad, &mut sealed)?,
            None => {
                let known = keys.opening.get(&salt);
                let is_new = known.is_none();
                let key = known.map_or_else(|| derived.key(purpose, &salt).map(Arc::new), Ok)?;
                let length = opened(&key, nonce, aad, &mut sealed)?;
                // Not before: whoever invents salts does not push out those that are in use.
                if is_new {
                    keys.opening.insert(salt, key);
                }
                length
            }
        };
        sealed.truncate(length);
        Ok(sealed)
    }
}

fn opened(key: &LessSafeKey, nonce: Nonce, aad: Aad<Vec<u8>>, sealed: &mut [u8]) -> Result<usize, SealError> {
    let plain = key.open_within(nonce, aad, sealed, 5 + SALT_LEN + NONCE_LEN..).map_err(|_| SealError::Refused)?;
    Ok(plain.len())
}

impl Derived {
    fn from(key: &SessionKey) -> Result<Self, SealError> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestibule").extract(key.0.expose());
        let mut id = [0; 4];
        expand(&secret, &[b"vestibule key id"], &mut id)?;
        Ok(Self { id, secret, by_purpose: Purpose::ALL.map(|_| Keys::new()) })
    }

    fn of(&self, purpose: Purpose) -> &Keys {
        &self.by_purpose[purpose as usize]
    }

    fn key(&self, purpose: Purpose, salt: &Salt) -> Result<LessSafeKey, SealError> {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        expand(&self.secret, &[purpose.label(), salt], &mut *bytes)?;
        UnboundKey::new(&AES_256_GCM, &*bytes).map(LessSafeKey::new).map_err(|_| SealError::NoKey)
    }

    /// That of now, for one more value.
    fn sealing(&self, purpose: Purpose, bound: u64, entropy: &Entropy) -> Result<Arc<Sealing>, SealError> {
        let keys = self.of(purpose);
        let now = keys.sealing.load_full();
        if let Some(now) = &now
            && now.seals.fetch_add(1, Ordering::Relaxed) < bound
        {
            return Ok(now.clone());
        }
        let salt = entropy.bytes()?;
        let next = Arc::new(Sealing { salt, key: self.key(purpose, &salt)?, seals: AtomicU64::new(1) });
        // Where two were as fast as each other, both keys are good; one of them has sealed a single value.
        keys.sealing.store(Some(next.clone()));
        Ok(next)
    }
}

impl Keys {
    fn new() -> Self {
        let opening = Cache::builder().max_capacity(MOST_SALTS).eviction_policy(EvictionPolicy::lru()).build();
        Self { sealing: ArcSwapOption::empty(), opening }
    }
}

fn expand(secret: &hkdf::Prk, info: &[&[u8]], out: &mut [u8]) -> Result<(), SealError> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    secret.expand(info, Length(out.len())).and_then(|okm| okm.fill(out)).map_err(|_| SealError::NoKey)
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

const VERSION: u8 = 2;
const SALT_LEN: usize = 12;
/// The chance that a nonce comes twice stays below 2^-41 for each key, and the standard asks for 2^-32.
const SEALS_PER_KEY: u64 = 1 << 28;
/// Processes and their restarts of a week, and more.
const MOST_SALTS: u64 = 4096;

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

    fn salt(sealed: &[u8]) -> Salt {
        *sealed[5..].first_chunk().unwrap()
    }

    #[test]
    fn no_key_seals_more_than_its_bound_and_all_that_was_sealed_opens() {
        let entropy = test_entropy();
        let key = key(&entropy);
        let sealer = Sealer::bounded(std::slice::from_ref(&key), entropy.clone(), 4).unwrap();
        let seal = |purpose| sealer.seal(purpose, &[b"op"], b"hello").unwrap();
        let sealed: Vec<Vec<u8>> = (0..20).map(|_| seal(Purpose::Session)).collect();
        let salts: Vec<Salt> = sealed.iter().map(|sealed| salt(sealed)).collect();
        for salt in &salts {
            assert!(salts.iter().filter(|other| *other == salt).count() <= 4, "one key has sealed too many");
        }
        assert_eq!(salt(&seal(Purpose::LoginState)), salt(&seal(Purpose::LoginState)), "another one for each value");
        // Another process, or the same after a restart.
        let other = Sealer::new(&[key], entropy).unwrap();
        for value in sealed {
            assert!(!salts.contains(&salt(&other.seal(Purpose::Session, &[b"op"], b"").unwrap())), "two processes have one key");
            for sealer in [&sealer, &other] {
                assert_eq!(sealer.open(Purpose::Session, &[b"op"], value.clone()).unwrap(), b"hello");
                assert_eq!(sealer.open(Purpose::LoginState, &[b"op"], value.clone()), Err(SealError::Refused));
            }
        }
    }

    #[test]
    fn invented_salts_take_no_place() {
        let entropy = test_entropy();
        let sealer = Sealer::new(&[key(&entropy)], entropy.clone()).unwrap();
        let sealed = sealer.seal(Purpose::Session, &[], b"x").unwrap();
        for _ in 0..100 {
            let mut forged = sealed.clone();
            forged[5..5 + SALT_LEN].copy_from_slice(&entropy.bytes::<SALT_LEN>().unwrap());
            assert_eq!(sealer.open(Purpose::Session, &[], forged), Err(SealError::Refused));
        }
        let opening = &sealer.keys[0].of(Purpose::Session).opening;
        opening.run_pending_tasks();
        assert_eq!(opening.entry_count(), 0);
    }

    #[test]
    fn weak_keys_are_refused() {
        assert!(matches!(SessionKey::parse("changeme!"), Err(SessionKeyError::Encoding)));
        assert!(matches!(SessionKey::parse("AAAA"), Err(SessionKeyError::Length(3))));
        assert!(matches!(SessionKey::parse(&STANDARD.encode([7; 32])), Err(SessionKeyError::Weak)));
    }
}

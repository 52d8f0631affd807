//! Tickets with which a client comes back without a full handshake.
//!
//! Without configured keys they are rustls' own: AES-256 with an HMAC (RFC 5077), keys that never leave the process and are replaced every
//! six hours. With configured ones, which several gateways and the next process have too: AES-256-GCM-SIV, which survives that two of them
//! ever draw the same nonce, under a key that is derived from the file's bytes.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use rustls::server::ProducesTickets;

use crate::clock::{Clock, UnixTime};
use crate::secret::{Entropy, Secret};

/// Tickets under keys that somebody has handed out. The first one seals, all open.
pub(super) struct SharedTickets {
    keys: Vec<Key>,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
}

struct Key {
    /// In front of a ticket, so that its key is found.
    name: [u8; NAME],
    sealing: LessSafeKey,
}

impl SharedTickets {
    /// `None`: one of the keys is too short.
    pub(super) fn new(files: &[Secret<Vec<u8>>], clock: Arc<dyn Clock>, entropy: Entropy) -> Option<Self> {
        let keys = files.iter().map(|bytes| Key::new(bytes.expose())).collect::<Option<Vec<_>>>()?;
        Some(Self { keys, clock, entropy })
    }
}

impl Key {
    /// The first 16 bytes are the name, as nginx has it; all others count for the key.
    fn new(file: &[u8]) -> Option<Self> {
        let (name, secret) = file.split_first_chunk()?;
        let secret = Salt::new(HKDF_SHA256, b"vestibule session tickets").extract(secret);
        let derived = secret.expand(&[b"AES-256-GCM-SIV"], &AES_256_GCM_SIV).ok()?;
        Some(Self { name: *name, sealing: LessSafeKey::new(UnboundKey::from(derived)) })
    }
}

impl ProducesTickets for SharedTickets {
    fn enabled(&self) -> bool {
        !self.keys.is_empty()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.first()?;
        let nonce: [u8; NONCE_LEN] = self.entropy.bytes().ok()?;
        let mut sealed = self.clock.now().0.to_be_bytes().to_vec();
        sealed.extend_from_slice(plain);
        key.sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(key.name), &mut sealed).ok()?;
        Some([&key.name[..], &nonce, &sealed].concat())
    }

    /// Keys stay as long as the operator keeps them; a ticket is good for its lifetime and no longer.
    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let key = self.keys.iter().find(|key| key.name == *name)?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.sealing.open_in_place(nonce, Aad::from(key.name), &mut opened).ok()?;
        let (made_at, plain) = opened.split_first_chunk()?;
        let age = self.clock.now().since(UnixTime(u64::from_be_bytes(*made_at)));
        (age.as_secs() < u64::from(LIFETIME)).then(|| plain.to_vec())
    }
}

impl fmt::Debug for SharedTickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SharedTickets({} keys)", self.keys.len())
    }
}

const NAME: usize = 16;
/// Twelve hours, as rustls' own tickets have it.
const LIFETIME: u32 = 12 * 60 * 60;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::secret::test_entropy;

    #[derive(Default)]
    struct Hands(AtomicU64);

    impl Clock for Hands {
        fn now(&self) -> UnixTime {
            UnixTime(self.0.load(Ordering::Relaxed))
        }
    }

    fn tickets(files: &[u8], clock: &Arc<Hands>) -> SharedTickets {
        let files: Vec<_> = files.iter().map(|byte| Secret::new(vec![*byte; 48])).collect();
        SharedTickets::new(&files, clock.clone(), test_entropy()).unwrap()
    }

    #[test]
    fn a_ticket_opens_where_its_key_is_and_only_whole() {
        let clock = Arc::<Hands>::default();
        let (old, both, new) = (tickets(&[1], &clock), tickets(&[2, 1], &clock), tickets(&[2], &clock));
        let ticket = old.encrypt(b"a session").unwrap();
        assert_eq!(both.decrypt(&ticket).as_deref(), Some(&b"a session"[..]));
        assert_eq!(new.decrypt(&ticket), None);
        assert_eq!(new.decrypt(&both.encrypt(b"another").unwrap()).as_deref(), Some(&b"another"[..]), "the first one seals");
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(old.decrypt(&changed), None, "byte {at}");
            assert_eq!(old.decrypt(&ticket[..at]), None, "{at} bytes");
        }
        assert_ne!(old.encrypt(b"a session").unwrap(), ticket);
    }

    #[test]
    fn a_ticket_is_good_for_its_lifetime() {
        let clock = Arc::<Hands>::default();
        let tickets = tickets(&[1], &clock);
        let ticket = tickets.encrypt(b"a session").unwrap();
        clock.0.store(u64::from(LIFETIME) - 1, Ordering::Relaxed);
        assert!(tickets.decrypt(&ticket).is_some());
        clock.0.store(u64::from(LIFETIME), Ordering::Relaxed);
        assert_eq!(tickets.decrypt(&ticket), None);
    }
}

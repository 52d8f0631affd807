//! What an authority is shown: answers over plain HTTP, and certificates in handshakes (RFC 8737).
//!
//! It may come to another gateway than the one that orders. So each proof also lies in the folder that they share, as long as it is shown,
//! and whoever is asked for one that they do not know looks there.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::sign::CertifiedKey;

use super::cache::{Cache, Place};
use crate::gateway::HttpChallenges;

/// Those of a process, whoever orders and whichever listener is asked.
#[derive(Debug, Clone, Default)]
pub struct Challenges {
    http: HttpChallenges,
    tls: Arc<RwLock<HashMap<String, Arc<CertifiedKey>>>>,
    /// Where others put theirs.
    shared: Arc<RwLock<Vec<Folder>>>,
    looks: Looks,
}

/// How often the folders were looked into in this second: an authority asks a few times, and anybody else is not to keep the disk busy.
#[derive(Debug, Clone, Default)]
struct Looks(Arc<Mutex<Option<(Instant, u32)>>>);

impl Looks {
    fn may_look(&self) -> bool {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = looks.filter(|(since, _)| since.elapsed() < Duration::from_secs(1)).unwrap_or_else(|| (Instant::now(), 0));
        *looks = Some((since, count + 1));
        count < LOOKS_A_SECOND
    }
}

/// One that others share, and the names that their proofs may be for.
type Folder = (Cache, BTreeSet<String>);

impl Challenges {
    #[must_use]
    pub fn new(http: HttpChallenges) -> Self {
        let challenges = Self { http, ..Self::default() };
        let (shared, looks) = (challenges.shared.clone(), challenges.looks.clone());
        challenges.http.ask_others(move |token| {
            if !looks.may_look() {
                return None;
            }
            let shared = shared.read().unwrap_or_else(PoisonError::into_inner);
            shared.iter().find_map(|(cache, _)| cache.proof(Place::Http, token))
        });
        challenges
    }

    /// What is shown for a name, in a handshake that speaks `acme-tls/1` and nothing else.
    #[must_use]
    pub fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let own = self.tls.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        own.or_else(|| {
            if !self.looks.may_look() {
                return None;
            }
            let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
            let theirs =
                shared.iter().filter(|(_, names)| names.contains(name)).find_map(|(cache, _)| cache.proof(Place::Handshake, name))?;
            proof(name, &theirs).ok().map(Arc::new)
        })
    }

    pub(super) fn share(&self, cache: &Cache, names: &[String]) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let entry = (cache.clone(), names.iter().cloned().collect());
        if !shared.contains(&entry) {
            shared.push(entry);
        }
    }

    /// Shown until what is returned is dropped.
    pub(super) fn show_in_handshakes(&self, domain: &str, key_authorization: &str, cache: &Cache) -> Result<Shown, rcgen::Error> {
        let certificate = Arc::new(proof(domain, key_authorization)?);
        self.tls.write().unwrap_or_else(PoisonError::into_inner).insert(domain.to_owned(), certificate);
        Ok(Shown::new(self, Place::Handshake, domain, key_authorization, cache))
    }

    pub(super) fn show_over_http(&self, token: &str, key_authorization: &str, cache: &Cache) -> Shown {
        self.http.put(token, key_authorization);
        Shown::new(self, Place::Http, token, key_authorization, cache)
    }
}

/// Something that is shown. Dropped: not any more.
pub(super) struct Shown {
    challenges: Challenges,
    place: Place,
    /// Token or domain.
    name: String,
    cache: Cache,
}

impl Shown {
    fn new(challenges: &Challenges, place: Place, name: &str, key_authorization: &str, cache: &Cache) -> Self {
        // Where it cannot be put, the authority may still come to this gateway.
        let _ = cache.keep_proof(place, name, key_authorization);
        Self { challenges: challenges.clone(), place, name: name.to_owned(), cache: cache.clone() }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.cache.forget_proof(self.place, &self.name);
        match self.place {
            Place::Http => self.challenges.http.remove(&self.name),
            Place::Handshake => {
                self.challenges.tls.write().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
            }
        }
    }
}

/// Self-signed, for this name alone, with the digest of the key authorization in a critical extension (RFC 8737 §3).
fn proof(domain: &str, key_authorization: &str) -> Result<CertifiedKey, rcgen::Error> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key_authorization.as_bytes());
    let mut params = CertificateParams::new(vec![domain.to_owned()])?;
    params.custom_extensions.push(CustomExtension::new_acme_identifier(digest.as_ref()));
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let private_key = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let signing_key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private_key).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], signing_key))
}

const LOOKS_A_SECOND: u32 = 50;

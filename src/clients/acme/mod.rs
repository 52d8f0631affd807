//! Certificates by ACME: taken from the folder where they are kept, ordered where there is none, renewed before their end.
//!
//! Whoever serves a handshake asks for the current one, so that a new certificate is in use from the next handshake on. What fails leaves
//! what is there as it is, and is tried again, more and more rarely.

mod cache;
mod challenges;
mod connection;
mod order;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use self::cache::{Cache, Turn};
pub use self::challenges::Challenges;
pub use self::connection::ask_directory;
pub use self::order::AcmeError;
use crate::clock::Clock;
use crate::gateway::AcmeOrder;

/// A certificate that is in use.
#[derive(Debug)]
pub struct Obtained {
    pub key: Arc<CertifiedKey>,
    /// Seconds since 1970.
    pub begins_at: i64,
    pub expires_at: i64,
}

/// What has happened, for metrics and the log.
#[derive(Debug)]
pub enum AcmeEvent<'e> {
    /// A certificate is in use from now on. It was ordered just now, or somebody else has put it into the folder.
    InUse {
        name: &'e str,
        expires_at: i64,
        was_ordered: bool,
    },
    Failed {
        name: &'e str,
        error: &'e AcmeError,
        again_in: Duration,
    },
}

pub type AcmeObserver = Arc<dyn Fn(&AcmeEvent<'_>) + Send + Sync>;

/// One certificate, kept fresh.
pub struct AcmeCertificate {
    pub order: AcmeOrder,
    name: String,
    cache: Cache,
    current: ArcSwapOption<Obtained>,
    /// A former certificate, and the names that it is for.
    meanwhile: Option<(Arc<Obtained>, Vec<String>)>,
    /// The file that the current one was read from, as it was.
    pem: Mutex<Option<zeroize::Zeroizing<String>>>,
    failure: Mutex<Option<String>>,
    challenges: Challenges,
    clock: Arc<dyn Clock>,
    observer: AcmeObserver,
}

impl std::fmt::Debug for AcmeCertificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "AcmeCertificate({})", self.name)
    }
}

impl AcmeCertificate {
    /// With what lies in the folder, so that a restart needs no authority.
    #[must_use]
    pub fn new(order: AcmeOrder, challenges: Challenges, clock: Arc<dyn Clock>, observer: AcmeObserver) -> Self {
        let cache = Cache::new(&order);
        challenges.share(&cache, &order.domains);
        let certificate = Self {
            name: order.name(),
            cache,
            order,
            current: ArcSwapOption::empty(),
            meanwhile: None,
            pem: Mutex::default(),
            failure: Mutex::default(),
            challenges,
            clock,
            observer,
        };
        if let Err(error) = certificate.look() {
            certificate.failed(&error, Duration::ZERO);
        }
        certificate
    }

    /// In the place of another, of which the certificate is shown until there is one for what is wanted now.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        let of_before = before.current().map(|obtained| (obtained, before.order.domains.clone()));
        Self { meanwhile: of_before.or_else(|| before.meanwhile.clone()), ..self }
    }

    /// What is wanted. `None`: there is none yet.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Obtained>> {
        self.current.load_full()
    }

    /// What clients get.
    #[must_use]
    pub fn shown(&self) -> Option<Arc<Obtained>> {
        self.current().or_else(|| self.meanwhile.as_ref().map(|(obtained, _)| obtained.clone()))
    }

    /// What clients get who ask for this name; a former certificate only for the names that it was for.
    #[must_use]
    pub fn shown_for(&self, name: &str) -> Option<Arc<Obtained>> {
        let is_in = |domains: &[String]| domains.iter().any(|domain| domain == name);
        if !is_in(&self.order.domains) {
            return None;
        }
        let former = || self.meanwhile.as_ref().filter(|(_, domains)| is_in(domains)).map(|(obtained, _)| obtained.clone());
        self.current().or_else(former)
    }

    /// Where there is no certificate yet: for which names, and why the last attempt failed.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        if self.current.load().is_some() {
            return None;
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let why = failure.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        Some(format!("no certificate yet for {}{why}", self.order.domains.join(", ")))
    }

    /// Until the last user of it has gone.
    pub fn keep_fresh(self: &Arc<Self>) {
        let certificate = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut pace = Pace::default();
            loop {
                let Some(this) = certificate.upgrade() else { return };
                let wait = this.turn(&mut pace).await;
                drop(this);
                sleep(wait).await;
            }
        });
    }

    /// One look at what there is, and an order if it is time. How long until the next.
    async fn turn(self: &Arc<Self>, pace: &mut Pace) -> Duration {
        let outcome = match self.taken(false).await {
            Ok(_) if !self.is_due() => return self.until_due().min(LOOK_EVERY),
            Ok(_) if !pace.remaining().is_zero() => return pace.remaining().min(LOOK_EVERY),
            Ok(_) => self.in_turn().await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(false) => WAIT_FOR_TURN,
            Ok(true) if !self.is_due() => {
                *pace = Pace::default();
                Duration::ZERO
            }
            // Or it would be ordered again, and again.
            Ok(true) => self.put_off(pace, &AcmeError::Failed("what was obtained is about to end: is the clock right?".to_owned())),
            Err(error) => self.put_off(pace, &error),
        }
    }

    fn put_off(&self, pace: &mut Pace, error: &AcmeError) -> Duration {
        let again_in = pace.after(error);
        self.failed(error, again_in);
        again_in.min(LOOK_EVERY)
    }

    /// Orders if nobody else does, and nobody else has just done so. `false`: somebody does.
    async fn in_turn(self: &Arc<Self>) -> Result<bool, AcmeError> {
        let Some(turn) = self.taken(true).await? else { return Ok(false) };
        if !self.is_due() {
            return Ok(true);
        }
        let ordered = timeout(AN_ORDER, order::obtain(&self.order, &self.cache, &self.challenges)).await;
        let pem = ordered.map_err(|_| AcmeError::Failed("the order did not come to an end in time".to_owned()))??;
        let this = self.clone();
        let kept = spawn_blocking(move || {
            let pem = zeroize::Zeroizing::new(pem);
            this.take(&pem, true)?;
            this.cache.keep_certificate(&pem)?;
            drop(turn);
            Ok::<(), AcmeError>(())
        });
        kept.await.map_err(|error| AcmeError::Failed(error.to_string()))?.map(|()| true)
    }

    /// Takes what lies in the folder; with `wants_turn`, after everybody else.
    async fn taken(self: &Arc<Self>, wants_turn: bool) -> Result<Option<Turn>, AcmeError> {
        let this = self.clone();
        let looked = spawn_blocking(move || {
            let turn = if wants_turn { this.cache.turn()? } else { None };
            this.look()?;
            Ok(turn)
        });
        looked.await.map_err(|error| AcmeError::Failed(error.to_string()))?
    }

    fn look(&self) -> Result<(), AcmeError> {
        if let Some(pem) = self.cache.certificate()?.map(zeroize::Zeroizing::new) {
            // What cannot be used is as good as nothing: the next order writes over it.
            let _ = self.take(&pem, false);
        }
        Ok(())
    }

    /// Uses it unless it is used already, or was made before the one that is.
    fn take(&self, pem: &zeroize::Zeroizing<String>, was_ordered: bool) -> Result<(), AcmeError> {
        let mut known = self.pem.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() == Some(pem) {
            return Ok(());
        }
        let obtained = read(pem).map_err(AcmeError::Failed)?;
        if self.current().is_some_and(|current| current.begins_at > obtained.begins_at) {
            return Ok(());
        }
        *known = Some(pem.clone());
        drop(known);
        let expires_at = obtained.expires_at;
        self.current.store(Some(Arc::new(obtained)));
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        (self.observer)(&AcmeEvent::InUse { name: &self.name, expires_at, was_ordered });
        Ok(())
    }

    fn failed(&self, error: &AcmeError, again_in: Duration) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        (self.observer)(&AcmeEvent::Failed { name: &self.name, error, again_in });
    }

    fn is_due(&self) -> bool {
        self.until_due().is_zero()
    }

    /// Two thirds of the lifetime: a third is left for an authority that does not answer.
    fn until_due(&self) -> Duration {
        let Some(current) = self.current() else { return Duration::ZERO };
        let due = current.begins_at + (current.expires_at - current.begins_at) / 3 * 2;
        let now = i64::try_from(self.clock.now().0).unwrap_or(i64::MAX);
        Duration::from_secs(u64::try_from(due - now).unwrap_or(0))
    }
}

/// When it may be tried again.
#[derive(Default)]
struct Pace {
    failures: u32,
    not_before: Option<Instant>,
}

impl Pace {
    fn remaining(&self) -> Duration {
        self.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }

    /// An authority that has refused counts refusals, and soon does not listen any more (Let's Encrypt: five an hour for a name).
    fn after(&mut self, error: &AcmeError) -> Duration {
        let (first, last) = match error {
            AcmeError::Unreachable(_) | AcmeError::Cache(_) => (Duration::from_secs(2), Duration::from_secs(5 * 60)),
            AcmeError::Refused { .. } | AcmeError::NotOffered(..) | AcmeError::Failed(_) => {
                (Duration::from_secs(60), Duration::from_secs(60 * 60))
            }
        };
        let wait = first.saturating_mul(1 << self.failures.min(16)).min(last);
        self.failures += 1;
        self.not_before = Some(Instant::now() + wait);
        wait
    }
}

fn read(pem: &str) -> Result<Obtained, String> {
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = chain.map_err(|error| error.to_string())?;
    let leaf = chain.first().ok_or("there is no certificate in what was obtained")?;
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| error.to_string())?;
    let (begins_at, expires_at) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|error| error.to_string())?;
    let key = CertifiedKey::new(chain, key);
    key.keys_match().map_err(|error| error.to_string())?;
    Ok(Obtained { key: Arc::new(key), begins_at, expires_at })
}

/// Another gateway may have put a new one into the folder.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const WAIT_FOR_TURN: Duration = Duration::from_secs(2);
const AN_ORDER: Duration = Duration::from_secs(5 * 60);

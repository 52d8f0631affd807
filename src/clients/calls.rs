//! HTTPS to providers: within time and size limits, following no redirect, and seen by an observer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::circuit::Circuit;
use crate::authentication::ProviderClientError;
use crate::provider::{CallError, Endpoint, ProviderAnswer, ProviderCall};
use crate::tokens::{KeySet, KeySetError};

/// What happened on the way to a provider, for metrics and the log.
#[derive(Debug, Clone)]
pub struct ProviderEvent {
    pub provider: Arc<str>,
    pub endpoint: Endpoint,
    pub duration: Duration,
    /// `Err` with words for the operator.
    pub result: Result<u16, String>,
}

pub type Observer = Arc<dyn Fn(&ProviderEvent) + Send + Sync>;

/// The connections to one provider.
pub(super) struct Calls {
    /// As the configuration calls it.
    name: Arc<str>,
    http: reqwest::Client,
    observer: Observer,
    /// Whoever sends tokens that nobody knows has the provider asked about each: not by all of them at once.
    introspections: Semaphore,
    /// Sign-ins that wait for the token endpoint or user info: those who are signed in already do not wait with them (threat I16).
    sign_ins: Semaphore,
    circuit: Circuit,
    /// Calls that nobody waits for.
    background: Arc<Semaphore>,
    /// When a pushed authorization request has last failed for want of an answer.
    pushing_failed: Mutex<Option<Instant>>,
}

impl Calls {
    /// Follows no redirect (a code or a secret would go along, threat I04), uses no proxy of the environment.
    pub(super) fn new(name: Arc<str>, tls: rustls::ClientConfig, observer: Observer) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("vestibule/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            name,
            http,
            observer,
            introspections: Semaphore::new(INTROSPECTIONS),
            sign_ins: Semaphore::new(SIGN_INS),
            circuit: Circuit::default(),
            background: Arc::new(Semaphore::new(BACKGROUND)),
            pushing_failed: Mutex::default(),
        })
    }

    pub(super) async fn call(&self, call: ProviderCall) -> Result<ProviderAnswer, CallError> {
        let started = Instant::now();
        let endpoint = call.endpoint;
        let result = match endpoint {
            Endpoint::Introspection => self.in_turn(&self.introspections, call).await,
            Endpoint::PushedAuthorization => self.push(call).await,
            Endpoint::Token | Endpoint::UserInfo => self.for_a_person(call).await,
            Endpoint::Discovery | Endpoint::Keys | Endpoint::Revocation => self.exchange(call).await,
        };
        let outcome = result.as_ref().map(|answer| answer.status).map_err(ToString::to_string);
        (self.observer)(&ProviderEvent { provider: self.name.clone(), endpoint, duration: started.elapsed(), result: outcome });
        result
    }

    /// A provider that has stopped answering must not collect what everybody who signs out leaves behind.
    pub(super) fn call_later(self: &Arc<Self>, call: ProviderCall) {
        let calls = self.clone();
        match self.background.clone().try_acquire_owned() {
            Ok(turn) => drop(tokio::spawn(async move {
                let _turn = turn;
                // What becomes of it is the observer's to tell.
                let _ = calls.call(call).await;
            })),
            Err(_) => (self.observer)(&ProviderEvent {
                provider: self.name.clone(),
                endpoint: call.endpoint,
                duration: Duration::ZERO,
                result: Err(format!("left out: {BACKGROUND} others wait for an answer")),
            }),
        }
    }

    /// Whoever does not get a turn in time is told so as if the provider had not answered: it has not answered the others.
    async fn in_turn(&self, turns: &Semaphore, call: ProviderCall) -> Result<ProviderAnswer, CallError> {
        let turn = async {
            let _turn = turns.acquire().await.map_err(|_| CallError::Timeout)?;
            self.exchange(call).await
        };
        timeout(CALL_TIMEOUT, turn).await.unwrap_or(Err(CallError::Timeout))
    }

    /// A provider that does not answer is left alone for a moment, and nobody waits for it meanwhile.
    async fn for_a_person(&self, call: ProviderCall) -> Result<ProviderAnswer, CallError> {
        let attempt = self.circuit.attempt(Instant::now())?;
        let result = if call.is_refresh { self.exchange(call).await } else { self.in_turn(&self.sign_ins, call).await };
        attempt.ends(result.as_ref().err(), Instant::now());
        result
    }

    /// Everybody who wants to sign in waits for this, and most could go on without it.
    async fn push(&self, call: ProviderCall) -> Result<ProviderAnswer, CallError> {
        let failed = *self.pushing_failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_some_and(|failed| failed.elapsed() < PUSHING_RESTS) {
            return Err(CallError::CoolingDown("it did not answer".to_owned()));
        }
        let result = timeout(PUSHING_TIMEOUT, self.exchange(call)).await.unwrap_or(Err(CallError::Timeout));
        *self.pushing_failed.lock().unwrap_or_else(PoisonError::into_inner) = result.is_err().then(Instant::now);
        result
    }

    pub(super) async fn get(&self, endpoint: Endpoint, url: &str) -> Result<ProviderAnswer, ProviderClientError> {
        let answer = self.call(ProviderCall { endpoint, url: url.to_owned(), headers: Vec::new(), form: None, is_refresh: false }).await?;
        if answer.is_success() { Ok(answer) } else { Err(ProviderClientError::Status(answer.status)) }
    }

    pub(super) async fn key_set(&self, url: &str) -> Result<KeySet, ProviderClientError> {
        let keys = KeySet::parse(&self.get(Endpoint::Keys, url).await?.body)?;
        // An empty set is no reason to give up keys that verify (threat I11); it is tried again after the cool-down.
        if keys.is_empty() { Err(KeySetError::Form.into()) } else { Ok(keys) }
    }

    async fn exchange(&self, call: ProviderCall) -> Result<ProviderAnswer, CallError> {
        let mut request = match &call.form {
            Some(form) => self.http.post(&call.url).body(form.expose().clone()),
            None => self.http.get(&call.url),
        };
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(failure)?;
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failure)? {
            if body.len() + piece.len() > call.endpoint.max_bytes() {
                return Err(CallError::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        Ok(ProviderAnswer { status, content_type, body })
    }
}

/// The innermost cause, without the URL: its query could be a secret.
fn failure(error: reqwest::Error) -> CallError {
    if error.is_timeout() {
        return CallError::Timeout;
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    CallError::Connection(cause.to_string())
}

/// What is said while a provider is left alone after a failure.
pub(super) fn cooling(error: ProviderClientError) -> ProviderClientError {
    match error {
        ProviderClientError::Call(error @ (CallError::CoolingDown(_) | CallError::Timeout)) => ProviderClientError::Call(error),
        error => ProviderClientError::Call(CallError::CoolingDown(error.to_string())),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const INTROSPECTIONS: usize = 32;
const SIGN_INS: usize = 64;
const BACKGROUND: usize = 64;
const PUSHING_TIMEOUT: Duration = Duration::from_secs(4);
const PUSHING_RESTS: Duration = Duration::from_secs(10);

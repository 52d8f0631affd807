//! A provider over HTTPS: metadata and keys kept fresh, calls with limits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::fetched::{Cause, Fetched};
use crate::authentication::{ProviderClient, ProviderClientError};
use crate::provider::{CallError, Endpoint, Provider, ProviderAnswer, ProviderCall, ProviderMetadata};
use crate::tokens::KeySet;

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

/// Implements the port of `authentication`.
pub struct ProviderConnection {
    inner: Arc<Inner>,
    metadata: Arc<Fetched<ProviderMetadata, ProviderClientError>>,
    keys: Arc<Fetched<KeySet, ProviderClientError>>,
}

struct Inner {
    provider: Arc<Provider>,
    http: reqwest::Client,
    observer: Observer,
}

impl ProviderConnection {
    /// Follows no redirect (a code or a secret would go along, threat I04), uses no proxy of the environment.
    pub fn new(provider: Arc<Provider>, tls: rustls::ClientConfig, observer: Observer) -> Result<Arc<Self>, reqwest::Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("vestibule/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        let connection = Self {
            inner: Arc::new(Inner { provider, http, observer }),
            metadata: Fetched::new(METADATA_COOL_DOWN),
            keys: Fetched::new(KEYS_COOL_DOWN),
        };
        if !connection.inner.provider.needs_discovery()
            && let Ok(metadata) = ProviderMetadata::configured(&connection.inner.provider)
        {
            connection.metadata.put(metadata);
        }
        Ok(Arc::new(connection))
    }

    /// Fetches at once and then keeps metadata and keys fresh until the connection is dropped. A provider that is down at
    /// start is asked again, more and more rarely (threat I02).
    pub fn keep_fresh(self: &Arc<Self>) {
        let connection = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut pause = RETRY_FIRST;
            let mut metadata_due = Instant::now();
            loop {
                let Some(this) = connection.upgrade() else { return };
                let mut sound = true;
                if this.inner.provider.needs_discovery() && metadata_due <= Instant::now() {
                    sound = this.newer_metadata(this.metadata.current().as_ref()).await.is_ok();
                    if sound {
                        metadata_due = Instant::now() + METADATA_FRESH;
                    }
                }
                sound = sound && this.newer_keys_than(this.keys.current().as_ref(), Cause::Due).await.is_ok();
                drop(this);
                if sound {
                    pause = RETRY_FIRST;
                    sleep(KEYS_FRESH).await;
                } else {
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_LAST);
                }
            }
        });
    }

    async fn newer_metadata(&self, known: Option<&Arc<ProviderMetadata>>) -> Result<Arc<ProviderMetadata>, ProviderClientError> {
        let inner = self.inner.clone();
        self.metadata.newer(known, Cause::Due, move || async move { inner.fetch_metadata().await }, cooling).await
    }

    async fn newer_keys_than(&self, known: Option<&Arc<KeySet>>, cause: Cause) -> Result<Arc<KeySet>, ProviderClientError> {
        let inner = self.inner.clone();
        let metadata = self.metadata().await?;
        self.keys.newer(known, cause, move || async move { inner.fetch_keys(&metadata).await }, cooling).await
    }
}

#[async_trait]
impl ProviderClient for ProviderConnection {
    async fn metadata(&self) -> Result<Arc<ProviderMetadata>, ProviderClientError> {
        match self.metadata.current() {
            Some(metadata) => Ok(metadata),
            None => self.newer_metadata(None).await,
        }
    }

    async fn keys(&self) -> Result<Arc<KeySet>, ProviderClientError> {
        match self.keys.current() {
            Some(keys) => Ok(keys),
            None => self.newer_keys_than(None, Cause::Due).await,
        }
    }

    async fn newer_keys(&self, known: &Arc<KeySet>) -> Result<Arc<KeySet>, ProviderClientError> {
        self.newer_keys_than(Some(known), Cause::Visitor).await
    }

    async fn call(&self, call: ProviderCall) -> Result<ProviderAnswer, CallError> {
        self.inner.call(call).await
    }
}

impl Inner {
    async fn fetch_metadata(&self) -> Result<ProviderMetadata, ProviderClientError> {
        let answer = self.get(Endpoint::Discovery, &self.provider.discovery_url).await?;
        Ok(ProviderMetadata::discovered(&self.provider, &answer.body)?)
    }

    async fn fetch_keys(&self, metadata: &ProviderMetadata) -> Result<KeySet, ProviderClientError> {
        let answer = self.get(Endpoint::Keys, &metadata.jwks_uri).await?;
        let keys = KeySet::parse(&answer.body)?;
        // An empty set is no reason to give up keys that verify (threat I11); it is tried again after the cool-down.
        if keys.is_empty() { Err(crate::tokens::KeySetError::Form.into()) } else { Ok(keys) }
    }

    async fn get(&self, endpoint: Endpoint, url: &str) -> Result<ProviderAnswer, ProviderClientError> {
        let answer = self.call(ProviderCall { endpoint, url: url.to_owned(), headers: Vec::new(), form: None }).await?;
        if answer.is_success() { Ok(answer) } else { Err(ProviderClientError::Status(answer.status)) }
    }

    async fn call(&self, call: ProviderCall) -> Result<ProviderAnswer, CallError> {
        let started = Instant::now();
        let endpoint = call.endpoint;
        let result = self.exchange(call).await;
        let outcome = result.as_ref().map(|answer| answer.status).map_err(ToString::to_string);
        (self.observer)(&ProviderEvent { provider: self.provider.name.clone(), endpoint, duration: started.elapsed(), result: outcome });
        result
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

fn cooling(error: ProviderClientError) -> ProviderClientError {
    match error {
        ProviderClientError::Call(error @ (CallError::CoolingDown(_) | CallError::Timeout)) => ProviderClientError::Call(error),
        error => ProviderClientError::Call(CallError::CoolingDown(error.to_string())),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A provider that is down is asked at most this often by people who want to sign in.
const METADATA_COOL_DOWN: Duration = Duration::from_secs(1);
/// An unknown `kid` makes us fetch at most this often: 13 times a minute under a flood of them.
const KEYS_COOL_DOWN: Duration = Duration::from_secs(5);
const METADATA_FRESH: Duration = Duration::from_secs(60 * 60);
/// A key that the provider withdraws is not believed longer than this (threat I09).
const KEYS_FRESH: Duration = Duration::from_secs(5 * 60);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(30);

//! The connections to providers and key sets, and the sessions in memory: made while a configuration is compiled, and kept over a reload
//! where nothing about them has changed.

use std::cell::RefCell;
use std::sync::Arc;

use crate::authentication::{KeySource, ProviderClient, SessionStore};
use crate::clients::{KeyConnection, MemorySessions, Observer, ProviderConnection, RedisSessions, StoreObserver, client_config};
use crate::config::{Connect, ProviderTls};
use crate::provider::Provider;
use crate::secret::{Entropy, Secret};
use crate::session::{EndedSessions, RedisServers};

/// Makes connections while a configuration is compiled, and keeps them for whoever runs it.
pub struct Connector {
    observers: Observers,
    entropy: Entropy,
    /// Of a configuration that runs: what has been fetched from a provider is good for the next one too.
    before: Connections,
    ended: Option<EndedSessions>,
    made: RefCell<Connections>,
}

/// Told of what goes over the connections.
#[derive(Clone)]
pub struct Observers {
    pub providers: Observer,
    pub session_store: StoreObserver,
}

impl Observers {
    /// For connections that are never used.
    #[must_use]
    pub fn none() -> Self {
        Self { providers: Arc::new(|_| ()), session_store: Arc::new(|_| ()) }
    }
}

/// To everything that signs tokens which count here, and to the sessions.
#[derive(Default, Clone)]
pub struct Connections {
    pub providers: Vec<(Arc<Provider>, Arc<ProviderConnection>)>,
    /// By issuer.
    pub key_sets: Vec<(Arc<str>, Arc<KeyConnection>)>,
    /// Where they are kept in this process.
    sessions: Option<Arc<MemorySessions>>,
    /// Where a fleet shares them.
    shared_sessions: Option<Arc<RedisSessions>>,
    /// What each provider is believed by and shown, and URL and authorities of each key set, in the same order.
    shown: Vec<Shown>,
    asked: Vec<(String, Option<Vec<u8>>)>,
}

/// The authorities that are believed, and the certificate that is shown.
#[derive(Clone)]
struct Shown(Option<Vec<u8>>, Option<Secret<Vec<u8>>>);

impl From<ProviderTls<'_>> for Shown {
    fn from(tls: ProviderTls<'_>) -> Self {
        Self(tls.authorities.map(<[u8]>::to_vec), tls.client_certificate.map(|certificate| certificate.pem.clone()))
    }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 && self.1.as_ref().map(Secret::expose) == other.1.as_ref().map(Secret::expose)
    }
}

impl Connector {
    pub fn new(observers: Observers, entropy: &Entropy) -> Self {
        Self { observers, entropy: entropy.clone(), before: Connections::default(), ended: None, made: RefCell::default() }
    }

    /// For a gateway that takes the place of another, with its connections and endings.
    pub(super) fn after(self, before: Connections, ended: EndedSessions) -> Self {
        Self { before, ended: Some(ended), ..self }
    }

    pub fn into_connections(self) -> Connections {
        self.made.into_inner()
    }
}

impl Connect for Connector {
    fn provider(&self, provider: &Arc<Provider>, tls: ProviderTls<'_>) -> Result<Arc<dyn ProviderClient>, String> {
        let shown = Shown::from(tls);
        let mut known = self.before.providers.iter().zip(&self.before.shown);
        let known = known.find(|((known, _), before)| known.is_asked_like(provider) && **before == shown);
        let connection = match known {
            Some(((_, connection), _)) => connection.clone(),
            None => {
                let tls = client_config(tls.authorities, tls.client_certificate).map_err(|error| error.to_string())?;
                ProviderConnection::new(provider.clone(), tls, self.observers.providers.clone()).map_err(|error| error.to_string())?
            }
        };
        let mut made = self.made.borrow_mut();
        made.providers.push((provider.clone(), connection.clone()));
        made.shown.push(shown);
        Ok(connection)
    }

    fn key_set(&self, issuer: &str, url: &str, authorities: Option<&[u8]>) -> Result<Arc<dyn KeySource>, String> {
        let asked = (url.to_owned(), authorities.map(<[u8]>::to_vec));
        let mut known = self.before.key_sets.iter().zip(&self.before.asked);
        let connection = match known.find(|((known, _), before)| **known == *issuer && **before == asked) {
            Some(((_, connection), _)) => connection.clone(),
            None => {
                let tls = client_config(authorities, None).map_err(|error| error.to_string())?;
                KeyConnection::new(issuer, url, tls, self.observers.providers.clone()).map_err(|error| error.to_string())?
            }
        };
        let mut made = self.made.borrow_mut();
        made.key_sets.push((issuer.into(), connection.clone()));
        made.asked.push(asked);
        Ok(connection)
    }

    fn memory_sessions(&self) -> Arc<dyn SessionStore> {
        let sessions = self.before.sessions.clone().unwrap_or_default();
        self.made.borrow_mut().sessions = Some(sessions.clone());
        sessions
    }

    fn redis_sessions(&self, servers: RedisServers, ended: &EndedSessions) -> Result<Arc<dyn SessionStore>, String> {
        let sessions = match self.before.shared_sessions.as_ref().filter(|known| known.is_at(&servers)) {
            Some(known) => known.clone(),
            None => {
                let ended = self.ended.as_ref().unwrap_or(ended);
                let made = RedisSessions::new(servers, ended.clone(), &self.entropy, self.observers.session_store.clone());
                Arc::new(made.map_err(|error| error.to_string())?)
            }
        };
        self.made.borrow_mut().shared_sessions = Some(sessions.clone());
        Ok(sessions)
    }
}

impl Connections {
    /// Does once what the gateway will do at the shared store; `None` where there is none. What works and what does not, in words.
    pub async fn try_session_store(&self) -> Option<Result<String, String>> {
        let sessions = self.shared_sessions.as_ref()?;
        sessions.start();
        Some(
            sessions
                .try_out()
                .await
                .map(|()| "a session can be written, read, changed and ended".to_owned())
                .map_err(|error| error.to_string()),
        )
    }

    /// Those that are not kept fresh already.
    pub(super) fn keep_fresh(&self, before: &Self) {
        for (_, provider) in &self.providers {
            if !before.providers.iter().any(|(_, known)| Arc::ptr_eq(known, provider)) {
                provider.keep_fresh();
            }
        }
        if let Some(sessions) = &self.shared_sessions {
            sessions.start();
        }
        for (_, key_set) in &self.key_sets {
            if !before.key_sets.iter().any(|(_, known)| Arc::ptr_eq(known, key_set)) {
                key_set.keep_fresh();
            }
        }
    }
}

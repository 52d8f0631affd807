//! SIGHUP, or a file that has changed: the configuration is read again while the gateway serves.
//!
//! Everything is compiled before anything changes, and changes at once: a request is decided by one configuration from its first
//! byte to its last. Connections, sessions, health and fetched keys live on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::acme::Ordered;
use super::file_changes::Watched;
use super::{Connections, Connector, Options, observers, show_certificates, watch_targets};
use crate::clients::{AcmeCertificate, resolve_targets_once};
use crate::config::{self, AccessLogSettings, AdminSettings, Compiled, ListenerSettings, Report};
use crate::gateway::Gateway;
use crate::listener::{Accepting, TlsCommons, TlsError};
use crate::proxy::Departures;
use crate::telemetry::Metrics;

/// What a reload changes, and what it compares with.
pub(super) struct Reloadable {
    pub(super) gateway: Arc<ArcSwap<Gateway>>,
    /// In the order in which connections know them.
    pub(super) listeners: Vec<(ListenerSettings, Arc<ArcSwap<Accepting>>)>,
    pub(super) admin: Option<AdminSettings>,
    pub(super) access_log: AccessLogSettings,
    pub(super) drain_timeout: Duration,
    pub(super) options: Options,
    pub(super) metrics: Arc<Metrics>,
    pub(super) departures: Arc<Departures>,
    pub(super) providers: Arc<ArcSwap<Vec<Arc<str>>>>,
    pub(super) acme: Arc<ArcSwap<Vec<Arc<AcmeCertificate>>>>,
    pub(super) commons: TlsCommons,
    pub(super) watched: Watched,
    /// Held during a reload: two at once would forget what the first has changed.
    pub(super) current: Mutex<Current>,
}

pub(super) struct Current {
    pub(super) connections: Connections,
    pub(super) ordered: Ordered,
    /// Health checks and look-ups of names; they end when others take their place.
    pub(super) _watched: JoinSet<()>,
}

/// Why everything stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("{}", .0.render(false).trim_end())]
    Configuration(Report),
    #[error("{0}; addresses and protocols of listeners change with a restart only")]
    Listeners(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the configuration is in use already")]
    Shared,
}

impl Reloadable {
    pub(super) async fn reload(&self, path: &Path) -> Result<Vec<String>, ReloadError> {
        let outcome = self.try_reload(path).await;
        self.metrics.reloaded(outcome.is_ok());
        outcome
    }

    async fn try_reload(&self, path: &Path) -> Result<Vec<String>, ReloadError> {
        let mut current = self.current.lock().await;
        let (clock, entropy) = (&self.options.clock, &self.options.entropy);
        let ended = self.gateway.load().authentication.ended.clone();
        let connector = Connector::new(observers(&self.metrics, clock), entropy).after(current.connections.clone(), ended);
        let before = self.watched.now();
        let (compiled, report) = config::load(path, entropy, clock.now(), &connector);
        let files = report.files().clone();
        self.watched.tried(files.clone().or(before));
        let Some(compiled) = compiled else { return Err(ReloadError::Configuration(report)) };
        let connections = connector.into_connections();
        let told = self.unchanged(&compiled, &report);
        let Compiled { gateway, listeners, providers, reload_on_change, .. } = compiled;
        let order = self.order(&listeners)?;
        let ordered = Ordered::for_listeners(&listeners, &current.ordered, &self.commons, &self.metrics);
        let accepting = listeners.iter().map(|settings| ordered.accepting(settings, &self.commons)).collect::<Result<Vec<_>, _>>()?;
        let mut gateway = Arc::try_unwrap(gateway).map_err(|_| ReloadError::Shared)?;
        // Connections that are open know their listener by its place.
        let mut places: Vec<_> = gateway.listeners.into_iter().map(Some).collect();
        gateway.listeners = order.iter().filter_map(|place| places[*place].take()).collect();
        gateway.inherit(&self.gateway.load(), clock.now());
        resolve_targets_once(&gateway.target_groups).await;

        let gateway = Arc::new(gateway);
        let mut accepting: Vec<_> = accepting.into_iter().map(Some).collect();
        for ((_, slot), place) in self.listeners.iter().zip(&order) {
            slot.store(Arc::new(accepting[*place].take().ok_or(ReloadError::Shared)?));
        }
        let old = self.gateway.swap(gateway.clone());
        self.part(&old, &gateway);
        self.providers.store(Arc::new(providers));
        connections.keep_fresh(&current.connections);
        show_certificates(&listeners, &self.metrics);
        ordered.keep_fresh(&current.ordered);
        self.acme.store(ordered.all());
        self.watched.is_in_use(reload_on_change, files);
        *current = Current { connections, ordered, _watched: watch_targets(&gateway, clock, &self.departures) };
        Ok(told)
    }

    /// Targets that are not in their group any more get no new requests; those that are back need not go.
    fn part(&self, old: &Gateway, new: &Gateway) {
        for before in &old.target_groups {
            let now = new.target_groups.iter().find(|group| group.name == before.name);
            for target in &before.targets {
                if !now.is_some_and(|group| group.targets.iter().any(|kept| kept.name == target.name)) {
                    self.departures.leaves(before, &target.name, None);
                }
            }
        }
        for group in &new.target_groups {
            group.targets.iter().for_each(|target| self.departures.returns(&group.name, &target.name, None));
        }
    }

    /// For each listener that is there, its place in the file.
    fn order(&self, new: &[ListenerSettings]) -> Result<Vec<usize>, ReloadError> {
        let is_same = |a: &ListenerSettings, b: &ListenerSettings| a.address == b.address && a.speaks_tls == b.speaks_tls;
        if let Some(added) = new.iter().find(|added| !self.listeners.iter().any(|(old, _)| is_same(old, added))) {
            return Err(ReloadError::Listeners(format!("no listener is open at {} with this protocol", added.address)));
        }
        if new.len() != self.listeners.len() {
            return Err(ReloadError::Listeners(format!("{} listeners are open, and the file has {}", self.listeners.len(), new.len())));
        }
        let place = |(old, _): &(ListenerSettings, _)| new.iter().position(|new| is_same(old, new)).ok_or(old.address);
        self.listeners
            .iter()
            .map(place)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|address| ReloadError::Listeners(format!("the listener at {address} is not in the file any more")))
    }

    /// What was changed in the file and stays as it is: a line each, after the warnings of the file itself.
    fn unchanged(&self, new: &Compiled, report: &Report) -> Vec<String> {
        let mut told: Vec<String> = if report.faults().is_empty() { Vec::new() } else { vec![report.render(false).trim_end().to_owned()] };
        let caps = |settings: &ListenerSettings| settings.limits.connections;
        let has_other_cap =
            |(old, _): &(ListenerSettings, _)| new.listeners.iter().any(|new| new.address == old.address && caps(new) != caps(old));
        for (key, has_changed) in [
            ("admin", new.admin != self.admin),
            ("access_log", new.access_log != self.access_log),
            ("drain_timeout", new.drain_timeout != self.drain_timeout),
            ("sessions.remembered_bytes", new.gateway.known.bytes() != self.gateway.load().known.bytes()),
            ("the number of connections of a listener", self.listeners.iter().any(has_other_cap)),
        ] {
            if has_changed {
                told.push(format!("{key} has changed in the file, and changes with a restart only"));
            }
        }
        told
    }
}

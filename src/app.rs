//! Wires everything: with `reload`, the only file that names every floor.

mod acme;
mod connector;
mod file_changes;
mod reload;
mod upgrade;

pub use connector::{Connections, Connector, Observers};
pub use reload::ReloadError;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::proxy::http_proxy;
use pingora::server::configuration::ServerConf;
use pingora::services::Service as _;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use self::acme::Ordered;
use crate::admin::{self, Access, Admin};
use crate::clients::{
    AddressObserver, Challenges, HealthObserver, Observer, ProviderEvent, SystemClock, check_targets, resolve_targets,
    resolve_targets_once, system_entropy,
};
use crate::clock::Clock;
use crate::config::{self, Compiled, Connect, Files, LogSettings, Report};
use crate::gateway::Gateway;
use crate::listener::{ConnectionEvent, ConnectionEvents, Inherited, Listener, TlsCommons, TlsError};
use crate::provider::Endpoint;
use crate::proxy::{Departures, EndingProxy, Proxy, SWEEP, TargetIdentities};
use crate::secret::Entropy;
use crate::telemetry::{AccessLog, AccessLogFormat, Destination, Metrics};

/// What a program around the gateway can choose.
#[derive(Clone)]
pub struct Options {
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
    /// Lines for a person, as `demo` prints them, instead of the configured form.
    pub person_log: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: system_entropy(), person_log: false }
    }
}

/// A configuration with its connections, ready to start.
pub struct Loaded {
    compiled: Compiled,
    connections: Connections,
    metrics: Arc<Metrics>,
    files: Files,
}

impl Loaded {
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.compiled.gateway
    }

    /// The file of the access log; `None` when it is standard output.
    #[must_use]
    pub fn access_log(&self) -> Option<&Path> {
        self.compiled.access_log.file.as_deref()
    }

    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        self.compiled.drain_timeout
    }

    /// Where the listeners are handed over; `None` where the file does not say.
    #[must_use]
    pub fn upgrade_socket(&self) -> Option<&Path> {
        self.compiled.upgrade_socket.as_deref()
    }

    #[must_use]
    pub fn log(&self) -> &LogSettings {
        &self.compiled.log
    }
}

/// Reads a file and compiles it.
pub fn load(path: &Path, options: &Options) -> (Option<Loaded>, Report) {
    load_with(options, |connect| config::load(path, &options.entropy, options.clock.now(), connect))
}

/// The same from memory; relative paths start at `base`.
pub fn load_text(text: &str, base: &Path, options: &Options) -> (Option<Loaded>, Report) {
    load_with(options, |connect| config::load_bytes(text.as_bytes(), "configuration", base, &options.entropy, options.clock.now(), connect))
}

fn load_with(options: &Options, load: impl FnOnce(&dyn Connect) -> (Option<Compiled>, Report)) -> (Option<Loaded>, Report) {
    let metrics = match Metrics::new() {
        Ok(metrics) => Arc::new(metrics),
        Err(error) => return (None, Report::of("metrics".to_owned(), config::Fault::error("", error.to_string()))),
    };
    let connector = Connector::new(observers(&metrics, &options.clock), &options.entropy);
    let (compiled, report) = load(&connector);
    let connections = connector.into_connections();
    let files = report.files().clone();
    (compiled.map(|compiled| Loaded { compiled, connections, metrics, files }), report)
}

fn observers(metrics: &Arc<Metrics>, clock: &Arc<dyn Clock>) -> Observers {
    let store = metrics.clone();
    Observers {
        providers: provider_observer(metrics.clone(), clock.clone()),
        session_store: Arc::new(move |was_answered| store.session_store_call(was_answered)),
    }
}

fn provider_observer(metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Observer {
    Arc::new(move |event: &ProviderEvent| {
        metrics.provider_call(&event.provider, event.endpoint.label(), event.duration.as_secs_f64());
        let good = event.result.as_ref().is_ok_and(|status| (200..300).contains(status));
        if event.endpoint == Endpoint::Keys {
            metrics.key_set(&event.provider, good, clock.now().0);
        }
        if event.endpoint == Endpoint::Revocation {
            metrics.token_revocation(&event.provider, good);
        }
        let (provider, endpoint) = (&*event.provider, event.endpoint.label());
        match &event.result {
            Ok(status) if good => tracing::debug!(provider, endpoint, status, "the identity provider answered"),
            Ok(status) => tracing::warn!(provider, endpoint, status, "the identity provider answered with an error"),
            Err(error) => tracing::warn!(provider, endpoint, error, "the identity provider did not answer"),
        }
    })
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{address}: {error}")]
    Bind { address: SocketAddr, error: std::io::Error },
    #[error("the access log cannot be written: {0}")]
    AccessLog(std::io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl StartError {
    /// Whether the configuration has to be changed, rather than the machine.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Bind { .. } | Self::AccessLog(_) => false,
            Self::Tls(_) => true,
        }
    }
}

/// A gateway that serves.
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin_address: Option<SocketAddr>,
    ready: Arc<AtomicBool>,
    shutdown: watch::Sender<bool>,
    open: Vec<(Arc<Semaphore>, usize)>,
    drain_timeout: Duration,
    access_log: Arc<AccessLog>,
    tasks: Vec<JoinHandle<()>>,
    /// All listeners, for a process that takes the place of this one.
    sockets: Vec<std::net::TcpListener>,
    leave_admin: watch::Sender<bool>,
    /// For how long connections that are kept may bring one more request.
    linger: Arc<OnceLock<Duration>>,
    reloadable: reload::Reloadable,
}

/// Binds every address first, so that a port that is taken ends the start, then serves.
pub async fn start(loaded: Loaded, options: Options) -> Result<Running, StartError> {
    start_with(loaded, options, None).await
}

/// The same with the listeners of a process whose place this one takes; that one is told when this one serves.
pub async fn start_with(loaded: Loaded, options: Options, mut inherited: Option<Inherited>) -> Result<Running, StartError> {
    let Loaded { compiled, connections, metrics, files } = loaded;
    let Compiled { gateway, listeners, providers, admin, access_log: access_log_settings, drain_timeout, reload_on_change, .. } = compiled;
    let mut bind = |address| upgrade::take_or_bind(address, &mut inherited);
    let sockets = listeners.iter().map(|listener| bind(listener.address)).collect::<Result<Vec<_>, _>>()?;
    let admin_socket = admin.as_ref().map(|admin| bind(admin.address)).transpose()?;
    let handed_over: Vec<_> = sockets.iter().chain(&admin_socket).filter_map(|socket| socket.try_clone().ok()).collect();
    let access_log = Arc::new(open_access_log(&access_log_settings, options.person_log).map_err(StartError::AccessLog)?);

    resolve_targets_once(&gateway.target_groups).await;
    let departures = Arc::<Departures>::default();
    let watched = watch_targets(&gateway, &options.clock, &departures);
    let sweeping = departures.clone();
    tokio::spawn(async move {
        loop {
            sleep(SWEEP).await;
            sweeping.sweep();
        }
    });
    connections.keep_fresh(&Connections::default());
    show_certificates(&listeners, &metrics);
    let challenges = Challenges::new(gateway.http_challenges.clone());
    let commons = TlsCommons::new(options.clock.clone(), options.entropy.clone(), challenges)?;
    let ordered = Ordered::for_listeners(&listeners, &Ordered::default(), &commons, &metrics);

    if let Some(inherited) = &inherited {
        upgrade::recall(&gateway, &inherited.memory);
    }
    let gateway = Arc::new(ArcSwap::new(gateway));
    let proxy = Proxy {
        gateway: gateway.clone(),
        clock: options.clock.clone(),
        entropy: options.entropy.clone(),
        metrics: metrics.clone(),
        access_log: access_log.clone(),
        target_identities: TargetIdentities::default(),
        departures: departures.clone(),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let proxy = http_proxy(&Arc::new(ServerConf { threads, ..ServerConf::default() }), proxy);
    let proxy = Arc::new(proxy);

    let (shutdown, stopping) = watch::channel(false);
    let (leave_admin, mut admin_left) = watch::channel(false);
    let linger = Arc::<OnceLock<Duration>>::default();
    let (active, refused) = (metrics.active_connections.clone(), metrics.refused_connections.clone());
    let events: ConnectionEvents = Arc::new(move |event| match event {
        ConnectionEvent::Opened => active.inc(),
        ConnectionEvent::Closed => active.dec(),
        ConnectionEvent::Refused => refused.inc(),
    });
    let mut running = Running {
        addresses: Vec::new(),
        admin_address: None,
        ready: Arc::new(AtomicBool::new(false)),
        shutdown,
        open: Vec::new(),
        drain_timeout,
        access_log: access_log.clone(),
        tasks: Vec::new(),
        sockets: handed_over,
        leave_admin,
        linger: linger.clone(),
        reloadable: reload::Reloadable {
            gateway: gateway.clone(),
            listeners: Vec::new(),
            admin: admin.clone(),
            access_log: access_log_settings,
            drain_timeout,
            options: options.clone(),
            metrics: metrics.clone(),
            providers: Arc::new(ArcSwap::from_pointee(providers)),
            departures,
            watched: file_changes::Watched::new(reload_on_change, files),
            acme: Arc::new(ArcSwap::new(ordered.all())),
            commons: commons.clone(),
            current: tokio::sync::Mutex::new(reload::Current { connections, ordered: ordered.clone(), _watched: watched }),
        },
    };
    for (index, (socket, settings)) in sockets.into_iter().zip(&listeners).enumerate() {
        running.addresses.extend(socket.local_addr().ok());
        let app = Arc::new(EndingProxy::new(proxy.clone(), &settings.limits));
        let accepting = ordered.accepting(settings, &commons)?;
        let mut listener = Listener::new(index, socket, settings, accepting, app, events.clone(), linger.clone());
        running.open.push(listener.open_connections());
        running.reloadable.listeners.push((settings.clone(), listener.accepting()));
        let stopping = stopping.clone();
        running.tasks.push(tokio::spawn(async move { listener.start_service(None, stopping, 1).await }));
    }
    if let (Some(socket), Some(settings)) = (admin_socket, admin) {
        running.admin_address = socket.local_addr().ok();
        let admin = Arc::new(Admin {
            ready: running.ready.clone(),
            metrics,
            access_log,
            gateway,
            clock: options.clock,
            access: Access::new(settings.address.ip(), settings.token),
            providers: running.reloadable.providers.clone(),
            acme: running.reloadable.acme.clone(),
        });
        let listener = socket.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(socket));
        // Liveness goes on while the gateway drains: the task ends with the runtime, or when another process answers there.
        tokio::spawn(async move {
            if let Ok(listener) = listener {
                let left = async move {
                    // Whoever has stopped says nothing any more, and has not left.
                    if admin_left.wait_for(|left| *left).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                };
                let _ = admin::serve(admin, listener, left).await;
            }
        });
    }
    // Once the listeners answer an authority that looks.
    ordered.keep_fresh(&Ordered::default());
    running.ready.store(true, Ordering::Relaxed);
    if let Some(inherited) = inherited {
        upgrade::learn(inherited, running.reloadable.gateway.clone());
    }
    Ok(running)
}

impl Running {
    /// The bound addresses, in the order of the configuration: port 0 has become a real one.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Compiles the file anew and puts what it says in place of what was said before; on any fault nothing changes. What cannot
    /// change without a restart is told.
    pub async fn reload(&self, path: &Path) -> Result<Vec<String>, ReloadError> {
        self.reloadable.reload(path).await
    }

    /// Stops accepting, lets requests finish within the drain timeout, writes the last lines of the access log.
    pub async fn stop(self) {
        self.ready.store(false, Ordering::Relaxed);
        let _ = self.shutdown.send(true);
        let drained = async {
            for task in self.tasks {
                let _ = task.await;
            }
            for (permits, count) in &self.open {
                let _ = permits.acquire_many(u32::try_from(*count).unwrap_or(u32::MAX)).await;
            }
        };
        if timeout(self.drain_timeout, drained).await.is_err() {
            tracing::warn!("requests were still going on when the drain timeout ended");
        }
        self.access_log.close();
    }
}

/// Names and health of targets, for as long as what is returned is there.
fn watch_targets(gateway: &Gateway, clock: &Arc<dyn Clock>, departures: &Arc<Departures>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let departures = departures.clone();
    let moved: AddressObserver = Arc::new(move |group, target, address, is_gone| {
        if is_gone {
            departures.leaves(group, &target.name, Some(address));
        } else {
            departures.returns(&group.name, &target.name, Some(address));
        }
    });
    resolve_targets(&gateway.target_groups, &moved, &mut tasks);
    let changed: HealthObserver =
        Arc::new(|target_group, target, healthy| tracing::warn!(target_group, target, healthy, "the health of a target has changed"));
    check_targets(&gateway.target_groups, clock, &changed, &mut tasks);
    tasks
}

fn show_certificates(listeners: &[config::ListenerSettings], metrics: &Metrics) {
    for certificate in listeners.iter().flat_map(|listener| &listener.certificates) {
        metrics.certificate(&certificate.name, certificate.expires_at);
    }
}

fn bind(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    std::net::TcpListener::bind(address).map_err(|error| StartError::Bind { address, error })
}

fn open_access_log(settings: &config::AccessLogSettings, person: bool) -> std::io::Result<AccessLog> {
    let format = match (person, settings.alb) {
        (true, _) => AccessLogFormat::Person,
        (false, true) => AccessLogFormat::Alb,
        (false, false) => AccessLogFormat::Json,
    };
    let destination = settings.file.clone().map_or(Destination::StandardOutput, Destination::File);
    AccessLog::open(format, &destination)
}

//! The accept loop.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use ipnet::IpNet;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use super::addresses::{Addresses, Counted};
use super::certificates::server_config;
use super::handshake::facts;
use super::proof::{self, asks_for_proof};
use super::stream::Screens;
use super::{ClientStream, ProxyHeader, TlsCommons, TlsError, read_proxy_header};
use crate::clients::AcmeCertificate;
use crate::config::ListenerSettings;
use crate::identity_headers::ClientCertificateMode;
use crate::message::ConnectionInfo;

/// What there is to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionEvent {
    Opened,
    Closed,
    /// Its address has as many as it may have.
    Refused,
}

/// Called with each.
pub type ConnectionEvents = Arc<dyn Fn(ConnectionEvent) + Send + Sync>;

/// What is done with connections.
#[async_trait]
pub trait Serve: Send + Sync + 'static {
    /// Until it is closed.
    async fn serve(self: Arc<Self>, stream: ClientStream, shutdown: &ShutdownWatch);

    /// Connections that nobody is using are to be closed, now and from now on.
    async fn close_idle(&self);
}

/// One bound address.
pub struct Listener<A> {
    index: usize,
    name: String,
    socket: Option<std::net::TcpListener>,
    accepting: Arc<ArcSwap<Accepting>>,
    app: Arc<A>,
    connections: usize,
    /// As many permits as connections may be open; all of them back means drained.
    permits: Arc<Semaphore>,
    addresses: Addresses,
    events: ConnectionEvents,
    /// Set before the shutdown: for how long connections that are kept may bring one more request.
    linger: Arc<OnceLock<Duration>>,
}

/// What a reload may change for connections that are yet to come.
pub struct Accepting {
    tls: Option<Tls>,
    screens: Screens,
    /// Whose connections begin with a PROXY header.
    balancers: Vec<IpNet>,
    pub(super) client_certificates: Option<ClientCertificateMode>,
    pub(super) tells_tls: bool,
    trusted_proxies: Vec<IpNet>,
}

struct Tls {
    config: Arc<ServerConfig>,
    /// For an authority that looks whether a name is ours; `None` where no certificate is ordered.
    proof: Option<Arc<ServerConfig>>,
}

impl Accepting {
    /// `acme`: the certificate that is ordered for this listener. `orders`: whether any is, for whichever listener.
    pub fn new(
        settings: &ListenerSettings,
        acme: Option<Arc<AcmeCertificate>>,
        orders: bool,
        commons: &TlsCommons,
    ) -> Result<Self, TlsError> {
        let tls = if settings.speaks_tls {
            let proof = orders.then(|| proof::server_config(&commons.challenges)).transpose()?;
            Some(Tls { config: Arc::new(server_config(settings, acme, commons)?), proof })
        } else {
            None
        };
        let client_certificates = settings.client_authentication.as_ref().map(|asked| asked.mode);
        Ok(Self {
            tls,
            screens: Screens::new(settings),
            balancers: settings.balancers.clone(),
            client_certificates,
            tells_tls: settings.tells_tls,
            trusted_proxies: settings.trusted_proxies.clone(),
        })
    }

    /// Behind it are many.
    fn is_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// One more connection of this address, `None` within where it is not counted; `None`: it has as many as it may have.
    #[expect(clippy::option_option, reason = "three cases: counted, not to be counted, too many")]
    fn count(&self, addresses: &Addresses, address: IpAddr, events: &ConnectionEvents) -> Option<Option<Counted>> {
        if self.is_proxy(address) {
            return Some(None);
        }
        let counted = addresses.count(address, self.screens.limits.connections_per_address);
        if counted.is_none() {
            events(ConnectionEvent::Refused);
        }
        counted.map(Some)
    }

    /// It says whose the connection is.
    fn is_balancer(&self, address: IpAddr) -> bool {
        self.balancers.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

impl<A: Serve> Listener<A> {
    /// `socket` is bound already, so that a port that is taken shows at start.
    pub fn new(
        index: usize,
        socket: std::net::TcpListener,
        settings: &ListenerSettings,
        accepting: Accepting,
        app: Arc<A>,
        events: ConnectionEvents,
        linger: Arc<OnceLock<Duration>>,
    ) -> Self {
        Self {
            index,
            name: settings.address.to_string(),
            socket: Some(socket),
            accepting: Arc::new(ArcSwap::from_pointee(accepting)),
            app,
            connections: settings.limits.connections,
            permits: Arc::new(Semaphore::new(settings.limits.connections)),
            addresses: Addresses::default(),
            events,
            linger,
        }
    }

    /// The semaphore whose permits are all back when the last connection has closed, and how many there are.
    pub fn open_connections(&self) -> (Arc<Semaphore>, usize) {
        (self.permits.clone(), self.connections)
    }

    /// Where a reload puts what it has changed.
    pub fn accepting(&self) -> Arc<ArcSwap<Accepting>> {
        self.accepting.clone()
    }

    async fn accept_all(&self, socket: TcpListener, mut shutdown: ShutdownWatch) {
        loop {
            // Beyond the cap connections wait in the kernel's queue.
            let Ok(permit) = self.permits.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = shutdown.wait_for(|stopping| *stopping) => return,
            };
            match accepted {
                Ok((tcp, peer)) => {
                    let Some(connection) = self.connection(peer, shutdown.clone()) else { continue };
                    tokio::spawn(async move {
                        connection.serve(tcp).await;
                        drop(permit);
                    });
                }
                // Out of descriptors, or a client that has gone: the others go on (threat Q04).
                Err(_) => sleep(PAUSE_AFTER_ERROR).await,
            }
        }
    }

    /// `None`: the address has too many. It is closed without a word, before anything is computed for it.
    fn connection(&self, peer: SocketAddr, shutdown: ShutdownWatch) -> Option<OpenConnection<A>> {
        let accepting = self.accepting.load_full();
        // Of a balancer's connections those count who are behind it.
        let counted = if accepting.is_balancer(peer.ip()) { None } else { accepting.count(&self.addresses, peer.ip(), &self.events)? };
        (self.events)(ConnectionEvent::Opened);
        Some(OpenConnection {
            listener: self.index,
            peer,
            accepting,
            app: self.app.clone(),
            shutdown,
            addresses: self.addresses.clone(),
            events: self.events.clone(),
            _counted: counted,
        })
    }
}

#[async_trait]
impl<A: Serve> Service for Listener<A> {
    async fn start_service(&mut self, fds: Option<ListenFds>, shutdown: ShutdownWatch, _listeners_per_fd: usize) {
        let Some(socket) = self.socket.take() else { return };
        if let Some(fds) = fds {
            fds.lock().add(self.name.clone(), socket.as_raw_fd());
        }
        match socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket)) {
            Ok(socket) => self.accept_all(socket, shutdown).await,
            Err(error) => tracing::error!(listener = self.name, %error, "the listener cannot be used"),
        }
        if let Some(linger) = self.linger.get() {
            let all_closed = self.permits.acquire_many(u32::try_from(self.connections).unwrap_or(u32::MAX));
            let _ = timeout(*linger, all_closed).await;
        }
        self.app.close_idle().await;
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn threads(&self) -> Option<usize> {
        None
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        Some(vec![self.name.clone()])
    }
}

struct OpenConnection<A> {
    listener: usize,
    peer: SocketAddr,
    accepting: Arc<Accepting>,
    app: Arc<A>,
    shutdown: ShutdownWatch,
    addresses: Addresses,
    events: ConnectionEvents,
    _counted: Option<Counted>,
}

impl<A: Serve> OpenConnection<A> {
    async fn serve(&self, tcp: TcpStream) {
        // What a handshake needs is given back when it is over: connections last longer.
        if let Some((stream, _counted)) = Box::pin(self.stream(tcp)).await {
            self.app.clone().serve(stream, &self.shutdown).await;
        }
    }

    /// A handshake that fails or takes too long is nobody's business but the client's. What a balancer says in front of it is read within
    /// the same time.
    async fn stream(&self, mut tcp: TcpStream) -> Option<(ClientStream, Option<Counted>)> {
        tcp.set_nodelay(true).ok()?;
        let local = tcp.local_addr().ok()?;
        let screens = self.accepting.screens;
        let until = Instant::now() + screens.limits.handshake_timeout;
        let mut info =
            ConnectionInfo { listener: self.listener, peer: self.peer, local, asked_port: None, tls: None, login_nonce: Mutex::default() };
        let mut counted = None;
        if self.accepting.is_balancer(self.peer.ip())
            && let ProxyHeader::Client { source, destination } = self.proxy_header(&mut tcp, until).await?
        {
            counted = self.accepting.count(&self.addresses, source.ip(), &self.events)?;
            info.peer = source;
            info.asked_port = Some(destination.port()).filter(|port| *port != 0);
        }
        let Some(tls) = &self.accepting.tls else { return Some((ClientStream::plain(tcp, info, screens).ok()?, counted)) };
        let tls = timeout_at(until, tls.handshake(tcp)).await.ok()??;
        let facts = facts(tls.get_ref().1, &self.accepting);
        Some((ClientStream::tls(tls, ConnectionInfo { tls: Some(facts), ..info }, screens).ok()?, counted))
    }

    /// `None`: nobody is served. The operator is told why, because it is the balancer's own word that is missing or wrong.
    async fn proxy_header(&self, tcp: &mut TcpStream, until: Instant) -> Option<ProxyHeader> {
        let error = match timeout_at(until, read_proxy_header(tcp)).await {
            Ok(Ok(header)) => return header,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the PROXY header did not come in time".to_owned(),
        };
        tracing::warn!(listener = self.listener, balancer = %self.peer, error, "a connection was closed");
        None
    }
}

impl Tls {
    /// `None`: it has failed, or was the proof that somebody has asked for, after which there is nothing more to say.
    async fn handshake(&self, tcp: TcpStream) -> Option<TlsStream<TcpStream>> {
        let Some(proof) = &self.proof else { return TlsAcceptor::from(self.config.clone()).accept(tcp).await.ok() };
        let begun = LazyConfigAcceptor::new(Acceptor::default(), tcp).await.ok()?;
        if asks_for_proof(&begun.client_hello()) {
            let _ = begun.into_stream(proof.clone()).await.ok()?.shutdown().await;
            return None;
        }
        begun.into_stream(self.config.clone()).await.ok()
    }
}

impl<A> Drop for OpenConnection<A> {
    fn drop(&mut self) {
        (self.events)(ConnectionEvent::Closed);
    }
}

const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

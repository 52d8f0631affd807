//! Connections, and how long it takes to have one: TCP, and TLS where the origin is https.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use url::Url;

use super::plan::Version;

/// What requests and answers go over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that nothing was said on yet.
pub(super) struct Dialed {
    pub(super) stream: Box<dyn Stream>,
    pub(super) version: Version,
    pub(super) tcp: Duration,
    pub(super) tls: Option<Duration>,
}

/// How one origin is reached.
#[derive(Clone)]
pub(super) struct Dialer {
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Without TLS nobody negotiates.
    plain: Version,
    addresses: Arc<[SocketAddr]>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum DialError {
    #[error("the name {0} cannot be resolved")]
    Name(String),
    #[error("{0} cannot be connected to: {1}")]
    Connect(String, String),
    #[error("TLS with {0} fails: {1}")]
    Tls(String, String),
    #[error("{0} does not speak {1}")]
    Version(String, &'static str),
    #[error("{0} does not take the connection within {1:?}")]
    Slow(String, Duration),
}

impl DialError {
    /// What may be done about it.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Name(_) => "is the name right? --connect-to HOST:PORT goes to an address before DNS does",
            Self::Connect(..) => "does it run, and does a firewall let this machine through?",
            Self::Tls(..) => "for a private authority name its certificate with --ca-file",
            Self::Version(..) => "leave --http out, and what both sides speak is taken",
            Self::Slow(..) => "--timeout allows for more",
        }
    }
}

impl Dialer {
    /// Resolves the origin of `url` and keeps the addresses that take connections, so that no connection of the load waits for a name.
    pub(super) async fn of(
        url: &Url,
        connect_to: Option<&(String, u16)>,
        tls: &Arc<ClientConfig>,
        version: Option<Version>,
        timeout: Duration,
    ) -> Result<Self, DialError> {
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let (host, port) = match connect_to {
            Some((host, port)) => (host.trim_matches(['[', ']']).to_owned(), *port),
            None => (name.clone(), url.port_or_known_default().unwrap_or(443)),
        };
        let found: Vec<SocketAddr> = lookup_host((host.as_str(), port)).await.map_err(|_| DialError::Name(host.clone()))?.collect();
        let mut addresses = Vec::new();
        let mut failed = DialError::Name(host);
        for address in found {
            match connect(address, timeout).await {
                Ok(_) => addresses.push(address),
                Err(error) => failed = error,
            }
        }
        if addresses.is_empty() {
            return Err(failed);
        }
        let tls = if url.scheme() == "https" {
            let mut config = (**tls).clone();
            config.alpn_protocols = match version {
                None => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
                Some(Version::Http1) => vec![b"http/1.1".to_vec()],
                Some(Version::Http2) => vec![b"h2".to_vec()],
            };
            let server = ServerName::try_from(name.clone()).map_err(|error| DialError::Tls(name, error.to_string()))?;
            Some((TlsConnector::from(Arc::new(config)), server))
        } else {
            None
        };
        Ok(Self { tls, plain: version.unwrap_or(Version::Http1), addresses: addresses.into() })
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The `turn` spreads connections over the addresses.
    pub(super) async fn dial(&self, turn: usize, timeout: Duration) -> Result<Dialed, DialError> {
        let Some(&address) = self.addresses.get(turn % self.addresses.len().max(1)) else { return Err(DialError::Name(String::new())) };
        let begin = Instant::now();
        let stream = connect(address, timeout).await?;
        let tcp = begin.elapsed();
        let Some((connector, server)) = &self.tls else {
            return Ok(Dialed { stream: Box::new(stream), version: self.plain, tcp, tls: None });
        };
        let left = timeout.saturating_sub(tcp);
        let handshake = tokio::time::timeout(left, connector.connect(server.clone(), stream)).await;
        let stream =
            handshake.map_err(|_| DialError::Slow(address.to_string(), timeout))?.map_err(|error| tls_error(&server.to_str(), &error))?;
        let version = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Version::Http2,
            _ if self.only_http2() => return Err(DialError::Version(server.to_str().into_owned(), Version::Http2.name())),
            _ => Version::Http1,
        };
        Ok(Dialed { stream: Box::new(stream), version, tcp, tls: Some(begin.elapsed().saturating_sub(tcp)) })
    }

    fn only_http2(&self) -> bool {
        self.tls.as_ref().is_some_and(|(connector, _)| connector.config().alpn_protocols == [b"h2"])
    }
}

async fn connect(address: SocketAddr, timeout: Duration) -> Result<TcpStream, DialError> {
    let connected = tokio::time::timeout(timeout, TcpStream::connect(address)).await;
    let stream = connected
        .map_err(|_| DialError::Slow(address.to_string(), timeout))?
        .map_err(|error| DialError::Connect(address.to_string(), error.to_string()))?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn tls_error(server: &str, error: &std::io::Error) -> DialError {
    if error.to_string().contains("NoApplicationProtocol") {
        return DialError::Version(server.to_owned(), "the version of HTTP that was asked for");
    }
    DialError::Tls(server.to_owned(), error.to_string())
}

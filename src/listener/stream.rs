//! A client's connection as pingora wants it: plain or TLS, with what we know of it carried along.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::HeadDeadline;
use crate::message::ConnectionInfo;

/// What the proxy finds in `ProxyDigest::user_data`.
#[derive(Debug)]
pub struct Connection {
    pub info: Arc<ConnectionInfo>,
    pub deadline: Arc<HeadDeadline>,
}

enum Inner {
    Plain(BufWriter<TcpStream>),
    Tls(Box<BufWriter<TlsStream<TcpStream>>>),
}

/// One accepted connection.
pub struct ClientStream {
    inner: Inner,
    id: UniqueIDType,
    is_h2: bool,
    deadline: Arc<HeadDeadline>,
    sleep: Option<Pin<Box<Sleep>>>,
    proxy_digest: Arc<ProxyDigest>,
    socket_digest: Arc<SocketDigest>,
    ssl_digest: Option<Arc<SslDigest>>,
}

impl ClientStream {
    pub(super) fn plain(tcp: TcpStream, info: ConnectionInfo, deadline: Arc<HeadDeadline>) -> io::Result<Self> {
        let fd = tcp.as_raw_fd();
        Self::new(Inner::Plain(BufWriter::with_capacity(WRITE_BUFFER, tcp)), fd, false, info, deadline)
    }

    pub(super) fn tls(tls: TlsStream<TcpStream>, info: ConnectionInfo, deadline: Arc<HeadDeadline>) -> io::Result<Self> {
        let fd = tls.get_ref().0.as_raw_fd();
        let is_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Self::new(Inner::Tls(Box::new(BufWriter::with_capacity(WRITE_BUFFER, tls))), fd, is_h2, info, deadline)
    }

    fn new(inner: Inner, fd: std::os::fd::RawFd, is_h2: bool, info: ConnectionInfo, deadline: Arc<HeadDeadline>) -> io::Result<Self> {
        let socket_digest = SocketDigest::from_raw_fd(fd);
        // Asked of the socket at most once, and never for a peer that has gone.
        let _ = socket_digest.peer_addr.set(Some(info.peer.into()));
        let ssl_digest =
            info.tls.as_ref().map(|tls| Arc::new(SslDigest::new(tls.cipher.clone(), tls.version.to_owned(), None, None, Vec::new())));
        if is_h2 {
            deadline.head_is_complete();
        }
        // Pingora's place for a CONNECT proxy's answer is the one place where user data of a connection can travel.
        let response = ResponseHeader::build(200, None).map_err(io::Error::other)?;
        let connection = Connection { info: Arc::new(info), deadline: deadline.clone() };
        let proxy_digest = Arc::new(ProxyDigest::new(Box::new(response), Some(Box::new(connection))));
        let socket_digest = Arc::new(socket_digest);
        Ok(Self { inner, id: fd, is_h2, deadline, sleep: None, proxy_digest, socket_digest, ssl_digest })
    }

    /// The connection behind a pingora session, whatever its HTTP version.
    #[must_use]
    pub fn connection(digest: &ProxyDigest) -> Option<&Connection> {
        digest.user_data.as_ref()?.downcast_ref()
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Inner::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let Some(limit) = this.deadline.limit() else {
            // The usual case: a head arrives in one piece, and no timer is ever made for it.
            this.sleep = None;
            if polled.is_ready() && buffer.filled().len() > before {
                this.deadline.bytes_have_come();
            }
            return polled;
        };
        let timer = this.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        if timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of the request took too long")));
        }
        polled
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Inner::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(context),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut *this).poll_flush(context))?;
        match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        // The peer may be gone already; there is nobody to tell.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        self.id
    }
}

impl Ssl for ClientStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.ssl_digest.clone()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.ssl_digest.as_ref().map(|_| if self.is_h2 { ALPN::H2 } else { ALPN::H1 })
    }
}

impl Peek for ClientStream {}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.proxy_digest.clone())
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.socket_digest.clone())
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ClientStream({})", self.id)
    }
}

/// A head and a small body leave in one TLS record.
const WRITE_BUFFER: usize = 4096;

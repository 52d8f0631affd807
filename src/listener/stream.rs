//! A client's connection as pingora wants it: plain or TLS, with what we know of it carried along.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use super::frames::Frames;
use super::gathering::Gathering;
use super::idle::Member;
use super::screen::Screen;
use super::screening::Screening;
use crate::config::{ListenerLimits, ListenerSettings};
use crate::message::ConnectionInfo;
use crate::message::head::DesyncMitigation;

/// What the proxy finds in `ProxyDigest::user_data`.
#[derive(Debug)]
pub struct Connection {
    pub info: Arc<ConnectionInfo>,
    pub limits: ListenerLimits,
    pub screening: Arc<Screening>,
}

/// What is made of the octets before the parser has them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screens {
    mode: DesyncMitigation,
    pub(super) limits: ListenerLimits,
}

impl Screens {
    pub(super) fn new(settings: &ListenerSettings) -> Self {
        Self { mode: settings.desync_mitigation, limits: settings.limits }
    }
}

enum Watch {
    Http1(Box<Screen>),
    Http2(Box<Frames>),
}

enum Inner {
    Plain(Gathering<TcpStream>),
    Tls(Box<Gathering<TlsStream<TcpStream>>>),
}

/// One accepted connection.
pub struct ClientStream {
    inner: Inner,
    id: UniqueIDType,
    watch: Watch,
    idle_timeout: Duration,
    /// Runs on from one request to the next: to set it anew for each would cost more than to look once too often.
    idle: Option<Pin<Box<Sleep>>>,
    send_timeout: Duration,
    /// Runs while the client takes nothing.
    stuck: Option<Pin<Box<Sleep>>>,
    /// Everything has been said.
    linger: Option<Pin<Box<Sleep>>>,
    proxy_digest: Arc<ProxyDigest>,
    socket_digest: Arc<SocketDigest>,
    ssl_digest: Option<Arc<SslDigest>>,
}

impl ClientStream {
    pub(super) fn plain(tcp: TcpStream, info: ConnectionInfo, screens: Screens) -> io::Result<Self> {
        let fd = tcp.as_raw_fd();
        Self::new(Inner::Plain(Gathering::new(tcp)), fd, false, info, screens)
    }

    pub(super) fn tls(tls: TlsStream<TcpStream>, info: ConnectionInfo, screens: Screens) -> io::Result<Self> {
        let fd = tls.get_ref().0.as_raw_fd();
        let is_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Self::new(Inner::Tls(Box::new(Gathering::new(tls))), fd, is_h2, info, screens)
    }

    fn new(inner: Inner, fd: std::os::fd::RawFd, is_h2: bool, info: ConnectionInfo, screens: Screens) -> io::Result<Self> {
        let socket_digest = SocketDigest::from_raw_fd(fd);
        // Asked of the socket at most once, and never for a peer that has gone.
        let _ = socket_digest.peer_addr.set(Some(info.peer.into()));
        let ssl_digest =
            info.tls.as_ref().map(|tls| Arc::new(SslDigest::new(tls.cipher.clone(), tls.version.to_owned(), None, None, Vec::new())));
        let screening = Arc::<Screening>::default();
        let watch = if is_h2 {
            Watch::Http2(Box::new(Frames::new(screens.limits)))
        } else {
            Watch::Http1(Box::new(Screen::new(screening.clone(), screens.mode, screens.limits)))
        };
        // Pingora's place for a CONNECT proxy's answer is the one place where user data of a connection can travel.
        let response = ResponseHeader::build(200, None).map_err(io::Error::other)?;
        let connection = Connection { info: Arc::new(info), limits: screens.limits, screening };
        let proxy_digest = Arc::new(ProxyDigest::new(Box::new(response), Some(Box::new(connection))));
        let socket_digest = Arc::new(socket_digest);
        Ok(Self {
            inner,
            id: fd,
            watch,
            idle_timeout: screens.limits.idle_timeout,
            idle: None,
            send_timeout: screens.limits.send_timeout,
            stuck: None,
            linger: None,
            proxy_digest,
            socket_digest,
            ssl_digest,
        })
    }

    /// Pingora's own time-out is for a whole piece of up to 64 KiB and more, which takes a slow line longer than a client that has stopped.
    fn while_it_moves<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stuck = None;
            return polled;
        }
        let limit = self.send_timeout;
        ready!(self.stuck.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }

    /// Waits for the next request, and hands out its head with whatever came right behind it; `None` when there is to be none: the client has
    /// gone or has waited too long, or the gateway stops. Nothing is held meanwhile but the connection itself.
    pub async fn next_head(&mut self, member: &Member) -> Option<BytesMut> {
        let since = Instant::now();
        poll_fn(|context| self.poll_next_head(member, since, context)).await
    }

    fn poll_next_head(&mut self, member: &Member, since: Instant, context: &mut Context<'_>) -> Poll<Option<BytesMut>> {
        let Watch::Http1(screen) = &mut self.watch else { return Poll::Ready(None) };
        // What is here is served, also at the end.
        if let Poll::Ready(head) = screen.poll_head(&mut self.inner, context) {
            return Poll::Ready(head.unwrap_or_default());
        }
        // A head that has begun has a time of its own.
        if screen.is_in_head() {
            return Poll::Pending;
        }
        let limit = self.idle_timeout;
        let idle = self.idle.get_or_insert_with(|| Box::pin(sleep_until(since + limit)));
        while idle.as_mut().poll(context).is_ready() {
            if since.elapsed() >= limit {
                return Poll::Ready(None);
            }
            idle.as_mut().reset(since + limit);
        }
        if member.is_to_close(context) { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Whether the parser's side has a request that it has not begun with, or the rest of one.
    #[must_use]
    pub fn has_untaken(&self) -> bool {
        matches!(&self.watch, Watch::Http1(screen) if screen.has_untaken())
    }

    #[must_use]
    pub fn is_h2(&self) -> bool {
        matches!(self.watch, Watch::Http2(_))
    }

    /// The connection behind a pingora session, whatever its HTTP version.
    #[must_use]
    pub fn connection(digest: &ProxyDigest) -> Option<&Connection> {
        digest.user_data.as_ref()?.downcast_ref()
    }
}

impl AsyncRead for Inner {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.watch {
            Watch::Http1(screen) => screen.poll_read(&mut this.inner, context, buffer),
            Watch::Http2(frames) => frames.poll_read(&mut this.inner, context, buffer),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Inner::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        this.while_it_moves(context, polled)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Inner::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        };
        this.while_it_moves(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(context),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(context),
        };
        this.while_it_moves(context, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut *this).poll_flush(context))?;
            ready!(match &mut this.inner {
                Inner::Plain(stream) => Pin::new(stream).poll_shutdown(context),
                Inner::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            })?;
            if !matches!(&this.watch, Watch::Http1(screen) if screen.is_over()) {
                return Poll::Ready(Ok(()));
            }
        }
        // What still comes of a request that was refused would be answered with a reset, and that takes the answer away from who has not
        // read it yet.
        let timer = this.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        while timer.as_mut().poll(context).is_pending() {
            let mut space = [0; 4096];
            let mut rest = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut this.inner).poll_read(context, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {}
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
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
        self.ssl_digest.as_ref().map(|_| if self.is_h2() { ALPN::H2 } else { ALPN::H1 })
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

/// For the rest of a request that was refused.
const LINGER: Duration = Duration::from_secs(2);

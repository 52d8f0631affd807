//! Connections to targets for requests that want to switch protocols.
//!
//! Pingora 0.9.1 tells its upstream half of the end of the request's (empty) body through a queue. When the target's 101 is read before
//! that word is, it is taken for the end of the socket, which is closed at once: about one handshake in a hundred where a target on
//! the same machine answers within a tenth of a millisecond. The two halves take turns, the upstream one first: what was written is held
//! until it wants to read for the second time. By then the word is in the queue, and the answer is still on its way.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// How such a connection is opened; `total_connection_timeout` bounds it.
#[derive(Debug)]
pub(super) struct HoldWrites;

#[async_trait]
impl L4Connect for HoldWrites {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let opened: io::Result<Box<dyn VirtualSocket>> = match address {
            SocketAddr::Inet(address) => TcpStream::connect(address).await.and_then(|stream| {
                stream.set_nodelay(true)?;
                Ok(Box::new(Held::new(stream)) as _)
            }),
            SocketAddr::Unix(address) => match address.as_pathname() {
                Some(path) => UnixStream::connect(path).await.map(|stream| Box::new(Held::new(stream)) as _),
                None => Err(io::ErrorKind::InvalidInput.into()),
            },
        };
        match opened {
            Ok(socket) => Ok(Stream::from(VirtualSocketStream::new(socket))),
            Err(error) => Err(Error::because(ErrorType::ConnectError, "for a switch of protocols", error).into_up()),
        }
    }
}

#[derive(Debug)]
struct Held<S> {
    stream: S,
    held: Vec<u8>,
    /// Somebody has wanted to read since the last write.
    was_read: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Held<S> {
    fn new(stream: S) -> Self {
        Self { stream, held: Vec::new(), was_read: false }
    }

    fn poll_release(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, &self.held))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.drain(..count);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Held<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.was_read || this.held.is_empty() {
            if let Poll::Ready(Err(error)) = this.poll_release(context) {
                return Poll::Ready(Err(error));
            }
        } else {
            this.was_read = true;
            context.waker().wake_by_ref();
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.held.len() >= MOST_HELD {
            ready!(this.poll_release(context))?;
        }
        let count = bytes.len().min(MOST_HELD);
        this.held.extend_from_slice(&bytes[..count]);
        this.was_read = false;
        Poll::Ready(Ok(count))
    }

    /// Both halves read whenever they wait, so that what is held leaves at once.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_release(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + Debug> VirtualSocket for Held<S> {
    /// Nothing is delayed as it is, and a tunnel that nobody speaks on ends by `timeouts.response`.
    fn set_socket_option(&self, _option: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

const MOST_HELD: usize = 64 * 1024;

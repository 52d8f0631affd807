//! Small writes leave together, and with the large one that follows: a head and a small body in one TLS record, the head of a frame and its
//! payload by one call of the system. What holds them is there only while it holds something, so that a connection on which nothing is asked
//! costs nothing here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct Gathering<S> {
    inner: S,
    waiting: Vec<u8>,
    written: usize,
}

impl<S: AsyncWrite + Unpin> Gathering<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, waiting: Vec::new(), written: 0 }
    }

    fn poll_pass_on(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass_on_with(context, &[]))?;
        Poll::Ready(Ok(()))
    }

    /// What waits, and `more` right behind it: how many octets of `more` have gone.
    fn poll_pass_on_with(&mut self, context: &mut Context<'_>, more: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        while self.written < self.waiting.len() {
            let waiting = &self.waiting[self.written..];
            let mut slices = [IoSlice::new(waiting); MOST_SLICES];
            let (_, rest) = slices.split_at_mut(1);
            let count = rest.len().min(more.len());
            rest[..count].copy_from_slice(&more[..count]);
            let written = match ready!(Pin::new(&mut self.inner).poll_write_vectored(context, &slices[..=count]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => written,
            };
            if written > waiting.len() {
                let of_more = written - waiting.len();
                (self.waiting, self.written) = (Vec::new(), 0);
                return Poll::Ready(Ok(of_more));
            }
            self.written += written;
        }
        (self.waiting, self.written) = (Vec::new(), 0);
        if more.is_empty() { Poll::Ready(Ok(0)) } else { Pin::new(&mut self.inner).poll_write_vectored(context, more) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(octets)])
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if this.waiting.len() - this.written + length > MOST {
            return this.poll_pass_on_with(context, slices);
        }
        this.waiting.reserve(if this.waiting.is_empty() { MOST } else { 0 });
        slices.iter().for_each(|slice| this.waiting.extend_from_slice(slice));
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass_on(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass_on(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

const MOST: usize = 4096;
/// The head of a frame and its payload are two, and what waits is one.
const MOST_SLICES: usize = 8;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn everything_arrives_in_order_however_it_is_written_and_nothing_is_kept() {
        // The other end takes a little at a time.
        let (near, mut far) = duplex(100);
        let mut stream = Gathering::new(near);
        let sizes = [1, 100, MOST - 101, 1, MOST - 1, 2, MOST, MOST + 1, 3 * MOST, 0, 5];
        let all: Vec<u8> = (0..sizes.iter().sum::<usize>()).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let written = all.clone();
        let writing = tokio::spawn(async move {
            let mut rest = written.as_slice();
            for size in sizes {
                let (piece, tail) = rest.split_at(size);
                stream.write_all(piece).await.unwrap();
                rest = tail;
            }
            stream.flush().await.unwrap();
            assert_eq!(stream.waiting.capacity(), 0);
            stream.shutdown().await.unwrap();
        });
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        writing.await.unwrap();
        assert_eq!(read, all);
    }

    #[tokio::test]
    async fn small_pieces_wait_for_the_flush() {
        let (near, mut far) = duplex(10_000);
        let mut stream = Gathering::new(near);
        stream.write_all(b"head").await.unwrap();
        stream.write_all(b"body").await.unwrap();
        let mut space = [0; 20];
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut far).poll_read(&mut context, &mut ReadBuf::new(&mut space)).is_pending());
        stream.flush().await.unwrap();
        assert_eq!(far.read(&mut space).await.unwrap(), 8);
    }
}

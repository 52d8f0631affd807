//! Open listeners on their way from a process to the one that takes its place (`serve --upgrade`): no connection is refused meanwhile.
//!
//! The new process waits at a socket of the file system; the old one connects when it is told to (SIGQUIT). Both make sure that the other
//! is of the same user. The old one goes on as if nothing had happened until the new one says that it serves.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Listeners that another process has opened, and what it remembers.
pub struct Inherited {
    sockets: Vec<(SocketAddr, TcpListener)>,
    pub memory: Vec<u8>,
    giver: UnixStream,
}

impl Inherited {
    /// Waits for the process that is told to hand over, for as long as it takes.
    pub async fn wait(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let waiting = tokio::net::UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let (giver, _) = waiting.accept().await?;
        let _ = std::fs::remove_file(path);
        let giver = giver.into_std()?;
        giver.set_nonblocking(false)?;
        tokio::task::spawn_blocking(move || Self::receive(giver)).await.map_err(io::Error::other)?
    }

    fn receive(mut giver: UnixStream) -> io::Result<Self> {
        check_peer(&giver)?;
        giver.set_read_timeout(Some(ANSWER))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut head = [0; 8];
        let received = recvmsg(&giver, &mut [IoSliceMut::new(&mut head)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        if received.bytes != head.len() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut sockets = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                for descriptor in descriptors {
                    let socket = TcpListener::from(descriptor);
                    sockets.push((socket.local_addr()?, socket));
                }
            }
        }
        let memory = rest(&mut giver, head)?;
        Ok(Self { sockets, memory, giver })
    }

    /// The listener at an address, if the other process had one.
    pub fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self.sockets.iter().position(|(at, _)| *at == address)?;
        Some(self.sockets.swap_remove(place).1)
    }

    /// The other process may stop. Listeners that nobody has taken are closed here. What it learns while it finishes its requests is
    /// given to `learn`.
    pub fn serves(mut self, learn: impl Fn(Vec<u8>) + Send + 'static) -> io::Result<()> {
        self.giver.write_all(READY)?;
        self.giver.set_read_timeout(None)?;
        std::thread::spawn(move || {
            let mut head = [0; 8];
            while self.giver.read_exact(&mut head).is_ok()
                && let Ok(memory) = rest(&mut self.giver, head)
            {
                learn(memory);
            }
        });
        Ok(())
    }
}

/// What `head` announces.
fn rest(giver: &mut UnixStream, head: [u8; 8]) -> io::Result<Vec<u8>> {
    let length = u64::from_be_bytes(head);
    let mut memory = Vec::new();
    if giver.take(length).read_to_end(&mut memory)? as u64 == length { Ok(memory) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// The process that has the listeners now.
pub struct Taker(UnixStream);

impl Taker {
    /// What has been learnt since.
    pub async fn tell(self, memory: Vec<u8>) -> io::Result<Self> {
        let Self(mut stream) = self;
        let tell = move || {
            stream.write_all(&(memory.len() as u64).to_be_bytes())?;
            stream.write_all(&memory)?;
            Ok(Self(stream))
        };
        tokio::task::spawn_blocking(tell).await.map_err(io::Error::other)?
    }
}

/// Gives all listeners to the process that waits at `path`, and returns when it serves. On any error nothing has changed.
pub async fn hand_over(path: &Path, sockets: &[TcpListener], memory: Vec<u8>) -> io::Result<Taker> {
    if sockets.len() > MOST_SOCKETS {
        return Err(io::Error::other(format!("there are more than {MOST_SOCKETS} listeners")));
    }
    let copies = sockets.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || give(&path, copies, &memory)).await.map_err(io::Error::other)?
}

fn give(path: &Path, sockets: Vec<TcpListener>, memory: &[u8]) -> io::Result<Taker> {
    let mut taker = connect(path)?;
    check_peer(&taker)?;
    taker.set_write_timeout(Some(ANSWER))?;
    let sockets: Vec<OwnedFd> = sockets.into_iter().map(OwnedFd::from).collect();
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("the listeners do not fit into a message"));
    }
    let head = (memory.len() as u64).to_be_bytes();
    if sendmsg(&taker, &[IoSlice::new(&head)], &mut control, SendFlags::NOSIGNAL)? != head.len() {
        return Err(ErrorKind::WriteZero.into());
    }
    taker.write_all(memory)?;
    // It compiles nothing any more, and looks up names of targets.
    taker.set_read_timeout(Some(START))?;
    let mut answer = [0; READY.len()];
    taker.read_exact(&mut answer)?;
    if answer == *READY { Ok(Taker(taker)) } else { Err(ErrorKind::InvalidData.into()) }
}

/// Between the moment at which the socket is there and the one at which it listens.
fn connect(path: &Path) -> io::Result<UnixStream> {
    for _ in 0..20 {
        match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::thread::sleep(Duration::from_millis(25)),
            connected => return connected,
        }
    }
    UnixStream::connect(path)
}

/// Whoever has the listeners can answer in our name.
fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let peer = socket_peercred(stream)?.uid;
    if peer == rustix::process::geteuid() {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::PermissionDenied, "the process at the other end belongs to another user"))
}

const READY: &[u8; 5] = b"ready";
const MOST_SOCKETS: usize = 64;
const ANSWER: Duration = Duration::from_secs(10);
const START: Duration = Duration::from_secs(60);

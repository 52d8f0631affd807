//! SIGQUIT: another process takes the place of this one, and no request fails for it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::sleep;

use super::{Running, StartError, bind};
use crate::gateway::Gateway;
use crate::listener::{Inherited, Taker, hand_over};

/// For how long a connection that is kept may bring one more request, which is answered with the word to close it. Whoever closes it
/// first loses a request that is on its way.
const LINGER: Duration = Duration::from_secs(10);

impl Running {
    /// Gives the listeners to the process that waits at `path`, and returns when it serves. On an error this one goes on.
    pub async fn hand_over(&self, path: &Path) -> io::Result<Taker> {
        hand_over(path, &self.sockets, self.memory()).await
    }

    /// Finishes its requests while the other process serves, and tells it what is ended meanwhile.
    pub async fn leave_to(self, taker: Taker) {
        let _ = self.leave_admin.send(true);
        let _ = self.linger.set(LINGER.min(self.drain_timeout / 2));
        let gateway = self.reloadable.gateway.clone();
        let mut taker = Some(taker);
        let mut stopping = std::pin::pin!(self.stop());
        let mut has_stopped = false;
        while !has_stopped {
            tokio::select! {
                () = &mut stopping => has_stopped = true,
                () = sleep(TELL) => {}
            }
            taker = match taker {
                Some(taker) => taker.tell(memory(&gateway.load())).await.ok(),
                None => None,
            };
        }
    }

    fn memory(&self) -> Vec<u8> {
        memory(&self.reloadable.gateway.load())
    }
}

fn memory(gateway: &Gateway) -> Vec<u8> {
    postcard::to_allocvec(&gateway.authentication.remembered()).unwrap_or_default()
}

/// What the process before has known. One of another version may have said it in other words; then it is not known.
pub(super) fn recall(gateway: &Gateway, memory: &[u8]) {
    match postcard::from_bytes(memory) {
        Ok(remembered) => gateway.authentication.recall(&remembered),
        Err(error) => tracing::warn!(%error, "what the process before had ended is not known here"),
    }
}

/// Tells the process before that it may stop, and goes on learning from it.
pub(super) fn learn(inherited: Inherited, gateway: Arc<ArcSwap<Gateway>>) {
    if let Err(error) = inherited.serves(move |memory| recall(&gateway.load(), &memory)) {
        tracing::warn!(%error, "the process before does not know that this one serves");
    }
}

pub(super) fn take_or_bind(address: SocketAddr, inherited: &mut Option<Inherited>) -> Result<TcpListener, StartError> {
    match inherited.as_mut().and_then(|inherited| inherited.take(address)) {
        Some(socket) => Ok(socket),
        None => bind(address),
    }
}

const TELL: Duration = Duration::from_secs(1);

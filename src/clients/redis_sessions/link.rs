//! The connection: one for all commands and messages, looked after in the background. A request never waits for it to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, ErrorKind, Pipeline, PushInfo, PushKind, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, watch};
use tokio::time::{interval, sleep, timeout};

use super::event::Event;
use super::freshness::{BEAT, TOO_SILENT};
use super::{Inner, StoreObserver, connect};
use crate::authentication::SessionStoreError;

pub(super) struct Link {
    state: watch::Sender<State>,
    /// The connection is of no use.
    broken: Notify,
    /// Of the connection that there is, or was.
    number: AtomicU64,
    observer: StoreObserver,
}

#[derive(Clone)]
enum State {
    /// There has been no answer to the first attempt yet.
    Beginning,
    Open(Open),
    /// With the last error.
    Down(Arc<str>),
}

#[derive(Clone)]
struct Open {
    connection: Connection,
    number: u64,
    since: Instant,
}

/// To one server, or to a cluster.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(&'a mut self, pipeline: &'a Pipeline, offset: usize, count: usize) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl Link {
    pub(super) fn new(observer: StoreObserver) -> Self {
        Self { state: watch::Sender::new(State::Beginning), broken: Notify::new(), number: AtomicU64::new(0), observer }
    }

    /// One exchange, within a second whatever happens.
    pub(super) async fn run<T>(&self, exchange: impl AsyncFnOnce(Connection) -> RedisResult<T>) -> Result<T, SessionStoreError> {
        let result = match self.open().await {
            Ok(open) => {
                let Open { connection, number, since } = open;
                let answer = timeout(RESPONSE, exchange(connection)).await;
                answer.map_err(|_| SessionStoreError("no answer".to_owned())).inspect_err(|_| self.is_broken(number)).and_then(|answer| {
                    answer.map_err(|error| {
                        if gives_up(&error, since.elapsed()) {
                            self.is_broken(number);
                        }
                        SessionStoreError(error.to_string())
                    })
                })
            }
            Err(error) => Err(error),
        };
        (self.observer)(result.is_ok());
        result
    }

    /// An answer that no question of ours can have: the next ones would be as wrong.
    pub(super) fn lies(&self, what: &str) -> SessionStoreError {
        self.is_broken(self.number.load(Ordering::Acquire));
        SessionStoreError(what.to_owned())
    }

    async fn open(&self) -> Result<Open, SessionStoreError> {
        let mut state = self.state.subscribe();
        let known = timeout(RESPONSE, state.wait_for(|state| !matches!(state, State::Beginning))).await;
        match known.as_ref().map(|known| known.as_deref()) {
            Ok(Ok(State::Open(open))) => Ok(open.clone()),
            Ok(Ok(State::Down(error))) => Err(SessionStoreError(format!("no connection: {error}"))),
            Ok(Ok(State::Beginning) | Err(_)) | Err(_) => Err(SessionStoreError("no connection yet".to_owned())),
        }
    }

    fn is_broken(&self, number: u64) {
        // Not the one that has taken its place meanwhile.
        if number == self.number.load(Ordering::Acquire) {
            self.broken.notify_one();
        }
    }

    fn down(&self, error: &str) {
        let is_news = !matches!(&*self.state.borrow(), State::Down(known) if **known == *error);
        if is_news {
            tracing::warn!(error, "the session store cannot be reached");
            self.state.send_replace(State::Down(error.into()));
        }
    }
}

/// Whether a connection after this error is better than the one that there is.
fn gives_up(error: &RedisError, age: Duration) -> bool {
    match error.kind() {
        // Such a server was perhaps the master, and another is now. That is looked up, but not at every request.
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading) => age > SETTLED,
        ErrorKind::Server(_) | ErrorKind::Extension => false,
        _ => true,
    }
}

impl Inner {
    /// For ever.
    pub(super) async fn tend(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let opened = timeout(CONNECT, connect::open(&self.servers, &self.keys.channel)).await;
            match opened.unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "no answer")))) {
                Ok((connection, messages)) => {
                    pause = FIRST_PAUSE;
                    self.serve(connection, messages).await;
                }
                Err(error) => self.link.down(&error.to_string()),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Until the connection is of no use any more.
    async fn serve(&self, connection: Connection, mut messages: UnboundedReceiver<PushInfo>) {
        let number = self.link.number.fetch_add(1, Ordering::AcqRel) + 1;
        self.cache.begins_anew();
        let begin = Instant::now();
        self.link.state.send_replace(State::Open(Open { connection: connection.clone(), number, since: begin }));
        tracing::info!("connected to the session store");
        let listening = async {
            while let Some(push) = messages.recv().await {
                match push.kind {
                    PushKind::Message | PushKind::SMessage => {
                        if let Some(Value::BulkString(message)) = push.data.last()
                            && let Some(event) = Event::read(message)
                        {
                            self.hear(event);
                        }
                    }
                    PushKind::Disconnection => break,
                    _ => {}
                }
            }
            "the connection was closed"
        };
        let beating = async {
            let mut ticks = interval(BEAT);
            loop {
                ticks.tick().await;
                let sent = self.cache.freshness.now();
                let beat = self.scripts.publication(&self.keys.channel, Event::Beat { instance: self.instance, sent });
                let mut connection = connection.clone();
                // What comes of it is seen by what is heard.
                let _ = timeout(RESPONSE, beat.query_async::<()>(&mut connection)).await;
                if self.cache.freshness.silence().min(begin.elapsed()) > TOO_SILENT {
                    break "nothing is heard";
                }
            }
        };
        let error = tokio::select! {
            error = listening => error,
            error = beating => error,
            () = self.link.broken.notified() => "an exchange has failed",
        };
        self.cache.begins_anew();
        self.link.down(error);
    }
}

const CONNECT: Duration = Duration::from_millis(1500);
/// With what comes before and after it, less than a second.
pub(super) const RESPONSE: Duration = Duration::from_millis(600);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);
const SETTLED: Duration = Duration::from_secs(3);

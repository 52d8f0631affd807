//! `store: redis`: sessions that a fleet shares, in Redis or Valkey.
//!
//! What this instance has read is kept in mind for as long as it is sure to hear of every change within a second (`Freshness`): a request
//! whose session is known costs no round trip, any other costs one. Whoever cannot hear asks every time, and whoever cannot ask
//! knows nothing: then there is no session, and no sign-in, until the store is back (threats O01, O02).

mod cache;
mod connect;
mod event;
mod freshness;
mod keys;
mod link;
mod listing;
mod scripts;
mod turns;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use redis::cmd;
use tokio::task::AbortHandle;

use self::cache::Cache;
use self::event::Event;
use self::keys::Keys;
use self::link::Link;
use self::scripts::Scripts;
use crate::authentication::{SessionStore, SessionStoreError, StoredSession, Turn};
use crate::clock::UnixTime;
use crate::identity::{Mark, Marks, SessionId};
use crate::secret::{Entropy, EntropyError};
use crate::session::{EndedSessions, Ending, RedisServers, RedisTopology};

/// Told of each command: whether it was answered.
pub type StoreObserver = Arc<dyn Fn(bool) + Send + Sync>;

/// Sessions at Redis. Connected once `start` has been called, and for as long as this is there.
pub struct RedisSessions {
    inner: Arc<Inner>,
    tending: OnceLock<AbortHandle>,
}

struct Inner {
    servers: RedisServers,
    keys: Keys,
    scripts: Scripts,
    link: Link,
    cache: Cache,
    /// Of this gateway: what other instances end, ends here too.
    ended: EndedSessions,
    entropy: Entropy,
    instance: [u8; 16],
}

impl RedisSessions {
    pub fn new(servers: RedisServers, ended: EndedSessions, entropy: &Entropy, observer: StoreObserver) -> Result<Self, EntropyError> {
        let inner = Inner {
            keys: Keys::new(&servers.key_prefix),
            scripts: Scripts::new(matches!(servers.topology, RedisTopology::Cluster)),
            link: Link::new(observer),
            cache: Cache::new(),
            ended,
            entropy: entropy.clone(),
            instance: entropy.bytes()?,
            servers,
        };
        Ok(Self { inner: Arc::new(inner), tending: OnceLock::new() })
    }

    #[must_use]
    pub fn is_at(&self, servers: &RedisServers) -> bool {
        self.inner.servers.is_same(servers)
    }

    /// Connects, and connects anew whenever the connection is lost.
    pub fn start(&self) {
        self.tending.get_or_init(|| {
            let inner = self.inner.clone();
            tokio::spawn(async move { inner.tend().await }).abort_handle()
        });
    }

    /// Does everything once with a session of nobody: a user of the server may lack a permission.
    pub async fn try_out(&self) -> Result<(), SessionStoreError> {
        let name: [u8; 16] = self.inner.entropy.bytes().map_err(|error| SessionStoreError(error.to_string()))?;
        let id = SessionId(name);
        let marks = Marks::new(&id.hash(), ("", ""), "", None, UnixTime(0));
        let session = |generation| StoredSession { generation, sealed: name.to_vec() };
        self.insert(id, session(0), &marks, TRIAL).await?;
        let is_ours = matches!(self.turn(id, 0).await?, Turn::Ours(_));
        let is_there = self.load(id).await?.is_some() && self.replace(id, 0, session(1), TRIAL).await?;
        self.remove_marked(Mark::session(&id.hash()), UnixTime(0)).await?;
        let is_gone = self.load(id).await?.is_none();
        let is_first = self.claim(name, TRIAL).await?;
        if is_ours && is_there && is_gone && is_first {
            Ok(())
        } else {
            Err(SessionStoreError("it does not keep what it is given".to_owned()))
        }
    }
}

impl Drop for RedisSessions {
    fn drop(&mut self) {
        if let Some(tending) = self.tending.get() {
            tending.abort();
        }
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn load(&self, id: SessionId) -> Result<Option<Vec<u8>>, SessionStoreError> {
        let inner = &self.inner;
        if let Some(sealed) = inner.cache.get(id) {
            return Ok(Some(sealed));
        }
        let asked = inner.cache.asked(id);
        let mut get = cmd("GET");
        get.arg(inner.keys.session(id));
        let found: Option<Vec<u8>> = inner.link.run(async |mut connection| get.query_async(&mut connection).await).await?;
        let Some(value) = found else { return Ok(None) };
        match State::read(&value, id) {
            Some(state) => {
                inner.cache.put(id, &asked, state.sealed);
                Ok(Some(state.sealed.to_vec()))
            }
            // Somebody has put it there: it opens for nobody.
            None if inner.answers_what_is_asked().await? => Ok(Some(Vec::new())),
            None => Err(inner.link.lies("its answers are those of other questions")),
        }
    }

    async fn insert(&self, id: SessionId, session: StoredSession, marks: &Marks, lifetime: Duration) -> Result<(), SessionStoreError> {
        let inner = &self.inner;
        let value = State::of(id, &session).write();
        let asked = inner.cache.asked(id);
        for pipe in inner.scripts.insert(&inner.keys, id, &value, marks, lifetime) {
            inner.link.run(async |mut connection| pipe.query_async::<()>(&mut connection).await).await?;
        }
        inner.cache.put(id, &asked, &session.sealed);
        Ok(())
    }

    async fn replace(&self, id: SessionId, generation: u32, session: StoredSession, lifetime: Duration) -> Result<bool, SessionStoreError> {
        let inner = &self.inner;
        let value = State::of(id, &session).write();
        // Whatever comes of it: what was read before is not to be trusted any more.
        let replaced = inner.scripts.replace(inner, id, generation, &value, lifetime).await;
        inner.cache.forget(id);
        replaced
    }

    async fn remove(&self, id: SessionId, ending: Ending) -> Result<(), SessionStoreError> {
        self.inner.remove(id, ending).await
    }

    async fn some(&self, limit: usize) -> Result<Option<Vec<(SessionId, Vec<u8>)>>, SessionStoreError> {
        // A cluster would have to be asked node by node.
        if matches!(self.inner.servers.topology, RedisTopology::Cluster) {
            Ok(None)
        } else {
            listing::some(&self.inner, limit).await.map(Some)
        }
    }

    async fn remove_marked(&self, mark: Mark, until: UnixTime) -> Result<(), SessionStoreError> {
        let inner = &self.inner;
        // First of all those that are in use, wherever they are; then what nobody has in mind.
        inner.scripts.tell_always(inner, Event::EndedByMark(mark, until)).await?;
        let mut range = cmd("ZRANGEBYSCORE");
        range.arg(inner.keys.mark(mark)).arg("-inf").arg(until.0);
        let ids: Vec<Vec<u8>> = inner.link.run(async |mut connection| range.query_async(&mut connection).await).await?;
        for id in ids.into_iter().filter_map(|id| id.try_into().ok()) {
            inner.remove(SessionId(id), Ending::SignedOut).await?;
        }
        Ok(())
    }

    async fn turn(&self, id: SessionId, generation: u32) -> Result<Turn, SessionStoreError> {
        turns::take(&self.inner, id, generation).await
    }

    async fn claim(&self, name: [u8; 16], lifetime: Duration) -> Result<bool, SessionStoreError> {
        let mut set = cmd("SET");
        set.arg(self.inner.keys.once(&name)).arg("").arg("NX").arg("PX").arg(keys::milliseconds(lifetime));
        let first: Option<()> = self.inner.link.run(async |mut connection| set.query_async(&mut connection).await).await?;
        Ok(first.is_some())
    }

    async fn release(&self, name: [u8; 16]) -> Result<(), SessionStoreError> {
        let mut delete = cmd("DEL");
        delete.arg(self.inner.keys.once(&name));
        self.inner.link.run(async |mut connection| delete.query_async::<()>(&mut connection).await).await
    }
}

impl Inner {
    async fn answers_what_is_asked(&self) -> Result<bool, SessionStoreError> {
        let word: [u8; 16] = self.entropy.bytes().map_err(|error| SessionStoreError(error.to_string()))?;
        let mut echo = cmd("ECHO");
        echo.arg(&word[..]);
        let heard: Vec<u8> = self.link.run(async |mut connection| echo.query_async(&mut connection).await).await?;
        Ok(heard == word)
    }

    async fn remove(&self, id: SessionId, ending: Ending) -> Result<(), SessionStoreError> {
        let removed = self.scripts.remove(self, id, ending).await;
        self.cache.forget(id);
        removed
    }

    /// What another instance has done, or this one.
    fn hear(&self, event: Event) {
        match event {
            Event::Beat { instance, sent } if instance == self.instance => self.cache.freshness.is_heard(sent),
            Event::Beat { .. } => {}
            Event::Changed(id) => self.cache.forget(id),
            Event::Ended(id, ending) => {
                self.cache.forget(id);
                self.ended.end(id, ending);
            }
            Event::EndedByMark(mark, until) => self.ended.end_marked(mark, until),
        }
    }
}

/// What stands under the key of a session. The id and the number are there in the clear: the first tells an answer to another question,
/// and the second is compared by the server.
struct State<'a> {
    id: SessionId,
    generation: u32,
    sealed: &'a [u8],
}

impl<'a> State<'a> {
    fn of(id: SessionId, session: &'a StoredSession) -> Self {
        Self { id, generation: session.generation, sealed: &session.sealed }
    }

    fn write(&self) -> Vec<u8> {
        [&self.id.0[..], &self.generation.to_be_bytes(), self.sealed].concat()
    }

    fn read(value: &'a [u8], id: SessionId) -> Option<Self> {
        let (own, rest) = value.split_first_chunk::<16>()?;
        let (generation, sealed) = rest.split_first_chunk::<4>()?;
        (*own == id.0).then(|| Self { id, generation: u32::from_be_bytes(*generation), sealed })
    }
}

/// Of a session of nobody.
const TRIAL: Duration = Duration::from_secs(10);

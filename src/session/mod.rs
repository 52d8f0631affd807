//! The session: what it holds, how it is sealed, how it travels in cookies, how it ends.

mod cookie;
mod record;
mod redis_servers;
mod reference;
mod revocations;
mod seal;

pub use cookie::{MAX_COOKIE_BYTES, MAX_SHARDS, SessionCookie, is_reserved_cookie};
pub use record::{OpenedSession, RecordError, SessionRecord};
pub use redis_servers::{RedisAddress, RedisLogin, RedisServers, RedisTopology};
pub use reference::SessionReference;
pub use revocations::{EndedSessions, Ending, Remembered, UsedOnce};
pub use seal::{Purpose, SealError, Sealer, SessionKey, SessionKeyError};

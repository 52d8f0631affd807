//! What the server does in one step.
//!
//! A single server tells the others in the same step; in a cluster, where the channel is at another server perhaps, right after it.

use std::time::Duration;

use redis::{Cmd, Pipeline, Script, cmd, pipe};

use super::Inner;
use super::event::Event;
use super::keys::{Keys, milliseconds};
use super::link::RESPONSE;
use crate::authentication::SessionStoreError;
use crate::identity::{Marks, SessionId};
use crate::session::Ending;

pub(super) struct Scripts {
    in_cluster: bool,
    replace: Script,
    remove: Script,
    pub(super) take_turn: Script,
    pub(super) keep_turn: Script,
    pub(super) leave_turn: Script,
}

impl Scripts {
    pub(super) fn new(in_cluster: bool) -> Self {
        Self {
            in_cluster,
            replace: Script::new(REPLACE),
            remove: Script::new(REMOVE),
            take_turn: Script::new(TAKE_TURN),
            keep_turn: Script::new(KEEP_TURN),
            leave_turn: Script::new(LEAVE_TURN),
        }
    }

    /// A new session, and the ways to find it: one exchange, or one for each place in a cluster.
    pub(super) fn insert(&self, keys: &Keys, id: SessionId, value: &[u8], marks: &Marks, lifetime: Duration) -> Vec<Pipeline> {
        let lifetime = milliseconds(lifetime);
        let signed_in_at = marks.signed_in_at.0;
        let mut pipes = Vec::new();
        for mark in marks.all() {
            let key = keys.mark(mark);
            let mut pipe = pipe();
            // Those of long ago are gone by themselves.
            pipe.cmd("ZREMRANGEBYSCORE").arg(&key).arg("-inf").arg(signed_in_at.saturating_sub(LONGEST_SESSION.as_secs())).ignore();
            pipe.cmd("ZADD").arg(&key).arg(signed_in_at).arg(&id.0).ignore();
            pipe.cmd("PEXPIRE").arg(&key).arg(milliseconds(LONGEST_SESSION)).ignore();
            pipes.push(pipe);
        }
        // Last: a session that is there can be found.
        let mut last = pipe();
        last.cmd("SET").arg(keys.session(id)).arg(value).arg("PX").arg(lifetime).ignore();
        pipes.push(last);
        if self.in_cluster {
            return pipes;
        }
        let mut whole = pipe();
        for command in pipes.iter().flat_map(Pipeline::cmd_iter) {
            whole.add_command(command.clone()).ignore();
        }
        vec![whole]
    }

    pub(super) async fn replace(
        &self,
        inner: &Inner,
        id: SessionId,
        generation: u32,
        value: &[u8],
        lifetime: Duration,
    ) -> Result<bool, SessionStoreError> {
        let event = Event::Changed(id);
        let mut invocation = self.replace.key(inner.keys.session(id));
        invocation.arg(&generation.to_be_bytes()).arg(value).arg(milliseconds(lifetime));
        invocation.arg(self.channel(inner)).arg(event.write());
        let replaced = inner.link.run(async |mut connection| invocation.invoke_async(&mut connection).await).await?;
        if replaced {
            self.tell(inner, event).await?;
        }
        Ok(replaced)
    }

    pub(super) async fn remove(&self, inner: &Inner, id: SessionId, ending: Ending) -> Result<(), SessionStoreError> {
        let event = Event::Ended(id, ending);
        let mut invocation = self.remove.key(inner.keys.session(id));
        invocation.arg(self.channel(inner)).arg(event.write());
        inner.link.run(async |mut connection| invocation.invoke_async::<()>(&mut connection).await).await?;
        self.tell(inner, event).await
    }

    /// What a single server has told already.
    async fn tell(&self, inner: &Inner, event: Event) -> Result<(), SessionStoreError> {
        if self.in_cluster { self.tell_always(inner, event).await } else { Ok(()) }
    }

    pub(super) async fn tell_always(&self, inner: &Inner, event: Event) -> Result<(), SessionStoreError> {
        let publication = self.publication(&inner.keys.channel, event);
        let told = inner.link.run(async |mut connection| publication.query_async::<()>(&mut connection).await).await;
        if told.is_ok() {
            return told;
        }
        // Others would believe what they have in mind.
        tokio::time::sleep(RESPONSE).await;
        inner.link.run(async |mut connection| publication.query_async::<()>(&mut connection).await).await
    }

    pub(super) fn publication(&self, channel: &str, event: Event) -> Cmd {
        let mut publish = cmd(if self.in_cluster { "SPUBLISH" } else { "PUBLISH" });
        publish.arg(channel).arg(event.write());
        publish
    }

    /// Where a script tells; empty where it must not.
    fn channel<'a>(&self, inner: &'a Inner) -> &'a str {
        if self.in_cluster { "" } else { &inner.keys.channel }
    }
}

/// The longest that a configuration can ask for.
const LONGEST_SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The bytes 16 to 19 of a session are the number of its state.
const REPLACE: &str = "
if redis.call('GETRANGE', KEYS[1], 16, 19) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1";

const REMOVE: &str = "
redis.call('DEL', KEYS[1])
if ARGV[1] ~= '' then redis.call('PUBLISH', ARGV[1], ARGV[2]) end
return 1";

/// 1: taken; 2: somebody has just failed; nothing: there is no such session; its state, where that is another one; or less than one:
/// somebody has it, for so many milliseconds.
const TAKE_TURN: &str = "
local state = redis.call('GETRANGE', KEYS[1], 16, 19)
if state == '' then return false end
if state ~= ARGV[1] then return redis.call('GET', KEYS[1]) end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return 1 end
if redis.call('GET', KEYS[2]) == 'failed' then return 2 end
return -redis.call('PTTL', KEYS[2])";

/// Also where it was lost with a server.
const KEEP_TURN: &str = "
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// For a while nobody may have it, where there is a second argument.
const LEAVE_TURN: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], 'failed', 'PX', ARGV[2]) end
return 1";

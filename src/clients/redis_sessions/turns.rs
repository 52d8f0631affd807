//! One refresh at a time in the whole fleet (threats E02–E04).
//!
//! A turn ends by itself a while after its holder has died. Nobody waits for that long: a session whose refresh is not to be had goes
//! on for a grace, and the next one to ask finds the turn free.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::Value;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::keys::milliseconds;
use super::{Inner, State};
use crate::authentication::{SessionStoreError, Turn, TurnHeld};
use crate::identity::SessionId;

/// See `SessionStore::turn`.
pub(super) async fn take(inner: &Arc<Inner>, id: SessionId, generation: u32) -> Result<Turn, SessionStoreError> {
    let token: [u8; 16] = inner.entropy.bytes().map_err(|error| SessionStoreError(error.to_string()))?;
    let begin = Instant::now();
    loop {
        let mut invocation = inner.scripts.take_turn.key(inner.keys.session(id));
        invocation.key(inner.keys.turn(id)).arg(&generation.to_be_bytes()).arg(&token[..]).arg(milliseconds(HELD));
        let answer: Value = inner.link.run(async |mut connection| invocation.invoke_async(&mut connection).await).await?;
        match answer {
            Value::Int(1) => return Ok(Turn::Ours(Some(hold(inner.clone(), id, token)))),
            Value::Int(2) => return Ok(Turn::NotNow),
            // Whoever has it goes on saying so, and has died where nothing was said for a while.
            Value::Int(left) if left <= 0 => {
                let silence = HELD.saturating_sub(Duration::from_millis(left.unsigned_abs()));
                if silence > SILENT || begin.elapsed() > PATIENCE {
                    return Ok(Turn::NotNow);
                }
                sleep(AGAIN).await;
            }
            Value::Nil => return Ok(Turn::Over),
            Value::BulkString(value) => {
                // What is in mind is old.
                inner.cache.forget(id);
                let state = State::read(&value, id).filter(|state| state.generation != generation);
                return state.map(|state| Turn::Done(state.sealed.to_vec())).ok_or_else(|| inner.link.lies("what was read is no session"));
            }
            _ => return Err(inner.link.lies("the answer of a script is none of its answers")),
        }
    }
}

struct Held(Arc<Signal>);

#[derive(Default)]
struct Signal {
    left: Notify,
    failed: AtomicBool,
}

impl TurnHeld for Held {
    fn failed(&self) {
        self.0.failed.store(true, Ordering::Release);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.left.notify_one();
    }
}

/// Keeps the turn until it is left.
fn hold(inner: Arc<Inner>, id: SessionId, token: [u8; 16]) -> Arc<dyn TurnHeld> {
    let signal = Arc::<Signal>::default();
    let held = Held(signal.clone());
    tokio::spawn(async move {
        let key = inner.keys.turn(id);
        while timeout(KEEP, signal.left.notified()).await.is_err() {
            let mut invocation = inner.scripts.keep_turn.key(&key);
            invocation.arg(&token[..]).arg(milliseconds(HELD));
            // A store that does not answer gives it to nobody else either.
            let _ = inner.link.run(async |mut connection| invocation.invoke_async::<()>(&mut connection).await).await;
        }
        let pause = if signal.failed.load(Ordering::Acquire) { milliseconds(AFTER_FAILURE) } else { 0 };
        let mut invocation = inner.scripts.leave_turn.key(&key);
        invocation.arg(&token[..]).arg(pause);
        let _ = inner.link.run(async |mut connection| invocation.invoke_async::<()>(&mut connection).await).await;
    });
    Arc::new(held)
}

/// For how long after its last sign the holder is believed to live: through a server that restarts, and less than the grace of a session
/// whose refresh is not to be had.
const HELD: Duration = Duration::from_secs(30);
const KEEP: Duration = Duration::from_secs(1);
const SILENT: Duration = Duration::from_secs(3);
/// Between two looks at a turn that somebody has.
const AGAIN: Duration = Duration::from_millis(50);
/// The provider is given ten seconds to answer; who waits longer is served with what is known.
const PATIENCE: Duration = Duration::from_secs(12);
const AFTER_FAILURE: Duration = Duration::from_secs(1);

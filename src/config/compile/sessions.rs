//! `sessions`.

use std::sync::Arc;

use super::context::Context;
use super::{Connect, redis};
use crate::authentication::SessionStore;
use crate::config::raw::{SecretSource, Sessions, Store};
use crate::config::reader::Located;
use crate::session::{EndedSessions, SessionKey, SessionKeyError};

/// The keys that are sound; faults for the others.
pub(super) fn keys(context: &mut Context<'_>, raw: Option<&Sessions>) -> Vec<SessionKey> {
    let Some(raw) = raw else { return Vec::new() };
    if raw.keys.value.is_empty() {
        context.error_hint(&raw.keys, "there is no session key", "make one with: vestibule keys session > session.key");
    }
    let mut keys = Vec::new();
    for secret in &raw.keys.value {
        let Some(text) = context.secret(secret) else { continue };
        match SessionKey::parse(text.expose()) {
            Ok(key) => keys.push(key),
            Err(error) => {
                let at = Located { value: (), span: secret.span, path: secret.path.clone() };
                let (named, hint) = match &secret.source {
                    SecretSource::File(file) => (format!("the key in {file}"), format!("make one with: vestibule keys session > {file}")),
                    SecretSource::Environment(name) => (format!("the key in {name}"), "make one with: vestibule keys session".to_owned()),
                    SecretSource::Literal(_) => ("the key".to_owned(), "make one with: vestibule keys session".to_owned()),
                };
                let message = match error {
                    SessionKeyError::Length(bytes) => format!("{named} has {bytes} bytes; 32 are needed"),
                    SessionKeyError::Encoding => format!("{named} is not base64"),
                    SessionKeyError::Weak => format!("{named} is not random: it repeats a few bytes"),
                };
                context.error_hint(&at, message, hint);
            }
        }
    }
    keys
}

/// How much memory those may have who have just been seen.
pub(super) fn remembered_bytes(raw: Option<&Sessions>) -> u64 {
    raw.and_then(|raw| raw.remembered_bytes.as_ref()).map_or(REMEMBERED_BYTES, |at| at.value)
}

const REMEMBERED_BYTES: u64 = 256 * 1024 * 1024;

/// Where sessions are kept; `None`: in the cookies.
pub(super) fn store(
    context: &mut Context<'_>,
    raw: Option<&Sessions>,
    ended: &EndedSessions,
    connect: &dyn Connect,
) -> Option<Arc<dyn SessionStore>> {
    let raw = raw?;
    let store = raw.store.as_ref().map_or(Store::Cookie, |at| at.value);
    if let (true, Some(at)) = (store != Store::Redis, &raw.redis) {
        context.warn(at, "sessions are not kept there", "write store: redis beside it");
    }
    match (store, raw.store.as_ref()?) {
        (Store::Cookie, _) => None,
        (Store::Memory, at) => {
            context.warn(
                at,
                "sessions end with this process, and no other instance knows them",
                "good for one instance whose people may sign in again after a restart; otherwise `store: cookie`",
            );
            Some(connect.memory_sessions())
        }
        (Store::Redis, at) => {
            let Some(redis) = &raw.redis else {
                context.error_hint(at, "nobody says where the Redis is", "write redis: {url: rediss://redis.internal:6379/0} beside it");
                return None;
            };
            let servers = redis::servers(context, redis)?;
            connect.redis_sessions(servers, ended).map_err(|error| context.error(redis, error)).ok()
        }
    }
}

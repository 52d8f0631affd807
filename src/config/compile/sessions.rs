//! `sessions`.

use super::context::Context;
use crate::config::raw::{SecretSource, Sessions, Store};
use crate::config::reader::Located;
use crate::session::{SessionKey, SessionKeyError};

/// The keys that are sound; faults for the others.
pub(super) fn keys(context: &mut Context<'_>, raw: Option<&Sessions>) -> Vec<SessionKey> {
    let Some(raw) = raw else { return Vec::new() };
    let (Some(Store::Cookie) | None) = raw.store;
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

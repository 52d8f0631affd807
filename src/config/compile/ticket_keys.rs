//! `session_ticket_keys`: what several gateways seal and open tickets with.

use std::os::unix::fs::PermissionsExt as _;

use super::context::Context;
use crate::config::raw::{Listener, Protocol};
use crate::secret::Secret;

/// As they stand in their files; the first one seals.
pub(super) fn compile(context: &mut Context<'_>, raw: &Listener, protocol: Protocol, asks_for_certificates: bool) -> Vec<Secret<Vec<u8>>> {
    let mut keys: Vec<Secret<Vec<u8>>> = Vec::new();
    if raw.session_ticket_keys.value.is_empty() {
        return keys;
    }
    if protocol == Protocol::Http {
        context.error(&raw.session_ticket_keys, "an http listener has no handshakes");
    }
    if asks_for_certificates {
        let why = "has no effect: where clients show certificates, each connection shows one";
        context.warn(&raw.session_ticket_keys, why, "leave it out");
    }
    for at in raw.session_ticket_keys.value.iter().map(|key| &key.file) {
        let Some(bytes) = context.file(at).map(Secret::new) else { continue };
        if !matches!(bytes.expose().len(), 48 | 80) {
            let message = format!("{} has {} bytes; a key for tickets has 48 or 80", at.value, bytes.expose().len());
            context.error_hint(at, message, format!("make one with: openssl rand 80 > {}", at.value));
            continue;
        }
        if keys.iter().any(|known| known.expose()[..NAME] == bytes.expose()[..NAME]) {
            context.error(at, format!("{} has the name of another key, which is its first {NAME} bytes", at.value));
        }
        if std::fs::metadata(context.path(&at.value)).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0) {
            context.warn(at, format!("everybody on this machine may read {}", at.value), format!("chmod 600 {}", at.value));
        }
        keys.push(bytes);
    }
    keys
}

const NAME: usize = 16;

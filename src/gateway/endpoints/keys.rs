//! The public keys of `x-amzn-oidc-data`, as AWS serves them and as a JWK Set.

use serde_json::json;

use crate::gateway::{Exchange, Gateway, Reply, reply};
use crate::identity_headers::SigningKey;

/// PEM by `kid`. A `kid` is compared, never looked up in anything that has paths.
pub(super) fn pem(kid: &str, exchange: &Exchange<'_>) -> Reply {
    match exchange.gateway.signer.keys().iter().find(|key| key.kid() == kid) {
        Some(key) => Reply::public("application/x-pem-file", key.public_pem()),
        None => reply::plain_reply(exchange.gateway, exchange.visitor(), 404, "not_found", None),
    }
}

pub(super) fn jwks(gateway: &Gateway) -> Reply {
    let keys: Vec<_> = gateway.signer.keys().iter().map(SigningKey::public_jwk).collect();
    Reply::public("application/jwk-set+json", json!({ "keys": keys }).to_string())
}

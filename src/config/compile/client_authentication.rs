//! How the gateway proves to a provider that it is the client.

use std::sync::Arc;

use aws_lc_rs::digest;

use super::certificates;
use super::context::Context;
use crate::config::raw::{IdentityProvider, TokenEndpointAuthMethod as Method};
use crate::config::reader::Located;
use crate::gateway::ClientCertificate;
use crate::provider::{ClientAuthentication, ClientKey};
use crate::secret::Secret;
use crate::tokens::Algorithm;

/// The method, and the certificate for the connection where there is one.
pub(super) struct Proof {
    pub(super) method: ClientAuthentication,
    pub(super) certificate: Option<ClientCertificate>,
}

pub(super) fn proof(context: &mut Context<'_>, raw: &Located<IdentityProvider>) -> Option<Proof> {
    let value = &raw.value;
    let secret = match &value.client_secret {
        Some(at) => Some(context.secret(&at.value)?),
        None => None,
    };
    let default = match (&secret, &value.client_private_key, &value.client_certificate) {
        (Some(_), ..) => Method::ClientSecretBasic,
        (None, Some(_), _) => Method::PrivateKeyJwt,
        (None, None, Some(_)) => Method::TlsClientAuth,
        (None, None, None) => Method::None,
    };
    let method = value.token_endpoint_auth_method.as_ref().map_or(default, |at| at.value);
    if !check_parts(context, raw, method) {
        return None;
    }
    let by_secret = |make: fn(Secret<String>) -> ClientAuthentication, secret: Option<Secret<String>>| secret.map(make);
    let method = match method {
        Method::ClientSecretBasic => by_secret(ClientAuthentication::ClientSecretBasic, secret)?,
        Method::ClientSecretPost => by_secret(ClientAuthentication::ClientSecretPost, secret)?,
        Method::ClientSecretJwt => by_secret(ClientAuthentication::ClientSecretJwt, secret)?,
        Method::PrivateKeyJwt => private_key_jwt(context, raw)?,
        Method::TlsClientAuth | Method::SelfSignedTlsClientAuth => {
            let certificate = value.client_certificate.as_ref().and_then(|at| certificates::open_client(context, &at.value))?;
            return Some(Proof { method: ClientAuthentication::TlsClientAuth, certificate: Some(certificate) });
        }
        Method::None => ClientAuthentication::None,
    };
    Some(Proof { method, certificate: None })
}

/// What a method needs has to be there, and what it does not use must not: whoever wrote it believes that it counts.
fn check_parts(context: &mut Context<'_>, raw: &Located<IdentityProvider>, method: Method) -> bool {
    let value = &raw.value;
    let (has_secret, has_key, has_certificate) =
        (value.client_secret.is_some(), value.client_private_key.is_some(), value.client_certificate.is_some());
    let (name, wants_secret, wants_key, wants_certificate) = match method {
        Method::ClientSecretBasic => ("client_secret_basic", true, false, false),
        Method::ClientSecretPost => ("client_secret_post", true, false, false),
        Method::ClientSecretJwt => ("client_secret_jwt", true, false, false),
        Method::PrivateKeyJwt => ("private_key_jwt", false, !has_certificate, has_certificate),
        Method::TlsClientAuth => ("tls_client_auth", false, false, true),
        Method::SelfSignedTlsClientAuth => ("self_signed_tls_client_auth", false, false, true),
        Method::None => ("none", false, false, false),
    };
    let mut sound = true;
    for (key, has, wants) in [
        ("client_secret", has_secret, wants_secret),
        ("client_private_key", has_key, wants_key),
        ("client_certificate", has_certificate, wants_certificate),
    ] {
        if has != wants {
            let fault = if wants {
                format!("{key} is missing: token_endpoint_auth_method is {name}")
            } else {
                format!("token_endpoint_auth_method is {name}, and there is a {key}")
            };
            context.error(raw, fault);
            sound = false;
        }
    }
    for (key, at) in
        [("client_key_id", &value.client_key_id), ("client_assertion_algorithm", &value.client_assertion_algorithm)].into_iter()
    {
        if let Some(at) = at.as_ref().filter(|_| method != Method::PrivateKeyJwt) {
            context.error(at, format!("{key} belongs to token_endpoint_auth_method: private_key_jwt"));
            sound = false;
        }
    }
    sound
}

fn private_key_jwt(context: &mut Context<'_>, raw: &Located<IdentityProvider>) -> Option<ClientAuthentication> {
    let value = &raw.value;
    let algorithm = match &value.client_assertion_algorithm {
        Some(at) => match Algorithm::parse(&at.value) {
            Some(algorithm) => Some(algorithm),
            None => {
                let known: Vec<&str> = Algorithm::ALL.into_iter().map(Algorithm::name).collect();
                context.error(at, format!("{:?} is not one of: {}", at.value, known.join(", ")));
                return None;
            }
        },
        None => None,
    };
    let (pem, certificate) = match (&value.client_private_key, &value.client_certificate) {
        (Some(at), _) => (Secret::new(context.secret(&at.value)?.expose().clone().into_bytes()), None),
        (None, Some(at)) => {
            let opened = certificates::open_client(context, &at.value)?;
            let mut hash = [0; 32];
            hash.copy_from_slice(digest::digest(&digest::SHA256, opened.chain.first()?).as_ref());
            (Secret::new(context.file(&at.value.private_key)?), Some(hash))
        }
        (None, None) => return None,
    };
    let id = value.client_key_id.as_ref().map(|at| at.value.clone());
    match ClientKey::parse(pem.expose(), algorithm, id) {
        Ok(key) => Some(ClientAuthentication::PrivateKeyJwt { key: Arc::new(key), certificate }),
        Err(error) => {
            match (&value.client_assertion_algorithm, &value.client_private_key) {
                (Some(at), _) if error == crate::provider::ClientKeyError::Algorithm => context.error(at, error.to_string()),
                (_, Some(at)) => context.error(at, error.to_string()),
                _ => context.error(raw, error.to_string()),
            }
            None
        }
    }
}

//! The small sections: identity headers, endpoints, pages, logs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::context::Context;
use crate::authentication::ReturnPlaces;
use crate::config::raw::{self, SecretSource};
use crate::config::reader::Located;
use crate::config::report::Fault;
use crate::gateway::{Pages, SITUATIONS};
use crate::identity_headers::{ClaimHeader, ProtectedHeaders, Signer, SigningKey};
use crate::secret::{Entropy, Secret};

pub(super) struct Endpoints {
    pub(super) prefix: String,
    pub(super) return_places: ReturnPlaces,
}

pub(super) fn endpoints(context: &mut Context<'_>, raw: Option<&raw::Endpoints>) -> Endpoints {
    let prefix = raw.and_then(|raw| raw.prefix.as_ref());
    if let Some(at) = prefix {
        let sound = at.value.len() > 1
            && at.value.starts_with('/')
            && !at.value.ends_with('/')
            && at.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.'))
            && !at.value.contains("//");
        if !sound {
            context.error_hint(at, format!("{:?} is not a prefix", at.value), "write something like /oauth2");
        }
    }
    let listed = raw.map(|raw| raw.logout_return_to.as_slice()).unwrap_or_default();
    for at in listed {
        if !url::Url::parse(&at.value).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            context.error(at, format!("{:?} is not a whole URL", at.value));
        }
    }
    Endpoints {
        prefix: prefix.map_or_else(|| "/oauth2".to_owned(), |at| at.value.clone()),
        return_places: ReturnPlaces::new(listed.iter().map(|at| at.value.clone()).collect()),
    }
}

pub(super) struct Headers {
    pub(super) signer: Signer,
    pub(super) claims: Vec<ClaimHeader>,
    pub(super) access_token: bool,
    pub(super) protected: ProtectedHeaders,
}

pub(super) fn identity_headers(context: &mut Context<'_>, raw: Option<&raw::IdentityHeaders>, entropy: &Entropy) -> Headers {
    let mut keys = Vec::new();
    for secret in raw.and_then(|raw| raw.signing_key.as_ref()).map(|at| at.value.0.as_slice()).unwrap_or_default() {
        let Some(pem) = context.secret(secret) else { continue };
        match SigningKey::parse(pem.expose()) {
            Ok(key) => keys.push(key),
            Err(error) => {
                let at = Located { value: (), span: secret.span, path: secret.path.clone() };
                let file = if let SecretSource::File(file) = &secret.source { file.as_str() } else { "signing.key" };
                context.error_hint(&at, error.to_string(), format!("make one with: vestibule keys signing > {file}"));
            }
        }
    }
    let claims = claim_headers(context, raw);
    let given = raw.and_then(|raw| raw.signer.as_ref());
    if let Some(at) = given.filter(|at| at.value.is_empty() || !at.value.bytes().all(|byte| byte.is_ascii_graphic())) {
        context.error(at, "a signer is visible ASCII without spaces, shaped as the ARN of a load balancer");
    }
    // Distinct for each key, so that a target can tell two gateways apart (ALBeast) also where nobody has named them.
    let own = |key: &SigningKey| {
        format!(
            "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/vestibule/{}",
            key.kid().replace('-', "").split_at(16).0
        )
    };
    let arn = given.map(|at| at.value.clone()).or_else(|| keys.first().map(own)).unwrap_or_default();
    let padding = raw.and_then(|raw| raw.data_padding).unwrap_or(true);
    Headers {
        signer: Signer::new(keys, arn, padding, entropy.clone()),
        protected: ProtectedHeaders::new(claims.iter().map(|claim| claim.name.as_str())),
        claims,
        access_token: raw.and_then(|raw| raw.access_token).unwrap_or(true),
    }
}

fn claim_headers(context: &mut Context<'_>, raw: Option<&raw::IdentityHeaders>) -> Vec<ClaimHeader> {
    let mut headers = Vec::new();
    for (name, claim) in raw.map(|raw| &raw.claims.sections).into_iter().flatten() {
        const RESERVED: [&str; 10] =
            ["host", "cookie", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive", "expect"];
        match name.parse::<http::HeaderName>() {
            Ok(name) if RESERVED.contains(&name.as_str()) || ProtectedHeaders::default().covers(name.as_str()) => {
                context.error(claim, format!("{name} cannot carry a claim: it has a meaning of its own"));
            }
            Ok(name) => headers.push(ClaimHeader { name, claim: claim.value.value.clone() }),
            Err(_) => context.error(claim, format!("{name:?} is not the name of a header")),
        }
    }
    headers
}

pub(super) fn pages(context: &mut Context<'_>, raw: Option<&raw::Pages>) -> Option<Pages> {
    let mut overrides = HashMap::new();
    let folder = raw.and_then(|raw| raw.templates.as_ref());
    if let Some(at) = folder {
        let path = context.path(&at.value);
        context.reads(&path);
        match std::fs::read_dir(&path) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    read_template(context, at, &entry.path(), &mut overrides);
                }
            }
            Err(error) => context.error(at, format!("{}: {error}", at.value)),
        }
    }
    match Pages::new(&overrides) {
        Ok(pages) => Some(pages),
        Err(error) => {
            match folder {
                Some(at) => context.error(at, error.to_string()),
                None => context.push(Fault::error("pages", error.to_string())),
            }
            None
        }
    }
}

fn read_template(context: &mut Context<'_>, at: &Located<String>, path: &std::path::Path, overrides: &mut HashMap<String, String>) {
    let (Some(stem), Some("html")) =
        (path.file_stem().and_then(|stem| stem.to_str()), path.extension().and_then(|extension| extension.to_str()))
    else {
        return;
    };
    if !SITUATIONS.contains(&stem) {
        context.warn(at, format!("{stem}.html is not used: there is no such situation"), format!("there are: {}", SITUATIONS.join(", ")));
        return;
    }
    context.reads(path);
    match std::fs::read_to_string(path) {
        Ok(text) => {
            overrides.insert(stem.to_owned(), text);
        }
        Err(error) => context.error(at, format!("{stem}.html: {error}")),
    }
}

/// Of the admin address.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    pub address: SocketAddr,
    pub token: Option<Secret<String>>,
}

impl PartialEq for AdminSettings {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address && self.token.as_ref().map(Secret::expose) == other.token.as_ref().map(Secret::expose)
    }
}

pub(super) fn admin(context: &mut Context<'_>, raw: &raw::Admin) -> Option<AdminSettings> {
    let address = context.address(&raw.address);
    let token = match &raw.token {
        None => None,
        Some(at) => {
            let token = context.secret(&at.value)?;
            let count = token.expose().chars().count();
            // It is guessed at over the network by whoever reaches the address.
            if count < MIN_TOKEN || !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
                let message = format!("the token has {count} characters; at least {MIN_TOKEN} of visible ASCII are needed");
                context.error_hint(at, message, "make one with: head -c 32 /dev/urandom | base64 > admin.token");
                return None;
            }
            Some(token)
        }
    };
    Some(AdminSettings { address: address?, token })
}

const MIN_TOKEN: usize = 32;

/// Of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// AWS's line instead of JSON.
    pub alb: bool,
    /// `None`: standard output.
    pub file: Option<PathBuf>,
}

pub(super) fn access_log(context: &Context<'_>, raw: Option<&raw::AccessLog>) -> AccessLogSettings {
    let file = raw.and_then(|raw| raw.path.as_ref()).map(|at| at.value.as_str()).filter(|path| *path != "-");
    AccessLogSettings { alb: raw.and_then(|raw| raw.format) == Some(raw::AccessLogFormat::Alb), file: file.map(|file| context.path(file)) }
}

/// Of the log of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    pub json: bool,
}

pub(super) fn log(raw: Option<&raw::Log>) -> LogSettings {
    let level = match raw.and_then(|raw| raw.level).unwrap_or(raw::Level::Info) {
        raw::Level::Error => "error",
        raw::Level::Warn => "warn",
        raw::Level::Info => "info",
        raw::Level::Debug => "debug",
        raw::Level::Trace => "trace",
    };
    LogSettings { level, json: raw.and_then(|raw| raw.format) == Some(raw::LogFormat::Json) }
}

/// The kernel takes no longer one.
pub(super) fn upgrade_socket(context: &mut Context<'_>, at: &Located<String>) -> Option<PathBuf> {
    let path = context.path(&at.value);
    if path.as_os_str().len() > LONGEST_SOCKET {
        context.error(at, format!("the path of a socket has at most {LONGEST_SOCKET} bytes, and this one has {}", path.as_os_str().len()));
        return None;
    }
    Some(path)
}

const LONGEST_SOCKET: usize = 107;

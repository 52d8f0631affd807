//! `sessions.redis`.

use std::path::PathBuf;

use url::{Host, Url};

use super::certificates::open_client;
use super::context::Context;
use crate::config::raw::{Redis, Secret, SecretSource, Sentinel};
use crate::config::reader::Located;
use crate::secret;
use crate::session::{RedisAddress, RedisLogin, RedisServers, RedisTopology};

/// One `url`.
struct Place {
    address: RedisAddress,
    tls: bool,
    database: Option<i64>,
    login: RedisLogin,
}

/// `None` where there are faults.
pub(super) fn servers(context: &mut Context<'_>, raw: &Located<Redis>) -> Option<RedisServers> {
    let redis = &raw.value;
    let is_cluster = redis.cluster.as_ref().is_some_and(|at| at.value);
    if let (true, Some(_), Some(at)) = (is_cluster, &redis.sentinel, &redis.cluster) {
        context.error(at, "a cluster has no sentinels: one of the two");
        return None;
    }
    let default_port = if redis.sentinel.is_some() { 26_379 } else { 6379 };
    let urls = redis.url.as_ref().map_or(&[][..], |urls| &urls.0);
    if urls.is_empty() {
        context.error_hint(raw, "there is no url", "such as: url: rediss://redis.internal:6379/0");
        return None;
    }
    let places: Vec<_> = urls.iter().filter_map(|url| place(context, url, default_port)).collect();
    let login = login(context, redis.username.as_ref(), redis.password.as_ref());
    let topology = topology(context, is_cluster, redis.sentinel.as_ref());
    let authorities = redis.ca_certificates.as_ref().map(|at| context.file(at));
    let certificate = redis.client_certificate.as_ref().map(|at| open_client(context, &at.value));
    let key_prefix = key_prefix(context, redis.key_prefix.as_ref())?;
    let first = places.first().filter(|_| places.len() == urls.len())?;
    if places.iter().any(|other| (other.tls, other.database) != (first.tls, first.database)) {
        context.error(raw, "some urls have TLS or a database and others have not: they are reached in one way");
        return None;
    }
    if is_cluster && first.database.is_some_and(|database| database != 0) {
        context.error(raw, "a cluster has the database 0 only");
        return None;
    }
    if let (false, Some(at)) = (first.tls, &redis.ca_certificates) {
        context.warn(at, "without TLS nobody shows a certificate", "write rediss:// in the url");
    }
    let is_plain = !first.tls && places.iter().any(|place| !is_on_this_machine(&place.address));
    if is_plain {
        let hint = "sessions are sealed there, but whoever is on the way can end them, and learns the password: write rediss://";
        context.warn(raw, "redis:// is not encrypted", hint);
    }
    Some(RedisServers {
        tls: first.tls,
        database: first.database.unwrap_or(0),
        login: login?.or(&first.login),
        topology: topology?,
        authorities: authorities.map_or(Some(None), |read| read.map(Some))?,
        client_certificate: certificate.map_or(Some(None), |read| read.map(|certificate| Some(certificate.pem)))?,
        key_prefix,
        addresses: places.into_iter().map(|place| place.address).collect(),
    })
}

fn place(context: &mut Context<'_>, raw: &Secret, default_port: u16) -> Option<Place> {
    let at = Located { value: (), span: raw.span, path: raw.path.clone() };
    let text = match &raw.source {
        // Not a secret by itself: only what may stand in it.
        SecretSource::Literal(text) => text.clone(),
        SecretSource::File(_) | SecretSource::Environment(_) => context.secret(raw)?,
    };
    match parse(text.expose(), default_port) {
        Ok(place) => {
            if let (Some(_), SecretSource::Literal(_)) = (&place.login.password, &raw.source) {
                context.warn(&at, "a password is written in the configuration file", "move it to a file: password: {file: PATH}");
            }
            Some(place)
        }
        Err(error) => {
            context.error_hint(&at, error, "write redis://HOST:PORT/DATABASE, rediss:// for TLS, or unix:///PATH");
            None
        }
    }
}

/// Errors never repeat the text: a password may stand in it.
fn parse(text: &str, default_port: u16) -> Result<Place, &'static str> {
    let url = Url::parse(text).map_err(|_| "this is not a URL")?;
    let tls = match url.scheme() {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        "unix" => {
            return Ok(Place {
                address: RedisAddress::Unix(PathBuf::from(url.path())),
                tls: false,
                database: None,
                login: RedisLogin::default(),
            });
        }
        _ => return Err("this is not the URL of a Redis"),
    };
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the URL of a Redis has no ? and no #");
    }
    let host = match url.host().ok_or("the URL names no host")? {
        Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    };
    let database = match url.path().trim_start_matches('/') {
        "" => None,
        number => Some(number.parse().ok().filter(|number| *number >= 0).ok_or("the path of the URL is the number of a database")?),
    };
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| "this is not a URL");
    let username = Some(url.username()).filter(|name| !name.is_empty()).map(decoded).transpose()?;
    let password = url.password().map(decoded).transpose()?.map(secret::Secret::new);
    let address = RedisAddress::Tcp { host, port: url.port().unwrap_or(default_port) };
    Ok(Place { address, tls, database, login: RedisLogin { username, password } })
}

fn login(context: &mut Context<'_>, username: Option<&Located<String>>, password: Option<&Located<Secret>>) -> Option<RedisLogin> {
    let password = match password {
        Some(at) => Some(context.secret(&at.value)?),
        None => None,
    };
    Some(RedisLogin { username: username.map(|at| at.value.clone()), password })
}

fn topology(context: &mut Context<'_>, is_cluster: bool, sentinel: Option<&Sentinel>) -> Option<RedisTopology> {
    match sentinel {
        Some(sentinel) => {
            let login = login(context, sentinel.username.as_ref(), sentinel.password.as_ref())?;
            Some(RedisTopology::Sentinel { service: sentinel.service.value.clone(), login })
        }
        None if is_cluster => Some(RedisTopology::Cluster),
        None => Some(RedisTopology::Standalone),
    }
}

/// What stands in patterns of access-control lists, and in the slots of a cluster, has a meaning there.
fn key_prefix(context: &mut Context<'_>, raw: Option<&Located<String>>) -> Option<String> {
    let Some(at) = raw else { return Some("vestibule".to_owned()) };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    if at.value.is_empty() || at.value.len() > 64 || !at.value.bytes().all(is_plain) {
        context.error(at, "a prefix has 1 to 64 letters, digits and _ - . :");
        return None;
    }
    Some(at.value.clone())
}

fn is_on_this_machine(address: &RedisAddress) -> bool {
    match address {
        RedisAddress::Tcp { host, .. } => host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        RedisAddress::Unix(_) => true,
    }
}

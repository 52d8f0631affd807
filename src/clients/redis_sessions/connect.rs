//! From settings to a connection that hears what the other instances say.

use std::time::Duration;

use redis::cluster::ClusterClientBuilder;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisResult, TlsCertificates, TlsMode,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::link::{Connection, RESPONSE};
use crate::session::{RedisAddress, RedisLogin, RedisServers, RedisTopology};

/// Connected and subscribed.
pub(super) async fn open(servers: &RedisServers, channel: &str) -> RedisResult<(Connection, UnboundedReceiver<PushInfo>)> {
    let (sender, messages) = unbounded_channel();
    let connection = match &servers.topology {
        RedisTopology::Standalone => standalone(servers, channel, sender).await?,
        RedisTopology::Sentinel { service, login } => sentinel(servers, service, login, channel, sender).await?,
        RedisTopology::Cluster => cluster(servers, channel, sender).await?,
    };
    Ok((connection, messages))
}

/// The first of the addresses that answers.
async fn standalone(servers: &RedisServers, channel: &str, sender: UnboundedSender<PushInfo>) -> RedisResult<Connection> {
    let mut last = None;
    for address in &servers.addresses {
        let client = client(servers, address)?;
        match client.get_multiplexed_async_connection_with_config(&config(sender.clone())).await {
            Ok(mut connection) => {
                connection.subscribe(channel).await?;
                return Ok(Connection::Single(connection));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| (redis::ErrorKind::InvalidClientConfig, "no address").into()))
}

async fn sentinel(
    servers: &RedisServers,
    service: &str,
    login: &RedisLogin,
    channel: &str,
    sender: UnboundedSender<PushInfo>,
) -> RedisResult<Connection> {
    let addresses = servers.addresses.iter().map(|address| connection_address(servers, address));
    let mut builder = SentinelClientBuilder::new(addresses, service, SentinelServerType::Master)?
        .set_client_to_redis_db(servers.database)
        .set_client_to_redis_protocol(ProtocolVersion::RESP3);
    if servers.tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
        if let Some(certificates) = certificates(servers) {
            builder = builder.set_client_to_redis_certificates(certificates.clone()).set_client_to_sentinel_certificates(certificates);
        }
    }
    if let Some(name) = &servers.login.username {
        builder = builder.set_client_to_redis_username(name);
    }
    if let Some(password) = &servers.login.password {
        builder = builder.set_client_to_redis_password(password.expose());
    }
    if let Some(name) = &login.username {
        builder = builder.set_client_to_sentinel_username(name);
    }
    if let Some(password) = &login.password {
        builder = builder.set_client_to_sentinel_password(password.expose());
    }
    let mut connection = builder.build()?.get_async_connection_with_config(&config(sender)).await?;
    connection.subscribe(channel).await?;
    Ok(Connection::Single(connection))
}

/// Messages of a cluster would come in no order from several servers; those of a sharded channel come from one.
async fn cluster(servers: &RedisServers, channel: &str, sender: UnboundedSender<PushInfo>) -> RedisResult<Connection> {
    let nodes = servers.addresses.iter().map(|address| information(servers, address)).collect::<RedisResult<Vec<_>>>()?;
    let mut builder = ClusterClientBuilder::new(nodes)
        .use_protocol(ProtocolVersion::RESP3)
        .push_sender(sender)
        .connection_timeout(CONNECT)
        .response_timeout(RESPONSE)
        .overall_response_timeout(Some(RESPONSE))
        .retries(2)
        .max_retry_wait(100);
    if servers.tls {
        builder = builder.tls(TlsMode::Secure);
        if let Some(certificates) = certificates(servers) {
            builder = builder.certs(certificates);
        }
    }
    let mut connection = builder.build()?.get_async_connection().await?;
    connection.ssubscribe(channel).await?;
    Ok(Connection::Cluster(connection))
}

fn client(servers: &RedisServers, address: &RedisAddress) -> RedisResult<Client> {
    let information = information(servers, address)?;
    match certificates(servers) {
        Some(certificates) => Client::build_with_tls(information, certificates),
        None => Client::open(information),
    }
}

fn information(servers: &RedisServers, address: &RedisAddress) -> RedisResult<ConnectionInfo> {
    let mut login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(servers.database);
    if let Some(name) = &servers.login.username {
        login = login.set_username(name);
    }
    if let Some(password) = &servers.login.password {
        login = login.set_password(password.expose());
    }
    Ok(connection_address(servers, address).into_connection_info()?.set_redis_settings(login))
}

fn connection_address(servers: &RedisServers, address: &RedisAddress) -> ConnectionAddr {
    match address {
        RedisAddress::Tcp { host, port } if servers.tls => {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        }
        RedisAddress::Tcp { host, port } => ConnectionAddr::Tcp(host.clone(), *port),
        RedisAddress::Unix(path) => ConnectionAddr::Unix(path.clone()),
    }
}

/// `None`: the system's authorities are believed, and nothing is shown.
fn certificates(servers: &RedisServers) -> Option<TlsCertificates> {
    let own = |pem: &Vec<u8>| ClientTlsConfig { client_cert: pem.clone(), client_key: pem.clone() };
    let client_tls = servers.client_certificate.as_ref().map(|pem| own(pem.expose()));
    let is_needed = servers.tls && (client_tls.is_some() || servers.authorities.is_some());
    is_needed.then(|| TlsCertificates { client_tls, root_cert: servers.authorities.clone() })
}

fn config(sender: UnboundedSender<PushInfo>) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(RESPONSE)).set_push_sender(sender)
}

const CONNECT: Duration = Duration::from_secs(1);

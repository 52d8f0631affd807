//! Where a fleet keeps its sessions (`sessions.redis`): what has to be known to get there, and nothing of how.

use std::path::PathBuf;

use crate::secret::Secret;

/// One Redis, one that sentinels watch over, or a cluster.
#[derive(Debug, Clone)]
pub struct RedisServers {
    /// Of the servers, or of the sentinels. Never empty.
    pub addresses: Vec<RedisAddress>,
    pub tls: bool,
    pub database: i64,
    pub login: RedisLogin,
    pub topology: RedisTopology,
    /// PEM; believed instead of the system's authorities.
    pub authorities: Option<Vec<u8>>,
    /// Certificate and key, as PEM.
    pub client_certificate: Option<Secret<Vec<u8>>>,
    /// What the names of all keys and of the channel begin with.
    pub key_prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisAddress {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// A user of the access-control list; without a name, the default user.
#[derive(Debug, Clone, Default)]
pub struct RedisLogin {
    pub username: Option<String>,
    pub password: Option<Secret<String>>,
}

#[derive(Debug, Clone)]
pub enum RedisTopology {
    Standalone,
    /// The sentinels know which server of this name is the master.
    Sentinel {
        service: String,
        login: RedisLogin,
    },
    Cluster,
}

impl RedisServers {
    /// Whether connections made for one are good for the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let topology = match (&self.topology, &other.topology) {
            (RedisTopology::Standalone, RedisTopology::Standalone) | (RedisTopology::Cluster, RedisTopology::Cluster) => true,
            (RedisTopology::Sentinel { service: a, login: one }, RedisTopology::Sentinel { service: b, login: two }) => {
                a == b && one.is_same(two)
            }
            _ => false,
        };
        let certificate = |servers: &Self| servers.client_certificate.as_ref().map(|pem| pem.expose().clone());
        topology
            && self.addresses == other.addresses
            && self.login.is_same(&other.login)
            && (self.tls, self.database, &self.authorities, &self.key_prefix)
                == (other.tls, other.database, &other.authorities, &other.key_prefix)
            && certificate(self) == certificate(other)
    }
}

impl RedisLogin {
    /// What is missing here, from there.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self { username: self.username.or_else(|| other.username.clone()), password: self.password.or_else(|| other.password.clone()) }
    }

    fn is_same(&self, other: &Self) -> bool {
        let password = |login: &Self| login.password.as_ref().map(|password| password.expose().clone());
        self.username == other.username && password(self) == password(other)
    }
}

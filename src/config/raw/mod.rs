//! The file as it is written: sections, keys and their types. Meaning comes later (`compile`).

mod actions;
mod certificates;
pub(super) mod identity_provider_file;
mod limits;
pub(super) mod policy_tests;
mod providers;
mod response_headers;
mod schema;
mod secrets;
mod targets;
mod tokens;

use std::collections::BTreeMap;

pub(super) use actions::{
    Action, ActionKind, Authenticate, Authorize, AuthorizeMode, Condition, FixedResponse, Forward, HttpHeader, OnUnauthenticatedRequest,
    QueryPair, Redirect, RedirectStatus,
};
pub(super) use certificates::{Acme, AcmeChallenge, ListenerCertificate, TicketKey};
pub(super) use limits::{Http2Limits, Limits};
pub(super) use providers::{AssertionAudience, IdentityProvider, ProviderType, PushedRequests, TokenEndpointAuthMethod};
pub(super) use response_headers::ResponseHeaders;
pub(super) use schema::schema;
pub(super) use secrets::{OneOrMore, Secret, SecretSource};
pub(super) use targets::{HealthCheck, LoadBalancingAlgorithm, ProtocolVersion, Stickiness, StickinessType, Target, TargetGroup};

pub(super) use tokens::{AdditionalClaim, BearerTokens, ClaimFormat, ClaimMatch, JwtValidation, ResourceMetadata, TokenUse};

use super::reader::{FromNode, Located, Reader, Seconds};
use crate::config::node::Node;

section! {
    /// Configuration of a Vestibule gateway.
    pub struct Root {
        /// Where clients connect, and what happens to their requests.
        listeners: Located<Vec<Listener>>,
        /// Providers that rules refer to by name.
        identity_providers: Named<IdentityProvider>,
        /// Groups of targets that rules refer to by name.
        target_groups: Named<TargetGroup>,
        /// How sessions are kept.
        sessions: Option<Sessions>,
        /// What targets are told about the person.
        identity_headers: Option<IdentityHeaders>,
        /// The gateway's own paths.
        endpoints: Option<Endpoints>,
        /// Health and metrics, on an address of their own.
        admin: Option<Admin>,
        /// One line a request.
        access_log: Option<AccessLog>,
        /// The log of the process.
        log: Option<Log>,
        /// The pages that visitors see.
        pages: Option<Pages>,
        /// How long requests may go on after SIGTERM. Default 30s.
        drain_timeout: Option<Seconds>,
        /// Where `serve --upgrade` waits for the listeners of the process before. Default: a file of this user's, by the path of this file.
        upgrade_socket: Option<Located<String>>,
        /// Whether this file, or one that it names, is read again when it has changed, as on SIGHUP. Default false.
        reload_on_change: Option<bool>,
    }
}

section! {
    /// An address, its certificates and its rules.
    pub struct Listener {
        /// IP address and port.
        address: Located<String>,
        /// Default https.
        protocol: Option<Located<Protocol>>,
        /// Names that are served; any other Host gets 421. Default: the names in the certificates.
        hosts: Vec<Located<String>>,
        /// The first is the default, SNI picks the others.
        certificates: Located<Vec<ListenerCertificate>>,
        /// A certificate that an authority makes for this listener, beside those or instead of them.
        acme: Option<Located<Acme>>,
        /// Keys that tickets for further handshakes are sealed with, where several gateways share them. Default: own ones, replaced every six hours.
        session_ticket_keys: Located<Vec<TicketKey>>,
        /// TLS versions.
        security_policy: Option<SecurityPolicy>,
        /// Certificates of clients. Off unless given.
        mutual_authentication: Option<Located<MutualAuthentication>>,
        /// Whether targets get x-amzn-tls-version and x-amzn-tls-cipher-suite. Default false, as on an ALB.
        tls_version_and_cipher_suite_headers: Option<bool>,
        /// Balancers in front that say in front of each connection whose it is. Off unless given.
        proxy_protocol: Option<Located<ProxyProtocol>>,
        /// Proxies in front whose X-Forwarded-* is believed. Default none.
        trusted_proxies: Located<Vec<Located<String>>>,
        /// What becomes of X-Forwarded-For. Default append.
        x_forwarded_for: Option<ForwardedFor>,
        /// Whether X-Forwarded-For tells the ports of clients. Default false, as on an ALB.
        x_forwarded_for_client_port: Option<Located<bool>>,
        /// What answers say beside what targets say, or in its place. Nothing unless given.
        response_headers: Option<ResponseHeaders>,
        /// What becomes of a request that could be read in two ways. Default defensive.
        desync_mitigation_mode: Option<DesyncMitigationMode>,
        /// Limits on connections, requests and slow clients.
        limits: Option<Limits>,
        /// Evaluated by priority, lowest first.
        rules: Vec<Rule>,
        /// What happens when no rule matches.
        default_actions: Located<Vec<Action>>,
    }
}

section! {
    /// The PROXY protocol, version 1 or 2.
    pub struct ProxyProtocol {
        /// Networks or addresses of balancers: all of their connections begin with a header, and nobody else's do.
        trusted: Located<Vec<Located<String>>>,
    }
}

words! {
    /// How clients speak to a listener.
    pub enum Protocol { Https = "https", Http = "http" }
}

words! {
    /// append: the peer comes after what a trusted proxy says; preserve: that stays as it is; remove: targets get none.
    pub enum ForwardedFor { Append = "append", Preserve = "preserve", Remove = "remove" }
}

words! {
    /// monitor: what can be given one meaning passes with that; defensive: it is refused; strictest: so is whatever is uncommon.
    pub enum DesyncMitigationMode { Monitor = "monitor", Defensive = "defensive", Strictest = "strictest" }
}

section! {
    /// A certificate chain and its key, both PEM.
    pub struct Certificate {
        /// Chain, leaf first.
        certificate: Located<String>,
        /// PKCS#8, PKCS#1 or SEC 1.
        private_key: Located<String>,
    }
}

section! {
    /// TLS versions of a listener.
    pub struct SecurityPolicy {
        /// Default "1.2".
        minimum_version: Option<MinimumVersion>,
    }
}

words! {
    /// The oldest TLS version that is spoken.
    pub enum MinimumVersion { Tls12 = "1.2", Tls13 = "1.3" }
}

section! {
    /// What a listener does with the certificates of its clients.
    pub struct MutualAuthentication {
        /// Whether clients are asked for one, and who judges it.
        mode: Located<MutualAuthenticationMode>,
        /// verify: the authorities that are believed, PEM.
        trust_store: Option<Located<String>>,
        /// verify: certificates that are good no more, PEM.
        revocation_lists: Vec<Located<String>>,
        /// verify: whether a certificate that has ended is good all the same. Default false.
        ignore_client_certificate_expiry: Option<bool>,
        /// verify: whether clients are told which authorities are believed. Default false.
        advertise_trust_store_ca_names: Option<bool>,
    }
}

words! {
    /// off: nobody is asked; passthrough: the target judges what is shown; verify: nobody comes in without a good one.
    pub enum MutualAuthenticationMode { Off = "off", Passthrough = "passthrough", Verify = "verify" }
}

section! {
    /// Conditions and what happens when all of them hold.
    pub struct Rule {
        /// 1 to 50000, unique within the listener.
        priority: Located<u32>,
        /// All must hold; the values of one condition are alternatives.
        conditions: Located<Vec<Located<Condition>>>,
        /// authenticate first, then authorize, then one routing action.
        actions: Located<Vec<Action>>,
        /// What the target receives instead of what was asked for.
        transforms: Option<Located<Transforms>>,
    }
}

section! {
    /// Rewrites of a forwarded request, after the rule has been chosen.
    pub struct Transforms {
        /// Over the host, without its port; the port stays.
        host_header_rewrite: Option<Located<Rewrite>>,
        /// Over path and query.
        url_rewrite: Option<Located<Rewrite>>,
    }
}

section! {
    /// The first match is replaced; where there is none, nothing is.
    pub struct Rewrite {
        /// Regular expression, at most 1024 characters.
        regex: Located<String>,
        /// At most 1024 characters; $1 to $9 are groups, $0 is all of the match.
        replace: Located<String>,
    }
}

section! {
    /// How sessions are kept.
    pub struct Sessions {
        /// 32 bytes, base64. The first seals, all open.
        keys: Located<Vec<Secret>>,
        /// Default cookie: nothing to run.
        store: Option<Located<Store>>,
        /// store: redis.
        redis: Option<Located<Redis>>,
        /// About how much memory those may have who have been seen within ten minutes. Default 268435456.
        remembered_bytes: Option<Located<u64>>,
    }
}

section! {
    /// Redis or Valkey, where a fleet keeps its sessions.
    pub struct Redis {
        /// redis://HOST:PORT/DATABASE, rediss:// over TLS, or unix:///PATH. A list: the sentinels, or some nodes of a cluster.
        url: Option<OneOrMore<Secret>>,
        /// What the names of all keys begin with. Default vestibule.
        key_prefix: Option<Located<String>>,
        /// A user of the server's access-control list.
        username: Option<Located<String>>,
        /// Of that user, or of the default one.
        password: Option<Located<Secret>>,
        /// rediss: PEM; believed instead of the system's authorities.
        ca_certificates: Option<Located<String>>,
        /// rediss: shown to a server that asks for one.
        client_certificate: Option<Located<Certificate>>,
        /// The servers are sentinels, which know where the master is.
        sentinel: Option<Sentinel>,
        /// The servers are nodes of a cluster. Default false.
        cluster: Option<Located<bool>>,
    }
}

section! {
    /// How sentinels are asked.
    pub struct Sentinel {
        /// The name that they have for the master and its replicas.
        service: Located<String>,
        /// A user of theirs.
        username: Option<Located<String>>,
        /// Of that user, or of their default one.
        password: Option<Located<Secret>>,
    }
}

words! {
    /// Where sessions live.
    pub enum Store { Cookie = "cookie", Memory = "memory", Redis = "redis" }
}

section! {
    /// What targets are told about the person.
    pub struct IdentityHeaders {
        /// Name of this gateway in x-amzn-oidc-data, shaped as an ARN. Default: one made from the signing key.
        signer: Option<Located<String>>,
        /// P-256, PKCS#8 PEM; or a list: the first signs, all are published.
        signing_key: Option<Located<OneOrMore<Secret>>>,
        /// ALB's '=' padding in x-amzn-oidc-data. Default true.
        data_padding: Option<bool>,
        /// Whether x-amzn-oidc-accesstoken is sent. Default true.
        access_token: Option<bool>,
        /// Extra plain headers: name of the header, name of the claim.
        claims: Named<Located<String>>,
    }
}

section! {
    /// The gateway's own paths.
    pub struct Endpoints {
        /// Default /oauth2.
        prefix: Option<Located<String>>,
        /// Whole URLs to which a sign-out may lead, beside the own hosts.
        logout_return_to: Vec<Located<String>>,
    }
}

section! {
    /// Health, metrics, sessions.
    pub struct Admin {
        /// IP address and port; for the loopback interface or a private network.
        address: Located<String>,
        /// Who brings it as a bearer token may see and end sessions. Without it: programs on this machine, if the address is loopback.
        token: Option<Located<Secret>>,
    }
}

section! {
    /// One line a request.
    pub struct AccessLog {
        /// Default json.
        format: Option<AccessLogFormat>,
        /// A file, or - for standard output. Default -.
        path: Option<Located<String>>,
    }
}

words! {
    /// Form of the access log.
    pub enum AccessLogFormat { Json = "json", Alb = "alb" }
}

section! {
    /// The log of the process, on standard error.
    pub struct Log {
        /// Default info.
        level: Option<Level>,
        /// Default text.
        format: Option<LogFormat>,
    }
}

words! {
    /// How much is said.
    pub enum Level { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" }
}

words! {
    /// Form of the log.
    pub enum LogFormat { Text = "text", Json = "json" }
}

section! {
    /// The pages that visitors see.
    pub struct Pages {
        /// A folder of templates: page.html for every situation, SITUATION.html for one.
        templates: Option<Located<String>>,
    }
}

/// A mapping from names to sections.
#[derive(Debug, Clone)]
pub(super) struct Named<T> {
    pub(super) sections: BTreeMap<String, Located<T>>,
    /// Also of sections that could not be read.
    pub(super) names: Vec<String>,
}

impl<T: FromNode> FromNode for Named<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mapping = reader.any_mapping(node)?;
        let mut named = Self { sections: BTreeMap::new(), names: Vec::new() };
        for (name, _, value) in mapping.entries() {
            named.names.push(name.to_owned());
            if let Some(section) = reader.within(name, |reader| Located::read(value, reader)) {
                named.sections.insert(name.to_owned(), section);
            }
        }
        Some(named)
    }

    fn absent() -> Option<Self> {
        Some(Self { sections: BTreeMap::new(), names: Vec::new() })
    }
}

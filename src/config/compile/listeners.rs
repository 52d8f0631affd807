//! `listeners`: addresses, certificates, names and rules.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;

use ipnet::IpNet;

use super::acme;
use super::actions;
use super::certificates::{self, ServerCertificate};
use super::conditions;
use super::context::Context;
use super::doubts;
use super::limits::{self, ListenerLimits};
use super::mutual_authentication::{self, ClientAuthentication};
use super::references::{Place, References};
use super::response_headers;
use super::ticket_keys;
use super::transforms;
use crate::config::raw::{self, DesyncMitigationMode, Listener, MinimumVersion, Protocol};
use crate::config::reader::Located;
use crate::gateway::{AcmeOrder, HostNames, ListenerRules};
use crate::identity_headers::{ForwardedForMode, ForwardedSettings};
use crate::message::Scheme;
use crate::message::head::DesyncMitigation;
use crate::rules::{Rule, RuleTable};
use crate::secret::Secret;

/// What the listener itself needs; its rules are in the gateway at the same position.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    pub address: SocketAddr,
    /// Not so for plain HTTP.
    pub speaks_tls: bool,
    /// From files. The first is the default.
    pub certificates: Vec<ServerCertificate>,
    /// The one that an authority makes.
    pub acme: Option<AcmeOrder>,
    /// 48 or 80 bytes each. None: the process makes its own.
    pub ticket_keys: Vec<Secret<Vec<u8>>>,
    pub tls13_only: bool,
    /// `None`: clients are asked for no certificate.
    pub client_authentication: Option<ClientAuthentication>,
    /// Whether targets are told version and cipher suite.
    pub tells_tls: bool,
    pub desync_mitigation: DesyncMitigation,
    pub limits: ListenerLimits,
    /// Whose connections are not counted for one address.
    pub trusted_proxies: Vec<IpNet>,
    /// Whose connections begin with a PROXY header.
    pub balancers: Vec<IpNet>,
}

pub(super) fn compile(
    context: &mut Context<'_>,
    raw: &Located<Vec<Listener>>,
    references: &References<'_>,
) -> Option<Vec<(ListenerRules, ListenerSettings)>> {
    if raw.value.is_empty() {
        context.error(raw, "there is no listener");
    }
    let certificates: Vec<Vec<ServerCertificate>> = raw
        .value
        .iter()
        .map(|listener| listener.certificates.value.iter().filter_map(|raw| certificates::open_server(context, raw)).collect())
        .collect();
    let has_http = raw.value.iter().any(|listener| protocol(listener) == Protocol::Http);
    let orders: Vec<_> = raw.value.iter().map(|listener| acme::compile(context, listener, protocol(listener), has_http)).collect();
    let mut secure_names = HostNames::default();
    let in_files = certificates.iter().flatten().flat_map(|certificate| &certificate.names);
    for name in in_files.chain(orders.iter().flatten().flat_map(|order| &order.domains)) {
        // A name in a certificate that is no pattern of ours is simply not served.
        let _ = secure_names.add(name);
    }
    let compiled: Vec<_> = raw
        .value
        .iter()
        .zip(certificates)
        .zip(orders)
        .map(|((listener, certificates), acme)| {
            let settings = settings(context, listener);
            let mut names: Vec<&str> = certificates.iter().flat_map(|certificate| &certificate.names).map(String::as_str).collect();
            names.extend(acme.iter().flat_map(|order| &order.domains).map(String::as_str));
            let failed = certificates.len() < listener.certificates.value.len() || acme.is_some() != listener.acme.is_some();
            let rules = rules(context, listener, &OwnNames { names, failed }, &secure_names, references);
            let rules = rules?;
            let trusted_proxies = rules.forwarded.trusted_proxies.clone();
            Some((rules, ListenerSettings { certificates, acme, trusted_proxies, ..settings? }))
        })
        .collect();
    compiled.into_iter().collect()
}

fn protocol(listener: &Listener) -> Protocol {
    listener.protocol.as_ref().map_or(Protocol::Https, |at| at.value)
}

/// The names in a listener's certificates. `failed`: some of them could not be read.
struct OwnNames<'n> {
    names: Vec<&'n str>,
    failed: bool,
}

fn settings(context: &mut Context<'_>, raw: &Listener) -> Option<ListenerSettings> {
    let address = context.address(&raw.address);
    match protocol(raw) {
        Protocol::Https if raw.certificates.value.is_empty() && raw.acme.is_none() => {
            context.error_hint(
                &raw.address,
                "an https listener needs a certificate",
                "certificates: [{certificate: FILE, private_key: FILE}], or acme",
            );
        }
        Protocol::Http if !raw.certificates.value.is_empty() => context.error(&raw.certificates, "an http listener has no certificates"),
        Protocol::Https | Protocol::Http => {}
    }
    let tls13_only = raw.security_policy.as_ref().and_then(|policy| policy.minimum_version) == Some(MinimumVersion::Tls13);
    let balancers = balancers(context, raw);
    let client_authentication = mutual_authentication::compile(context, raw.mutual_authentication.as_ref(), protocol(raw));
    let asks_for_certificates = client_authentication.as_ref().is_some_and(Option::is_some);
    let ticket_keys = ticket_keys::compile(context, raw, protocol(raw), asks_for_certificates);
    Some(ListenerSettings {
        address: address?,
        speaks_tls: protocol(raw) == Protocol::Https,
        certificates: Vec::new(),
        acme: None,
        ticket_keys,
        tls13_only,
        client_authentication: client_authentication?,
        tells_tls: raw.tls_version_and_cipher_suite_headers.unwrap_or(false),
        desync_mitigation: desync_mitigation(raw),
        limits: limits::compile(context, raw),
        trusted_proxies: Vec::new(),
        balancers,
    })
}

fn rules(
    context: &mut Context<'_>,
    raw: &Listener,
    own: &OwnNames<'_>,
    secure_names: &HostNames,
    references: &References<'_>,
) -> Option<ListenerRules> {
    let trusted_proxies = networks(context, &raw.trusted_proxies);
    let hosts = hosts(context, raw, own, secure_names);
    let response_headers = response_headers::compile(context, raw.response_headers.as_ref(), protocol(raw), !trusted_proxies.is_empty());
    let place = Place { scheme: protocol(raw), is_behind_proxy: !trusted_proxies.is_empty(), references };
    let mut table = Vec::new();
    let mut sound = true;
    let mut priorities = HashMap::new();
    for rule in &raw.rules {
        check_priority(context, &rule.priority, &mut priorities);
        if rule.conditions.value.is_empty() {
            context.error_hint(
                &rule.conditions,
                "a rule has at least one condition",
                "what holds for every request goes to default_actions",
            );
        }
        let conditions: Vec<_> = rule.conditions.value.iter().map(|condition| conditions::condition(context, condition)).collect();
        let then = actions::actions(context, &rule.actions, rule.priority.value, &place);
        let then = transforms::add(context, rule.transforms.as_ref(), then);
        match (conditions.into_iter().collect::<Option<Vec<_>>>(), then) {
            (Some(conditions), Some(then)) => table.push(Rule { priority: rule.priority.value, conditions, then }),
            _ => sound = false,
        }
    }
    let default = actions::actions(context, &raw.default_actions, 0, &place)?;
    let scheme = match protocol(raw) {
        Protocol::Https => Scheme::Https,
        Protocol::Http => Scheme::Http,
    };
    let port = raw.address.value.parse::<SocketAddr>().map(|address| address.port()).unwrap_or_default();
    let table = RuleTable::new(table, default);
    doubts::voice(context, raw, &table, &hosts);
    let (name, response_headers) = (raw.address.value.clone(), response_headers?);
    let forwarded = ForwardedSettings { mode: mode(raw), client_port: tells_ports(context, raw), trusted_proxies };
    let per_address = limits::per_address(context, raw);
    sound.then(|| ListenerRules { name, scheme, hosts, forwarded, rules: table, response_headers, port, per_address })
}

fn mode(raw: &Listener) -> ForwardedForMode {
    match raw.x_forwarded_for {
        None | Some(raw::ForwardedFor::Append) => ForwardedForMode::Append,
        Some(raw::ForwardedFor::Preserve) => ForwardedForMode::Preserve,
        Some(raw::ForwardedFor::Remove) => ForwardedForMode::Remove,
    }
}

fn tells_ports(context: &mut Context<'_>, raw: &Listener) -> bool {
    let Some(at) = raw.x_forwarded_for_client_port.as_ref().filter(|at| at.value) else { return false };
    if mode(raw) != ForwardedForMode::Append {
        context.warn(at, "has no effect: x_forwarded_for is not append", "leave one of them out");
    }
    true
}

fn desync_mitigation(raw: &Listener) -> DesyncMitigation {
    match raw.desync_mitigation_mode {
        Some(DesyncMitigationMode::Monitor) => DesyncMitigation::Monitor,
        None | Some(DesyncMitigationMode::Defensive) => DesyncMitigation::Defensive,
        Some(DesyncMitigationMode::Strictest) => DesyncMitigation::Strictest,
    }
}

/// `seen` maps each priority to the line where it stands first.
fn check_priority(context: &mut Context<'_>, priority: &Located<u32>, seen: &mut HashMap<u32, usize>) {
    if !(1..=50_000).contains(&priority.value) {
        context.error(priority, "a priority is between 1 and 50000");
    }
    match seen.entry(priority.value) {
        Entry::Occupied(first) => {
            let line = first.get();
            context.error(priority, format!("priority {} is given twice; first on line {line}", priority.value));
        }
        Entry::Vacant(place) => {
            place.insert(priority.span.line);
        }
    }
}

/// Who may say of its connections whose they are.
fn balancers(context: &mut Context<'_>, raw: &Listener) -> Vec<IpNet> {
    let Some(raw) = &raw.proxy_protocol else { return Vec::new() };
    let trusted = &raw.value.trusted;
    if trusted.value.is_empty() {
        context.error_hint(raw, "nobody speaks it", "name the balancers: trusted: [10.0.0.0/24]");
    }
    networks(context, trusted)
}

fn networks(context: &mut Context<'_>, raw: &Located<Vec<Located<String>>>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for at in &raw.value {
        match conditions::network(context, at) {
            Some(network) if network.prefix_len() == 0 => {
                context.error(at, format!("{network} trusts everybody: anyone could say where a request comes from"));
            }
            network => networks.extend(network),
        }
    }
    networks
}

fn hosts(context: &mut Context<'_>, raw: &Listener, own: &OwnNames<'_>, secure_names: &HostNames) -> HostNames {
    let mut hosts = HostNames::default();
    for at in &raw.hosts {
        if !HostNames::may_have(&at.value) || hosts.add(&at.value).is_err() {
            context.error_hint(at, format!("{:?} is not a host", at.value), "write app.example.com or \"*.example.com\", without a port");
        }
    }
    if raw.hosts.is_empty() {
        for name in &own.names {
            let _ = hosts.add(name);
        }
        if raw::Protocol::Http == protocol(raw) {
            hosts.extend(secure_names);
        }
        if hosts.is_empty() && !own.failed && (protocol(raw) == Protocol::Http || !raw.certificates.value.is_empty()) {
            context.error_hint(
                &raw.address,
                "there is no certificate to take the served names from",
                "name them: hosts: [app.example.com]",
            );
        }
    }
    hosts
}

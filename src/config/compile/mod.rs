//! From what the file says to what it means, reporting every fault that only meaning shows.

mod acme;
mod actions;
mod authenticate;
mod authorize;
mod certificates;
mod client_authentication;
mod conditions;
mod context;
mod doubts;
mod issuers;
mod limits;
mod listeners;
mod mutual_authentication;
mod ocsp;
mod places;
mod providers;
mod redis;
mod references;
mod requirements;
mod response_headers;
mod sessions;
mod settings;
mod targets;
mod ticket_keys;
mod tokens;
mod transforms;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use authenticate::OWN_PARAMETERS;
pub use certificates::ServerCertificate;
pub(super) use context::Context;
pub use limits::ListenerLimits;
pub use listeners::ListenerSettings;
pub use mutual_authentication::ClientAuthentication;
pub use ocsp::OcspResponse;
pub use settings::{AccessLogSettings, AdminSettings, LogSettings};

use super::raw::Root;
use super::report::{Fault, Faults};
use crate::authentication::{Authenticate, Authentication, FORM_LIFETIME, KeySource, LOGIN_LIFETIME, ProviderClient, SessionStore};
use crate::clock::UnixTime;
use crate::gateway::{AddressLimits, ClientCertificate, Gateway, HttpChallenges, KnownSessions, KnownTokens, Renewals, RuleActions};
use crate::provider::{LOGOUT_TOKEN_LIFETIME, Provider};
use crate::secret::Entropy;
use crate::session::{EndedSessions, RedisServers, Sealer, SessionCookie, UsedOnce};
use crate::tokens::Verifier;

/// Whom a connection believes, and who it says that it is.
#[derive(Clone, Copy)]
pub struct ProviderTls<'a> {
    /// PEM; believed instead of the system's authorities.
    pub authorities: Option<&'a [u8]>,
    pub client_certificate: Option<&'a ClientCertificate>,
}

/// Makes the connections that a configuration asks for. `Err` in words.
pub trait Connect {
    fn provider(&self, provider: &Arc<Provider>, tls: ProviderTls<'_>) -> Result<Arc<dyn ProviderClient>, String>;

    /// A key set at a URL of its own, of an issuer that is no provider here.
    fn key_set(&self, issuer: &str, url: &str, authorities: Option<&[u8]>) -> Result<Arc<dyn KeySource>, String>;

    /// Sessions in this process.
    fn memory_sessions(&self) -> Arc<dyn SessionStore>;

    /// Sessions of a fleet. What another instance ends is put into `ended`.
    fn redis_sessions(&self, servers: RedisServers, ended: &EndedSessions) -> Result<Arc<dyn SessionStore>, String>;
}

/// A configuration that can run.
pub struct Compiled {
    pub gateway: Arc<Gateway>,
    pub listeners: Vec<ListenerSettings>,
    /// Names of the providers, for metrics.
    pub providers: Vec<Arc<str>>,
    pub admin: Option<AdminSettings>,
    pub access_log: AccessLogSettings,
    pub log: LogSettings,
    pub drain_timeout: Duration,
    pub upgrade_socket: Option<PathBuf>,
    /// Whether a change of the files is a reload.
    pub reload_on_change: bool,
}

pub(super) fn compile(
    root: &Root,
    text: &str,
    base: &Path,
    entropy: &Entropy,
    now: UnixTime,
    connect: &dyn Connect,
    faults: &mut Faults,
) -> Option<Compiled> {
    let mut context = Context::new(base, text, now, faults);
    context.names_session_key = root.sessions.as_ref().is_some_and(|sessions| !sessions.keys.value.is_empty());
    let providers = providers::compile(&mut context, &root.identity_providers, connect);
    let groups = targets::compile(&mut context, &root.target_groups);
    let endpoints = settings::endpoints(&mut context, root.endpoints.as_ref());
    let pages = settings::pages(&mut context, root.pages.as_ref());
    let headers = settings::identity_headers(&mut context, root.identity_headers.as_ref(), entropy);
    let keys = sessions::keys(&mut context, root.sessions.as_ref());
    let ended = EndedSessions::new();
    let store = sessions::store(&mut context, root.sessions.as_ref(), &ended, connect);
    let admin = root.admin.as_ref().and_then(|admin| settings::admin(&mut context, admin));
    let access_log = settings::access_log(&context, root.access_log.as_ref());
    let log = settings::log(root.log.as_ref());
    let names = references::Names { providers: root.identity_providers.names.clone(), groups: root.target_groups.names.clone() };
    let sources = tokens::TokenSources::new(connect);
    let references =
        references::References { providers: &providers, groups: &groups, sources: &sources, protected: &headers.protected, names: &names };
    let (rules, listeners) = listeners::compile(&mut context, &root.listeners, &references)?.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();

    let authenticates: Vec<&Arc<Authenticate>> = rules.iter().flat_map(crate::gateway::ListenerRules::authenticating).collect();
    if !authenticates.is_empty() {
        require_session_key(&mut context, keys.is_empty());
    }
    let tells_identity = |rule: &RuleActions| rule.jwt_validation.as_ref().is_some_and(|validation| validation.identity_headers);
    if !authenticates.is_empty() || rules.iter().flat_map(|listener| listener.rules.all()).any(tells_identity) {
        require_signing_key(&mut context, root, headers.signer.keys().is_empty());
    }
    let mut cookies: Vec<SessionCookie> = Vec::new();
    for authenticate in authenticates {
        if !cookies.contains(&authenticate.cookie) {
            cookies.push(authenticate.cookie.clone());
        }
    }
    let is_sticky = groups.values().any(|group| group.stickiness.is_some())
        || rules.iter().flat_map(|listener| listener.rules.all()).any(|rule| rule.routing.is_sticky());
    let sealer = match Sealer::new(&keys, entropy.clone()) {
        Ok(sealer) => sealer,
        Err(error) => {
            context.push(Fault::error("sessions.keys", error.to_string()));
            return None;
        }
    };
    let gateway = Gateway {
        generation: 0,
        listeners: rules,
        target_groups: groups.values().cloned().collect(),
        authentication: Arc::new(Authentication {
            sealer,
            entropy: entropy.clone(),
            verifier: Verifier::default(),
            store,
            ended,
            finished_logins: UsedOnce::new(LOGIN_LIFETIME),
            used_logout_tokens: UsedOnce::new(LOGOUT_TOKEN_LIFETIME),
            used_forms: UsedOnce::new(FORM_LIFETIME),
            callback_path: format!("{}/idpresponse", endpoints.prefix),
            needs_access_token: headers.access_token,
        }),
        signer: headers.signer,
        claim_headers: headers.claims,
        sends_access_token: headers.access_token,
        protected: headers.protected,
        prefix: endpoints.prefix,
        return_places: endpoints.return_places,
        pages: pages?,
        known: KnownSessions::new(sessions::remembered_bytes(root.sessions.as_ref())),
        known_tokens: KnownTokens::new(),
        renewals: Renewals::new(Box::new(|task| {
            tokio::spawn(task);
        })),
        address_limits: AddressLimits::new(),
        http_challenges: HttpChallenges::default(),
        cookies,
        is_sticky,
    };
    let drain_timeout = root.drain_timeout.map_or(DRAIN_TIMEOUT, |timeout| timeout.0);
    let upgrade_socket = root.upgrade_socket.as_ref().and_then(|at| settings::upgrade_socket(&mut context, at));
    let names = providers.keys().map(|name| Arc::from(name.as_str())).chain(sources.issuers()).collect();
    let reload_on_change = root.reload_on_change.unwrap_or(false);
    Some(Compiled {
        gateway: Arc::new(gateway),
        listeners,
        providers: names,
        admin,
        access_log,
        log,
        drain_timeout,
        upgrade_socket,
        reload_on_change,
    })
}

/// A provider with the connection to it.
pub(super) struct ConnectedProvider {
    pub(super) provider: Arc<Provider>,
    pub(super) client: Arc<dyn ProviderClient>,
    /// Where its groups are, unless a rule says otherwise.
    pub(super) groups_claim: Arc<str>,
    /// For its authorization requests, unless a rule says otherwise.
    pub(super) extra_params: Vec<(String, String)>,
}

pub(super) type Providers = BTreeMap<String, ConnectedProvider>;

fn require_session_key(context: &mut Context<'_>, no_session_key: bool) {
    if no_session_key && !context.names_session_key {
        let fault = Fault::error("sessions.keys", "a rule signs people in, and there is no session key")
            .hint("make one with: vestibule keys session > session.key");
        context.push(fault);
    }
}

fn require_signing_key(context: &mut Context<'_>, root: &Root, no_signing_key: bool) {
    let named = root.identity_headers.as_ref().is_some_and(|headers| headers.signing_key.is_some());
    if no_signing_key && !named {
        let fault = Fault::error("identity_headers.signing_key", "a rule tells targets who it is, and there is no signing key")
            .hint("make one with: vestibule keys signing > signing.key");
        context.push(fault);
    }
}

const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

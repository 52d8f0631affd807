//! The `authenticate` action: one provider, or several to choose from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::references::{Place, unknown};
use super::{ConnectedProvider, issuers, requirements, tokens};
use crate::authentication::{AllowedOrigins, Authenticate, OnUnauthenticatedRequest};
use crate::config::raw::{self, Action, Protocol};
use crate::config::reader::Located;
use crate::config::report::Fault;
use crate::session::SessionCookie;

pub(super) fn compile(
    context: &mut Context<'_>,
    action: &Action,
    raw: &raw::Authenticate,
    priority: u32,
    place: &Place<'_>,
) -> Option<Arc<Authenticate>> {
    require_tls(context, action, place, "people cannot be signed in over plain http");
    let providers = providers(context, action, raw, place);
    check_scope(context, raw, providers.as_deref().unwrap_or_default());
    let timeout = raw.session_timeout.as_ref().map_or(LONGEST_SESSION, |at| at.value.0);
    if let Some(at) = raw.session_timeout.as_ref().filter(|_| timeout.is_zero() || timeout > LONGEST_SESSION) {
        context.error(at, "a session lasts between 1s and 7d");
    }
    if let Some(at) = raw.idle_timeout.as_ref().filter(|at| at.value.0 < SHORTEST_IDLE || at.value.0 > timeout) {
        context.error(at, "an idle timeout is between 1m and the session timeout");
    }
    let cookie = raw.session_cookie_name.as_ref().map_or(SessionCookie::DEFAULT_NAME, |at| at.value.as_str());
    if let Some(at) = raw.session_cookie_name.as_ref().filter(|_| !SessionCookie::may_be_called(cookie)) {
        context.error(at, format!("{cookie:?} cannot name the session cookie"));
    }
    let here = Located { value: (), span: action.span, path: action.path.clone() };
    check_extra_params(context, &here, raw.extra_params());
    let origins = allowed_origins(context, &raw.allowed_origins);
    let requirements = requirements::compile(context, &raw.acr_values, raw.max_age.as_ref(), &raw.amr);
    requirements::voice_doubts(context, raw, providers.as_deref().unwrap_or_default());
    // Here at last: what else is wrong has been said.
    let providers = providers?;
    let is_choice = providers.len() > 1;
    let way = |context: &mut Context<'_>, connected: &ConnectedProvider, alternatives: Vec<Arc<Authenticate>>| {
        let sources = place.references.sources;
        Arc::new(Authenticate {
            rule: priority,
            provider: connected.provider.clone(),
            client: connected.client.clone(),
            on_unauthenticated_request: match raw.on_unauthenticated_request {
                Some(raw::OnUnauthenticatedRequest::Authenticate) | None => OnUnauthenticatedRequest::Authenticate,
                Some(raw::OnUnauthenticatedRequest::Deny) => OnUnauthenticatedRequest::Deny,
                Some(raw::OnUnauthenticatedRequest::Allow) => OnUnauthenticatedRequest::Allow,
            },
            scope: raw.scope.as_ref().map_or("openid", |at| at.value.as_str()).to_owned(),
            cookie: SessionCookie::new(cookie),
            session_timeout: timeout,
            idle_timeout: raw.idle_timeout.as_ref().map(|at| at.value.0),
            ends_with_tokens: raw.session_ends_with_tokens.unwrap_or(false),
            extra_params: extra_params(raw, connected),
            requirements: requirements.clone(),
            allow_cors_preflight: raw.allow_cors_preflight.unwrap_or(false),
            allowed_origins: origins.clone(),
            bearer_tokens: raw.bearer_tokens.as_ref().map(|at| Arc::new(tokens::bearer_tokens(context, at, connected, sources))),
            own_redirect_uri: is_choice,
            alternatives,
        })
    };
    let (first, others) = providers.split_first()?;
    let alternatives = others.iter().map(|connected| way(context, connected, Vec::new())).collect();
    Some(way(context, first, alternatives))
}

/// One, or several that differ.
fn providers<'a>(
    context: &mut Context<'_>,
    action: &Action,
    raw: &raw::Authenticate,
    place: &Place<'a>,
) -> Option<Vec<&'a ConnectedProvider>> {
    let named = raw.providers();
    let fault = match (&raw.identity_provider, named.len()) {
        (Some(_), _) if !raw.identity_providers.value.is_empty() => Some("identity_provider and identity_providers cannot both be given"),
        (None, 0) => Some("identity_provider is missing"),
        _ => None,
    };
    if let Some(fault) = fault {
        context.push(Fault::error(action.path.clone(), fault).at(action.span).hint("identity_providers lets people choose"));
        return None;
    }
    let mut found: Vec<&ConnectedProvider> = Vec::new();
    let mut sound = true;
    for at in named {
        match place.references.providers.get(&at.value) {
            Some(connected) if found.iter().any(|known| Arc::ptr_eq(&known.provider, &connected.provider)) => {
                context.error(at, format!("{} is given twice", at.value));
                sound = false;
            }
            Some(connected) => found.push(connected),
            None => {
                unknown(context, at, "identity provider", &place.references.names.providers);
                sound = false;
            }
        }
    }
    sound.then_some(found)
}

fn check_scope(context: &mut Context<'_>, raw: &raw::Authenticate, providers: &[&ConnectedProvider]) {
    let Some(at) = &raw.scope else { return };
    let has = |wanted: &str| at.value.split(' ').any(|scope| scope == wanted);
    if !has("openid") {
        context.error_hint(at, "the scope lacks openid: there would be no ID token", "scope: openid email profile");
    }
    if has("offline_access") && providers.iter().any(|connected| &**connected.provider.issuers.first() == issuers::GOOGLE) {
        context.warn(
            at,
            "Google refuses the scope offline_access",
            "authentication_request_extra_params: { access_type: offline, prompt: consent }",
        );
    }
}

pub(super) fn check_extra_params(context: &mut Context<'_>, at: &Located<()>, extra: &BTreeMap<String, Located<Located<String>>>) {
    if extra.len() > 10 {
        context.error(at, "authentication_request_extra_params has at most 10 entries");
    }
    for (name, at) in extra.iter().filter(|(name, _)| OWN_PARAMETERS.contains(&name.as_str())) {
        context.error(at, format!("{name} is the gateway's own parameter"));
    }
}

/// The provider's, over which the rule's own win.
fn extra_params(raw: &raw::Authenticate, connected: &ConnectedProvider) -> Vec<(String, String)> {
    let mut extra: BTreeMap<String, String> = connected.extra_params.iter().cloned().collect();
    extra.extend(raw.extra_params().iter().map(|(name, at)| (name.clone(), at.value.value.clone())));
    extra.into_iter().collect()
}

fn allowed_origins(context: &mut Context<'_>, raw: &[Located<String>]) -> AllowedOrigins {
    let mut allowed = AllowedOrigins::default();
    for at in raw {
        if !allowed.add(&at.value) {
            context.error_hint(at, format!("{:?} is no origin", at.value), "https://www.example.com, without a path; \"*\" for any");
        }
    }
    allowed
}

pub(super) fn require_tls(context: &mut Context<'_>, action: &Action, place: &Place<'_>, message: &str) {
    if place.scheme == Protocol::Http && !place.is_behind_proxy {
        let fault = Fault::error(action.path.clone(), message)
            .at(action.span)
            .hint("use protocol: https, or name the TLS terminator in front in trusted_proxies");
        context.push(fault);
    }
}

/// Shorter, and people would be asked to sign in while they read.
const SHORTEST_IDLE: Duration = Duration::from_secs(60);
/// ALB's longest, and its default.
const LONGEST_SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Of the authorization request: the gateway sets them itself.
pub const OWN_PARAMETERS: [&str; 14] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];

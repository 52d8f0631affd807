//! `actions` of rules.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use super::Providers;
use super::context::Context;
use super::targets::Groups;
use super::tokens::{self, TokenSources};
use crate::authentication::{AllowedOrigins, Authenticate, OnUnauthenticatedRequest};
use crate::config::raw::{self, Action, ActionKind, Protocol};
use crate::config::reader::{Located, nearest_word};
use crate::config::report::Fault;
use crate::gateway::{FixedResponse, ForwardAction, Redirect, RoutingAction, RuleActions, Transforms, WeightedTargetGroup};
use crate::session::SessionCookie;

/// Names that an action may refer to.
pub(super) struct Names {
    pub(super) providers: Vec<String>,
    pub(super) groups: Vec<String>,
}

/// What an action may refer to.
pub(super) struct References<'a> {
    pub(super) providers: &'a Providers,
    pub(super) groups: &'a Groups,
    pub(super) sources: &'a TokenSources<'a>,
    /// Every name in the file, also of what has faults of its own.
    pub(super) names: &'a Names,
}

/// Where the actions stand.
pub(super) struct Place<'a> {
    pub(super) scheme: Protocol,
    pub(super) is_behind_proxy: bool,
    pub(super) references: &'a References<'a>,
}

pub(super) fn actions(context: &mut Context<'_>, raw: &Located<Vec<Action>>, priority: u32, place: &Place<'_>) -> Option<RuleActions> {
    let mut authenticate = None;
    let mut jwt_validation = None;
    let mut routing = None;
    let mut sound = true;
    for (index, action) in raw.value.iter().enumerate() {
        let last = index + 1 == raw.value.len();
        match &action.kind {
            ActionKind::Authenticate(raw_action) if index == 0 && !last => {
                match self::authenticate(context, action, raw_action, priority, place) {
                    Some(compiled) => authenticate = Some(Arc::new(compiled)),
                    None => sound = false,
                }
            }
            ActionKind::JwtValidation(raw_action) if index == 0 && !last => {
                require_tls(context, action, place, "a token cannot be kept secret over plain http");
                match tokens::jwt_validation(context, raw_action, place.references.sources) {
                    Some(compiled) => jwt_validation = Some(Arc::new(compiled)),
                    None => sound = false,
                }
            }
            ActionKind::Authenticate(_) | ActionKind::JwtValidation(_) => {
                let message = "authenticate or jwt_validation comes first, and one routing action after it";
                context.push(Fault::error(action.path.clone(), message).at(action.span));
                sound = false;
            }
            _ if !last => {
                context.push(
                    Fault::error(action.path.clone(), "a routing action (forward, redirect, fixed_response) comes last, and there is one")
                        .at(action.span),
                );
                sound = false;
            }
            ActionKind::Forward(raw) => routing = forward(context, action, raw, place),
            ActionKind::Redirect(raw) => routing = redirect(context, action, raw),
            ActionKind::FixedResponse(raw) => routing = fixed_response(context, raw),
        }
    }
    if raw.value.is_empty() {
        context.error_hint(raw, "there is no action", "end with forward, redirect or fixed_response");
    }
    let name = if priority == 0 { "default".into() } else { priority.to_string().into() };
    let routing = routing?;
    sound.then_some(RuleActions { name, priority, authenticate, jwt_validation, routing, transforms: Transforms::default() })
}

/// A name that is in the file has faults of its own, which are reported where they are.
fn unknown(context: &mut Context<'_>, at: &Located<String>, what: &str, known: &[String]) {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if known.contains(&at.value.as_str()) {
        return;
    }
    let hint = nearest_word(&at.value, &known)
        .unwrap_or_else(|| if known.is_empty() { "none is defined".to_owned() } else { format!("there are: {}", known.join(", ")) });
    context.error_hint(at, format!("no {what} is called {:?}", at.value), hint);
}

fn authenticate(
    context: &mut Context<'_>,
    action: &Action,
    raw: &raw::Authenticate,
    priority: u32,
    place: &Place<'_>,
) -> Option<Authenticate> {
    require_tls(context, action, place, "people cannot be signed in over plain http");
    let scope = raw.scope.as_ref().map_or("openid", |at| at.value.as_str());
    if let Some(at) = raw.scope.as_ref().filter(|at| !at.value.split(' ').any(|scope| scope == "openid")) {
        context.error_hint(at, "the scope lacks openid: there would be no ID token", "scope: openid email profile");
    }
    let timeout = raw.session_timeout.as_ref().map_or(LONGEST_SESSION, |at| at.value.0);
    if let Some(at) = raw.session_timeout.as_ref().filter(|_| timeout.is_zero() || timeout > LONGEST_SESSION) {
        context.error(at, "a session lasts between 1s and 7d");
    }
    let cookie = raw.session_cookie_name.as_ref().map_or(SessionCookie::DEFAULT_NAME, |at| at.value.as_str());
    if let Some(at) = raw.session_cookie_name.as_ref().filter(|_| !SessionCookie::may_be_called(cookie)) {
        context.error(at, format!("{cookie:?} cannot name the session cookie"));
    }
    let extra = raw.extra_params();
    if extra.len() > 10 {
        context.push(Fault::error(action.path.clone(), "authentication_request_extra_params has at most 10 entries").at(action.span));
    }
    for (name, at) in extra.iter().filter(|(name, _)| OWN_PARAMETERS.contains(&name.as_str())) {
        context.error(at, format!("{name} is the gateway's own parameter"));
    }
    let Some(connected) = place.references.providers.get(&raw.identity_provider.value) else {
        unknown(context, &raw.identity_provider, "identity provider", &place.references.names.providers);
        return None;
    };
    Some(Authenticate {
        rule: priority,
        provider: connected.provider.clone(),
        client: connected.client.clone(),
        on_unauthenticated_request: match raw.on_unauthenticated_request {
            Some(raw::OnUnauthenticatedRequest::Authenticate) | None => OnUnauthenticatedRequest::Authenticate,
            Some(raw::OnUnauthenticatedRequest::Deny) => OnUnauthenticatedRequest::Deny,
            Some(raw::OnUnauthenticatedRequest::Allow) => OnUnauthenticatedRequest::Allow,
        },
        scope: scope.to_owned(),
        cookie: SessionCookie::new(cookie),
        session_timeout: timeout,
        extra_params: extra.iter().map(|(name, at)| (name.clone(), at.value.value.clone())).collect(),
        allow_cors_preflight: raw.allow_cors_preflight.unwrap_or(false),
        allowed_origins: allowed_origins(context, &raw.allowed_origins),
        bearer_tokens: raw
            .bearer_tokens
            .as_ref()
            .map(|at| Arc::new(tokens::bearer_tokens(context, at, connected, place.references.sources))),
    })
}

fn require_tls(context: &mut Context<'_>, action: &Action, place: &Place<'_>, message: &str) {
    if place.scheme == Protocol::Http && !place.is_behind_proxy {
        let fault = Fault::error(action.path.clone(), message)
            .at(action.span)
            .hint("use protocol: https, or name the TLS terminator in front in trusted_proxies");
        context.push(fault);
    }
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

fn forward(context: &mut Context<'_>, action: &Action, raw: &raw::Forward, place: &Place<'_>) -> Option<RoutingAction> {
    let mut groups: Vec<WeightedTargetGroup> = Vec::new();
    let mut sound = true;
    for weighted in &raw.target_groups {
        let weight = weighted.weight.as_ref().map_or(1, |at| at.value);
        if let Some(at) = weighted.weight.as_ref().filter(|_| weight > 999) {
            context.error(at, "a weight is between 0 and 999");
        }
        match place.references.groups.get(&weighted.name.value) {
            Some(group) if groups.iter().any(|known| Arc::ptr_eq(&known.group, group)) => {
                context.error(&weighted.name, format!("{} is given twice", weighted.name.value));
            }
            Some(group) => groups.push(WeightedTargetGroup { group: group.clone(), weight }),
            None => {
                unknown(context, &weighted.name, "target group", &place.references.names.groups);
                sound = false;
            }
        }
    }
    let fault = match raw.target_groups.len() {
        1..=5 if sound && groups.iter().all(|weighted| weighted.weight == 0) => Some("every weight is 0: nothing would be forwarded"),
        1..=5 => None,
        _ => Some("a forward has between 1 and 5 target groups"),
    };
    if let Some(fault) = fault {
        context.push(Fault::error(action.path.clone(), fault).at(action.span));
        return None;
    }
    let stickiness = raw.stickiness.as_ref().map(|at| super::targets::sticky_duration(context, at));
    if let Some(at) = &raw.stickiness {
        super::targets::require_session_key(context, at);
    }
    sound.then_some(RoutingAction::Forward(ForwardAction { groups, stickiness }))
}

fn redirect(context: &mut Context<'_>, action: &Action, raw: &raw::Redirect) -> Option<RoutingAction> {
    let status = match raw.status_code {
        raw::RedirectStatus::Http301 => 301,
        raw::RedirectStatus::Http302 => 302,
    };
    let raw::Redirect { protocol, host, port, path, query, .. } = raw.clone();
    let redirect = Redirect::new(protocol, host, port, path, query, status);
    if let Err(error) = redirect.check() {
        context.push(Fault::error(action.path.clone(), error.to_string()).at(action.span));
        return None;
    }
    Some(RoutingAction::Redirect(redirect))
}

fn fixed_response(context: &mut Context<'_>, raw: &raw::FixedResponse) -> Option<RoutingAction> {
    let status = raw.status_code.value;
    if !matches!(status, 200..=299 | 400..=599) {
        context.error(&raw.status_code, "a fixed response has a status of 2xx, 4xx or 5xx");
    }
    let body = raw.message_body.as_ref().map_or("", |at| at.value.as_str());
    if let Some(at) = raw.message_body.as_ref().filter(|_| body.chars().count() > 1024) {
        context.error(at, "a fixed response has at most 1024 characters");
    }
    let content_type = raw.content_type.as_ref().map_or("text/plain", |at| at.value.as_str());
    match HeaderValue::from_str(content_type) {
        Ok(content_type) => {
            Some(RoutingAction::FixedResponse(FixedResponse { status, content_type, body: Bytes::copy_from_slice(body.as_bytes()) }))
        }
        Err(_) => {
            if let Some(at) = &raw.content_type {
                context.error(at, format!("{content_type:?} is not a content type"));
            }
            None
        }
    }
}

/// ALB's longest, and its default.
const LONGEST_SESSION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Of the authorization request: the gateway sets them itself.
pub const OWN_PARAMETERS: [&str; 10] = [
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
];

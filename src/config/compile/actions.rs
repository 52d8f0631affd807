//! `actions` of rules.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::authenticate;
use super::context::Context;
use super::issuers;
use super::references::{Place, unknown};
use super::tokens;
use crate::config::raw::{self, Action, ActionKind};
use crate::config::reader::Located;
use crate::config::report::Fault;
use crate::gateway::{FixedResponse, ForwardAction, Redirect, RoutingAction, RuleActions, Transforms, WeightedTargetGroup};

/// Whoever tells who it is first, then who of them may pass, then one routing action.
pub(super) fn actions(context: &mut Context<'_>, raw: &Located<Vec<Action>>, priority: u32, place: &Place<'_>) -> Option<RuleActions> {
    let mut authenticate = None;
    let mut jwt_validation = None;
    let mut authorize = None;
    let mut routing = None;
    let mut sound = true;
    let mut misplaced = |context: &mut Context<'_>, action: &Action, message: &str, hint: &str| {
        context.push(Fault::error(action.path.clone(), message).at(action.span).hint(hint));
        sound = false;
    };
    for (index, action) in raw.value.iter().enumerate() {
        let last = index + 1 == raw.value.len();
        let before = index.checked_sub(1).map(|before| &raw.value[before].kind);
        match &action.kind {
            ActionKind::Authenticate(_) | ActionKind::JwtValidation(_) if index > 0 || last => {
                misplaced(context, action, "authenticate or jwt_validation comes first, and one routing action after it", ORDER);
            }
            ActionKind::Authorize(_) if !before.is_some_and(tells_who_it_is) => {
                misplaced(context, action, "authorize comes right after authenticate or jwt_validation: it is not known who asks", ORDER);
            }
            ActionKind::Forward(_) | ActionKind::Redirect(_) | ActionKind::FixedResponse(_) if !last => {
                misplaced(context, action, "a routing action (forward, redirect, fixed_response) comes last, and there is one", ORDER);
            }
            ActionKind::Authorize(_) if last => {
                misplaced(context, action, "a routing action (forward, redirect, fixed_response) comes last, and there is one", ORDER);
            }
            ActionKind::Authenticate(raw) => authenticate = Some(authenticate::compile(context, action, raw, priority, place)),
            ActionKind::JwtValidation(raw) => {
                authenticate::require_tls(context, action, place, "a token cannot be kept secret over plain http");
                jwt_validation = Some(tokens::jwt_validation(context, raw, place.references.sources));
            }
            ActionKind::Authorize(raw_action) => {
                authorize =
                    Some(super::authorize::policy(context, action, raw_action, &groups_claims(&raw.value, place), place.references));
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
    // What was asked for and has faults must not be left out.
    let authenticate = authenticate.map_or(Some(None), |compiled| compiled.map(Some))?;
    let jwt_validation = jwt_validation.map_or(Some(None), |compiled| compiled.map(|compiled| Some(Arc::new(compiled))))?;
    let authorize = authorize.map_or(Some(None), |compiled| compiled.map(Some))?;
    let routing = routing?;
    if let (Some(authenticate), None, Some(action)) = (&authenticate, &authorize, raw.value.first())
        && authenticate.ways().any(|way| **way.provider.issuers.first() == *issuers::GOOGLE && way.provider.hosted_domains.is_empty())
    {
        let fault = Fault::warning(action.path.clone(), "everybody with a Google account may sign in").at(action.span);
        context.push(fault.hint("hosted_domains of the provider, or an authorize action"));
    }
    sound.then_some(RuleActions { name, priority, authenticate, jwt_validation, authorize, routing, transforms: Transforms::default() })
}

/// Whether an action tells who asks.
fn tells_who_it_is(action: &ActionKind) -> bool {
    match action {
        ActionKind::Authenticate(_) | ActionKind::JwtValidation(_) => true,
        ActionKind::Authorize(_) | ActionKind::Forward(_) | ActionKind::Redirect(_) | ActionKind::FixedResponse(_) => false,
    }
}

/// Where the providers of the rule keep groups; tokens of `jwt_validation` have no provider here.
fn groups_claims<'a>(actions: &'a [Action], place: &Place<'a>) -> Vec<(&'a str, &'a str)> {
    let providers = actions.iter().flat_map(|action| match &action.kind {
        ActionKind::Authenticate(raw) => raw.providers(),
        ActionKind::JwtValidation(_)
        | ActionKind::Authorize(_)
        | ActionKind::Forward(_)
        | ActionKind::Redirect(_)
        | ActionKind::FixedResponse(_) => &[],
    });
    let known = providers.filter_map(|at| Some((at.value.as_str(), place.references.providers.get(&at.value)?)));
    known.map(|(name, connected)| (name, &*connected.groups_claim)).collect()
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

const ORDER: &str = "the order is: authenticate or jwt_validation, authorize, then forward, redirect or fixed_response";

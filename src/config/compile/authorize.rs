//! The `authorize` action.

use super::context::Context;
use super::references::References;
use crate::authorization::{EmailPattern, Expression, Groups, Mode, Policy};
use crate::config::raw::{Action, Authorize, AuthorizeMode};
use crate::config::reader::Located;
use crate::config::report::Fault;

/// `groups_claims` are those of the rule's providers, by their names; empty where they have faults of their own.
pub(super) fn policy(
    context: &mut Context<'_>,
    action: &Action,
    raw: &Authorize,
    groups_claims: &[(&str, &str)],
    references: &References<'_>,
) -> Option<Policy> {
    if raw.allow.is_none() && raw.groups.is_none() && raw.emails.is_none() && raw.claims.sections.is_empty() {
        let fault = Fault::error(action.path.clone(), "an authorize action says who may pass");
        context.push(fault.at(action.span).hint("give it at least one of allow, groups, emails and claims"));
        return None;
    }
    let allow = raw.allow.as_ref().map(|at| expression(context, at, references));
    let groups = raw.groups.as_ref().map(|at| texts(context, at));
    if let Some(at) = raw.groups_claim.as_ref().filter(|_| raw.groups.is_none()) {
        context.error_hint(at, "groups_claim says where groups are, and no group is asked for", "add groups, or remove it");
    }
    let of_first = groups_claims.first().map_or("groups", |(_, claim)| claim);
    let claim = raw.groups_claim.as_ref().map_or(of_first, |at| at.value.as_str());
    let claim_of = if raw.groups_claim.is_some() { &[] } else { groups_claims };
    let claim_of: Vec<_> = claim_of.iter().map(|(name, claim)| ((*name).into(), (*claim).into())).collect();
    let emails = raw.emails.as_ref().map(|at| emails(context, at));
    let claims: Vec<_> = raw.claims.sections.iter().map(|(name, at)| Some((name.as_str().into(), texts(context, at)?))).collect();
    let policy = Policy {
        mode: match raw.mode {
            Some(AuthorizeMode::Shadow) => Mode::Shadow,
            Some(AuthorizeMode::Enforce) | None => Mode::Enforce,
        },
        // What is given and has faults must not be left out: the rest would let more people pass.
        allow: allow.map_or(Some(None), |allow| allow.map(Some))?,
        groups: groups.map_or(Some(None), |groups| groups.map(|any_of| Some(Groups { claim: claim.into(), claim_of, any_of })))?,
        emails: emails.map_or(Some(Vec::new()), |emails| emails)?,
        claims: claims.into_iter().collect::<Option<_>>()?,
    };
    doubt(context, raw, &policy);
    Some(policy)
}

fn expression(context: &mut Context<'_>, at: &Located<String>, references: &References<'_>) -> Option<Expression> {
    let expression = match Expression::compile(&at.value) {
        Ok(expression) => expression,
        Err(faults) => {
            for fault in faults {
                let mut report = Fault::error(at.path.clone(), fault.message).at(context.within(at, fault.at, fault.length));
                report.hint = fault.hint;
                context.push(report);
            }
            return None;
        }
    };
    let mut sound = true;
    for header in expression.headers().iter().filter(|header| references.protected.covers(&header.name)) {
        // What a client says under these names is thrown away before the target sees it. It decides nothing either (H20, H21).
        let message = format!("a client could say anything under {}: no target ever sees it", header.name);
        let hint = "the visitor's address is request.source_ip, the host request.host";
        context.push(Fault::error(at.path.clone(), message).at(context.within(at, header.at, header.length)).hint(hint));
        sound = false;
    }
    sound.then_some(expression)
}

fn texts(context: &mut Context<'_>, at: &Located<Vec<Located<String>>>) -> Option<Vec<Box<str>>> {
    if at.value.is_empty() {
        context.error_hint(at, "an empty list lets nobody pass", "name at least one, or remove the key");
        return None;
    }
    Some(at.value.iter().map(|at| at.value.as_str().into()).collect())
}

fn emails(context: &mut Context<'_>, at: &Located<Vec<Located<String>>>) -> Option<Vec<EmailPattern>> {
    texts(context, at)?;
    let patterns: Vec<_> = at
        .value
        .iter()
        .map(|at| {
            let pattern = EmailPattern::parse(&at.value);
            if pattern.is_none() {
                let hint = "write bob@example.com, *@example.com or *@*.example.com";
                context.error_hint(at, format!("{:?} is no pattern for e-mail addresses", at.value), hint);
            }
            pattern
        })
        .collect();
    patterns.into_iter().collect()
}

/// Sound, and probably not what was meant.
fn doubt(context: &mut Context<'_>, raw: &Authorize, policy: &Policy) {
    let Some((at, allow)) = raw.allow.as_ref().zip(policy.allow.as_ref()) else { return };
    match allow.constant() {
        Some(false) => context.warn(at, "can never allow: this is false for every request", "everybody is refused"),
        Some(true) => {
            context.warn(at, "always allows: this is true for every request", "it refuses nobody; leave it out, or ask for something");
        }
        None => {}
    }
}

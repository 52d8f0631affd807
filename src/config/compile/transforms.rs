//! `transforms` of rules.

use super::context::Context;
use crate::config::raw;
use crate::config::reader::Located;
use crate::gateway::{Rewrite, RewriteError, RoutingAction, RuleActions, Transforms};

/// Adds the transforms to the actions of their rule.
pub(super) fn add(context: &mut Context<'_>, raw: Option<&Located<raw::Transforms>>, actions: Option<RuleActions>) -> Option<RuleActions> {
    let Some(raw) = raw else { return actions };
    let [host, url] = [&raw.value.host_header_rewrite, &raw.value.url_rewrite];
    let (host_rewrite, url_rewrite) = (rewrite(context, host.as_ref()), rewrite(context, url.as_ref()));
    let mut actions = actions?;
    if !matches!(actions.routing, RoutingAction::Forward(_)) {
        context.error_hint(raw, "only a forwarded request is rewritten", "a redirect has host, path and query of its own");
        return None;
    }
    if host.is_some() != host_rewrite.is_some() || url.is_some() != url_rewrite.is_some() {
        return None;
    }
    actions.transforms = Transforms { host_header_rewrite: host_rewrite, url_rewrite };
    Some(actions)
}

/// `None` also for one with a fault, which has been reported.
fn rewrite(context: &mut Context<'_>, at: Option<&Located<raw::Rewrite>>) -> Option<Rewrite> {
    let at = at?;
    let raw::Rewrite { regex, replace } = &at.value;
    if regex.value.is_empty() || regex.value.len() > MAX_CHARACTERS {
        context.error(regex, format!("a regular expression has between 1 and {MAX_CHARACTERS} characters"));
        return None;
    }
    if replace.value.len() > MAX_CHARACTERS {
        context.error(replace, format!("a replacement has at most {MAX_CHARACTERS} characters"));
        return None;
    }
    match Rewrite::new(&regex.value, &replace.value) {
        Ok(rewrite) => Some(rewrite),
        Err(error @ RewriteError::Regex(_)) => {
            context.error(regex, error.to_string());
            None
        }
        Err(error @ RewriteError::Group(_)) => {
            context.error_hint(replace, error.to_string(), "put parentheses around what is to be kept");
            None
        }
    }
}

/// ALB's limit.
const MAX_CHARACTERS: usize = 1024;

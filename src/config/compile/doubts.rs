//! Warnings of rules that are sound, and probably not what was meant.

use super::context::Context;
use crate::config::raw::{Action, ActionKind, Condition, Listener};
use crate::gateway::{HostNames, RuleActions};
use crate::rules::RuleTable;

pub(super) fn voice(context: &mut Context<'_>, raw: &Listener, table: &RuleTable<RuleActions>, hosts: &HostNames) {
    shadowed(context, raw, table);
    unserved(context, raw, hosts);
    if let [Action { kind: ActionKind::Forward(_), .. }] = raw.default_actions.value.as_slice() {
        context.warn(
            &raw.default_actions,
            "what no rule matches reaches the target without signing in",
            "put authenticate first, or answer with a fixed_response",
        );
    }
}

fn shadowed(context: &mut Context<'_>, raw: &Listener, table: &RuleTable<RuleActions>) {
    for (late, early) in table.shadowed() {
        let place = |priority: u32| raw.rules.iter().find(|rule| rule.priority.value == priority).map(|rule| &rule.priority);
        if let (Some(late), Some(early)) = (place(late), place(early)) {
            context.warn(
                late,
                format!("can never match: rule {} takes every such request first (line {})", early.value, early.span.line),
                "give it a lower priority number, or remove it",
            );
        }
    }
}

/// A host that the listener answers with 421 before any rule is asked.
fn unserved(context: &mut Context<'_>, raw: &Listener, hosts: &HostNames) {
    if hosts.is_empty() {
        return;
    }
    for condition in raw.rules.iter().flat_map(|rule| &rule.conditions.value) {
        let Condition::HostHeader(values) = &condition.value else { continue };
        for at in values.iter().filter(|at| !at.value.contains(['*', '?']) && !hosts.serve(&at.value.to_ascii_lowercase())) {
            context.warn(
                at,
                format!("can never match: this listener does not serve {}", at.value),
                "name it in the listener's hosts, or give it a certificate",
            );
        }
    }
}

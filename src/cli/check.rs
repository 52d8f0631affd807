//! `vestibule check`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::{AT_FAULT, FAILED, output, policy_tests};
use crate::app::{Connections, Connector, Observers};
use crate::authentication::{Authenticate, KeySource as _, ProviderClient as _};
use crate::clients::{SystemClock, ask_directory, system_entropy};
use crate::clock::Clock as _;
use crate::config::{self, Compiled};
use crate::gateway::{Gateway, ListenerRules};
use crate::provider::ProviderMetadata;
use crate::tokens::KeySet;

pub(super) fn run(path: &Path, online: bool, tests: Option<&Path>) -> ExitCode {
    let connector = Connector::new(Observers::none(), &system_entropy());
    let (compiled, report) = config::load(path, &system_entropy(), SystemClock.now(), &connector);
    output::print(report.render(output::has_color(&std::io::stdout())).trim_end());
    let Some(compiled) = compiled else { return ExitCode::from(AT_FAULT) };
    let tested = tests.map_or(ExitCode::SUCCESS, |tests| policy_tests::run(tests, &compiled.gateway, SystemClock.now()));
    if tested != ExitCode::SUCCESS {
        return tested;
    }
    if online { ask(path, &connector.into_connections(), &compiled) } else { ExitCode::SUCCESS }
}

/// Every provider, key set and authority, and what it says.
fn ask(path: &Path, connections: &Connections, compiled: &Compiled) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return ExitCode::from(FAILED) };
    let (outcomes, doubts) = runtime.block_on(async {
        let mut outcomes = Vec::new();
        let mut doubts = Vec::new();
        if let Some(outcome) = connections.try_session_store().await {
            outcomes.push(("sessions.redis".to_owned(), outcome));
        }
        for (provider, connection) in &connections.providers {
            let outcome = match (connection.metadata().await, connection.keys().await) {
                (Ok(metadata), Ok(keys)) => {
                    doubts.extend(unknown_levels(&compiled.gateway, &provider.name, &metadata));
                    Ok(format!("{}, {}", metadata.issuer, counted(&keys)))
                }
                (Err(error), _) => Err(format!("discovery ({}): {error}", provider.discovery_url)),
                (_, Err(error)) => Err(format!("key set: {error}")),
            };
            outcomes.push((format!("identity_providers.{}", provider.name), outcome));
        }
        for (issuer, connection) in &connections.key_sets {
            let outcome = connection.keys().await.map(|keys| counted(&keys)).map_err(|error| format!("key set: {error}"));
            outcomes.push((format!("jwt_validation of {issuer}"), outcome));
        }
        for listener in &compiled.listeners {
            if let Some(order) = &listener.acme {
                outcomes.push((format!("acme of {}", listener.address), ask_directory(order).await));
            }
        }
        (outcomes, doubts)
    });
    let errors = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    let verdict = match errors {
        0 => "everything answers".to_owned(),
        1 => "1 of them does not answer as it should".to_owned(),
        count => format!("{count} of them do not answer as they should"),
    };
    output::print(&format!("\n{} online: {verdict}", path.display()));
    for (name, outcome) in &outcomes {
        let (word, words) = match outcome {
            Ok(words) => ("ok   ", words),
            Err(words) => ("error", words),
        };
        output::print(&format!("\n  {word}  {name}\n         {words}"));
    }
    for (name, words) in &doubts {
        output::print(&format!("\n  warn   {name}\n         {words}"));
    }
    if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// Rules that ask for levels of authentication of which the provider's discovery document names none.
fn unknown_levels(gateway: &Gateway, provider: &str, metadata: &ProviderMetadata) -> Vec<(String, String)> {
    let Some(supported) = &metadata.acr_values_supported else { return Vec::new() };
    let asking = |rule: &&Arc<Authenticate>| {
        let wanted = &rule.requirements.acr_values;
        *rule.provider.name == *provider && !wanted.is_empty() && !wanted.iter().any(|value| supported.contains(value))
    };
    let listeners = gateway.listeners.iter();
    let asking = listeners.flat_map(|listener| listener.authenticating().filter(asking).map(move |rule| (listener, rule)));
    let doubt = |(listener, rule): (&ListenerRules, &Arc<Authenticate>)| {
        let which = if rule.rule == 0 { "default_actions".to_owned() } else { format!("rule {}", rule.rule) };
        let wanted = &rule.requirements.acr_values;
        let words = format!("{provider} names none of {wanted:?} in acr_values_supported, which is {supported:?}: nobody may pass");
        (format!("{which} of {}: acr_values", listener.name), words)
    };
    asking.map(doubt).collect()
}

fn counted(keys: &KeySet) -> String {
    let left_out = if keys.left_out() > 0 { format!(", {} that cannot be used", keys.left_out()) } else { String::new() };
    format!("{} keys{left_out}", keys.len())
}

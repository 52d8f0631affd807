//! `vestibule check`.

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::{AT_FAULT, FAILED, output};
use crate::app;
use crate::authentication::ProviderClient;
use crate::clients::{ProviderConnection, SystemClock, system_entropy};
use crate::clock::Clock as _;
use crate::config;
use crate::provider::Provider;

pub(super) fn run(path: &Path, online: bool) -> ExitCode {
    let connections: RefCell<Vec<(Arc<Provider>, Arc<ProviderConnection>)>> = RefCell::new(Vec::new());
    let connect = |provider: &Arc<Provider>, authorities: Option<&[u8]>| {
        let connection = app::connection(provider, authorities, Arc::new(|_| {}))?;
        connections.borrow_mut().push((provider.clone(), connection.clone()));
        Ok(connection as Arc<dyn ProviderClient>)
    };
    let (compiled, report) = config::load(path, &system_entropy(), SystemClock.now(), &connect);
    output::print(report.render(output::has_color(&std::io::stdout())).trim_end());
    if compiled.is_none() {
        return ExitCode::from(AT_FAULT);
    }
    if online { ask_providers(path, connections.into_inner()) } else { ExitCode::SUCCESS }
}

fn ask_providers(path: &Path, connections: Vec<(Arc<Provider>, Arc<ProviderConnection>)>) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return ExitCode::from(FAILED) };
    let outcomes = runtime.block_on(async {
        let mut outcomes = Vec::new();
        for (provider, connection) in connections {
            let outcome = match (connection.metadata().await, connection.keys().await) {
                (Ok(metadata), Ok(keys)) => {
                    let left_out = if keys.left_out() > 0 { format!(", {} that cannot be used", keys.left_out()) } else { String::new() };
                    Ok(format!("{}, {} keys{left_out}", metadata.issuer, keys.len()))
                }
                (Err(error), _) => Err(format!("discovery ({}): {error}", provider.discovery_url)),
                (_, Err(error)) => Err(format!("key set: {error}")),
            };
            outcomes.push((provider.name.clone(), outcome));
        }
        outcomes
    });
    let errors = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    let verdict = match errors {
        0 => "every identity provider answers".to_owned(),
        1 => "1 identity provider does not answer as it should".to_owned(),
        count => format!("{count} identity providers do not answer as they should"),
    };
    output::print(&format!("\n{} online: {verdict}", path.display()));
    for (name, outcome) in &outcomes {
        let (word, words) = match outcome {
            Ok(words) => ("ok   ", words),
            Err(words) => ("error", words),
        };
        output::print(&format!("\n  {word}  identity_providers.{name}\n         {words}"));
    }
    if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

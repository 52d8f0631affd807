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
    output::print(report.render(output::has_color()).trim_end());
    if compiled.is_none() {
        return ExitCode::from(AT_FAULT);
    }
    if online { ask_providers(connections.into_inner()) } else { ExitCode::SUCCESS }
}

fn ask_providers(connections: Vec<(Arc<Provider>, Arc<ProviderConnection>)>) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return ExitCode::from(FAILED) };
    let mut all_good = true;
    runtime.block_on(async {
        for (provider, connection) in connections {
            let name = &provider.name;
            let outcome = match (connection.metadata().await, connection.keys().await) {
                (Ok(metadata), Ok(keys)) => {
                    let left_out = if keys.left_out() > 0 { format!(", {} that cannot be used", keys.left_out()) } else { String::new() };
                    Ok(format!("{}, {} keys{left_out}", metadata.issuer, keys.len()))
                }
                (Err(error), _) => Err(format!("discovery ({}): {error}", provider.discovery_url)),
                (_, Err(error)) => Err(format!("key set: {error}")),
            };
            match outcome {
                Ok(words) => output::print(&format!("\n  ok     identity_providers.{name}\n         {words}")),
                Err(words) => {
                    all_good = false;
                    output::print(&format!("\n  error  identity_providers.{name}\n         {words}"));
                }
            }
        }
    });
    if all_good { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

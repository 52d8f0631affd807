//! `vestibule identity-provider`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::{AT_FAULT, FAILED, output, serve};
use crate::clients::{SystemClock, system_entropy};
use crate::config;
use crate::demo::identity_provider::{Settings, serve};

pub(super) fn run(path: Option<&Path>) -> ExitCode {
    let settings = match path {
        None => Settings::default(),
        Some(path) => {
            let (settings, report) = config::load_identity_provider(path);
            if !report.faults().is_empty() {
                output::complain(report.render(output::has_color(&std::io::stderr())).trim_end());
            }
            match settings {
                Some(file) => Settings::from(file),
                None => return ExitCode::from(AT_FAULT),
            }
        }
    };
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else { return ExitCode::from(FAILED) };
    runtime.block_on(async {
        let listener = match tokio::net::TcpListener::bind(settings.address).await {
            Ok(listener) => listener,
            Err(error) => {
                output::complain(&format!("{}: {error}", settings.address));
                return ExitCode::from(FAILED);
            }
        };
        let port = listener.local_addr().map(|address| address.port()).unwrap_or_default();
        output::print(&format!(
            "  The development identity provider is ready at http://localhost:{port}/{}\n  Ctrl-C stops it.",
            settings.pool_id
        ));
        match serve(settings, listener, Arc::new(SystemClock), system_entropy(), self::serve::stop_signal()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                output::complain(&error.to_string());
                ExitCode::from(AT_FAULT)
            }
        }
    })
}

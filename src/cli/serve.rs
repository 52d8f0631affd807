//! `vestibule serve`.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::{AT_FAULT, FAILED, output};
use crate::app::{self, Options};
use crate::telemetry::{LogFormat, init_log, parse_level};

pub(super) fn run(path: &Path, level: Option<&str>) -> ExitCode {
    let options = Options::default();
    let (loaded, report) = app::load(path, &options);
    if !report.faults().is_empty() {
        output::complain(report.render(output::has_color(&std::io::stderr())).trim_end());
    }
    let Some(loaded) = loaded else { return ExitCode::from(AT_FAULT) };
    let log = loaded.log();
    let format = if log.json { LogFormat::Json } else { LogFormat::Text };
    init_log(parse_level(level.unwrap_or(log.level)).unwrap_or(tracing::Level::INFO), format, output::has_color(&std::io::stderr()));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("the runtime cannot start: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let outcome = runtime.block_on(async {
        let running = match app::start(loaded, options).await {
            Ok(running) => running,
            Err(error) => {
                output::complain(&error.to_string());
                return ExitCode::from(if error.is_configuration() { AT_FAULT } else { FAILED });
            }
        };
        for address in running.addresses() {
            tracing::info!(%address, "listening");
        }
        stop_signal().await;
        running.stop().await;
        ExitCode::SUCCESS
    });
    // A connection that outlives the drain must not hold the process.
    runtime.shutdown_background();
    outcome
}

/// SIGTERM drains; so does Ctrl-C, and a second one ends the process at once.
pub(super) async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        return;
    };
    // Without this the signal that elsewhere means "reload" would end the process, and everybody's requests with it.
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::warn!("SIGHUP: this version does not reload; restart it to use a changed configuration");
        }
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        interrupt.recv().await;
        std::process::exit(130);
    });
}

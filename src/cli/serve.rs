//! `vestibule serve`.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{AT_FAULT, FAILED, output};
use crate::app::{self, Options, Running};
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
        // Before anything is bound: without it the signal would end the process.
        let Ok(hangup) = signal(SignalKind::hangup()) else { return ExitCode::from(FAILED) };
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
        serve_until_stopped(&running, path, hangup).await;
        running.stop().await;
        ExitCode::SUCCESS
    });
    // A connection that outlives the drain must not hold the process.
    runtime.shutdown_background();
    outcome
}

/// SIGHUP reloads. What is wrong with the file is told with its place, and the configuration of before goes on.
async fn serve_until_stopped(running: &Running, path: &Path, mut hangup: Signal) {
    let mut stop = std::pin::pin!(stop_signal());
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = hangup.recv() => {}
        }
        match running.reload(path).await {
            Ok(told) => {
                told.iter().for_each(|line| tracing::warn!("{line}"));
                tracing::info!("the configuration was reloaded");
            }
            Err(error) => tracing::error!("the configuration was not reloaded, and the one of before goes on: {error}"),
        }
    }
}

/// SIGTERM drains; so does Ctrl-C, and a second one ends the process at once.
pub(super) async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        interrupt.recv().await;
        std::process::exit(130);
    });
}

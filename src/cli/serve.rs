//! `vestibule serve`.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aws_lc_rs::digest;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{AT_FAULT, FAILED, output};
use crate::app::{self, Loaded, Options, Running};
use crate::listener::{Inherited, Taker};
use crate::message::hex;
use crate::telemetry::{LogFormat, init_log, parse_level};

pub(super) fn run(path: &Path, upgrade: bool, level: Option<&str>) -> ExitCode {
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
    let upgrade_socket = upgrade_socket(&loaded, path);
    let outcome = runtime.block_on(async {
        // Before anything is bound: without them the signals would end the process.
        let (Ok(hangup), Ok(quit)) = (signal(SignalKind::hangup()), signal(SignalKind::quit())) else { return ExitCode::from(FAILED) };
        let inherited = match inherited(upgrade, &upgrade_socket).await {
            Ok(inherited) => inherited,
            Err(code) => return code,
        };
        let running = match app::start_with(loaded, options, inherited).await {
            Ok(running) => running,
            Err(error) => {
                output::complain(&error.to_string());
                return ExitCode::from(if error.is_configuration() { AT_FAULT } else { FAILED });
            }
        };
        for address in running.addresses() {
            tracing::info!(%address, "listening");
        }
        // systemd, if that has started it, has another main process now.
        if let Err(error) = sd_notify::notify(&[NotifyState::Ready, NotifyState::MainPid(std::process::id())]) {
            tracing::warn!(%error, "the service manager cannot be told that this process serves");
        }
        match serve_until_stopped(&running, path, &upgrade_socket, (hangup, quit)).await {
            Some(taker) => running.leave_to(taker).await,
            None => running.stop().await,
        }
        ExitCode::SUCCESS
    });
    // A connection that outlives the drain must not hold the process.
    runtime.shutdown_background();
    outcome
}

/// The listeners of the process that runs, where this one is to take its place.
async fn inherited(upgrade: bool, socket: &Path) -> Result<Option<Inherited>, ExitCode> {
    if !upgrade {
        return Ok(None);
    }
    tracing::info!(socket = %socket.display(), "waiting for the process that runs: send it SIGQUIT");
    let waited = tokio::select! {
        waited = Inherited::wait(socket) => waited,
        () = stop_signal() => return Err(ExitCode::SUCCESS),
    };
    waited.map(Some).map_err(|error| {
        output::complain(&format!("the listeners of the process that runs were not handed over, by way of {}: {error}", socket.display()));
        ExitCode::from(FAILED)
    })
}

/// SIGHUP reloads, and so does a change of the files where it is to: what is wrong with the file is told with its place, and the configuration of before goes on. SIGQUIT hands the
/// listeners over; where nobody takes them, this process goes on. `None`: it is to stop.
async fn serve_until_stopped(
    running: &Running,
    path: &Path,
    upgrade_socket: &Path,
    (mut hangup, mut quit): (Signal, Signal),
) -> Option<Taker> {
    let mut stop = std::pin::pin!(stop_signal());
    loop {
        tokio::select! {
            () = &mut stop => return None,
            _ = hangup.recv() => reload(running, path).await,
            () = running.files_changed() => {
                tracing::info!("a file of the configuration has changed");
                reload(running, path).await;
            }
            _ = quit.recv() => match running.hand_over(upgrade_socket).await {
                Ok(taker) => {
                    tracing::info!("another process has taken the listeners; this one finishes its requests");
                    return Some(taker);
                }
                Err(error) => tracing::error!(
                    socket = %upgrade_socket.display(),
                    %error,
                    "the listeners were not handed over, and this process goes on: start `vestibule serve --upgrade` first"
                ),
            },
        }
    }
}

async fn reload(running: &Running, path: &Path) {
    match running.reload(path).await {
        Ok(told) => {
            told.iter().for_each(|line| tracing::warn!("{line}"));
            tracing::info!("the configuration was reloaded");
        }
        Err(error) => tracing::error!("the configuration was not reloaded, and the one of before goes on: {error}"),
    }
}

/// Where a process waits that is to take the place of another with this configuration.
pub(super) fn upgrade_socket(loaded: &Loaded, path: &Path) -> PathBuf {
    loaded.upgrade_socket().map_or_else(|| default_upgrade_socket(path), Path::to_owned)
}

/// In a folder of this user's, by the path of the configuration: two gateways on one machine do not meet.
fn default_upgrade_socket(path: &Path) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let digest = digest::digest(&digest::SHA256, path.as_os_str().as_bytes());
    let folder = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"].iter().find_map(std::env::var_os).map_or_else(std::env::temp_dir, PathBuf::from);
    folder.join(format!("vestibule-{}.sock", hex(&digest.as_ref()[..8])))
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

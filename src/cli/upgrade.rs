//! `vestibule upgrade`: this binary, and the configuration as it is now, in place of the process that runs.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{AT_FAULT, FAILED, output, serve};
use crate::app::{self, Options};

/// Returns when the new process serves and the former one has finished its requests.
pub(super) fn run(path: &Path, pid: u32) -> ExitCode {
    let former = i32::try_from(pid).ok().and_then(Pid::from_raw).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let Some(former) = former else {
        output::complain(&format!("there is no process {pid} of this user"));
        return ExitCode::from(FAILED);
    };
    // Here too, and not only in the new process: a fault is told before anything is started.
    let (loaded, report) = app::load(path, &Options::default());
    let Some(loaded) = loaded else {
        output::complain(report.render(output::has_color(&std::io::stderr())).trim_end());
        return ExitCode::from(AT_FAULT);
    };
    let socket = serve::upgrade_socket(&loaded, path);
    let patience = START + loaded.drain_timeout();
    let _ = std::fs::remove_file(&socket);
    let next = std::env::current_exe().and_then(|own| Command::new(own).args(["serve", "--upgrade", "--config"]).arg(path).spawn());
    let mut next = match next {
        Ok(next) => next,
        Err(error) => {
            output::complain(&format!("the next process does not start: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    if !until(START, &mut next, || socket.exists()) {
        return given_up(next, "the next process does not wait for the listeners");
    }
    if let Err(error) = pidfd_send_signal(&former, Signal::QUIT) {
        return given_up(next, &format!("process {pid} takes no signal: {error}"));
    }
    if until(patience, &mut next, || has_ended(&former)) {
        return ExitCode::SUCCESS;
    }
    given_up(next, "the listeners were not handed over: the log of the process that runs says why")
}

/// Also where nobody has asked for its status yet.
fn has_ended(process: &OwnedFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Whether it has come about while the next process was there.
fn until(limit: Duration, next: &mut Child, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end && matches!(next.try_wait(), Ok(None)) {
        if is_so() {
            return true;
        }
        sleep(LOOK_AGAIN);
    }
    false
}

/// The former process goes on.
fn given_up(mut next: Child, words: &str) -> ExitCode {
    let ended = next.try_wait().ok().flatten();
    if ended.is_none() {
        let _ = next.kill();
        let _ = next.wait();
    }
    output::complain(words);
    let code = ended.filter(|status| status.signal().is_none()).and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.filter(|code| *code != 0).unwrap_or(FAILED))
}

const START: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

//! HAProxy in front of a gateway, which passes connections on and says whose they are: a process of its own, in a folder of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::gateway::{eventually, free_port};

pub(crate) struct Haproxy {
    _folder: tempfile::TempDir,
    process: Child,
    pub(crate) port: u16,
}

impl Haproxy {
    /// Takes connections at `bind` (`127.0.0.1`, `::1`), and makes those to the gateway from 127.0.0.2. Connections of its own, in which it
    /// looks whether a TLS handshake works, decide whether it passes any on.
    pub(crate) fn start(bind: &str, gateway: u16, says: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let configuration = format!(
            "global\n  stats timeout 5s\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n  timeout check 5s\n\
             frontend in\n  bind {bind}:{port}\n  default_backend gateway\n\
             backend gateway\n  server one 127.0.0.1:{gateway} source 127.0.0.2 {says} check check-ssl verify none inter 100ms fall 1 rise 2\n"
        );
        std::fs::write(folder.path().join("haproxy.cfg"), configuration).unwrap();
        let log = std::fs::File::create(folder.path().join("haproxy.log")).unwrap();
        let process = Command::new(program())
            .args(["-db", "-f", "haproxy.cfg"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("haproxy is missing: script/bootstrap installs it");
        let mut haproxy = Self { _folder: folder, process, port };
        let up = || std::net::TcpStream::connect((bind, port)).is_ok();
        assert!(eventually(Duration::from_secs(10), || haproxy.process.try_wait().unwrap().is_some() || up()), "haproxy does not start");
        if haproxy.process.try_wait().unwrap().is_none() {
            return haproxy;
        }
        let log = std::fs::read_to_string(haproxy._folder.path().join("haproxy.log")).unwrap_or_default();
        assert!(log.contains("Address already in use"), "haproxy does not start:\n{log}");
        // Somebody was faster.
        Self::start(bind, gateway, says)
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Debian puts it where only root's path leads.
fn program() -> &'static Path {
    let system = Path::new("/usr/sbin/haproxy");
    if system.exists() { system } else { Path::new("haproxy") }
}

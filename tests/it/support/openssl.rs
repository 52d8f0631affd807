//! OpenSSL as somebody else's client and authority.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs it to its end; both outputs.
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let run = Command::new("openssl").args(arguments).current_dir(folder).stdin(Stdio::null()).output();
    let output = run.expect("OpenSSL is missing: script/bootstrap installs it");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// One handshake as its client, and nothing after it.
pub(crate) fn s_client(folder: &Path, port: u16, arguments: &[&str]) -> String {
    let address = format!("127.0.0.1:{port}");
    openssl(folder, &[&["s_client", "-connect", &address, "-servername", "app.test"], arguments].concat())
}

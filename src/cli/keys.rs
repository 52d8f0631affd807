//! `vestibule keys`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use super::{AT_FAULT, FAILED, output};
use crate::clients::system_entropy;
use crate::identity_headers::SigningKey;
use crate::provider::ClientKey;
use crate::session::SessionKey;

pub(super) fn session(file: Option<&Path>) -> ExitCode {
    give(SessionKey::generate(&system_entropy()).map_err(|error| error.to_string()), file)
}

pub(super) fn signing(file: Option<&Path>) -> ExitCode {
    give(SigningKey::generate(&system_entropy()).map_err(|error| error.to_string()), file)
}

/// Makes the key if there is none yet, and prints what the provider may know of it.
pub(super) fn client(file: &Path) -> ExitCode {
    if !file.exists() {
        let made = SigningKey::generate(&system_entropy()).map_err(|error| error.to_string());
        let written = made.and_then(|key| write(&key, file).map_err(|error| format!("{}: {error}", file.display())));
        if let Err(error) = written {
            output::complain(&error);
            return ExitCode::from(FAILED);
        }
    }
    let key = std::fs::read(file).map_err(|error| error.to_string());
    let key = key.and_then(|pem| ClientKey::parse(&zeroize::Zeroizing::new(pem), None, None).map_err(|error| error.to_string()));
    match key {
        Ok(key) => {
            output::print(&format!("{:#}", serde_json::json!({"keys": [key.public_jwk()]})));
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::complain(&format!("{}: {error}", file.display()));
            ExitCode::from(AT_FAULT)
        }
    }
}

/// On standard output, or into a new file that only its owner may read.
fn give(key: Result<String, String>, file: Option<&Path>) -> ExitCode {
    let key = match key {
        Ok(key) => key,
        Err(error) => {
            output::complain(&error);
            return ExitCode::from(FAILED);
        }
    };
    let key = key.trim_end();
    let Some(file) = file else {
        output::print(key);
        return ExitCode::SUCCESS;
    };
    match write(key, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("{}: {error}", file.display()));
            ExitCode::from(AT_FAULT)
        }
    }
}

/// A new file that only its owner may read.
fn write(key: &str, file: &Path) -> std::io::Result<()> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(out, "{}", key.trim_end())
}

//! `vestibule keys`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use super::{AT_FAULT, FAILED, output};
use crate::clients::system_entropy;
use crate::identity_headers::SigningKey;
use crate::session::SessionKey;

pub(super) fn session(file: Option<&Path>) -> ExitCode {
    give(SessionKey::generate(&system_entropy()).map_err(|error| error.to_string()), file)
}

pub(super) fn signing(file: Option<&Path>) -> ExitCode {
    give(SigningKey::generate(&system_entropy()).map_err(|error| error.to_string()), file)
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
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).and_then(|mut out| writeln!(out, "{key}"));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("{}: {error}", file.display()));
            ExitCode::from(AT_FAULT)
        }
    }
}

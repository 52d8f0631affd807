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

pub(super) fn session() -> ExitCode {
    match SessionKey::generate(&system_entropy()) {
        Ok(key) => {
            output::print(&key);
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::complain(&error.to_string());
            ExitCode::from(FAILED)
        }
    }
}

pub(super) fn signing(file: Option<&Path>) -> ExitCode {
    let pem = match SigningKey::generate(&system_entropy()) {
        Ok(pem) => pem,
        Err(error) => {
            output::complain(&error.to_string());
            return ExitCode::from(FAILED);
        }
    };
    let Some(file) = file else {
        output::print(pem.trim_end());
        return ExitCode::SUCCESS;
    };
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).and_then(|mut out| out.write_all(pem.as_bytes()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("{}: {error}", file.display()));
            ExitCode::from(AT_FAULT)
        }
    }
}

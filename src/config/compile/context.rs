//! What every part of the compiler needs: a place for faults, files relative to the configuration, secrets.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::clock::UnixTime;
use crate::config::raw;
use crate::config::reader::Located;
use crate::config::report::{Fault, Faults, Span};
use crate::secret::Secret;

pub(in crate::config) struct Context<'f> {
    base: PathBuf,
    text: &'f str,
    pub(super) now: UnixTime,
    /// Whether the file names a session key, be it sound or not.
    pub(super) names_session_key: bool,
    faults: &'f mut Faults,
}

impl<'f> Context<'f> {
    /// `text` is the file as it stands, for places within a value.
    pub(in crate::config) fn new(base: &Path, text: &'f str, now: UnixTime, faults: &'f mut Faults) -> Self {
        Self { base: base.to_owned(), text, now, names_session_key: false, faults }
    }

    pub(super) fn push(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn error<T>(&mut self, at: &Located<T>, message: impl Into<String>) {
        self.push(Fault::error(at.path.clone(), message).at(at.span));
    }

    pub(super) fn error_hint<T>(&mut self, at: &Located<T>, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Fault::error(at.path.clone(), message).at(at.span).hint(hint));
    }

    pub(super) fn warn<T>(&mut self, at: &Located<T>, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Fault::warning(at.path.clone(), message).at(at.span).hint(hint));
    }

    /// Where a part of a text stands in the file: `from` in characters of the text, as it is after quotes and folds.
    pub(super) fn within(&self, at: &Located<String>, from: usize, length: usize) -> Span {
        super::places::within(self.text, at, from, length)
    }

    /// A path of the file, from the folder of the file.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    pub(in crate::config) fn address(&mut self, at: &Located<String>) -> Option<SocketAddr> {
        let parsed = at.value.parse().ok();
        if parsed.is_none() {
            self.error_hint(at, format!("{:?} is not an address", at.value), "write IP:PORT, such as 0.0.0.0:8443 or [::]:8443");
        }
        parsed
    }

    /// A file, or a folder, is about to be read.
    pub(super) fn reads(&mut self, path: &Path) {
        self.faults.reads(path);
    }

    /// The contents of a regular file of reasonable size: no device, no pipe that would make the start hang.
    pub(super) fn file(&mut self, at: &Located<String>) -> Option<Vec<u8>> {
        let path = self.path(&at.value);
        self.reads(&path);
        match read_regular(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.error(at, format!("{}: {error}", at.value));
                None
            }
        }
    }

    /// A secret, without the line break that editors put at the end of a file.
    pub(in crate::config) fn secret(&mut self, secret: &raw::Secret) -> Option<Secret<String>> {
        let at = Located { value: (), span: secret.span, path: secret.path.clone() };
        match &secret.source {
            raw::SecretSource::Literal(text) => {
                self.warn(&at, "a secret is written in the configuration file", "move it to a file: {file: PATH}");
                Some(text.clone())
            }
            raw::SecretSource::Environment(name) => match std::env::var(name) {
                Ok(text) if !text.is_empty() => Some(Secret::new(text)),
                _ => {
                    self.error(&at, format!("the environment variable {name} is not set"));
                    None
                }
            },
            raw::SecretSource::File(file) => {
                let path = self.path(file);
                self.reads(&path);
                let bytes = match read_regular(&path) {
                    Ok(bytes) => zeroize::Zeroizing::new(bytes),
                    Err(error) => {
                        self.error(&at, format!("{file}: {error}"));
                        return None;
                    }
                };
                if std::fs::metadata(&path).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0) {
                    self.warn(&at, format!("everybody on this machine may read {file}"), format!("chmod 600 {file}"));
                }
                match std::str::from_utf8(&bytes) {
                    Ok(text) if !text.trim().is_empty() => Some(Secret::from(text.trim_end_matches(['\r', '\n']))),
                    Ok(_) => {
                        self.error(&at, format!("{file} is empty"));
                        None
                    }
                    Err(_) => {
                        self.error(&at, format!("{file} is not text"));
                        None
                    }
                }
            }
        }
    }
}

fn read_regular(path: &Path) -> std::io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(std::io::Error::other("larger than 1 MiB"));
    }
    std::fs::read(path)
}

const MAX_FILE_BYTES: u64 = 1024 * 1024;

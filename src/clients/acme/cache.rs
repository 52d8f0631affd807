//! Account keys and certificates on disk, for a restart and for other gateways that share the folder.
//!
//! A file is written whole under another name and then renamed: nobody reads half of one. Certificate and key are one file, so that they
//! always belong together. Only the owner may read any of it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

use crate::gateway::AcmeOrder;
use crate::message::hex;

/// The files of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cache {
    folder: PathBuf,
    certificate: PathBuf,
    account: PathBuf,
}

/// Where an authority looks for a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Http,
    Handshake,
}

/// Whoever holds it orders. Other processes, and other orders of this one, wait.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "what is locked is unlocked when the file is closed")] File);

impl Cache {
    pub(super) fn new(order: &AcmeOrder) -> Self {
        let folder = order.cache.clone();
        let key_id = order.external_account.as_ref().map_or("", |account| account.key_id.as_str());
        let account = format!("account-{}.json", fingerprint(&[&order.directory_url, &order.contact.join(","), key_id]));
        let first = order.domains.first().map_or("", String::as_str);
        let certificate = format!("{first}-{}.pem", fingerprint(&[&order.directory_url, &order.domains.join(",")]));
        Self { certificate: folder.join(certificate), account: folder.join(account), folder }
    }

    /// Private key and chain, PEM.
    pub(super) fn certificate(&self) -> io::Result<Option<String>> {
        read(&self.certificate)
    }

    pub(super) fn keep_certificate(&self, pem: &str) -> io::Result<()> {
        self.write(&self.certificate, pem)
    }

    pub(super) fn account(&self) -> io::Result<Option<String>> {
        read(&self.account)
    }

    pub(super) fn keep_account(&self, credentials: &str) -> io::Result<()> {
        self.write(&self.account, credentials)
    }

    /// The authority does not know it any more.
    pub(super) fn forget_account(&self) -> io::Result<()> {
        std::fs::remove_file(&self.account)
    }

    /// What an authority is to be shown for a token or a name, whoever of those that share the folder has ordered.
    pub(super) fn proof(&self, place: Place, name: &str) -> Option<String> {
        read(&self.proof_file(place, name)).ok().flatten()
    }

    pub(super) fn keep_proof(&self, place: Place, name: &str, key_authorization: &str) -> io::Result<()> {
        self.write(&self.proof_file(place, name), key_authorization)
    }

    pub(super) fn forget_proof(&self, place: Place, name: &str) {
        let _ = std::fs::remove_file(self.proof_file(place, name));
    }

    /// By a digest: what a stranger asks for is no path.
    fn proof_file(&self, place: Place, name: &str) -> PathBuf {
        let label = match place {
            Place::Http => "http",
            Place::Handshake => "tls",
        };
        self.folder.join(format!("proof-{label}-{}", fingerprint(&[name])))
    }

    /// `None`: it is somebody else's turn. It ends with the process that has it, however that ends.
    pub(super) fn turn(&self) -> io::Result<Option<Turn>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let lock = private().open(self.folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Turn(lock))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn write(&self, path: &Path, content: &str) -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let new = self.folder.join(name);
        let mut file = private().truncate(true).open(&new)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn fingerprint(parts: &[&str]) -> String {
    let digest = digest::digest(&digest::SHA256, parts.join("\n").as_bytes());
    hex(&digest.as_ref()[..8])
}

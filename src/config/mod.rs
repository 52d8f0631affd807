//! The configuration file: read with places, compiled once into domain types, every fault reported at once.
//!
//! `raw` is what the file says, `compile` what it means; nothing downstream sees a raw text.

#[macro_use]
mod reader;

mod compile;
mod files;
mod identity_provider_file;
mod node;
mod policy_tests;
mod raw;
mod report;

use std::borrow::Cow;
use std::path::Path;

pub use compile::{
    AccessLogSettings, AdminSettings, ClientAuthentication, Compiled, Connect, ListenerLimits, ListenerSettings, LogSettings,
    OWN_PARAMETERS, OcspResponse, ProviderTls, ServerCertificate,
};
pub use files::Files;
pub use identity_provider_file::{ClientEntry, IdentityProviderFile, UserEntry, load_identity_provider};
pub use policy_tests::{PolicyTest, load_policy_tests};
pub use reader::Located;
use report::Faults;
pub use report::{Fault, Report, Severity};

use crate::clock::UnixTime;
use crate::secret::Entropy;

/// Reads and compiles a file. The report holds every fault; `None` when one of them is an error.
pub fn load(path: &Path, entropy: &Entropy, now: UnixTime, connect: &dyn Connect) -> (Option<Compiled>, Report) {
    let mut files = Files::default();
    files.note(path);
    let (compiled, report) = match std::fs::read(path) {
        Ok(bytes) => {
            let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
            load_bytes(&bytes, &path.display().to_string(), &base, entropy, now, connect)
        }
        Err(error) => {
            let fault = Fault::error("", format!("the file cannot be read: {error}")).hint("name it with --config FILE");
            (None, Report::of(path.display().to_string(), fault))
        }
    };
    (compiled, report.after(files))
}

/// The same from memory; relative paths start at `base`.
pub fn load_bytes(
    bytes: &[u8],
    name: &str,
    base: &Path,
    entropy: &Entropy,
    now: UnixTime,
    connect: &dyn Connect,
) -> (Option<Compiled>, Report) {
    let mut faults = Faults::default();
    let text = text(bytes, &mut faults);
    let text = text.as_deref();
    let raw = text.and_then(|text| reader::read_document::<raw::Root>(text, &mut faults));
    let mut meaning = Faults::default();
    let compiled = raw.and_then(|raw| compile::compile(&raw, text.unwrap_or_default(), base, entropy, now, connect, &mut meaning));
    faults.join(meaning);
    let report = Report::new(name.to_owned(), text.unwrap_or_default().to_owned(), faults);
    (compiled.filter(|_| !report.has_errors()), report)
}

/// With line feeds alone for line ends: YAML has a carriage return for one too (YAML 1.2 §5.4), and who looks for a line, or covers a secret in
/// it, counts like the parser.
fn text<'a>(bytes: &'a [u8], faults: &mut Faults) -> Option<Cow<'a, str>> {
    if bytes.len() > MAX_BYTES {
        faults.push(Fault::error("", format!("the file has {} bytes; at most {MAX_BYTES} are read", bytes.len())));
        return None;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\r') => Some(text.replace("\r\n", "\n").replace('\r', "\n").into()),
        Ok(text) => Some(text.into()),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            faults.push(Fault::error("", format!("the file is not UTF-8 (line {line})")));
            None
        }
    }
}

/// JSON Schema of the file, as `vestibule schema` prints it.
#[must_use]
pub fn schema() -> serde_json::Value {
    raw::schema()
}

const MAX_BYTES: usize = 4 * 1024 * 1024;

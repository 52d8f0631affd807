//! Everything that a run has seen and that no log or page may show: the oracle NOLEAK.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A shared list of values, each with what it is.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<Mutex<BTreeMap<String, &'static str>>>);

impl Secrets {
    /// Short values are left out: they would be found by chance.
    pub(crate) fn add(&self, value: &str, what: &'static str) {
        if value.len() >= 12 && value.len() < 20_000 {
            self.0.lock().unwrap().insert(value.to_owned(), what);
        }
    }

    /// What of it occurs in `text`: as it is, percent-encoded, or in base64.
    pub(crate) fn leaks(&self, text: &str) -> Vec<&'static str> {
        let known = self.0.lock().unwrap();
        let mut found: Vec<&'static str> = known
            .iter()
            .filter(|(value, _)| {
                text.contains(value.as_str())
                    || text.contains(&utf8_percent_encode(value, NON_ALPHANUMERIC).to_string())
                    || text.contains(&STANDARD_NO_PAD.encode(value.as_bytes()))
            })
            .map(|(_, what)| *what)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Random text of `bytes` octets, base64url.
pub(crate) fn random(bytes: usize) -> String {
    let mut octets = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut octets).unwrap();
    super::jose::encode(octets)
}

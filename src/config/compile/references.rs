//! What an action may refer to, and where it stands.

use super::Providers;
use super::context::Context;
use super::targets::Groups;
use super::tokens::TokenSources;
use crate::config::raw::Protocol;
use crate::config::reader::{Located, nearest_word};
use crate::identity_headers::ProtectedHeaders;

/// Names that an action may refer to.
pub(super) struct Names {
    pub(super) providers: Vec<String>,
    pub(super) groups: Vec<String>,
}

/// What an action may refer to.
pub(super) struct References<'a> {
    pub(super) providers: &'a Providers,
    pub(super) groups: &'a Groups,
    pub(super) sources: &'a TokenSources<'a>,
    pub(super) protected: &'a ProtectedHeaders,
    /// Every name in the file, also of what has faults of its own.
    pub(super) names: &'a Names,
}

/// Where the actions stand.
pub(super) struct Place<'a> {
    pub(super) scheme: Protocol,
    pub(super) is_behind_proxy: bool,
    pub(super) references: &'a References<'a>,
}

/// A name that is in the file has faults of its own, which are reported where they are.
pub(super) fn unknown(context: &mut Context<'_>, at: &Located<String>, what: &str, known: &[String]) {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if known.contains(&at.value.as_str()) {
        return;
    }
    let hint = nearest_word(&at.value, &known)
        .unwrap_or_else(|| if known.is_empty() { "none is defined".to_owned() } else { format!("there are: {}", known.join(", ")) });
    context.error_hint(at, format!("no {what} is called {:?}", at.value), hint);
}

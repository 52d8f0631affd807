//! Who may pass. The only maker of a `Permit`, without which no identity header can be written.

use crate::identity::Identity;

/// Proof that the rule lets this person pass.
#[derive(Debug, Clone, Copy)]
pub struct Permit<'a>(&'a Identity);

impl<'a> Permit<'a> {
    #[must_use]
    pub fn identity(self) -> &'a Identity {
        self.0
    }
}

/// A rule without an `authorize` action lets everybody pass who is signed in.
#[must_use]
pub fn authorize(identity: &Identity) -> Permit<'_> {
    Permit(identity)
}

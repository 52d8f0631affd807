//! Who may pass. The only maker of a `Permit`, without which no identity header can be written.

mod claims;
mod email;
mod expression;
mod facts;
mod policy;

pub use email::EmailPattern;
pub use expression::{Expression, ExpressionFault, Failure, Named};
pub use facts::Facts;
pub use policy::{Groups, Mode, Policy, Refusal, Why};

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

/// Who passes.
#[derive(Debug)]
pub struct Passage<'a> {
    /// `None`: nobody is signed in, and neither the rule nor its policy minds.
    pub permit: Option<Permit<'a>>,
    pub decision: Decision,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The rule has no `authorize` action.
    NotAsked,
    Allowed,
    /// In shadow mode.
    WouldRefuse(Refusal),
}

/// A rule without an `authorize` action lets everybody pass whom its authentication lets pass. One with it refuses whoever the policy
/// does not plainly allow: what is missing, unknown or fails is a refusal.
pub fn authorize<'a>(policy: Option<&Policy>, facts: &Facts<'a>) -> Result<Passage<'a>, Refusal> {
    let decision = match policy.map(|policy| (policy.mode, policy.check(facts))) {
        None => Decision::NotAsked,
        Some((_, Ok(()))) => Decision::Allowed,
        Some((Mode::Shadow, Err(refusal))) => Decision::WouldRefuse(refusal),
        Some((Mode::Enforce, Err(refusal))) => return Err(refusal),
    };
    Ok(Passage { permit: facts.identity.map(Permit), decision })
}

#[cfg(test)]
mod tests;

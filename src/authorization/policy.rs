//! What an `authorize` action says: an expression, short forms for the usual cases, or both. All that is given has to hold.

use serde_json::{Map, Value};

use super::claims::{self, Claim, is_true};
use super::{EmailPattern, Expression, Facts, Failure};
use crate::identity::Identity;

/// Who may pass.
#[derive(Debug, Default)]
pub struct Policy {
    pub mode: Mode,
    pub allow: Option<Expression>,
    pub groups: Option<Groups>,
    /// Any of them; empty when the policy does not ask.
    pub emails: Vec<EmailPattern>,
    /// All of these claims, each with any of its values.
    pub claims: Vec<(Box<str>, Vec<Box<str>>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Enforce,
    /// Decides, logs and counts, and lets everybody pass.
    Shadow,
}

/// Any of these groups.
#[derive(Debug)]
pub struct Groups {
    /// The claim that holds them.
    pub claim: Box<str>,
    /// By the provider's name, where people of several providers come to a rule and their groups are in different claims.
    pub claim_of: Vec<(Box<str>, Box<str>)>,
    pub any_of: Vec<Box<str>>,
}

/// Why somebody may not pass. In words without a value of a claim: it goes into logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {why}")]
pub struct Refusal {
    /// The key of the policy that refuses.
    pub part: &'static str,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The policy knew all that it asked for.
    #[error("{0}")]
    No(String),
    #[error(transparent)]
    Failed(Failure),
}

impl Policy {
    /// Cheap parts first: what they refuse, the expression need not be asked about.
    pub fn check(&self, facts: &Facts<'_>) -> Result<(), Refusal> {
        let claims = facts.identity.map(|identity| &identity.claims);
        if let Some(groups) = &self.groups {
            groups.check(facts.identity).map_err(|why| Refusal { part: "groups", why })?;
        }
        if !self.emails.is_empty() {
            check_email(claims, &self.emails).map_err(|why| Refusal { part: "emails", why })?;
        }
        for (name, values) in &self.claims {
            check_claim(claims, name, values).map_err(|why| Refusal { part: "claims", why })?;
        }
        match self.allow.as_ref().map(|allow| allow.holds(facts)) {
            None | Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(Refusal { part: "allow", why: Why::No("the expression is false".to_owned()) }),
            Some(Err(failure)) => Err(Refusal { part: "allow", why: Why::Failed(failure) }),
        }
    }
}

impl Groups {
    fn check(&self, identity: Option<&Identity>) -> Result<(), Why> {
        let provider = identity.map(|identity| &*identity.provider);
        let own = self.claim_of.iter().find(|(name, _)| Some(&**name) == provider);
        let claim = own.map_or(&self.claim, |(_, claim)| claim);
        match present(identity.map(|identity| &identity.claims), claim)? {
            Value::Array(groups) if groups.iter().any(|group| self.has(group)) => Ok(()),
            // One group. It is not split: a name may hold spaces and commas.
            group @ Value::String(_) if self.has(group) => Ok(()),
            Value::Array(_) | Value::String(_) => Err(Why::No(format!("none of these is in the claim {claim}"))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(Why::Failed(Failure::Kind)),
        }
    }

    fn has(&self, group: &Value) -> bool {
        group.as_str().is_some_and(|group| self.any_of.iter().any(|known| **known == *group))
    }
}

/// An address that the provider has not verified is one that its owner has typed in.
fn check_email(claims: Option<&Map<String, Value>>, patterns: &[EmailPattern]) -> Result<(), Why> {
    let Value::String(address) = present(claims, "email")? else { return Err(Why::Failed(Failure::Kind)) };
    if !claims.and_then(|claims| claims.get("email_verified")).is_some_and(is_true) {
        return Err(Why::No("the provider has not verified the address (email_verified)".to_owned()));
    }
    if patterns.iter().any(|pattern| pattern.matches(address)) {
        Ok(())
    } else {
        Err(Why::No("the address matches none of these".to_owned()))
    }
}

/// A list holds a value, a text is one; numbers and truth values are compared as JSON writes them.
fn check_claim(claims: Option<&Map<String, Value>>, name: &str, values: &[Box<str>]) -> Result<(), Why> {
    let is_one = |value: &Value| match value {
        Value::String(text) => values.iter().any(|wanted| **wanted == **text),
        Value::Bool(_) | Value::Number(_) => {
            let text = value.to_string();
            values.iter().any(|wanted| **wanted == *text)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    let found = match present(claims, name)? {
        Value::Array(items) => items.iter().any(is_one),
        Value::Object(_) => return Err(Why::Failed(Failure::Kind)),
        value => is_one(value),
    };
    if found { Ok(()) } else { Err(Why::No(format!("the claim {name} has none of these values"))) }
}

fn present<'a>(claims: Option<&'a Map<String, Value>>, name: &str) -> Result<&'a Value, Why> {
    let Some(claims) = claims else { return Err(Why::Failed(Failure::NobodySignedIn(format!("the claim {name}").into()))) };
    match claims::find(claims, name) {
        Claim::Present(value) => Ok(value),
        Claim::Missing => Err(Why::Failed(Failure::MissingClaim(name.into()))),
        Claim::Incomplete => Err(Why::Failed(Failure::IncompleteClaim(name.into()))),
    }
}

//! What a provider says of a person, and what it only says that it has.

use serde_json::{Map, Value};

/// A claim by its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Claim<'a> {
    Present(&'a Value),
    Missing,
    /// Unknown, which is neither one group nor none: a policy that took it for "no groups" would let pass whom a group shuts out.
    Incomplete,
}

/// `_claim_names` (OIDC Core §5.6.2) says that a claim is kept elsewhere; Entra ID does so above 200 groups, and says `hasgroups`
/// where it has even less room. A null stands for a claim that is not there (OIDC Core §5.3.2).
pub(super) fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Claim<'a> {
    let elsewhere = claims.get("_claim_names").and_then(Value::as_object);
    if elsewhere.is_some_and(|names| names.contains_key(name)) {
        return Claim::Incomplete;
    }
    match claims.get(name) {
        Some(Value::Null) | None if name == "groups" && claims.get("hasgroups").is_some_and(is_true) => Claim::Incomplete,
        Some(Value::Null) | None => Claim::Missing,
        Some(value) => Claim::Present(value),
    }
}

/// Cognito's user info, Apple and others send truth values as text.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::String(text) => text == "true",
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

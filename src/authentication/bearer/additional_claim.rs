//! ALB's `AdditionalClaims`: a claim, the form that it has to have, and the values that it has to hold.

use serde_json::{Map, Value};

use super::BearerError;

/// ALB's `Format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimFormat {
    SingleString,
    StringArray,
    SpaceSeparatedValues,
}

/// One of at most ten.
#[derive(Debug, Clone)]
pub struct AdditionalClaim {
    pub name: String,
    pub format: ClaimFormat,
    /// One of them is the single string; a list holds all of them, unless `any` is enough.
    pub values: Vec<String>,
    pub any: bool,
}

impl AdditionalClaim {
    pub(super) fn judge(&self, claims: &Map<String, Value>) -> Result<(), BearerError> {
        let claim = claims.get(&self.name).ok_or_else(|| BearerError::Missing(self.name.clone()))?;
        let wrong_format = || BearerError::Format(self.name.clone());
        let found: Vec<&str> = match (self.format, claim) {
            (ClaimFormat::SingleString, Value::String(text)) => vec![text],
            (ClaimFormat::SpaceSeparatedValues, Value::String(text)) => text.split(' ').filter(|value| !value.is_empty()).collect(),
            // `aud` with one audience is written as a text (RFC 7519 §4.1.3).
            (ClaimFormat::StringArray, Value::String(text)) => vec![text],
            (ClaimFormat::StringArray, Value::Array(items)) => {
                items.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong_format)?
            }
            _ => return Err(wrong_format()),
        };
        let mut wanted = self.values.iter();
        let held = |value: &String| found.contains(&value.as_str());
        let sound = if self.any || self.format == ClaimFormat::SingleString { wanted.any(held) } else { wanted.all(held) };
        if sound { Ok(()) } else { Err(BearerError::Value(self.name.clone())) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(format: ClaimFormat, values: &[&str], claim: Value) -> String {
        let claim_rule = AdditionalClaim { name: "c".into(), format, values: values.iter().map(ToString::to_string).collect(), any: false };
        match claim_rule.judge(&Map::from_iter([("c".to_owned(), claim)])) {
            Ok(()) => "passes".to_owned(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn each_format_is_its_own() {
        use ClaimFormat::{SingleString, SpaceSeparatedValues, StringArray};
        let (format, value) = ("Format(\"c\")", "Value(\"c\")");
        for (kind, values, claim, expected) in [
            (SingleString, vec!["a", "b"], json!("b"), "passes"),
            (SingleString, vec!["a"], json!("a b"), value),
            (SingleString, vec!["a"], json!("A"), value),
            (SingleString, vec!["a"], json!(["a"]), format),
            (SingleString, vec!["1"], json!(1), format),
            (StringArray, vec!["a"], json!(["x", "a"]), "passes"),
            (StringArray, vec!["a", "b"], json!(["a"]), value),
            (StringArray, vec!["admin"], json!(["notadmin"]), value),
            (StringArray, vec!["a"], json!("a"), "passes"),
            (StringArray, vec!["a"], json!(["a", 1]), format),
            (StringArray, vec!["a"], json!({"a": true}), format),
            (SpaceSeparatedValues, vec!["read"], json!("read write"), "passes"),
            (SpaceSeparatedValues, vec!["read", "write"], json!("write read"), "passes"),
            (SpaceSeparatedValues, vec!["read", "admin"], json!("read write"), value),
            (SpaceSeparatedValues, vec!["read"], json!("readwrite"), value),
            (SpaceSeparatedValues, vec!["read"], json!(["read"]), format),
        ] {
            assert_eq!(judged(kind, &values, claim.clone()), expected, "{kind:?} {values:?} {claim}");
        }
    }
}

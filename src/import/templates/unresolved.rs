//! Values that the files do not tell: a reference to another stack, a parameter without a default, what is known after apply only.
//!
//! They are carried along as marks, so that nothing that depends on one is taken for something that it is not.

use serde_json::{Value, json};

/// A value that is not in the files, with the words in which they ask for it.
pub(super) fn unresolved(words: impl Into<String>) -> Value {
    json!({ MARK: words.into() })
}

/// The words of a mark.
pub(super) fn words(value: &Value) -> Option<&str> {
    value.get(MARK)?.as_str()
}

/// The words of every mark within.
pub(super) fn all(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(_) if words(value).is_some() => found.extend(words(value).map(str::to_owned)),
        Value::Object(members) => members.values().for_each(|member| collect(member, found)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Words as a name: for a file, for a host that never resolves.
pub(super) fn label(words: &str) -> String {
    let parts: Vec<&str> = words.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let mut label: String = parts.join("-").chars().take(48).collect();
    label.truncate(label.trim_end_matches('-').len());
    if label.is_empty() { "unknown".to_owned() } else { label }
}

/// No file of a person has a member of this name.
const MARK: &str = "\u{0}not in the files";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_names_that_can_stand_in_a_host_and_in_a_path() {
        assert_eq!(label("!ImportValue edge-Pool"), "ImportValue-edge-Pool");
        assert_eq!(label("../../${x}"), "x");
        assert_eq!(label("\n"), "unknown");
    }
}

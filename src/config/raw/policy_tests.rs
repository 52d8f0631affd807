//! The file of `vestibule check --policy-tests`.

use serde_json::{Map, Value};

use super::Named;
use crate::config::node::{Content, Node};
use crate::config::reader::{FromNode, Located, Reader};

section! {
    /// Requests, people, and what is to become of them.
    pub struct PolicyTests {
        /// Each is tried against the configuration.
        tests: Located<Vec<Located<PolicyTest>>>,
    }
}

section! {
    /// One request.
    pub struct PolicyTest {
        /// What it shows.
        name: Option<Located<String>>,
        /// As a browser has it.
        url: Located<String>,
        /// Default GET.
        method: Option<Located<String>>,
        /// Of the request.
        headers: Named<Located<String>>,
        /// The visitor's address. Default 192.0.2.1.
        source_ip: Option<Located<String>>,
        /// RFC 3339. Default: the time of the check.
        now: Option<Located<String>>,
        /// Of the person who is signed in; without it nobody is.
        claims: Option<Claims>,
        /// The rule that has to be chosen: a priority, or default.
        rule: Option<Located<String>>,
        /// What has to become of it.
        expect: Located<Expected>,
    }
}

words! {
    /// What becomes of a request.
    pub enum Expected {
        /// It passes, or gets the answer of the rule.
        Allowed = "allowed",
        /// 403.
        Refused = "refused",
        /// To the provider, or 401.
        SignIn = "sign_in",
        /// Shadow mode: it passes, and would not.
        WouldRefuse = "would_refuse",
    }
}

/// Claims as JSON would have them.
#[derive(Debug, Clone)]
pub(in crate::config) struct Claims(pub(in crate::config) Map<String, Value>);

impl FromNode for Claims {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match value(node) {
            Value::Object(claims) => Some(Self(claims)),
            _ => reader.wrong_type(node, "a mapping"),
        }
    }
}

impl schemars::JsonSchema for Claims {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Claims".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "object"})
    }
}

/// YAML 1.2's core schema.
fn value(node: &Node) -> Value {
    match &node.content {
        Content::Scalar { text, plain: true } => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "" | "~" | "null" => Value::Null,
            text => {
                let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-').then(|| serde_json::from_str(text).ok()).flatten();
                number.filter(Value::is_number).unwrap_or_else(|| Value::String(text.to_owned()))
            }
        },
        Content::Scalar { text, .. } => Value::String(text.clone()),
        Content::Sequence(items) => items.iter().map(value).collect(),
        Content::Mapping(entries) => {
            Value::Object(entries.iter().filter_map(|(key, item)| Some((key.key()?.to_owned(), value(item)))).collect())
        }
    }
}

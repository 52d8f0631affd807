//! JSON Schema (2020-12) of the file, from the same declarations that read it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::Value;

use super::actions::{Authenticate, Authorize, FixedResponse, HttpHeader, QueryPair, Redirect, WeightedForward};
use super::{Action, Condition, JwtValidation, Named, OneOrMore, Root, Secret, Target};
use crate::config::reader::{Located, Seconds};

pub(in crate::config) fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Root>();
    schema.insert("title".to_owned(), "Vestibule".into());
    let mut value = schema.to_value();
    as_the_reader_has_it(&mut value);
    value
}

/// An absent list or map is an empty one, and a key with nothing behind it is an error: schemars would say the opposite of both.
fn as_the_reader_has_it(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
                if choices.len() == 1
                    && let Value::Object(only) = choices.remove(0)
                {
                    members.remove("anyOf");
                    members.extend(only);
                }
            }
            if let Some(Value::Array(kinds)) = members.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if kinds.len() == 1 {
                    let kind = kinds.remove(0);
                    members.insert("type".to_owned(), kind);
                }
            }
            if let Some(Value::Array(required)) = members.get_mut("required") {
                required.retain(|name| name.as_str().is_some_and(|name| !EMPTY_WHEN_ABSENT.contains(&name)));
            }
            members.values_mut().for_each(as_the_reader_has_it);
        }
        Value::Array(items) => items.iter_mut().for_each(as_the_reader_has_it),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Lists and maps that may be left out. Those that may not (`listeners`, `keys`, `targets`, …) say so when they are empty.
const EMPTY_WHEN_ABSENT: [&str; 30] = [
    "session_ticket_keys",
    "domains",
    "contact",
    "revocation_lists",
    "allowed_origins",
    "hosts",
    "certificates",
    "trusted_proxies",
    "rules",
    "identity_providers",
    "target_groups",
    "claims",
    "values",
    "regex_values",
    "logout_return_to",
    "authentication_request_extra_params",
    "additional_claims",
    "algorithms",
    "audiences",
    "client_ids",
    "issuers",
    "token_use",
    "types",
    "scopes",
    "authorization_servers",
    "scopes_supported",
    "allowed_tenants",
    "acr_values",
    "amr",
    "hosted_domains",
];

macro_rules! schema_of {
    ($type:ty, $name:literal, $generator:ident => $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

schema_of!(Seconds, "Duration", _generator => json_schema!({
    "description": "90s, 15m, 12h, 7d, or whole seconds",
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+[smhd]?$"}]
}));

schema_of!(Secret, "Secret", _generator => json_schema!({
    "anyOf": [
        {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"], "additionalProperties": false},
        {"type": "object", "properties": {"env": {"type": "string"}}, "required": ["env"], "additionalProperties": false},
        {"type": "string"}
    ]
}));

schema_of!(Target, "Target", _generator => json_schema!({
    "anyOf": [
        {"type": "string"},
        {"type": "object", "properties": {"address": {"type": "string"}, "weight": {"type": "integer", "minimum": 0}}, "required": ["address"], "additionalProperties": false}
    ]
}));

schema_of!(Condition, "Condition", generator => {
    let texts = || json_schema!({"type": "array", "items": {"type": "string"}, "minItems": 1});
    let pair = generator.subschema_for::<QueryPair>();
    one_of([
        ("host_header", texts()),
        ("host_regex", texts()),
        ("path_pattern", texts()),
        ("path_regex", texts()),
        ("http_request_method", texts()),
        ("http_header", generator.subschema_for::<HttpHeader>()),
        ("query_string", json_schema!({"type": "array", "items": pair, "minItems": 1})),
        ("source_ip", texts()),
    ])
});

schema_of!(Action, "Action", generator => one_of([
    ("authenticate", generator.subschema_for::<Authenticate>()),
    ("jwt_validation", generator.subschema_for::<JwtValidation>()),
    ("authorize", generator.subschema_for::<Authorize>()),
    ("forward", any_of([json_schema!({"type": "string"}), generator.subschema_for::<WeightedForward>()])),
    ("redirect", generator.subschema_for::<Redirect>()),
    ("fixed_response", generator.subschema_for::<FixedResponse>()),
]));

fn any_of<const N: usize>(choices: [Schema; N]) -> Schema {
    let choices: Vec<Value> = choices.into_iter().map(Schema::to_value).collect();
    json_schema!({"anyOf": choices})
}

/// An object with exactly one of these members.
fn one_of<const N: usize>(members: [(&str, Schema); N]) -> Schema {
    let properties: serde_json::Map<String, Value> =
        members.into_iter().map(|(name, schema)| (name.to_owned(), schema.to_value())).collect();
    json_schema!({"type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1, "maxProperties": 1})
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }

    fn _schemars_private_is_option() -> bool {
        T::_schemars_private_is_option()
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": values})
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMore<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMore{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one.clone(), {"type": "array", "items": one, "minItems": 1}]})
    }
}

//! One Ingress: its annotations, and what its backends are.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::import::model::Notes;

/// An Ingress or a Service.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) file: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) spec: Value,
}

impl Resource {
    pub(super) fn new(file: &str, document: &Value) -> Result<Self, String> {
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").ok_or("a resource without metadata.name")?;
        let namespace = text("/metadata/namespace").unwrap_or("default");
        if let Some(wrong) = [name, namespace].into_iter().find(|name| !is_label(name)) {
            return Err(format!("{wrong:?} is not the name of a resource"));
        }
        let annotations = document.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default();
        let annotations = annotations.into_iter().map(|(key, value)| match value {
            Value::String(text) => Ok((key, text)),
            other => Err(format!("{namespace}/{name}: the annotation {key} is {other}, and annotations are texts")),
        });
        let spec = document.get("spec").cloned().unwrap_or_default();
        Ok(Self {
            file: file.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            annotations: annotations.collect::<Result<_, _>>()?,
            spec,
        })
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(&format!("alb.ingress.kubernetes.io/{key}")).map(|text| text.trim())
    }

    /// An annotation that is a list of objects. What is something else is not passed over: it may be what keeps people out.
    pub(super) fn list(&self, key: &str) -> Result<Vec<Value>, String> {
        match self.json(key)? {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if items.iter().all(Value::is_object) => Ok(items),
            Some(_) => Err(format!("{}/{}: {key} is not a list of objects", self.namespace, self.name)),
        }
    }

    /// An annotation that is JSON, with the names that AWS uses.
    pub(super) fn json(&self, key: &str) -> Result<Option<Value>, String> {
        let Some(text) = self.annotation(key) else { return Ok(None) };
        let value = serde_json::from_str(text).map_err(|error| format!("{}/{}: {key}: {error}", self.namespace, self.name))?;
        Ok(Some(as_aws(value)))
    }
}

/// What is asked of a backend: the Service's annotations win over those of the Ingress.
pub(super) struct Backend<'a> {
    pub(super) ingress: &'a Resource,
    pub(super) service: Option<&'a Resource>,
}

impl Backend<'_> {
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.service.and_then(|service| service.annotation(key)).or_else(|| self.ingress.annotation(key))
    }

    fn json(&self, key: &str) -> Result<Value, String> {
        let of_service = self.service.map(|service| service.json(key)).transpose()?.flatten();
        let value = if of_service.is_some() { of_service } else { self.ingress.json(key)? };
        value.ok_or_else(|| format!("{}/{}: {key} is missing", self.ingress.namespace, self.ingress.name))
    }

    /// The actions before the routing action.
    pub(super) fn sign_in(&self, notes: &mut Notes) -> Result<Vec<Value>, String> {
        let mut actions = Vec::new();
        if self.annotation("jwt-validation").is_some() {
            actions.push(json!({"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": self.json("jwt-validation")?}));
        }
        let kind = self.annotation("auth-type").unwrap_or("none");
        let (name, idp, config) = match kind {
            "none" => return Ok(actions),
            "cognito" => ("authenticate-cognito", "auth-idp-cognito", "AuthenticateCognitoConfig"),
            "oidc" => ("authenticate-oidc", "auth-idp-oidc", "AuthenticateOidcConfig"),
            other => return Err(format!("{}/{}: auth-type {other:?} is not known", self.ingress.namespace, self.ingress.name)),
        };
        let Value::Object(mut idp) = self.json(idp)? else { return Err(format!("{idp} is not an object")) };
        if let Some(secret) = idp.get("SecretName").and_then(Value::as_str).filter(|_| kind == "oidc") {
            let client_id = format!("CLIENT-ID-IN-{secret}");
            notes.say(format!(
                "write the clientID of the Secret {secret} in place of {client_id}, and its clientSecret into the file below"
            ));
            idp.insert("ClientId".to_owned(), client_id.into());
        }
        for (key, annotation) in [
            ("Scope", "auth-scope"),
            ("SessionCookieName", "auth-session-cookie"),
            ("OnUnauthenticatedRequest", "auth-on-unauthenticated-request"),
        ] {
            if let Some(text) = self.annotation(annotation) {
                idp.insert(key.to_owned(), text.into());
            }
        }
        if let Some(text) = self.annotation("auth-session-timeout") {
            let seconds = text.parse::<u64>().map_err(|_| format!("auth-session-timeout {text:?} is not a number"))?;
            idp.insert("SessionTimeout".to_owned(), seconds.into());
        }
        actions.push(json!({"Type": name, "Order": 1, config: idp}));
        Ok(actions)
    }
}

/// `userPoolARN` is `UserPoolArn` to AWS. What is below the extra parameters is no name of AWS's.
fn as_aws(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(key, value)| {
                let mut characters = key.chars();
                let first = characters.next().map(|first| first.to_ascii_uppercase());
                let key: String = first.into_iter().chain(characters).collect();
                let key = ["ARN", "ID", "IP", "HTTP"].iter().fold(key, |key, word| {
                    let (head, tail) = word.split_at(1);
                    key.replace(word, &format!("{head}{}", tail.to_ascii_lowercase()))
                });
                let value = if key == "AuthenticationRequestExtraParams" { value } else { as_aws(value) };
                (key, value)
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(as_aws).collect()),
        other => other,
    }
}

/// RFC 1123 §2.1, as Kubernetes takes it: the name becomes part of a host.
pub(super) fn is_label(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
}

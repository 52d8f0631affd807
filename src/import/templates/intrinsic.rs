//! Intrinsic functions of CloudFormation, as far as the files answer them. Conditions do not: their parameters are given at deployment.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::cloudformation::Template;
use super::unresolved::{unresolved, words};

pub(super) struct Scope<'a> {
    stack: &'a Template,
    exports: &'a BTreeMap<String, Option<Value>>,
    defaults: RefCell<BTreeSet<String>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(stack: &'a Template, exports: &'a BTreeMap<String, Option<Value>>) -> Self {
        Self { stack, exports, defaults: RefCell::default() }
    }

    /// Parameters of which the default was taken.
    pub(super) fn defaults_used(self) -> BTreeSet<String> {
        self.defaults.into_inner()
    }

    /// The value with every function answered, or marked.
    pub(super) fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => match function(members) {
                Some((name, argument)) => self.call(name, argument).unwrap_or_else(|| unresolved(said(name, argument))),
                None => {
                    let kept = members.iter().filter(|(_, member)| !is_no_value(member));
                    Value::Object(kept.map(|(key, member)| (key.clone(), self.resolve(member))).collect())
                }
            },
            Value::Array(items) => items.iter().filter(|item| !is_no_value(item)).map(|item| self.resolve(item)).collect(),
            other => other.clone(),
        }
    }

    fn call(&self, name: &str, argument: &Value) -> Option<Value> {
        match name {
            "Ref" => self.reference(argument.as_str()?),
            "Fn::GetAtt" => self.attribute(argument),
            "Fn::Sub" => self.substitute(argument).map(Value::from),
            "Fn::Join" => {
                let [separator, list] = argument.as_array()?.as_slice() else { return None };
                let Value::Array(items) = self.resolve(list) else { return None };
                let items = items.iter().map(text).collect::<Option<Vec<_>>>()?;
                Some(items.join(separator.as_str()?).into())
            }
            "Fn::FindInMap" => {
                let keys = argument.as_array()?.iter().map(|key| text(&self.resolve(key))).collect::<Option<Vec<_>>>()?;
                let [map, first, second] = keys.as_slice() else { return None };
                self.stack.section("Mappings")?.get(map)?.get(first)?.get(second).cloned()
            }
            "Fn::ImportValue" => {
                let name = text(&self.resolve(argument))?;
                self.exports.get(&name)?.clone().filter(|value| words(value).is_none())
            }
            _ => None,
        }
    }

    fn reference(&self, name: &str) -> Option<Value> {
        if let Some(arn) = self.stack.arn(name) {
            return Some(arn.into());
        }
        let parameter = self.stack.section("Parameters")?.get(name)?;
        let default = parameter.get("Default").filter(|_| parameter.get("NoEcho").is_none_or(|hidden| hidden == false))?;
        self.defaults.borrow_mut().insert(name.to_owned());
        let is_list = parameter.get("Type").and_then(Value::as_str).is_some_and(|kind| kind.contains("List"));
        match default.as_str().filter(|_| is_list) {
            Some(list) => Some(list.split(',').map(|item| Value::from(item.trim())).collect()),
            None => Some(default.clone()),
        }
    }

    /// `[resource, attribute]`, or in YAML `resource.attribute`.
    fn attribute(&self, argument: &Value) -> Option<Value> {
        let (name, attribute) = match argument {
            Value::String(path) => path.split_once('.')?,
            Value::Array(pair) => (pair.first()?.as_str()?, pair.get(1)?.as_str()?),
            _ => return None,
        };
        let arn = self.stack.arn(name)?;
        match attribute {
            "ListenerArn" | "LoadBalancerArn" | "TargetGroupArn" | "RuleArn" => Some(arn.into()),
            "LoadBalancerName" | "TargetGroupName" => {
                let own = self.resolve(self.stack.resource(name)?.pointer("/Properties/Name")?);
                own.is_string().then_some(own)
            }
            _ => None,
        }
    }

    /// `"text ${Name} ${Resource.Attribute}"`, or that and a map of more names.
    fn substitute(&self, argument: &Value) -> Option<String> {
        let (template, more) = match argument {
            Value::String(template) => (template.as_str(), None),
            Value::Array(pair) => (pair.first()?.as_str()?, pair.get(1).and_then(Value::as_object)),
            _ => return None,
        };
        let mut made = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}')?;
            made.push_str(before);
            match (name.strip_prefix('!'), more.and_then(|more| more.get(name))) {
                (Some(literal), _) => made.push_str(&format!("${{{literal}}}")),
                (None, Some(value)) => made.push_str(&text(&self.resolve(value))?),
                (None, None) if name.contains('.') => made.push_str(&text(&self.attribute(&Value::from(name))?)?),
                (None, None) => made.push_str(&text(&self.reference(name)?)?),
            }
            rest = after;
        }
        made.push_str(rest);
        Some(made)
    }
}

fn function(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = members.iter().next().filter(|_| members.len() == 1)?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name, argument))
}

fn is_no_value(value: &Value) -> bool {
    value.get("Ref").is_some_and(|name| name == "AWS::NoValue")
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The function in the words of YAML.
fn said(name: &str, argument: &Value) -> String {
    let name = name.strip_prefix("Fn::").unwrap_or(name);
    let argument = match argument {
        Value::String(text) => text.clone(),
        Value::Array(pair) if name == "GetAtt" => pair.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("."),
        other => other.to_string(),
    };
    format!("!{name} {argument}")
}

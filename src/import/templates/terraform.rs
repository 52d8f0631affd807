//! Terraform: `terraform show -json` of a state or of a plan, and configuration in JSON (`*.tf.json`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::plan::Plan;
use super::resources::{Kind, Resource, Resources};
use super::snake;
use super::unresolved::{unresolved, words};

/// Everything of every file: in Terraform, the files of a folder are one module.
#[derive(Debug, Default)]
pub(super) struct Terraform {
    raw: Vec<Raw>,
    variables: BTreeMap<String, Option<Value>>,
    locals: BTreeMap<String, Value>,
    /// Calls of modules, with their files: what they make is not in a configuration.
    calls: Vec<(String, String)>,
}

/// A resource as Terraform spells it.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) file: String,
    /// `module.edge.aws_lb_listener.https["a"]`
    pub(super) address: String,
    pub(super) kind: Kind,
    pub(super) values: Map<String, Value>,
    /// `${…}` in it are expressions, and not text.
    pub(super) is_source: bool,
}

impl Terraform {
    /// `false`: not Terraform's.
    pub(super) fn add(&mut self, file: &str, document: &Value) -> Result<bool, String> {
        let has = |name: &str| document.get(name).is_some();
        if has("terraform_version") && has("serial") {
            return Err("is a state as Terraform keeps it: give the output of terraform show -json".to_owned());
        }
        if has("planned_values") {
            let plan = Plan::new(document);
            let mut found = Vec::new();
            instances(file, document.pointer("/planned_values/root_module"), &mut found);
            for raw in &mut found {
                plan.fill(raw);
            }
            self.raw.extend(found);
            return Ok(true);
        }
        if has("format_version") && has("values") {
            instances(file, document.pointer("/values/root_module"), &mut self.raw);
            return Ok(true);
        }
        let is_source = ["resource", "variable", "locals", "module"].iter().any(|name| document.get(*name).is_some_and(is_block));
        if is_source && !has("Listeners") {
            self.add_source(file, document);
        }
        Ok(is_source)
    }

    fn add_source(&mut self, file: &str, document: &Value) {
        for (kind, named) in blocks(document.get("resource")) {
            let Some(kind) = kind_of(kind) else { continue };
            for (name, values) in blocks(Some(named)) {
                for values in one_or_many(values).filter_map(Value::as_object) {
                    let address = format!("{}.{name}", kind.1);
                    self.raw.push(Raw { file: file.to_owned(), address, kind: kind.0, values: values.clone(), is_source: true });
                }
            }
        }
        self.calls.extend(blocks(document.get("module")).map(|(name, _)| (file.to_owned(), name.clone())));
        for (name, variable) in blocks(document.get("variable")) {
            let is_sensitive = variable.get("sensitive").is_some_and(|value| value != false);
            self.variables.insert(name.clone(), variable.get("default").filter(|_| !is_sensitive).cloned());
        }
        self.locals.extend(blocks(document.get("locals")).map(|(name, value)| (name.clone(), value.clone())));
    }

    pub(super) fn resources(&self, resources: &mut Resources) {
        for raw in &self.raw {
            let values = if raw.is_source { self.resolve_members(&raw.values, 0) } else { raw.values.clone() };
            let only_if = ["count", "for_each", "dynamic"].into_iter().find(|key| raw.is_source && raw.values.contains_key(*key));
            let only_if = only_if.map(|key| format!("{key} of {}", raw.address));
            let properties = snake::properties(raw.kind, &values);
            let (file, name) = (raw.file.clone(), raw.address.clone());
            resources.all.push(Resource { kind: raw.kind, file, name, arn: raw.arn(), properties, only_if });
        }
        for (file, name) in &self.calls {
            let what = format!("what the module {name} makes is not in this file: a plan or a state tells it");
            resources.remarks.push((file.clone(), what));
        }
        let defaults: Vec<&String> = self.variables.iter().filter(|(_, default)| default.is_some()).map(|(name, _)| name).collect();
        for name in defaults {
            let asked = format!("var.{name}");
            let users = self.raw.iter().filter(|raw| raw.is_source && raw.values.values().any(|value| value.to_string().contains(&asked)));
            if let Some(user) = users.into_iter().next() {
                resources.remarks.push((user.file.clone(), format!("the variable {name} was read as its default")));
            }
        }
    }

    fn resolve_members(&self, members: &Map<String, Value>, depth: usize) -> Map<String, Value> {
        members.iter().map(|(key, value)| (key.clone(), self.resolve(value, depth))).collect()
    }

    fn resolve(&self, value: &Value, depth: usize) -> Value {
        match value {
            Value::String(text) => self.template(text, depth).unwrap_or_else(|| unresolved(text.clone())),
            Value::Object(members) => Value::Object(self.resolve_members(members, depth)),
            Value::Array(items) => items.iter().map(|item| self.resolve(item, depth)).collect(),
            other => other.clone(),
        }
    }

    /// `text ${expression} text`; an expression that stands alone keeps its type.
    fn template(&self, text: &str, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH || text.replace("%%{", "").contains("%{") {
            return None;
        }
        let whole = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|inner| !inner.contains("${"));
        if let Some(expression) = whole {
            return self.expression(expression.trim(), depth);
        }
        let (mut made, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                made.push_str(&format!("{before}${{"));
                rest = after;
                continue;
            }
            let (expression, after) = after.split_once('}')?;
            made.push_str(before);
            match self.expression(expression.trim(), depth)? {
                Value::String(text) => made.push_str(&text),
                value @ (Value::Number(_) | Value::Bool(_)) => made.push_str(&value.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => return None,
            }
            rest = after;
        }
        made.push_str(rest);
        Some(made.replace("%%{", "%{").into())
    }

    fn expression(&self, expression: &str, depth: usize) -> Option<Value> {
        if let Some(name) = expression.strip_prefix("var.") {
            return self.variables.get(name)?.clone();
        }
        if let Some(name) = expression.strip_prefix("local.") {
            let value = self.resolve(self.locals.get(name)?, depth + 1);
            return Some(value).filter(|value| words(value).is_none());
        }
        let (address, attribute) = expression.rsplit_once('.')?;
        let raw = self.raw.iter().find(|raw| raw.is_source && *raw.address == normal(address)).filter(|raw| !raw.is_repeated())?;
        match attribute {
            "arn" | "id" => Some(raw.arn().into()),
            "name" => self.template(raw.values.get("name")?.as_str()?, depth + 1),
            "port" => raw.values.get("port").filter(|port| port.is_u64()).cloned(),
            _ => None,
        }
    }
}

impl Raw {
    /// The ARN of what is there already; of what is not, a name that references to it share.
    pub(super) fn arn(&self) -> String {
        let known = self.values.get("arn").and_then(Value::as_str).filter(|arn| !self.is_source && arn.starts_with("arn:"));
        let word = match self.kind {
            Kind::LoadBalancer => "loadbalancer",
            Kind::Listener => "listener",
            Kind::ListenerRule => "listener-rule",
            Kind::TargetGroup => "targetgroup",
            Kind::ListenerCertificate | Kind::TargetGroupAttachment => "other",
        };
        known.map_or_else(|| format!("terraform:{word}/{}", self.address.replace('/', "%2f")), str::to_owned)
    }

    fn is_repeated(&self) -> bool {
        self.values.contains_key("count") || self.values.contains_key("for_each")
    }
}

/// Every resource of ours in a module and the modules in it.
fn instances(file: &str, module: Option<&Value>, found: &mut Vec<Raw>) {
    let list = |name: &str| module.and_then(|module| module.get(name)).and_then(Value::as_array).into_iter().flatten();
    for resource in list("resources").filter(|resource| resource.get("mode").is_none_or(|mode| mode == "managed")) {
        let text = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default();
        let Some((kind, _)) = kind_of(text("type")) else { continue };
        let values = resource.get("values").and_then(Value::as_object).cloned().unwrap_or_default();
        let address = normal(text("address"));
        found.push(Raw { file: file.to_owned(), address, kind, values, is_source: false });
    }
    for child in list("child_modules") {
        instances(file, Some(child), found);
    }
}

/// `aws_alb*` is another name of `aws_lb*`.
pub(super) fn normal(address: &str) -> String {
    address.replace("aws_alb", "aws_lb")
}

fn kind_of(kind: &str) -> Option<(Kind, String)> {
    let kind = normal(kind);
    let found = match kind.as_str() {
        "aws_lb" => Kind::LoadBalancer,
        "aws_lb_listener" => Kind::Listener,
        "aws_lb_listener_rule" => Kind::ListenerRule,
        "aws_lb_listener_certificate" => Kind::ListenerCertificate,
        "aws_lb_target_group" => Kind::TargetGroup,
        "aws_lb_target_group_attachment" => Kind::TargetGroupAttachment,
        _ => return None,
    };
    Some((found, kind))
}

/// A block in JSON is an object or a list of objects.
fn blocks(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.into_iter().flat_map(one_or_many).filter_map(Value::as_object).flatten()
}

fn one_or_many(value: &Value) -> impl Iterator<Item = &Value> {
    let (one, many) = match value {
        Value::Array(items) => (None, items.as_slice()),
        one => (Some(one), [].as_slice()),
    };
    one.into_iter().chain(many)
}

fn is_block(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

const MAX_DEPTH: usize = 16;

//! CloudFormation templates: `AWS::ElasticLoadBalancingV2::*`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::intrinsic::Scope;
use super::resources::{Kind, Resource, Resources};

/// One template, in whatever language it was written.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) file: String,
    /// Names of resources are a template's own.
    number: usize,
    pub(super) document: Map<String, Value>,
}

impl Template {
    /// `None`: not a template.
    pub(super) fn new(file: &str, document: &Value, number: usize) -> Option<Self> {
        let is_aws = |resource: &Value| resource.get("Type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("AWS::"));
        let resources = document.get("Resources")?.as_object()?;
        let document = document.as_object().filter(|_| resources.values().any(is_aws))?;
        Some(Self { file: file.to_owned(), number, document: document.clone() })
    }

    pub(super) fn section(&self, name: &str) -> Option<&Map<String, Value>> {
        self.document.get(name)?.as_object()
    }

    pub(super) fn resource(&self, name: &str) -> Option<&Value> {
        self.section("Resources")?.get(name)
    }

    /// What a reference to one of our resources becomes. The name of another is `None`.
    pub(super) fn arn(&self, name: &str) -> Option<String> {
        let word = match kind(self.resource(name)?)? {
            Kind::LoadBalancer => "loadbalancer",
            Kind::Listener => "listener",
            Kind::ListenerRule => "listener-rule",
            Kind::TargetGroup => "targetgroup",
            Kind::ListenerCertificate | Kind::TargetGroupAttachment => return None,
        };
        Some(format!("cloudformation-{}:{word}/{name}", self.number))
    }
}

/// Every resource of ours in the templates, which may import each other's exports.
pub(super) fn resources(stacks: &[Template], resources: &mut Resources) {
    let exports = exports(stacks, resources);
    for stack in stacks {
        let scope = Scope::new(stack, &exports);
        for (name, raw) in stack.section("Resources").into_iter().flatten() {
            let Some(kind) = kind(raw) else { continue };
            let mut properties = match raw.get("Properties").map(|properties| scope.resolve(properties)) {
                Some(Value::Object(properties)) => properties,
                _ => Map::new(),
            };
            // The API calls it so.
            let named = if kind == Kind::TargetGroup { "TargetGroupName" } else { "LoadBalancerName" };
            if let Some(own) = properties.remove("Name") {
                properties.insert(named.to_owned(), own);
            }
            let only_if = raw.get("Condition").and_then(Value::as_str).map(|condition| format!("the condition {condition}"));
            let arn = stack.arn(name).unwrap_or_default();
            resources.all.push(Resource { kind, file: stack.file.clone(), name: name.clone(), arn, properties, only_if });
        }
        tell_defaults(stack, scope, resources);
    }
}

fn tell_defaults(stack: &Template, scope: Scope<'_>, resources: &mut Resources) {
    for name in scope.defaults_used() {
        let remark = (stack.file.clone(), format!("the parameter {name} was read as its default"));
        if !resources.remarks.contains(&remark) {
            resources.remarks.push(remark);
        }
    }
}

fn kind(resource: &Value) -> Option<Kind> {
    match resource.get("Type")?.as_str()?.strip_prefix("AWS::ElasticLoadBalancingV2::")? {
        "LoadBalancer" => Some(Kind::LoadBalancer),
        "Listener" => Some(Kind::Listener),
        "ListenerRule" => Some(Kind::ListenerRule),
        "ListenerCertificate" => Some(Kind::ListenerCertificate),
        "TargetGroup" => Some(Kind::TargetGroup),
        _ => None,
    }
}

/// Exports whose names and values are in the files. One name twice is nobody's.
fn exports(stacks: &[Template], resources: &mut Resources) -> BTreeMap<String, Option<Value>> {
    let nothing = BTreeMap::new();
    let mut exports = BTreeMap::new();
    for stack in stacks {
        let scope = Scope::new(stack, &nothing);
        for output in stack.section("Outputs").into_iter().flat_map(Map::values) {
            let name = output.pointer("/Export/Name").map(|name| scope.resolve(name));
            let (Some(Value::String(name)), Some(value)) = (name, output.get("Value")) else { continue };
            let value = Some(scope.resolve(value)).filter(|_| !exports.contains_key(&name));
            exports.insert(name, value);
        }
        tell_defaults(stack, scope, resources);
    }
    exports
}

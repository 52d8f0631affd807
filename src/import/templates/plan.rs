//! What a plan does not know before it is applied: where its configuration refers to a resource of the plan, that is what it will be.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::terraform::{Raw, normal};
use super::unresolved::unresolved;

/// Parts of a plan, by the address of a resource.
pub(super) struct Plan<'p> {
    after_unknown: BTreeMap<String, &'p Value>,
    /// With the module in which each stands.
    expressions: BTreeMap<String, &'p Value>,
    addresses: Vec<String>,
}

impl<'p> Plan<'p> {
    pub(super) fn new(document: &'p Value) -> Self {
        let mut plan = Self { after_unknown: BTreeMap::new(), expressions: BTreeMap::new(), addresses: Vec::new() };
        for change in document.get("resource_changes").and_then(Value::as_array).into_iter().flatten() {
            let address = normal(change.get("address").and_then(Value::as_str).unwrap_or_default());
            plan.addresses.push(address.clone());
            if let Some(unknown) = change.pointer("/change/after_unknown") {
                plan.after_unknown.insert(address, unknown);
            }
        }
        plan.configuration(document.pointer("/configuration/root_module"), "");
        plan
    }

    fn configuration(&mut self, module: Option<&'p Value>, prefix: &str) {
        for resource in module.and_then(|module| module.get("resources")).and_then(Value::as_array).into_iter().flatten() {
            let address = resource.get("address").and_then(Value::as_str).unwrap_or_default();
            if let Some(expressions) = resource.get("expressions") {
                self.expressions.insert(format!("{prefix}{}", normal(address)), expressions);
            }
        }
        for (name, call) in module.and_then(|module| module.get("module_calls")).and_then(Value::as_object).into_iter().flatten() {
            self.configuration(call.get("module"), &format!("{prefix}module.{name}."));
        }
    }

    /// Puts what is known of the unknown into the resource, and a mark where nothing is.
    pub(super) fn fill(&self, raw: &mut Raw) {
        let Some(Value::Object(unknown)) = self.after_unknown.get(&raw.address) else { return };
        // Instances of one resource and of one module share an expression, in which each.key is each one's own.
        let expressions = self.expressions.get(&raw.address).copied();
        let module = raw.address.rfind("aws_lb").map_or("", |at| &raw.address[..at]).to_owned();
        self.members(&mut raw.values, unknown, expressions, &module);
    }

    fn members(&self, values: &mut Map<String, Value>, unknown: &Map<String, Value>, expressions: Option<&Value>, module: &str) {
        for (key, unknown) in unknown {
            let expression = expressions.and_then(|expressions| expressions.get(key));
            match unknown {
                Value::Bool(true) => drop(values.insert(key.clone(), self.answer(expression, module, key))),
                Value::Object(unknown) => {
                    if let Some(Value::Object(values)) = values.get_mut(key) {
                        self.members(values, unknown, None, module);
                    }
                }
                Value::Array(unknown) => {
                    if let Some(Value::Array(values)) = values.get_mut(key) {
                        self.items(values, unknown, expression, module, key);
                    }
                }
                Value::Null | Value::Bool(false) | Value::Number(_) | Value::String(_) => {}
            }
        }
    }

    fn items(&self, values: &mut Vec<Value>, unknown: &[Value], expression: Option<&Value>, module: &str, key: &str) {
        for (index, unknown) in unknown.iter().enumerate() {
            match (values.get_mut(index), unknown) {
                (Some(Value::Object(values)), Value::Object(unknown)) => {
                    let block = expression.and_then(|blocks| block_of(blocks, values));
                    self.members(values, unknown, block, module);
                }
                (Some(value), Value::Bool(true)) => *value = self.answer(None, module, key),
                (None, Value::Bool(true)) => values.push(self.answer(None, module, key)),
                _ => {}
            }
        }
    }

    /// One reference to an attribute of one resource of the plan is that resource; anything else is not guessed at.
    fn answer(&self, expression: Option<&Value>, module: &str, key: &str) -> Value {
        let references: Vec<&str> = expression
            .and_then(|expression| expression.get("references"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let Some(longest) = references.iter().max_by_key(|reference| reference.len()) else {
            return unresolved(format!("{key}, known after apply"));
        };
        let is_one = references.iter().all(|reference| longest.starts_with(reference));
        let target = longest.strip_suffix(".arn").or_else(|| longest.strip_suffix(".id")).filter(|_| is_one);
        let address = target.map(|target| format!("{module}{}", normal(target))).filter(|address| self.addresses.contains(address));
        let word = address.as_deref().and_then(|address| word(address.rsplit("aws_lb").next()?.split('.').next()?));
        match (address, word) {
            (Some(address), Some(word)) => format!("terraform:{word}/{}", address.replace('/', "%2f")).into(),
            _ => unresolved(*longest),
        }
    }
}

fn word(rest: &str) -> Option<&'static str> {
    match rest {
        "" => Some("loadbalancer"),
        "_listener" => Some("listener"),
        "_target_group" => Some("targetgroup"),
        _ => None,
    }
}

/// The block of the configuration that a value was made of. Sets have no order: only one that agrees in everything that it says can
/// be it, and of two that do neither is.
fn block_of<'e>(blocks: &'e Value, values: &Map<String, Value>) -> Option<&'e Value> {
    let agrees = |block: &&Value| {
        block.as_object().is_some_and(|block| {
            block.iter().all(|(key, expression)| {
                expression.get("constant_value").is_none_or(|constant| values.get(key).is_some_and(|value| same(value, constant)))
            })
        })
    };
    let mut candidates = blocks.as_array()?.iter().filter(agrees);
    candidates.next().filter(|_| candidates.next().is_none())
}

/// `"90"` in a configuration is 90 in a plan.
fn same(value: &Value, constant: &Value) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    value == constant || text(value) == text(constant)
}

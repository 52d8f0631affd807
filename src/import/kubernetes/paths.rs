//! Paths of an Ingress: their order and their conditions, as the controller makes them.

use serde_json::{Value, json};

use super::ingress::Resource;

/// Conditions, actions, transforms.
pub(super) type Rule = (Value, Vec<Value>, Value);

/// Exact paths first, then prefixes by length, then the rest as they stand.
pub(super) fn sorted(rule: &Value) -> Vec<&Value> {
    let mut paths: Vec<&Value> = rule.pointer("/http/paths").and_then(Value::as_array).into_iter().flatten().collect();
    paths.sort_by_key(|path| match path.get("pathType").and_then(Value::as_str) {
        Some("Exact") => (0, 0),
        Some("Prefix") => (1, usize::MAX - text(path).len()),
        _ => (2, 0),
    });
    paths
}

pub(super) fn conditions(ingress: &Resource, rule: &Value, path: &Value, service: &str) -> Result<Value, String> {
    let mut hosts: Vec<Value> =
        rule.get("host").and_then(Value::as_str).filter(|host| !host.is_empty()).map(Value::from).into_iter().collect();
    let mut patterns: Vec<Value> = patterns(path)?.into_iter().map(Value::from).collect();
    let (mut host_regexes, mut path_regexes) = (Vec::new(), Vec::new());
    let mut conditions = Vec::new();
    for condition in &ingress.list(&format!("conditions.{service}"))? {
        let values = |pointer: &str| condition.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        // A host or path of the annotation is an alternative to that of the rule.
        match condition.get("Field").and_then(Value::as_str) {
            Some("host-header") => {
                hosts.extend(values("/HostHeaderConfig/Values"));
                host_regexes.extend(values("/HostHeaderConfig/RegexValues"));
            }
            Some("path-pattern") => {
                patterns.extend(values("/PathPatternConfig/Values"));
                path_regexes.extend(values("/PathPatternConfig/RegexValues"));
            }
            _ => conditions.push(condition.clone()),
        }
    }
    if !hosts.is_empty() || !host_regexes.is_empty() {
        conditions.push(json!({"Field": "host-header", "HostHeaderConfig": {"Values": hosts, "RegexValues": host_regexes}}));
    }
    let is_literal = matches!(path.get("pathType").and_then(Value::as_str), Some("Exact" | "Prefix"));
    if !is_literal && ingress.annotation("use-regex-path-match") == Some("true") {
        conditions.push(json!({"Field": "use-regex-path-match"}));
    } else if !patterns.is_empty() || !path_regexes.is_empty() {
        conditions.push(json!({"Field": "path-pattern", "PathPatternConfig": {"Values": patterns, "RegexValues": path_regexes}}));
    }
    if conditions.is_empty() {
        conditions.push(json!({"Field": "path-pattern", "Values": ["/*"]}));
    }
    Ok(conditions.into())
}

fn patterns(path: &Value) -> Result<Vec<String>, String> {
    let text = text(path);
    match path.get("pathType").and_then(Value::as_str) {
        _ if text.is_empty() => Ok(Vec::new()),
        Some("Prefix") if text == "/" => Ok(vec!["/*".to_owned()]),
        Some("Prefix" | "Exact") if text.contains(['*', '?']) => {
            Err(format!("the path {text:?} has wildcards, and its pathType takes none"))
        }
        Some("Prefix") => {
            let text = text.strip_suffix('/').unwrap_or(text);
            Ok(vec![text.to_owned(), format!("{text}/*")])
        }
        _ => Ok(vec![text.to_owned()]),
    }
}

fn text(path: &Value) -> &str {
    path.get("path").and_then(Value::as_str).unwrap_or_default()
}

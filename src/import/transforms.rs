//! Transforms of rules.

use super::aws;
use super::model::{Routing, Rule, Transform};
use crate::gateway::Rewrite;

pub(super) fn transforms(raw: &[aws::Transform]) -> Result<Vec<Transform>, String> {
    let made = raw.iter().map(transform).collect::<Result<Vec<_>, _>>()?;
    let mut keys: Vec<&str> = made.iter().map(|(key, ..)| *key).collect();
    keys.dedup();
    if keys.len() < made.len() || made.len() > 2 {
        return Err("two transforms of one kind".to_owned());
    }
    Ok(made)
}

fn transform(raw: &aws::Transform) -> Result<Transform, String> {
    let (key, config) = match raw.r#type.as_str() {
        "host-header-rewrite" => ("host_header_rewrite", &raw.host_header_rewrite_config),
        "url-rewrite" => ("url_rewrite", &raw.url_rewrite_config),
        other => return Err(format!("the transform {other:?} is not known")),
    };
    let rewrites = config.as_ref().map(|config| config.rewrites.as_slice()).unwrap_or_default();
    let [aws::Rewrite { regex, replace }] = rewrites else { return Err(format!("{} with {} rewrites", raw.r#type, rewrites.len())) };
    if regex.is_empty() || regex.len() > 1024 || replace.len() > 1024 {
        return Err(format!("{}: a text of more than 1024 characters, or none", raw.r#type));
    }
    Rewrite::new(regex, replace).map_err(|error| format!("{}: {error}", raw.r#type))?;
    Ok((key, regex.clone(), replace.clone()))
}

/// An answer of the gateway's own has nothing to rewrite, on an ALB as here.
pub(super) fn without_use(rule: &mut Rule) {
    if !matches!(rule.actions.routing, Routing::Forward { .. }) {
        rule.transforms.clear();
    }
}

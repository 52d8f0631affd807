//! Actions of templates: without secrets, and with a name that never resolves where an identity provider is not in the files.

use serde_json::{Map, Value, json};

use super::resources::reference;
use super::unresolved::{all, label, words};

/// The action as AWS would describe it, and whether a client secret stood in it.
pub(super) fn action(mut raw: Value) -> (Value, bool) {
    let mut remarks = Vec::new();
    let mut held_a_secret = false;
    for key in ["AuthenticateCognitoConfig", "AuthenticateOidcConfig"] {
        let Some(config) = raw.get_mut(key).and_then(Value::as_object_mut) else { continue };
        // A secret travels through no output: it would end up in a pipeline's log.
        held_a_secret |= config.remove("ClientSecret").is_some_and(|secret| secret.is_string());
        stand_in(config, &mut remarks);
    }
    if let Some(group) = raw.get_mut("TargetGroupArn").filter(|group| words(group).is_some()) {
        *group = reference(Some(group), "targetgroup").into();
    }
    for group in raw.pointer_mut("/ForwardConfig/TargetGroups").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(group) = group.get_mut("TargetGroupArn").filter(|group| words(group).is_some()) {
            *group = reference(Some(group), "targetgroup").into();
        }
    }
    let unresolved = all(&raw);
    if words(&raw).is_some() || raw.get("Type").and_then(Value::as_str).is_none() {
        return (json!({"Type": "an action that is not in the files", "Unresolved": unresolved}), held_a_secret);
    }
    if !unresolved.is_empty() {
        let order = raw.get("Order").filter(|order| order.is_u64()).cloned().unwrap_or(json!(0));
        return (json!({"Type": raw["Type"], "Order": order, "Unresolved": unresolved}), held_a_secret);
    }
    raw["Remarks"] = remarks.into();
    (raw, held_a_secret)
}

/// What stands in for an unknown provider signs nobody in: no host of these names can exist (RFC 2606 §2; AWS has no such region).
fn stand_in(config: &mut Map<String, Value>, remarks: &mut Vec<String>) {
    for (key, value) in config.iter_mut() {
        let Some(asked) = words(value).map(str::to_owned) else { continue };
        let label = label(&asked);
        let stands_in = match key.as_str() {
            "UserPoolArn" => format!("arn:aws:cognito-idp:unknown:000000000000:userpool/{label}"),
            "UserPoolDomain" => format!("{label}.invalid"),
            "Issuer" => format!("https://{label}.invalid"),
            "AuthorizationEndpoint" | "TokenEndpoint" | "UserInfoEndpoint" => format!("https://{label}.invalid/{key}"),
            "UserPoolClientId" | "ClientId" => format!("CLIENT-ID-OF-{label}"),
            _ => continue,
        };
        remarks.push(format!("{key} is not in the files ({asked}): write it in place of {stands_in}"));
        *value = stands_in.into();
    }
}

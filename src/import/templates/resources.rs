//! Resources with the names of AWS's properties, as what AWS would describe. Where they come from no longer matters here.

use serde_json::{Map, Value, json};

use super::Described;
use super::actions::action;
use super::unresolved::{all, label, words};
use crate::import::model::Notes;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    LoadBalancer,
    Listener,
    ListenerRule,
    ListenerCertificate,
    TargetGroup,
    /// A target of a group that another resource describes.
    TargetGroupAttachment,
}

/// Properties with marks where a value is not in the files.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) kind: Kind,
    pub(super) file: String,
    /// As a person finds it in the file.
    pub(super) name: String,
    /// What references to it become. An ARN where it is known.
    pub(super) arn: String,
    pub(super) properties: Map<String, Value>,
    /// It is there under a condition only, or several times.
    pub(super) only_if: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Resources {
    pub(super) all: Vec<Resource>,
    pub(super) remarks: Vec<(String, String)>,
}

/// Listeners of which a rule is missing.
#[derive(Default)]
struct Missing {
    /// A rule whose listener is not known may belong to any.
    anywhere: bool,
    listeners: Vec<String>,
}

impl Resources {
    pub(super) fn described(mut self, notes: &mut Notes) -> Described {
        let mut objects = Vec::new();
        let mut missing = Missing::default();
        for (index, mut resource) in std::mem::take(&mut self.all).into_iter().enumerate() {
            coerce_members(&mut resource.properties);
            let made = match resource.kind {
                Kind::LoadBalancer => self.load_balancer(&mut resource),
                Kind::Listener => self.listener(&mut resource),
                Kind::ListenerRule => self.rule(&mut resource, index, &mut missing),
                Kind::ListenerCertificate => self.certificate(&mut resource),
                Kind::TargetGroup => self.target_group(&mut resource),
                Kind::TargetGroupAttachment => self.attachment(&mut resource),
            };
            objects.extend(made.into_iter().map(|object| (resource.file.clone(), object)));
        }
        // An answer of AWS about rules holds the default one, by which the importer knows that none is missing.
        let listeners: Vec<(String, String)> = objects
            .iter()
            .filter_map(|(file, object)| Some((file.clone(), object.pointer("/Listeners/0/ListenerArn")?.as_str()?.to_owned())))
            .collect();
        for (file, arn) in listeners {
            if !missing.anywhere && !missing.listeners.contains(&arn) {
                let rule = format!("{}/default", rules_of(&arn));
                let default = json!({"RuleArn": rule, "Priority": "default", "Conditions": [], "Actions": []});
                objects.push((file, json!({ "Rules": [default] })));
            }
        }
        for (place, what) in &self.remarks {
            notes.say(format!("{place}: {what}"));
        }
        Described { objects, remarks: self.remarks }
    }

    fn remark(&mut self, resource: &Resource, what: String) {
        self.remarks.push((format!("{}, {}", resource.file, resource.name), what));
    }

    fn load_balancer(&mut self, resource: &mut Resource) -> Vec<Value> {
        let attributes = self.attributes(resource, "LoadBalancerAttributes", "LoadBalancerArn");
        let mut made = self.known(resource, &["LoadBalancerName", "DNSName", "IpAddressType"]);
        made.entry("LoadBalancerName").or_insert_with(|| resource.name.clone().into());
        made.insert("LoadBalancerArn".to_owned(), resource.arn.clone().into());
        vec![json!({ "LoadBalancers": [made] }), attributes]
    }

    fn listener(&mut self, resource: &mut Resource) -> Vec<Value> {
        for key in ["Port", "Protocol"] {
            if let Some(words) = resource.properties.get(key).and_then(words) {
                let what = format!("the listener is left out: its {key} is not in the files ({words})");
                self.remark(resource, what);
                return Vec::new();
            }
        }
        if let Some(condition) = &resource.only_if {
            let what = format!("is there under a condition only ({condition}); here it is there");
            self.remark(resource, what);
        }
        let attributes = self.attributes(resource, "ListenerAttributes", "ListenerArn");
        let certificates: Vec<Value> = items(resource, "Certificates").iter().filter_map(certificate).collect();
        let default: Vec<Value> = items(resource, "DefaultActions").into_iter().map(|raw| self.action(resource, raw)).collect();
        let balancer = reference(resource.properties.get("LoadBalancerArn"), "loadbalancer");
        // A mode that is not known may be the one that asks for a certificate.
        let mutual = resource.properties.get("MutualAuthentication").filter(|value| !value.is_null());
        let mode = mutual.map(|mutual| mutual.get("Mode").and_then(Value::as_str).unwrap_or("unknown"));
        let mut made = self.known(resource, &["Port", "Protocol", "SslPolicy"]);
        made.insert("ListenerArn".to_owned(), resource.arn.clone().into());
        made.insert("LoadBalancerArn".to_owned(), balancer.into());
        made.insert("Certificates".to_owned(), certificates.into());
        made.insert("DefaultActions".to_owned(), default.into());
        made.extend(mode.map(|mode| ("MutualAuthentication".to_owned(), json!({ "Mode": mode }))));
        vec![json!({ "Listeners": [made] }), attributes]
    }

    fn rule(&mut self, resource: &mut Resource, index: usize, missing: &mut Missing) -> Vec<Value> {
        let Some(listener) = resource.properties.get("ListenerArn").and_then(Value::as_str).map(str::to_owned) else {
            let asked = resource.properties.get("ListenerArn").and_then(words).unwrap_or("ListenerArn").to_owned();
            self.remark(resource, format!("the rule is left out: its listener is not in the files ({asked})"));
            missing.anywhere = true;
            return Vec::new();
        };
        let Some(priority) = resource.properties.get("Priority").and_then(Value::as_str).map(str::to_owned) else {
            self.remark(resource, "the rule is left out: its priority is not in the files".to_owned());
            missing.listeners.push(listener);
            return Vec::new();
        };
        let (conditions, asked): (Vec<Value>, Vec<Value>) =
            items(resource, "Conditions").into_iter().partition(|condition| all(condition).is_empty());
        let transforms = items(resource, "Transforms");
        let mut unresolved: Vec<String> = asked.iter().chain(&transforms).flat_map(all).collect();
        unresolved.extend(resource.only_if.clone());
        let transforms: Vec<Value> = transforms.into_iter().filter(|transform| all(transform).is_empty()).collect();
        let actions: Vec<Value> = items(resource, "Actions").into_iter().map(|raw| self.action(resource, raw)).collect();
        vec![json!({"Rules": [{
            "RuleArn": format!("{}/{index}", rules_of(&listener)), "Priority": priority, "Conditions": conditions, "Actions": actions,
            "Transforms": transforms, "Unresolved": unresolved,
        }]})]
    }

    fn action(&mut self, resource: &Resource, raw: Value) -> Value {
        let (made, held_a_secret) = action(raw);
        let what = "this file holds client secrets: none was copied. Keep it as one, and put each where its provider says";
        let known = |(place, said): &(String, String)| *place == resource.file && said == what;
        if held_a_secret && !self.remarks.iter().any(known) {
            self.remarks.push((resource.file.clone(), what.to_owned()));
        }
        made
    }

    fn certificate(&mut self, resource: &mut Resource) -> Vec<Value> {
        let Some(listener) = resource.properties.get("ListenerArn").and_then(Value::as_str) else {
            self.remark(resource, "the certificates are left out: their listener is not in the files".to_owned());
            return Vec::new();
        };
        let listener = listener.to_owned();
        let certificates: Vec<Value> = items(resource, "Certificates").iter().filter_map(certificate).collect();
        vec![json!({"ListenerArn": listener, "Certificates": certificates})]
    }

    fn target_group(&mut self, resource: &mut Resource) -> Vec<Value> {
        let before = self.remarks.len();
        let attributes = self.attributes(resource, "TargetGroupAttributes", "TargetGroupArn");
        let targets = items(resource, "Targets");
        let mut made = self.known(resource, &GROUP);
        if let Some(words) = made.get("Matcher").map(all).and_then(|words| words.first().cloned()) {
            made.remove("Matcher");
            self.remark(resource, format!("Matcher is not in the files ({words})"));
        }
        // They stand at the group itself.
        let remarks: Vec<String> = self.remarks.drain(before..).map(|(_, what)| what).collect();
        made.entry("TargetGroupName").or_insert_with(|| resource.name.clone().into());
        made.insert("TargetGroupArn".to_owned(), resource.arn.clone().into());
        made.insert("Remarks".to_owned(), remarks.into());
        let mut objects = vec![json!({ "TargetGroups": [made] }), attributes];
        if !targets.is_empty() {
            objects.push(health(&resource.arn, targets));
        }
        objects
    }

    fn attachment(&mut self, resource: &mut Resource) -> Vec<Value> {
        let Some(group) = resource.properties.get("TargetGroupArn").and_then(Value::as_str).map(str::to_owned) else {
            self.remark(resource, "the target is left out: its target group is not in the files".to_owned());
            return Vec::new();
        };
        vec![health(&group, vec![Value::Object(std::mem::take(&mut resource.properties))])]
    }

    /// Properties by name, without those that are not in the files, which are told.
    fn known(&mut self, resource: &Resource, keys: &[&str]) -> Map<String, Value> {
        let mut made = Map::new();
        for key in keys {
            match resource.properties.get(*key) {
                Some(value) if words(value).is_some() => {
                    self.remark(resource, format!("{key} is not in the files ({})", words(value).unwrap_or_default()));
                }
                Some(value) if !value.is_null() => drop(made.insert((*key).to_owned(), value.clone())),
                _ => {}
            }
        }
        made
    }

    fn attributes(&mut self, resource: &Resource, list: &str, arn: &str) -> Value {
        let mut kept = Vec::new();
        for item in items(resource, list) {
            match all(&item).first() {
                Some(words) => {
                    let key = item.get("Key").and_then(Value::as_str).unwrap_or("an attribute").to_owned();
                    self.remark(resource, format!("{key} is not in the files ({words})"));
                }
                None => kept.push(item),
            }
        }
        json!({arn: resource.arn, "Attributes": kept})
    }
}

fn items(resource: &Resource, key: &str) -> Vec<Value> {
    match resource.properties.get(key) {
        Some(Value::Array(items)) => items.clone(),
        Some(Value::Null) | None => Vec::new(),
        Some(other) => vec![other.clone()],
    }
}

/// A reference as an ARN, which is a made-up one where it is not in the files.
pub(super) fn reference(value: Option<&Value>, what: &str) -> String {
    match value {
        Some(Value::String(arn)) => arn.clone(),
        Some(value) => format!("unresolved:{what}/{}", label(words(value).unwrap_or_default())),
        None => String::new(),
    }
}

fn certificate(raw: &Value) -> Option<Value> {
    let arn = raw.get("CertificateArn").filter(|arn| !arn.is_null())?;
    Some(json!({ "CertificateArn": reference(Some(arn), "certificate") }))
}

fn health(group: &str, targets: Vec<Value>) -> Value {
    let described = targets.into_iter().map(|target| {
        let id = target.get("Id").map(|id| id.as_str().map_or_else(|| label(words(id).unwrap_or_default()), str::to_owned));
        let port = target.get("Port").filter(|port| port.is_u64()).cloned().unwrap_or_default();
        json!({"Target": {"Id": id.unwrap_or_default(), "Port": port}})
    });
    json!({"TargetGroupArn": group, "TargetHealthDescriptions": described.collect::<Vec<_>>()})
}

/// `…:listener/X` has the rules `…:listener-rule/X/…`
fn rules_of(listener: &str) -> String {
    listener.replacen(":listener/", ":listener-rule/", 1)
}

fn coerce_members(members: &mut Map<String, Value>) {
    for (key, value) in members.iter_mut() {
        coerce(key, value);
    }
    // The only port that is a text: it may be #{port}.
    if let Some(port) = members.get_mut("RedirectConfig").and_then(|redirect| redirect.get_mut("Port")).filter(|port| port.is_u64()) {
        *port = port.to_string().into();
    }
}

/// Both tools take `"443"` for 443 and the other way about. Parameters are the provider's, whatever they are called.
fn coerce(key: &str, value: &mut Value) {
    let changed = match (&*value, key) {
        (Value::Object(_), _) if words(value).is_some() => None,
        (Value::Object(_), "AuthenticationRequestExtraParams") => None,
        (Value::String(text), key) if NUMBERS.contains(&key) => text.parse::<u64>().ok().map(Value::from),
        (Value::String(text), "Enabled" | "HealthCheckEnabled") => text.parse::<bool>().ok().map(Value::from),
        (Value::Number(_) | Value::Bool(_), key) if TEXTS.contains(&key) => Some(value.to_string().into()),
        _ => None,
    };
    match (changed, value) {
        (Some(changed), value) => *value = changed,
        (None, Value::Object(members)) if key != "AuthenticationRequestExtraParams" => coerce_members(members),
        (None, Value::Array(items)) => items.iter_mut().for_each(|item| coerce(key, item)),
        _ => {}
    }
}

const NUMBERS: [&str; 9] = [
    "Port",
    "Order",
    "Weight",
    "DurationSeconds",
    "SessionTimeout",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
];
const TEXTS: [&str; 9] = ["StatusCode", "Priority", "HealthCheckPort", "HttpCode", "GrpcCode", "Value", "Values", "Key", "MessageBody"];
const GROUP: [&str; 14] = [
    "TargetGroupName",
    "TargetType",
    "Protocol",
    "ProtocolVersion",
    "Port",
    "HealthCheckEnabled",
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
];

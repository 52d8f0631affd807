//! The files, put together: what AWS describes in one answer refers to another by its ARN, and sometimes not at all.

use serde_json::{Map, Value};

use super::aws::{Attribute, Certificate, Listener, LoadBalancer, Rule, TargetGroup, TargetHealthDescription, list};
use super::documents::documents;
use super::kubernetes::Manifests;
use super::model::Notes;
use super::templates::Templates;
use crate::message::json;

/// A file that was given: its name, and what is in it.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("{file}: {fault}")]
    File { file: String, fault: String },
    #[error("{0}")]
    Manifests(String),
    #[error(
        "no HTTP or HTTPS listener in these files: add the output of aws elbv2 describe-listeners, Ingress manifests, or templates with it"
    )]
    NoListener,
    #[error("two rules of {listener} have priority {priority}: are the files of different days?")]
    Priority { listener: String, priority: u32 },
}

/// A list of which AWS does not say what it belongs to.
#[derive(Debug)]
pub(super) struct Loose<T> {
    file: String,
    /// A member that a person has added, as AWS's answer has none.
    arn: Option<String>,
    pub(super) items: Vec<T>,
}

/// Everything that was in the files, each thing once.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) load_balancers: Vec<LoadBalancer>,
    pub(super) listeners: Vec<Listener>,
    pub(super) rules: Vec<Rule>,
    pub(super) groups: Vec<TargetGroup>,
    pub(super) health: Vec<Loose<TargetHealthDescription>>,
    pub(super) attributes: Vec<Loose<Attribute>>,
    pub(super) certificates: Vec<Loose<Certificate>>,
    /// Of templates: of what, and what is to be told.
    pub(super) remarks: Vec<(String, String)>,
}

impl Collected {
    pub(super) fn read(files: &[Input<'_>], notes: &mut Notes) -> Result<Self, ImportError> {
        let mut collected = Self::default();
        let mut manifests = Manifests::default();
        let mut templates = Templates::default();
        for file in files {
            let fault = |fault: String| ImportError::File { file: super::yaml::one_line(file.name), fault: super::yaml::one_line(&fault) };
            // PowerShell puts a mark at the beginning of what it redirects.
            let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file.bytes);
            if is_json(bytes) {
                let mut object = json::object(bytes).map_err(|error| fault(format!("not a JSON object: {error}")))?;
                let document = Value::Object(object.clone());
                let is_known =
                    manifests.add(file.name, &document, notes).map_err(fault)? || templates.add(file.name, &document).map_err(fault)?;
                if !is_known {
                    collected.add(file.name, &mut object).map_err(fault)?;
                }
            } else {
                let text = std::str::from_utf8(bytes).map_err(|error| fault(format!("not UTF-8: {error}")))?;
                for document in documents(text).map_err(fault)?.iter().filter(|document| !document.is_null()) {
                    let is_known =
                        manifests.add(file.name, document, notes).map_err(fault)? || templates.add(file.name, document).map_err(fault)?;
                    if !is_known {
                        let what = "neither JSON of the AWS CLI nor a Kubernetes manifest (no kind) nor a CloudFormation template (no Resources of AWS)";
                        return Err(fault(what.to_owned()));
                    }
                }
            }
        }
        let fault = |fault: String| ImportError::Manifests(super::yaml::one_line(&fault));
        for (files, mut object) in manifests.described(notes).map_err(fault)? {
            let Some(object) = object.as_object_mut() else { continue };
            collected.add("", object).map_err(|error| fault(format!("{files}: {error}")))?;
        }
        let described = templates.described(notes);
        for (file, mut object) in described.objects {
            let Some(object) = object.as_object_mut() else { continue };
            collected.add(&file, object).map_err(|error| fault(format!("{file}: {error}")))?;
        }
        collected.remarks = described.remarks;
        collected.listeners.sort_by(|a, b| (&a.load_balancer_arn, a.port).cmp(&(&b.load_balancer_arn, b.port)));
        if collected.listeners.is_empty() { Err(ImportError::NoListener) } else { Ok(collected) }
    }

    fn add(&mut self, file: &str, object: &mut Map<String, Value>) -> Result<(), String> {
        if object.contains_key("NextMarker") {
            return Err("is one page of several: without --no-paginate the AWS CLI gives all of them".to_owned());
        }
        let arn = ["TargetGroupArn", "ListenerArn", "LoadBalancerArn"].iter().find_map(|name| object.get(*name)).and_then(Value::as_str);
        let arn = arn.map(str::to_owned);
        let known = KNOWN.iter().filter(|name| object.contains_key(**name)).count();
        if known == 0 {
            return Err(format!("has none of {}: is it the output of aws elbv2 describe-…, or a template?", KNOWN.join(", ")));
        }
        merge(&mut self.load_balancers, list(object, "LoadBalancers")?, |one| &one.load_balancer_arn);
        let listeners: Option<Vec<Listener>> = list(object, "Listeners")?;
        if let Some(index) = listeners.iter().flatten().position(|one| one.port == 0 && matches!(one.protocol.as_str(), "HTTP" | "HTTPS")) {
            return Err(format!("Listeners[{index}]: missing field `Port`"));
        }
        merge(&mut self.listeners, listeners, |one| &one.listener_arn);
        let rules: Option<Vec<Rule>> = list(object, "Rules")?;
        if let Some((index, rule)) =
            rules.iter().flatten().enumerate().find(|(_, rule)| rule.priority != "default" && priority(rule).is_none())
        {
            return Err(format!("Rules[{index}]: {:?} is not a priority", rule.priority));
        }
        merge(&mut self.rules, rules, |one| &one.rule_arn);
        merge(&mut self.groups, list(object, "TargetGroups")?, |one| &one.target_group_arn);
        loose(&mut self.health, list(object, "TargetHealthDescriptions")?, file, arn.as_ref());
        loose(&mut self.attributes, list(object, "Attributes")?, file, arn.as_ref());
        loose(&mut self.certificates, list(object, "Certificates")?, file, arn.as_ref());
        Ok(())
    }

    /// The load balancer of a listener, when it is in one of the files.
    pub(super) fn load_balancer(&self, arn: &str) -> Option<&LoadBalancer> {
        self.load_balancers.iter().find(|one| one.load_balancer_arn == arn)
    }

    /// Targets of a group: AWS's answer does not name it, so the file's name has to, unless there is one group only.
    pub(super) fn targets(&self, group: &TargetGroup) -> Option<Vec<&TargetHealthDescription>> {
        let of_it: Vec<_> = self.health.iter().filter(|loose| self.belongs(loose, group, "target-health")).collect();
        (!of_it.is_empty()).then(|| of_it.into_iter().flat_map(|loose| &loose.items).collect())
    }

    pub(super) fn group_attributes(&self, group: &TargetGroup) -> Vec<&Attribute> {
        self.attributes
            .iter()
            .filter(|loose| self.belongs(loose, group, "target-group-attributes"))
            .flat_map(|loose| &loose.items)
            .collect()
    }

    /// Attributes of a listener: AWS's answer does not name it, so the file's name ends as its ARN does, unless there is one listener only.
    pub(super) fn listener_attributes(&self, listener: &Listener) -> Vec<&Attribute> {
        self.attributes.iter().filter(|loose| self.is_of_listener(loose, listener)).flat_map(|loose| &loose.items).collect()
    }

    fn is_of_listener(&self, loose: &Loose<Attribute>, listener: &Listener) -> bool {
        let end = |listener: &Listener| listener.listener_arn.rsplit('/').next().unwrap_or_default().to_owned();
        match (&loose.arn, named(&loose.file, "listener-attributes")) {
            (Some(arn), _) => *arn == listener.listener_arn,
            (None, Some(name)) if self.listeners.iter().any(|known| end(known) == name) => name == end(listener),
            _ => self.listeners.len() == 1,
        }
    }

    /// The values of an attribute of load balancers or listeners.
    pub(super) fn attribute(&self, key: &str) -> Vec<&str> {
        let all = self.attributes.iter().flat_map(|loose| &loose.items);
        all.filter(|attribute| attribute.key == key).map(|attribute| attribute.value.as_str()).collect()
    }

    /// Certificates that a listener has beside its default, by a list that holds the default too.
    pub(super) fn further_certificates(&self, listener: &Listener) -> Vec<&Certificate> {
        let default = |arn: &str| listener.certificates.iter().any(|certificate| certificate.certificate_arn == arn);
        let of_it = |loose: &&Loose<Certificate>| match &loose.arn {
            Some(arn) => *arn == listener.listener_arn,
            None => loose.items.iter().any(|certificate| certificate.is_default && default(&certificate.certificate_arn)),
        };
        self.certificates.iter().filter(of_it).flat_map(|loose| &loose.items).collect()
    }

    fn belongs<T>(&self, loose: &Loose<T>, group: &TargetGroup, kind: &str) -> bool {
        match (&loose.arn, named(&loose.file, kind)) {
            (Some(arn), _) => *arn == group.target_group_arn,
            (None, Some(name)) if self.groups.iter().any(|known| known.target_group_name == name) => name == group.target_group_name,
            _ => self.groups.len() == 1,
        }
    }

    /// Says of which files nothing could be used.
    pub(super) fn say_unused(&self, notes: &mut Notes) {
        for loose in &self.health {
            if !self.groups.iter().any(|group| self.belongs(loose, group, "target-health")) {
                notes.say(format!(
                    "{}: AWS does not say of which target group this is: call the file target-health-NAME.json after the group",
                    loose.file
                ));
            }
        }
        let of_groups = |one: &&Loose<Attribute>| one.items.iter().any(|attribute| attribute.key.starts_with("deregistration_delay."));
        for loose in self.attributes.iter().filter(of_groups) {
            if !self.groups.iter().any(|group| self.belongs(loose, group, "target-group-attributes")) {
                notes.say(format!(
                    "{}: AWS does not say of which target group this is: call the file target-group-attributes-NAME.json after the group",
                    loose.file
                ));
            }
        }
        let sets = |one: &Attribute| one.key.starts_with("routing.http.response.") && !matches!(one.value.as_str(), "" | "true");
        for loose in self.attributes.iter().filter(|loose| loose.items.iter().any(sets)) {
            if !self.listeners.iter().any(|listener| self.is_of_listener(loose, listener)) {
                notes.say(format!(
                    "{}: AWS does not say of which listener this is: call the file listener-attributes-ID.json after the end of its ARN",
                    loose.file
                ));
            }
        }
        let listeners: Vec<&str> = self.listeners.iter().map(|one| one.listener_arn.as_str()).collect();
        let mut strangers: Vec<String> =
            self.rules.iter().map(|rule| listener_of(&rule.rule_arn)).filter(|arn| !listeners.contains(&arn.as_str())).collect();
        strangers.sort();
        strangers.dedup();
        for arn in strangers {
            notes.say(format!("rules of {arn} were left out: no file describes that listener"));
        }
    }
}

/// The AWS CLI prints an object; an empty file, and a list, are told about in the words of JSON.
fn is_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first().is_none_or(|first| matches!(first, b'{' | b'['))
}

/// `…:listener-rule/app/NAME/LB/LISTENER/RULE` stands under `…:listener/app/NAME/LB/LISTENER`.
pub(super) fn listener_of(rule_arn: &str) -> String {
    let of = rule_arn.rsplit_once('/').map_or(rule_arn, |(of, _)| of);
    of.replacen(":listener-rule/", ":listener/", 1)
}

/// `None` for the default rule, which repeats the listener's default actions.
pub(super) fn priority(rule: &Rule) -> Option<u32> {
    rule.priority.parse().ok().filter(|priority| (1..=50_000).contains(priority))
}

/// The name in `target-health-NAME.json`, `describe-target-health-NAME.json` or `NAME.json`.
fn named<'a>(file: &'a str, kind: &str) -> Option<&'a str> {
    let stem = std::path::Path::new(file).file_stem()?.to_str()?;
    let stem = stem.strip_prefix("describe-").unwrap_or(stem);
    Some(stem.strip_prefix(kind).map_or(stem, |rest| rest.trim_start_matches(['-', '_', '.'])))
}

fn merge<T>(all: &mut Vec<T>, more: Option<Vec<T>>, arn: impl Fn(&T) -> &String) {
    for one in more.into_iter().flatten() {
        if !all.iter().any(|known| arn(known) == arn(&one)) {
            all.push(one);
        }
    }
}

fn loose<T>(all: &mut Vec<Loose<T>>, items: Option<Vec<T>>, file: &str, arn: Option<&String>) {
    all.extend(items.map(|items| Loose { file: file.to_owned(), arn: arn.cloned(), items }));
}

const KNOWN: [&str; 7] = ["LoadBalancers", "Listeners", "Rules", "TargetGroups", "TargetHealthDescriptions", "Attributes", "Certificates"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_its_listener() {
        let rule =
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/edge/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee";
        assert_eq!(
            listener_of(rule),
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/edge/50dc6c495c0c9188/f2f7dc8efc522ab2"
        );
        assert_eq!(listener_of(""), "");
    }

    #[test]
    fn a_file_is_named_after_its_target_group() {
        for file in ["target-health-web.json", "out/describe-target-health.web.json", "web.json", "target-health_web"] {
            assert_eq!(named(file, "target-health"), Some("web"), "{file}");
        }
        assert_eq!(named("target-health-web-admin.json", "target-health"), Some("web-admin"));
    }
}

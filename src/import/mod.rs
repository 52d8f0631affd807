//! From an Application Load Balancer, as the AWS CLI describes it or as a template makes it, to a configuration: text in, text and remarks out.
//!
//! Nothing is left out in silence, and nothing is left open: a rule that cannot be carried over answers 503.

mod aws;
mod balancing;
mod collected;
mod conditions;
mod documents;
mod groups;
mod kubernetes;
mod listeners;
mod model;
mod providers;
mod rules;
mod templates;
mod tokens;
mod transforms;
mod write;
mod yaml;

pub use collected::{ImportError, Input};

use collected::Collected;
use model::{Configuration, Notes};
use rules::Translation;

/// A configuration, and what a person has to know of it.
#[derive(Debug)]
pub struct Imported {
    /// YAML with comments.
    pub configuration: String,
    /// One line each.
    pub notes: Vec<String>,
}

/// Any mix of the outputs of `aws elbv2 describe-…`, of Ingress manifests and of templates.
pub fn alb(files: &[Input<'_>]) -> Result<Imported, ImportError> {
    let mut notes = Notes::default();
    let collected = Collected::read(files, &mut notes)?;
    let mut translation = Translation { collected: &collected, providers: Default::default(), groups: Default::default(), notes };
    let mut configuration = Configuration::default();
    let mut certificates = listeners::CertificateNames::default();
    let mut dns_names = Vec::new();
    for raw in &collected.listeners {
        if !matches!(raw.protocol.as_str(), "HTTP" | "HTTPS") {
            translation.notes.say(format!("listener {} is left out: it speaks {}", raw.port, raw.protocol));
            continue;
        }
        let mut listener = translation.listener(raw, &mut certificates)?;
        if configuration.listeners.iter().any(|other| other.address == listener.address) {
            let what = "another listener has this address: give one of them an address of its own";
            translation.notes.leave(&mut listener.comments, &format!("listener {}", raw.port), what);
        }
        configuration.listeners.push(listener);
        dns_names.push(collected.load_balancer(&raw.load_balancer_arn).map(|one| one.dns_name.clone()).unwrap_or_default());
        configuration.signer = configuration.signer.or_else(|| Some(raw.load_balancer_arn.clone()).filter(|arn| is_signer(arn)));
    }
    if configuration.listeners.is_empty() {
        return Err(ImportError::NoListener);
    }
    if !configuration.listeners.iter().any(|listener| listener.is_https) {
        for (listener, dns_name) in configuration.listeners.iter_mut().zip(dns_names) {
            let label = format!("listener at {}", listener.address);
            listeners::name_hosts(listener, &dns_name, &label, &mut translation.notes);
        }
    }
    let Translation { providers, groups, mut notes, .. } = translation;
    let (mut comments, alb_access_log) = attributes(&collected, &mut notes);
    comments.extend(collected.remarks.iter().map(|(place, what)| format!("{place}: {what}")));
    configuration.alb_access_log = alb_access_log;
    configuration.groups = groups.finish(idle_timeout(&collected, &mut notes), &collected, &mut notes);
    configuration.providers = providers.0;
    configuration.comments = head(&configuration, comments);
    collected.say_unused(&mut notes);
    if !configuration.providers.is_empty() && configuration.signer.is_none() {
        notes.say("the load balancer's ARN is not in the files: applications that compare the signer need it as identity_headers.signer");
    }
    if !configuration.providers.is_empty() {
        notes.say("make the two keys: vestibule keys session session.key; vestibule keys signing signing.key");
    } else if configuration.needs_session_key() {
        notes.say("make the key that seals stickiness: vestibule keys session session.key");
    }
    Ok(Imported { configuration: write::write(&configuration), notes: notes.into_lines() })
}

fn head(configuration: &Configuration, attributes: Vec<String>) -> Vec<String> {
    let mut lines = vec![
        "Written by vestibule import alb. Paths start at the folder of this file.".to_owned(),
        "Before it can be used, the files have to be there that it names, in certs/ and secrets/; then: vestibule check".to_owned(),
    ];
    if configuration.listeners.iter().any(|listener| listener.is_https) {
        lines.push(
            "Names: those in the certificates are served. An ALB serves any; add hosts to a listener if there are others.".to_owned(),
        );
    }
    if configuration.listeners.len() > 1 {
        lines.push("Ports below 1024 need a right that a service does not have by itself (CAP_NET_BIND_SERVICE).".to_owned());
    }
    lines.extend(attributes);
    lines
}

/// Attributes of load balancers and listeners that have no counterpart.
fn attributes(collected: &Collected, notes: &mut Notes) -> (Vec<String>, bool) {
    let mut comments = Vec::new();
    for (key, told) in ATTRIBUTES {
        if collected.attribute(key).contains(&"true") {
            notes.leave(&mut comments, "load balancer", format!("{key}: {told}"));
        }
    }
    for list in &collected.attributes {
        for attribute in &list.items {
            let renames = attribute.key.starts_with("routing.http.request.") && !attribute.value.is_empty();
            if renames {
                let what = format!("{} = {}: not supported by this version", attribute.key, attribute.value);
                notes.leave(&mut comments, "listener attributes", what);
            }
        }
    }
    (comments, collected.attribute("access_logs.s3.enabled").contains(&"true"))
}

/// An ALB's is one for all target groups.
fn idle_timeout(collected: &Collected, notes: &mut Notes) -> Option<u64> {
    let mut values: Vec<u64> = collected
        .attribute("idle_timeout.timeout_seconds")
        .iter()
        .filter_map(|value| value.parse().ok())
        .filter(|s| (1..=4000).contains(s))
        .collect();
    values.sort_unstable();
    values.dedup();
    if values.len() > 1 {
        notes.say("the load balancers have different idle timeouts: the longest stands under every target group");
    }
    values.pop().filter(|seconds| *seconds != 60)
}

/// A signer is visible ASCII; a load balancer that only a manifest speaks of has no ARN.
fn is_signer(arn: &str) -> bool {
    arn.starts_with("arn:") && arn.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Those that are off by default, and what it means that they are on.
const ATTRIBUTES: [(&str, &str); 2] = [
    ("access_logs.s3.enabled", "the access log is written to standard output, in the same form"),
    ("connection_logs.s3.enabled", "there is no connection log"),
];

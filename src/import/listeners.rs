//! Listeners: addresses, certificates, TLS, and their rules in order.

use http::header::STRICT_TRANSPORT_SECURITY;

use super::aws;
use super::collected::{Collected, ImportError, listener_of, priority};
use super::model::{Certificate, Condition, Listener, Notes};
use super::providers::distinct;
use super::rules::{Place, Translation};
use crate::gateway::{HostNames, RESPONSE_HEADERS};

/// The names of certificates in files, by their ARNs: listeners share them.
#[derive(Debug, Default)]
pub(super) struct CertificateNames(Vec<(String, String)>);

impl Translation<'_> {
    pub(super) fn listener(&mut self, raw: &aws::Listener, certificates: &mut CertificateNames) -> Result<Listener, ImportError> {
        let collected = self.collected;
        let load_balancer = collected.load_balancer(&raw.load_balancer_arn);
        let label = words(raw, collected);
        let is_https = raw.protocol == "HTTPS";
        let mut listener = Listener { address: address(raw, load_balancer), is_https, ..Listener::default() };
        if let Some(name) = load_balancer.map(|one| &one.load_balancer_name).filter(|name| !name.is_empty()) {
            listener.comments.push(format!("Load balancer {name}, port {}", raw.port));
        }
        let mode = raw.mutual_authentication.as_ref().map_or("off", |mutual| mutual.mode.as_str());
        if is_https {
            self.tls(raw, &label, &mut listener);
            listener.certificates = self.certificates(raw, &label, certificates);
        }
        listener.passes_client_certificates = is_https && mode == "passthrough";
        let tells_tls = collected.attribute("routing.http.x_amzn_tls_version_and_cipher_suite.enabled");
        listener.tells_tls = is_https && tells_tls.contains(&"true");
        self.forwarded(&label, &mut listener);
        self.desync_mitigation(&label, &mut listener);
        self.response_headers(raw, &label, &mut listener);
        let of_it = || collected.rules.iter().filter(|rule| listener_of(&rule.rule_arn) == raw.listener_arn);
        // An answer of AWS holds the default rule. Without it, rules that keep somebody out may be missing.
        let closed = if !matches!(mode, "" | "off" | "passthrough") {
            // The authorities are in a bucket, and in no answer of AWS.
            Some(
                "the listener let in clients with a certificate only (mutual TLS): add mutual_authentication: {mode: verify, trust_store: FILE} to it",
            )
        } else if !of_it().any(|rule| rule.priority == "default") {
            let what = "its rules are not in the files, or not all of them: add the output of aws elbv2 describe-rules";
            self.notes.leave(&mut listener.comments, &label, what);
            Some("rules that come before it may be missing")
        } else {
            None
        };
        let mut rules: Vec<(u32, &aws::Rule)> = of_it().filter_map(|rule| Some((priority(rule)?, rule))).collect();
        rules.sort_by_key(|(priority, _)| *priority);
        if let Some(pair) = rules.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(ImportError::Priority { listener: label, priority: pair[0].0 });
        }
        for (priority, raw) in rules {
            let place = format!("{label}, rule {priority}");
            let place = Place { words: &place, is_https, closed };
            let mut left_out = Vec::new();
            let rule = self.rule(raw, priority, place, &mut left_out);
            listener.rules_left_out.extend(left_out.into_iter().map(|what| format!("Rule {priority} {what}")));
            listener.rules.extend(rule);
        }
        let place = format!("{label}, default actions");
        listener.default_actions = self.actions(&raw.default_actions, Place { words: &place, is_https, closed });
        Ok(listener)
    }

    fn tls(&mut self, raw: &aws::Listener, label: &str, listener: &mut Listener) {
        let policy = raw.ssl_policy.as_str();
        listener.tls13_only = policy.contains("TLS13-1-3-");
        let is_old = ["-2015-", "-2016-", "-1-0-", "-1-1-", "FS-2018"].iter().any(|part| policy.contains(part));
        if is_old {
            let what = format!("{policy} also let clients in with TLS 1.0 or 1.1; here it is TLS 1.2 and 1.3");
            self.notes.leave(&mut listener.comments, label, what);
        }
    }

    /// The attributes are the load balancer's, and its listeners have them each.
    fn forwarded(&mut self, label: &str, listener: &mut Listener) {
        let modes = self.collected.attribute("routing.http.xff_header_processing.mode");
        // Of several load balancers the one that tells targets least.
        listener.x_forwarded_for = ["remove", "preserve"].into_iter().find(|mode| modes.contains(mode));
        if listener.x_forwarded_for == Some("preserve") {
            let what = "an ALB preserves anybody's X-Forwarded-For; here it is that of trusted_proxies, which have to be named, and a stranger's starts anew";
            self.notes.leave(&mut listener.comments, label, what);
        }
        let tells_ports = self.collected.attribute("routing.http.xff_client_port.enabled").contains(&"true");
        listener.tells_ports = tells_ports && listener.x_forwarded_for.is_none();
    }

    /// Of several load balancers the one that lets pass least.
    fn desync_mitigation(&mut self, label: &str, listener: &mut Listener) {
        let modes = self.collected.attribute("routing.http.desync_mitigation_mode");
        listener.desync_mitigation = if modes.contains(&"strictest") {
            Some("strictest")
        } else {
            (modes.contains(&"monitor") && !modes.contains(&"defensive")).then_some("monitor")
        };
        if listener.desync_mitigation == Some("monitor") {
            let what = "in the mode monitor an ALB lets everything pass; here what can be given one meaning does, and nothing Severe";
            self.notes.leave(&mut listener.comments, label, what);
        }
    }

    fn response_headers(&mut self, raw: &aws::Listener, label: &str, listener: &mut Listener) {
        for attribute in self.collected.listener_attributes(raw).into_iter().filter(|attribute| !attribute.value.is_empty()) {
            let Some(name) = attribute.key.strip_prefix("routing.http.response.") else { continue };
            let known = RESPONSE_HEADERS.iter().find(|header| name.strip_suffix(".header_value") == Some(header.key));
            let what = match known {
                Some(header) if header.name == STRICT_TRANSPORT_SECURITY && !listener.is_https => "means nothing without TLS",
                Some(header) if header.value(&attribute.value).is_some() => {
                    listener.response_headers.retain(|(key, _)| *key != header.key);
                    listener.response_headers.push((header.key, attribute.value.clone()));
                    continue;
                }
                Some(_) => "browsers would not understand it",
                None if name == "server.enabled" => {
                    listener.drops_server = attribute.value == "false";
                    continue;
                }
                None => "not supported by this version",
            };
            let what = format!("{} = {}: {what}", attribute.key, attribute.value);
            self.notes.leave(&mut listener.comments, label, what);
        }
    }

    fn certificates(&mut self, raw: &aws::Listener, label: &str, names: &mut CertificateNames) -> Vec<Certificate> {
        let mut arns: Vec<&str> = Vec::new();
        for certificate in raw.certificates.iter().chain(self.collected.further_certificates(raw)) {
            if !arns.contains(&certificate.certificate_arn.as_str()) {
                arns.push(&certificate.certificate_arn);
            }
        }
        if arns.is_empty() {
            let name = format!("listener-{}", raw.port);
            let mut comments = Vec::new();
            let what = format!("its certificate is not in the files: put one into certs/{name}.pem and certs/{name}.key");
            self.notes.leave(&mut comments, label, what);
            return vec![Certificate { comments, name }];
        }
        arns.into_iter().map(|arn| certificate(arn, names, &mut self.notes)).collect()
    }
}

fn certificate(arn: &str, names: &mut CertificateNames, notes: &mut Notes) -> Certificate {
    let comments = vec![arn.to_owned()];
    if let Some((_, name)) = names.0.iter().find(|(known, _)| known == arn) {
        return Certificate { comments, name: name.clone() };
    }
    let label = arn.rsplit('/').next().unwrap_or_default();
    let name = distinct(label, "certificate", |name| names.0.iter().any(|(_, known)| known == name));
    notes.say(format!("certificate {arn}: put the chain into certs/{name}.pem and its private key into certs/{name}.key"));
    names.0.push((arn.to_owned(), name.clone()));
    Certificate { comments, name }
}

/// How the listener is called on standard error.
fn words(raw: &aws::Listener, collected: &Collected) -> String {
    let several = collected.listeners.iter().any(|other| other.load_balancer_arn != raw.load_balancer_arn);
    match collected.load_balancer(&raw.load_balancer_arn) {
        Some(one) if several => format!("{} listener {}", one.load_balancer_name, raw.port),
        _ => format!("listener {}", raw.port),
    }
}

fn address(raw: &aws::Listener, load_balancer: Option<&aws::LoadBalancer>) -> String {
    let speaks_ipv6 = load_balancer.is_some_and(|one| one.ip_address_type.starts_with("dualstack"));
    format!("{}:{}", if speaks_ipv6 { "[::]" } else { "0.0.0.0" }, raw.port)
}

/// Without any certificate nobody else says which names are served: those of the rules, and the load balancer's own.
pub(super) fn name_hosts(listener: &mut Listener, dns_name: &str, label: &str, notes: &mut Notes) {
    let patterns = listener.rules.iter().flat_map(|rule| &rule.conditions).filter_map(|condition| match condition {
        Condition::Texts("host_header", values) => Some(values),
        Condition::Texts(..) | Condition::HttpHeader { .. } | Condition::QueryString(_) => None,
    });
    let mut hosts: Vec<String> =
        patterns.flatten().cloned().chain([dns_name.to_ascii_lowercase()]).filter(|host| HostNames::may_have(host)).collect();
    hosts.sort();
    hosts.dedup();
    if hosts.is_empty() {
        let what = "an ALB serves any name, and no rule names one: write those that you serve under hosts";
        notes.leave(&mut listener.comments, label, what);
        hosts.push("localhost".to_owned());
    }
    listener.hosts = hosts;
}

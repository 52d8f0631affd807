//! Kubernetes Ingress manifests as the AWS Load Balancer Controller reads them: into the shapes that AWS would describe afterwards.
//!
//! Where the controller and we could differ, the order of its rules and its patterns are followed.

mod ingress;
mod paths;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::model::Notes;
use ingress::{Backend, Resource};

/// Manifests of all files.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    ingresses: Vec<Resource>,
    services: Vec<Resource>,
}

impl Manifests {
    /// `false`: not a manifest.
    pub(super) fn add(&mut self, file: &str, document: &Value, notes: &mut Notes) -> Result<bool, String> {
        let Some(kind) = document.get("kind").and_then(Value::as_str) else { return Ok(false) };
        match kind {
            "Ingress" => {
                let ingress = Resource::new(file, document)?;
                let class = ingress.spec.get("ingressClassName").and_then(Value::as_str);
                let is_albs = class == Some("alb") || ingress.annotations.keys().any(|key| key.starts_with("alb.ingress.kubernetes.io/"));
                if is_albs {
                    self.ingresses.push(ingress);
                } else {
                    notes.say(format!("Ingress {}/{} is left out: it is not for an ALB", ingress.namespace, ingress.name));
                }
            }
            "Service" => self.services.push(Resource::new(file, document)?),
            "List" | "IngressList" | "ServiceList" => {
                for item in document.get("items").and_then(Value::as_array).into_iter().flatten() {
                    self.add(file, item, notes)?;
                }
            }
            // Of anything else that stands in the same file, nothing is needed.
            _ => {}
        }
        Ok(true)
    }

    /// What AWS would describe: objects with `Listeners`, `Rules`, `TargetGroups` and so on, with the files that they are made of.
    pub(super) fn described(&self, notes: &mut Notes) -> Result<Vec<(String, Value)>, String> {
        let mut balancers: BTreeMap<String, Vec<&Resource>> = BTreeMap::new();
        for ingress in &self.ingresses {
            let own = format!("{}-{}", ingress.namespace, ingress.name);
            balancers.entry(ingress.annotation("group.name").map_or(own, str::to_owned)).or_default().push(ingress);
        }
        let mut objects = Vec::new();
        for (name, mut ingresses) in balancers {
            ingresses.sort_by_key(|ingress| {
                let order = ingress.annotation("group.order").and_then(|order| order.parse::<i64>().ok()).unwrap_or_default();
                (order, &ingress.namespace, &ingress.name)
            });
            let mut files: Vec<&str> = ingresses.iter().map(|ingress| ingress.file.as_str()).collect();
            files.dedup();
            let files = files.join(", ");
            let mut made = Vec::new();
            self.balancer(&name, &ingresses, &mut made, notes).map_err(|fault| format!("{files}: {fault}"))?;
            objects.extend(made.into_iter().map(|object| (files.clone(), object)));
        }
        Ok(objects)
    }

    fn balancer(&self, name: &str, ingresses: &[&Resource], objects: &mut Vec<Value>, notes: &mut Notes) -> Result<(), String> {
        let arn = format!("kubernetes:loadbalancer/{name}");
        let first = |key: &str| ingresses.iter().find_map(|ingress| ingress.annotation(key));
        objects.push(json!({"LoadBalancers": [{
            "LoadBalancerArn": arn, "LoadBalancerName": name, "IpAddressType": first("ip-address-type").unwrap_or_default(),
        }]}));
        if let Some(text) = first("load-balancer-attributes") {
            objects.push(json!({"Attributes": attributes(text)}));
        }
        let certificates: Vec<Value> = ingresses
            .iter()
            .flat_map(|ingress| ingress.annotation("certificate-arn").unwrap_or_default().split(','))
            .map(str::trim)
            .filter(|arn| !arn.is_empty())
            .map(|arn| json!({"CertificateArn": arn}))
            .collect();
        let mut ports: BTreeMap<u16, (String, Vec<&Resource>)> = BTreeMap::new();
        for ingress in ingresses {
            for (protocol, port) in listen_ports(ingress)? {
                ports.entry(port).or_insert_with(|| (protocol, Vec::new())).1.push(ingress);
            }
        }
        for (port, (protocol, of_port)) in ports {
            let listener = format!("app/{name}/{port}");
            let redirect = first("ssl-redirect").filter(|_| protocol == "HTTP");
            let default = match redirect {
                Some(to) => {
                    vec![json!({"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": to, "StatusCode": "HTTP_301"}})]
                }
                None => self.default_actions(&of_port, objects, notes)?,
            };
            objects.push(json!({"Listeners": [{
                "ListenerArn": format!("kubernetes:listener/{listener}"), "LoadBalancerArn": arn, "Port": port, "Protocol": protocol,
                "Certificates": if protocol == "HTTPS" { certificates.clone() } else { Vec::new() },
                "SslPolicy": first("ssl-policy").unwrap_or_default(), "DefaultActions": default,
                "MutualAuthentication": mutual_authentication(ingresses, port)?,
            }]}));
            if let Some(text) = first(&format!("listener-attributes.{protocol}-{port}")) {
                objects.push(json!({"ListenerArn": format!("kubernetes:listener/{listener}"), "Attributes": attributes(text)}));
            }
            let mut rules = Vec::new();
            if redirect.is_none() {
                for ingress in of_port {
                    self.rules(ingress, &mut rules, objects, notes)?;
                }
            }
            let numbered = rules.into_iter().enumerate().map(|(index, (conditions, actions, transforms))| {
                json!({
                    "RuleArn": format!("kubernetes:listener-rule/{listener}/{index}"), "Priority": (index + 1).to_string(),
                    "Conditions": conditions, "Actions": actions, "Transforms": transforms,
                })
            });
            let default = json!({"RuleArn": format!("kubernetes:listener-rule/{listener}/default"), "Priority": "default", "Conditions": [], "Actions": []});
            objects.push(json!({"Rules": numbered.chain([default]).collect::<Vec<_>>()}));
        }
        Ok(())
    }

    fn default_actions(&self, ingresses: &[&Resource], objects: &mut Vec<Value>, notes: &mut Notes) -> Result<Vec<Value>, String> {
        let given = ingresses.iter().find_map(|ingress| Some((ingress, ingress.spec.get("defaultBackend")?)));
        match given {
            Some((ingress, backend)) => self.actions(ingress, backend, objects, notes),
            None => Ok(vec![json!({"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}})]),
        }
    }

    fn rules(&self, ingress: &Resource, rules: &mut Vec<paths::Rule>, objects: &mut Vec<Value>, notes: &mut Notes) -> Result<(), String> {
        for rule in ingress.spec.get("rules").and_then(Value::as_array).into_iter().flatten() {
            for path in paths::sorted(rule) {
                let backend =
                    path.get("backend").ok_or_else(|| format!("{}/{}: a path without backend", ingress.namespace, ingress.name))?;
                let service = service_name(backend)?;
                let conditions = paths::conditions(ingress, rule, path, service)?;
                let transforms = ingress.list(&format!("transforms.{service}"))?.into();
                rules.push((conditions, self.actions(ingress, backend, objects, notes)?, transforms));
            }
        }
        Ok(())
    }

    fn actions(&self, ingress: &Resource, backend: &Value, objects: &mut Vec<Value>, notes: &mut Notes) -> Result<Vec<Value>, String> {
        let name = service_name(backend)?;
        let port = backend.pointer("/service/port/number").or_else(|| backend.pointer("/service/port/name")).cloned().unwrap_or_default();
        let mut routing = if port == "use-annotation" {
            let key = format!("actions.{name}");
            ingress.json(&key)?.ok_or_else(|| format!("{}/{}: {key} is missing", ingress.namespace, ingress.name))?
        } else {
            json!({"Type": "forward", "ForwardConfig": {"TargetGroups": [{"ServiceName": name, "ServicePort": port}]}})
        };
        for group in routing.pointer_mut("/ForwardConfig/TargetGroups").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(name) = group.get("ServiceName").and_then(Value::as_str).map(str::to_owned) {
                let port = group.get("ServicePort").cloned().unwrap_or_default();
                group["TargetGroupArn"] = self.target_group(ingress, &name, &port, objects, notes)?.into();
            }
        }
        // The Service's own annotations count where it is the only one.
        let names: Vec<&str> = groups(&routing).filter_map(|group| group.get("ServiceName").and_then(Value::as_str)).collect();
        let service = if let [name] = names[..] { self.service(ingress, name) } else { None };
        let mut actions = Backend { ingress, service }.sign_in(notes)?;
        routing["Order"] = 50_000.into();
        actions.push(routing);
        Ok(actions)
    }

    fn service(&self, ingress: &Resource, name: &str) -> Option<&Resource> {
        self.services.iter().find(|service| service.namespace == ingress.namespace && service.name == name)
    }

    /// Each Ingress has groups of its own, because its annotations say how to ask after their health.
    fn target_group(
        &self,
        ingress: &Resource,
        name: &str,
        port: &Value,
        objects: &mut Vec<Value>,
        notes: &mut Notes,
    ) -> Result<String, String> {
        if !ingress::is_label(name) {
            return Err(format!("{name:?} is not the name of a Service"));
        }
        let service = self.service(ingress, name);
        if service.is_none() {
            notes.say(format!("Service {}/{name} is in no file: what annotations on it ask for is not known", ingress.namespace));
        }
        let word = port.as_str().map_or_else(|| port.to_string(), str::to_owned);
        let ports = service.and_then(|service| service.spec.get("ports")).and_then(Value::as_array).into_iter().flatten();
        let named = ports.filter(|known| known.get("name") == Some(port)).find_map(|known| known.get("port").and_then(Value::as_u64));
        let number = word.parse::<u16>().ok().or_else(|| u16::try_from(named?).ok()).filter(|port| *port > 0);
        if number.is_none() {
            notes.say(format!("Service {}/{name}: its port {word} is in no file: 80 stands in for it", ingress.namespace));
        }
        let backend = Backend { ingress, service };
        let arn = format!("kubernetes:targetgroup/{name}/{}/{}/{word}", ingress.namespace, ingress.name);
        let text = |key: &str| backend.annotation(key).unwrap_or_default();
        let number_of = |key: &str| backend.annotation(key).and_then(|text| text.parse::<u64>().ok());
        objects.push(json!({"TargetGroups": [{
            "TargetGroupArn": arn, "TargetGroupName": name, "Port": number.unwrap_or(80),
            "Protocol": backend.annotation("backend-protocol").unwrap_or("HTTP"), "ProtocolVersion": text("backend-protocol-version"),
            "HealthCheckPath": backend.annotation("healthcheck-path").unwrap_or("/"), "HealthCheckPort": text("healthcheck-port"),
            "HealthCheckProtocol": text("healthcheck-protocol"), "HealthCheckIntervalSeconds": number_of("healthcheck-interval-seconds"),
            "HealthCheckTimeoutSeconds": number_of("healthcheck-timeout-seconds"), "HealthyThresholdCount": number_of("healthy-threshold-count"),
            "UnhealthyThresholdCount": number_of("unhealthy-threshold-count"), "Matcher": {"HttpCode": backend.annotation("success-codes")},
        }]}));
        objects.push(
            json!({"TargetGroupArn": arn, "TargetHealthDescriptions": [{"Target": {"Id": format!("{name}.{}.svc", ingress.namespace)}}]}),
        );
        if let Some(text) = backend.annotation("target-group-attributes") {
            objects.push(json!({"TargetGroupArn": arn, "Attributes": attributes(text)}));
        }
        Ok(arn)
    }
}

fn groups(routing: &Value) -> impl Iterator<Item = &Value> {
    routing.pointer("/ForwardConfig/TargetGroups").and_then(Value::as_array).into_iter().flatten()
}

fn service_name(backend: &Value) -> Result<&str, String> {
    backend
        .pointer("/service/name")
        .and_then(Value::as_str)
        .ok_or_else(|| "a backend without service.name (networking.k8s.io/v1)".to_owned())
}

/// `[{"HTTP": 80}, {"HTTPS": 443}]`; without it what the controller assumes.
fn listen_ports(ingress: &Resource) -> Result<Vec<(String, u16)>, String> {
    let Some(text) = ingress.annotation("listen-ports") else {
        let has_certificate = ingress.annotation("certificate-arn").is_some();
        return Ok(vec![if has_certificate { ("HTTPS".to_owned(), 443) } else { ("HTTP".to_owned(), 80) }]);
    };
    let ports: Vec<BTreeMap<String, u16>> =
        serde_json::from_str(text).map_err(|error| format!("{}/{}: listen-ports: {error}", ingress.namespace, ingress.name))?;
    Ok(ports.into_iter().flatten().collect())
}

fn mutual_authentication(ingresses: &[&Resource], port: u16) -> Result<Value, String> {
    for ingress in ingresses {
        let listed = ingress.list("mutual-authentication")?;
        if listed.iter().any(|entry| !entry.get("Port").is_some_and(Value::is_u64)) {
            return Err(format!("{}/{}: mutual-authentication without a port", ingress.namespace, ingress.name));
        }
        let entry = listed.iter().find(|entry| entry.get("Port").and_then(Value::as_u64) == Some(port.into()));
        if let Some(entry) = entry {
            return Ok(json!({"Mode": entry.get("Mode").and_then(Value::as_str).unwrap_or("verify")}));
        }
    }
    Ok(json!({"Mode": "off"}))
}

/// `a=b,c=d`
fn attributes(text: &str) -> Vec<Value> {
    text.split(',').filter_map(|pair| pair.split_once('=')).map(|(key, value)| json!({"Key": key.trim(), "Value": value.trim()})).collect()
}

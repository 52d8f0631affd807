//! The model as YAML with comments.

use super::model::{Actions, Authenticate, Certificate, Condition, Configuration, Group, JwtValidation, Listener, Provider, Routing, Rule};
use super::yaml::{flow_list, one_line, scalar};
use crate::gateway::Redirect;

/// The whole file.
pub(super) fn write(configuration: &Configuration) -> String {
    let mut page = Page::default();
    page.comments(0, &configuration.comments);
    page.line(0, "listeners:");
    for listener in &configuration.listeners {
        page.listener(listener);
    }
    if !configuration.providers.is_empty() {
        page.section("identity_providers:");
        for provider in &configuration.providers {
            page.provider(provider);
        }
    }
    if !configuration.groups.is_empty() {
        page.section("target_groups:");
        for group in &configuration.groups {
            page.group(group);
        }
    }
    if configuration.needs_session_key() {
        page.section("sessions:");
        page.comments(1, &["Make it with: vestibule keys session session.key"]);
        page.line(1, "keys: [{ file: session.key }]");
    }
    if !configuration.providers.is_empty() {
        page.section("identity_headers:");
        page.comments(1, &["Make it with: vestibule keys signing signing.key"]);
        page.line(1, "signing_key: { file: signing.key }");
        if let Some(signer) = &configuration.signer {
            page.comments(1, &["The load balancer's own, because applications compare it; their keys now come from /oauth2/keys/KID."]);
            page.entry(1, "signer", signer);
        }
    }
    if configuration.alb_access_log {
        page.section("access_log: { format: alb, path: \"-\" }");
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, depth: usize, text: &str) {
        self.0.push_str(&"  ".repeat(depth));
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn section(&mut self, text: &str) {
        self.0.push('\n');
        self.line(0, text);
    }

    fn comments<T: AsRef<str>>(&mut self, depth: usize, comments: &[T]) {
        for comment in comments {
            let comment = one_line(comment.as_ref());
            self.line(depth, format!("# {comment}").trim_end());
        }
    }

    fn entry(&mut self, depth: usize, key: &str, value: &str) {
        self.line(depth, &format!("{key}: {}", scalar(value)));
    }

    fn listener(&mut self, listener: &Listener) {
        self.comments(1, &listener.comments);
        self.line(1, &format!("- address: {}", scalar(&listener.address)));
        self.line(2, if listener.is_https { "protocol: https" } else { "protocol: http" });
        if !listener.hosts.is_empty() {
            self.line(2, &format!("hosts: {}", flow_list(&listener.hosts)));
        }
        if !listener.certificates.is_empty() {
            self.line(2, "certificates:");
            for certificate in &listener.certificates {
                self.certificate(certificate);
            }
        }
        if listener.tls13_only {
            self.line(2, "security_policy: { minimum_version: \"1.3\" }");
        }
        if listener.passes_client_certificates {
            self.line(2, "mutual_authentication: { mode: passthrough }");
        }
        if listener.tells_tls {
            self.line(2, "tls_version_and_cipher_suite_headers: true");
        }
        if let Some(mode) = listener.x_forwarded_for {
            self.line(2, &format!("x_forwarded_for: {mode}"));
        }
        if listener.tells_ports {
            self.line(2, "x_forwarded_for_client_port: true");
        }
        if let Some(mode) = listener.desync_mitigation {
            self.line(2, &format!("desync_mitigation_mode: {mode}"));
        }
        if !listener.response_headers.is_empty() || listener.drops_server {
            self.line(2, "response_headers:");
        }
        for (key, value) in &listener.response_headers {
            self.entry(3, key, value);
        }
        if listener.drops_server {
            self.line(3, "server_header: false");
        }
        self.comments(2, &listener.rules_left_out);
        if !listener.rules.is_empty() {
            self.line(2, "rules:");
            for rule in &listener.rules {
                self.rule(rule);
            }
        }
        self.line(2, "default_actions:");
        self.actions(3, &listener.default_actions);
    }

    fn certificate(&mut self, certificate: &Certificate) {
        self.comments(3, &certificate.comments);
        self.line(3, &format!("- certificate: {}", scalar(&format!("certs/{}.pem", certificate.name))));
        self.entry(4, "private_key", &format!("certs/{}.key", certificate.name));
    }

    fn rule(&mut self, rule: &Rule) {
        self.comments(3, &rule.comments);
        self.line(3, &format!("- priority: {}", rule.priority));
        self.line(4, "conditions:");
        for condition in &rule.conditions {
            self.condition(condition);
        }
        self.line(4, "actions:");
        self.actions(5, &rule.actions);
        if !rule.transforms.is_empty() {
            self.line(4, "transforms:");
        }
        for (key, regex, replace) in &rule.transforms {
            self.line(5, &format!("{key}:"));
            self.entry(6, "regex", regex);
            self.entry(6, "replace", replace);
        }
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Texts(key, values) => self.line(5, &format!("- {key}: {}", flow_list(values))),
            Condition::HttpHeader { name, values, regex_values } => {
                self.line(5, "- http_header:");
                self.entry(7, "name", name);
                for (key, values) in [("values", values), ("regex_values", regex_values)] {
                    if !values.is_empty() {
                        self.line(7, &format!("{key}: {}", flow_list(values)));
                    }
                }
            }
            Condition::QueryString(pairs) => {
                self.line(5, "- query_string:");
                for (key, value) in pairs {
                    let key = key.as_ref().map(|key| format!("key: {}, ", scalar(key))).unwrap_or_default();
                    self.line(7, &format!("- {{ {key}value: {} }}", scalar(value)));
                }
            }
        }
    }

    fn actions(&mut self, depth: usize, actions: &Actions) {
        self.comments(depth, &actions.comments);
        if let Some(authenticate) = &actions.authenticate {
            self.authenticate(depth, authenticate);
        }
        if let Some(validation) = &actions.jwt_validation {
            self.jwt_validation(depth, validation);
        }
        match &actions.routing {
            Routing::Closed => {
                self.line(depth, "- fixed_response:");
                self.line(depth + 2, "status_code: 503");
                self.line(depth + 2, "message_body: \"This part of the site has not been moved over yet.\"");
            }
            Routing::Forward { groups, stickiness } => self.forward(depth, groups, *stickiness),
            Routing::Redirect(redirect) => self.redirect(depth, redirect),
            Routing::FixedResponse { status, content_type, body } => {
                self.line(depth, "- fixed_response:");
                self.line(depth + 2, &format!("status_code: {status}"));
                for (key, value) in [("content_type", content_type), ("message_body", body)] {
                    if let Some(value) = value {
                        self.entry(depth + 2, key, value);
                    }
                }
            }
        }
    }

    fn forward(&mut self, depth: usize, groups: &[(String, u32)], stickiness: Option<u64>) {
        if let [(name, _)] = groups {
            return self.line(depth, &format!("- forward: {}", scalar(name)));
        }
        self.line(depth, "- forward:");
        self.line(depth + 2, "target_groups:");
        for (name, weight) in groups {
            self.line(depth + 3, &format!("- {{ name: {}, weight: {weight} }}", scalar(name)));
        }
        if let Some(seconds) = stickiness {
            self.line(depth + 2, &format!("stickiness: {}", duration(seconds)));
        }
    }

    fn authenticate(&mut self, depth: usize, authenticate: &Authenticate) {
        self.line(depth, "- authenticate:");
        let depth = depth + 2;
        self.entry(depth, "identity_provider", &authenticate.provider);
        self.entry(depth, "on_unauthenticated_request", authenticate.on_unauthenticated_request);
        self.entry(depth, "scope", &authenticate.scope);
        self.entry(depth, "session_cookie_name", &authenticate.session_cookie_name);
        self.line(depth, &format!("session_timeout: {}", duration(authenticate.session_timeout)));
        if !authenticate.extra_params.is_empty() {
            self.line(depth, "authentication_request_extra_params:");
            for (name, value) in &authenticate.extra_params {
                self.entry(depth + 1, &scalar(name), value);
            }
        }
    }

    fn jwt_validation(&mut self, depth: usize, validation: &JwtValidation) {
        self.line(depth, "- jwt_validation:");
        let depth = depth + 2;
        self.entry(depth, "issuer", &validation.issuer);
        self.entry(depth, "jwks_endpoint", &validation.jwks_endpoint);
        self.comments(depth, &["An ALB takes no other. Without this line all are taken that the gateway knows."]);
        self.line(depth, "algorithms: [RS256]");
        if !validation.claims.is_empty() {
            self.line(depth, "additional_claims:");
        }
        for (name, format, values) in &validation.claims {
            self.line(depth + 1, &format!("- name: {}", scalar(name)));
            self.line(depth + 2, &format!("format: {format}"));
            self.line(depth + 2, &format!("values: {}", flow_list(values)));
        }
    }

    fn redirect(&mut self, depth: usize, redirect: &Redirect) {
        self.line(depth, "- redirect:");
        let unchanged = Redirect::to_itself(redirect.status);
        let parts = [
            ("protocol", &redirect.protocol, &unchanged.protocol),
            ("host", &redirect.host, &unchanged.host),
            ("port", &redirect.port, &unchanged.port),
            ("path", &redirect.path, &unchanged.path),
            ("query", &redirect.query, &unchanged.query),
        ];
        for (key, value, unchanged) in parts {
            if value != unchanged {
                self.entry(depth + 2, key, value);
            }
        }
        self.line(depth + 2, &format!("status_code: HTTP_{}", redirect.status));
    }

    fn provider(&mut self, provider: &Provider) {
        self.comments(1, &provider.comments);
        self.line(1, &format!("{}:", scalar(&provider.name)));
        for (key, value) in &provider.entries {
            self.entry(2, key, value);
        }
        self.comments(2, &["Not carried over: put it there, readable by the gateway alone."]);
        self.line(2, &format!("client_secret: {{ file: {} }}", scalar(&format!("secrets/{}", provider.name))));
    }

    fn group(&mut self, group: &Group) {
        self.comments(1, &group.comments);
        self.line(1, &format!("{}:", scalar(&group.name)));
        if group.is_https {
            self.line(2, "protocol: https");
        }
        for (key, value) in &group.settings {
            self.line(2, &format!("{key}: {value}"));
        }
        self.line(2, "targets:");
        for (address, remark) in &group.targets {
            self.comments(3, remark.as_slice());
            self.line(3, &format!("- {}", scalar(address)));
        }
        if let Some(entries) = &group.health_check {
            self.line(2, "health_check:");
            for (key, value) in entries {
                self.line(3, &format!("{key}: {value}"));
            }
        }
        if let Some(seconds) = group.response_timeout {
            self.line(2, &format!("timeouts: {{ response: {} }}", duration(seconds)));
        }
    }
}

/// `7d`, `12h`, `90s`: the largest unit that leaves nothing over.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

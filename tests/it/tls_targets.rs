//! TLS to targets: an authority of a group's own, a certificate by which targets know the gateway, and pools that keep groups apart.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::certificates::certificates;
use crate::support::gateway::{Plan, eventually, rule, serve_refused};
use crate::support::h2_target::Http2Target;
use crate::support::wire::{Server, listen};

/// A target over TLS in HTTP/1.1 whose connections are kept.
fn http1_target() -> Server {
    Server::start(listen(), Some(certificates().server()), |mut wire| {
        while wire.request().is_ok() {
            if wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    })
}

/// A group at `/NAME*`, without authentication.
fn group(plan: &mut Plan, name: &str, settings: &Value) {
    plan.configuration["target_groups"][name] = settings.clone();
    let rules = plan.listener()["rules"].as_array_mut().unwrap();
    let priority = 100 + u32::try_from(rules.len()).unwrap();
    rules.push(rule(priority, &format!("/{name}*"), &json!([{ "forward": name }])));
}

#[test]
fn groups_with_different_authorities_share_no_connection() {
    let http1 = http1_target();
    let http2 = Http2Target::start_tls(&certificates().server());
    for (version, port) in [("http1", http1.port), ("http2", http2.port)] {
        let world = World::start_with(|plan| {
            let with = |ca: Value| {
                let mut settings = json!({"protocol": "https", "protocol_version": version, "targets": [format!("127.0.0.1:{port}")]});
                if !ca.is_null() {
                    settings["ca_certificates"] = ca;
                }
                settings
            };
            group(plan, "ours", &with(json!(certificates().ca_file())));
            group(plan, "strangers", &with(json!(certificates().other_ca_file())));
            group(plan, "systems", &with(Value::Null));
        });
        let mut browser = world.browser();
        for round in 0..3 {
            // The first leaves a connection in the pool that the others must not find.
            assert_eq!(browser.get("/ours").status(), 200, "{version}, round {round}");
            assert_eq!(browser.get("/strangers").status(), 502, "{version}, round {round}");
            assert_eq!(browser.get("/systems").status(), 502, "{version}, round {round}");
        }
    }
}

#[test]
fn targets_know_the_gateway_by_its_certificate_and_health_checks_too() {
    let target = Http2Target::start_tls(&certificates().mutual_server());
    let (certificate, private_key) = certificates().client_files();
    let world = World::start_with(|plan| {
        let bare = json!({
            "protocol": "https",
            "protocol_version": "http2",
            "targets": [target.address()],
            "ca_certificates": certificates().ca_file(),
            "health_check": {"path": "/health", "interval": "5s", "timeout": "2s"},
        });
        let mut known = bare.clone();
        known["client_certificate"] = json!({"certificate": certificate, "private_key": private_key});
        group(plan, "known", &known);
        group(plan, "bare", &bare);
    });
    let mut browser = world.browser();
    for round in 0..3 {
        assert_eq!(browser.get("/known").status(), 200, "round {round}");
        assert_eq!(browser.get("/bare").status(), 502, "round {round}");
    }
    assert!(target.seen("/known").iter().all(|seen| seen.client_certificates == 1));
    let healthy = |group: &str, count: u32| {
        let wanted = format!("vestibule_healthy_targets{{target_group=\"{group}\"}} {count}");
        world.gateway.admin("/metrics").is_some_and(|response| response.text().contains(&wanted))
    };
    assert!(eventually(Duration::from_secs(15), || healthy("bare", 0)), "a check without the certificate");
    assert!(healthy("known", 1) && !target.seen("/health").is_empty());
}

#[test]
fn certificates_for_targets_that_cannot_be_used_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "nothing\n").unwrap();
    let (certificate, private_key) = certificates().client_files();
    let refused = |settings: Value, expected: &str| {
        let mut group = json!({"protocol": "https", "targets": ["127.0.0.1:9"]});
        for (key, value) in settings.as_object().unwrap() {
            group[key] = value.clone();
        }
        let listener = json!({"address": "127.0.0.1:0", "protocol": "http", "hosts": ["app.test"], "default_actions": [{"forward": "a"}]});
        let configuration = json!({"listeners": [listener], "target_groups": {"a": group}});
        let refusal = serve_refused(folder.path(), configuration.to_string().as_bytes());
        assert_eq!(refusal.status, Some(2), "{expected}: {}", refusal.output);
        assert!(refusal.output.contains(expected), "{expected}: {}", refusal.output);
    };
    let ca = certificates().ca_file();
    refused(json!({"ca_certificates": "empty.pem"}), "empty.pem holds no certificate in PEM");
    refused(json!({"ca_certificates": ca, "verify": false}), "with verify: false no authority is asked");
    refused(json!({"ca_certificates": ca, "protocol": "http"}), "ca_certificates belongs to protocol: https");
    let other_key = certificates().private_key_file();
    refused(json!({"client_certificate": {"certificate": certificate, "private_key": other_key}}), "is not the key of");
    let both = json!({"certificate": certificate, "private_key": private_key});
    refused(json!({"client_certificate": both, "protocol": "http"}), "client_certificate belongs to protocol: https");
}

//! What a listener says of every answer, as an ALB's listener attributes do.

use std::path::Path;

use serde_json::{Value, json};
use vestibule::app::{self, Options};

use crate::import::{import, moved, text};
use crate::own_answers::answers;
use crate::support::World;
use crate::support::client::raw;
use crate::support::gateway::rule;
use crate::support::h2_target::{Http2Target, calls};
use crate::support::raw_target::{head, target};

fn all() -> Value {
    json!({
        "strict_transport_security": "max-age=31536000; includeSubDomains",
        "access_control_allow_origin": "https://www.example.com",
        "access_control_allow_methods": "GET, POST",
        "access_control_allow_headers": "X-One, X-Two",
        "access_control_allow_credentials": "true",
        "access_control_expose_headers": "*",
        "access_control_max_age": "600",
        "content_security_policy": "default-src 'self'; img-src *",
        "x_content_type_options": "nosniff",
        "x_frame_options": "SAMEORIGIN",
        "server_header": false,
    })
}

/// Names as in an answer, with what stands there.
fn set() -> Vec<(String, String)> {
    let all = all();
    let said = all.as_object().unwrap().iter().filter_map(|(key, value)| Some((key.replace('_', "-"), value.as_str()?.to_owned())));
    said.collect()
}

#[test]
fn answers_of_targets_say_what_the_listener_says() {
    let world = World::start_with(|plan| plan.listener()["response_headers"] = all());
    world.target.say(
        "/public/lax",
        "HTTP/1.1 200 OK\r\nServer: Old/1.0\r\nserver: twice\r\nStrict-Transport-Security: max-age=0\r\nX-FRAME-OPTIONS: ALLOWALL\r\n\
         Content-Security-Policy: default-src *\r\ncontent-security-policy: script-src *\r\nX-Own: 1\r\nConnection: close\r\n\r\nlax",
    );
    for path in ["/public/plain", "/public/lax"] {
        let answer = world.browser().get(path);
        assert_eq!(answer.status(), 200);
        for (name, value) in set() {
            assert_eq!(answer.head.all(&name), [value.as_str()], "{path}: {name}");
        }
        assert_eq!(answer.get("server"), None, "{path}");
    }
    assert_eq!(world.browser().get("/public/lax").get("x-own"), Some("1"));
    let answer = &calls(&world.gateway, "/public/lax", &[], &[], 1)[0];
    for (name, value) in set() {
        let found: Vec<_> = answer.fields.get_all(&name).iter().collect();
        assert_eq!(found, [value.as_str()], "HTTP/2: {name}");
    }
    assert!(!answer.fields.contains_key("server"), "HTTP/2: {answer:?}");
}

#[test]
fn interim_answers_sockets_and_trailers_are_left_alone() {
    let address = target(|mut stream, _| {
        while !head(&mut stream).is_empty() {
            let early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            std::io::Write::write_all(&mut stream, early.as_bytes()).unwrap();
        }
    });
    let trailing = Http2Target::start();
    let world = World::start_with(|plan| {
        plan.listener()["response_headers"] = all();
        plan.configuration["target_groups"]["early"] = json!({"targets": [address.to_string()]});
        plan.configuration["target_groups"]["trailing"] = json!({"targets": [trailing.address()], "protocol_version": "http2"});
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(1, "/public/early", &json!([{"forward": "early"}])));
        rules.push(rule(2, "/public/trailing", &json!([{"forward": "trailing"}])));
    });
    let mut wire = crate::support::client::connect(world.gateway.port);
    wire.send(format!("GET /public/early HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
    let mut answer = String::from_utf8(wire.until(b"\r\n\r\n").unwrap()).unwrap();
    if answer.starts_with("HTTP/1.1 103") {
        assert!(!answer.to_ascii_lowercase().contains("strict-transport"), "{answer}");
        answer = String::from_utf8(wire.until(b"\r\n\r\n").unwrap()).unwrap();
    }
    assert!(answer.starts_with("HTTP/1.1 200") && answer.to_ascii_lowercase().contains("strict-transport"), "{answer}");
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let lines: String = upgrade.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut wire = crate::support::client::connect(world.gateway.port);
    wire.send(format!("GET /public/socket HTTP/1.1\r\nHost: {}\r\n{lines}\r\n", world.gateway.authority()).as_bytes()).unwrap();
    let answer = String::from_utf8(wire.until(b"\r\n\r\n").unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101") && !answer.to_ascii_lowercase().contains("strict-transport"), "{answer}");
    let answer = &calls(&world.gateway, "/public/trailing", &[], &[], 1)[0];
    assert!(answer.fields.contains_key("x-frame-options"), "{answer:?}");
    assert!(set().iter().all(|(name, _)| !answer.trailers.contains_key(name)), "{answer:?}");
}

#[test]
fn answers_of_the_gateway_get_transport_security_alone_and_over_tls_only() {
    let fixed = json!([{"fixed_response": {"status_code": 200, "content_type": "text/html", "message_body": "mine"}}]);
    let (plain, moved) = (rule(1, "/fixed", &fixed), rule(2, "/moved", &json!([{"redirect": {"port": "1", "status_code": "HTTP_301"}}])));
    let world = World::start_with(|plan| {
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.extend([plain.clone(), moved]);
        plan.listener()["response_headers"] = all();
    });
    let own = |name: &str| matches!(name, "content-security-policy" | "x-content-type-options");
    let mut told = answers(&world);
    told.push(("redirect of a rule".to_owned(), world.browser().get("/moved")));
    world.target.say("/public/broken", "nonsense");
    told.push(("broken target".to_owned(), world.browser().get("/public/broken")));
    for (variant, answer) in told {
        assert_eq!(answer.head.all("strict-transport-security"), ["max-age=31536000; includeSubDomains"], "{variant}: {answer}");
        for (name, _) in set().iter().filter(|(name, _)| !own(name) && name != "strict-transport-security") {
            assert_eq!(answer.get(name), None, "{variant}: {name}");
        }
        let policy = answer.get("content-security-policy").unwrap_or("default-src 'none'");
        assert!(policy.contains("default-src 'none'") && !policy.contains('*'), "{variant}: {policy}");
    }
    let answer = world.browser().get("/fixed");
    assert!(answer.text() == "mine" && set().iter().all(|(name, value)| answer.head.all(name) == [value.as_str()]), "{answer}");

    let without = World::start();
    let names: Vec<String> = without.browser().get("/public/x").head.fields.into_iter().map(|(name, _)| name.to_lowercase()).collect();
    assert!(!names.iter().any(|name| set().iter().any(|(known, _)| name == known)), "{names:?}");

    let behind = World::start_with(|plan| {
        let listener = plan.listener();
        listener["protocol"] = json!("http");
        listener.as_object_mut().unwrap().remove("certificates");
        listener["trusted_proxies"] = json!(["127.0.0.1"]);
        listener["rules"].as_array_mut().unwrap().push(plain.clone());
        listener["response_headers"] = all();
    });
    for (fields, is_told) in [("", false), ("X-Forwarded-Proto: http\r\n", false), ("X-Forwarded-Proto: https\r\n", true)] {
        for path in ["/page", "/public/x", "/fixed", "/x/../y"] {
            let mut wire = crate::support::wire::Wire::plain(std::net::TcpStream::connect(("127.0.0.1", behind.gateway.port)).unwrap());
            let authority = behind.gateway.authority();
            wire.send(format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n").as_bytes()).unwrap();
            let answer = wire.response("GET").unwrap();
            // What cannot be read is not known to have come over TLS either.
            let is_told = is_told && path != "/x/../y";
            assert_eq!(answer.get("strict-transport-security").is_some(), is_told, "{fields:?} {path}: {answer}");
        }
    }
    let answer = raw(&world.gateway, "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").unwrap();
    assert!(answer.status() == 421 && answer.get("strict-transport-security").is_some(), "{answer}");
}

#[test]
fn values_that_browsers_misread_are_refused() {
    let report = |headers: &Value| {
        let configuration = json!({"listeners": [{
            "address": "127.0.0.1:0", "protocol": "http", "hosts": ["app.test"], "response_headers": headers,
            "default_actions": [{"fixed_response": {"status_code": 200}}],
        }]});
        let (loaded, report) = app::load_text(&format!("{configuration:#}"), Path::new(""), &Options::default());
        (loaded.is_some(), report.render(false))
    };
    for (key, value, said) in [
        ("strict_transport_security", "31536000", "is no value of strict-transport-security"),
        ("access_control_allow_origin", "www.example.com", "* or https://www.example.com"),
        ("access_control_max_age", "10m", "whole seconds"),
        ("content_security_policy", "default-src 'self', script-src *", "is no value of content-security-policy"),
        ("x_frame_options", "ALLOW-FROM https://example.com", "DENY or SAMEORIGIN"),
        ("x_content_type_options", "no\r\nsniff", "is no value"),
        ("x_powered_by", "Vestibule", "is not a key that is known here"),
    ] {
        let (sound, words) = report(&json!({key: value}));
        assert!(!sound && words.contains(said), "{key}: {words}");
    }
    let (sound, words) = report(&json!({"strict_transport_security": "max-age=1"}));
    assert!(sound && words.contains("is never sent: this listener speaks http"), "{words}");
    let (sound, words) = report(&json!({"access_control_allow_origin": "*", "access_control_allow_credentials": "true"}));
    assert!(sound && words.contains("has no effect where every origin is allowed"), "{words}");
}

#[test]
fn headers_of_listeners_are_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let arn = |port: u16| format!("arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/edge/50dc6c495c0c9188/{port}aa");
    let answer = json!([{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}]);
    let write = |name: &str, value: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path
    };
    let listener =
        |port: u16, protocol: &str| json!({"ListenerArn": arn(port), "Port": port, "Protocol": protocol, "DefaultActions": answer});
    let rule = |port: u16| {
        let arn = arn(port).replace(":listener/", ":listener-rule/") + "/d";
        json!({"RuleArn": arn, "Priority": "default", "Actions": answer, "Conditions": []})
    };
    let attribute = |key: &str, value: &str| json!({"Key": format!("routing.http.response.{key}"), "Value": value});
    let hsts = attribute("strict_transport_security.header_value", "max-age=600");
    let files = [
        write("listeners.json", &json!({"Listeners": [listener(443, "HTTPS"), listener(80, "HTTP")]})),
        write("rules.json", &json!({"Rules": [rule(443), rule(80)]})),
        write(
            "listener-attributes-443aa.json",
            &json!({"Attributes": [
                hsts, attribute("content_security_policy.header_value", "default-src 'self'"), attribute("server.enabled", "false"),
                attribute("x_frame_options.header_value", "ALLOW-FROM x"), attribute("access_control_max_age.header_value", ""),
            ]}),
        ),
        write("listener-attributes-80aa.json", &json!({"Attributes": [hsts, attribute("x_frame_options.header_value", "DENY")]})),
    ];
    let imported = import(folder.path(), &files);
    let (configuration, lines) =
        (text(&imported.stdout).replace("certs/listener-443.pem", "certs/listener-443.pem "), text(&imported.stderr));
    let (http, https) = configuration.split_once("0.0.0.0:443").unwrap();
    let section = "response_headers:\n      strict_transport_security: \"max-age=600\"\n      content_security_policy: \"default-src 'self'\"\n      server_header: false\n";
    assert!(https.contains(section), "{configuration}");
    assert!(http.contains("response_headers:\n      x_frame_options: DENY\n    default_actions"), "{configuration}");
    for said in ["x_frame_options.header_value = ALLOW-FROM x: browsers would not understand it", "max-age=600: means nothing without TLS"]
    {
        assert!(lines.contains(said) && configuration.contains(said), "{said}: {lines}");
    }
    drop(moved(&configuration));
    let elsewhere = write("attributes.json", &json!({"Attributes": [hsts]}));
    let imported = import(folder.path(), &[files[0].clone(), files[1].clone(), elsewhere]);
    assert!(text(&imported.stderr).contains("call the file listener-attributes-ID.json"), "{}", text(&imported.stderr));
}

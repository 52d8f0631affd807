//! `vestibule import alb`: what an ALB decided is decided here too, or closed.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::gateway::{session_key, vestibule, write_private};
use crate::support::secrets::Secrets;

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/alb");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/alb").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn import(folder: &Path, files: &[PathBuf]) -> Output {
    vestibule().args(["import", "alb"]).args(files).current_dir(folder).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The configuration in a folder of its own, with every file that it names, made as it says.
pub(crate) fn moved(configuration: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("certs")).unwrap();
    std::fs::create_dir_all(root.join("secrets")).unwrap();
    let names = ["app.example.com", "partners.example.com", "*.partners.example.com"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    for word in configuration.split_whitespace() {
        if word.starts_with("certs/") && word.ends_with(".pem") {
            std::fs::write(root.join(word), made.cert.pem()).unwrap();
            write_private(&root.join(word).with_extension("key"), &made.signing_key.serialize_pem());
        } else if word.starts_with("secrets/") {
            write_private(&root.join(word), "the secret of a client");
        }
    }
    write_private(&root.join("session.key"), &session_key(&Secrets::default()));
    write_private(&root.join("signing.key"), &rcgen::KeyPair::generate().unwrap().serialize_pem());
    std::fs::write(root.join("vestibule.yaml"), configuration).unwrap();
    std::fs::write(root.join("claims.json"), json!({"sub": "alice", "email": "alice@example.com"}).to_string()).unwrap();
    let check = vestibule().args(["check", "--config", "vestibule.yaml"]).current_dir(root).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}\n{configuration}", text(&check.stdout));
    folder
}

pub(crate) fn explain(folder: &Path, arguments: &[&str]) -> Value {
    let output =
        vestibule().args(["explain", "--json", "--config", "vestibule.yaml"]).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `listeners` and rules of the HTTPS listener, after a change, as files.
fn changed(change: impl FnOnce(&mut Value, &mut Value)) -> (tempfile::TempDir, Vec<PathBuf>) {
    let (mut listeners, mut rules) = (fixture("listeners.json"), fixture("rules-443.json"));
    change(&mut listeners, &mut rules);
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (name, value) in [("listeners.json", listeners), ("rules.json", rules)] {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
        files.push(PathBuf::from(name));
    }
    files.extend(fixtures().into_iter().filter(|path| !path.ends_with("listeners.json") && !path.ends_with("rules-443.json")));
    (folder, files)
}

#[test]
fn an_imported_alb_passes_check_and_decides_as_before() {
    let imported = import(Path::new("."), &fixtures());
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    let folder = moved(text(&imported.stdout));
    let signed_in = ["--claims", "claims.json", "--header", "Accept: text/html"];
    // Arguments, the rule that matches, and the status, place or target group that follow.
    let stories: [(&[&str], &str, Value); 17] = [
        (&["--url", "http://app.example.com/x?y=1"], "default", json!("https://app.example.com/x?y=1")),
        (&["--url", "https://app.example.com/health"], "10", json!(200)),
        (&["--url", "https://app.example.com/health", "--method", "POST"], "default", json!(401)),
        (&["--url", "https://app.example.com/api/x"], "20", json!(401)),
        (&[&["--url", "https://app.example.com/api/x"][..], &signed_in].concat(), "20", json!("api")),
        (&["--url", "https://a.partners.example.com/", "--header", "Accept: text/html"], "25", json!(302)),
        (&["--url", "https://app.example.com/v2/list"], "30", json!("api")),
        (&["--url", "https://app.example.com/?Version=1.5", "--header", "X-Stage: BETA-2", "--claims", "claims.json"], "40", json!("api")),
        (&["--url", "https://app.example.com/?debug", "--header", "X-Stage: beta", "--claims", "claims.json"], "40", json!("api")),
        (&["--url", "https://app.example.com/office/x", "--source-ip", "198.51.100.7"], "50", json!("web")),
        (&["--url", "https://app.example.com/office/x", "--source-ip", "203.0.113.7"], "default", json!(302)),
        (&["--url", "https://app.example.com/old/x?y=1"], "60", json!("https://www.example.com/new/old/x?from=old&y=1")),
        (&["--url", "https://app.example.com/gone"], "70", json!(410)),
        (&[&["--url", "https://app.example.com/shop/x"][..], &signed_in].concat(), "90", json!("web")),
        (&["--url", "https://app.example.com/", "--header", "Accept: text/html"], "default", json!(302)),
        (&[&["--url", "https://app.example.com/"][..], &signed_in].concat(), "default", json!("web")),
        (&["--url", "https://elsewhere.example.com/"], "", json!(421)),
    ];
    for (arguments, rule, then) in stories {
        let told = explain(folder.path(), arguments);
        let place = |pointer: &str| told.pointer(pointer).filter(|value| !value.is_null()).cloned();
        let found = place("/forward/target_group").or_else(|| place("/answer/location")).or_else(|| place("/answer/status"));
        assert_eq!((told["rule"].as_str().unwrap_or_default(), found), (rule, Some(then)), "{arguments:?}");
    }
    let told = explain(folder.path(), &[&["--url", "https://app.example.com/"][..], &signed_in].concat());
    assert_eq!(told["forward"]["targets"], json!(["10.0.1.11:8080", "10.0.2.12:8081"]));
    assert_eq!(told["authentication"]["identity_provider"], "example-staff");
    let told = explain(folder.path(), &[&["--url", "https://app.example.com/shop/x"][..], &signed_in].concat());
    let weights = json!([{"target_group": "canary", "weight": 10}, {"target_group": "web", "weight": 90}]);
    assert_eq!(told["forward"]["weights"], weights);
    for entry in [
        "stickiness: 1h",
        "stickiness: { type: lb_cookie, duration: 1d }",
        "load_balancing_algorithm: least_outstanding_requests",
        "protocol_version: grpc",
    ] {
        let lines = text(&imported.stdout).lines();
        assert_eq!(lines.filter(|line| line.trim() == entry).count(), 1, "{entry}");
    }
    let told = explain(folder.path(), &["--url", "https://app.example.com/rewritten/x?y=1"]);
    assert_eq!((&told["rule"], &told["forward"]["request"]), (&json!("95"), &json!("GET /x?y=1")));
}

#[test]
fn what_was_left_out_is_a_comment_in_its_place_and_a_line() {
    let imported = import(Path::new("."), &fixtures());
    let (configuration, lines) = (text(&imported.stdout), text(&imported.stderr));
    for said in [
        "the target group report is a Lambda function, to which nothing can be forwarded. Closed (503) until you decide what stands here",
        "i-0123456789abcdef0 is an instance, of which AWS does not tell the address here: write it in its place",
        "the health check asked port 9000; here it asks the port of the target",
        "an ALB believes any certificate of a target; here it is verified. verify: false would do as the ALB does",
        "target 10.0.2.13 is being taken out, and was left out",
    ] {
        let comment = configuration.lines().filter(|line| line.trim_start() == format!("# {said}")).count();
        let line = lines.lines().filter(|line| line.ends_with(&format!(": {said}"))).count();
        assert!(comment == 1 && line == 1, "{said}: {comment} comments, {line} lines");
    }
    assert!(configuration.contains("client_secret: { file: secrets/example-staff }"));
    assert!(lines.contains("put it in secrets/example-staff"), "{lines}");
    assert!(configuration.contains("# arn:aws:acm:eu-west-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"));
    assert!(lines.contains("target groups to which no rule forwards were left out: old-batch, report"));
    assert!(configuration.contains("timeouts: { response: 2m }") && configuration.contains("session_timeout: 12h"));
    assert!(configuration.contains("signer: arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/edge/50dc6c495c0c9188"));
}

#[test]
fn a_rule_that_asks_for_tokens_asks_for_the_same_here() {
    let imported = import(Path::new("."), &fixtures());
    let configuration = text(&imported.stdout);
    let folder = moved(configuration);
    let told = explain(folder.path(), &["--url", "https://app.example.com/machine/x"]);
    assert_eq!((&told["rule"], &told["answer"]["status"]), (&json!("80"), &json!(401)), "{told}");
    let lines: Vec<&str> = configuration.lines().map(str::trim).collect();
    let expected = [
        "- jwt_validation:",
        "issuer: https://login.example.com",
        "jwks_endpoint: https://login.example.com/jwks",
        "# An ALB takes no other. Without this line all are taken that the gateway knows.",
        "algorithms: [RS256]",
        "additional_claims:",
        "- name: aud",
        "format: string_array",
        "values: [machines]",
        "- name: scope",
        "format: space_separated_values",
        "values: [read, write]",
        "- forward: api",
    ];
    assert!(lines.windows(expected.len()).any(|window| window == expected), "{configuration}");
    // On a listener where anybody on the way could read them, an ALB takes none.
    let (sources, files) = changed(|listeners, rules| {
        let actions = rules["Rules"].as_array().unwrap().iter().find(|rule| rule["Priority"] == "80").unwrap()["Actions"].clone();
        listeners["Listeners"][0]["DefaultActions"] = actions;
    });
    let folder = moved(text(&import(sources.path(), &files).stdout));
    assert_eq!(explain(folder.path(), &["--url", "http://app.example.com/"])["answer"]["status"], 503);
}

#[test]
fn what_cannot_be_carried_over_is_closed_and_not_left_open() {
    let (sources, files) = changed(|_, rules| {
        let rules = rules["Rules"].as_array_mut().unwrap();
        // A condition of tomorrow in front of an open page.
        let office = rules.iter_mut().find(|rule| rule["Priority"] == "50").unwrap();
        office["Conditions"].as_array_mut().unwrap().push(json!({"Field": "client-mood", "Values": ["good"]}));
        // A form of tomorrow that a claim has.
        let machine = rules.iter_mut().find(|rule| rule["Priority"] == "80").unwrap();
        machine["Actions"][0]["JwtValidationConfig"]["AdditionalClaims"][0]["Format"] = json!("json");
    });
    let imported = import(sources.path(), &files);
    let folder = moved(text(&imported.stdout));
    for (path, rule) in [("/machine/x", "80"), ("/report", "96"), ("/office/x", "50")] {
        let url = format!("https://app.example.com{path}");
        let told = explain(folder.path(), &["--url", &url, "--source-ip", "198.51.100.7", "--claims", "claims.json"]);
        assert_eq!((&told["rule"], &told["answer"]["status"]), (&json!(rule), &json!(503)), "{path}");
    }
}

#[test]
fn a_listener_that_verified_its_clients_forwards_nothing() {
    let (sources, files) = changed(|listeners, _| {
        listeners["Listeners"][1]["MutualAuthentication"] =
            json!({"Mode": "verify", "TrustStoreArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:truststore/staff/1"});
    });
    let imported = import(sources.path(), &files);
    assert!(text(&imported.stderr).contains("mutual TLS"));
    let folder = moved(text(&imported.stdout));
    for path in ["/", "/api/x", "/office/x"] {
        let url = format!("https://app.example.com{path}");
        let told = explain(folder.path(), &["--url", &url, "--source-ip", "198.51.100.7", "--claims", "claims.json"]);
        assert_eq!(told["answer"]["status"], 503, "{path}");
    }
}

#[test]
fn a_listener_whose_rules_are_missing_forwards_nothing() {
    for missing in ["all", "the default"] {
        let (sources, mut files) = changed(|_, rules| rules["Rules"].as_array_mut().unwrap().retain(|rule| rule["IsDefault"] == false));
        files.truncate(if missing == "all" { 1 } else { 2 });
        let imported = import(sources.path(), &files);
        let lines = text(&imported.stderr);
        assert!(lines.contains("listener 443: its rules are not in the files, or not all of them"), "{lines}");
        let folder = moved(text(&imported.stdout));
        let told = explain(folder.path(), &["--url", "https://app.example.com/", "--claims", "claims.json"]);
        assert_eq!(told["answer"]["status"], 503, "{missing}");
        let told = explain(folder.path(), &["--url", "http://app.example.com/"]);
        assert_eq!(told["answer"]["location"], "https://app.example.com/", "a redirect lets nobody in");
    }
}

#[test]
fn a_target_group_that_no_file_describes_has_a_target_that_never_resolves() {
    let (sources, files) = changed(|_, _| {});
    let imported = import(sources.path(), &files[..2]);
    let lines = text(&imported.stderr);
    assert!(lines.contains("no file describes arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/"), "{lines}");
    let folder = moved(text(&imported.stdout));
    let told = explain(folder.path(), &["--url", "https://app.example.com/", "--claims", "claims.json"]);
    assert_eq!(told["forward"]["targets"], json!(["web.invalid:80"]));
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_named_with_its_fault() {
    let folder = tempfile::tempdir().unwrap();
    for (contents, said) in [
        ("", "not a JSON object"),
        ("Resources:\n  Edge: {}\n", "neither JSON of the AWS CLI nor a Kubernetes manifest"),
        ("a: [b\n", "neither JSON nor YAML"),
        ("a: &x 1\nb: *x\n", "aliases are not read"),
        ("[]", "not a JSON object: not an object"),
        ("{\"Listeners\": [], \"Listeners\": []}", "given twice"),
        ("{\"Rules\": [], \"NextMarker\": \"x\"}", "one page of several"),
        ("{\"Vpcs\": []}", "has none of LoadBalancers, Listeners"),
        ("{\"Listeners\": {}}", "Listeners is not a list"),
        ("{\"Listeners\": [{\"Port\": \"x\"}]}", "Listeners[0]: "),
        (
            "{\"Listeners\": [{\"ListenerArn\": \"a\", \"Protocol\": \"HTTP\", \"DefaultActions\": []}]}",
            "Listeners[0]: missing field `Port`",
        ),
        ("{\"Listeners\": [{\"ListenerArn\": \"a\", \"Protocol\": \"HTTP\", \"Port\": 99999, \"DefaultActions\": []}]}", "Listeners[0]: "),
        (
            "{\"Rules\": [{\"RuleArn\": \"a\", \"Priority\": \"0\", \"Conditions\": [], \"Actions\": []}]}",
            "Rules[0]: \"0\" is not a priority",
        ),
        ("{\"Rules\": [{\"RuleArn\": \"a\", \"Priority\": \"1\", \"Conditions\": []}]}", "Rules[0]: missing field `Actions`"),
        ("{\"Listeners\": [{\"Port\": \"\\u001b[31m\\n\"}]}", "Listeners[0]: "),
    ] {
        std::fs::write(folder.path().join("edge.json"), contents).unwrap();
        let output = import(folder.path(), &["edge.json".into()]);
        let lines = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{contents}");
        assert!(lines.starts_with("edge.json: ") && lines.contains(said) && lines.lines().count() == 1, "{contents}: {lines}");
        assert!(!lines.contains('\u{1b}'), "{lines:?}");
    }
    let nothing = import(folder.path(), &["absent.json".into()]);
    assert!(nothing.status.code() == Some(2) && text(&nothing.stderr).starts_with("absent.json: "));
    let listener = import(Path::new("."), &[fixtures().into_iter().find(|path| path.ends_with("target-groups.json")).unwrap()]);
    assert!(listener.status.code() == Some(2) && text(&listener.stderr).contains("describe-listeners"));
}

#[test]
fn desync_mitigation_mode_is_carried_over() {
    for (mode, written) in [("defensive", None), ("strictest", Some("strictest")), ("monitor", Some("monitor"))] {
        let folder = tempfile::tempdir().unwrap();
        let attributes = json!({"Attributes": [{"Key": "routing.http.desync_mitigation_mode", "Value": mode}]});
        let mut files: Vec<PathBuf> = fixtures().into_iter().filter(|path| !path.ends_with("load-balancer-attributes.json")).collect();
        files.push(folder.path().join("load-balancer-attributes.json"));
        std::fs::write(files.last().unwrap(), attributes.to_string()).unwrap();
        let imported = import(Path::new("."), &files);
        let configuration = text(&imported.stdout);
        let modes = configuration.matches(&format!("desync_mitigation_mode: {mode}\n")).count();
        assert_eq!(modes, if written.is_some() { configuration.matches("- address: ").count() } else { 0 }, "{mode}");
        assert_eq!(text(&imported.stderr).contains("nothing Severe"), mode == "monitor", "{mode}");
        drop(moved(configuration));
    }
}

#[test]
fn what_becomes_of_x_forwarded_for_is_carried_over() {
    for (mode, port, written) in [
        ("append", "true", "x_forwarded_for_client_port: true"),
        ("preserve", "true", "x_forwarded_for: preserve"),
        ("remove", "false", "x_forwarded_for: remove"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let attributes = json!({"Attributes": [
            {"Key": "routing.http.xff_header_processing.mode", "Value": mode}, {"Key": "routing.http.xff_client_port.enabled", "Value": port},
        ]});
        let mut files: Vec<PathBuf> = fixtures().into_iter().filter(|path| !path.ends_with("load-balancer-attributes.json")).collect();
        files.push(folder.path().join("load-balancer-attributes.json"));
        std::fs::write(files.last().unwrap(), attributes.to_string()).unwrap();
        let imported = import(Path::new("."), &files);
        let configuration = text(&imported.stdout);
        let lines: Vec<&str> = configuration.lines().map(str::trim).filter(|line| line.starts_with("x_forwarded_for")).collect();
        let listeners = configuration.matches("- address: ").count();
        assert_eq!(lines, vec![written; listeners], "{mode}");
        assert_eq!(text(&imported.stderr).contains("here it is that of trusted_proxies"), mode == "preserve", "{mode}");
        drop(moved(configuration));
    }
}

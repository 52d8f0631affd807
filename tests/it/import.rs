//! `vestibule import alb`: what an ALB decided is decided here too, or closed.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use vestibule::gateway::RoutingAction;
use vestibule::import::{Input, alb};

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

fn import(folder: &Path, files: &[PathBuf]) -> Output {
    vestibule().args(["import", "alb"]).args(files).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The configuration in a folder of its own, with every file that it names, made as it says.
fn moved(configuration: &str) -> tempfile::TempDir {
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

fn explain(folder: &Path, arguments: &[&str]) -> Value {
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
        "jwt-validation is not supported by this version. Closed (503) until you decide what stands here",
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
fn what_cannot_be_carried_over_is_closed_and_not_left_open() {
    let (sources, files) = changed(|_, rules| {
        let rules = rules["Rules"].as_array_mut().unwrap();
        // A condition of tomorrow in front of an open page.
        let office = rules.iter_mut().find(|rule| rule["Priority"] == "50").unwrap();
        office["Conditions"].as_array_mut().unwrap().push(json!({"Field": "client-mood", "Values": ["good"]}));
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

fn manifest(change: impl Fn(&str) -> String) -> (tempfile::TempDir, Output) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes/ingress.yaml");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ingress.yaml"), change(&std::fs::read_to_string(path).unwrap())).unwrap();
    let output = import(folder.path(), &["ingress.yaml".into()]);
    (folder, output)
}

#[test]
fn an_ingress_is_imported_as_the_controller_reads_it() {
    let (_sources, imported) = manifest(str::to_owned);
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    let folder = moved(text(&imported.stdout));
    let at = |path: &str, more: &[&str]| {
        let url = format!("https://app.example.com{path}");
        explain(folder.path(), &[&["--url", &url, "--header", "Accept: text/html"][..], more].concat())
    };
    let signed_in = ["--claims", "claims.json"];
    assert_eq!(at("/", &[])["answer"]["status"], 302);
    let told = at("/", &signed_in);
    assert_eq!((&told["rule"], &told["forward"]["targets"]), (&json!("default"), &json!(["web.shop.svc:8081"])));
    assert_eq!(told["authentication"]["session_cookie_name"], "ShopSession");
    // The exact path wins over the prefixes, the longer prefix over the shorter.
    assert_eq!(at("/api/hello", &signed_in)["forward"]["target_group"], "web");
    assert_eq!(at("/api/partners/x", &signed_in)["forward"]["target_group"], "partners");
    // The annotations of a Service win over those of the Ingress.
    assert_eq!(at("/api/partners", &[])["answer"]["status"], 401);
    assert_eq!(at("/api/partners", &[])["authentication"]["identity_provider"], "login-example-com");
    let staged = ["--claims", "claims.json", "--header", "X-Stage: beta1", "--source-ip", "198.51.100.9"];
    assert_eq!(at("/api/x", &staged)["forward"]["target_group"], "api");
    assert_eq!(at("/api/x", &signed_in)["rule"], "default");
    assert_eq!(at("/old/x", &signed_in)["answer"]["location"], "https://www.example.com/new/old/x");
    let plain = explain(folder.path(), &["--url", "http://app.example.com/x"]);
    assert_eq!(plain["answer"]["location"], "https://app.example.com/x");
}

#[test]
fn an_ingress_is_not_more_open_than_it_was() {
    let annotation = |line: &str| {
        let line = format!("    alb.ingress.kubernetes.io/{line}\n    alb.ingress.kubernetes.io/scheme:");
        move |text: &str| text.replacen("    alb.ingress.kubernetes.io/scheme:", &line, 1)
    };
    let (_sources, imported) =
        manifest(annotation("mutual-authentication: '[{\"port\": 443, \"mode\": \"verify\", \"trustStore\": \"staff\"}]'"));
    let folder = moved(text(&imported.stdout));
    assert_eq!(explain(folder.path(), &["--url", "https://app.example.com/", "--claims", "claims.json"])["answer"]["status"], 503);
    // Without the redirect, nobody can be signed in on port 80.
    let (_sources, imported) = manifest(|text| text.replace("alb.ingress.kubernetes.io/ssl-redirect: \"443\"", "x: y"));
    let folder = moved(text(&imported.stdout));
    assert_eq!(explain(folder.path(), &["--url", "http://app.example.com/"])["answer"]["status"], 503);
    let (_sources, imported) = manifest(annotation("transforms.api: '[{\"type\": \"url-rewrite\"}]'"));
    let folder = moved(text(&imported.stdout));
    let staged = ["--url", "https://app.example.com/api/x", "--header", "X-Stage: beta1", "--source-ip", "198.51.100.9"];
    assert_eq!(explain(folder.path(), &staged)["answer"]["status"], 503);
}

#[test]
fn a_manifest_that_cannot_be_understood_is_named_with_its_fault() {
    for (from, to, said) in [
        ("auth-type: cognito", "auth-type: saml", "auth-type \"saml\" is not known"),
        ("auth-type: oidc", "auth-type: yes-please", "is not known"),
        ("{\"userPoolARN\":", "{userPoolARN:", "auth-idp-cognito"),
        ("auth-idp-cognito:", "auth-idp-cognit0:", "auth-idp-cognito is missing"),
        ("auth-session-timeout: \"3600\"", "auth-session-timeout: \"1h\"", "auth-session-timeout"),
        ("actions.moved:", "actions.move:", "actions.moved is missing"),
        ("[{\"HTTP\": 80}", "[{\"HTTP\": -80}", "listen-ports"),
        ("name: partners, port: {number", "name: \"../x y\", port: {number", "is not the name of a Service"),
        ("path: /api, pathType: Prefix", "path: /api*, pathType: Prefix", "has wildcards"),
        ("name: edge", "name: \"edge\\nlisteners\"", "is not the name of a resource"),
        ("[{\"field\": \"http-header\"", "[{\"feld\": \"http-header\"", "missing field `Field`"),
        ("conditions.api: >\n      [", "conditions.api: >\n      7 #[", "conditions.api"),
        (
            "actions.moved:",
            "mutual-authentication: '{\"port\": 443}'\n    alb.ingress.kubernetes.io/actions.moved:",
            "is not a list of objects",
        ),
        ("auth-scope: openid email", "auth-scope: 7", "annotations are texts"),
    ] {
        let (_sources, imported) = manifest(|text| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let lines = text(&imported.stderr);
        assert_eq!((imported.status.code(), text(&imported.stdout)), (Some(2), ""), "{to}");
        assert!(lines.starts_with("ingress.yaml: ") && lines.contains(said) && lines.lines().count() == 1, "{to}: {lines}");
    }
}

/// A folder with a session key: stickiness seals its cookies.
static KEY: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    write_private(&folder.path().join("session.key"), &session_key(&Secrets::default()));
    folder
});

/// Imports a plain listener, and reads the result as `serve` would; the body of its default answer.
fn body_after_import(listeners: &Value, more: &[Value]) -> Vec<u8> {
    let files: Vec<Vec<u8>> = [listeners].into_iter().chain(more).map(|value| serde_json::to_vec(value).unwrap()).collect();
    let inputs: Vec<Input<'_>> = files.iter().map(|bytes| Input { name: "a.json", bytes }).collect();
    let imported = alb(&inputs).unwrap();
    let connect: &vestibule::config::Connect<'_> = &|_, _| Err("no provider is asked here".to_owned());
    let (compiled, report) = vestibule::config::load_bytes(
        imported.configuration.as_bytes(),
        "imported.yaml",
        KEY.path(),
        &vestibule::clients::system_entropy(),
        vestibule::clock::UnixTime(1_800_000_000),
        connect,
    );
    let compiled = compiled.unwrap_or_else(|| panic!("{}\n{}", report.render(false), imported.configuration));
    assert!(imported.notes.iter().all(|note| note.lines().count() <= 1));
    match &compiled.gateway.listeners[0].rules.all().last().unwrap().routing {
        RoutingAction::FixedResponse(fixed) => fixed.body.to_vec(),
        RoutingAction::Forward(_) | RoutingAction::Redirect(_) => panic!("another action"),
    }
}

fn plain_listener(body: &str, load_balancer: &str) -> Value {
    json!({"Listeners": [{
        "ListenerArn": "arn:aws:x:listener/app/a/b/c", "LoadBalancerArn": load_balancer, "Port": 80, "Protocol": "HTTP",
        "DefaultActions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "MessageBody": body}}],
    }]})
}

fn default_rule() -> Value {
    json!({"RuleArn": "arn:aws:x:listener-rule/app/a/b/c/default", "Priority": "default", "Conditions": [], "Actions": []})
}

/// Whatever a text can hold, and what YAML gives a meaning to.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[-#:{}\\[\\],&*!|>'\"%@`~ \t\r\na0.?<=/\\\\]{0,12}",
        "[a1/][a:# .-]{0,6}",
        Just("null".to_owned()),
        Just("no".to_owned())
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_comes_back_from_the_configuration_as_it_was(body in any_text()) {
        prop_assert_eq!(body_after_import(&plain_listener(&body, "arn"), &[]), body.as_bytes());
    }

    #[test]
    fn no_text_in_any_place_breaks_the_configuration(texts in prop::collection::vec(any_text(), 24)) {
        let text = |index: usize| texts[index].as_str();
        let rule = |number: usize, condition: Value, action: Value| json!({
            "RuleArn": format!("arn:aws:x:listener-rule/app/a/b/c/{number}"), "Priority": (number + 1).to_string(),
            "Conditions": [condition], "Actions": [action],
        });
        let rewriting = |number: usize, kind: &str, config: &str, rewrites: Value| {
            let mut rule = rule(number, json!({"Field": "path-pattern", "Values": ["/r"]}), json!({"Type": "forward", "TargetGroupArn": "g"}));
            rule["Transforms"] = json!([{"Type": kind, config: {"Rewrites": rewrites}}]);
            rule
        };
        let fixed = json!({"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": text(0)}});
        let rules = json!({"Rules": [
            rule(0, json!({"Field": "host-header", "Values": [text(1), text(2)]}), fixed.clone()),
            rule(1, json!({"Field": "path-pattern", "Values": [text(3)], "RegexValues": [text(4)]}), fixed.clone()),
            rule(2, json!({"Field": "path-pattern", "Values": [format!("/{}", text(3))]}), fixed.clone()),
            rule(3, json!({"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": text(5), "Values": [text(6)]}}), fixed.clone()),
            rule(4, json!({"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-A", "RegexValues": [text(6)]}}), fixed.clone()),
            rule(5, json!({"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": text(7), "Value": text(8)}]}}), fixed.clone()),
            rule(6, json!({"Field": "http-request-method", "Values": [text(9)]}), fixed.clone()),
            rule(7, json!({"Field": "source-ip", "Values": [text(10)]}), fixed.clone()),
            rule(8, json!({"Field": text(11), "Values": ["x"]}), fixed),
            rule(9, json!({"Field": "path-pattern", "Values": ["/*"]}), json!({"Type": "redirect", "RedirectConfig": {
                "Host": text(12), "Path": text(13), "Query": text(14), "Protocol": "HTTPS", "StatusCode": "HTTP_301"}})),
            rule(10, json!({"Field": "path-pattern", "Values": ["/x"]}), json!({"Type": "forward", "TargetGroupArn": "g"})),
            rule(11, json!({"Field": "path-pattern", "Values": ["/y"]}), json!({"Type": "forward", "TargetGroupArn": text(15)})),
            rule(12, json!({"Field": "path-pattern", "Values": ["/z"]}), json!({"Type": text(16)})),
            default_rule(),
            rule(16, json!({"Field": "path-pattern", "Values": ["/w"]}), json!({"Type": "forward", "ForwardConfig": {
                "TargetGroups": [{"TargetGroupArn": "g", "Weight": texts[1].len()}, {"TargetGroupArn": text(15), "Weight": texts[2].len() * 100}],
                "TargetGroupStickinessConfig": {"Enabled": true, "DurationSeconds": texts[3].len() * 100_000}}})),
            rewriting(13, "url-rewrite", "UrlRewriteConfig", json!([{"Regex": text(3), "Replace": text(4)}])),
            rewriting(14, "host-header-rewrite", "HostHeaderRewriteConfig", json!([{"Regex": "a(b)", "Replace": text(5)}])),
            rewriting(15, text(6), "UrlRewriteConfig", json!([])),
        ]});
        let groups = json!({"TargetGroups": [{
            "TargetGroupArn": "g", "TargetGroupName": text(17), "HealthCheckPath": text(18), "HealthCheckPort": text(19),
            "Matcher": {"HttpCode": text(20), "GrpcCode": text(20)}, "ProtocolVersion": if texts[20].len() % 2 == 0 { "GRPC" } else { "HTTP2" },
        }]});
        let health = json!({"TargetHealthDescriptions": [{"Target": {"Id": text(21)}}]});
        let attributes = json!({"Attributes": [
            {"Key": "load_balancing.algorithm.type", "Value": text(22)}, {"Key": "slow_start.duration_seconds", "Value": text(19)},
            {"Key": "stickiness.enabled", "Value": "true"}, {"Key": "stickiness.type", "Value": "app_cookie"},
            {"Key": "stickiness.app_cookie.cookie_name", "Value": text(5)}, {"Key": text(23), "Value": "true"}]});
        let load_balancer = json!({"LoadBalancers": [{"LoadBalancerArn": text(0), "LoadBalancerName": text(1), "DNSName": text(2)}]});
        let body = body_after_import(&plain_listener("404", text(0)), &[rules, groups, health, attributes, load_balancer]);
        prop_assert_eq!(body, b"404");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_text_in_a_sign_in_action_breaks_the_configuration(texts in prop::collection::vec(any_text(), 12)) {
        let text = |index: usize| texts[index].as_str();
        let session = |mode: &str| json!({
            "Scope": text(0), "SessionCookieName": text(1), "OnUnauthenticatedRequest": mode, "SessionTimeout": texts[2].len() * 100_000,
            "AuthenticationRequestExtraParams": {text(2): text(3), text(4): text(5), "state": text(6)},
        });
        let with = |mut config: Value, mode: &str| {
            config.as_object_mut().unwrap().extend(session(mode).as_object().unwrap().clone());
            config
        };
        let forward = json!({"Type": "forward", "Order": 2, "TargetGroupArn": text(7)});
        let cognito = |domain: &str, client: &str| with(json!({
            "UserPoolArn": "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEf123",
            "UserPoolClientId": client, "UserPoolDomain": domain,
        }), "allow");
        let oidc = |issuer: String, mode: &str| with(json!({
            "Issuer": issuer, "AuthorizationEndpoint": format!("https://op.test/{}", text(8)), "TokenEndpoint": "https://op.test/t",
            "UserInfoEndpoint": "https://op.test/u", "ClientId": text(9),
        }), mode);
        let rules: Vec<Value> = [
            json!({"Type": "authenticate-cognito", "AuthenticateCognitoConfig": cognito("prefix", text(9))}),
            json!({"Type": "authenticate-cognito", "AuthenticateCognitoConfig": cognito(text(10), "client")}),
            json!({"Type": "authenticate-oidc", "AuthenticateOidcConfig": oidc("https://op.test".to_owned(), "deny")}),
            json!({"Type": "authenticate-oidc", "AuthenticateOidcConfig": oidc(format!("https://op.test/{}", text(11)), text(6))}),
        ].into_iter().enumerate().map(|(number, action)| json!({
            "RuleArn": format!("arn:aws:x:listener-rule/app/a/b/c/{number}"), "Priority": (number + 1).to_string(),
            "Conditions": [{"Field": "path-pattern", "Values": [format!("/{number}")]}], "Actions": [action, forward],
        })).chain([default_rule()]).collect();
        let mut listener = plain_listener("404", text(11));
        listener["Listeners"][0]["Protocol"] = "HTTPS".into();
        listener["Listeners"][0]["Certificates"] = json!([{"CertificateArn": text(10)}]);
        let files = [listener, json!({"Rules": rules})].map(|value| serde_json::to_vec(&value).unwrap());
        let inputs: Vec<Input<'_>> = files.iter().map(|bytes| Input { name: "a.json", bytes }).collect();
        moved(&alb(&inputs).unwrap().configuration);
    }
}

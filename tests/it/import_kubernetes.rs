//! `vestibule import alb` of Kubernetes Ingress manifests.

use std::path::Path;
use std::process::Output;

use serde_json::json;

use crate::import::{explain, import, moved, text};

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
fn an_ingress_that_asks_for_tokens_asks_for_the_same_here() {
    let claims = "[{\"name\": \"aud\", \"format\": \"single-string\", \"values\": [\"shop\"]}]";
    let validation =
        format!("{{\"jwksEndpoint\": \"https://op.test/keys\", \"issuer\": \"https://op.test\", \"additionalClaims\": {claims}}}");
    let annotations = format!("alb.ingress.kubernetes.io/auth-type: none\n    alb.ingress.kubernetes.io/jwt-validation: '{validation}'");
    let (_sources, imported) = manifest(|text| text.replacen("alb.ingress.kubernetes.io/auth-type: cognito", &annotations, 1));
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    let folder = moved(text(&imported.stdout));
    let told = explain(folder.path(), &["--url", "https://app.example.com/"]);
    assert_eq!((&told["rule"], &told["answer"]["status"]), (&json!("default"), &json!(401)), "{told}");
    for line in ["issuer: https://op.test", "algorithms: [RS256]", "- name: aud", "values: [shop]"] {
        assert!(text(&imported.stdout).lines().any(|written| written.trim() == line), "{line}: {}", text(&imported.stdout));
    }
}

#[test]
fn attributes_of_a_listener_belong_to_that_one() {
    let annotation = "    alb.ingress.kubernetes.io/listener-attributes.HTTPS-443: routing.http.response.x_frame_options.header_value=DENY,\
                      routing.http.response.server.enabled=false\n    alb.ingress.kubernetes.io/scheme:";
    let (_sources, imported) = manifest(|text| text.replacen("    alb.ingress.kubernetes.io/scheme:", annotation, 1));
    let folder = moved(text(&imported.stdout));
    let written = std::fs::read_to_string(folder.path().join("vestibule.yaml")).unwrap();
    let (http, https) = written.split_once("0.0.0.0:443").unwrap();
    assert!(https.contains("response_headers:\n      x_frame_options: DENY\n      server_header: false\n"), "{written}");
    assert!(!http.contains("response_headers"), "{written}");
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

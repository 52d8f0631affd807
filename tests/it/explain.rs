//! `vestibule explain`: the dry run tells what the running gateway does.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::gateway::{session_key, vestibule, write_private};
use crate::support::oracles::sign_in;
use crate::support::secrets::Secrets;

/// A configuration beside its key files; the provider is never asked.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["app.test".to_owned()]).unwrap();
    std::fs::write(folder.path().join("server.pem"), made.cert.pem()).unwrap();
    write_private(&folder.path().join("server.key"), &made.signing_key.serialize_pem());
    write_private(&folder.path().join("signing.key"), &rcgen::KeyPair::generate().unwrap().serialize_pem());
    write_private(&folder.path().join("session.key"), &session_key(&Secrets::default()));
    let authenticate = |mode: &str| json!({"authenticate": {"identity_provider": "op", "on_unauthenticated_request": mode}});
    let configuration = json!({
        "listeners": [{
            "address": "127.0.0.1:8443",
            "certificates": [{"certificate": "server.pem", "private_key": "server.key"}],
            "rules": [
                {"priority": 10, "conditions": [{"path_pattern": ["/api/*"]}, {"http_request_method": ["GET"]}], "actions": [authenticate("deny"), {"forward": "app"}]},
                {"priority": 20, "conditions": [{"path_pattern": ["/old/*"]}], "actions": [{"redirect": {"path": "/new/#{path}", "status_code": "HTTP_301"}}]},
            ],
            "default_actions": [authenticate("authenticate"), {"forward": "app"}],
        }],
        "identity_providers": {"op": {"type": "oidc", "issuer": "https://op.test", "client_id": "gw"}},
        "target_groups": {"app": {"targets": ["127.0.0.1:9000"]}},
        "sessions": {"keys": [{"file": "session.key"}]},
        "identity_headers": {"signing_key": {"file": "signing.key"}, "claims": {"X-Auth-Email": "email"}},
    });
    std::fs::write(folder.path().join("vestibule.yaml"), configuration.to_string()).unwrap();
    std::fs::write(folder.path().join("claims.json"), json!({"sub": "alice", "email": "alice@example.com"}).to_string()).unwrap();
    folder
}

fn explain(folder: &Path, arguments: &[&str]) -> Value {
    let output =
        vestibule().args(["explain", "--json", "--config", "vestibule.yaml"]).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn own_paths_of_the_gateway_reach_no_rule() {
    let folder = folder();
    for path in ["logout", "session", "idpresponse", "jwks.json", "keys/x", "login"] {
        let told = explain(folder.path(), &["--url", &format!("https://app.test/oauth2/{path}")]);
        assert_eq!((&told["rule"], &told["rules"]), (&Value::Null, &Value::Null), "{path}");
        assert_eq!(told["answer"]["because"], "a path of the gateway's own", "{path}");
    }
    // Another spelling is a path like any other.
    assert_eq!(explain(folder.path(), &["--url", "https://app.test/oauth2/Logout"])["rule"], "default");
}

#[test]
fn each_decision_is_told_with_its_reason() {
    let folder = folder();
    let told = |arguments: &[&str]| explain(folder.path(), arguments);

    let post = told(&["--url", "https://app.test/api/x", "--method", "POST"]);
    assert_eq!(post["rules"][0], json!({"priority": 10, "matches": false, "failed": ["http_request_method: [\"GET\"]"]}));
    assert_eq!((&post["rule"], &post["answer"]["status"]), (&json!("default"), &json!(401)));

    let api = told(&["--url", "https://app.test/api/x"]);
    assert_eq!(
        (&api["rule"], &api["answer"]["status"], &api["answer"]["because"]),
        (&json!("10"), &json!(401), &json!("the mode is deny"))
    );

    let page = told(&["--url", "https://app.test/page", "--header", "Accept: text/html"]);
    assert_eq!(page["answer"]["status"], 302);

    let old = told(&["--url", "https://app.test/old/x?y=1"]);
    assert_eq!(old["answer"], json!({"status": 301, "location": "https://app.test/new/old/x?y=1"}));

    assert_eq!(told(&["--url", "https://evil.test/"])["answer"]["status"], 421);
    assert_eq!(told(&["--url", "https://app.test//api/x"])["answer"]["status"], 400);
}

#[test]
fn the_headers_are_those_that_a_target_really_receives() {
    let folder = folder();
    let forged = [
        "--header",
        "x-amzn-oidc-identity: forged",
        "--header",
        "Accept: text/html",
        "--header",
        "Cookie: AWSELBAuthSessionCookie-0=x; theme=dark",
    ];
    let told = explain(folder.path(), &[&["--url", "https://app.test:8443/page?x=1", "--claims", "claims.json"][..], &forged].concat());
    let told: Vec<(String, String)> = serde_json::from_value(told["forward"]["headers"].clone()).unwrap();
    let value = |name: &str| told.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
    assert_eq!(value("x-amzn-oidc-identity"), ["alice"]);
    assert_eq!(value("x-auth-email"), ["alice@example.com"]);
    assert_eq!(value("cookie"), ["theme=dark"]);
    assert_eq!(value("host"), ["app.test:8443"]);
    assert!(value("x-amzn-oidc-data")[0].ends_with(".SIGNATURE"), "a signature that could be used");

    // The same names as at the target of a running gateway.
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    browser.put_cookie("theme", "dark");
    browser.request("GET", "/page?x=1", &[("Accept", "text/html")], &[], None);
    let seen = world.target.last();
    let mut told: Vec<String> = told.into_iter().map(|(name, _)| name).collect();
    let mut real: Vec<String> =
        seen.head.fields.iter().map(|(name, _)| name.to_ascii_lowercase()).filter(|name| !name.starts_with("x-auth-")).collect();
    told.retain(|name| !name.starts_with("x-auth-"));
    told.sort();
    real.sort();
    assert_eq!(told, real);
}

#[test]
fn a_past_request_is_told_by_the_id_that_the_page_showed() {
    let world = World::start();
    let mut browser = world.browser();
    let page = browser.get("/oauth2/idpresponse?code=a-secret-code&state=x");
    let line = world.gateway.access_lines_with(1, |line| line["error_reason"] == "AuthInvalidStateParam").remove(0);
    let id = line["request_id"].as_str().unwrap();
    assert!(page.text().contains(id));

    let ask = |arguments: &[&str]| {
        let output = vestibule().args(["explain", "--config"]).arg(world.gateway.configuration_file()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, told, _) = ask(&["--request-id", &id[..6]]);
    assert_eq!(status, Some(0));
    for wanted in ["AuthInvalidStateParam", "the state is not one of ours", "  do  ", "401  failed"] {
        assert!(told.contains(wanted), "{wanted:?} is missing in:\n{told}");
    }
    assert!(!told.contains("a-secret-code"));
    for (wrong, because) in [("7f3", "at least four"), ("zzzz", "is not a request id"), ("0123456789abcdef", "has no request")] {
        let (status, _, error) = ask(&["--request-id", wrong]);
        assert!(status == Some(2) && error.contains(because), "{wrong}: {status:?} {error}");
    }
}

//! What `check` says of `acr_values`, `max_age` and `amr`, and what `explain` tells of them.

use std::path::Path;

use serde_json::json;

use crate::step_up::demanding;
use crate::support::World;
use crate::support::gateway::{session_key, vestibule, write_private};
use crate::support::provider::unix_time;
use crate::support::secrets::Secrets;

/// A configuration whose default action is this, with three kinds of providers.
fn folder(action: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["app.test".to_owned()]).unwrap();
    std::fs::write(folder.path().join("server.pem"), made.cert.pem()).unwrap();
    write_private(&folder.path().join("server.key"), &made.signing_key.serialize_pem());
    write_private(&folder.path().join("signing.key"), &rcgen::KeyPair::generate().unwrap().serialize_pem());
    write_private(&folder.path().join("session.key"), &session_key(&Secrets::default()));
    let configuration = format!(
        "listeners:
  - address: 127.0.0.1:8443
    certificates: [{{ certificate: server.pem, private_key: server.key }}]
    default_actions:
      - {action}
      - forward: app
identity_providers:
  op: {{ type: oidc, issuer: https://op.test, client_id: gw }}
  google: {{ type: oidc, issuer: https://accounts.google.com, client_id: gw }}
  pool:
    type: cognito
    user_pool_arn: arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEf123
    user_pool_client_id: gw
    user_pool_domain: prefix
target_groups: {{ app: {{ targets: [127.0.0.1:9000] }} }}
sessions: {{ keys: [{{ file: session.key }}] }}
identity_headers: {{ signing_key: {{ file: signing.key }} }}
"
    );
    std::fs::write(folder.path().join("vestibule.yaml"), configuration).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = vestibule().args(arguments).args(["--config", "vestibule.yaml"]).current_dir(folder).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn check(demands: &str) -> (Option<i32>, String) {
    run(folder(&format!("authenticate: {{ {demands} }}")).path(), &["check"])
}

#[test]
fn a_demand_that_nobody_can_meet_is_refused_with_its_place() {
    for (demand, message) in [
        ("acr_values: []", "there is no value: nothing would be asked for"),
        ("amr: []", "there is no value: nothing would be asked for"),
        ("acr_values: [\"a b\"]", "\"a b\" is not one value"),
        ("acr_values: [\"\"]", "\"\" is not one value"),
        ("amr: ['\"']", "is not one value"),
        ("amr: [mfa, \"möglich\"]", "is not one value"),
        ("acr_values: [a, b, c, d, e, f, g, h, i, j, k]", "there are at most 10 values"),
        ("max_age: 0", "with max_age: 0 no sign-in would ever be recent enough"),
        ("max_age: soon", "max_age"),
        ("max_age: 15m, authentication_request_extra_params: { max_age: \"60\" }", "max_age is given as a key of authenticate too"),
        ("acr_values: [a], authentication_request_extra_params: { acr_values: b }", "acr_values is given as a key of authenticate too"),
    ] {
        let (status, report) = check(&format!("identity_provider: op, {demand}"));
        assert_eq!(status, Some(2), "{demand}: {report}");
        assert!(report.contains(message) && report.contains("vestibule.yaml:5:"), "{demand}: {report}");
    }
    let (status, report) =
        check("identity_provider: op, acr_values: [\"urn:mace:incommon:iap:silver\", \"2\"], max_age: 15m, amr: [mfa, hwk]");
    assert_eq!((status, report.as_str()), (Some(0), "vestibule.yaml is usable\n"));
    let validation = "jwt_validation: { issuer: https://op.test, jwks_endpoint: https://op.test/keys, \
                      additional_claims: [{ name: aud, format: string_array, values: [api] }], max_age: 0 }";
    assert_eq!(run(folder(validation).path(), &["check"]).0, Some(2));
}

#[test]
fn a_demand_that_probably_cannot_work_is_warned_about() {
    for (demand, message) in [
        ("identity_provider: pool, amr: [mfa]", "people of pool may never pass: its ID tokens do not tell what amr asks for"),
        ("identity_provider: pool, acr_values: [a]", "people of pool may never pass: its ID tokens do not tell what acr_values asks for"),
        (
            "identity_providers: [op, google], max_age: 1h",
            "people of google may never pass: its ID tokens do not tell what max_age asks for",
        ),
        ("identity_provider: op, max_age: 30s", "clocks may differ by as much"),
        ("identity_provider: op, authentication_request_extra_params: { max_age: \"60\" }", "max_age is asked for and not checked"),
        ("identity_provider: op, authentication_request_extra_params: { acr_values: b }", "acr_values is asked for and not checked"),
    ] {
        let (status, report) = check(demand);
        assert_eq!(status, Some(0), "{demand}: {report}");
        assert!(report.contains(message), "{demand}: {report}");
    }
    let (_, report) = check("identity_provider: pool, max_age: 1h");
    assert_eq!(report, "vestibule.yaml is usable\n");
}

#[test]
fn a_dry_run_tells_whether_a_sign_in_is_enough() {
    let now = unix_time();
    let strong = json!({"sub": "alice", "acr": "gold", "amr": ["mfa"], "auth_time": now - 60});
    let told = |action: &str, change: (&str, serde_json::Value), page: bool| {
        let folder = folder(action);
        let mut claims = strong.clone();
        claims[change.0] = change.1;
        std::fs::write(folder.path().join("claims.json"), claims.to_string()).unwrap();
        let accept = if page { "Accept: text/html" } else { "Accept: application/json" };
        let (_, told) =
            run(folder.path(), &["explain", "--json", "--url", "https://app.test/", "--claims", "claims.json", "--header", accept]);
        serde_json::from_str::<serde_json::Value>(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
    };
    let demands = "acr_values: [gold], amr: [mfa], max_age: 15m";
    let sessions = |mode: &str| format!("authenticate: {{ identity_provider: op, on_unauthenticated_request: {mode}, {demands} }}");
    let passes = told(&sessions("authenticate"), ("x", json!(1)), true);
    assert_eq!(passes["forward"]["target_group"], "app", "{passes}");
    for (change, because) in [
        (("acr", json!("bronze")), "acr is none of acr_values"),
        (("amr", json!([])), "amr lacks a method that the rule asks for"),
        (("auth_time", json!(now - 3600)), "auth_time is longer ago than max_age"),
        (("auth_time", json!(null)), "auth_time is missing, 0 or in the future"),
    ] {
        for (mode, page, status) in [("authenticate", true, 302), ("authenticate", false, 401), ("deny", true, 401)] {
            let weak = told(&sessions(mode), change.clone(), page);
            assert_eq!((&weak["answer"]["status"], &weak["forward"]), (&json!(status), &json!(null)), "{mode}: {weak}");
            assert!(weak["authentication"]["because"].as_str().unwrap().contains(because), "{mode}: {weak}");
        }
        let stranger = told(&sessions("allow"), change.clone(), true);
        let headers = stranger["forward"]["headers"].to_string();
        assert!(headers.contains("host") && !headers.contains("x-amzn-oidc"), "{stranger}");
        let validation = format!(
            "jwt_validation: {{ issuer: https://op.test, jwks_endpoint: https://op.test/keys, {demands}, \
             additional_claims: [{{ name: sub, format: single_string, values: [alice] }}] }}"
        );
        let weak = told(&validation, change, true);
        assert_eq!((&weak["answer"]["status"], &weak["forward"]), (&json!(401), &json!(null)), "{weak}");
        assert!(weak["authentication"]["because"].as_str().unwrap().contains(because), "{weak}");
    }
}

#[test]
fn a_level_that_the_provider_does_not_name_is_warned_about_online() {
    let world = World::start_with(|plan| {
        demanding(plan, 1, "/gold*", "authenticate", &json!({"acr_values": ["gold"]}));
        demanding(plan, 2, "/either*", "authenticate", &json!({"acr_values": ["gold", "silver"]}));
    });
    let online = || {
        let file = world.gateway.configuration_file();
        let output = vestibule().args(["check", "--online", "--config"]).arg(file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, said) = online();
    assert!(status == Some(0) && !said.contains("acr_values"), "{said}");
    world.provider.set(|provider| provider.metadata = json!({"acr_values_supported": ["bronze", "silver"]}));
    let (status, said) = online();
    assert_eq!(status, Some(0), "{said}");
    let warning = "op names none of [\"gold\"] in acr_values_supported, which is [\"bronze\", \"silver\"]: nobody may pass";
    assert!(said.contains("rule 1 of ") && said.contains(warning), "{said}");
    assert_eq!(said.matches("acr_values_supported").count(), 1, "{said}");
}

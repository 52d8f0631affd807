//! What `check` says of policies, what `explain` tells of their decisions, and tables of tests.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::gateway::{session_key, vestibule, write_private};
use crate::support::secrets::Secrets;

/// A folder with keys and a configuration whose default actions stand in for `ACTIONS`.
fn folder(actions: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["app.test".to_owned()]).unwrap();
    std::fs::write(folder.path().join("server.pem"), made.cert.pem()).unwrap();
    write_private(&folder.path().join("server.key"), &made.signing_key.serialize_pem());
    write_private(&folder.path().join("signing.key"), &rcgen::KeyPair::generate().unwrap().serialize_pem());
    write_private(&folder.path().join("session.key"), &session_key(&Secrets::default()));
    let configuration = "
listeners:
  - address: 127.0.0.1:8443
    certificates: [{ certificate: server.pem, private_key: server.key }]
    default_actions:
ACTIONS
identity_providers:
  op: { type: oidc, issuer: https://op.test, client_id: gw }
  pool:
    type: cognito
    user_pool_arn: arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEf123
    user_pool_client_id: gw
    user_pool_domain: prefix
target_groups: { app: { targets: [127.0.0.1:9000] } }
sessions: { keys: [{ file: session.key }] }
identity_headers: { signing_key: { file: signing.key }, claims: { X-Auth-Email: email } }
";
    std::fs::write(folder.path().join("vestibule.yaml"), configuration.trim_start().replace("ACTIONS", actions)).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = vestibule().args(arguments).args(["--config", "vestibule.yaml"]).current_dir(folder).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), text)
}

/// A rule with this policy, as it stands below `- authorize:`.
fn folder_with(policy: &str) -> tempfile::TempDir {
    folder(&format!("      - authenticate: {{ identity_provider: op }}\n      - authorize:{policy}\n      - forward: app"))
}

fn check(policy: &str) -> (Option<i32>, String) {
    run(folder_with(policy).path(), &["check"])
}

/// What stands in the file at the place that the report names for a message.
fn shown(folder: &Path, report: &str, message: &str) -> String {
    let before = report.split(message).next().unwrap();
    let place = before.rsplit("vestibule.yaml:").next().unwrap().lines().next().unwrap();
    let (line, column) = place.split_once(':').unwrap_or_else(|| panic!("no place in {report}"));
    let text = std::fs::read_to_string(folder.join("vestibule.yaml")).unwrap();
    let line = text.lines().nth(line.parse::<usize>().unwrap() - 1).unwrap();
    line.chars().skip(column.parse::<usize>().unwrap() - 1).collect()
}

#[test]
fn slips_in_an_expression_are_shown_at_their_place_in_every_kind_of_text() {
    for (policy, message, at) in [
        ("\n          allow: claims.groups.exist(g, true)", "no function is called \"exist\"", "exist(g"),
        (" { allow: 'claims.email == ''a'' && requst.path == \"\"' }", "nothing is called \"requst\"", "requst.path"),
        (" { allow: \"claims[\\\"a\\\"] == 1 && request.pth == \\\"\\\"\" }", "a request has no \"pth\"", "pth =="),
        ("\n          allow: |\n            true &&\n              claims.a == \"x\" && foo", "nothing is called \"foo\"", "foo"),
        (
            "\n          allow: >-\n            claims.a == 1 &&\n            request.path == 1",
            "a text is never equal to a whole number",
            "== 1",
        ),
        (" { allow: claims.a == }", "not CEL: it ends too early", " }"),
        (" { allow: 'claims.ü == 1' }", "not CEL: unexpected 'ü'", "ü =="),
        (" { allow: 'request.headers[\"X-Forwarded-For\"] == \"10.0.0.1\"' }", "a client could say anything under X-Forwarded-For", "["),
        (" { allow: 'request.headers.x_auth_email == \"a\"' }", "a client could say anything under x_auth_email", "x_auth_email"),
    ] {
        let folder = folder_with(policy);
        let (status, report) = run(folder.path(), &["check"]);
        assert!(status == Some(2) && report.contains(message), "{policy}\n{report}");
        let shown = shown(folder.path(), &report, message);
        assert!(shown.starts_with(at), "{policy}: {shown:?} and not {at:?}\n{report}");
    }
}

#[test]
fn a_policy_that_asks_for_nothing_or_for_nobody_is_refused() {
    for (policy, message) in [
        (" { mode: shadow }", "an authorize action says who may pass"),
        (" { groups: [] }", "an empty list lets nobody pass"),
        (" { emails: [] }", "an empty list lets nobody pass"),
        (" { claims: { department: [] } }", "an empty list lets nobody pass"),
        (" { emails: [\"*\"] }", "\"*\" is no pattern for e-mail addresses"),
        (" { emails: [\"*@*\"] }", "is no pattern for e-mail addresses"),
        (" { allow: 'true', groups_claim: roles }", "no group is asked for"),
        (" { allow: 'true', mode: audit }", "\"audit\" is not one of: enforce, shadow"),
        (" { allow: '' }", "the expression is empty"),
        (" { alow: 'true' }", "did you mean \"allow\"?"),
    ] {
        let (status, report) = check(policy);
        assert!(status == Some(2) && report.contains(message), "{policy}\n{report}");
    }
}

#[test]
fn a_policy_that_no_request_changes_is_warned_about() {
    for (policy, message) in
        [(" { allow: 'claims.a == 1 && false' }", "can never allow"), (" { allow: 'true || claims.a == 1' }", "always allows")]
    {
        let (status, report) = check(policy);
        assert!(status == Some(0) && report.contains("usable: 1 warning") && report.contains(message), "{report}");
    }
    assert_eq!(check(" { allow: 'claims.a == 1', groups: [staff] }"), (Some(0), "vestibule.yaml is usable\n".to_owned()));
}

#[test]
fn authorize_stands_between_authentication_and_routing() {
    let authenticate = "      - authenticate: { identity_provider: op }\n";
    let authorize = "      - authorize: { groups: [staff] }\n";
    let forward = "      - forward: app\n";
    for (actions, message) in [
        ([authorize, forward].concat(), "it is not known who asks"),
        ([authorize, authenticate, forward].concat(), "authenticate or jwt_validation comes first"),
        ([authenticate, authorize, authorize, forward].concat(), "authorize comes right after authenticate"),
        ([authenticate, forward, authorize].concat(), "comes last"),
        ([authenticate, authorize].concat(), "comes last"),
    ] {
        let (status, report) = run(folder(actions.trim_end()).path(), &["check"]);
        assert!(status == Some(2) && report.contains(message), "{actions}\n{report}");
    }
    let (status, report) = run(folder([authenticate, authorize, forward].concat().trim_end()).path(), &["check"]);
    assert_eq!(status, Some(0), "{report}");
}

fn explain(folder: &Path, claims: &Value, more: &[&str]) -> Value {
    std::fs::write(folder.join("claims.json"), claims.to_string()).unwrap();
    let (status, told) = run(folder, &[&["explain", "--json", "--url", "https://app.test/x", "--claims", "claims.json"], more].concat());
    assert_eq!(status, Some(0), "{told}");
    serde_json::from_str(&told).unwrap()
}

#[test]
fn explain_tells_the_decision_and_its_reason() {
    let actions = "      - authenticate: { identity_provider: pool }\n      - authorize: { groups: [staff], allow: 'request.method == \"GET\"' }\n      - forward: app";
    let folder = folder(actions);
    let allowed = explain(folder.path(), &json!({"sub": "a", "cognito:groups": ["staff"]}), &[]);
    assert_eq!(allowed["authorization"]["decision"], "allowed");
    assert_eq!(allowed["forward"]["target_group"], "app");
    let refused = explain(folder.path(), &json!({"sub": "a", "cognito:groups": ["staff"]}), &["--method", "POST"]);
    assert_eq!(
        (&refused["authorization"]["decision"], &refused["authorization"]["reason"], &refused["answer"]["status"], &refused["forward"]),
        (&json!("refused"), &json!("AuthForbidden"), &json!(403), &Value::Null)
    );
    let missing = explain(folder.path(), &json!({"sub": "a"}), &[]);
    assert_eq!(missing["authorization"]["because"], "groups: the claim cognito:groups is missing");
    let (_, told) = run(folder.path(), &["explain", "--url", "https://app.test/x", "--claims", "claims.json"]);
    assert!(
        told.contains("  authorization   refused: groups: the claim cognito:groups is missing") && told.contains("  answer          403"),
        "{told}"
    );
}

const TABLE: &str = "tests:
  - name: staff may read
    url: https://app.test/reports
    claims: { sub: a, groups: [staff], level: 3 }
    rule: default
    expect: allowed
  - name: others may not
    url: https://app.test/reports
    claims: { sub: b, groups: [guests], level: 3 }
    expect: refused
  - name: strangers sign in
    url: https://app.test/reports
    headers: { Accept: text/html }
    expect: sign_in
  - name: not on Sundays
    url: https://app.test/reports
    claims: { sub: a, groups: [staff], level: 3 }
    now: 2026-11-22T12:00:00Z
    expect: refused
";

const GUARDED: &str = "      - authenticate: { identity_provider: op }
      - authorize: { groups: [staff], allow: 'claims.level >= 3 && (now.getDayOfWeek() != 0 || now > timestamp(\"2027-01-01T00:00:00Z\"))' }
      - forward: app";

#[test]
fn a_table_of_tests_passes_or_names_each_that_fails_with_its_place() {
    let folder = folder(GUARDED);
    let now = TABLE.replace("    rule: default\n", "    rule: default\n    now: 2026-11-20T12:00:00Z\n");
    std::fs::write(folder.path().join("tests.yaml"), &now).unwrap();
    let (status, report) = run(folder.path(), &["check", "--policy-tests", "tests.yaml"]);
    assert_eq!((status, report.as_str()), (Some(0), "vestibule.yaml is usable\n\ntests.yaml: 4 tests, all as expected\n"));

    let wrong = now
        .replacen("expect: allowed", "expect: refused", 1)
        .replacen("rule: default", "rule: 20", 1)
        .replace("groups: [guests]", "groups: [staff]");
    std::fs::write(folder.path().join("tests.yaml"), wrong).unwrap();
    let (status, report) = run(folder.path(), &["check", "--policy-tests", "tests.yaml"]);
    assert_eq!(status, Some(1), "{report}");
    for wanted in [
        "4 tests, 2 fail",
        "tests.yaml:2:5  staff may read",
        "expected refused by rule 20, got allowed by rule default",
        "tests.yaml:8:5  others may not",
        "expected refused, got allowed",
    ] {
        assert!(report.contains(wanted), "{wanted:?} is missing in:\n{report}");
    }
}

#[test]
fn what_the_gateway_answers_itself_is_never_taken_for_allowed() {
    let folder = folder(GUARDED);
    for (url, got) in [
        ("https://evil.test/", "421"),
        ("https://app.test/oauth2/logout", "an answer of the gateway's own"),
        ("ftp://app.test/", "no answer"),
        ("https://app.test/a/../b", "no answer"),
    ] {
        let table = format!("tests: [{{ url: \"{url}\", claims: {{ sub: a, groups: [staff], level: 3 }}, expect: allowed }}]");
        std::fs::write(folder.path().join("tests.yaml"), table).unwrap();
        let (status, report) = run(folder.path(), &["check", "--policy-tests", "tests.yaml"]);
        assert!(status == Some(1) && report.contains(&format!("got {got}")), "{url}\n{report}");
    }
}

#[test]
fn a_table_that_cannot_be_read_or_tests_nothing_is_at_fault() {
    let folder = folder(GUARDED);
    for (table, message) in [
        ("tests: []", "there is no test"),
        ("tests: [{ url: https://app.test/, expect: alowed }]", "did you mean \"allowed\"?"),
        ("tests: [{ url: https://app.test/ }]", "expect is missing"),
        ("tests: [{ url: https://app.test/, expect: allowed, source_ip: here }]", "\"here\" is not an address"),
        ("tests: [{ url: https://app.test/, expect: allowed, now: noon }]", "\"noon\" is not a time"),
    ] {
        std::fs::write(folder.path().join("tests.yaml"), table).unwrap();
        let (status, report) = run(folder.path(), &["check", "--policy-tests", "tests.yaml"]);
        assert!(status == Some(2) && report.contains(message), "{table}\n{report}");
    }
}

/// Blocks of docs/authorization.md in one language.
fn blocks(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/authorization.md")).unwrap();
    let begin = format!("\n```{language}\n");
    page.split(&begin).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_expression_of_the_guide_is_sound() {
    let expressions: Vec<String> = blocks("cel").iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(expressions.len() > 10, "{expressions:?}");
    for expression in expressions {
        let (status, report) = check(&format!("\n          allow: >-\n            {expression}"));
        assert_eq!((status, report.as_str()), (Some(0), "vestibule.yaml is usable\n"), "{expression}");
    }
}

#[test]
fn the_rules_and_the_table_of_the_guide_go_together() {
    let yaml = blocks("yaml");
    let rules = yaml.iter().find(|block| block.starts_with("- priority")).unwrap();
    let table = yaml.iter().find(|block| block.starts_with("tests:")).unwrap();
    let folder = folder("      - authenticate: { identity_provider: op }\n      - forward: app");
    let rules: String = rules.lines().map(|line| format!("      {line}\n")).collect();
    let file = folder.path().join("vestibule.yaml");
    let configuration = std::fs::read_to_string(&file).unwrap();
    let configuration = configuration
        .replace("    default_actions:", &format!("    hosts: [app.example.com]\n    rules:\n{rules}    default_actions:"))
        .replace("  op: {", "  corporate: { type: oidc, issuer: https://corporate.test, client_id: gw }\n  op: {");
    std::fs::write(file, configuration).unwrap();
    std::fs::write(folder.path().join("tests.yaml"), table).unwrap();
    let (status, report) = run(folder.path(), &["check", "--policy-tests", "tests.yaml"]);
    assert_eq!((status, report.as_str()), (Some(0), "vestibule.yaml is usable\n\ntests.yaml: 6 tests, all as expected\n"));
}

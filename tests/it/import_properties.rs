//! `vestibule import alb`: no text in any place breaks the configuration.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use vestibule::gateway::RoutingAction;
use vestibule::import::{Input, alb};

use crate::import::moved;
use crate::support::gateway::{session_key, write_private};
use crate::support::secrets::Secrets;

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
    let connector = vestibule::app::Connector::new(vestibule::app::Observers::none(), &vestibule::clients::system_entropy());
    let (compiled, report) = vestibule::config::load_bytes(
        imported.configuration.as_bytes(),
        "imported.yaml",
        KEY.path(),
        &vestibule::clients::system_entropy(),
        vestibule::clock::UnixTime(1_800_000_000),
        &connector,
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
            rule(17, json!({"Field": "path-pattern", "Values": ["/j"]}), json!({"Type": "jwt-validation"})),
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
            json!({"Type": "jwt-validation", "JwtValidationConfig": {"Issuer": text(8), "JwksEndpoint": "https://op.test/k", "AdditionalClaims": [
                {"Name": text(0), "Format": "string-array", "Values": [text(1), text(2)]},
                {"Name": text(3), "Format": text(4), "Values": [text(5)]}]}}),
            json!({"Type": "jwt-validation", "JwtValidationConfig": {"Issuer": "https://op.test", "JwksEndpoint": format!("https://op.test/{}", text(6)), "AdditionalClaims": [
                {"Name": text(0), "Format": "space-separated-values", "Values": [text(1)]}]}}),
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

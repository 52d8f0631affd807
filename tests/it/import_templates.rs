//! `vestibule import alb` of CloudFormation templates and of Terraform's JSON.

use std::path::{Path, PathBuf};
use std::process::Output;

use proptest::prelude::*;
use serde_json::{Value, json};
use vestibule::import::{Input, alb};

use crate::import::{explain, import, moved, text};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn imported(names: &[&str]) -> Output {
    import(Path::new("."), &names.iter().map(|name| fixture(name)).collect::<Vec<_>>())
}

const STACKS: [&str; 2] = ["cloudformation/edge.yaml", "cloudformation/service.json"];
const TEMPLATES: [&[&str]; 4] = [&STACKS, &["terraform/main.tf.json"], &["terraform/state.json"], &["terraform/plan.json"]];

/// A template of one listener with these resources beside it.
fn stack(more: &Value) -> Value {
    let mut resources = json!({
        "Web": {"Type": "AWS::ElasticLoadBalancingV2::TargetGroup", "Properties": {"Name": "web", "Port": 80, "Targets": [{"Id": "10.0.0.1"}]}},
        "Http": {"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": {
            "Port": 80, "Protocol": "HTTP", "DefaultActions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Web"}}]}},
    });
    resources.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "Resources": resources })
}

fn rule(priority: &Value, listener: &Value, condition: &Value) -> Value {
    json!({"Type": "AWS::ElasticLoadBalancingV2::ListenerRule", "Properties": {
        "ListenerArn": listener, "Priority": priority, "Conditions": [condition],
        "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}]}})
}

fn of(template: &Value) -> Result<vestibule::import::Imported, vestibule::import::ImportError> {
    alb(&[Input { name: "edge.json", bytes: template.to_string().as_bytes() }])
}

#[test]
fn templates_of_every_kind_decide_what_their_load_balancer_would() {
    for names in TEMPLATES {
        let imported = imported(names);
        assert_eq!(imported.status.code(), Some(0), "{names:?}: {}", text(&imported.stderr));
        let folder = moved(text(&imported.stdout));
        let at = |url: &str, more: &[&str]| {
            let common = ["--url", url, "--claims", "claims.json", "--header", "Accept: text/html"];
            explain(folder.path(), &[&common[..], more].concat())
        };
        let app = "https://app.example.com";
        assert_eq!(explain(folder.path(), &["--url", "http://app.example.com/x"])["answer"]["location"], "https://app.example.com/x");
        let told = at(&format!("{app}/"), &[]);
        assert_eq!((&told["rule"], &told["forward"]["target_group"]), (&json!("default"), &json!("web")), "{names:?}");
        assert_eq!(told["forward"]["targets"], json!(["10.0.1.11:8080", "10.0.2.12:8081"]), "{names:?}");
        assert_eq!(told["authentication"]["identity_provider"], "example-staff");
        let told = at(&format!("{app}/api/x?debug"), &["--header", "X-Stage: beta1"]);
        assert_eq!((&told["rule"], &told["forward"]["request"]), (&json!("20"), &json!("GET /x?debug")), "{names:?}");
        assert_eq!(at(&format!("{app}/api/x"), &["--header", "X-Stage: beta1"])["rule"], "default", "{names:?}");
        let told = at(&format!("{app}/office/x"), &["--source-ip", "198.51.100.7"]);
        assert_eq!((&told["rule"], &told["forward"]["target_group"]), (&json!("50"), &json!("web")), "{names:?}");
        assert_eq!(at(&format!("{app}/office/x"), &["--source-ip", "203.0.113.7"])["rule"], "default");
        assert_eq!(at(&format!("{app}/gone"), &[])["answer"]["status"], 410);
        let configuration = text(&imported.stdout);
        for line in
            ["partners.app.example.com, old-partners.app.example.com", "name: web, weight: 9", "stickiness: 1h", "session_timeout: 12h"]
        {
            assert!(configuration.contains(line), "{names:?}: {line}");
        }
        for line in
            ["slow_start: 1m", "stickiness: { type: lb_cookie, duration: 1d }", "timeouts: { response: 2m }", "protocol_version: http2"]
        {
            assert!(configuration.contains(line), "{names:?}: {line}");
        }
        assert!(configuration.contains("certs/87654321-4321-4321-4321-210987654321.pem"), "{names:?}");
    }
}

#[test]
fn no_client_secret_leaves_a_state_or_a_plan() {
    for name in ["terraform/state.json", "terraform/plan.json"] {
        let secret = "a client's secret, as a state keeps it";
        assert!(std::fs::read_to_string(fixture(name)).unwrap().contains(secret));
        let imported = imported(&[name]);
        for (stream, what) in [(&imported.stdout, "configuration"), (&imported.stderr, "lines")] {
            assert!(!text(stream).contains(secret), "{name}: {what}");
            assert!(text(stream).contains("this file holds client secrets: none was copied"), "{name}: {what}");
        }
        assert!(text(&imported.stdout).contains("client_secret: { file: secrets/login-example-com }"));
        assert!(text(&imported.stderr).contains("put it in secrets/login-example-com"));
    }
}

#[test]
fn what_a_template_does_not_tell_is_said_and_closed_where_it_decides_who_comes_in() {
    for names in [&STACKS[..], &["terraform/main.tf.json"]] {
        let imported = imported(names);
        let (configuration, lines) = (text(&imported.stdout), text(&imported.stderr));
        let folder = moved(configuration);
        for (path, rule) in [("/beta/x", "80"), ("/region/x", "90")] {
            // The rule of whose conditions one is not known takes what the others leave.
            let told = explain(folder.path(), &["--url", &format!("https://app.example.com{path}"), "--claims", "claims.json"]);
            assert_eq!((&told["rule"], &told["answer"]["status"]), (&json!(rule), &json!(503)), "{names:?} {path}");
        }
        for said in ["UserPoolArn is not in the files", "HealthCheckIntervalSeconds is not in the files", "was read as its default"] {
            assert!(lines.contains(said), "{names:?}: {said}\n{lines}");
            let comments: Vec<&str> = configuration.lines().filter(|line| line.contains(said)).collect();
            assert!(!comments.is_empty() && comments.iter().all(|line| line.trim_start().starts_with('#')), "{names:?}: {said}");
        }
        assert!(lines.contains("machine") || lines.contains("Machine"), "{lines}");
        assert!(configuration.contains("user_pool_arn: arn:aws:cognito-idp:unknown:000000000000:userpool/"), "{configuration}");
    }
}

#[test]
fn a_rule_of_an_unknown_listener_or_place_closes_what_it_may_have_stood_before() {
    let condition = json!({"Field": "path-pattern", "Values": ["/secret"]});
    for (priority, listener, said) in [
        (json!(5), json!({"Fn::ImportValue": "elsewhere"}), "its listener is not in the files (!ImportValue elsewhere)"),
        (json!({"Ref": "Priority"}), json!({"Ref": "Http"}), "its priority is not in the files"),
        (Value::Null, json!({"Ref": "Http"}), "its priority is not in the files"),
    ] {
        let imported = of(&stack(&json!({"Guard": rule(&priority, &listener, &condition)}))).unwrap();
        assert!(imported.notes.iter().any(|note| note.starts_with("edge.json, Guard: ") && note.contains(said)), "{:?}", imported.notes);
        assert!(imported.configuration.contains("status_code: 503") && !imported.configuration.contains("forward:"), "{said}");
    }
    let known = of(&stack(&json!({"Guard": rule(&json!("5"), &json!({"Ref": "Http"}), &condition)}))).unwrap();
    assert!(known.configuration.contains("status_code: 403") && known.configuration.contains("forward: web"));
}

#[test]
fn a_listener_of_which_the_port_is_not_told_is_left_out_with_a_line() {
    let mut template = stack(&json!({}));
    template["Resources"]["Second"] = template["Resources"]["Http"].clone();
    template["Resources"]["Second"]["Properties"]["Port"] = json!({"Ref": "Port"});
    let imported = of(&template).unwrap();
    let said = "edge.json, Second: the listener is left out: its Port is not in the files (!Ref Port)";
    assert!(imported.notes.iter().any(|note| note == said), "{:?}", imported.notes);
    assert!(imported.configuration.contains(&format!("# {said}")));
    assert_eq!(imported.configuration.matches("- address:").count(), 1);
}

#[test]
fn a_plans_set_of_two_groups_that_nothing_tells_apart_is_closed() {
    let plan = std::fs::read_to_string(fixture("terraform/plan.json")).unwrap();
    let mut plan: Value = serde_json::from_str(&plan).unwrap();
    let resources = plan["configuration"]["root_module"]["resources"].as_array_mut().unwrap();
    let partners = resources.iter_mut().find(|one| one["address"] == "aws_lb_listener_rule.partners").unwrap();
    for group in partners["expressions"]["action"][1]["forward"][0]["target_group"].as_array_mut().unwrap() {
        group["weight"] = json!({"references": ["var.weight"]});
    }
    let imported = of(&plan).unwrap();
    assert!(
        imported.notes.iter().any(|note| note.contains("target group arn-known-after-apply: no file describes")),
        "{:?}",
        imported.notes
    );
    assert!(!imported.configuration.contains("name: web, weight"), "{}", imported.configuration);
}

#[test]
fn rules_for_tokens_come_along_from_each_notation() {
    let mut template = stack(&json!({}));
    let config = json!({"Issuer": "https://op.test", "JwksEndpoint": "https://op.test/keys",
        "AdditionalClaims": [{"Name": "aud", "Format": "single-string", "Values": ["api"]}]});
    template["Resources"]["Http"]["Properties"]["Protocol"] = json!("HTTPS");
    template["Resources"]["Http"]["Properties"]["DefaultActions"] = json!([{"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": config}, {"Type": "forward", "Order": 2, "TargetGroupArn": {"Ref": "Web"}}]);
    let source = json!({"resource": {
        "aws_lb_target_group": {"web": {"name": "web", "port": 80}},
        "aws_lb_listener": {"https": {"port": 443, "protocol": "HTTPS", "default_action": [
            {"type": "jwt-validation", "jwt_validation": {"issuer": "https://op.test", "jwks_endpoint": "https://op.test/keys",
                "additional_claim": {"name": "aud", "format": "single-string", "values": ["api"]}}},
            {"type": "forward", "order": 2, "target_group_arn": "${aws_lb_target_group.web.arn}"}]}},
    }});
    for template in [template, source] {
        let configuration = of(&template).unwrap().configuration;
        for line in
            ["- jwt_validation:", "issuer: https://op.test", "- name: aud", "format: single_string", "values: [api]", "- forward: web"]
        {
            assert!(configuration.lines().any(|written| written.trim() == line), "{line}: {configuration}");
        }
        moved(&configuration);
    }
}

#[test]
fn a_state_as_terraform_keeps_it_is_refused_with_what_to_give() {
    let error = of(&json!({"version": 4, "terraform_version": "1.9.8", "serial": 7, "resources": []})).unwrap_err();
    assert_eq!(error.to_string(), "edge.json: is a state as Terraform keeps it: give the output of terraform show -json");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[-#:{}$!%.a0/ ]{0,12}", Just("${aws_lb.a.arn}".to_owned()), Just("${var.x}".to_owned())]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any_text().prop_map(Value::from), any::<u16>().prop_map(Value::from), Just(Value::Null), Just(json!(true))];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            inner.clone().prop_map(|value| json!({ "Ref": value })),
            inner.prop_map(|value| json!({ "Fn::Sub": value })),
            any_text().prop_map(|text| json!({"Fn::GetAtt": [text, "Arn"]})),
        ]
    })
}

fn check(template: &Value) -> Result<(), TestCaseError> {
    if let Ok(imported) = of(template) {
        prop_assert!(imported.notes.iter().all(|note| note.lines().count() <= 1));
        moved(&imported.configuration);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_value_in_any_place_of_a_template_breaks_the_configuration(values in prop::collection::vec(any_value(), 12), name in any_text()) {
        let mut template = stack(&json!({
            "Guard": rule(&json!(7), &json!({"Ref": "Http"}), &json!({"Field": values[0], "Values": values[1]})),
            "Other": rule(&values[2], &values[3], &json!({"Field": "host-header", "HostHeaderConfig": {"Values": [values[4]]}})),
        }));
        template["Resources"]["Guard"]["Properties"]["Actions"] = json!([{"Type": values[5], "TargetGroupArn": values[6]}]);
        template["Resources"]["Web"]["Properties"]["Targets"] = json!([{"Id": values[7], "Port": values[8]}]);
        template["Resources"]["Web"]["Properties"]["Matcher"] = values[9].clone();
        template["Resources"]["Web"]["Properties"]["TargetGroupAttributes"] = values[10].clone();
        template["Parameters"] = json!({ name: {"Type": "String", "Default": values[11]} });
        check(&template)?;
    }

    #[test]
    fn no_value_in_any_place_of_a_terraform_configuration_breaks_the_configuration(values in prop::collection::vec(any_value(), 10)) {
        let web = "${aws_lb_target_group.web.arn}";
        check(&json!({"variable": {"x": {"default": values[0]}}, "resource": {
            "aws_lb_target_group": {"web": {"name": values[1], "port": 80, "health_check": values[2], "stickiness": values[3]}},
            "aws_lb_listener": {"http": {"port": 80, "default_action": {"type": "forward", "target_group_arn": web}}},
            "aws_lb_listener_rule": {"guard": {
                "listener_arn": "${aws_lb_listener.http.arn}", "priority": values[4], "condition": {"path_pattern": {"values": values[5]}, "query_string": values[6]},
                "action": {"type": "redirect", "redirect": {"host": values[7], "status_code": "HTTP_301"}}, "transform": values[8]}},
            "aws_lb_target_group_attachment": {"one": {"target_group_arn": web, "target_id": values[9]}},
        }}))?;
    }
}

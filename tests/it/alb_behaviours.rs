//! Small behaviours of an ALB that applications and dashboards rely on, each a row of docs/alb-parity.md.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::client::{connect, parameter, raw};
use crate::support::gateway::{Plan, authenticate, rule, vestibule};
use crate::support::oracles::{no_bypass, sign_in, start_login};
use crate::support::raw_target::{head, target};

/// What `check` says of the configuration after a change.
fn checked(world: &World, change: impl FnOnce(&mut Value)) -> (Option<i32>, String) {
    let file = world.gateway.configuration_file();
    let mut configuration: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    change(&mut configuration);
    let other = file.with_file_name("changed.yaml");
    std::fs::write(&other, format!("{configuration:#}\n")).unwrap();
    let output = vestibule().args(["check", "--config"]).arg(&other).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn forward() -> Value {
    json!({"forward": "app"})
}

#[test]
fn actions_stand_in_their_order_and_there_is_one_that_routes() {
    let world = World::start();
    let sign_in = authenticate("op", "deny");
    for (actions, said) in [
        (json!([forward(), sign_in]), "authenticate"),
        (json!([sign_in, sign_in, forward()]), "first"),
        (json!([forward(), {"fixed_response": {"status_code": 200}}]), "comes last"),
        (json!([sign_in]), "after it"),
        (json!([]), "there is no action"),
    ] {
        let (status, output) = checked(&world, |configuration| configuration["listeners"][0]["rules"][0]["actions"] = actions.clone());
        assert_eq!(status, Some(2), "{actions}: {output}");
        assert!(output.contains(said) && output.contains("listeners[0].rules[0].actions"), "{actions}: {output}");
        assert!(output.contains("changed.yaml:"), "{output}");
    }
}

#[test]
fn extra_parameters_cannot_weaken_a_login_and_there_are_ten_at_most() {
    let world = World::start();
    for name in ["state", "redirect_uri", "nonce", "code_challenge", "client_id", "response_type", "scope", "request"] {
        let (status, output) = checked(&world, |configuration| {
            configuration["listeners"][0]["default_actions"][0]["authenticate"]["authentication_request_extra_params"] =
                json!({ name: "x" });
        });
        assert!(status == Some(2) && output.contains(&format!("{name} is the gateway's own parameter")), "{name}: {output}");
    }
    let many: serde_json::Map<String, Value> = (0..11).map(|number| (format!("p{number}"), json!("x"))).collect();
    let (status, output) = checked(&world, |configuration| {
        configuration["listeners"][0]["default_actions"][0]["authenticate"]["authentication_request_extra_params"] = many.into();
    });
    assert!(status == Some(2) && output.contains("at most 10"), "{output}");
}

#[test]
fn what_is_no_origin_is_told_once_however_many_providers_there_are() {
    let world = World::start();
    let (status, output) = checked(&world, |configuration| {
        let mut second = configuration["identity_providers"]["op"].clone();
        second["client_id"] = json!("second");
        configuration["identity_providers"]["other"] = second;
        let sign_in = &mut configuration["listeners"][0]["default_actions"][0]["authenticate"];
        sign_in.as_object_mut().unwrap().remove("identity_provider");
        sign_in["identity_providers"] = json!(["op", "other"]);
        sign_in["allowed_origins"] = json!(["https://www.example.com", "www.example.org"]);
    });
    assert_eq!(status, Some(2), "{output}");
    assert_eq!(output.matches("\"www.example.org\" is no origin").count(), 1, "{output}");
}

#[test]
fn the_callback_moves_with_the_prefix_of_the_endpoints() {
    let world = World::start_with(|plan| plan.configuration["endpoints"] = json!({"prefix": "/gate"}));
    let mut browser = world.browser();
    let login = start_login(&world, &mut browser, "/page");
    assert_eq!(parameter(&login, "redirect_uri").unwrap(), world.gateway.url("/gate/idpresponse"));
    let callback = world.provider.approve(&login);
    assert_eq!(browser.get(&callback).status(), 302);
    assert_eq!(browser.get("/page").status(), 200);
    assert_eq!(browser.get("/oauth2/idpresponse?code=x&state=y").status(), 200, "the application's again");
}

#[test]
fn f17_a_real_preflight_passes_bare_where_the_rule_says_so() {
    for allowed in [false, true] {
        let world = World::start_with(|plan| plan.authentication()["allow_cors_preflight"] = json!(allowed));
        let mut browser = world.browser();
        sign_in(&world, &mut browser, "/");
        let asked = |more: &str| {
            let cookie = browser.cookie_header();
            let head = format!("OPTIONS /page HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n", world.gateway.authority());
            raw(&world.gateway, format!("{head}{more}\r\n").replace(&cookie, "")).unwrap().status()
        };
        let mark = world.target.count();
        let status = asked("Origin: https://other.test\r\nAccess-Control-Request-Method: PUT\r\n");
        assert_eq!(status, if allowed { 200 } else { 401 });
        if allowed {
            crate::support::oracles::no_identity(&world.target.last(), "preflight");
        } else {
            no_bypass(&world, mark, None, "preflight");
        }
        // Half of one is none.
        assert_eq!(asked("Origin: https://other.test\r\n"), 401);
        assert_eq!(asked("Access-Control-Request-Method: PUT\r\n"), 401);
    }
}

#[test]
fn of_a_long_list_of_proxies_the_nearest_thirty_are_kept() {
    let world = World::start_with(|plan| plan.listener()["trusted_proxies"] = json!(["127.0.0.0/8"]));
    let list: Vec<String> = (0..50).map(|number| format!("192.0.2.{number}")).collect();
    let response = world.browser().get_with("/public/page", &[("X-Forwarded-For", &list.join(", "))]);
    assert_eq!(response.status(), 200, "{response}");
    let seen = world.target.last().get("x-forwarded-for").unwrap().to_owned();
    let seen: Vec<&str> = seen.split(", ").collect();
    assert!(seen.len() == 30 || seen.len() == 31, "{seen:?}");
    assert!(seen.ends_with(&["192.0.2.49", "127.0.0.1"]), "{seen:?}");
}

#[test]
fn client_that_leaves_before_the_answer_is_460_in_the_log() {
    let address = target(|mut stream, _| {
        head(&mut stream);
        let _ = std::io::Read::read(&mut stream, &mut [0]);
    });
    let world = World::start_with(|plan| plan.configuration["target_groups"]["app"] = json!({"targets": [address.to_string()]}));
    let mut wire = connect(world.gateway.port);
    wire.send(format!("GET /public/slow HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority()).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    drop(wire);
    let lines = world.gateway.access_lines_with(1, |line| line["elb_status_code"] == 460);
    assert_eq!(lines.len(), 1, "{:?}", world.gateway.access_lines());
    assert_eq!(lines[0]["error_reason"], "ClientClosedConnection");
}

#[test]
fn codings_and_versions_that_are_not_known_are_400() {
    let world = World::start();
    let authority = world.gateway.authority();
    for request in [
        format!("POST /public HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n"),
        format!("GET /public HTTP/1.2\r\nHost: {authority}\r\n\r\n"),
        format!("GET /public HTTP/2.0\r\nHost: {authority}\r\n\r\n"),
    ] {
        let mark = world.target.count();
        let status = raw(&world.gateway, &request).map_or(400, |response| response.status());
        assert_eq!(status, 400, "{request}");
        no_bypass(&world, mark, None, &request);
    }
}

#[test]
fn fixed_responses_are_sent_as_they_are_written() {
    let world = World::start_with(|plan: &mut Plan| {
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(1, "/plain", &json!([{"fixed_response": {"status_code": 404, "message_body": "not here, é"}}])));
        let json_body = json!({"status_code": 299, "content_type": "application/json", "message_body": "{\"a\": 1}"});
        rules.push(rule(2, "/json", &json!([{"fixed_response": json_body}])));
        rules.push(rule(3, "/empty", &json!([{"fixed_response": {"status_code": 503}}])));
        rules.push(rule(
            4,
            "/inside",
            &json!([authenticate("op", "deny"), {"fixed_response": {"status_code": 200, "message_body": "in"}}]),
        ));
    });
    for (path, status, kind, body) in
        [("/plain", 404, "text/plain", "not here, é"), ("/json", 299, "application/json", "{\"a\": 1}"), ("/empty", 503, "text/plain", "")]
    {
        let response = world.browser().get(path);
        assert_eq!((response.status(), response.get("content-type"), response.text().as_str()), (status, Some(kind), body), "{path}");
        assert_eq!(response.get("content-length"), Some(body.len().to_string().as_str()), "{path}");
    }
    assert_eq!(world.browser().get("/inside").status(), 401);
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    assert_eq!(browser.get("/plain").status(), 404);
}

#[test]
fn the_log_tells_actions_and_rule_in_albs_words() {
    let world = World::start_with(|plan| {
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(7, "/gone", &json!([{"fixed_response": {"status_code": 410}}])));
        rules.push(rule(8, "/moved", &json!([{"redirect": {"path": "/new", "status_code": "HTTP_301"}}])));
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    for (path, status, priority, actions) in [
        ("/page", 200, json!(0), "authenticate,forward"),
        ("/public/x", 200, json!(30), "forward"),
        ("/gone", 410, json!(7), "fixed-response"),
        ("/moved", 301, json!(8), "redirect"),
    ] {
        assert_eq!(browser.get(path).status(), status, "{path}");
        let asked = format!("{path} HTTP/");
        let lines = world.gateway.access_lines_with(1, |line| line["request"].as_str().is_some_and(|request| request.contains(&asked)));
        assert_eq!((&lines[0]["matched_rule_priority"], &lines[0]["actions_executed"]), (&priority, &json!(actions)), "{path}: {lines:?}");
    }
    let signed_out = world.browser().get("/deny/x");
    assert_eq!(signed_out.status(), 401);
    let lines = world.gateway.access_lines_with(1, |line| line["elb_status_code"] == 401);
    assert_eq!(lines[0]["actions_executed"], "authenticate", "{lines:?}");
}

#[test]
fn reasons_in_albs_line_are_albs_own_words() {
    let world = World::start_with(|plan| plan.configuration["access_log"]["format"] = json!("alb"));
    for (path, reason) in [
        ("/oauth2/idpresponse?code=x&state=y", "\"AuthInvalidStateParam\""),
        ("/oauth2/idpresponse?code=x", "\"AuthMissingStateParam\""),
        ("/../x", "\"-\""),
    ] {
        let agent = crate::support::secrets::random(12);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {agent}\r\n\r\n", world.gateway.authority());
        let status = raw(&world.gateway, request).map(|response| response.status());
        assert!(matches!(status, Some(400 | 401)), "{path}: {status:?}");
        let logged = crate::support::gateway::eventually(Duration::from_secs(3), || {
            let log = world.gateway.access_log();
            log.lines().any(|line| line.contains(&agent) && line.contains(&format!(" {reason} ")))
        });
        assert!(logged, "{path}: {}", world.gateway.access_log());
    }
}

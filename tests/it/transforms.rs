//! Transforms of a rule (ALB: Transforms for listener rules; P16).

use serde_json::{Value, json};

use crate::support::World;
use crate::support::client::raw;
use crate::support::gateway::{authenticate, rule};
use crate::support::oracles::{identity_of, sign_in};

fn rewriting(path: &str, actions: &Value, transforms: &Value) -> Value {
    let mut rule = rule(1, path, actions);
    rule["transforms"] = transforms.clone();
    rule
}

#[test]
fn target_receives_the_rewritten_host_and_url() {
    let world = World::start_with(|plan| {
        let transforms = json!({
            "host_header_rewrite": {"regex": "^([a-z]+)\\.test$", "replace": "internal-$1.example"},
            "url_rewrite": {"regex": "^/shop/([0-9]+)", "replace": "/product?id=$1"},
        });
        plan.listener()["rules"] = json!([
            rewriting("/shop/*", &json!([authenticate("op", "authenticate"), {"forward": "app"}]), &transforms),
            // What a URL is made into chooses no other rule.
            {"priority": 2, "conditions": [{"path_pattern": ["/product*"]}], "actions": [{"fixed_response": {"status_code": 403}}]},
        ]);
    });
    let mut browser = world.browser();
    let arrived = sign_in(&world, &mut browser, "/shop/12");
    // The person stays at the URL that was asked for.
    assert!(arrived.location().unwrap().ends_with("/shop/12"), "{arrived}");
    assert_eq!(browser.get("/shop/12").status(), 200);
    let seen = world.target.last();
    assert_eq!(seen.target, "/product?id=12");
    assert_eq!(seen.get("host"), Some(format!("internal-app.example:{}", world.gateway.port).as_str()));
    identity_of(&seen, "alice", "rewritten");

    assert_eq!(browser.get("/shop/none").status(), 200);
    let seen = world.target.last();
    assert_eq!(seen.target, "/shop/none", "no match, nothing is rewritten");
    assert_eq!(browser.get("/product?id=12").status(), 403);
}

#[test]
fn p16_rewrite_leads_nowhere_that_could_not_be_asked_for() {
    let world = World::start_with(|plan| {
        let transforms = json!({"url_rewrite": {"regex": "^/api(.*)", "replace": "/$1"}});
        let broken = json!({"url_rewrite": {"regex": "^/", "replace": ""}});
        let mut second = rewriting("/broken", &json!([{"forward": "app"}]), &broken);
        second["priority"] = json!(2);
        plan.listener()["rules"] = json!([rewriting("/api*", &json!([{"forward": "app"}]), &transforms), second]);
    });
    let ask = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.gateway.authority());
        raw(&world.gateway, request).unwrap()
    };
    let mark = world.target.count();
    assert_eq!(ask("/api../admin").status(), 400);
    assert_eq!(ask("/api..;/admin").status(), 400);
    assert_eq!(ask("/api..").status(), 400);
    // An expression of the operator's that makes no URL is not the visitor's fault.
    assert_eq!(ask("/broken").status(), 500);
    assert_eq!(world.target.count(), mark, "something was sent to the target");
    assert!(world.gateway.logs_reason("TransformFailed"));
    assert_eq!(ask("/apiv1").status(), 200);
    assert_eq!(world.target.last().target, "/v1");
}

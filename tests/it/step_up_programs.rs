//! Step-up where nobody can be redirected: scripts, tokens, open connections (RFC 9470 §3 and §4).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::step_up::{REASON, demanding, sign_ins_have, world};
use crate::support::World;
use crate::support::bearer::{self, AUDIENCE, accepted, refused, token, token_with};
use crate::support::client::{NAVIGATE, connect};
use crate::support::gateway::eventually;
use crate::support::oracles::sign_in;
use crate::support::provider::{put, unix_time};

#[test]
fn scripts_learn_what_is_missing_and_where_to_get_it() {
    let world = world();
    let mut browser = world.browser();
    sign_ins_have(&world, json!({"auth_time": unix_time() - 3600}));
    sign_in(&world, &mut browser, "/");
    for (path, said) in [
        ("/admin/data", "error_description=\"A different authentication level is required\", acr_values=\"gold silver\""),
        ("/recent/data", "error_description=\"More recent authentication is required\", max_age=\"900\""),
        ("/mfa/data", "error_description=\"Another authentication method is required\""),
        ("/deny-admin/data", "error_description=\"A different authentication level is required\", acr_values=\"gold silver\""),
    ] {
        let seen = world.target.count();
        let response = browser.fetch(path);
        assert_eq!(response.status(), 401, "{path}: {response}");
        assert_eq!(response.get("location"), None);
        let challenges = response.head.all("www-authenticate");
        let bearer = challenges.iter().find(|challenge| challenge.starts_with("Bearer ")).unwrap();
        assert!(bearer.ends_with(&format!("error=\"insufficient_user_authentication\", {said}")), "{path}: {bearer}");
        assert!(challenges.iter().any(|challenge| challenge.starts_with("Cookie ")), "{challenges:?}");
        let body = response.json();
        assert_eq!(body["error"], "insufficient_user_authentication");
        let login = body["login_url"].as_str().unwrap();
        assert!(login.starts_with(&world.gateway.url("/oauth2/login?rule=")), "{login}");
        assert!(browser.get(login).location().unwrap().starts_with(world.provider.issuer()));
        assert_eq!(world.target.count(), seen, "{path}: the target saw a request");
    }
    let posted = browser.request("POST", "/admin/data", NAVIGATE, &[], Some(b"x"));
    assert_eq!(posted.status(), 401, "what was sent would be lost in a redirect: {posted}");
    assert!(world.gateway.logs_reason(REASON));
    // Whoever is not signed in at all hears as before.
    assert_eq!(world.browser().fetch("/admin/data").json()["error"], "sign_in_required");
}

fn world_with_tokens() -> World {
    World::start_with(|plan| {
        bearer::rules(plan, &json!({"audiences": [AUDIENCE]}), &json!([{"name": "aud", "format": "string_array", "values": [AUDIENCE]}]));
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        let (api, jwt) = (rules.len() - 2, rules.len() - 1);
        let demands = json!({"acr_values": ["gold"], "max_age": "15m", "amr": ["mfa"]});
        for (name, value) in demands.as_object().unwrap() {
            rules[api]["actions"][0]["authenticate"][name] = value.clone();
            rules[jwt]["actions"][0]["jwt_validation"][name] = value.clone();
        }
    })
}

#[test]
fn a_good_token_of_a_weak_sign_in_gets_the_challenge_of_rfc_9470() {
    let world = world_with_tokens();
    let enough = || json!({"acr": "gold", "amr": ["pwd", "mfa"], "auth_time": unix_time() - 60});
    let with = |name: &str, value: serde_json::Value| {
        token(&world, |_, claims| {
            for (name, value) in enough().as_object().unwrap() {
                put(claims, name, value.clone());
            }
            put(claims, name, value);
        })
    };
    for path in ["/api", "/jwt"] {
        accepted(&world, path, &with("scope", json!("read")), path);
        let expected = (401, "insufficient_user_authentication", "JWTInsufficientAuthentication");
        for (variant, weak) in [
            ("acr", with("acr", json!("bronze"))),
            ("no acr", with("acr", json!(null))),
            ("old", with("auth_time", json!(unix_time() - 901))),
            ("auth_time 0", with("auth_time", json!(0))),
            ("no auth_time", with("auth_time", json!(null))),
            ("from the future", with("auth_time", json!(unix_time() + 600))),
            ("amr", with("amr", json!(["pwd"]))),
            ("a machine's", token_with(&world, "scope", json!("read"))),
        ] {
            let response = refused(&world, path, &weak, expected, variant);
            let challenge = response.get("www-authenticate").unwrap();
            assert!(challenge.contains(", acr_values=\"gold\", max_age=\"900\""), "{variant}: {challenge}");
            assert_eq!(response.json()["error"], "insufficient_user_authentication", "{variant}");
        }
        // A token that is not good hears of that alone.
        let expired = with("exp", json!(unix_time() - 600));
        refused(&world, path, &expired, (401, "invalid_token", "JWTClaimValueInvalid"), "expired");
    }
}

#[test]
fn a_token_that_is_known_grows_too_old() {
    let world = world_with_tokens();
    let aging = token(&world, |_, claims| {
        put(claims, "acr", json!("gold"));
        put(claims, "amr", json!(["mfa"]));
        put(claims, "auth_time", json!(unix_time() - 900 + 4));
    });
    accepted(&world, "/api", &aging, "in time");
    let too_old = || bearer::with_token(&world, "/api", &aging).status() == 401;
    assert!(eventually(Duration::from_secs(10), too_old));
}

#[test]
fn what_was_opened_in_time_ends_when_the_sign_in_is_too_old() {
    let world = World::start_with(|plan| demanding(plan, 1, "/socket", "authenticate", &json!({"max_age": "15m"})));
    let mut browser = world.browser();
    sign_ins_have(&world, json!({"auth_time": unix_time() - 900 + 6}));
    sign_in(&world, &mut browser, "/");
    let mut wire = connect(world.gateway.port);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let request =
        format!("GET /socket HTTP/1.1\r\nHost: {}\r\n{upgrade}\r\nCookie: {}\r\n\r\n", world.gateway.authority(), browser.cookie_header());
    wire.send(request.as_bytes()).unwrap();
    assert_eq!(wire.response("GET").unwrap().status(), 101);
    let since = Instant::now();
    wire.read_timeout(Duration::from_secs(15));
    assert!(wire.exactly(1).is_err());
    assert!(since.elapsed() < Duration::from_secs(12), "closed after {:?}", since.elapsed());
    let closed = || world.gateway.access_lines().iter().any(|line| line["error_reason"] == REASON && line["target_status_code"] == 101);
    assert!(eventually(Duration::from_secs(5), closed));
    // The session itself goes on.
    assert_eq!(browser.get("/page").status(), 200);
}

//! `/sessions` on the admin address: who is signed in, the end of it, and who may ask.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::bearer::counter;
use crate::support::certificates::certificates;
use crate::support::client::Browser;
use crate::support::gateway::serve_refused;
use crate::support::oracles::{assert_signed_in, is_signed_out, sign_in_as};
use crate::support::provider::unix_time;
use crate::support::wire::Response;

fn signed_in(world: &World, user: &str) -> Browser {
    let mut browser = world.browser();
    sign_in_as(world, &mut browser, "/", user);
    assert_signed_in(&mut browser, user);
    browser
}

fn list(world: &World, query: &str) -> Vec<Value> {
    let response = world.gateway.ask_admin("GET", &format!("/sessions{query}"), &[]);
    assert_eq!((response.status(), response.get("cache-control")), (200, Some("no-store")), "{response}");
    assert_eq!(response.get("access-control-allow-origin"), None);
    let body = response.json();
    let listed = body["sessions"].as_array().unwrap().clone();
    assert!(body["total"].as_u64().unwrap() >= listed.len() as u64, "{body}");
    listed
}

fn end(world: &World, path: &str) -> (u16, Value) {
    let response = world.gateway.ask_admin("DELETE", path, &[]);
    (response.status(), response.json())
}

/// What the log calls the session.
fn hash(world: &World, browser: &mut Browser, path: &str) -> String {
    assert_eq!(browser.get(path).status(), 200);
    let lines = world.gateway.access_lines_with(1, |line| line["request"].as_str().is_some_and(|request| request.contains(path)));
    lines[0]["session_id"].as_str().unwrap().to_owned()
}

#[test]
fn sessions_are_listed_without_a_token_or_a_claim() {
    let world = World::start();
    let mut alice = signed_in(&world, "alice");
    let _bob = signed_in(&world, "bob");
    let sessions = list(&world, "");
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    let own = sessions.iter().find(|session| session["subject"] == "alice").unwrap();
    assert_eq!(own["id"], json!(hash(&world, &mut alice, "/which")));
    let now = u64::try_from(unix_time()).unwrap();
    let (signed_in_at, last_seen_at) = (own["signed_in_at"].as_u64().unwrap(), own["last_seen_at"].as_u64().unwrap());
    assert!(signed_in_at <= last_seen_at && last_seen_at <= now && now - signed_in_at < 60, "{own}");
    assert_eq!(own["expires_at"], json!(signed_in_at + 7 * 24 * 60 * 60));
    let names: Vec<&str> = own.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    let text = world.gateway.ask_admin("GET", "/sessions", &[]).text();
    assert!(world.secrets.leaks(&text).is_empty() && !text.contains("@example.com"), "{text}");

    assert_eq!(list(&world, "?subject=bob").len(), 1);
    assert_eq!(list(&world, "?identity_provider=op&limit=1").len(), 1);
    assert_eq!(list(&world, "?identity_provider=other").len(), 0);
    assert_eq!(world.gateway.ask_admin("GET", "/sessions?user=bob", &[]).status(), 400);
}

#[test]
fn session_is_ended_by_its_hash_in_every_copy() {
    let world = World::start();
    let (mut first, mut second) = (signed_in(&world, "alice"), signed_in(&world, "alice"));
    let mut copy = first.copy();
    let id = hash(&world, &mut first, "/which");
    assert_eq!(end(&world, &format!("/sessions/{id}")), (200, json!({"ended": true, "seen": 1})));
    assert!(is_signed_out(&world, &mut first) && is_signed_out(&world, &mut copy));
    assert_signed_in(&mut second, "the other session");
    assert_eq!(list(&world, "").len(), 1);
    assert_eq!(end(&world, &format!("/sessions/{id}")), (200, json!({"ended": true, "seen": 0})), "twice");
    assert_eq!(counter(&world, "vestibule_sessions_revoked_total"), 1);
    for wrong in ["x", "0123456789abcde", "0123456789ABCDEF", "%2e%2e"] {
        assert_eq!(end(&world, &format!("/sessions/{wrong}")).0, 400, "{wrong}");
    }
    assert!(world.gateway.log().contains(&id), "the log tells of it");
}

#[test]
fn session_that_this_instance_has_not_seen_is_ended_by_its_hash_too() {
    let world = World::start();
    let mut alice = signed_in(&world, "alice");
    let id = hash(&world, &mut alice, "/which");
    // Another instance with the same keys, which has only been told.
    let configuration = std::fs::read_to_string(world.gateway.configuration_file()).unwrap();
    let configuration: Value = serde_json::from_str(&configuration).unwrap();
    let other = World::start_with(|plan| {
        plan.configuration["sessions"] = configuration["sessions"].clone();
        plan.configuration["identity_providers"] = configuration["identity_providers"].clone();
    });
    let mut there = other.browser();
    there.cookies = alice.cookies.clone();
    let mut copy = there.copy();
    assert_eq!(end(&other, &format!("/sessions/{id}")), (200, json!({"ended": true, "seen": 0})));
    assert_eq!(there.get("/deny/page").status(), 401);
    assert_eq!(copy.fetch("/oauth2/session").json()["signed_in"], false);
    assert_signed_in(&mut alice, "where nobody has said anything");
}

#[test]
fn all_sessions_of_a_person_are_ended() {
    let world = World::start();
    let (mut first, mut second, mut bob) = (signed_in(&world, "alice"), signed_in(&world, "alice"), signed_in(&world, "bob"));
    let mut unseen = world.browser();
    sign_in_as(&world, &mut unseen, "/", "alice");
    assert_eq!(end(&world, "/sessions?subject=alice&identity_provider=op"), (200, json!({"ended": true, "seen": 2})));
    for browser in [&mut first, &mut second, &mut unseen] {
        assert!(is_signed_out(&world, browser));
    }
    assert_signed_in(&mut bob, "bob");
    for (path, status) in [
        ("/sessions", 400),
        ("/sessions?subject=bob", 400),
        ("/sessions?identity_provider=op", 400),
        ("/sessions?subject=bob&subject=alice&identity_provider=op", 400),
        ("/sessions?subject=bob&identity_provider=op&x=y", 400),
        ("/sessions?subject=bob&identity_provider=nobody", 404),
    ] {
        assert_eq!(end(&world, path).0, status, "{path}");
    }
    assert_signed_in(&mut bob, "bob after all");
}

#[test]
fn without_a_token_only_programs_of_this_machine_are_answered() {
    let world = World::start();
    let mut alice = signed_in(&world, "alice");
    let path = "/sessions?subject=alice&identity_provider=op";
    for (variant, lines) in [
        ("DNS rebinding", vec![("Host", "evil.test:9901")]),
        ("a name that begins alike", vec![("Host", "localhost.evil.test")]),
        ("another address", vec![("Host", "10.0.0.1:9901")]),
        ("a page of another origin", vec![("Origin", "https://evil.test")]),
        ("a sandboxed page", vec![("Origin", "null")]),
        ("fetch() of another site", vec![("Sec-Fetch-Site", "cross-site")]),
        ("an image of the same site", vec![("Sec-Fetch-Site", "same-site")]),
    ] {
        for method in ["GET", "DELETE", "OPTIONS"] {
            let response = world.gateway.ask_admin(method, path, &lines);
            assert_eq!(response.status(), 403, "{variant}: {response}");
            assert_eq!(response.get("access-control-allow-origin"), None, "{variant}");
            assert!(!response.text().contains("alice"), "{variant}: {response}");
        }
    }
    assert_signed_in(&mut alice, "after all");
    for host in ["localhost:9901", "[::1]:9901"] {
        assert_eq!(world.gateway.ask_admin("GET", "/sessions", &[("Host", host)]).status(), 200, "{host}");
    }
    // Health and metrics stay as they are.
    assert_eq!(world.gateway.ask_admin("GET", "/readyz", &[("Host", "probe.internal")]).status(), 200);
}

#[test]
fn configured_token_is_asked_for_on_loopback_too() {
    let token = "q8ZtQmJ0b2tlbi1vZi10aGUtYWRtaW4tYWRkcmVzcw==";
    let world = World::start_with(|plan| {
        let file = certificates().secret_file("admin.token", &format!("{token}\n"));
        plan.configuration["admin"]["token"] = json!({"file": file});
    });
    world.secrets.add(token, "admin token");
    let ask = |lines: &[(&str, &str)]| -> Response { world.gateway.ask_admin("GET", "/sessions", lines) };
    let with = |value: &str| ask(&[("Authorization", value)]);
    let good = format!("Bearer {token}");
    for (variant, response) in [
        ("none", ask(&[])),
        ("another", with("Bearer q8ZtQmJ0b2tlbi1vZi10aGUtYWRtaW4tYWRkcmVzcx==")),
        ("a part", with("Bearer q8ZtQmJ0")),
        ("more", with(&format!("{good}x"))),
        ("empty", with("Bearer ")),
        ("no scheme", with(token)),
        ("Basic", with(&format!("Basic {token}"))),
        ("two", ask(&[("Authorization", &good), ("Authorization", "Bearer x")])),
    ] {
        assert_eq!(response.status(), 401, "{variant}: {response}");
        assert!(response.get("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer ")), "{variant}: {response}");
    }
    assert_eq!(with(&good).status(), 200);
    assert_eq!(ask(&[("Authorization", &format!("bearer {token}")), ("Host", "admin.internal:9901")]).status(), 200);
    assert_eq!(world.gateway.ask_admin("DELETE", "/sessions/0123456789abcdef", &[]).status(), 401);
    assert_eq!(world.gateway.admin("/metrics").unwrap().status(), 200);
}

#[test]
fn address_that_others_reach_lists_nobody_without_a_token() {
    let world = World::start_with(|plan| {
        let port = plan.admin_port;
        plan.configuration["admin"]["address"] = json!(format!("0.0.0.0:{port}"));
    });
    for method in ["GET", "DELETE"] {
        assert_eq!(world.gateway.ask_admin(method, "/sessions", &[("Host", "127.0.0.1")]).status(), 403, "{method}");
    }
    assert_eq!(world.gateway.admin("/readyz").unwrap().status(), 200);
}

#[test]
fn token_that_can_be_guessed_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    for (token, said) in [("hunter2", "has 7 characters"), ("a token with spaces that is long enough", "of visible ASCII")] {
        let configuration = json!({
            "listeners": [{"address": "127.0.0.1:0", "protocol": "http", "hosts": ["app.test"],
                "default_actions": [{"fixed_response": {"status_code": 404}}]}],
            "admin": {"address": "127.0.0.1:0", "token": token},
        });
        let refusal = serve_refused(folder.path(), configuration.to_string().as_bytes());
        assert_eq!(refusal.status, Some(2), "{}", refusal.output);
        assert!(refusal.output.contains(said) && refusal.output.contains("admin.token"), "{}", refusal.output);
        assert!(!refusal.output.contains("hunter2"), "the token is shown");
    }
}

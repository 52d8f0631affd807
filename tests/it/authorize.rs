//! `authorize`: whom of those that are signed in a rule lets pass, what the others get, and what is written down.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::bearer;
use crate::support::client::{Browser, FETCH, NAVIGATE};
use crate::support::gateway::{Plan, authenticate, eventually, rule};
use crate::support::oracles::{identity_of, no_bypass, no_identity, sign_in_as};

/// A rule for `path` that signs people in and asks `policy`.
fn guarded(plan: &mut Plan, priority: u32, path: &str, mode: &str, policy: &Value) {
    let actions = json!([authenticate("op", mode), {"authorize": policy}, {"forward": "app"}]);
    plan.listener()["rules"].as_array_mut().unwrap().push(rule(priority, path, &actions));
}

fn world(policies: &[(&str, Value)]) -> World {
    World::start_with(|plan| {
        for (index, (path, policy)) in policies.iter().enumerate() {
            guarded(plan, 100 + u32::try_from(index).unwrap(), path, "authenticate", policy);
        }
    })
}

/// Somebody whom the provider describes so, signed in.
fn person(world: &World, name: &str, claims: Value) -> Browser {
    world.provider.set(|behaviour| behaviour.users.insert(name.to_owned(), claims));
    let mut browser = world.browser();
    sign_in_as(world, &mut browser, "/", name);
    browser
}

#[track_caller]
fn line(world: &World, path: &str) -> Value {
    let ends = format!("{path} HTTP/1.1");
    let lines = world.gateway.access_lines_with(1, |line| line["request"].as_str().is_some_and(|request| request.ends_with(&ends)));
    lines.last().unwrap_or_else(|| panic!("{path} is not in the access log")).clone()
}

#[test]
fn people_of_a_group_pass_with_their_identity_and_others_get_a_page_with_a_way_out() {
    let world = world(&[("/staff*", json!({"groups": ["staff", "admins"]}))]);
    let mut alice = person(&world, "alice", json!({"email": "alice@example.com", "groups": ["staff"]}));
    assert_eq!(alice.get("/staff/x").status(), 200);
    identity_of(&world.target.last(), "alice", "allowed");
    let allowed = line(&world, "/staff/x");
    assert_eq!(
        (&allowed["authorize_decision"], &allowed["authorize_reason"], &allowed["actions_executed"], &allowed["auth_outcome"]),
        (&json!("allowed"), &json!("-"), &json!("authenticate,authorize,forward"), &json!("session"))
    );

    let mut bob = person(&world, "bob", json!({"email": "bob@example.com", "groups": ["guests"]}));
    let mark = world.target.count();
    let page = bob.get("/staff/secret?x=1");
    assert_eq!(page.status(), 403);
    no_bypass(&world, mark, Some(&page), "not of the group");
    let text = page.text();
    assert!(text.contains("bob@example.com") && text.contains("this page is for others"), "{text}");
    assert!(page.get("content-security-policy").unwrap().contains("default-src 'none'") && page.get("cache-control") == Some("no-store"));
    let refused = line(&world, "/staff/secret?x=1");
    assert_eq!(
        (&refused["authorize_decision"], &refused["error_reason"], &refused["auth_outcome"], &refused["matched_rule_priority"]),
        (&json!("refused"), &json!("AuthForbidden"), &json!("refused"), &json!(100))
    );
    assert_eq!(refused["authorize_detail"], "groups: none of these is in the claim groups");
    assert!(text.contains(refused["request_id"].as_str().unwrap()), "the page has no request id");
    assert!(
        !refused["authorize_detail"].as_str().unwrap().contains("guests") && !world.gateway.log().contains("guests"),
        "a claim in a log"
    );

    let program = bob.fetch("/staff/secret");
    assert_eq!((program.status(), program.get("content-type")), (403, Some("application/json")));
    let said: Value = serde_json::from_str(&program.text()).unwrap();
    assert_eq!(said["error"], "forbidden");
    assert!(said["request_id"].is_string() && !program.text().contains("bob"), "{said}");
    let posted = bob.request("POST", "/staff/secret", NAVIGATE, &[], Some(b"a=1"));
    assert_eq!(posted.status(), 403);

    let socket = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    assert_eq!(bob.request("GET", "/staff/socket", &[], &socket, None).status(), 403);
    no_bypass(&world, mark, None, "fetch, form and socket");

    // The way out: signs out and comes back to the page, for somebody else to sign in.
    let link = text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).find(|link| link.contains("logout"));
    let link = link.unwrap_or_else(|| panic!("no way out: {text}")).replace("&#x2f;", "/").replace("&amp;", "&");
    let own_page = [("Sec-Fetch-Site", "same-origin")];
    let out = bob.request("GET", &link, &NAVIGATE[..4], &own_page, None);
    assert_eq!(out.status(), 302, "{link}: {out}");
    assert!(bob.session().is_empty(), "still signed in");
}

#[test]
fn a_session_that_one_rule_lets_pass_is_asked_about_again_by_another() {
    let world = world(&[("/one*", json!({"groups": ["one"]})), ("/two*", json!({"groups": ["two"]}))]);
    let mut alice = person(&world, "alice", json!({"groups": ["one"]}));
    for _ in 0..2 {
        assert_eq!((alice.get("/one").status(), alice.get("/two").status(), alice.get("/else").status()), (200, 403, 200));
    }
}

#[test]
fn shadow_mode_lets_pass_and_counts_whom_it_would_have_refused() {
    let world = world(&[("/shadow*", json!({"groups": ["staff"], "mode": "shadow"}))]);
    let mut bob = person(&world, "bob", json!({"groups": ["guests"]}));
    assert_eq!(bob.get("/shadow/x").status(), 200);
    identity_of(&world.target.last(), "bob", "shadow");
    let line = line(&world, "/shadow/x");
    assert_eq!(
        (&line["authorize_decision"], &line["authorize_reason"], &line["error_reason"], &line["elb_status_code"]),
        (&json!("would_refuse"), &json!("AuthForbidden"), &json!("-"), &json!(200))
    );
    let metric = format!(
        "vestibule_authorize_total{{decision=\"would_refuse\",listener=\"127.0.0.1:{}\",reason=\"AuthForbidden\",rule=\"100\"}} 1",
        world.gateway.port
    );
    assert!(
        eventually(Duration::from_secs(5), || world.gateway.admin("/metrics").unwrap().text().contains(&metric)),
        "{metric} is missing in:\n{}",
        world.gateway.admin("/metrics").unwrap().text()
    );
}

/// T41 among them: an address that is not verified, or only looks like one of the domain.
#[test]
fn whoever_the_policy_does_not_plainly_allow_is_refused_and_the_log_says_why() {
    let staff = json!({"allow": "claims.groups.exists(g, g == \"staff\")"});
    let not_banned = json!({"allow": "!has(claims.groups) || !(\"banned\" in claims.groups)"});
    let example = json!({"emails": ["*@example.com"]});
    let sales = json!({"claims": {"department": ["sales", "it"]}, "allow": "request.method == \"GET\""});
    let broken = json!({"allow": "claims.level > 3"});
    let world = world(&[("/staff", staff), ("/not-banned", not_banned), ("/example", example), ("/sales", sales), ("/level", broken)]);
    let overage = json!({"groups": "src1"});
    for (index, (path, claims, reason)) in [
        ("/staff", json!({"groups": ["staff"]}), ""),
        ("/staff", json!({"groups": []}), "AuthForbidden"),
        ("/staff", json!({}), "AuthMissingClaim"),
        ("/staff", json!({"groups": "staff"}), "AuthPolicyError"),
        ("/staff", json!({"_claim_names": overage, "_claim_sources": {"src1": {"endpoint": "https://graph.test"}}}), "AuthIncompleteClaim"),
        ("/not-banned", json!({}), ""),
        ("/not-banned", json!({"groups": ["banned"]}), "AuthForbidden"),
        ("/not-banned", json!({"_claim_names": overage}), "AuthIncompleteClaim"),
        ("/not-banned", json!({"hasgroups": true}), "AuthIncompleteClaim"),
        ("/example", json!({"email": "a@example.com", "email_verified": true}), ""),
        ("/example", json!({"email": "a@example.com", "email_verified": "true"}), ""),
        ("/example", json!({"email": "a@example.com"}), "AuthForbidden"),
        ("/example", json!({"email": "a@example.com", "email_verified": "false"}), "AuthForbidden"),
        ("/example", json!({"email": "a@evil.test@example.com", "email_verified": true}), "AuthForbidden"),
        ("/example", json!({"email_verified": true}), "AuthMissingClaim"),
        ("/sales", json!({"department": "it"}), ""),
        ("/sales", json!({"department": ["hr", "sales"]}), ""),
        ("/sales", json!({"department": "hr"}), "AuthForbidden"),
        ("/sales", json!({}), "AuthMissingClaim"),
        ("/level", json!({"level": 4}), ""),
        ("/level", json!({"level": "4"}), "AuthPolicyError"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut browser = person(&world, &format!("person-{index}"), claims.clone());
        let status = if reason.is_empty() { 200 } else { 403 };
        let mark = world.target.count();
        let agent = format!("case-{index}");
        let response = browser.request("GET", path, &NAVIGATE[1..], &[("User-Agent", &agent)], None);
        assert_eq!(response.status(), status, "{path} {claims}: {response}");
        assert_eq!(world.target.count(), mark + usize::from(status == 200), "{path} {claims}");
        let lines = world.gateway.access_lines_with(1, |line| line["user_agent"] == agent.as_str());
        let said = lines[0]["error_reason"].as_str().unwrap().trim_matches('-').to_owned();
        assert_eq!(said, reason, "{path} {claims}: {}", lines[0]);
        if reason == "AuthMissingClaim" {
            let detail = lines[0]["error_detail"].as_str().unwrap();
            assert!(
                ["groups", "email", "department"].iter().any(|name| detail.ends_with(&format!("the claim {name} is missing"))),
                "{detail}"
            );
        }
    }
}

#[test]
fn method_host_query_headers_and_address_of_a_request_decide() {
    let world = world(&[
        ("/method", json!({"allow": "request.method in [\"GET\", \"HEAD\"]"})),
        ("/host", json!({"allow": "request.host == \"app.test\""})),
        ("/query", json!({"allow": "request.query.tenant == claims.sub"})),
        ("/header", json!({"allow": "request.headers[\"X-Env\"] == \"staging\""})),
        ("/here", json!({"allow": "request.source_ip.inNetwork(\"127.0.0.0/8\")"})),
        ("/elsewhere", json!({"allow": "request.source_ip.inNetwork(\"10.0.0.0/8\")"})),
        ("/provider", json!({"allow": "identity_provider == \"op\""})),
        ("/paths/*", json!({"allow": "!request.path.startsWith(\"/paths/admin\")"})),
    ]);
    let mut alice = person(&world, "alice", json!({}));
    let mut ask = |method: &str, path: &str, headers: &[(&str, &str)]| alice.request(method, path, NAVIGATE, headers, None).status();
    assert_eq!([ask("GET", "/method", &[]), ask("DELETE", "/method", &[])], [200, 403]);
    assert_eq!(ask("GET", "/host", &[]), 200);
    assert_eq!([ask("GET", "/query?tenant=alice", &[]), ask("GET", "/query?tenant=bob", &[]), ask("GET", "/query", &[])], [200, 403, 403]);
    // Parameter and header pollution: the application may read the other one.
    assert_eq!([ask("GET", "/query?tenant=alice&tenant=bob", &[]), ask("GET", "/query?tenant=alice&%74enant=bob", &[])], [403, 403]);
    assert_eq!([ask("GET", "/header", &[("x-env", "staging")]), ask("GET", "/header", &[("x-env", "production")])], [200, 403]);
    assert_eq!([ask("GET", "/header", &[]), ask("GET", "/header", &[("x-env", "staging"), ("x-env", "production")])], [403, 403]);
    // What a client says of its address is not asked.
    assert_eq!([ask("GET", "/here", &[]), ask("GET", "/elsewhere", &[("X-Forwarded-For", "10.0.0.1")])], [200, 403]);
    assert_eq!(ask("GET", "/provider", &[]), 200);
    // Both readings of an ambiguous path are asked about (docs/decisions/0004).
    assert_eq!([ask("GET", "/paths/x", &[]), ask("GET", "/paths/admin", &[])], [200, 403]);
    assert_eq!([ask("GET", "/paths//admin", &[]), ask("GET", "/paths//x", &[]), ask("GET", "/paths/%61dmin", &[])], [403, 200, 403]);
}

#[test]
fn whoever_was_let_in_for_a_time_is_refused_when_it_is_over() {
    let world = world(&[("/until", json!({"allow": "now < timestamp(claims.valid_until)"}))]);
    #[expect(clippy::disallowed_methods, reason = "the gateway's own clock cannot be moved from outside: the moment is chosen instead")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut early = person(&world, "early", json!({"valid_until": now + 6}));
    let mut late = person(&world, "late", json!({"valid_until": now - 1}));
    assert_eq!((early.get("/until").status(), late.get("/until").status()), (200, 403));
    assert!(eventually(Duration::from_secs(20), || early.get("/until").status() == 403), "still let in");
}

#[test]
fn where_anonymous_visitors_are_allowed_the_policy_lets_pass_whom_it_can_judge() {
    let world = World::start_with(|plan| {
        let policy = json!({"allow": "request.path == \"/mixed/open\" || \"staff\" in claims.groups"});
        guarded(plan, 5, "/mixed/*", "allow", &policy);
        guarded(plan, 6, "/negative/*", "allow", &json!({"allow": "!has(claims.blocked)"}));
        guarded(plan, 7, "/shadowed/*", "allow", &json!({"groups": ["staff"], "mode": "shadow"}));
    });
    let mut visitor = world.browser();
    assert_eq!(visitor.get("/mixed/open").status(), 200);
    no_identity(&world.target.last(), "nobody is signed in");
    let mark = world.target.count();
    for path in ["/mixed/staff", "/negative/x"] {
        let page = visitor.get(path);
        assert_eq!(page.status(), 401, "{path}");
        assert!(
            page.text().contains("/oauth2/login?rule=") || page.text().contains("&#x2f;oauth2&#x2f;login?rule="),
            "no way to sign in: {page}"
        );
        let program = visitor.request("GET", path, FETCH, &[], None);
        assert!(program.status() == 401 && program.text().contains("login_url"), "{program}");
    }
    no_bypass(&world, mark, None, "anonymous");
    assert_eq!(visitor.get("/shadowed/x").status(), 200);
    assert_eq!(line(&world, "/shadowed/x")["authorize_reason"], "AuthMissingCookie");
    let mut alice = person(&world, "alice", json!({"groups": ["staff"]}));
    assert_eq!((alice.get("/mixed/staff").status(), alice.get("/negative/x").status()), (200, 200));
    let mut bob = person(&world, "bob", json!({"groups": ["guests"]}));
    assert_eq!((bob.get("/mixed/staff").status(), bob.get("/mixed/open").status()), (403, 200));
}

#[test]
fn redirects_and_fixed_responses_are_behind_the_policy_too_and_a_preflight_passes_bare() {
    let world = World::start_with(|plan| {
        let policy = json!({"authorize": {"groups": ["staff"]}});
        let fixed = json!({"fixed_response": {"status_code": 200, "message_body": "the secret"}});
        let redirect = json!({"redirect": {"path": "/the-secret", "status_code": "HTTP_302"}});
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(50, "/fixed", &json!([authenticate("op", "deny"), policy, fixed])));
        rules.push(rule(51, "/redirect", &json!([authenticate("op", "deny"), policy, redirect])));
        let mut cross = authenticate("op", "deny");
        cross["authenticate"]["allow_cors_preflight"] = json!(true);
        rules.push(rule(52, "/cross", &json!([cross, policy, {"forward": "app"}])));
    });
    let mut bob = person(&world, "bob", json!({"groups": ["guests"]}));
    for path in ["/fixed", "/redirect"] {
        let response = bob.get(path);
        assert!(response.status() == 403 && !response.text().contains("the secret") && response.location().is_none(), "{path}: {response}");
    }
    let mut alice = person(&world, "alice", json!({"groups": ["staff"]}));
    assert_eq!(alice.get("/fixed").text(), "the secret");
    assert!(alice.get("/redirect").location().is_some_and(|location| location.ends_with("/the-secret")));
    let preflight = [("Origin", "https://other.test"), ("Access-Control-Request-Method", "POST")];
    assert_eq!(world.browser().request("OPTIONS", "/cross", FETCH, &preflight, None).status(), 200);
    no_identity(&world.target.last(), "preflight");
    assert_eq!(bob.request("POST", "/cross", FETCH, &[], Some(b"")).status(), 403);
}

#[test]
fn the_claim_of_the_groups_is_the_providers_unless_the_rule_says_otherwise() {
    let world = World::start_with(|plan| {
        plan.configuration["identity_providers"]["op"]["groups_claim"] = json!("https://example.com/groups");
        guarded(plan, 5, "/provider", "authenticate", &json!({"groups": ["staff"]}));
        guarded(plan, 6, "/rule", "authenticate", &json!({"groups": ["staff"], "groups_claim": "roles"}));
    });
    let mut alice = person(&world, "alice", json!({"https://example.com/groups": ["staff"], "groups": ["x"], "roles": []}));
    assert_eq!((alice.get("/provider").status(), alice.get("/rule").status()), (200, 403));
    let mut bob = person(&world, "bob", json!({"groups": ["staff"], "roles": "staff"}));
    assert_eq!((bob.get("/provider").status(), bob.get("/rule").status()), (403, 200));
}

#[test]
fn programs_with_tokens_are_asked_about_too() {
    let world = World::start_with(|plan| {
        bearer::rules(plan, &json!({"audiences": [bearer::AUDIENCE]}), &json!([]));
        for rule in [3, 4] {
            let policy =
                json!({"authorize": {"allow": "\"read\" in claims.scope.split(\" \") && identity_provider != \"\"", "groups": ["robots"]}});
            plan.listener()["rules"][rule]["actions"].as_array_mut().unwrap().insert(1, policy);
        }
    });
    let robot = bearer::token(&world, |_, claims| claims["groups"] = json!(["robots"]));
    let other = bearer::token(&world, |_, claims| claims["groups"] = json!(["humans"]));
    let without = bearer::token(&world, |_, _| {});
    for path in ["/api/x", "/jwt/x"] {
        for _ in 0..2 {
            assert_eq!(bearer::with_token(&world, path, &robot).status(), 200, "{path}");
        }
        let mark = world.target.count();
        for (token, reason) in [(&other, "AuthForbidden"), (&without, "AuthMissingClaim")] {
            let refused = bearer::with_token(&world, path, token);
            assert_eq!((refused.status(), refused.json()["error"].as_str()), (403, Some("forbidden")), "{path}");
            assert!(world.gateway.logs_reason(reason), "{path} {reason}");
        }
        no_bypass(&world, mark, None, path);
        // Nobody else can sign in with a program's token: no way out is offered.
        let authorization = format!("Bearer {other}");
        let page: Vec<_> = NAVIGATE[..1].iter().copied().chain([("Authorization", authorization.as_str())]).collect();
        assert!(!bearer::ask(&world, path, &page).text().contains("logout"), "{path}");
    }
    assert_eq!(bearer::ask(&world, "/jwt/x", &[]).status(), 401);
}

#[test]
fn where_a_sign_out_leads_to_registered_places_only_the_way_out_names_no_page() {
    let world = World::start_with(|plan| {
        let logout = "https://login.example.com/v2/logout?client_id={client_id}&returnTo={return_to}";
        plan.configuration["identity_providers"]["op"]["logout_url"] = json!(logout);
        guarded(plan, 5, "/staff", "authenticate", &json!({"groups": ["staff"]}));
    });
    let mut bob = person(&world, "bob", json!({"groups": ["guests"]}));
    let page = bob.get("/staff");
    assert_eq!(page.status(), 403);
    let text = page.text().replace("&#x2f;", "/");
    assert!(text.contains("href=\"/oauth2/logout\"") && !text.contains("return_to"), "{text}");
}

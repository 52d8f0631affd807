//! Step-up in a browser: a session is good for one rule and not enough for another (OIDC Core §3.1.2.1, RFC 9470).

use serde_json::{Value, json};

use crate::support::World;
use crate::support::bearer::counter;
use crate::support::client::{Browser, SetCookie, parameter, set_cookies};
use crate::support::gateway::{Plan, authenticate, rule};
use crate::support::jose;
use crate::support::oracles::{no_identity, sign_in, start_login};
use crate::support::provider::{put, unix_time};

pub(crate) const REASON: &str = "AuthInsufficientAuthentication";

/// A rule in front of those of every world.
pub(crate) fn demanding(plan: &mut Plan, priority: u32, path: &str, mode: &str, demands: &Value) {
    let mut action = authenticate("op", mode);
    for (name, value) in demands.as_object().unwrap() {
        action["authenticate"][name] = value.clone();
    }
    plan.listener()["rules"].as_array_mut().unwrap().push(rule(priority, path, &json!([action, {"forward": "app"}])));
}

/// `/admin*` asks for an `acr`, `/recent*` for a recent sign-in, `/mfa*` for a method; `/deny-admin*` and `/allow-admin*` in those modes.
pub(crate) fn world() -> World {
    World::start_with(|plan| {
        let acr = json!({"acr_values": ["gold", "silver"]});
        demanding(plan, 1, "/admin*", "authenticate", &acr);
        demanding(plan, 2, "/recent*", "authenticate", &json!({"max_age": "15m"}));
        demanding(plan, 3, "/mfa*", "authenticate", &json!({"amr": ["mfa"]}));
        demanding(plan, 4, "/deny-admin*", "deny", &acr);
        demanding(plan, 5, "/allow-admin*", "allow", &acr);
    })
}

/// From now on the provider's ID tokens say this of a sign-in.
pub(crate) fn sign_ins_have(world: &World, claims: Value) {
    world.provider.set(|provider| {
        provider.edit_claims(move |token| {
            for (name, value) in claims.as_object().unwrap() {
                put(token, name, value.clone());
            }
        });
    });
}

pub(crate) fn asked(authorization: &str) -> [Option<String>; 3] {
    ["acr_values", "max_age", "prompt"].map(|name| parameter(authorization, name))
}

pub(crate) fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// The target got `path` from this person.
#[track_caller]
pub(crate) fn reaches(world: &World, browser: &mut Browser, path: &str) {
    let response = browser.get(path);
    assert_eq!(response.status(), 200, "{path}: {response}");
    assert_eq!(world.target.last().target, path);
}

/// The callback of a sign-in that is not enough: a page with a way on, no session, the application saw nothing.
#[track_caller]
pub(crate) fn is_not_enough(world: &World, browser: &mut Browser, authorization: &str) -> String {
    let seen = world.target.count();
    let response = browser.get(&world.provider.approve(authorization));
    assert_eq!(response.status(), 403, "{response}");
    assert!(response.text().contains("This page asks for more"), "{response}");
    assert!(set_cookies(&response).is_empty(), "{response}");
    assert_eq!(world.target.count(), seen);
    first_link(&response.text())
}

pub(crate) fn first_link(page: &str) -> String {
    let page = page.replace("&amp;", "&").replace("&#x2f;", "/").replace("&#x3d;", "=");
    page.split("href=\"").skip(1).find_map(|rest| rest.split_once('"')).unwrap().0.to_owned()
}

#[test]
fn a_session_that_is_not_enough_is_stepped_up_and_comes_back_to_the_page() {
    let world = world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let former = browser.session();
    reaches(&world, &mut browser, "/page");

    let authorization = start_login(&world, &mut browser, "/admin/report?year=2026");
    assert_eq!(asked(&authorization), [text("gold silver"), None, None], "the provider knows itself what is missing");
    sign_ins_have(&world, json!({"acr": "silver"}));
    let back = browser.get(&world.provider.approve(&authorization));
    assert_eq!((back.status(), back.location()), (302, Some(world.gateway.url("/admin/report?year=2026").as_str())), "{back}");
    reaches(&world, &mut browser, "/admin/report?year=2026");
    let (_, claims) = jose::parts(world.target.last().get("x-amzn-oidc-data").unwrap());
    assert_eq!((&claims["acr"], &claims["sub"]), (&json!("silver"), &json!("alice")));
    // The one session is good for everything, and the former one is over.
    for path in ["/page", "/admin/more", "/admin"] {
        reaches(&world, &mut browser, path);
    }
    assert_ne!(browser.session(), former);
    let mut old = world.browser();
    old.cookies = former;
    assert_eq!(old.get("/page").status(), 302);
    assert!(world.gateway.logs_reason("AuthEndedSession"));
    let lines = world.gateway.access_lines_with(1, |line| line["error_reason"] == REASON);
    assert_eq!((&lines[0]["elb_status_code"], &lines[0]["subject"]), (&json!(302), &json!("alice")), "{}", lines[0]);
}

#[test]
fn the_first_sign_in_asks_for_all_of_it() {
    let world = world();
    for (path, expected, claims) in [
        ("/admin", [text("gold silver"), None, None], json!({"acr": "gold"})),
        ("/recent", [None, text("900"), None], json!({})),
        ("/mfa", [None, None, None], json!({"amr": ["pwd", "mfa"]})),
        ("/page", [None, None, None], json!({})),
    ] {
        sign_ins_have(&world, claims);
        let mut browser = world.browser();
        let authorization = start_login(&world, &mut browser, path);
        assert_eq!(asked(&authorization), expected, "{path}");
        assert_eq!(browser.get(&world.provider.approve(&authorization)).status(), 302, "{path}");
        reaches(&world, &mut browser, path);
    }
}

#[test]
fn a_sign_in_grows_too_old_for_one_rule_and_not_for_the_others() {
    let world = world();
    let mut browser = world.browser();
    sign_ins_have(&world, json!({"auth_time": unix_time() - 899 + 3}));
    sign_in(&world, &mut browser, "/recent");
    reaches(&world, &mut browser, "/recent/now");
    let grew_old = || browser.get("/recent/later").status() == 302;
    assert!(crate::support::gateway::eventually(std::time::Duration::from_secs(10), grew_old));
    reaches(&world, &mut browser, "/page");

    // Providers that ignore max_age are told to ask.
    let authorization = start_login(&world, &mut browser, "/recent/later");
    assert_eq!(asked(&authorization), [None, text("900"), text("login")]);
    sign_ins_have(&world, json!({}));
    assert_eq!(browser.get(&world.provider.approve(&authorization)).status(), 302);
    reaches(&world, &mut browser, "/recent/later");
}

#[test]
fn an_auth_time_that_cannot_be_believed_is_not_recent() {
    let world = world();
    for auth_time in [json!(null), json!(0), json!(unix_time() + 3600), json!(unix_time() - 900), json!(unix_time().to_string()), json!(-1)]
    {
        sign_ins_have(&world, json!({"auth_time": auth_time}));
        let mut browser = world.browser();
        let authorization = start_login(&world, &mut browser, "/recent");
        is_not_enough(&world, &mut browser, &authorization);
        // Also where a session has come about for another rule.
        sign_in(&world, &mut browser, "/");
        assert_eq!(browser.get("/recent").status(), 302, "{auth_time}");
        reaches(&world, &mut browser, "/page");
    }
}

#[test]
fn a_provider_that_gives_no_more_ends_in_a_page_and_not_in_a_loop() {
    let world = world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    for (path, claims) in [
        ("/admin/x", json!({"acr": "bronze"})),
        ("/admin/x", json!({"acr": "0"})),
        ("/admin/x", json!({"acr": ["gold"]})),
        ("/admin/x", json!({})),
        ("/mfa/x", json!({"amr": ["pwd"]})),
        ("/mfa/x", json!({"amr": []})),
    ] {
        sign_ins_have(&world, claims.clone());
        let failures = || counter(&world, &format!("vestibule_auth_failure_total{{identity_provider=\"op\",reason=\"{REASON}\"}}"));
        let before = failures();
        let authorization = start_login(&world, &mut browser, path);
        let again = is_not_enough(&world, &mut browser, &authorization);
        assert_eq!(failures(), before + 1, "{claims}");
        // What the session was good for it is good for still.
        reaches(&world, &mut browser, "/page");
        // The button asks the provider to ask the person, who may also be another.
        let anew = browser.get(&again);
        let authorization = anew.location().unwrap_or_default().to_owned();
        assert_eq!(parameter(&authorization, "prompt"), text("login"), "{again}: {anew}");
        sign_ins_have(&world, json!({"acr": "gold", "amr": ["mfa"]}));
        let back = browser.get(&world.provider.approve(&authorization));
        assert_eq!(back.location(), Some(world.gateway.url(path).as_str()), "{back}");
        reaches(&world, &mut browser, path);
        sign_ins_have(&world, json!({}));
        browser = world.browser();
        sign_in(&world, &mut browser, "/");
    }
    assert!(world.gateway.logs_reason(REASON));
}

#[test]
fn whoever_signs_in_for_it_is_who_is_signed_in() {
    let world = world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let authorization = start_login(&world, &mut browser, "/admin");
    sign_ins_have(&world, json!({"acr": "gold"}));
    assert_eq!(browser.get(&world.provider.approve_as(&authorization, "bob")).status(), 302);
    for path in ["/admin", "/page"] {
        reaches(&world, &mut browser, path);
        assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some("bob"));
        let (_, claims) = jose::parts(world.target.last().get("x-amzn-oidc-data").unwrap());
        assert_eq!(claims["email"], "bob@example.com", "nothing of alice is left");
    }
}

#[test]
fn several_tabs_step_up_at_the_same_time() {
    let world = world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let tabs: Vec<(String, String)> =
        (1..=3).map(|tab| format!("/admin/tab-{tab}")).map(|path| (start_login(&world, &mut browser, &path), path)).collect();
    sign_ins_have(&world, json!({"acr": "gold"}));
    for (authorization, path) in tabs.iter().rev() {
        let back = browser.get(&world.provider.approve(authorization));
        assert_eq!(back.location(), Some(world.gateway.url(path).as_str()), "{back}");
    }
    for (_, path) in &tabs {
        reaches(&world, &mut browser, path);
    }
    reaches(&world, &mut browser, "/page");
}

#[test]
fn a_late_answer_to_the_former_session_leaves_the_new_one_alone() {
    let world = world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let former = browser.session();
    sign_ins_have(&world, json!({"acr": "gold"}));
    sign_in(&world, &mut browser, "/admin");
    // Another tab has asked with the cookies of before, and is answered after the new ones have come.
    let mut late = world.browser();
    late.cookies = former;
    let answer = late.fetch("/page");
    assert_eq!(answer.status(), 401, "{answer}");
    let deleted: Vec<_> = set_cookies(&answer).into_iter().filter(SetCookie::is_session).collect();
    assert!(deleted.is_empty(), "{deleted:?}");
    reaches(&world, &mut browser, "/admin");
}

#[test]
fn modes_do_with_a_session_that_is_not_enough_as_with_none() {
    let world = world();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let denied = browser.get("/deny-admin/x");
    assert_eq!(denied.status(), 401, "{denied}");
    assert!(denied.text().contains("This page asks for more"), "{denied}");
    reaches(&world, &mut browser, "/allow-admin/x");
    no_identity(&world.target.last(), "a stranger to this rule");
    reaches(&world, &mut browser, "/page");
    assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some("alice"));

    // The links of both lead to a sign-in that is enough.
    sign_ins_have(&world, json!({"acr": "gold"}));
    for (priority, path) in [(4, "/deny-admin/x"), (5, "/allow-admin/x")] {
        let authorization = start_login(&world, &mut browser, &format!("/oauth2/login?rule={priority}&return_to={path}"));
        assert_eq!(asked(&authorization), [text("gold silver"), None, None]);
        assert_eq!(browser.get(&world.provider.approve(&authorization)).status(), 302);
        reaches(&world, &mut browser, path);
        assert_eq!(world.target.last().get("x-amzn-oidc-identity"), Some("alice"));
    }
}

#[test]
fn one_new_sign_in_mends_all_that_is_missing() {
    let demands = json!({"acr_values": ["gold"], "max_age": "15m", "amr": ["mfa"]});
    let world = World::start_with(|plan| demanding(plan, 1, "/admin*", "authenticate", &demands));
    for (claims, prompt) in [
        (json!({"auth_time": unix_time() - 3600}), text("login")),
        (json!({"auth_time": null}), text("login")),
        (json!({"auth_time": null, "amr": ["mfa"]}), None),
        (json!({"amr": ["mfa"]}), None),
    ] {
        sign_ins_have(&world, claims.clone());
        let mut browser = world.browser();
        sign_in(&world, &mut browser, "/");
        let authorization = start_login(&world, &mut browser, "/admin");
        assert_eq!(asked(&authorization), [text("gold"), text("900"), prompt], "{claims}");
    }
}

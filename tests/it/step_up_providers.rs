//! Step-up and what providers do with it: what they are asked, what they say of themselves, and what only their ID tokens can say.

use serde_json::json;

use crate::step_up::{REASON, asked, demanding, first_link, is_not_enough, reaches, sign_ins_have, text, world};
use crate::support::World;
use crate::support::jose;
use crate::support::oracles::{sign_in, start_login, with_parameter};
use crate::support::provider::{Provider, unix_time};
use crate::support::secrets::Secrets;

#[test]
fn a_provider_that_says_itself_that_it_cannot_leads_to_the_same_page() {
    let world = world();
    let mut browser = world.browser();
    let authorization = start_login(&world, &mut browser, "/admin");
    let callback = with_parameter(&world.provider.approve(&authorization), "code", None);
    let refused = browser.get(&with_parameter(&callback, "error", Some("unmet_authentication_requirements")));
    assert_eq!(refused.status(), 403, "{refused}");
    assert!(refused.text().contains("This page asks for more"), "{refused}");
    assert!(world.gateway.logs_reason(REASON));
}

#[test]
fn a_missing_method_is_asked_for_by_a_new_sign_in() {
    let world = World::start_with(|plan| {
        demanding(plan, 1, "/mfa*", "authenticate", &json!({"amr": ["mfa", "hwk"]}));
        let consent = json!({"amr": ["mfa"], "authentication_request_extra_params": {"prompt": "consent", "ui_locales": "fr"}});
        demanding(plan, 2, "/consent*", "authenticate", &consent);
        let silent = json!({"amr": ["mfa"], "authentication_request_extra_params": {"prompt": "none"}});
        demanding(plan, 3, "/silent*", "authenticate", &silent);
    });
    let mut browser = world.browser();
    sign_ins_have(&world, json!({"amr": ["pwd"]}));
    sign_in(&world, &mut browser, "/");
    for (path, prompt) in [("/mfa", "login"), ("/consent", "login consent"), ("/silent", "login")] {
        let authorization = start_login(&world, &mut browser, path);
        assert_eq!(asked(&authorization), [None, None, text(prompt)], "{path}");
        assert_eq!(authorization.matches("prompt=").count(), 1, "{authorization}");
    }
    sign_ins_have(&world, json!({"amr": ["hwk", "pwd", "mfa"]}));
    sign_in(&world, &mut browser, "/mfa");
    for path in ["/mfa", "/consent", "/silent", "/page"] {
        reaches(&world, &mut browser, path);
    }
}

#[test]
fn user_info_cannot_raise_a_sign_in() {
    let world = world();
    world.provider.set(|provider| {
        provider.edit_user_info(|claims| {
            claims["acr"] = json!("gold");
            claims["amr"] = json!(["mfa"]);
            claims["auth_time"] = json!(unix_time() + 30);
        });
    });
    // The ID token says none of it, or less.
    for claims in [json!({"auth_time": null}), json!({"acr": "bronze", "amr": ["pwd"], "auth_time": unix_time() - 3600})] {
        sign_ins_have(&world, claims.clone());
        let mut browser = world.browser();
        sign_in(&world, &mut browser, "/");
        reaches(&world, &mut browser, "/page");
        let (_, told) = jose::parts(world.target.last().get("x-amzn-oidc-data").unwrap());
        for name in ["acr", "amr", "auth_time"] {
            assert_eq!(told[name], claims[name], "{name} is a fact of the ID token");
        }
        for path in ["/admin", "/recent", "/mfa"] {
            let authorization = start_login(&world, &mut browser, path);
            is_not_enough(&world, &mut browser, &authorization);
        }
    }
}

#[test]
fn a_session_of_one_of_several_providers_is_stepped_up_there() {
    let secrets = Secrets::default();
    let (first, second) = (Provider::start(&secrets), Provider::start(&secrets));
    let other = second.configuration();
    let world = World::around(first, secrets, |plan| {
        plan.configuration["identity_providers"]["partner"] = other;
        demanding(plan, 1, "/admin*", "authenticate", &json!({"acr_values": ["gold"]}));
        for place in ["/rules/3/actions/0/authenticate", "/default_actions/0/authenticate"] {
            let action = plan.listener().pointer_mut(place).unwrap();
            action.as_object_mut().unwrap().remove("identity_provider");
            action["identity_providers"] = json!(["op", "partner"]);
        }
    });
    let mut browser = world.browser();
    let login = "/oauth2/login?rule=0&return_to=/&identity_provider=partner";
    let authorization = browser.get(login).location().unwrap().to_owned();
    assert_eq!(browser.get(&second.approve(&authorization)).status(), 302);
    reaches(&world, &mut browser, "/page");
    browser.drop_cookie("VestibuleIdentityProvider");
    for path in ["/admin", "/oauth2/login?rule=1&return_to=/admin"] {
        let authorization = browser.get(path).location().unwrap().to_owned();
        assert!(authorization.starts_with(second.issuer()), "{path}: {authorization}");
        assert_eq!(asked(&authorization), [text("gold"), None, None]);
    }
    // A sign-in that is not enough leads to all of them, and each asks the person although it knows them.
    let authorization = browser.get("/admin").location().unwrap().to_owned();
    let refused = browser.get(&second.approve(&authorization));
    assert_eq!(refused.status(), 403, "{refused}");
    let choices = browser.get(&first_link(&refused.text())).text();
    let authorization = browser.get(&first_link(choices.split_once("class=\"choices\"").unwrap().1)).location().unwrap().to_owned();
    assert!(authorization.starts_with(world.provider.issuer()), "{authorization}");
    assert_eq!(asked(&authorization), [text("gold"), None, text("login")]);
    browser.drop_cookie("VestibuleIdentityProvider");
    second.set(|provider| provider.claim("acr", json!("gold")));
    let authorization = browser.get("/admin").location().unwrap().to_owned();
    assert_eq!(browser.get(&second.approve(&authorization)).status(), 302);
    reaches(&world, &mut browser, "/admin");
}

#[test]
fn what_a_rule_asks_for_stands_once_whatever_the_provider_is_sent_otherwise() {
    let world = World::start_with(|plan| {
        let hints = json!({"acr_values": "bronze", "max_age": "86400", "ui_locales": "fr"});
        plan.configuration["identity_providers"]["op"]["authentication_request_extra_params"] = hints;
        demanding(plan, 1, "/admin*", "authenticate", &json!({"acr_values": ["gold"], "max_age": "15m"}));
    });
    let mut browser = world.browser();
    let authorization = start_login(&world, &mut browser, "/admin");
    assert_eq!(asked(&authorization), [text("gold"), text("900"), None]);
    for name in ["acr_values=", "max_age=", "ui_locales="] {
        assert_eq!(authorization.matches(name).count(), 1, "{authorization}");
    }
    assert_eq!(asked(&start_login(&world, &mut browser, "/page")), [text("bronze"), text("86400"), None]);
}

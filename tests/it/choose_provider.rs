//! Several identity providers on one rule: the person chooses, the choice is remembered, and no provider gets what is another's
//! (threats F14, F15; RFC 9700 §4.4).

use serde_json::{Value, json};

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::bearer::{self, AUDIENCE};
use crate::support::client::{Browser, parameter, set_cookies};
use crate::support::gateway::{Plan, eventually, serve_refused};
use crate::support::jose;
use crate::support::oracles::with_parameter;
use crate::support::provider::Provider;
use crate::support::secrets::Secrets;

const REMEMBERED: &str = "VestibuleIdentityProvider";

/// `op` and a second provider on every rule but `/deny*`.
struct Choice {
    world: World,
    second: Provider,
}

impl Choice {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    fn start_with(change: impl FnOnce(&mut Plan)) -> Self {
        let secrets = Secrets::default();
        let (first, second) = (Provider::start(&secrets), Provider::start(&secrets));
        for provider in [&first, &second] {
            provider.set(|provider| provider.metadata = json!({"authorization_response_iss_parameter_supported": null}));
        }
        let other = second.configuration();
        let world = World::around(first, secrets, |plan| {
            plan.configuration["identity_providers"]["op"]["display_name"] = json!("Example Staff");
            plan.configuration["identity_providers"]["partner & co"] = other;
            plan.configuration["identity_providers"]["partner & co"]["display_name"] = json!("Partner <Co>");
            let authentication = plan.authentication();
            authentication.as_object_mut().unwrap().remove("identity_provider");
            authentication["identity_providers"] = json!(["op", "partner & co"]);
            change(plan);
        });
        Self { world, second }
    }

    /// The links of the page to choose from, by their labels.
    fn links(&self, browser: &mut Browser, path: &str) -> Vec<(String, String)> {
        let location = browser.get(path).location().unwrap_or_default().to_owned();
        assert!(location.starts_with(&self.world.gateway.url("/oauth2/login?")), "{location}");
        links(&browser.get(&location).text())
    }

    /// Up to the provider's sign-in page, by its label.
    fn choose(&self, browser: &mut Browser, path: &str, label: &str) -> String {
        let links = self.links(browser, path);
        let (_, href) = links.into_iter().find(|(found, _)| found == label).unwrap();
        browser.get(&href).location().unwrap().to_owned()
    }
}

fn links(page: &str) -> Vec<(String, String)> {
    let list = page.split_once("class=\"choices\"").map_or("", |(_, rest)| rest.split_once("</ul>").unwrap().0);
    let link = |item: &str| {
        let (href, rest) = item.split_once('"')?;
        let label = rest.split_once('>')?.1.split_once("</a>")?.0;
        Some((label.replace("&lt;", "<").replace("&gt;", ">"), href.replace("&amp;", "&").replace("&#x2f;", "/").replace("&#x3d;", "=")))
    };
    list.split("href=\"").skip(1).filter_map(link).collect()
}

#[test]
fn a_person_chooses_by_the_names_that_people_know_and_is_remembered() {
    let choice = Choice::start();
    let mut browser = choice.world.browser();
    let labels: Vec<String> = choice.links(&mut browser, "/page?x=1").into_iter().map(|(label, _)| label).collect();
    assert_eq!(labels, ["Example Staff", "Partner <Co>"]);

    let at_partner = choice.choose(&mut browser, "/page?x=1", "Partner <Co>");
    assert!(at_partner.starts_with(choice.second.issuer()), "{at_partner}");
    let own = choice.world.gateway.url("/oauth2/idpresponse/partner%20%26%20co");
    assert_eq!(parameter(&at_partner, "redirect_uri"), Some(own.clone()));
    let callback = choice.second.approve_without_iss(&at_partner);
    assert!(callback.starts_with(&own));
    let response = browser.get(&callback);
    assert_eq!((response.status(), response.location()), (302, Some(choice.world.gateway.url("/page?x=1").as_str())), "{response}");
    assert_eq!(browser.get("/page?x=1").status(), 200);
    let seen = choice.world.target.last();
    let (header, _) = jose::parts(seen.get("x-amzn-oidc-data").unwrap());
    assert_eq!(header["iss"], choice.second.issuer());
    assert!(!seen.get("cookie").unwrap_or_default().contains(REMEMBERED), "the choice is the gateway's own cookie");

    // The next sign-in of this browser needs no page.
    let remembered = browser.cookie(REMEMBERED).unwrap().to_owned();
    let mut again = choice.world.browser();
    again.put_cookie(REMEMBERED, &remembered);
    assert!(again.get("/page").location().unwrap().starts_with(choice.second.issuer()));
    // But whoever asks for the page gets it.
    assert_eq!(links(&again.get("/oauth2/login?rule=0&return_to=/&choose=true").text()).len(), 2);
}

#[test]
fn both_providers_sign_people_in_side_by_side() {
    let choice = Choice::start();
    for (label, provider) in [("Example Staff", &choice.world.provider), ("Partner <Co>", &choice.second)] {
        let mut browser = choice.world.browser();
        let authorization = choice.choose(&mut browser, "/", label);
        assert_eq!(browser.get(&provider.approve_without_iss(&authorization)).status(), 302, "{label}");
        for _ in 0..3 {
            assert_eq!(browser.get("/page").status(), 200, "{label}");
        }
        let name = if label == "Example Staff" { "op" } else { "partner & co" };
        let of_person = |line: &Value| line["auth_outcome"] == "session" && line["identity_provider"] == name;
        assert_eq!(choice.world.gateway.access_lines_with(3, of_person).len(), 3, "{name}");
    }
}

#[test]
fn signing_out_forgets_the_choice() {
    let choice = Choice::start();
    let mut browser = choice.world.browser();
    let authorization = choice.choose(&mut browser, "/", "Partner <Co>");
    browser.get(&choice.second.approve_without_iss(&authorization));
    assert_eq!(browser.get("/page").status(), 200);
    let response = browser.get("/oauth2/logout");
    assert!(response.location().unwrap().starts_with(choice.second.issuer()), "at the provider where the person signed in");
    assert!(set_cookies(&response).iter().any(|cookie| cookie.name == REMEMBERED && cookie.deletes()));
    assert_eq!(choice.links(&mut browser, "/page").len(), 2);
}

#[test]
fn a_remembered_provider_that_is_down_is_no_dead_end() {
    let choice = Choice::start();
    let mut browser = choice.world.browser();
    let authorization = choice.choose(&mut browser, "/", "Partner <Co>");
    choice.second.fault("token", Answer::json(500, &json!({})));
    let failed = browser.get(&choice.second.approve_without_iss(&authorization));
    assert_eq!(failed.status(), 561);
    let text = failed.text().replace("&amp;", "&").replace("&#x2f;", "/").replace("&#x3d;", "=");
    let again = text.split("href=\"").skip(1).find_map(|rest| rest.split_once('"')).unwrap().0.to_owned();
    assert_eq!(links(&browser.get(&again).text()).len(), 2, "{again}");
}

#[test]
fn a_cookie_that_names_nobody_is_no_choice() {
    let choice = Choice::start();
    for value in ["", "nobody", "%ff", "https%3A%2F%2Fevil.test", "op%00", "OP"] {
        let mut browser = choice.world.browser();
        browser.put_cookie(REMEMBERED, value);
        assert_eq!(choice.links(&mut browser, "/page").len(), 2, "{value}");
    }
    let mut browser = choice.world.browser();
    let unknown = browser.get("/oauth2/login?rule=0&return_to=/&identity_provider=nobody");
    assert_eq!(links(&unknown.text()).len(), 2, "{unknown}");
}

#[test]
fn programs_get_the_choices_as_json() {
    let choice = Choice::start();
    let mut browser = choice.world.browser();
    let refused = browser.fetch("/page");
    assert_eq!(refused.status(), 401);
    let login_url = refused.json()["login_url"].as_str().unwrap().to_owned();
    let choices = browser.fetch(&login_url).json();
    assert_eq!(choices["identity_providers"][1]["display_name"], "Partner <Co>");
    let url = choices["identity_providers"][1]["login_url"].as_str().unwrap();
    assert!(browser.get(url).location().unwrap().starts_with(choice.second.issuer()));
}

/// Neither provider sends `iss`: only the way back tells them apart.
#[test]
fn f15_a_code_of_one_provider_never_reaches_the_other() {
    let choice = Choice::start();
    let mut browser = choice.world.browser();
    let at_first = choice.choose(&mut browser, "/", "Example Staff");
    browser.drop_cookie(REMEMBERED);
    let at_second = choice.choose(&mut browser, "/", "Partner <Co>");
    let (first, second) = (choice.world.provider.approve_without_iss(&at_first), choice.second.approve_without_iss(&at_second));
    let swapped = |callback: &str, with: &str| with_parameter(callback, "state", parameter(with, "state").as_deref());
    // The second sends people on to the first, with its own state; the first's code comes back to the first's place.
    for (variant, forged) in [("the first's code, the second's login", swapped(&first, &second)), ("the reverse", swapped(&second, &first))]
    {
        assert_eq!(browser.get(&forged).status(), 401, "{variant}");
    }
    let shared = |callback: &str| callback.replacen("/op?", "?", 1).replacen("/partner%20%26%20co?", "?", 1);
    for callback in [&first, &second] {
        assert_eq!(browser.get(&shared(callback)).status(), 401, "at the place of everybody: {callback}");
    }
    let elsewhere = first.replacen("/idpresponse/op?", "/idpresponse/partner%20%26%20co?", 1);
    assert_eq!(browser.get(&elsewhere).status(), 401);
    assert_eq!(choice.world.provider.count("token") + choice.second.count("token"), 0);
    assert!(browser.session().is_empty());
    // None of this has spent a code.
    assert_eq!(browser.get(&first).status(), 302);
}

#[test]
fn each_provider_gets_its_own_hints() {
    let choice = Choice::start_with(|plan| {
        plan.configuration["identity_providers"]["op"]["authentication_request_extra_params"] =
            json!({"domain_hint": "example.com", "ui_locales": "de"});
        plan.configuration["identity_providers"]["partner & co"]["authentication_request_extra_params"] = json!({"login_hint": "partner"});
        plan.authentication()["authentication_request_extra_params"] = json!({"ui_locales": "fr"});
    });
    let mut browser = choice.world.browser();
    let at_first = choice.choose(&mut browser, "/", "Example Staff");
    browser.drop_cookie(REMEMBERED);
    let at_second = choice.choose(&mut browser, "/", "Partner <Co>");
    let hints = |url: &str| ["domain_hint", "login_hint", "ui_locales"].map(|name| parameter(url, name));
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(hints(&at_first), [text("example.com"), None, text("fr")]);
    assert_eq!(hints(&at_second), [None, text("partner"), text("fr")]);
}

#[test]
fn tokens_of_both_providers_pass_and_neither_signs_for_the_other() {
    let choice = Choice::start_with(|plan| {
        plan.authentication()["bearer_tokens"] = json!({"audiences": [AUDIENCE]});
    });
    let second = |issuer: &str, key: &jose::Key| {
        let (_, mut claims) = jose::parts(&bearer::token(&choice.world, |_, _| {}));
        claims["iss"] = json!(issuer);
        jose::token(&json!({"alg": key.algorithm, "kid": key.kid}), &claims, key)
    };
    let other_key = jose::Key::ecdsa("ES256", "of-the-second");
    choice.second.set(|provider| provider.key = other_key.clone());
    bearer::accepted(&choice.world, "/x", &bearer::token(&choice.world, |_, _| {}), "the first's");
    let good = second(choice.second.issuer(), &other_key);
    assert!(eventually(std::time::Duration::from_secs(10), || bearer::with_token(&choice.world, "/x", &good).status() == 200));
    let first_key = choice.world.provider.set(|provider| provider.key.clone());
    let refused = (401, "invalid_token", "JWTSignatureValidationError");
    bearer::refused(&choice.world, "/x", &second(choice.world.provider.issuer(), &other_key), refused, "the second's key for the first");
    bearer::refused(&choice.world, "/x", &second(choice.second.issuer(), &first_key), refused, "the first's key for the second");
    bearer::refused(&choice.world, "/x", &second("https://evil.test", &other_key), refused, "nobody's");
}

#[test]
fn groups_are_looked_for_where_each_provider_keeps_them() {
    let choice = Choice::start_with(|plan| {
        plan.configuration["identity_providers"]["partner & co"]["groups_claim"] = json!("roles");
        let actions = plan.listener()["default_actions"].as_array_mut().unwrap();
        actions.insert(1, json!({"authorize": {"groups": ["staff"]}}));
    });
    choice.second.set(|provider| {
        provider.users.insert("alice".to_owned(), json!({"roles": ["staff"], "groups": ["others"]}));
    });
    for (label, provider) in [("Example Staff", &choice.world.provider), ("Partner <Co>", &choice.second)] {
        let mut browser = choice.world.browser();
        let authorization = choice.choose(&mut browser, "/", label);
        browser.get(&provider.approve_without_iss(&authorization));
        assert_eq!(browser.get("/page").status(), 200, "{label}");
    }
    choice.second.set(|provider| {
        provider.users.insert("alice".to_owned(), json!({"roles": ["others"], "groups": ["staff"]}));
    });
    let mut browser = choice.world.browser();
    let authorization = choice.choose(&mut browser, "/", "Partner <Co>");
    browser.get(&choice.second.approve_without_iss(&authorization));
    assert_eq!(browser.get("/page").status(), 403, "groups of the other claim");
}

#[test]
fn what_is_no_choice_is_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |action: Value, expected: &str| {
        let provider = json!({"type": "oidc", "issuer": "https://op.test", "client_id": "c"});
        let listener = json!({
            "address": "127.0.0.1:0", "protocol": "http", "hosts": ["app.test"], "trusted_proxies": ["127.0.0.1/32"],
            "default_actions": [{"authenticate": action}, {"fixed_response": {"status_code": 200}}],
        });
        let configuration = json!({"listeners": [listener], "identity_providers": {"a": provider, "b": provider}});
        let refusal = serve_refused(folder.path(), configuration.to_string().as_bytes());
        assert_eq!(refusal.status, Some(2), "{expected}: {}", refusal.output);
        assert!(refusal.output.contains(expected), "{expected}: {}", refusal.output);
    };
    refused(json!({}), "identity_provider is missing");
    refused(json!({"identity_providers": []}), "identity_provider is missing");
    refused(json!({"identity_provider": "a", "identity_providers": ["b"]}), "cannot both be given");
    refused(json!({"identity_providers": ["a", "a"]}), "a is given twice");
    refused(json!({"identity_providers": ["a", "bb"]}), "no identity provider is called \"bb\"");
}

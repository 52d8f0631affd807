//! Providers as they are: tenants of Entra ID, domains of Google, ways out of their own, and answers that others would trip over.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::bearer::{self, AUDIENCE, accepted, refused, token};
use crate::support::behaviour::put;
use crate::support::client::parameter;
use crate::support::gateway::{Plan, serve_refused};
use crate::support::jose::Key;
use crate::support::oracles::{accepts_login, attempt, is_signed_out, no_session, sign_in};
use crate::support::provider::Provider;
use crate::support::secrets::Secrets;

const OURS: &str = "11111111-aaaa-4333-8444-555555555555";
const OTHER: &str = "99999999-aaaa-4333-8444-555555555555";

/// Entra ID's shared endpoint: the document names a template, each token its tenant.
fn entra() -> World {
    let secrets = Secrets::default();
    let provider = Provider::start(&secrets);
    let at = |path: &str| format!("{}/{path}", provider.issuer());
    let document = json!({
        "issuer": at("{tenantid}/v2.0"),
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "jwks_uri": at("jwks"),
    });
    provider.fault("organizations/v2.0/.well-known/openid-configuration", Answer::json(200, &document));
    let issuer = at("{tenantid}/v2.0");
    World::around(provider, secrets, |plan| {
        let op = &mut plan.configuration["identity_providers"]["op"];
        op["issuer"] = json!(issuer);
        op["allowed_tenants"] = json!([OURS.to_uppercase()]);
        op["user_info"] = json!(false);
        bearer::rules(plan, &json!({"audiences": [AUDIENCE]}), &json!([]));
    })
}

/// What the tenant's users have in their tokens.
fn of_tenant(world: &World, tenant: &'static str) -> impl FnMut(&mut Value) + Send + 'static {
    let issuer = format!("{}/{tenant}/v2.0", world.provider.issuer());
    move |claims: &mut Value| {
        claims["iss"] = json!(issuer);
        claims["tid"] = json!(tenant);
        claims["oid"] = json!("00000000-aaaa-4333-8444-000000000001");
    }
}

/// As `attempt`, without forgetting the document that the shared endpoint serves.
fn sign_in_as_tenant(world: &World, edit: impl FnMut(&mut Value) + Send + 'static) -> (crate::support::client::Browser, String) {
    world.provider.set(|provider| {
        provider.edit_claims(edit);
    });
    let mut browser = world.browser();
    let authorization = crate::support::oracles::start_login(world, &mut browser, "/attempt");
    (browser, world.provider.approve_without_iss(&authorization))
}

#[test]
fn entra_people_of_an_allowed_tenant_sign_in_with_their_tenants_issuer() {
    let world = entra();
    let (mut browser, callback) = sign_in_as_tenant(&world, of_tenant(&world, OURS));
    assert_eq!(browser.get(&callback).status(), 302);
    assert_eq!(browser.get("/in").status(), 200);
    let (header, claims) = crate::support::jose::parts(world.target.last().get("x-amzn-oidc-data").unwrap());
    let issuer = format!("{}/{OURS}/v2.0", world.provider.issuer());
    assert_eq!((&header["iss"], &claims["iss"]), (&json!(issuer), &json!(issuer)));
    assert_eq!(claims["tid"], OURS);
    assert_eq!(world.provider.count("userinfo"), 0, "user_info: false");
}

#[test]
fn entra_people_of_another_tenant_are_told_so() {
    let world = entra();
    let (mut browser, callback) = sign_in_as_tenant(&world, of_tenant(&world, OTHER));
    no_session(&world, &mut browser, &callback, (&[403], "AuthForbiddenTenant"), "another tenant");
}

#[test]
fn entra_tokens_whose_tenant_and_issuer_differ_are_forgeries() {
    let world = entra();
    let mut ours = of_tenant(&world, OURS);
    let other = format!("{}/{OTHER}/v2.0", world.provider.issuer());
    let (mut browser, callback) = sign_in_as_tenant(&world, move |claims| {
        ours(claims);
        claims["iss"] = json!(other);
    });
    no_session(&world, &mut browser, &callback, (&[561], "AuthInvalidIdToken"), "issuer of another tenant");
    let mut ours = of_tenant(&world, OURS);
    let (mut browser, callback) = sign_in_as_tenant(&world, move |claims| {
        ours(claims);
        put(claims, "tid", Value::Null);
    });
    no_session(&world, &mut browser, &callback, (&[561], "AuthInvalidIdToken"), "no tid");
}

#[test]
fn entra_keys_have_no_alg_and_vouch_for_the_tenant_that_they_name() {
    let world = entra();
    let key = world.provider.set(|provider| provider.key.clone());
    let publish = |issuer: Value| {
        let mut jwk = key.jwk();
        put(&mut jwk, "alg", Value::Null);
        put(&mut jwk, "issuer", issuer);
        world.provider.set(|provider| provider.published = Some(vec![jwk]));
    };
    // Taken up with the first token of a key that is not known yet.
    publish(json!(format!("{}/{{tenantid}}/v2.0", world.provider.issuer())));
    let (mut browser, callback) = sign_in_as_tenant(&world, of_tenant(&world, OURS));
    assert_eq!(browser.get(&callback).status(), 302);
    let second = Key::rsa(1, "RS256", "of-another-tenant");
    let mut jwk = second.jwk();
    jwk["issuer"] = json!(format!("{}/{OTHER}/v2.0", world.provider.issuer()));
    world.provider.set(|provider| {
        provider.key = second;
        provider.published = Some(vec![jwk]);
    });
    let (mut browser, callback) = sign_in_as_tenant(&world, of_tenant(&world, OURS));
    no_session(&world, &mut browser, &callback, (&[561], "AuthInvalidIdToken"), "a key of another tenant");
}

#[test]
fn entra_bearer_tokens_are_judged_by_tenant_too() {
    let world = entra();
    let of = |tenant: &'static str| {
        let mut edit = of_tenant(&world, tenant);
        token(&world, move |_, claims| edit(claims))
    };
    accepted(&world, "/api/x", &of(OURS), "allowed");
    refused(&world, "/api/x", &of(OTHER), (401, "invalid_token", "JWTClaimValueInvalid"), "another tenant");
}

fn google(domains: &Value) -> World {
    World::start_with(|plan| plan.configuration["identity_providers"]["op"]["hosted_domains"] = domains.clone())
}

#[test]
fn google_accounts_of_other_domains_are_told_so() {
    let world = google(&json!(["example.com", "example.org"]));
    accepts_login(&world, "ours", |provider| provider.claim("hd", json!("Example.org")));
    for hd in [json!("evil.test"), json!("example.com.evil.test"), json!("notexample.com"), json!(["example.com"]), Value::Null] {
        let (mut browser, callback) = attempt(&world, |provider| provider.claim("hd", hd.clone()));
        no_session(&world, &mut browser, &callback, (&[403], "AuthForbiddenDomain"), &hd.to_string());
    }
}

/// The claim counts, not the e-mail address that somebody has.
#[test]
fn google_an_address_in_the_domain_is_no_account_of_the_domain() {
    let world = google(&json!(["example.com"]));
    let (mut browser, callback) = attempt(&world, |provider| provider.claim("email", json!("mallory@example.com")));
    no_session(&world, &mut browser, &callback, (&[403], "AuthForbiddenDomain"), "an address only");
}

/// What `check` prints for a gateway with this provider.
fn checked(provider: &Value, change: impl FnOnce(&mut Plan)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = Plan::new(9, provider, &Secrets::default());
    change(&mut plan);
    let file = folder.path().join("vestibule.yaml");
    std::fs::write(&file, plan.configuration.to_string()).unwrap();
    let output = crate::support::gateway::vestibule().args(["check", "--config"]).arg(&file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn google_refuses_offline_access_and_check_says_so() {
    for (issuer, warns) in [("https://accounts.google.com", true), ("https://login.example.com", false)] {
        let provider = json!({"type": "oidc", "issuer": issuer, "client_id": "c"});
        let report = checked(&provider, |plan| plan.authentication()["scope"] = json!("openid offline_access"));
        assert_eq!(report.contains("Google refuses the scope offline_access"), warns, "{report}");
    }
}

#[test]
fn google_without_domains_lets_everybody_in_and_check_says_so() {
    let open = json!({"type": "oidc", "issuer": "https://accounts.google.com", "client_id": "c"});
    let words = "everybody with a Google account may sign in";
    assert!(checked(&open, |_| {}).contains(words));
    let mut closed = open.clone();
    closed["hosted_domains"] = json!(["example.com"]);
    assert!(!checked(&closed, |_| {}).contains(words));
    let report = checked(&open, |plan| {
        plan.listener()["rules"] = json!([]);
        plan.listener()["default_actions"].as_array_mut().unwrap().insert(1, json!({"authorize": {"emails": ["*@example.com"]}}));
    });
    assert!(!report.contains(words), "{report}");
}

#[test]
fn okta_thin_id_tokens_are_completed_by_user_info() {
    let world = World::start();
    let mut browser = accepts_login(&world, "thin", |provider| {
        provider.edit_claims(|claims| {
            for name in ["email", "name", "groups"] {
                put(claims, name, Value::Null);
            }
        });
    });
    browser.get("/thin");
    let seen = world.target.last();
    assert_eq!(seen.get("x-auth-email"), Some("alice@example.com"));
    assert_eq!(seen.get("x-auth-groups"), Some("staff"));
}

#[test]
fn auth0_claims_are_named_by_urls_and_the_issuer_ends_in_a_slash() {
    let secrets = Secrets::default();
    let provider = Provider::start(&secrets);
    let issuer = format!("{}/", provider.issuer());
    provider.set(|provider| provider.metadata = json!({"issuer": issuer, "authorization_response_iss_parameter_supported": false}));
    let world = World::around(provider, secrets, |plan| {
        plan.configuration["identity_providers"]["op"]["issuer"] = json!(issuer);
        plan.configuration["identity_headers"]["claims"] = json!({"X-Auth-Groups": "https://example.com/groups"});
    });
    let issuer = issuer.clone();
    world.provider.set(|provider| {
        provider.edit_claims(move |claims| {
            claims["iss"] = json!(issuer);
            claims["https://example.com/groups"] = json!(["staff", "x.y/z"]);
        });
    });
    let mut browser = world.browser();
    let authorization = crate::support::oracles::start_login(&world, &mut browser, "/");
    let response = browser.get(&world.provider.approve_without_iss(&authorization));
    assert_eq!(response.status(), 302, "{response}");
    browser.get("/groups");
    assert_eq!(world.target.last().get("x-auth-groups"), Some("staff,x.y/z"));
    world.provider.set(|provider| provider.edit_claims(|_| {}));
    let mut browser = world.browser();
    let authorization = crate::support::oracles::start_login(&world, &mut browser, "/");
    let callback = world.provider.approve_without_iss(&authorization);
    no_session(&world, &mut browser, &callback, (&[561], "AuthInvalidIdToken"), "without the slash");
}

#[test]
fn auth0_has_a_way_out_of_its_own() {
    let secrets = Secrets::default();
    let provider = Provider::start(&secrets);
    provider.set(|provider| provider.metadata = json!({"end_session_endpoint": null}));
    let template = format!("{}/v2/logout?client_id={{client_id}}&returnTo={{return_to}}", provider.issuer());
    let world = World::around(provider, secrets, |plan| {
        plan.configuration["identity_providers"]["op"]["logout_url"] = json!(template);
    });
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let response = browser.get("/oauth2/logout");
    let landing = format!("{}/oauth2/logout", world.gateway.origin());
    let location = response.location().unwrap().to_owned();
    assert!(location.starts_with(&format!("{}/v2/logout?client_id=", world.provider.issuer())), "{location}");
    assert_eq!(parameter(&location, "client_id").as_deref(), Some("gateway-client"));
    assert_eq!(parameter(&location, "returnTo"), Some(landing));
    assert!(is_signed_out(&world, &mut browser));
}

#[test]
fn a_token_type_in_any_case_and_a_verified_address_as_text_are_taken_as_they_are() {
    let world = World::start();
    for kind in ["bearer", "Bearer", "BEARER"] {
        accepts_login(&world, kind, |provider| {
            provider.edit_token_response(move |response| response["token_type"] = json!(kind));
            provider.edit_user_info(|claims| claims["email_verified"] = json!("true"));
        });
    }
}

#[test]
fn an_empty_400_is_a_refusal_that_says_nothing() {
    let world = World::start();
    let (mut browser, callback) = attempt(&world, |_| {});
    world.provider.fault("token", Answer::of(400, None, ""));
    no_session(&world, &mut browser, &callback, (&[561], "AuthTokenEpRequestFailed"), "empty 400");
}

#[test]
fn issuers_of_many_tenants_need_the_list_and_others_do_not_take_it() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |issuer: &str, tenants: Value, expected: &str| {
        let provider = json!({"type": "oidc", "issuer": issuer, "client_id": "c", "allowed_tenants": tenants});
        let listener = json!({"address": "127.0.0.1:0", "protocol": "http", "hosts": ["app.test"], "default_actions": [{"fixed_response": {"status_code": 200}}]});
        let configuration = json!({"listeners": [listener], "identity_providers": {"op": provider}});
        let refusal = serve_refused(folder.path(), configuration.to_string().as_bytes());
        assert_eq!(refusal.status, Some(2), "{expected}: {}", refusal.output);
        assert!(refusal.output.contains(expected), "{expected}: {}", refusal.output);
    };
    for issuer in ["common", "organizations", "{tenantid}"] {
        let issuer = format!("https://login.microsoftonline.com/{issuer}/v2.0");
        refused(&issuer, json!([]), "everybody with an account in any tenant of the world could sign in");
        refused(&issuer, json!(["example.com"]), "is not the id of a tenant");
    }
    let own = format!("https://login.microsoftonline.com/{OURS}/v2.0");
    refused(&own, json!([OURS]), "the issuer is that of one tenant");
}

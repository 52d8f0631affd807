//! L13, L14, R10: the way over the provider and back, and the tokens that are left behind.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::bearer::counter;
use crate::support::client::{Browser, NAVIGATE, parameter};
use crate::support::gateway::eventually;
use crate::support::logout_token::{deliver, token_of};
use crate::support::oracles::{is_signed_out, same_origin, sign_in, state_of};
use crate::support::provider::Provider;
use crate::support::secrets::Secrets;
use crate::support::wire::Response;

fn sign_out(browser: &mut Browser, query: &str) -> Response {
    browser.request("GET", &format!("/oauth2/logout{query}"), &NAVIGATE[..4], &[("Sec-Fetch-Site", "same-origin")], None)
}

fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    sign_in(world, &mut browser, "/");
    browser
}

#[test]
fn l14_state_comes_back_and_leads_to_the_place_that_was_wished_for() {
    let world = World::start();
    let mut browser = signed_in(&world);
    let login_state = state_of(world.browser().get("/").location().unwrap());
    let over = sign_out(&mut browser, "?return_to=%2Fpublic%3Fbye%3D1");
    let over = over.location().unwrap();
    assert!(over.starts_with(&format!("{}/end_session?", world.provider.issuer())), "{over}");
    assert_eq!(parameter(over, "post_logout_redirect_uri").unwrap(), world.gateway.url("/oauth2/logout"));
    assert!(parameter(over, "id_token_hint").is_some());
    let state = parameter(over, "state").unwrap();
    let back = browser.get(&format!("/oauth2/logout?state={state}"));
    assert_eq!((back.status(), back.location()), (302, Some(world.gateway.url("/public?bye=1").as_str())), "{back}");

    let mut flipped = state.clone().into_bytes();
    flipped[30] = if flipped[30] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for (variant, state) in [("none", ""), ("flipped", &flipped), ("garbage", "x"), ("of a login", &login_state)] {
        let response = browser.get(&format!("/oauth2/logout?state={state}"));
        assert_eq!((response.status(), response.location()), (200, None), "{variant}: {response}");
        assert!(response.text().contains("signed out"), "{variant}: {response}");
    }
}

#[test]
fn r10_sign_out_leads_nowhere_else() {
    let world = World::start_with(|plan| plan.configuration["endpoints"] = json!({"logout_return_to": ["https://www.example.com/bye"]}));
    let evil = [
        "https://evil.test/",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/\t/evil.test",
        "https:evil.test",
        "http:evil.test",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://app.test.evil.test/",
        "https://app.test@evil.test/",
        "https://www.example.com/bye/../evil",
        "https://www.example.com/bye?next=https://evil.test",
        "https://www.example.com.evil.test/bye",
        "https://www.example.com/bye#x",
        "HTTPS://WWW.EXAMPLE.COM/bye",
    ];
    for wanted in evil {
        let query: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
        let mut nobody = world.browser();
        let mut answers = vec![sign_out(&mut nobody, &format!("?return_to={query}"))];
        let mut browser = signed_in(&world);
        let over = sign_out(&mut browser, &format!("?return_to={query}"));
        let location = over.location().unwrap();
        assert!(location.starts_with(&format!("{}/end_session?", world.provider.issuer())), "{wanted}: {location}");
        assert_eq!(parameter(location, "post_logout_redirect_uri").unwrap(), world.gateway.url("/oauth2/logout"), "{wanted}");
        if let Some(state) = parameter(location, "state") {
            answers.push(browser.get(&format!("/oauth2/logout?state={state}")));
        }
        for answer in answers {
            assert!(matches!(answer.status(), 200 | 302), "{wanted}: {answer}");
            if let Some(location) = answer.location() {
                same_origin(&world, location, wanted);
            }
        }
    }
    let mut browser = signed_in(&world);
    let over = sign_out(&mut browser, "?return_to=https%3A%2F%2Fwww.example.com%2Fbye");
    let state = parameter(over.location().unwrap(), "state").unwrap();
    let back = browser.get(&format!("/oauth2/logout?state={state}"));
    assert_eq!(back.location(), Some("https://www.example.com/bye"), "the listed one: {back}");
}

#[test]
fn tokens_are_revoked_when_their_person_signs_out() {
    let secrets = Secrets::default();
    let provider = Provider::start(&secrets);
    let endpoint = format!("{}/revoke", provider.issuer());
    provider.set(|provider| provider.metadata = json!({"revocation_endpoint": endpoint}));
    provider.fault("revoke", Answer::of(200, None, ""));
    let world = World::around(provider, secrets, |_| {});
    let mut browser = signed_in(&world);
    browser.get("/");
    let token = world.target.last().get("x-amzn-oidc-accesstoken").unwrap().to_owned();
    assert_eq!(sign_out(&mut browser, "").status(), 302);
    assert!(eventually(Duration::from_secs(5), || world.provider.count("revoke") == 2));
    let hits = world.provider.hits("revoke");
    let told = |hint: &str| hits.iter().find(|hit| hit.form("token_type_hint").as_deref() == Some(hint)).and_then(|hit| hit.form("token"));
    assert_eq!(told("access_token"), Some(token));
    assert!(told("refresh_token").is_some_and(|token| token.starts_with("refresh-")), "{hits:?}");
    for hit in hits {
        assert!(hit.request.get("authorization").is_some_and(|proof| proof.starts_with("Basic ")), "the client proves who it is");
        assert_eq!(hit.request.method, "POST");
    }
    let counted = || counter(&world, "vestibule_token_revocations_total{identity_provider=\"op\",result=\"success\"}") == 2;
    assert!(eventually(Duration::from_secs(5), counted));

    // Nobody is left to sign out, and nothing to revoke.
    sign_out(&mut browser, "");
    // L13: what anybody can make a browser ask for revokes nothing; nor does a token of the provider, which knows.
    world.provider.set(|provider| provider.claim("sid", json!("sid")));
    let mut framed = signed_in(&world);
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs([("iss", world.provider.issuer()), ("sid", "sid")]).finish();
    framed.get(&format!("/oauth2/frontchannel_logout?{query}"));
    assert!(is_signed_out(&world, &mut framed));
    assert_eq!(deliver(&world, &token_of(&world, &json!({"sid": "sid"}))).status(), 200);
    world.provider.set(|provider| provider.claim("sid", json!("another")));
    let mut last = signed_in(&world);
    sign_out(&mut last, "");
    assert!(eventually(Duration::from_secs(5), || world.provider.count("revoke") == 4));
}

#[test]
fn sign_out_does_not_wait_for_a_revocation() {
    let world = World::start_with(|plan| {
        let provider = &mut plan.configuration["identity_providers"]["op"];
        provider["revocation_endpoint"] = json!(format!("{}/slow", provider["issuer"].as_str().unwrap()));
    });
    for (variant, answer) in [
        ("never", Answer::hanging()),
        ("no connection", Answer::closed()),
        ("unsupported", Answer::json(400, &json!({"error": "unsupported_token_type"}))),
    ] {
        world.provider.fault("slow", answer);
        let mut browser = signed_in(&world);
        let since = Instant::now();
        assert_eq!(sign_out(&mut browser, "").status(), 302, "{variant}");
        assert!(since.elapsed() < Duration::from_secs(2), "{variant}: {:?}", since.elapsed());
        assert!(is_signed_out(&world, &mut browser), "{variant}");
    }
    let failed = || counter(&world, "vestibule_token_revocations_total{identity_provider=\"op\",result=\"failure\"}") == 6;
    assert!(eventually(Duration::from_secs(15), failed), "failures are counted");
    assert!(world.gateway.log().contains("revocation"), "and logged");
}

//! `silent=true`: a sign-in that shows nothing (OIDC Core section 3.1.2.1, `prompt=none`), as pages renew their session in a frame.

use crate::support::World;
use crate::support::client::{Browser, parameter, set_cookies};
use crate::support::oracles::{assert_signed_in, is_signed_out, state_of};

const SILENT: &str = "/oauth2/login?silent=true&return_to=/oauth2/session";

/// The provider's answer with an error, as a browser brings it.
fn error(world: &World, browser: &mut Browser, login: &str, error: &str) -> crate::support::wire::Response {
    let begin = browser.get(login);
    let state = state_of(begin.location().unwrap_or_else(|| panic!("{begin}")));
    let query = [("error", error), ("state", &state), ("iss", world.provider.issuer())];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    browser.get(&format!("/oauth2/idpresponse?{query}"))
}

#[test]
fn a_silent_sign_in_asks_the_provider_to_show_nothing() {
    let world = World::start_with(|plan| {
        plan.authentication()["authentication_request_extra_params"] = serde_json::json!({"prompt": "login"});
    });
    let mut browser = world.browser();
    let begin = browser.get(SILENT);
    let location = begin.location().unwrap();
    assert_eq!((begin.status(), parameter(location, "prompt").as_deref()), (302, Some("none")), "{location}");
    assert_eq!(location.matches("prompt=").count(), 1, "{location}");
    let end = browser.get(&world.provider.approve(location));
    assert_eq!((end.status(), end.location()), (302, Some(world.gateway.url("/oauth2/session").as_str())), "{end}");
    let session = browser.get("/oauth2/session");
    assert_eq!(session.json()["signed_in"], true);
    let policy = session.get("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'self'") && policy.contains("default-src 'none'"), "{policy}");
    assert_signed_in(&mut browser, "silently");
}

#[test]
fn where_the_provider_would_have_to_ask_the_way_leads_back_without_a_session() {
    let world = World::start();
    for wanted in ["login_required", "interaction_required", "account_selection_required", "consent_required"] {
        let mut browser = world.browser();
        let tokens = world.provider.count("token");
        let back = error(&world, &mut browser, SILENT, wanted);
        assert_eq!((back.status(), back.location()), (302, Some(world.gateway.url("/oauth2/session").as_str())), "{wanted}: {back}");
        assert!(set_cookies(&back).iter().all(|cookie| !cookie.is_session()), "{wanted}: {back}");
        assert_eq!(browser.get("/oauth2/session").json()["signed_in"], false);
        assert!(is_signed_out(&world, &mut browser), "{wanted}");
        assert_eq!(world.provider.count("token"), tokens, "{wanted}");
    }
    assert_eq!(world.gateway.access_lines_with(4, |line| line["error_reason"] == "AuthInteractionRequired").len(), 4);

    // Any other error is one, and so is this one where nobody asked for silence.
    assert_eq!(error(&world, &mut world.browser(), SILENT, "invalid_scope").status(), 561);
    assert_eq!(error(&world, &mut world.browser(), SILENT, "access_denied").status(), 403);
    assert_eq!(error(&world, &mut world.browser(), "/oauth2/login?return_to=/x", "login_required").status(), 561);
}

//! F12, F13, F20–F22, F26, F27: what goes to the provider, and what a request without a session gets.

use crate::support::World;
use crate::support::client::{FETCH, NAVIGATE, connect, parameter, set_cookies};
use crate::support::gateway::CALLBACK;
use crate::support::jose;
use crate::support::oracles::{no_bypass, sign_in, start_login, state_of};
use crate::support::provider::CLIENT_ID;
use crate::support::target::MARK;
use crate::support::wire::pairs;

#[test]
fn f12_every_login_has_a_challenge_of_its_own_and_proves_it() {
    let world = World::start();
    let mut verifiers = Vec::new();
    for _ in 0..5 {
        let mut browser = world.browser();
        let authorization = start_login(&world, &mut browser, "/");
        assert_eq!(parameter(&authorization, "code_challenge_method").as_deref(), Some("S256"));
        let callback = world.provider.approve(&authorization);
        assert_eq!(browser.get(&callback).status(), 302);
        let grant = world.provider.hits("token").pop().unwrap();
        let verifier = grant.form("code_verifier").unwrap();
        assert!((43..=128).contains(&verifier.len()), "verifier of {}", verifier.len());
        let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        assert!(verifier.chars().all(unreserved), "RFC 7636 section 4.1");
        let challenge = parameter(&authorization, "code_challenge").unwrap();
        assert_eq!(challenge, jose::code_challenge(&verifier));
        verifiers.push(verifier);
    }
    verifiers.sort();
    verifiers.dedup();
    assert_eq!(verifiers.len(), 5, "a verifier repeats");
}

#[test]
fn f13_verifier_and_page_cannot_be_read_by_the_browser_or_the_provider() {
    let world = World::start();
    let mut browser = world.browser();
    let page = "/a-page-that-nobody-needs-to-know";
    let authorization = start_login(&world, &mut browser, page);
    let cookies = browser.cookie_header();
    let callback = world.provider.approve(&authorization);
    assert_eq!(browser.get(&callback).status(), 302);
    let grant = world.provider.hits("token").pop().unwrap();
    let verifier = grant.form("code_verifier").unwrap();
    let opaque = String::from_utf8_lossy(&jose::decode(&state_of(&authorization))).into_owned();
    let nonce = parameter(&authorization, "nonce").unwrap();
    for (place, text) in [("authorization URL", &authorization), ("decoded state", &opaque), ("cookies", &cookies)] {
        assert!(!text.contains(&verifier), "verifier in the {place}");
        assert!(!text.contains(page), "page in the {place}");
    }
    assert!(!opaque.contains(&nonce), "nonce in the decoded state");
}

#[test]
fn f20_request_cannot_choose_what_is_asked_of_the_provider() {
    let world = World::start();
    let names = |url: &str| {
        let mut names: Vec<String> = pairs(url.split_once('?').unwrap().1).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    };
    let plain = start_login(&world, &mut world.browser(), "/page");
    for path in [
        "/page?scope=admin&redirect_uri=https://evil.test/&client_id=evil&prompt=none",
        "/page?response_type=token&response_mode=fragment&state=chosen&nonce=chosen",
        "/oauth2/login?scope=admin&redirect_uri=https://evil.test/&client_id=evil",
        "/page?iss=https://evil.test&login_hint=admin&target_link_uri=https://evil.test/",
    ] {
        let response = world.browser().get(path);
        let Some(location) = response.location() else {
            assert!((400..500).contains(&response.status()), "{path}: {response}");
            continue;
        };
        assert_eq!(names(location), names(&plain), "{path}");
        for name in ["client_id", "redirect_uri", "scope", "response_type"] {
            assert_eq!(parameter(location, name), parameter(&plain, name), "{path}: {name}");
        }
        for name in ["state", "nonce"] {
            assert_ne!(parameter(location, name).as_deref(), Some("chosen"), "{path}: {name}");
        }
    }
}

#[test]
fn f21_redirect_uri_never_follows_a_host_that_is_not_ours() {
    let world = World::start();
    let ours = world.gateway.url(CALLBACK);
    for (variant, more, expected) in [
        ("foreign Host", vec![("Host", "evil.test")], None),
        ("foreign Host with our name in it", vec![("Host", "app.test.evil.test")], None),
        ("X-Forwarded-Host", vec![("X-Forwarded-Host", "evil.test")], Some(&ours)),
        ("X-Forwarded-Proto", vec![("X-Forwarded-Proto", "javascript")], Some(&ours)),
        ("X-Forwarded-Proto http", vec![("X-Forwarded-Proto", "http")], Some(&ours)),
        ("X-Forwarded-Port", vec![("X-Forwarded-Port", "666")], Some(&ours)),
        ("X-Forwarded-Prefix", vec![("X-Forwarded-Prefix", "/evil")], Some(&ours)),
        ("Forwarded", vec![("Forwarded", "host=evil.test;proto=http")], Some(&ours)),
        ("X-Original-Host", vec![("X-Original-Host", "evil.test")], Some(&ours)),
    ] {
        let response = world.browser().get_with("/page", &more);
        match expected {
            None => {
                assert!(matches!(response.status(), 400 | 421), "{variant}: {response}");
                assert!(response.location().is_none(), "{variant}: {response}");
            }
            Some(ours) => {
                let redirect_uri = response.location().and_then(|url| parameter(url, "redirect_uri"));
                assert_eq!(redirect_uri.as_ref(), Some(ours), "{variant}: {response}");
            }
        }
    }
}

#[test]
fn f22_page_cannot_smuggle_parameters_into_the_authorization_request() {
    let world = World::start();
    let plain = start_login(&world, &mut world.browser(), "/page");
    let count = pairs(plain.split_once('?').unwrap().1).len();
    for path in [
        "/page%26client_id%3Devil",
        "/page&client_id=evil",
        "/page?x=1&client_id=evil&redirect_uri=https://evil.test",
        "/page?%26client_id%3Devil",
        "/page?x=%0d%0aLocation:%20https://evil.test/",
        "/page?x=%23&client_id=evil",
        "/page?x='\"<>",
        "/page;client_id=evil",
    ] {
        let response = world.browser().get(path);
        if response.status() == 400 {
            continue;
        }
        let location = response.location().unwrap_or_default();
        assert!(location.starts_with(world.provider.issuer()), "{path}: {response}");
        assert!(!location.contains('#'), "{path}: a fragment in {location}");
        let parameters = pairs(location.split_once('?').unwrap().1);
        assert_eq!(parameters.len(), count, "{path}: {parameters:?}");
        let clients: Vec<_> = parameters.iter().filter(|(name, _)| name == "client_id").collect();
        assert_eq!(clients.len(), 1, "{path}: client_id");
        assert_eq!(clients[0].1, CLIENT_ID, "{path}");
        assert_eq!(response.head.all("location").len(), 1, "{path}: {response}");
    }
}

#[test]
fn f26_nothing_of_a_request_without_a_session_reaches_the_target() {
    let world = World::start();
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let mark = world.target.count();
        let header = [("Content-Type", "application/x-www-form-urlencoded")];
        let body = Some(&b"transfer=everything"[..]);
        let response = world.browser().request(method, "/form", NAVIGATE, &header, body);
        assert_eq!(response.status(), 401, "{method}: {response}");
        no_bypass(&world, mark, Some(&response), method);
    }
    // A body that is still on its way: the answer does not wait for it, and nothing is forwarded.
    let mark = world.target.count();
    let mut wire = connect(world.gateway.port);
    let head = format!("POST /form HTTP/1.1\r\nHost: {}\r\nContent-Length: 100000\r\n\r\nfirst part", world.gateway.authority());
    wire.send(head.as_bytes()).unwrap();
    let response = wire.response("POST").unwrap();
    no_bypass(&world, mark, Some(&response), "unfinished body");
    let page = world.browser().get("/page");
    assert!(!page.text().contains(MARK), "bytes of the target in the redirect");
}

#[test]
fn f27_what_cannot_follow_a_redirect_gets_401_and_leaves_nothing_behind() {
    let world = World::start();
    for (variant, headers) in [
        ("fetch", FETCH.to_vec()),
        ("XMLHttpRequest", vec![("Accept", "*/*"), ("X-Requested-With", "XMLHttpRequest")]),
        ("JSON", vec![("Accept", "application/json")]),
        ("an image", vec![("Accept", "image/*"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")]),
    ] {
        let mut browser = world.browser();
        let response = browser.request("GET", "/api", &headers, &[], None);
        assert_eq!(response.status(), 401, "{variant}: {response}");
        assert!(response.location().is_none(), "{variant}: {response}");
        assert!(response.get("www-authenticate").is_some(), "{variant}: no WWW-Authenticate");
        let answer = response.json();
        assert!(answer["error"].is_string() && answer["request_id"].is_string(), "{variant}: {answer}");
        assert!(set_cookies(&response).is_empty(), "{variant}: a cookie");
    }
    let before = world.gateway.resident_memory();
    let mut browser = world.browser();
    for _ in 0..300 {
        assert_eq!(browser.fetch("/api").status(), 401);
    }
    assert!(browser.cookies.is_empty(), "cookies: {:?}", browser.cookies);
    let grown = world.gateway.resident_memory().saturating_sub(before);
    assert!(grown < 32 << 20, "memory grew by {grown} octets");
    sign_in(&world, &mut browser, "/");
    assert_eq!(browser.fetch("/api").status(), 200);
}

//! I01–I06, I15: a provider that is down, slow, confused or hostile never signs anybody in, and never spreads.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::certificates::{Flaw, certificates};
use crate::support::client::NAVIGATE;
use crate::support::gateway::{Plan, authenticate, eventually, free_port, rule};
use crate::support::oracles::{accepts_login, assert_signed_in, attempt, honest_login_works, no_session, sign_in, start_login};
use crate::support::provider::{Provider, put};
use crate::support::secrets::Secrets;
use crate::support::target::Target;
use crate::support::wire::Server;

const JSON: Option<&str> = Some("application/json");

/// A port that counts who knocks.
fn canary() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let knocks = Arc::new(AtomicUsize::new(0));
    let counter = knocks.clone();
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, knocks)
}

/// A gateway whose provider never had a good discovery document: protected pages fail closed.
fn fails_closed(variant: &str, prepare: impl FnOnce(&Provider)) -> World {
    let secrets = Secrets::default();
    let provider = Provider::start(&secrets);
    prepare(&provider);
    let target = Target::start();
    let plan = Plan::new(target.port(), &provider.configuration(), &secrets);
    let world = World { gateway: plan.start_unready(), provider, target, secrets };
    let response = world.browser().get("/page");
    assert!(matches!(response.status(), 502..=504 | 561), "{variant}: {response}");
    assert_eq!(world.target.count(), 0, "{variant}: the target saw a request");
    world
}

#[test]
fn i01_discovery_of_another_issuer_fails_closed() {
    for issuer in [json!("https://evil.test"), json!("https://localhost/"), json!(null), json!(""), json!(["https://localhost"])] {
        let variant = format!("issuer {issuer}");
        fails_closed(&variant, |provider| {
            provider.set(|behaviour| put(&mut behaviour.metadata, "issuer", issuer.clone()));
            if issuer.is_null() {
                provider.set(|behaviour| behaviour.metadata["issuer"] = Value::Null);
            }
        });
    }
}

#[test]
fn i01_discovery_that_is_no_document_fails_closed_and_heals() {
    for (variant, answer) in [
        ("HTML", Answer::of(200, Some("text/html"), "<html></html>")),
        ("empty", Answer::of(200, JSON, "")),
        ("null", Answer::of(200, JSON, "null")),
        ("a list", Answer::of(200, JSON, "[]")),
        ("404", Answer::of(404, JSON, "{}")),
        ("500", Answer::of(500, JSON, "{}")),
        ("closed", Answer::closed()),
    ] {
        let world = fails_closed(variant, |provider| provider.fault("discovery", answer));
        world.provider.reset();
        let healed = eventually(Duration::from_secs(15), || world.browser().get("/page").status() == 302);
        assert!(healed, "{variant}: the gateway does not recover");
        honest_login_works(&world);
    }
}

#[test]
fn i02_provider_that_is_down_at_start_is_survived() {
    let secrets = Secrets::default();
    let port = free_port();
    let stand_in = Provider::start_with(&secrets, certificates().server(), port);
    let configuration = stand_in.configuration();
    let secret = stand_in.client_secret().to_owned();
    drop(stand_in);

    let target = Target::start();
    let plan = Plan::new(target.port(), &configuration, &secrets);
    let gateway = plan.start_unready();
    let alive = eventually(Duration::from_secs(5), || gateway.admin("/livez").is_some_and(|response| response.status() == 200));
    assert!(alive, "/livez while the provider is down");
    let mut browser = crate::support::client::Browser::new(&gateway, &secrets);
    assert_eq!(browser.get("/public/page").status(), 200, "a public page");
    assert_eq!(browser.get("/allow/page").status(), 200, "an optional page");
    let response = browser.get("/page");
    assert!(matches!(response.status(), 502..=504 | 561), "a protected page: {response}");
    assert_eq!(target.count(), 2);

    let provider = Provider::start_again(&secrets, certificates().server(), port, &secret);
    let world = World { gateway, provider, target, secrets };
    let healed = eventually(Duration::from_secs(20), || world.browser().get("/page").status() == 302);
    assert!(healed, "the gateway does not recover");
    honest_login_works(&world);
    assert_eq!(world.gateway.admin("/readyz").unwrap().status(), 200);
}

#[test]
fn i03_token_endpoint_that_fails_gives_no_session() {
    let world = World::start();
    let huge = vec![b' '; 8 << 20];
    for (variant, answer, reason) in [
        ("500", Answer::of(500, JSON, "{}"), "AuthTokenEpRequestFailed"),
        ("503 and Retry-After", Answer::of(503, JSON, "{}").with("Retry-After", "3600"), "AuthTokenEpRequestFailed"),
        ("429", Answer::of(429, JSON, "{}"), "AuthTokenEpRequestFailed"),
        ("404 HTML", Answer::of(404, Some("text/html"), "<html>"), "AuthTokenEpRequestFailed"),
        ("HTML", Answer::of(200, Some("text/html"), "<html></html>"), "AuthInvalidTokenResponse"),
        ("empty", Answer::of(200, JSON, ""), "AuthInvalidTokenResponse"),
        ("null", Answer::of(200, JSON, "null"), "AuthInvalidTokenResponse"),
        ("a list", Answer::of(200, JSON, "[]"), "AuthInvalidTokenResponse"),
        ("a string", Answer::of(200, JSON, "\"x\""), "AuthInvalidTokenResponse"),
        ("two values", Answer::of(200, JSON, "{}{}"), "AuthInvalidTokenResponse"),
        ("a tower", Answer::of(200, JSON, "[".repeat(200_000)), "AuthInvalidTokenResponse"),
        ("closed", Answer::closed(), ""),
        ("cut off", Answer::of(200, JSON, "{\"access_token\":\"x\"}").cut_after(9), ""),
        ("8 MiB", Answer::of(200, JSON, huge), ""),
        ("without end", Answer::endless(), ""),
    ] {
        let (mut browser, callback) = attempt(&world, |_| {});
        let begin = Instant::now();
        world.provider.fault("token", answer);
        let before = world.gateway.resident_memory();
        no_session(&world, &mut browser, &callback, (&[561], reason), variant);
        assert!(begin.elapsed() < Duration::from_secs(8), "{variant}: {:?}", begin.elapsed());
        let grown = world.gateway.resident_memory().saturating_sub(before);
        assert!(grown < 48 << 20, "{variant}: memory grew by {grown} octets");
    }
    honest_login_works(&world);
}

#[test]
fn i03_token_endpoint_that_is_slow_is_given_up() {
    let answers = [
        ("silent", Answer::hanging()),
        ("late", Answer::json(200, &json!({})).after(Duration::from_secs(45))),
        ("in drops", Answer::of(200, JSON, vec![b' '; 400]).drip(Duration::from_millis(150))),
    ];
    // Together, since each takes as long as the gateway waits.
    std::thread::scope(|scope| {
        for (variant, answer) in answers {
            scope.spawn(move || {
                let world = World::start();
                let (mut browser, callback) = attempt(&world, |_| {});
                let mut signed_in = world.browser();
                sign_in(&world, &mut signed_in, "/");
                world.provider.fault("token", answer);
                let begin = Instant::now();
                let tokens = world.provider.count("token");
                let waiting = scope.spawn(move || (browser.get(&callback), browser));
                let asked =
                    eventually(Duration::from_secs(5), || world.provider.hits("token").len() > tokens || begin.elapsed().as_millis() > 500);
                assert!(asked, "{variant}");
                // Whoever is signed in does not wait for the provider.
                let canary = Instant::now();
                assert_signed_in(&mut signed_in, variant);
                assert!(canary.elapsed() < Duration::from_secs(1), "{variant}: the canary waited");
                let (response, mut browser) = waiting.join().unwrap();
                assert_eq!(response.status(), 561, "{variant}: {response}");
                assert!(begin.elapsed() < Duration::from_secs(20), "{variant}: {:?}", begin.elapsed());
                assert!(browser.session().is_empty(), "{variant}: a session");
                assert_eq!(browser.get("/page").status(), 302, "{variant}: signed in");
                let logged = world.gateway.logs_reason("AuthTokenEpRequestTimeout");
                assert!(logged, "{variant}: the log does not say why");
            });
        }
    });
}

#[test]
fn i04_token_endpoint_that_redirects_is_not_followed() {
    let world = World::start();
    let (port, knocks) = canary();
    for status in [301, 302, 303, 307, 308] {
        for scheme in ["http", "https"] {
            let (mut browser, callback) = attempt(&world, |_| {});
            let place = format!("{scheme}://127.0.0.1:{port}/token");
            world.provider.fault("token", Answer::redirect(status, &place));
            let variant = format!("{status} to {scheme}");
            no_session(&world, &mut browser, &callback, (&[561], "AuthTokenEpRequestFailed"), &variant);
        }
    }
    assert_eq!(knocks.load(Ordering::SeqCst), 0, "the redirect was followed");
    honest_login_works(&world);
}

#[test]
fn i04_user_info_that_redirects_is_not_followed() {
    let world = World::start();
    let (port, knocks) = canary();
    let (mut browser, callback) = attempt(&world, |_| {});
    let place = format!("http://127.0.0.1:{port}/userinfo");
    world.provider.fault("userinfo", Answer::redirect(307, &place));
    let expected: (&[u16], &str) = (&[561], "AuthUserinfoEpRequestFailed");
    no_session(&world, &mut browser, &callback, expected, "307");
    assert_eq!(knocks.load(Ordering::SeqCst), 0, "the redirect was followed");
}

#[test]
fn i05_discovery_and_key_set_elsewhere_are_refused() {
    let (port, knocks) = canary();
    for (variant, member, place) in [
        ("file", "jwks_uri", "file:///etc/passwd".to_owned()),
        ("link-local over http", "jwks_uri", "http://169.254.169.254/jwks".to_owned()),
        ("http elsewhere", "jwks_uri", "http://keys.evil.test/jwks".to_owned()),
        ("no URL", "jwks_uri", "jwks".to_owned()),
        ("token endpoint over http", "token_endpoint", "http://evil.test/token".to_owned()),
        ("token endpoint file", "token_endpoint", "file:///tmp/token".to_owned()),
        ("authorization endpoint script", "authorization_endpoint", "javascript:alert(1)".to_owned()),
        ("user info over http", "userinfo_endpoint", "http://evil.test/userinfo".to_owned()),
    ] {
        let secrets = Secrets::default();
        let provider = Provider::start(&secrets);
        provider.set(|behaviour| put(&mut behaviour.metadata, member, json!(place)));
        let target = Target::start();
        let plan = Plan::new(target.port(), &provider.configuration(), &secrets);
        let world = World { gateway: plan.start_unready(), provider, target, secrets };
        let mut browser = world.browser();
        let begin = browser.get("/page");
        if begin.status() == 302 {
            let location = begin.location().unwrap().to_owned();
            assert!(location.starts_with(world.provider.issuer()), "{variant}: {begin}");
            let end = browser.get(&world.provider.approve(&location));
            assert_eq!(end.status(), 561, "{variant}: {end}");
            assert!(browser.session().is_empty(), "{variant}: a session");
        } else {
            assert!(matches!(begin.status(), 502..=504 | 561), "{variant}: {begin}");
        }
    }
    for endpoint in ["discovery", "jwks"] {
        for scheme in ["http", "https"] {
            let secrets = Secrets::default();
            let provider = Provider::start(&secrets);
            let place = format!("{scheme}://127.0.0.1:{port}/{endpoint}");
            provider.fault(endpoint, Answer::redirect(302, &place));
            let target = Target::start();
            let plan = Plan::new(target.port(), &provider.configuration(), &secrets);
            let world = World { gateway: plan.start_unready(), provider, target, secrets };
            let mut browser = world.browser();
            let begin = browser.get("/page");
            if let Some(location) = begin.location() {
                let end = browser.get(&world.provider.approve(location));
                assert_eq!(end.status(), 561, "{endpoint} to {scheme}: {end}");
            }
            assert!(browser.session().is_empty(), "{endpoint} to {scheme}: a session");
        }
    }
    assert_eq!(knocks.load(Ordering::SeqCst), 0, "a redirect was followed");
}

#[test]
fn i06_token_response_that_lacks_something_is_refused_or_read_safely() {
    let world = World::start();
    for (variant, name, value) in [
        ("no ID token", "id_token", json!(null)),
        ("an empty ID token", "id_token", json!("")),
        ("an ID token that is a number", "id_token", json!(1)),
        ("an ID token that is an object", "id_token", json!({})),
        ("an ID token of five parts", "id_token", json!("a.b.c.d.e")),
        ("an ID token of dots", "id_token", json!("...")),
        ("an ID token of 1 MB", "id_token", json!("a".repeat(1_000_000))),
        ("no access token", "access_token", json!(null)),
        ("an access token that is a number", "access_token", json!(1)),
        ("another token type", "token_type", json!("mac")),
        ("an error beside the tokens", "error", json!("invalid_grant")),
    ] {
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.edit_token_response(move |response| put(response, name, value.clone()));
        });
        no_session(&world, &mut browser, &callback, (&[401, 561], ""), variant);
    }
    for (variant, value) in [
        ("absent", json!(null)),
        ("negative", json!(-1)),
        ("a string", json!("3600")),
        ("1e18", json!(1_000_000_000_000_000_000_u64)),
        ("2^64 - 1", json!(u64::MAX)),
        ("1e300", json!(1e300)),
        ("zero", json!(0)),
    ] {
        let (mut browser, callback) = attempt(&world, |provider| {
            provider.edit_token_response(move |response| put(response, "expires_in", value.clone()));
        });
        let response = browser.get(&callback);
        assert!(matches!(response.status(), 302 | 561), "expires_in {variant}: {response}");
    }
    accepts_login(&world, "token_type in small letters", |provider| {
        provider.edit_token_response(|response| response["token_type"] = json!("bearer"));
    });
    honest_login_works(&world);
}

#[test]
fn i15_provider_whose_certificate_is_not_good_is_not_asked() {
    let secrets = Secrets::default();
    let flaws =
        [Flaw::Expired, Flaw::NotYetValid, Flaw::WrongName, Flaw::NulInName, Flaw::SelfSigned, Flaw::OtherAuthority, Flaw::ClientOnly];
    let flawed: Vec<(Flaw, Provider)> = flaws
        .into_iter()
        .map(|flaw| {
            let tls = certificates().flawed_server(flaw);
            (flaw, Provider::start_with(&secrets, tls, 0))
        })
        .collect();
    let good = Provider::start(&secrets);
    let target = Target::start();
    let mut plan = Plan::new(target.port(), &good.configuration(), &secrets);
    for (number, (_, provider)) in flawed.iter().enumerate() {
        let name = format!("flawed{number}");
        plan.configuration["identity_providers"][&name] = provider.configuration();
        let actions = json!([authenticate(&name, "authenticate"), {"forward": "app"}]);
        let priority = 100 + u32::try_from(number).unwrap();
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(priority, &format!("/{name}"), &actions));
    }
    let world = World { gateway: plan.start_unready(), provider: good, target, secrets };
    for (number, (flaw, provider)) in flawed.iter().enumerate() {
        let response = world.browser().get(&format!("/flawed{number}"));
        assert!(matches!(response.status(), 502..=504 | 561), "{flaw:?}: {response}");
        assert!(provider.accepted() > 0, "{flaw:?}: never tried");
        for endpoint in ["discovery", "jwks", "token"] {
            assert_eq!(provider.count(endpoint), 0, "{flaw:?}: {endpoint} was asked");
        }
    }
    honest_login_works(&world);
    assert_eq!(world.target.count(), 1);
}

#[test]
fn i15_provider_that_speaks_only_tls_1_0_is_refused() {
    // A ServerHello of TLS 1.0 with TLS_RSA_WITH_AES_128_CBC_SHA, whatever the client offers.
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let old = Server::start(0, None, move |mut wire| {
        if wire.fill().is_ok() && wire.send(&hello).is_ok() {
            wire.rest();
        }
    });
    let secrets = Secrets::default();
    let provider = Provider::start(&secrets);
    let mut configuration = provider.configuration();
    configuration["issuer"] = json!(format!("https://localhost:{}", old.port));
    let target = Target::start();
    let plan = Plan::new(target.port(), &configuration, &secrets);
    let world = World { gateway: plan.start_unready(), provider, target, secrets };
    let response = world.browser().get("/page");
    assert!(matches!(response.status(), 502..=504 | 561), "{response}");
    assert!(old.accepted() > 0, "never tried");
}

#[test]
fn i17_user_info_that_fails_gives_no_half_identity() {
    let world = World::start();
    for (variant, answer, reason) in [
        ("500", Answer::of(500, JSON, "{}"), "AuthUserinfoEpRequestFailed"),
        ("401", Answer::of(401, JSON, "{}"), "AuthUserinfoEpRequestFailed"),
        ("closed", Answer::closed(), ""),
        ("without end", Answer::endless(), ""),
    ] {
        let (mut browser, callback) = attempt(&world, |_| {});
        world.provider.fault("userinfo", answer);
        no_session(&world, &mut browser, &callback, (&[561], reason), variant);
    }
    honest_login_works(&world);
}

#[test]
fn provider_error_pages_are_plain_and_tell_nothing() {
    let world = World::start();
    let (mut browser, callback) = attempt(&world, |_| {});
    world.provider.fault("token", Answer::of(500, JSON, r#"{"error":"<script>secret detail"}"#));
    let page = browser.get(&callback);
    assert_eq!(page.status(), 561);
    assert!(page.get("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    assert!(page.get("cache-control").is_some_and(|value| value.contains("no-store")));
    for detail in ["secret detail", "script", "localhost", "token endpoint", "127.0.0.1"] {
        assert!(!page.text().contains(detail), "{detail} in {}", page.text());
    }
    let mut other = world.browser();
    let authorization = start_login(&world, &mut other, "/");
    let callback = world.provider.approve(&authorization);
    let fetched = other.request("GET", &callback, &NAVIGATE[..1], &[("Accept", "application/json")], None);
    assert_eq!(fetched.status(), 561);
    assert!(fetched.json()["request_id"].is_string());
}

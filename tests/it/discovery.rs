//! I01, I02, I05, I15: a provider that cannot be found, or is not who it should be.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::canary::Canary;
use crate::support::certificates::{Flaw, certificates};
use crate::support::gateway::{Plan, authenticate, eventually, rule};
use crate::support::oracles::honest_login_works;
use crate::support::provider::{Provider, put};
use crate::support::secrets::Secrets;
use crate::support::target::Target;
use crate::support::wire::{Server, listen};

const JSON: Option<&str> = Some("application/json");

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
    let stand_in = Provider::start(&secrets);
    let (port, configuration) = (stand_in.port(), stand_in.configuration());
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

    let provider = Provider::start_again(&secrets, port, &secret);
    let world = World { gateway, provider, target, secrets };
    let healed = eventually(Duration::from_secs(20), || world.browser().get("/page").status() == 302);
    assert!(healed, "the gateway does not recover");
    honest_login_works(&world);
    assert_eq!(world.gateway.admin("/readyz").unwrap().status(), 200);
}

#[test]
fn i05_discovery_and_key_set_elsewhere_are_refused() {
    let canary = Canary::start();
    for (variant, member, place) in [
        ("file", "jwks_uri", "file:///etc/passwd".to_owned()),
        ("link-local over http", "jwks_uri", "http://169.254.169.254/jwks".to_owned()),
        ("http elsewhere", "jwks_uri", "http://keys.evil.test/jwks".to_owned()),
        ("no URL", "jwks_uri", "jwks".to_owned()),
        ("token endpoint over http", "token_endpoint", "http://evil.test/token".to_owned()),
        ("token endpoint file", "token_endpoint", "file:///token".to_owned()),
        ("authorization endpoint script", "authorization_endpoint", "javascript:alert(1)".to_owned()),
        ("user info over http", "userinfo_endpoint", "http://evil.test/userinfo".to_owned()),
    ] {
        let secrets = Secrets::default();
        let provider = Provider::start(&secrets);
        provider.set(|behaviour| put(&mut behaviour.metadata, member, json!(place)));
        let target = Target::start();
        let plan = Plan::new(target.port(), &provider.configuration(), &secrets);
        let world = World { gateway: plan.start_unready(), provider, target, secrets };
        // The whole document is refused: no login begins that would end there.
        let begin = world.browser().get("/page");
        assert!(matches!(begin.status(), 502..=504 | 561), "{variant}: {begin}");
    }
    for endpoint in ["discovery", "jwks"] {
        for scheme in ["http", "https"] {
            let secrets = Secrets::default();
            let provider = Provider::start(&secrets);
            let place = format!("{scheme}://127.0.0.1:{}/{endpoint}", canary.port);
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
    assert_eq!(canary.knocks(), 0, "a redirect was followed");
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
            (flaw, Provider::start_with(&secrets, tls))
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
    let old = Server::start(listen(), None, move |mut wire| {
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

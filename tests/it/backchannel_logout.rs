//! L01–L11: the provider ends sessions behind the browser's back, and nobody else can.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::reload::reload;
use crate::support::World;
use crate::support::answer::Answer;
use crate::support::certificates::{APP, certificates};
use crate::support::client::{Browser, SetCookie, connect, set_cookies};
use crate::support::gateway::eventually;
use crate::support::jose::{self, Key};
use crate::support::logout_token::{EVENT, deliver, form, post, token, token_of};
use crate::support::oracles::{assert_signed_in, is_signed_out, signed_in_with_sid};
use crate::support::provider::{Provider, unix_time};
use crate::support::secrets::Secrets;
use crate::support::wire::Response;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// 400, JSON that is not to be stored, the reason in the log; and whoever is signed in stays.
#[track_caller]
fn refused(world: &World, browser: &mut Browser, response: &Response, reason: &str, variant: &str) {
    assert_eq!(response.status(), 400, "{variant}: {response}");
    assert_eq!(response.get("cache-control"), Some("no-store"), "{variant}");
    assert_eq!(response.json()["error"], "invalid_request", "{variant}: {response}");
    let id = response.json()["request_id"].clone();
    let lines = world.gateway.access_lines_with(1, |line| line["request_id"] == id);
    assert_eq!(lines.first().map(|line| &line["error_reason"]), Some(&json!(reason)), "{variant}: {lines:?}");
    assert_signed_in(browser, variant);
}

#[test]
fn l01_logout_token_ends_the_sessions_that_it_names_at_once() {
    let world = World::start();
    let mut first = signed_in_with_sid(&world, "alice", &json!("first"));
    let mut copy = first.copy();
    assert_signed_in(&mut first, "before");
    let mut second = signed_in_with_sid(&world, "alice", &json!("second"));
    let mut nameless = signed_in_with_sid(&world, "alice", &Value::Null);
    let mut bob = signed_in_with_sid(&world, "bob", &json!("of bob"));

    let response = deliver(&world, &token_of(&world, &json!({"sid": "first"})));
    assert_eq!((response.status(), response.get("cache-control")), (200, Some("no-store")), "{response}");
    assert_eq!(first.fetch("/oauth2/session").json()["signed_in"], false);
    for browser in [&mut first, &mut copy] {
        assert!(is_signed_out(&world, browser), "by sid");
    }
    assert!(world.gateway.logs_reason("AuthEndedSession"));
    for (browser, variant) in [(&mut second, "second"), (&mut nameless, "without sid"), (&mut bob, "bob")] {
        assert_signed_in(browser, variant);
    }

    // Of a session without `sid` nobody knows that it is another one.
    assert_eq!(deliver(&world, &token_of(&world, &json!({"sid": "third", "sub": "alice"}))).status(), 200);
    assert!(is_signed_out(&world, &mut nameless), "by sid and sub");
    assert_signed_in(&mut second, "second");

    assert_eq!(deliver(&world, &token_of(&world, &json!({"sub": "alice"}))).status(), 200);
    assert!(is_signed_out(&world, &mut second), "by sub");
    assert_signed_in(&mut bob, "bob");
    let again = || {
        let mut browser = signed_in_with_sid(&world, "alice", &json!("fourth"));
        !is_signed_out(&world, &mut browser)
    };
    assert!(eventually(Duration::from_secs(5), again), "nobody can sign in any more");
}

#[test]
fn l01_sessions_that_were_not_in_memory_are_dead_too() {
    let world = World::start();
    // After a sign-in nothing has been asked with the session yet.
    let mut unseen = signed_in_with_sid(&world, "alice", &json!("unseen"));
    let mut other = signed_in_with_sid(&world, "bob", &json!("other"));
    assert_eq!(deliver(&world, &token_of(&world, &json!({"sid": "unseen"}))).status(), 200);
    assert_eq!(deliver(&world, &token_of(&world, &json!({"sub": "bob"}))).status(), 200);
    for (browser, mode) in [(&mut unseen, "sid"), (&mut other, "sub")] {
        assert_eq!(browser.copy().fetch("/oauth2/session").json()["signed_in"], false, "{mode}");
        assert_eq!(browser.copy().get("/deny/page").status(), 401, "{mode}");
        let anonymous = browser.get("/allow/page");
        assert_eq!(anonymous.status(), 200, "{mode}: {anonymous}");
        assert_eq!(world.target.last().get("x-amzn-oidc-identity"), None, "{mode}");
    }
}

/// Tokens from now on live so long.
fn live_for(world: &World, seconds: i64) {
    world.provider.set(|provider| provider.edit_token_response(move |response| response["expires_in"] = json!(seconds)));
}

#[test]
fn l01_refreshed_session_is_still_the_one_that_its_sid_names() {
    let world = World::start();
    live_for(&world, 1);
    let mut alice = signed_in_with_sid(&world, "alice", &json!("first"));
    // A refresh may leave the sid out.
    world.provider.set(|provider| provider.claim("sid", Value::Null));
    live_for(&world, 3600);
    let refreshes = || {
        assert_signed_in(&mut alice, "before");
        world.provider.refreshes() == 1
    };
    assert!(eventually(Duration::from_secs(10), refreshes));
    assert_eq!(deliver(&world, &token_of(&world, &json!({"sid": "first"}))).status(), 200);
    assert!(is_signed_out(&world, &mut alice));
}

#[test]
fn l01_session_that_has_been_ended_is_not_refreshed() {
    let world = World::start();
    live_for(&world, 1);
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let begin = Instant::now();
    assert_eq!(deliver(&world, &token_of(&world, &json!({"sid": "sid"}))).status(), 200);
    assert!(eventually(Duration::from_secs(5), || begin.elapsed() > Duration::from_secs(2)));
    let response = alice.get("/deny/page");
    assert_eq!(response.status(), 401, "{response}");
    assert!(set_cookies(&response).iter().filter(|cookie| cookie.is_session()).all(SetCookie::deletes), "{response}");
    assert_eq!(world.provider.refreshes(), 0);
}

#[test]
fn l01_a_reload_forgets_no_logout() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let used = token_of(&world, &json!({"sub": "alice"}));
    assert_eq!(deliver(&world, &used).status(), 200);
    reload(&world.gateway, "success");
    assert_eq!(deliver(&world, &used).status(), 400, "the token works again");
    assert!(is_signed_out(&world, &mut alice));
}

#[test]
fn l02_tokens_of_others_end_nothing() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let named = |claims: &mut Value| {
        claims["sub"] = json!("alice");
        claims["sid"] = json!("sid");
    };
    let of = |name: &'static str, value: Value| token_of(&world, &json!({"sub": "alice", "sid": "sid", name: value}));
    let stranger = Key::rsa(1, "RS256", "rsa-0");
    let signed = |header: &Value, key: &Key| {
        let mut claims =
            json!({"iss": world.provider.issuer(), "aud": "gateway-client", "iat": unix_time(), "jti": "j", "events": {EVENT: {}}});
        named(&mut claims);
        jose::token(header, &claims, key)
    };
    let issuer = world.provider.issuer();
    let good = of("x", json!(1));
    let (input, _) = good.rsplit_once('.').unwrap();
    for (variant, token) in [
        ("wrong iss", of("iss", json!("https://evil.test"))),
        ("iss with a slash", of("iss", json!(format!("{issuer}/")))),
        ("no iss", of("iss", Value::Null)),
        ("wrong aud", of("aud", json!("other"))),
        ("no aud", of("aud", Value::Null)),
        ("aud beside us", of("aud", json!(["gateway-client", "other"]))),
        ("wrong azp", of("azp", json!("other"))),
        ("another key", signed(&json!({"alg": "RS256", "kid": "rsa-0", "typ": "logout+jwt"}), &stranger)),
        ("unknown kid", signed(&json!({"alg": "RS256", "kid": "nobody's", "typ": "logout+jwt"}), &stranger)),
        ("alg none", format!("{}.{}.", jose::encode(r#"{"alg":"none"}"#), input.split('.').nth(1).unwrap())),
        ("no signature", format!("{input}.")),
        ("HMAC by the client's secret", {
            let mut claims = json!({"iss": issuer, "aud": "gateway-client", "iat": unix_time(), "jti": "j", "events": {EVENT: {}}});
            named(&mut claims);
            jose::hmac_token(&json!({"alg": "HS256"}), &claims, world.provider.client_secret().as_bytes())
        }),
        ("no token", "x".to_owned()),
    ] {
        let response = deliver(&world, &token);
        refused(&world, &mut alice, &response, "AuthInvalidLogoutToken", variant);
    }
    assert_eq!(deliver(&world, &good).status(), 200, "the honest one");
    assert!(is_signed_out(&world, &mut alice));
}

#[test]
fn l03_l04_l05_l06_l08_every_rule_for_claims_and_type_is_checked() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let now = unix_time();
    for (name, value) in [
        ("events", Value::Null),
        ("events", json!({})),
        ("events", json!({"http://schemas.openid.net/event/other": {}})),
        ("events", json!(EVENT)),
        ("events", json!([EVENT])),
        ("events", json!({EVENT: null})),
        ("events", json!({EVENT: "x"})),
        ("nonce", json!("n")),
        ("iat", Value::Null),
        ("iat", json!("now")),
        ("iat", json!(now - 3600)),
        ("iat", json!(now + 3600)),
        ("exp", json!(now - 120)),
        ("exp", json!("later")),
        ("nbf", json!(now + 3600)),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("jti", json!(7)),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!(" alice")),
        ("sid", json!("")),
        ("sid", json!(7)),
    ] {
        let response = deliver(&world, &token_of(&world, &json!({"sub": "alice", "sid": "sid", name: value.clone()})));
        refused(&world, &mut alice, &response, "AuthInvalidLogoutToken", &format!("{name}: {value}"));
    }
    let empty_nonce = token(&world, |_, claims| {
        claims["sub"] = json!("alice");
        claims["nonce"] = Value::Null;
    });
    refused(&world, &mut alice, &deliver(&world, &empty_nonce), "AuthInvalidLogoutToken", "nonce: null");
    let response = deliver(&world, &token_of(&world, &json!({})));
    refused(&world, &mut alice, &response, "AuthInvalidLogoutToken", "neither sub nor sid");

    let typed = |typ: Value| {
        token(&world, |header, claims| {
            crate::support::behaviour::put(header, "typ", typ);
            claims["sid"] = json!("somebody else's");
        })
    };
    for typ in ["at+jwt", "secevent+jwt", "dpop+jwt", "application/at+jwt"] {
        let response = deliver(&world, &typed(json!(typ)));
        refused(&world, &mut alice, &response, "AuthInvalidLogoutToken", typ);
    }
    for typ in [json!("logout+jwt"), json!("JWT"), json!("application/logout+jwt"), Value::Null] {
        assert_eq!(deliver(&world, &typed(typ.clone())).status(), 200, "{typ}");
    }
    // Glewlwyd's have no exp.
    assert_eq!(deliver(&world, &token_of(&world, &json!({"sid": "x", "exp": null, "aud": ["gateway-client"]}))).status(), 200);
    assert_signed_in(&mut alice, "after tokens about others");
}

#[test]
fn l05_id_token_is_no_logout_token() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let header = |key: &Key| json!({"alg": key.algorithm, "kid": key.kid, "typ": "JWT"});
    let key = world.provider.set(|provider| provider.key.clone());
    let now = unix_time();
    let claims = json!({"iss": world.provider.issuer(), "aud": "gateway-client", "sub": "alice", "sid": "sid", "iat": now, "exp": now + 600,
        "nonce": "n", "jti": "of an ID token"});
    let response = deliver(&world, &jose::token(&header(&key), &claims, &key));
    refused(&world, &mut alice, &response, "AuthInvalidLogoutToken", "ID token");
}

#[test]
fn l07_logout_token_works_once() {
    let world = World::start();
    let used = token_of(&world, &json!({"sub": "alice"}));
    assert_eq!(deliver(&world, &used).status(), 200);
    let signs_in = || {
        let mut browser = signed_in_with_sid(&world, "alice", &json!("sid"));
        !is_signed_out(&world, &mut browser)
    };
    assert!(eventually(Duration::from_secs(5), signs_in));
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let response = deliver(&world, &used);
    refused(&world, &mut alice, &response, "AuthUsedLogoutToken", "replay");
}

#[test]
fn l09_only_a_form_with_one_token_is_a_logout_request() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let good = || token_of(&world, &json!({"sub": "alice"}));
    let twice = format!("{}&{}", form(&good()), form(&good()));
    let json_body = json!({"logout_token": good()}).to_string();
    let one = form(&good());
    for (variant, lines, body) in [
        ("JSON", vec![("Content-Type", "application/json")], json_body.as_str()),
        ("no content type", vec![], one.as_str()),
        ("plain text", vec![("Content-Type", "text/plain")], one.as_str()),
        ("two tokens", vec![FORM], twice.as_str()),
        ("no token", vec![FORM], "x=y"),
        ("nothing", vec![FORM], ""),
    ] {
        let response = post(&world, &lines, body.as_bytes());
        refused(&world, &mut alice, &response, "AuthInvalidLogoutRequest", variant);
    }
    let url = format!("/oauth2/backchannel_logout?{one}");
    for (variant, response) in [("GET", alice.get(&url)), ("PUT", alice.request("PUT", &url, &[], &[FORM], Some(b"")))] {
        assert_eq!(response.status(), 405, "{variant}: {response}");
    }
    let large = format!("logout_token={}", "x".repeat(1024 * 1024));
    let response = post(&world, &[FORM, ("Expect", "100-continue")], &large.as_bytes()[..0]);
    assert_eq!(response.status(), 400, "announced and empty: {response}");
    assert_eq!(too_large(&world, &format!("Content-Length: {}", large.len()), large.as_bytes()), 413, "by its length");
    let chunk = format!("5000\r\n{}\r\n", "x".repeat(0x5000));
    assert_eq!(too_large(&world, "Transfer-Encoding: chunked", chunk.repeat(50).as_bytes()), 413, "chunk by chunk");
    assert_signed_in(&mut alice, "after all");

    let more = format!("a=b&{}", form(&good()));
    assert_eq!(post(&world, &[("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")], more.as_bytes()).status(), 200);
    assert!(is_signed_out(&world, &mut alice));
}

/// The status of the answer to a body of which only the beginning may be read.
fn too_large(world: &World, length: &str, body: &[u8]) -> u16 {
    let mut wire = connect(world.gateway.port);
    let authority = world.gateway.authority();
    let head = format!("POST /oauth2/backchannel_logout HTTP/1.1\r\nHost: {authority}\r\nContent-Type: {}\r\n{length}\r\n\r\n", FORM.1);
    wire.send(head.as_bytes()).unwrap();
    // The gateway may have answered and closed before all has been sent.
    let _ = wire.send(&body[..body.len().min(32 * 1024)]);
    wire.response("POST").unwrap().status()
}

#[test]
fn logout_request_whose_body_waits_for_leave_gets_it() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let body = form(&token_of(&world, &json!({"sub": "alice"})));
    let mut wire = connect(world.gateway.port);
    let authority = world.gateway.authority();
    let head = format!(
        "POST /oauth2/backchannel_logout HTTP/1.1\r\nHost: {authority}\r\nContent-Type: {}\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        FORM.1,
        body.len()
    );
    wire.send(head.as_bytes()).unwrap();
    let leave = wire.until(b"\r\n\r\n").unwrap();
    assert!(leave.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&leave));
    wire.send(body.as_bytes()).unwrap();
    assert_eq!(wire.response("POST").unwrap().status(), 200);
    assert!(is_signed_out(&world, &mut alice));
}

#[test]
fn logout_request_may_come_over_http2() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let body = form(&token_of(&world, &json!({"sub": "alice"})));
    let (url, port) = (world.gateway.url("/oauth2/backchannel_logout"), world.gateway.port);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let statuses = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(certificates().client(b"h2"));
        let stream = connector.connect(APP.try_into().unwrap(), stream).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut statuses = Vec::new();
        for body in [vec![b'x'; 32 * 1024], body.into_bytes()] {
            let request = http::Request::post(&url).header(FORM.0.to_ascii_lowercase(), FORM.1).body(()).unwrap();
            let (response, mut sending) = client.send_request(request, false).unwrap();
            sending.send_data(body.into(), true).unwrap();
            statuses.push(response.await.unwrap().status().as_u16());
        }
        statuses
    });
    assert_eq!(statuses, [413, 200]);
    assert!(is_signed_out(&world, &mut alice));
}

#[test]
fn l10_flood_of_forged_tokens_does_not_reach_the_provider() {
    let world = World::start();
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let key = Key::rsa(1, "RS256", "forged");
    let fetched = world.provider.count("jwks");
    let since = Instant::now();
    for number in 0..300 {
        let header = json!({"alg": "RS256", "kid": format!("forged-{number}"), "typ": "logout+jwt"});
        let claims = json!({"iss": world.provider.issuer(), "aud": "gateway-client", "sub": "alice", "iat": unix_time(), "jti": number.to_string(),
            "events": {EVENT: {}}});
        assert!(deliver(&world, &jose::token(&header, &claims, &key)).status() >= 400, "{number}");
    }
    let allowed = 2 + usize::try_from(since.elapsed().as_secs()).unwrap() / 5;
    assert!(world.provider.count("jwks") - fetched <= allowed, "{} fetches", world.provider.count("jwks") - fetched);
    assert_signed_in(&mut alice, "after the flood");
}

#[test]
fn l11_without_the_keys_of_the_provider_it_is_asked_to_try_again() {
    let secrets = Secrets::default();
    let provider = Provider::start(&secrets);
    provider.fault("jwks", Answer::closed());
    let world = World::around(provider, secrets, |_| {});
    let token = token_of(&world, &json!({"sub": "alice"}));
    let response = deliver(&world, &token);
    assert_eq!(response.status(), 503, "{response}");
    assert!(response.get("retry-after").is_some() && response.get("cache-control") == Some("no-store"), "{response}");
    assert!(world.gateway.logs_reason("AuthJwksRequestFailed"));
    world.provider.reset();
    assert!(eventually(Duration::from_secs(15), || deliver(&world, &token).status() == 200), "the same token works later");
}

#[test]
fn sid_comes_from_the_id_token_alone_and_goes_to_nobody() {
    let world = World::start_with(|plan| plan.configuration["identity_headers"]["claims"]["X-Sid"] = json!("sid"));
    world.provider.set(|provider| provider.edit_user_info(|claims| claims["sid"] = json!("of user info")));
    let mut alice = signed_in_with_sid(&world, "alice", &json!("of the ID token"));
    assert_signed_in(&mut alice, "before");
    let seen = world.target.last();
    assert_eq!(seen.get("x-sid"), None);
    let data = seen.get("x-amzn-oidc-data").unwrap().split('.').nth(1).unwrap().to_owned();
    let data: Value = serde_json::from_slice(&jose::decode(&data)).unwrap();
    assert_eq!((&data["sub"], data.get("sid")), (&json!("alice"), None), "{data}");
    assert_eq!(deliver(&world, &token_of(&world, &json!({"sid": "of user info"}))).status(), 200);
    assert_signed_in(&mut alice, "user info has no say");
    assert_eq!(deliver(&world, &token_of(&world, &json!({"sid": "of the ID token"}))).status(), 200);
    assert!(is_signed_out(&world, &mut alice));
}

#[test]
fn logout_token_reaches_its_own_provider_only() {
    let secrets = Secrets::default();
    let (provider, other) = (Provider::start(&secrets), Provider::start(&secrets));
    let world = World::around(provider, secrets, |plan| {
        plan.configuration["identity_providers"]["other"] = other.configuration();
        let forward = json!({"forward": "app"});
        let mut authenticate = crate::support::gateway::authenticate("other", "authenticate");
        authenticate["authenticate"]["session_cookie_name"] = json!("Other");
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(crate::support::gateway::rule(60, "/other*", &json!([authenticate, forward])));
    });
    let mut alice = signed_in_with_sid(&world, "alice", &json!("sid"));
    let at_other = alice.get("/other");
    other.set(|provider| provider.claim("sid", json!("sid")));
    let response = alice.get(&other.approve_as(at_other.location().unwrap(), "alice"));
    assert_eq!(response.status(), 302, "{response}");
    let key = other.set(|provider| provider.key.clone());
    let claims = json!({"iss": other.issuer(), "aud": "gateway-client", "sub": "alice", "sid": "sid", "iat": unix_time(), "jti": "j", "events": {EVENT: {}}});
    let header = json!({"alg": key.algorithm, "kid": key.kid});
    assert_eq!(deliver(&world, &jose::token(&header, &claims, &key)).status(), 200);
    assert_eq!(alice.get("/other").status(), 302, "the session at the other provider is over");
    assert_signed_in(&mut alice, "the session at this one is not");
}

//! H01–H11: what the target believes about a person comes from the gateway and from nobody else.

use serde_json::json;

use crate::support::World;
use crate::support::client::{Browser, NAVIGATE, raw};
use crate::support::gateway::CALLBACK;
use crate::support::h2::Http2;
use crate::support::jose;
use crate::support::oracles::{CLAIM_HEADERS, IDENTITY_HEADERS, attempt, identity_of, no_bypass, no_identity, sign_in};

fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    sign_in(world, &mut browser, "/");
    browser
}

/// Every spelling of a header name in which each hyphen may be another separator.
fn spellings(name: &str, separators: &[char]) -> Vec<String> {
    let mut spelled = vec![String::new()];
    for letter in name.chars() {
        let choices = if letter == '-' { separators.to_vec() } else { vec![letter] };
        spelled = spelled.iter().flat_map(|start| choices.iter().map(move |choice| format!("{start}{choice}"))).collect();
    }
    spelled
}

fn forged() -> Vec<(String, &'static str)> {
    let names = IDENTITY_HEADERS.iter().chain(&CLAIM_HEADERS);
    names.map(|name| (name.to_string(), "forged")).collect()
}

fn borrowed<'a>(headers: &'a [(String, &'a str)]) -> Vec<(&'a str, &'a str)> {
    headers.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}

#[test]
fn h01_identity_sent_by_a_signed_in_client_is_replaced() {
    let world = World::start();
    let mut browser = signed_in(&world);
    for path in ["/page", "/allow/page", "/deny/page"] {
        let response = browser.get_with(path, &borrowed(&forged()));
        assert_eq!(response.status(), 200, "{path}: {response}");
        let seen = world.target.last();
        identity_of(&seen, "alice", path);
        assert_eq!(seen.get("x-auth-email"), Some("alice@example.com"), "{path}");
        assert!(!String::from_utf8_lossy(&seen.raw).contains("forged"), "{path}: forged value");
    }
}

#[test]
fn h01_claim_header_without_a_claim_is_removed_and_not_passed_through() {
    let world = World::start();
    world.provider.set(|provider| {
        provider.users.insert("plain".to_owned(), json!({}));
        provider.user = "plain".to_owned();
    });
    let mut browser = signed_in(&world);
    assert_eq!(browser.get_with("/page", &borrowed(&forged())).status(), 200);
    let seen = world.target.last();
    for name in CLAIM_HEADERS {
        assert!(seen.folded(name).iter().all(|(_, value)| value.is_empty()), "{name}");
    }
}

#[test]
fn h02_identity_sent_in_allow_mode_is_removed() {
    let world = World::start();
    let response = world.browser().get_with("/allow/page", &borrowed(&forged()));
    assert_eq!(response.status(), 200, "{response}");
    no_identity(&world.target.last(), "allow mode");
}

#[test]
fn h03_identity_sent_anywhere_never_arrives() {
    let world = World::start();
    let headers = forged();
    let preflight = [("Origin", "https://evil.test"), ("Access-Control-Request-Method", "PUT")];
    for signed_in_first in [false, true] {
        for (method, path) in [
            ("GET", "/public/page"),
            ("OPTIONS", "/public/page"),
            ("OPTIONS", "/allow/page"),
            ("OPTIONS", "/page"),
            ("HEAD", "/public/page"),
            ("POST", "/public/page"),
            ("GET", CALLBACK),
            ("GET", "/oauth2/session"),
            ("GET", "/oauth2/keys/nothing"),
            ("GET", "/page"),
        ] {
            let mut browser = if signed_in_first { signed_in(&world) } else { world.browser() };
            let mark = world.target.count();
            let mut more = borrowed(&headers);
            more.extend(preflight);
            let body: Option<&[u8]> = if method == "POST" { Some(b"a=1") } else { None };
            browser.request(method, path, NAVIGATE, &more, body);
            for seen in world.target.since(mark) {
                let variant = format!("{method} {path}, signed in: {signed_in_first}");
                if signed_in_first && !path.starts_with("/public") {
                    identity_of(&seen, "alice", &variant);
                } else {
                    no_identity(&seen, &variant);
                }
                assert!(!String::from_utf8_lossy(&seen.raw).contains("forged"), "{variant}");
            }
        }
    }
}

#[test]
fn h04_identity_in_any_spelling_of_the_hyphen_is_removed() {
    let world = World::start();
    let mut alice = signed_in(&world);
    let mut nobody = world.browser();
    for name in IDENTITY_HEADERS.iter().chain(&CLAIM_HEADERS) {
        for spelling in spellings(name, &['-', '_', '.']) {
            for (browser, path, known) in [(&mut alice, "/page", true), (&mut nobody, "/allow/page", false)] {
                let mark = world.target.count();
                let response = browser.get_with(path, &[(&spelling, "forged")]);
                let seen = world.target.since(mark);
                if response.status() == 400 {
                    assert!(seen.is_empty(), "{spelling}: refused and forwarded");
                    continue;
                }
                assert_eq!(response.status(), 200, "{spelling}: {response}");
                if known {
                    identity_of(&seen[0], "alice", &spelling);
                } else {
                    no_identity(&seen[0], &spelling);
                }
                assert!(!String::from_utf8_lossy(&seen[0].raw).contains("forged"), "{spelling}");
            }
        }
    }
}

#[test]
fn h05_identity_in_any_case_or_number_is_replaced_by_one() {
    let world = World::start();
    let mut browser = signed_in(&world);
    for (variant, headers) in [
        ("capitals", vec![("X-AMZN-OIDC-IDENTITY", "forged")]),
        ("mixed", vec![("x-AmZn-OiDc-IdEnTiTy", "forged")]),
        ("twice", vec![("x-amzn-oidc-identity", "forged"), ("X-Amzn-Oidc-Identity", "forged")]),
        ("a list", vec![("x-amzn-oidc-identity", "forged, forged")]),
        ("empty", vec![("x-amzn-oidc-identity", ""), ("x-amzn-oidc-data", "")]),
        ("both spellings", vec![("x_amzn_oidc_identity", "forged"), ("x-amzn-oidc-identity", "forged")]),
    ] {
        assert_eq!(browser.get_with("/page", &headers).status(), 200, "{variant}");
        let seen = world.target.last();
        identity_of(&seen, "alice", variant);
        assert!(!String::from_utf8_lossy(&seen.raw).contains("forged"), "{variant}");
    }
}

#[test]
fn h06_header_name_that_is_no_token_is_refused() {
    let world = World::start();
    let browser = signed_in(&world);
    for line in [
        b"x-amzn-oidc-identity : forged".as_slice(),
        b"x-amzn-oidc-identity\t: forged",
        b"x-amzn-oidc-identity\x0b: forged",
        b"x-amzn-oidc-identity\x00: forged",
        b"x-amzn-oidc-identity\x85: forged",
        b"x-amzn-oidc-identity\xa0: forged",
        b"\x0bx-amzn-oidc-identity: forged",
        b"x\xef\xbc\x8damzn-oidc-identity: forged",
        b"x-amzn oidc-identity: forged",
        b"x-amzn-oidc-identity",
        b": forged",
    ] {
        for cookie in [String::new(), format!("Cookie: {}\r\n", browser.cookie_header())] {
            let mark = world.target.count();
            let head = format!("GET /allow HTTP/1.1\r\nHost: {}\r\n{cookie}", world.gateway.authority());
            let request = [head.as_bytes(), line, b"\r\n\r\n"].concat();
            let response = raw(&world.gateway, request);
            let variant = line.escape_ascii().to_string();
            assert!(response.is_none_or(|response| response.status() == 400), "{variant}");
            no_bypass(&world, mark, None, &variant);
        }
    }
}

#[test]
fn h07_connection_header_cannot_take_the_identity_away() {
    let world = World::start();
    let mut browser = signed_in(&world);
    for nominated in [
        "close, X-Amzn-Oidc-Identity, x-forwarded-for",
        "x-amzn-oidc-data, x-amzn-oidc-accesstoken, keep-alive",
        "keep-alive, cookie, host, x-amzn-oidc-identity",
        "X-Auth-Email",
    ] {
        let response = browser.get_with("/page", &[("Connection", nominated)]);
        if response.status() == 400 {
            continue;
        }
        assert_eq!(response.status(), 200, "{nominated}: {response}");
        let seen = world.target.last();
        identity_of(&seen, "alice", nominated);
        assert_eq!(seen.get("x-auth-email"), Some("alice@example.com"), "{nominated}");
        assert!(seen.get("x-forwarded-for").is_some(), "{nominated}: no X-Forwarded-For");
        assert!(seen.get("host").is_some(), "{nominated}: no Host");
    }

    let authority = world.gateway.authority();
    let cookie = browser.cookie_header();
    let mark = world.target.count();
    let outcome = Http2::connect(&world.gateway).request(
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", &authority),
            (":path", "/page"),
            ("cookie", &cookie),
            ("connection", "x-amzn-oidc-identity"),
        ],
        None,
        &[],
    );
    assert!(outcome.is_refused(), "HTTP/2 with Connection: {outcome:?}");
    no_bypass(&world, mark, None, "HTTP/2 with Connection");
}

#[test]
fn h08_folded_header_is_refused_or_joined() {
    let world = World::start();
    let browser = signed_in(&world);
    let cookie = browser.cookie_header();
    for fold in [
        "x-a: 1\r\n x-amzn-oidc-identity: forged",
        "x-a: 1\r\n\tx-amzn-oidc-identity: forged",
        "x-amzn-oidc-identity:\r\n forged",
        "x-amzn-oidc-identity: a\r\n\tforged",
    ] {
        let mark = world.target.count();
        let request = format!("GET /page HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n{fold}\r\n\r\n", world.gateway.authority());
        let status = raw(&world.gateway, request).map_or(400, |response| response.status());
        assert!(matches!(status, 200 | 400), "{fold:?}: {status}");
        for seen in world.target.since(mark) {
            identity_of(&seen, "alice", fold);
        }
    }
}

#[test]
fn h09_trailers_bring_no_identity() {
    let world = World::start();
    let browser = signed_in(&world);
    let (cookie, authority) = (browser.cookie_header(), world.gateway.authority());
    for name in ["x-amzn-oidc-identity", "X_Amzn_Oidc_Data", "X-Auth-Email", "x-forwarded-for"] {
        for announced in [true, false] {
            for (path, subject) in [("/page", Some("alice")), ("/public/page", None)] {
                let trailer = if announced { format!("Trailer: {name}\r\n") } else { String::new() };
                let request = format!(
                    "POST {path} HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookie}\r\n{trailer}\
                     Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n{name}: forged\r\n\r\n"
                );
                let mark = world.target.count();
                let variant = format!("{name} to {path}, announced: {announced}");
                let status = raw(&world.gateway, request).map_or(400, |response| response.status());
                assert!(matches!(status, 200 | 400), "{variant}: {status}");
                for seen in world.target.since(mark) {
                    match subject {
                        Some(subject) => identity_of(&seen, subject, &variant),
                        None => no_identity(&seen, &variant),
                    }
                    let raw = String::from_utf8_lossy(&seen.raw).into_owned();
                    assert!(!raw.contains("forged"), "{variant}: {raw}");
                }
            }
        }
    }

    let mark = world.target.count();
    let outcome = Http2::connect(&world.gateway).request(
        &[(":method", "POST"), (":scheme", "https"), (":authority", &authority), (":path", "/page"), ("cookie", &cookie)],
        Some(b"hello"),
        &[("x-amzn-oidc-identity", "forged"), ("x-auth-email", "forged")],
    );
    assert!(outcome.status == Some(200) || outcome.is_refused(), "HTTP/2: {outcome:?}");
    for seen in world.target.since(mark) {
        identity_of(&seen, "alice", "HTTP/2 trailer");
        assert!(!String::from_utf8_lossy(&seen.raw).contains("forged"), "HTTP/2 trailer");
    }
}

#[test]
fn h10_credentials_of_another_kind_are_no_session() {
    let world = World::start();
    let bearer = format!("Bearer {}", jose::unsigned(&json!({"alg": "none"}), &json!({"sub": "admin"})));
    let (mut session, _) = attempt(&world, |_| {});
    let nonce = session.cookie_header();
    for (variant, path, header) in [
        ("bearer", "/page", ("Authorization", bearer.as_str())),
        ("bearer junk", "/page", ("Authorization", "Bearer x")),
        ("basic", "/page", ("Authorization", "Basic YWRtaW46YWRtaW4=")),
        ("query", "/page?access_token=x&id_token=y", ("X-Nothing", "")),
        ("nonce cookie", "/page", ("Cookie", &nonce)),
    ] {
        let mark = world.target.count();
        let response = session.request("GET", path, NAVIGATE, &[header], None);
        no_bypass(&world, mark, Some(&response), variant);
    }
}

#[test]
fn h11_health_checks_of_others_open_nothing() {
    let world = World::start();
    for agent in ["ELB-HealthChecker/2.0", "GoogleHC/1.0", "kube-probe/1.30", "Envoy/HC"] {
        for path in ["/", "/health", "/healthz", "/ping", "/robots.txt", "/favicon.ico"] {
            let mark = world.target.count();
            let header = [("User-Agent", agent), ("Accept", "*/*")];
            let response = world.browser().request("GET", path, &header, &[], None);
            no_bypass(&world, mark, Some(&response), &format!("{agent} {path}"));
        }
    }
}

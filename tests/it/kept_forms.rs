//! F26, R13, D06: a form that meets no session is kept by the page that its sender gets, and sent once, when they say so.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::client::{Browser, FETCH, connect};
use crate::support::gateway::{authenticate, eventually, free_port, rule};
use crate::support::h2_target::{Http2Target, post};
use crate::support::in_process::InProcess;
use crate::support::oracles::{identity_of, sign_in, sign_in_as};
use crate::support::secrets::random;
use crate::support::target::MARK;
use crate::support::wire::{Response, Wire};

const MULTIPART: &str = "multipart/form-data; boundary=----WebKitFormBoundaryAa0";
const PLAIN: &str = "application/x-www-form-urlencoded";
const LARGEST: usize = 64 * 1024;

/// What a browser says when a person sends a form.
const SUBMIT: &[(&str, &str)] = &[
    ("User-Agent", "Mozilla/5.0 (it)"),
    ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "same-origin"),
];

/// From a page of the gateway's own origin.
fn submit(world: &World, browser: &mut Browser, path: &str, content_type: &str, body: &[u8]) -> Response {
    let origin = world.gateway.origin();
    browser.request("POST", path, SUBMIT, &[("Origin", &origin), ("Content-Type", content_type)], Some(body))
}

/// A form as a file makes it: text that no log may hold, and every byte that there is.
fn with_file(world: &World, size: usize) -> Vec<u8> {
    let secret = random(24);
    world.secrets.add(&secret, "the text of a form");
    let mut body = format!("------WebKitFormBoundaryAa0\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{secret}\r\n").into_bytes();
    body.extend((0..=255).cycle().take(size.saturating_sub(body.len())));
    body
}

/// Where a page's form leads, and what it holds.
fn held(page: &str) -> Option<(String, String)> {
    let after = |start: &str| Some(page.split_once(start)?.1.split_once('"')?.0.replace("&#x2f;", "/"));
    Some((after("method=\"post\" action=\"")?, after("name=\"form\" value=\"")?))
}

#[track_caller]
fn kept(world: &World, response: &Response) -> (String, String) {
    assert_eq!(response.status(), 401, "{response}");
    let page = response.text();
    assert!(page.contains("Your form has not been sent") && !page.contains(MARK), "{page}");
    let found = held(&page).unwrap_or_else(|| panic!("no form in {page}"));
    world.secrets.add(&found.1, "a kept form");
    found
}

fn send(world: &World, browser: &mut Browser, (action, sealed): &(String, String)) -> Response {
    submit(world, browser, action, PLAIN, format!("form={sealed}").as_bytes())
}

/// By the page's own link.
fn sign_in_by(world: &World, browser: &mut Browser, page: &str) -> Response {
    let link = page.split("class=\"button\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let login = browser.get(&link.replace("&#x2f;", "/").replace("&amp;", "&"));
    let callback = world.provider.approve(login.location().unwrap_or_else(|| panic!("{login}")));
    let back = browser.get(&callback);
    browser.get(back.location().unwrap_or_else(|| panic!("{back}")))
}

fn lines_of(world: &World, path: &str) -> Vec<Value> {
    world.gateway.access_lines_with(1, |line| line["request"].as_str().is_some_and(|request| request.contains(path)))
}

#[test]
fn f26_a_form_that_met_no_session_is_sent_after_the_sign_in_byte_for_byte_and_once() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    crate::support::oracles::sign_out(&mut browser);
    let (mark, body) = (world.target.count(), with_file(&world, 5000));
    let refused = submit(&world, &mut browser, "/save?draft=%2F1", MULTIPART, &body);
    let form = kept(&world, &refused);
    assert_eq!(world.target.count(), mark, "nothing before the sign-in");
    assert!(refused.get("www-authenticate").is_some_and(|challenge| challenge.starts_with("Cookie ")), "{refused}");
    assert_eq!((refused.get("cache-control"), refused.get("referrer-policy")), (Some("no-store"), Some("same-origin")));
    let policy = refused.get("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-") && policy.contains("frame-ancestors 'none'"));

    let landed = sign_in_by(&world, &mut browser, &refused.text());
    assert_eq!(landed.status(), 200, "{landed}");
    assert!(landed.text().contains("You are signed in") && landed.text().contains("Your form has not been sent yet."), "{landed}");
    assert_eq!(held(&landed.text()), Some((form.0.clone(), String::new())));
    assert_eq!(world.target.count(), mark, "nothing without a click (R13)");

    let sent = send(&world, &mut browser, &form);
    assert!(sent.status() == 200 && sent.text().contains(MARK), "{sent}");
    let seen = world.target.since(mark);
    assert_eq!(seen.len(), 1);
    let seen = &seen[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/save?draft=%2F1"));
    assert_eq!((seen.get("content-type"), seen.head.all("content-length")), (Some(MULTIPART), vec![body.len().to_string().as_str()]));
    assert!(seen.body == body && seen.head.all("transfer-encoding").is_empty(), "another body");
    assert_eq!(seen.get("origin"), Some(world.gateway.origin().as_str()));
    identity_of(seen, "alice", "a kept form");

    let again = send(&world, &mut browser, &form);
    assert!(again.status() == 409 && again.text().contains("has been sent already"), "{again}");
    assert!(again.text().contains("href=\"&#x2f;save?draft=%2F1\""), "{again}");
    assert_eq!(world.target.count(), mark + 1, "sent twice");
    assert!(world.gateway.logs_reason("AuthUsedForm"));

    let forms: Vec<_> = lines_of(&world, "/save").iter().map(|line| (line["form"].clone(), line["elb_status_code"].clone())).collect();
    let expected = [("kept", 401), ("sent", 200), ("-", 409)].map(|(form, status)| (json!(form), json!(status)));
    assert_eq!(forms, expected);
    let own = world.gateway.access_lines_with(0, |line| line["request"].as_str().is_some_and(|request| request.contains("/oauth2/form")));
    assert!(own.iter().all(|line| line["request"].as_str().unwrap().starts_with("GET ")), "{own:?}");
}

/// The largest form, and the smallest; over both protocols, to targets of both.
#[test]
fn forms_of_every_size_arrive_whole_over_http1_and_http2() {
    let http2 = Http2Target::start();
    let world = World::start_with(|plan| {
        plan.configuration["target_groups"]["http2"] = json!({"targets": [http2.address()], "protocol_version": "http2"});
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(50, "/http2*", &json!([authenticate("op", "authenticate"), {"forward": "http2"}])));
    });
    let mut browser = world.browser();
    let mut signed_in = world.browser();
    sign_in(&world, &mut signed_in, "/");
    let (origin, cookies) = (world.gateway.origin(), signed_in.cookie_header());
    let fields = |content_type: &'static str| {
        let lower = SUBMIT[1..].iter().map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned()));
        lower.chain([("origin".to_owned(), origin.clone()), ("content-type".to_owned(), content_type.to_owned())]).collect::<Vec<_>>()
    };
    for size in [0, 1, 40_000, 49_000, 50_000, LARGEST - 1, LARGEST] {
        let body: Vec<u8> = (0..=255).cycle().skip(13).take(size).collect();
        for path in ["/save/it", "/http2/it"] {
            // Both ways in: HTTP/1.1 keeps and HTTP/2 sends, then the other way round.
            let form = kept(&world, &submit(&world, &mut browser, path, "text/plain", &body));
            let mut named = fields(PLAIN);
            named.push(("cookie".to_owned(), cookies.clone()));
            let named: Vec<(&str, &str)> = named.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let sent = post(&world.gateway, &form.0, &named, format!("form={}", form.1).into_bytes());
            assert_eq!(sent.status, 200, "{size} bytes to {path} over HTTP/2");

            let plain = fields("text/plain");
            let plain: Vec<(&str, &str)> = plain.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let refused = post(&world.gateway, path, &plain, body.clone());
            let form = held(&String::from_utf8_lossy(&refused.body)).unwrap_or_else(|| panic!("{size} bytes, {}", refused.status));
            assert_eq!(send(&world, &mut signed_in, &form).status(), 200, "{size} bytes to {path} over HTTP/1.1");

            let arrived: Vec<Vec<u8>> = match path {
                "/save/it" => world.target.since(0).into_iter().rev().take(2).map(|seen| seen.body).collect(),
                _ => http2.seen(path).into_iter().rev().take(2).map(|seen| seen.body).collect(),
            };
            assert!(arrived.len() == 2 && arrived.iter().all(|arrived| *arrived == body), "{size} bytes to {path}");
        }
    }
}

#[test]
fn f26_what_another_site_or_a_program_sends_is_not_kept() {
    let world = World::start();
    let mark = world.target.count();
    let own = world.gateway.origin();
    let ask = |variant: &str, method: &str, path: &str, base: &[(&str, &str)], more: &[(&str, &str)]| {
        let response = world.browser().request(method, path, base, more, Some(b"a=1"));
        assert_eq!(response.status(), 401, "{variant}: {response}");
        assert!(held(&response.text()).is_none(), "{variant}: {response}");
    };
    let form = ("Content-Type", PLAIN);
    let origin = ("Origin", own.as_str());
    let cross = [SUBMIT[0], SUBMIT[1], SUBMIT[2], SUBMIT[3], ("Sec-Fetch-Site", "cross-site")];
    let silent = &SUBMIT[..4];
    for origin in ["https://evil.test", "null", "", "http://app.test", "https://app.test.evil.test"] {
        ask(origin, "POST", "/save", silent, &[form, ("Origin", origin)]);
    }
    ask("two origins", "POST", "/save", silent, &[form, origin, ("Origin", "https://evil.test")]);
    ask("another site, by Sec-Fetch-Site", "POST", "/save", &cross, &[form]);
    ask("another site that says our origin", "POST", "/save", &cross, &[form, origin]);
    ask("nobody says from where", "POST", "/save", silent, &[form]);
    ask("fetch", "POST", "/save", FETCH, &[form, origin]);
    ask("XMLHttpRequest", "POST", "/save", &SUBMIT[..2], &[form, origin, ("X-Requested-With", "XMLHttpRequest")]);
    ask("a program", "POST", "/save", &[("Accept", "*/*")], &[form, origin]);
    ask("JSON", "POST", "/save", SUBMIT, &[("Content-Type", "application/json"), origin]);
    ask("encoded", "POST", "/save", SUBMIT, &[form, origin, ("Content-Encoding", "gzip")]);
    ask("PUT", "PUT", "/save", SUBMIT, &[form, origin]);
    ask("deny, and never signed in", "POST", "/deny/save", SUBMIT, &[form, origin]);
    assert_eq!(world.target.count(), mark);

    let bare = world.browser().request("POST", "/save", &SUBMIT[1..2], &[form, origin], Some(b"a=1"));
    kept(&world, &bare);
    let by_site = world.browser().request("POST", "/save", SUBMIT, &[form], Some(b"a=1"));
    kept(&world, &by_site);
}

/// D06: whatever of a body has not been read is no request.
#[test]
fn d06_a_form_that_is_too_large_is_not_kept_and_never_read_as_a_request() {
    let world = World::start();
    let (authority, origin) = (world.gateway.authority(), world.gateway.origin());
    let smuggled = format!("GET /public/smuggled HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let fields: String = SUBMIT.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("POST /save HTTP/1.1\r\nHost: {authority}\r\n{fields}Origin: {origin}\r\nContent-Type: {PLAIN}\r\n");
    let large = smuggled.repeat(LARGEST / smuggled.len() + 2);
    let whole = format!("{head}Content-Length: {}\r\n\r\n{large}", large.len());
    let chunks: String =
        large.as_bytes().chunks(4096).map(|piece| format!("{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece))).collect();
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    for (variant, request) in [("announced", whole), ("in chunks", chunked)] {
        let mark = world.target.count();
        let mut wire: Wire = connect(world.gateway.port);
        wire.send(request.as_bytes()).unwrap();
        let answer = wire.response("POST").unwrap();
        assert!(answer.status() == 401 && answer.text().contains("too large to be kept"), "{variant}: {answer}");
        assert!(held(&answer.text()).is_none(), "{variant}");
        // The connection ends, or goes on with the next request.
        let next = format!("GET /public/next HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        wire.read_timeout(Duration::from_secs(5));
        if wire.send(next.as_bytes()).is_ok()
            && let Ok(second) = wire.response("GET")
        {
            assert!(second.text().contains("/public/next"), "{variant}: {second}");
        }
        let seen: Vec<String> = world.target.since(mark).into_iter().map(|seen| seen.target).collect();
        assert!(seen.iter().all(|target| target == "/public/next"), "{variant}: the target saw {seen:?}");
    }
    // Larger than anybody reads to its end: what is unread ends with its connection.
    let endless = format!("{head}Content-Length: {}\r\n\r\n", 64 << 20);
    for request in [&endless, &format!("{}Expect: 100-continue\r\n\r\n", endless.trim_end_matches("\r\n").to_owned() + "\r\n")] {
        let mark = world.target.count();
        let mut wire = connect(world.gateway.port);
        wire.send(request.as_bytes()).unwrap();
        while !request.contains("Expect") && wire.send(large.as_bytes()).is_ok() {}
        if let Ok(answer) = wire.response("POST") {
            assert_eq!(answer.status(), 401, "{answer}");
            let _ = wire.send(smuggled.as_bytes());
            assert!(wire.response("GET").is_err(), "a second answer");
        }
        assert_eq!(world.target.count(), mark, "the target saw something");
    }
    let lines = world.gateway.access_lines_with(4, |line| line["form"] == "too_large");
    assert_eq!(lines.len(), 4, "{lines:?}");

    // In chunks, and within the limit.
    let body = "4\r\na=12\r\n3\r\n&b=\r\n0\r\n\r\n";
    let mut wire = connect(world.gateway.port);
    wire.send(format!("{head}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n{body}").as_bytes()).unwrap();
    let form = kept(&world, &wire.response("POST").unwrap());
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    // Sent back in chunks as well.
    let head = head.replace("POST /save", &format!("POST {}", form.0));
    let cookies = browser.cookie_header();
    let sealed = format!("form={}", form.1);
    let mut wire = connect(world.gateway.port);
    let request = format!("{head}Cookie: {cookies}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{sealed}\r\n0\r\n\r\n", sealed.len());
    wire.send(request.as_bytes()).unwrap();
    assert_eq!(wire.response("POST").unwrap().status(), 200);
    assert_eq!(world.target.last().body, b"a=12&b=");
}

#[test]
fn a_kept_form_that_is_changed_moved_or_sent_by_another_site_goes_nowhere() {
    let world = World::start_with(|plan| {
        let hosts = json!([crate::support::certificates::APP, "other.test"]);
        plan.listener()["hosts"] = hosts;
        let mut named = authenticate("op", "authenticate");
        named["authenticate"]["session_cookie_name"] = json!("Named");
        plan.listener()["rules"].as_array_mut().unwrap().push(rule(40, "/named*", &json!([named, {"forward": "app"}])));
    });
    let mut browser = world.browser();
    let (action, sealed) = kept(&world, &submit(&world, &mut browser, "/save", PLAIN, b"a=1"));
    sign_in(&world, &mut browser, "/");
    let mark = world.target.count();
    let origin = world.gateway.origin();
    let refused = |browser: &mut Browser, variant: &str, action: &str, body: &str, more: &[(&str, &str)]| {
        let base: &[(&str, &str)] = if more.iter().any(|(name, _)| *name == "Sec-Fetch-Site") { &SUBMIT[..4] } else { SUBMIT };
        let lines = [&[("Content-Type", PLAIN)], more].concat();
        let response = browser.request("POST", action, base, &lines, Some(body.as_bytes()));
        assert_eq!(response.status(), 400, "{variant}: {response}");
        assert!(response.text().contains("That form cannot be sent"), "{variant}: {response}");
    };
    let own = ("Origin", origin.as_str());
    for at in (0..sealed.len()).step_by(7) {
        let changed = if &sealed[at..=at] == "A" { "B" } else { "A" };
        refused(&mut browser, "changed", &action, &format!("form={}{changed}{}", &sealed[..at], &sealed[at + 1..]), &[own]);
    }
    let whole = format!("form={sealed}");
    refused(&mut browser, "of another rule's cookie", "/oauth2/form?rule=40", &whole, &[own]);
    refused(&mut browser, "of no rule", "/oauth2/form?rule=77", &whole, &[own]);
    for body in ["", "form=", "form=x", "other=1", &format!("{whole}&{whole}")] {
        refused(&mut browser, "no form", &action, body, &[own]);
    }
    let other = format!("other.test:{}", world.gateway.port);
    let other_origin = format!("https://{other}");
    refused(&mut browser, "on another host", &action, &whole, &[("Origin", &other_origin), ("Host", &other)]);
    assert!(world.gateway.logs_reason("AuthInvalidForm"));
    for foreign in [("Origin", "https://evil.test"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "none")] {
        refused(&mut browser, "another site", &action, &whole, &[foreign]);
    }
    assert!(world.gateway.logs_reason("AuthForeignForm"));
    let session = format!("form={}", browser.session()[0].1);
    refused(&mut browser, "a session cookie", &action, &session, &[own]);
    assert_eq!(world.target.count(), mark, "the target saw something");
    assert_eq!(send(&world, &mut browser, &(action, sealed)).status(), 200, "unchanged");
}

#[test]
fn a_refusal_by_policy_or_a_missing_session_does_not_use_the_form_up() {
    let world = World::start_with(|plan| {
        let actions = json!([authenticate("op", "authenticate"), {"authorize": {"allow": "claims.sub == \"bob\""}}, {"forward": "app"}]);
        plan.listener()["rules"].as_array_mut().unwrap().push(rule(40, "/bobs*", &actions));
    });
    let mut browser = world.browser();
    let first = kept(&world, &submit(&world, &mut browser, "/bobs/save", PLAIN, b"a=1"));
    let mark = world.target.count();
    let form = kept(&world, &send(&world, &mut browser, &first));
    assert_ne!(form.1, first.1, "sealed anew");
    sign_in_as(&world, &mut browser, "/", "alice");
    for _ in 0..2 {
        let forbidden = send(&world, &mut browser, &form);
        assert!(forbidden.status() == 403 && forbidden.text().contains("You do not have access"), "{forbidden}");
    }
    assert_eq!(world.target.count(), mark);
    let mut bob = world.browser();
    sign_in_as(&world, &mut bob, "/", "bob");
    assert_eq!(send(&world, &mut bob, &form).status(), 200);
    assert_eq!(world.target.last().body, b"a=1");
    assert_eq!(send(&world, &mut bob, &first).status(), 409, "the same form, kept before");
    let page = world.browser().get("/oauth2/form?rule=40");
    assert!(page.status() == 401 && page.text().contains("Please sign in"), "{page}");
}

#[test]
fn clicks_at_the_same_moment_send_a_form_once() {
    let world = World::start();
    let mut browser = world.browser();
    let form = kept(&world, &submit(&world, &mut browser, "/save", PLAIN, b"a=1"));
    sign_in(&world, &mut browser, "/");
    let mark = world.target.count();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let copies = (0..8).map(|_| browser.copy()).collect::<Vec<_>>();
        let (world, form) = (&world, &form);
        let click = |mut copy: Browser| scope.spawn(move || send(world, &mut copy, form).status());
        let clicks: Vec<_> = copies.into_iter().map(click).collect();
        clicks.into_iter().map(|click| click.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7, "{statuses:?}");
    assert_eq!(world.target.count(), mark + 1);
}

/// What nobody was there to take has not been sent; and with a second target it is, whole.
#[test]
fn a_form_for_which_there_is_no_target_can_be_sent_later() {
    let (late, dead) = (free_port(), free_port());
    let world = World::start_with(|plan| {
        let alive = plan.configuration["target_groups"]["app"]["targets"][0].clone();
        let groups = &mut plan.configuration["target_groups"];
        groups["late"] = json!({"targets": [format!("127.0.0.1:{late}")]});
        groups["half"] = json!({"targets": [format!("127.0.0.1:{dead}"), alive]});
        let rules = plan.listener()["rules"].as_array_mut().unwrap();
        rules.push(rule(40, "/late*", &json!([authenticate("op", "authenticate"), {"forward": "late"}])));
        rules.push(rule(41, "/half*", &json!([authenticate("op", "authenticate"), {"forward": "half"}])));
    });
    let (mut stranger, mut browser) = (world.browser(), world.browser());
    sign_in(&world, &mut browser, "/");
    let body = with_file(&world, LARGEST);
    for _ in 0..2 {
        let form = kept(&world, &submit(&world, &mut stranger, "/half/save", MULTIPART, &body));
        assert_eq!(send(&world, &mut browser, &form).status(), 200);
        assert!(world.target.last().body == body, "another body");
    }

    let form = kept(&world, &submit(&world, &mut stranger, "/late/save", MULTIPART, &body));
    assert!(matches!(send(&world, &mut browser, &form).status(), 502 | 503));
    let listener = TcpListener::bind(("127.0.0.1", late)).unwrap();
    let serving = std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut wire = Wire::plain(stream.unwrap());
            let Ok(request) = wire.request() else { continue };
            let _ = wire.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            if request.method == "POST" {
                return request.body;
            }
        }
        Vec::new()
    });
    let arrives = || send(&world, &mut browser.copy(), &form).status() == 204;
    assert!(eventually(Duration::from_secs(30), arrives), "not sent when the target was there");
    assert!(serving.join().unwrap() == body, "another body");
    assert_eq!(send(&world, &mut browser, &form).status(), 409);
}

#[test]
fn a_form_is_kept_for_fifteen_minutes_and_where_the_session_has_expired_in_deny_mode_too() {
    const START: u64 = 1_795_170_000;
    for mode in ["authenticate", "deny"] {
        let mut browser = InProcess::start(START, &json!({"session_timeout": "1h", "on_unauthenticated_request": mode}));
        let denied = browser.post("/save", b"a=1");
        assert_eq!((denied.status, held(&denied.page).is_some()), (Some(401), mode == "authenticate"), "never signed in");
        if mode == "deny" {
            browser.sign_in_at("/oauth2/login");
        } else {
            browser.sign_in();
        }
        assert_eq!(browser.post("/save", b"a=1").status, None);
        browser.at(START + 3600);
        let refused = browser.post("/save", b"a=1&b=2");
        assert_eq!((refused.status, refused.reason), (Some(401), Some("AuthExpiredCookie")));
        let (action, sealed) = held(&refused.page).unwrap();
        let form = format!("form={sealed}");
        let renewed = browser.post(&action, form.as_bytes());
        assert_eq!((renewed.status, renewed.reason), (Some(401), Some("AuthExpiredCookie")));
        browser.sign_in_at("/oauth2/login");
        browser.at(START + 3600 + 899);
        let waiting = browser.get(&action);
        assert!(waiting.status == Some(200) && waiting.page.contains("It will be sent as alice"), "{}", waiting.page);
        let sent = browser.post(&action, form.as_bytes());
        assert_eq!((sent.status, sent.resent.as_deref()), (None, Some(&b"a=1&b=2"[..])));

        let (_, other) = held(&refused.page).unwrap();
        browser.at(START + 3600 + 900);
        let late = browser.post(&action, format!("form={other}").as_bytes());
        assert_eq!((late.status, late.reason), (Some(400), Some("AuthExpiredForm")));
    }
}

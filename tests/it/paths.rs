//! P01–P07, P11, P13, P14: what is matched is what is forwarded, and what is not unambiguous gets 400.

use serde_json::json;

use crate::support::World;
use crate::support::client::{NAVIGATE, raw};
use crate::support::gateway::{authenticate, rule};
use crate::support::h2::Http2;
use crate::support::oracles::{no_bypass, sign_in};
use crate::support::wire::{Response, octets};

/// Everything is public but `/private` and what is below it.
fn world_with_a_private_part() -> World {
    World::start_with(|plan| {
        let listener = plan.listener();
        let actions = json!([authenticate("op", "authenticate"), {"forward": "app"}]);
        listener["rules"] = json!([rule(10, "/private", &actions), rule(11, "/private/*", &actions)]);
        listener["default_actions"] = json!([{"forward": "app"}]);
    })
}

fn ask(world: &World, target: &str) -> Option<Response> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority());
    raw(&world.gateway, octets(&request))
}

/// Exactly 400, or closed without an answer, and nothing forwarded.
fn gets_400(world: &World, targets: &[&str]) {
    for target in targets {
        let mark = world.target.count();
        let response = ask(world, target);
        let status = response.as_ref().map_or(400, Response::status);
        assert_eq!(status, 400, "{target:?}");
        no_bypass(world, mark, response.as_ref(), target);
    }
}

/// Challenged or refused, and nothing forwarded.
fn is_protected(world: &World, targets: &[&str]) {
    for target in targets {
        let mark = world.target.count();
        let response = ask(world, target);
        no_bypass(world, mark, response.as_ref(), target);
    }
}

/// Forwarded without a session, byte for byte.
fn is_forwarded_as_it_is(world: &World, targets: &[&str]) {
    for target in targets {
        let response = ask(world, target).unwrap();
        assert_eq!(response.status(), 200, "{target}: {response}");
        assert_eq!(world.target.last().target, *target);
    }
}

#[test]
fn p01_dot_segments_in_any_spelling_are_refused() {
    let world = World::start();
    gets_400(
        &world,
        &[
            "/public/../private",
            "/public/..%2fprivate",
            "/public/..%2Fprivate",
            "/public%2f..%2fprivate",
            "/public/%2e%2e/private",
            "/public/%2E%2E/private",
            "/public/.%2e/private",
            "/public/%2e./private",
            "/public/%2e%2e%2fprivate",
            "/public/..",
            "/public/../",
            "/..",
            "/../public",
            "/public/..%5cprivate",
            "/public/..\\private",
            "/public/..;/private",
            "/public/.%2e;x=1/private",
        ],
    );
    is_forwarded_as_it_is(&world, &["/public/..a", "/public/a..", "/public/...", "/public/?x=/../private"]);
}

#[test]
fn p02_other_spellings_of_a_protected_path_are_protected() {
    let world = world_with_a_private_part();
    is_forwarded_as_it_is(&world, &["/open", "/privat", "/privately"]);
    is_protected(
        &world,
        &[
            "/private",
            "/private/",
            "/private/x",
            "//private",
            "///private",
            "//private/x",
            "/./private",
            "/private/.",
            "/private//",
            "/private//x",
            "/x/..//private",
            "/%2fprivate",
            "/%2F%2Fprivate",
            "/%70rivate",
            "/privat%65",
            "/%70%72%69%76%61%74%65/x",
            "/private%2fx",
            "/private%2Fx",
            "/private/%2e",
        ],
    );
    gets_400(&world, &["/./private", "/private/.", "/private/%2e"]);
    // What the rules have read is what the target gets, not what was sent.
    for (sent, received) in [("/o%70en/x", "/open/x"), ("/%6Fpen?%6F", "/open?%6F"), ("/open/%7Euser", "/open/~user")] {
        assert_eq!(ask(&world, sent).unwrap().status(), 200, "{sent}");
        assert_eq!(world.target.last().target, received, "{sent}");
    }
}

#[test]
fn p03_escaped_slashes_and_backslashes_open_nothing() {
    let world = world_with_a_private_part();
    is_protected(
        &world,
        &["/private%2f", "/%2fprivate%2f", "/private%5c", "/%5cprivate", "/\\private", "\\private", "/private\\x", "/x%5c..%5cprivate"],
    );
    gets_400(&world, &["/open\\x", "/open%5cx", "/open%5Cx", "/\\"]);
    is_forwarded_as_it_is(&world, &["/open%2fx", "/open/a%2Fb", "/open//x", "/open/x//"]);
}

#[test]
fn p04_path_parameters_open_nothing() {
    let world = world_with_a_private_part();
    is_protected(
        &world,
        &[
            "/private;x=1",
            "/private;",
            "/private;/x",
            "/;/private",
            "/;x/private",
            "/open;/../private",
            "/.;/private",
            "/..;/private",
            "/open/..;/private",
        ],
    );
    is_forwarded_as_it_is(&world, &["/open;v=1", "/open/x;v=1/y;w"]);
}

#[test]
fn p05_double_overlong_and_broken_encodings_are_never_read_as_something_else() {
    let world = World::start();
    gets_400(
        &world,
        &[
            "/public/%zz",
            "/public/%",
            "/public/%2",
            "/public/%00",
            "/public/x%00.html",
            "/public/%u002e%u002e/private",
            "/public/%0a",
            "/public/%0d%0a",
            "/public/%7f",
            "/public/%1b",
        ],
    );
    let world = world_with_a_private_part();
    gets_400(
        &world,
        &[
            "/private%00",
            "/%00/private",
            "/x%zz/../private",
            "/x/%252e%252e/private",
            "/x/%25252e%25252e/private",
            "/%c0%ae%c0%ae/private",
            "/x/%c0%ae%c0%ae/private",
            "/%c0%afprivate",
            // Octets as they are, which are escaped on the way.
            "/x/\u{c0}\u{ae}\u{c0}\u{ae}/private",
            "/\u{c0}%afprivate",
            "/%e0\u{80}\u{af}private",
            // A slash or a semicolon after the dots, for who decodes twice.
            "/x/..%252fprivate",
            "/x/..%3b/private",
            "/x/..%255cprivate",
        ],
    );
    // What decodes twice to a slash is no slash here: it is forwarded as it is, or refused.
    for target in ["/%252fprivate", "/private%252fx"] {
        let mark = world.target.count();
        let status = ask(&world, target).map_or(400, |response| response.status());
        assert!(matches!(status, 200 | 302 | 400), "{target}: {status}");
        for seen in world.target.since(mark) {
            assert_eq!(seen.target, target);
        }
    }
}

#[test]
fn p06_fragment_in_a_request_is_refused() {
    let world = World::start();
    gets_400(&world, &["/public#/../private", "/public#", "/private#/public", "/public?x#y", "#/public"]);
    is_protected(&world, &["/private%23/public", "/%23/../public"]);
}

#[test]
fn p07_query_takes_no_part_in_the_path() {
    let world = World::start_with(|plan| {
        let listener = plan.listener();
        let rules = listener["rules"].as_array_mut().unwrap();
        rules.push(rule(40, "*/health", &json!([{"forward": "app"}])));
    });
    is_forwarded_as_it_is(&world, &["/app/health", "/app/health?x"]);
    is_protected(&world, &["/private?x=/health", "/private?/health", "/private?x=/public/", "/private?x=%2fhealth", "/private??/health"]);
}

#[test]
fn p09_paths_and_methods_are_case_sensitive() {
    let world = World::start();
    is_protected(&world, &["/PUBLIC", "/Public/x", "/pUBLIC"]);
}

#[test]
fn p11_request_targets_of_other_forms_are_refused() {
    let world = World::start();
    let authority = world.gateway.authority();
    gets_400(
        &world,
        &[
            "http://other.test/public",
            "https://other.test/public",
            "*",
            "public",
            "?",
            "app.test:443",
            "https:/public",
            "https:///public",
            "ftp://app.test/public",
            "javascript:/public",
        ],
    );
    for (request, expected) in [
        (format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"), &[405][..]),
        (format!("CONNECT /public HTTP/1.1\r\nHost: {authority}\r\n\r\n"), &[400, 405]),
        (format!("OPTIONS * HTTP/1.1\r\nHost: {authority}\r\n\r\n"), &[400]),
        ("GET /public HTTP/1.1\r\n\r\n".to_owned(), &[400]),
        (format!("GET  /public HTTP/1.1\r\nHost: {authority}\r\n\r\n"), &[400]),
        (format!("GET /public\tHTTP/1.1\r\nHost: {authority}\r\n\r\n"), &[400]),
        ("GET /public\r\n\r\n".to_owned(), &[400]),
    ] {
        let mark = world.target.count();
        let status = raw(&world.gateway, &request).map_or(400, |response| response.status());
        assert!(expected.contains(&status), "{request:?}: {status}");
        no_bypass(&world, mark, None, &request);
    }
    let request = format!("GET /public /private HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    assert_eq!(raw(&world.gateway, request).unwrap().status(), 400, "a space in the target");
    // The private part stays private in absolute form.
    is_protected(&world, &[&format!("https://{authority}/private"), &format!("http://{authority}/private")]);
}

#[test]
fn p13_methods_open_nothing() {
    let world = World::start();
    let long = "G".repeat(65_536);
    let authority = world.gateway.authority();
    for (method, expected) in [
        ("HEAD", &[302, 401][..]),
        ("OPTIONS", &[401]),
        ("PROPFIND", &[401]),
        ("TRACE", &[405]),
        ("TRACK", &[401, 405]),
        ("DEBUG", &[401, 405]),
        ("G=\":<>", &[400]),
        ("GET\u{0}", &[400]),
        ("G\u{e9}T", &[400]),
        ("get", &[400, 401]),
        ("", &[400]),
        (&long, &[400, 414, 431]),
    ] {
        let mark = world.target.count();
        let request = format!("{method} /private HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        let status = raw(&world.gateway, octets(&request)).map_or(400, |r| r.status());
        let method: String = method.chars().take(20).collect();
        assert!(expected.contains(&status), "{method:?}: {status}");
        no_bypass(&world, mark, None, &method);
    }
    for (method, path) in [("TRACE", "/public"), ("CONNECT", "/public")] {
        let mark = world.target.count();
        let mut browser = world.browser();
        sign_in(&world, &mut browser, "/");
        let response = browser.request(method, path, NAVIGATE, &[], None);
        assert!(matches!(response.status(), 400 | 405), "{method}: {response}");
        no_bypass(&world, mark, Some(&response), method);
        if method == "TRACE" {
            assert_eq!(response.status(), 405);
            assert!(!response.text().contains("Cookie"), "the request was echoed");
        }
    }
    let head = [(":method", "CONNECT"), (":authority", authority.as_str())];
    let outcome = Http2::connect(&world.gateway).request(&head, None, &[]);
    assert!(outcome.is_refused(), "HTTP/2 CONNECT: {outcome:?}");
}

#[test]
fn p14_octets_beyond_ascii_are_matched_as_they_are_forwarded() {
    let world = world_with_a_private_part();
    for octet in ['\u{80}', '\u{a0}', '\u{ad}', '\u{e9}', '\u{ff}'] {
        for target in [format!("/private/{octet}"), format!("/{octet}/x")] {
            let mark = world.target.count();
            let response = ask(&world, &target);
            if target.starts_with("/private") {
                no_bypass(&world, mark, response.as_ref(), &target);
            }
            for seen in world.target.since(mark) {
                let encoded = format!("/%{:02X}/x", u32::from(octet));
                assert!(seen.target.eq_ignore_ascii_case(&encoded), "{target:?} as {}", seen.target);
            }
        }
    }
}

#[test]
fn p17_request_that_no_rule_names_is_protected_by_the_default() {
    let world = World::start();
    is_protected(&world, &["/", "/anything", "/oauth2", "/oauth2/unknown", "/.well-known/x", "/metrics"]);
}

//! R01–R06, R09, R11–R14: after a login the browser is where it wanted to be, and never elsewhere.

use crate::support::World;
use crate::support::client::{NAVIGATE, parameter, raw};
use crate::support::oracles::{attempt, no_session, same_origin, sign_in, start_login, state_of, with_parameter};

/// The `Location` after a login that began at `target`; `None` where the gateway refused to begin.
fn return_of(world: &World, target: &str) -> Option<String> {
    let mut browser = world.browser();
    let begin = browser.get(target);
    if (400..500).contains(&begin.status()) {
        return None;
    }
    let authorization = begin.location().unwrap_or_default();
    assert!(begin.status() == 302 && authorization.starts_with(world.provider.issuer()), "{target:?}: {begin}");
    let callback = world.provider.approve(authorization);
    let end = browser.get(&callback);
    assert_eq!(end.status(), 302, "{target:?}: {end}");
    assert_eq!(end.head.all("location").len(), 1, "{target:?}: {end}");
    end.location().map(str::to_owned)
}

fn stays_here(targets: &[&str]) {
    let world = World::start();
    for target in targets {
        if let Some(location) = return_of(&world, target) {
            same_origin(&world, &location, target);
        }
    }
}

#[test]
fn r01_path_of_several_slashes_stays_on_the_origin() {
    stays_here(&[
        "//evil.test/",
        "///evil.test/",
        "////evil.test/",
        "//evil.test/%2f..",
        "//evil.test",
        "/.//evil.test/",
        "//user@evil.test/",
        "//evil.test:80/",
    ]);
}

#[test]
fn r02_path_of_backslashes_stays_on_the_origin() {
    stays_here(&[
        "/\\evil.test/",
        "/\\\\evil.test/",
        "/%5cevil.test/",
        "/%5c%5cevil.test/",
        "/./\\evil.test/",
        "/.././../\\evil.test/",
        "/\\/evil.test/",
        "/%2f%5cevil.test/",
    ]);
}

#[test]
fn r03_control_characters_between_slashes_stay_on_the_origin() {
    let between = ["%09", "%0a", "%0b", "%0c", "%0d", "%20", "%00", "\t", "\x0b", "\x0c"];
    let targets: Vec<String> = between
        .iter()
        .flat_map(|control| [format!("/{control}/evil.test/"), format!("//{control}evil.test/"), format!("/{control}\\evil.test/")])
        .collect();
    stays_here(&targets.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn r04_line_breaks_in_the_page_never_become_headers() {
    let world = World::start();
    for target in [
        "/%0d%0aSet-Cookie:x=1",
        "/%E5%98%8A%E5%98%8DSet-Cookie:x=1",
        "/%0dSet-Cookie:x=1",
        "/%0aSet-Cookie:x=1",
        "/page?x=%0d%0aSet-Cookie:x=1",
        "/page?x=%E5%98%8A%E5%98%8DSet-Cookie:x=1",
        "/page?\rSet-Cookie:x=1",
    ] {
        let mut browser = world.browser();
        let begin = browser.get(target);
        let mut responses = vec![begin.clone()];
        if begin.status() == 302 {
            let callback = world.provider.approve(begin.location().unwrap());
            responses.push(browser.get(&callback));
        }
        for response in responses {
            let forged =
                response.head.fields.iter().any(|(name, value)| name.eq_ignore_ascii_case("set-cookie") && value.starts_with("x=1"));
            assert!(!forged, "{target}: a forged header in {response}");
        }
    }
}

#[test]
fn r05_host_that_resembles_ours_is_misdirected() {
    let world = World::start();
    let port = world.gateway.port;
    for host in [
        "evil-app.test",
        "app.test.evil.test",
        "xapp.test",
        "app-test",
        "app.test@evil.test",
        "evil.test@app.test",
        "app.test/evil.test",
        "evil.test\\.app.test",
        "app.test:1:2",
        "app.test#.evil.test",
        "app.test?.evil.test",
    ] {
        for host in [host.to_owned(), format!("{host}:{port}")] {
            let response = world.browser().get_with("/", &[("Host", &host)]);
            assert!(matches!(response.status(), 400 | 421), "{host}: {response}");
        }
    }
    let response = world.browser().get_with("/", &[("Host", &format!("app.test.:{port}"))]);
    if let Some(url) = response.location() {
        let redirect_uri = parameter(url, "redirect_uri").unwrap();
        assert!(redirect_uri.starts_with(&world.gateway.origin()), "{redirect_uri}");
    }
}

#[test]
fn r06_logout_returns_to_allowed_places_only() {
    let world = World::start();
    for place in [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test/",
        "/%09/evil.test/",
        "javascript:alert(1)",
        "data:text/html,evil",
        "http:evil.test",
        "https:evil.test",
        "https:/\\evil.test",
        "https://app.test@evil.test/",
        "https://app.test.evil.test/",
        "https://evil.test\\.app.test/",
        " https://evil.test/",
        "\thttps://evil.test/",
    ] {
        for name in ["return_to", "logout_uri", "redirect_uri", "post_logout_redirect_uri", "rd", "url", "next"] {
            let mut browser = world.browser();
            sign_in(&world, &mut browser, "/");
            let url = with_parameter("/oauth2/logout?a=b", name, Some(place));
            let site = [("Sec-Fetch-Site", "same-origin")];
            let response = browser.request("GET", &url, &NAVIGATE[..4], &site, None);
            let variant = format!("{name}={place:?}");
            assert!(response.status() < 500, "{variant}: {response}");
            let Some(location) = response.location() else { continue };
            if location.starts_with(world.provider.issuer()) {
                if let Some(back) = parameter(location, "post_logout_redirect_uri") {
                    same_origin(&world, &back, &variant);
                }
            } else {
                same_origin(&world, location, &variant);
            }
        }
    }
}

#[test]
fn r09_path_with_dot_segments_in_disguise_is_kept_or_refused() {
    let world = World::start();
    for target in ["/..;/admin", "/a/..;/b", "/%2e%2e/admin", "/a/%2e%2e/b", "/a/%2E./b", "/a/.%2e/b", "/a/..%2fb", "/a/..%5cb"] {
        if let Some(location) = return_of(&world, target) {
            assert_eq!(location, world.gateway.url(target), "the page was changed");
        }
    }
}

#[test]
fn r11_page_cannot_be_exchanged_between_start_and_callback() {
    let world = World::start();
    let mut browser = world.browser();
    let first = start_login(&world, &mut browser, "/first");
    let second = start_login(&world, &mut browser, "/second");
    // Two logins of one browser: the code of the first with the state of the second fails at PKCE.
    let callback = world.provider.approve(&first);
    let crossed = with_parameter(&callback, "state", Some(&state_of(&second)));
    no_session(&world, &mut browser, &crossed, (&[401, 561], ""), "states exchanged");
    let refusal = world.provider.hits("token").pop().and_then(|hit| hit.refusal);
    assert_eq!(refusal, Some("PKCE"));

    let (mut browser, callback) = attempt(&world, |_| {});
    browser.put_cookie("AWSALBAuthNonce", "AAAAAAAAAAAAAAAAAAAAAA");
    no_session(&world, &mut browser, &callback, (&[401], "AuthInvalidAWSALBAuthNonce"), "nonce cookie");
}

#[test]
fn r12_long_page_is_kept_whole_or_refused() {
    let world = World::start();
    for size in [1_000, 3_000, 6_000, 8_192, 12_000, 16_000, 65_536] {
        for target in
            [format!("/{}", "p".repeat(size)), format!("/page?q={}", "q".repeat(size)), format!("/page?q={}", "%C3%BC".repeat(size / 6))]
        {
            if let Some(location) = return_of(&world, &target) {
                let kept = location == world.gateway.url(&target);
                let home = location == world.gateway.url("/");
                assert!(kept || home, "{size}: returned to {} octets", location.len());
                assert!(kept || size > 3_000, "{size}: the page is lost");
            } else {
                assert!(size > 3_000, "{size}: refused");
            }
        }
    }
    let many: Vec<String> = (0..300).map(|n| format!("p{n}={n}")).collect();
    let target = format!("/page?{}", many.join("&"));
    assert_eq!(return_of(&world, &target), Some(world.gateway.url(&target)));
}

#[test]
fn r12_octets_beyond_ascii_are_percent_encoded() {
    let world = World::start();
    // "ü" as two octets; both ways of writing it end at the same place.
    for target in ["/\u{c3}\u{bc}/x", "/%C3%BC/x"] {
        let location = return_of(&world, target);
        assert_eq!(location, Some(world.gateway.url("/%C3%BC/x")), "{target:?}");
    }
    let fragment = format!("GET /page#fragment HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority());
    let response = raw(&world.gateway, fragment);
    assert!(response.is_none_or(|response| response.status() == 400), "a fragment");
}

#[test]
fn r13_post_is_not_turned_into_a_login_that_loses_it() {
    let world = World::start();
    for method in ["POST", "PUT"] {
        let mut browser = world.browser();
        let response = browser.request(method, "/form", NAVIGATE, &[], Some(b"a=1"));
        assert_eq!(response.status(), 401, "{method}: {response}");
        assert_eq!(world.target.count(), 0, "{method}: the target saw it");
    }
}

#[test]
fn r14_deep_links_come_back_byte_for_byte() {
    let world = World::start();
    for target in [
        "/a%2Fb?x=%26&y=%2F",
        "/a%2fb?x=%26&y=%2f",
        "/?next=//x",
        "/?next=https://other.test/",
        "/a//b?x=//y",
        "/a;v=1/b;w=2?x;y",
        "/app/deep%20path/x.html?y=1&z=%26%2F&u=%C3%BC&empty=&flag",
        "/?",
        "/a?b?c",
        "/a+b?c+d",
        "/~user/(x)!$'*,:@=&",
        "/a?x=[1]&y={2}&z=|",
    ] {
        assert_eq!(return_of(&world, target).as_deref(), Some(world.gateway.url(target).as_str()), "{target}");
    }
}

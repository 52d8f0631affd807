//! U09, U10: what the logs say, and what they never say.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::answer::Answer;
use crate::support::client::NAVIGATE;
use crate::support::gateway::CALLBACK;
use crate::support::oracles::{attempt, sign_in, start_login, state_of, with_parameter};
use crate::support::secrets::random;

/// Everything that a run of the gateway shows to anybody.
fn assert_nothing_leaks(world: &World, shown: &[(&str, String)]) {
    world.assert_no_leak();
    let metrics = world.gateway.admin("/metrics").unwrap().text();
    let leaks = world.secrets.leaks(&metrics);
    assert!(leaks.is_empty(), "in the metrics: {leaks:?}");
    for (place, text) in shown {
        let leaks = world.secrets.leaks(text);
        assert!(leaks.is_empty(), "in {place}: {leaks:?}");
    }
}

#[test]
fn u10_no_secret_is_logged_on_the_main_road_at_the_loudest_level() {
    let world = World::start();
    let mut browser = world.browser();
    let end = sign_in(&world, &mut browser, "/page");
    let mut shown = vec![("the location after login", end.location().unwrap().to_owned())];

    let (bearer, own, form) = (random(24), random(24), random(24));
    for (value, what) in [(&bearer, "a bearer token"), (&own, "a cookie"), (&form, "a body")] {
        world.secrets.add(value, what);
    }
    let authorization = format!("Bearer {bearer}");
    let cookie = format!("{}; own={own}", browser.cookie_header());
    let headers = [("Authorization", authorization.as_str()), ("Cookie", &cookie)];
    let body = format!("password={form}");
    let response = browser.request("POST", "/form", NAVIGATE, &headers, Some(body.as_bytes()));
    assert_eq!(response.status(), 200, "{response}");
    world.secrets.add(world.target.last().get("x-amzn-oidc-data").unwrap(), "x-amzn-oidc-data");

    shown.push(("the session endpoint", browser.fetch("/oauth2/session").text()));
    shown.push(("the key set", browser.fetch("/oauth2/jwks.json").text()));
    let site = [("Sec-Fetch-Site", "same-origin")];
    let logout = browser.request("GET", "/oauth2/logout", &NAVIGATE[..4], &site, None);
    assert!(matches!(logout.status(), 200 | 302 | 303), "{logout}");
    shown.push(("the sign-out page", logout.text()));
    assert_nothing_leaks(&world, &shown);
    assert!(!world.gateway.log().is_empty(), "nothing was logged at all");
}

#[test]
fn u10_no_secret_is_logged_when_everything_fails() {
    let world = World::start();
    let mut shown = Vec::new();
    let json = Some("application/json");
    for (endpoint, answer) in [
        ("token", Answer::of(500, json, "{}")),
        ("token", Answer::of(200, json, "nonsense")),
        ("token", Answer::closed()),
        ("userinfo", Answer::of(500, json, "{}")),
        ("userinfo", Answer::of(200, json, "nonsense")),
        ("userinfo", Answer::json(200, &json!({"sub": "mallory"}))),
        ("userinfo", Answer::closed()),
    ] {
        let (mut browser, callback) = attempt(&world, |_| {});
        world.provider.fault(endpoint, answer);
        shown.push(("an error page", browser.get(&callback).text()));
    }
    for claim in ["iss", "aud", "exp", "nonce", "at_hash"] {
        let (mut browser, callback) = attempt(&world, |provider| provider.claim(claim, json!("wrong")));
        shown.push(("an error page", browser.get(&callback).text()));
    }
    // The token endpoint repeats what it was sent, which an error message must not.
    let (mut browser, callback) = attempt(&world, |_| {});
    world.provider.fault_when("token", |hit| {
        let told = json!({"error": "invalid_request", "error_description": format!("{:?}", hit.request)});
        Some(Answer::json(400, &told))
    });
    shown.push(("an error page", browser.get(&callback).text()));
    // A token response whose members are broken in a way that a parser would quote.
    let (mut browser, callback) = attempt(&world, |provider| {
        provider.edit_token_response(|response| {
            response["access_token"] = json!([response["access_token"]]);
        });
    });
    shown.push(("an error page", browser.get(&callback).text()));

    let (mut browser, callback) = attempt(&world, |_| {});
    for url in [
        with_parameter(&callback, "state", Some("forged")),
        with_parameter(&callback, "iss", Some("https://evil.test")),
        callback.clone() + "&code=again",
        callback.replace("/oauth2/idpresponse", "/oauth2/idpresponse/"),
        callback.replace("/oauth2/idpresponse", "/OAUTH2/idpresponse"),
        callback.replace("/oauth2/idpresponse", "//oauth2/idpresponse"),
        callback.replace("/oauth2/idpresponse", "/oauth2%2Fidpresponse"),
        callback.replace("/oauth2/idpresponse", "/oauth2/./idpresponse"),
        callback.replace("/oauth2/idpresponse", "/oauth2/idpresponse\\"),
    ] {
        browser.get(&url);
    }
    let post = browser.request("POST", &callback, NAVIGATE, &[], Some(b"x"));
    shown.push(("an error page", post.text()));
    browser.get_with(&callback, &[("Host", "evil.test")]);
    browser.get_with("/page", &[("Referer", &callback)]);
    assert_nothing_leaks(&world, &shown);
}

#[test]
fn u10_query_of_the_callback_is_masked() {
    let world = World::start();
    let mut browser = world.browser();
    let authorization = start_login(&world, &mut browser, "/page");
    let state = state_of(&authorization);
    world.secrets.add(&state, "state");
    assert_eq!(browser.get(&world.provider.approve(&authorization)).status(), 302);
    let lines = world.gateway.access_lines_with(1, |line| line["request"].as_str().is_some_and(|request| request.contains(CALLBACK)));
    assert_eq!(lines.len(), 1, "the callback is not in the access log");
    let leaks = world.secrets.leaks(&world.gateway.access_log());
    assert!(leaks.is_empty(), "in the access log: {leaks:?}");
}

#[test]
fn u09_access_log_has_one_line_of_json_for_each_request() {
    let world = World::start();
    let mut browser = world.browser();
    sign_in(&world, &mut browser, "/");
    let hostile = "\"}\\ {\"forged\":true} %1b[31m";
    for (path, agent) in [
        ("/page?x=%22},{%22forged%22:true}\\", hostile),
        ("/page?%0a%1b[31m{forged:true}", "a\tb"),
        ("/page?\u{e2}\u{80}\u{a8}forged", "\u{ff}\u{fe}"),
    ] {
        assert_eq!(browser.get_with(path, &[("User-Agent", agent), ("Referer", agent)]).status(), 200, "{path}");
    }
    let is_ours = |line: &Value| line["request"].as_str().is_some_and(|request| request.contains("/page?"));
    let lines = world.gateway.access_lines_with(3, is_ours);
    assert_eq!(lines.len(), 3, "one line for each request");
    for line in lines {
        assert!(line.get("forged").is_none(), "{line}");
        assert!(line["request_id"].as_str().is_some_and(|id| id.len() >= 16), "{line}");
        assert_eq!(line["subject"], "alice", "{line}");
    }
    assert!(!world.gateway.access_log().contains('\u{1b}'), "an escape sequence");
}

#[test]
fn request_id_of_a_page_is_the_one_in_the_log() {
    let world = World::start();
    let response = world.browser().fetch("/deny");
    let id = response.json()["request_id"].as_str().unwrap().to_owned();
    let lines = world.gateway.access_lines_with(1, |line| line["request_id"] == id.as_str());
    assert_eq!(lines.len(), 1, "{id} is not in the access log");
}

/// The fields of a line in ALB's form, with and without quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => fields.push(String::new()),
            letter => fields.last_mut().unwrap().push(letter),
        }
    }
    fields
}

#[test]
fn what_transforms_made_of_a_request_is_in_both_logs() {
    for format in ["json", "alb"] {
        let world = World::start_with(|plan| {
            plan.configuration["access_log"]["format"] = json!(format);
            let mut rewriting = crate::support::gateway::rule(1, "/public/shop/*", &json!([{"forward": "app"}]));
            rewriting["transforms"] = json!({
                "host_header_rewrite": {"regex": "^(.*)$", "replace": "internal.example"},
                "url_rewrite": {"regex": "^/public/shop/([0-9]+)", "replace": "/product?id=$1"},
            });
            let mut broken = crate::support::gateway::rule(2, "/public/broken", &json!([{"forward": "app"}]));
            broken["transforms"] = json!({"url_rewrite": {"regex": "^.*$", "replace": "no path"}});
            plan.listener()["rules"].as_array_mut().unwrap().extend([rewriting, broken]);
        });
        let mut browser = world.browser();
        let port = world.gateway.port;
        for (path, status, host, uri, word) in [
            ("/public/shop/12", 200, format!("internal.example:{port}"), "/product?id=12", "TransformSuccess"),
            ("/public/shop/none", 200, format!("internal.example:{port}"), "-", "TransformSuccess"),
            ("/public/shop/1?code=c&state=s", 200, format!("internal.example:{port}"), "/product?[masked]", "TransformSuccess"),
            ("/public/broken", 500, "-".to_owned(), "-", "TransformInvalidPath"),
            ("/public/page", 200, "-".to_owned(), "-", "-"),
        ] {
            assert_eq!(browser.get(path).status(), status, "{path}");
            let asked = path.split('?').next().unwrap();
            let found = || -> Option<[String; 3]> {
                let log = world.gateway.access_log();
                let line = log.lines().rfind(|line| line.contains(asked) && line.contains("GET"))?;
                if format == "alb" {
                    let fields = fields(line);
                    assert_eq!(fields.len(), 33, "{line}");
                    return Some([fields[30].clone(), fields[31].clone(), fields[32].clone()]);
                }
                let line: Value = serde_json::from_str(line).ok()?;
                let text = |name: &str| line[name].as_str().unwrap().to_owned();
                Some([text("transformed_host"), text("transformed_uri"), text("request_transform_status")])
            };
            let expected = Some([host.clone(), uri.to_owned(), word.to_owned()]);
            let logged = crate::support::gateway::eventually(std::time::Duration::from_secs(3), || found() == expected);
            assert!(logged, "{format} {path}: {:?}", found());
        }
    }
}

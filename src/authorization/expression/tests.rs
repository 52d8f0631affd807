//! What an expression means, and what is said of one that means nothing. `oracle` asks the library as well.

use http::HeaderMap;
use serde_json::{Value as Json, json};

use super::*;
use crate::authorization::tests::{identity, request_parts, view};
use crate::clock::UnixTime;

/// 2026-11-20 (a Friday), 12:30:00 UTC.
const NOW: UnixTime = UnixTime(1_795_177_800);

fn ask(source: &str, claims: &Json, target: &str, headers: &[(&'static str, &'static str)]) -> Result<bool, Failure> {
    let expression = Expression::compile(source).unwrap_or_else(|faults| panic!("{source}: {faults:?}"));
    let identity = identity(claims.clone());
    let (method, authority, target) = request_parts(target);
    let headers: HeaderMap = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).fold(
        HeaderMap::new(),
        |mut headers, (name, value): (http::HeaderName, http::HeaderValue)| {
            headers.append(name, value);
            headers
        },
    );
    let request = view(&method, &authority, &target, &headers);
    expression.holds(&Facts { identity: Some(&identity), request: &request, now: NOW })
}

fn holds(source: &str) -> bool {
    let claims = json!({
        "sub": "u1", "email": "alice@example.com", "department": "sales", "level": 3, "admin": true, "score": 2.5,
        "groups": ["staff", "team-a"], "cognito:groups": ["staff"], "address": {"country": "DE"}, "auth_time": 1_795_174_200, "void": null,
    });
    ask(source, &claims, "/reports/q3?tenant=a%20b&flag", &[("x-env", "staging")]).unwrap_or_else(|failure| panic!("{source}: {failure}"))
}

#[test]
fn usual_policies_are_understood() {
    for source in [
        r#"claims["cognito:groups"].exists(g, g == "staff")"#,
        r#""staff" in claims.groups && claims.department in ["sales", "marketing"]"#,
        r#"claims.email.endsWith("@example.com") || false"#,
        r#"claims.groups.all(g, g.startsWith("team-") || g == "staff")"#,
        r#"claims.groups.exists_one(g, g == "staff")"#,
        r#"claims.groups.filter(g, g.startsWith("team-")).size() == 1"#,
        r#"claims.groups.map(g, g.upperAscii()) == ["STAFF", "TEAM-A"]"#,
        r#"claims.groups.map(g, g != "staff", size(g)) == [6]"#,
        r#"has(claims.department) && !has(claims.blocked) && !("blocked" in claims) && !has(claims.void)"#,
        r#"claims.address.country == "DE" && claims["address"]["country"] != "FR" && has(claims.address.country)"#,
        r#"claims.level >= 3 && claims.level * 2 + 1 == 7 && claims.level / 2 == 1 && claims.level % 2 == 1 && -claims.level < 0"#,
        r#"claims.score > 2 && claims.score == 2.5 && double(claims.level) == 3.0 && int("7") == 7 && string(7) == "7""#,
        r#"claims.admin ? request.method == "GET" : false"#,
        r#"request.host == "app.test" && request.path.startsWith("/reports/") && request.path.matches("^/reports/q[1-4]$")"#,
        r#"request.query.tenant == "a b" && has(request.query.flag) && !("other" in request.query)"#,
        r#"request.headers["X-Env"] == "staging" && has(request.headers.accept) == false"#,
        r#"request.source_ip.inNetwork("192.0.2.0/24") && !request.source_ip.inNetwork("2001:db8::/32") && request.source_ip == "192.0.2.7""#,
        r#"identity_provider == "op" && claims.iss == "https://op.test""#,
        r#"now > timestamp("2026-11-20T12:00:00Z") && now - timestamp(claims.auth_time) <= duration("1h")"#,
        r#"now.getHours() == 12 && now.getHours("Europe/Berlin") == 13 && now.getHours("-05:00") == 7 && now.getMinutes() == 30"#,
        r#"now.getDayOfWeek() == 5 && now.getDate() == 20 && now.getMonth() == 10 && now.getFullYear() == 2026 && now.getDayOfMonth() == 19"#,
        r#"{"sales": ["/reports/"], "it": ["/"]}[claims.department].exists(p, request.path.startsWith(p))"#,
        r#""a,b".split(",") == ["a", "b"] && " a ".trim() == "a" && ("a" + "b").contains("ab") && [1] + [2] == [1, 2]"#,
    ] {
        assert!(holds(source), "{source}");
    }
}

#[test]
fn what_is_not_known_is_passed_over_only_where_the_other_side_decides() {
    let failure = |source: &str| {
        ask(source, &json!({"sub": "u1", "groups": "staff", "big": u64::MAX}), "/?a=1&a=2", &[("x", "1"), ("x", "2")]).unwrap_err()
    };
    assert_eq!(failure("claims.department == \"sales\""), Failure::MissingClaim("department".into()));
    assert_eq!(failure("claims.department != \"sales\""), Failure::MissingClaim("department".into()));
    assert_eq!(failure("!(\"banned\" in claims.departments)"), Failure::MissingClaim("departments".into()));
    assert_eq!(failure("claims.x == 1 || claims.sub == \"u2\""), Failure::MissingClaim("x".into()));
    // One text is no list of one group: `in` and macros say so, instead of looking into the letters.
    assert_eq!(failure("\"staff\" in claims.groups"), Failure::Kind);
    assert_eq!(failure("claims.groups.exists(g, g == \"staff\")"), Failure::Kind);
    assert_eq!(failure("claims.sub"), Failure::Kind);
    assert_eq!(failure("claims.big > 1"), Failure::Overflow);
    assert_eq!(failure("request.query.a == \"1\""), Failure::Twice);
    assert_eq!(failure("\"a\" in request.query"), Failure::Twice);
    assert_eq!(failure("request.headers.x == \"1\""), Failure::Twice);
    assert_eq!(failure("request.headers.y == \"1\""), Failure::MissingKey("y".into()));
    assert_eq!(failure("1 / (size(claims.sub) - 2) == 1"), Failure::Division);
    assert_eq!(failure("timestamp(claims.sub) < now"), Failure::Conversion);
    for source in ["claims.x == 1 || claims.sub == \"u1\"", "claims.sub == \"u1\" || claims.x == 1", "!(claims.x == 1 && false)"] {
        assert_eq!(ask(source, &json!({"sub": "u1"}), "/", &[]), Ok(true), "{source}");
    }
}

#[test]
fn groups_that_the_provider_keeps_elsewhere_are_not_no_groups() {
    let source = "!has(claims.groups) || !(\"banned\" in claims.groups)";
    let incomplete = Err(Failure::IncompleteClaim("groups".into()));
    let pointed = json!({"sub": "u", "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.test"}}});
    assert_eq!(ask(source, &pointed, "/", &[]), incomplete);
    assert_eq!(ask(source, &json!({"sub": "u", "hasgroups": true}), "/", &[]), incomplete);
    assert_eq!(ask(source, &json!({"sub": "u", "hasgroups": "true"}), "/", &[]), incomplete);
    assert_eq!(ask(source, &json!({"sub": "u"}), "/", &[]), Ok(true));
}

/// T41's cousin: the application may read the path in the other way (docs/decisions/0004).
#[test]
fn an_ambiguous_path_has_to_be_allowed_in_both_readings() {
    let source = "!request.path.startsWith(\"/admin\")";
    for target in ["//admin", "/admin%2Fx", "/admin;x=1/y"] {
        assert_eq!(ask(source, &json!({"sub": "u"}), target, &[]), Ok(false), "{target}");
    }
    assert_eq!(ask(source, &json!({"sub": "u"}), "/a//b", &[]), Ok(true));
}

#[test]
fn of_nobody_nothing_is_known() {
    let asked = |source: &str| {
        let (method, authority, target) = request_parts("/open");
        let headers = HeaderMap::new();
        let request = view(&method, &authority, &target, &headers);
        Expression::compile(source).unwrap().holds(&Facts { identity: None, request: &request, now: NOW })
    };
    assert_eq!(asked("request.path == \"/open\" || \"staff\" in claims.groups"), Ok(true));
    for source in ["!has(claims.blocked)", "!(\"blocked\" in claims)", "claims.sub != \"mallory\"", "identity_provider != \"other\""] {
        assert!(matches!(asked(source), Err(Failure::NobodySignedIn(_))), "{source}");
    }
}

#[test]
fn slips_are_found_when_the_configuration_is_read_and_where_they_are() {
    for (source, at, message) in [
        ("claims.groups.exist(g, g == 1)", 14, "no function is called \"exist\""),
        ("claim.email == \"a\"", 0, "nothing is called \"claim\""),
        ("request.pth == \"/\"", 8, "a request has no \"pth\""),
        ("claims.a == 1 && request.path", 25, "&& takes true or false, and this is a text"),
        ("request.path == 1", 13, "a text is never equal to a whole number"),
        ("\"ü\" == \"ü\" && requst.path == \"\"", 14, "nothing is called \"requst\""),
        ("claims.a ==", 11, "not CEL: it ends too early"),
        ("claims.a = 1", 9, "not CEL: unexpected '= '"),
        ("true &&\n  foo(1)", 10, "no function is called \"foo\""),
        ("claims.email.matches(\"(\")", 21, "not a regular expression: unclosed group"),
        ("claims.email.matches(claims.pattern)", 28, "the pattern of matches is written out as a text"),
        ("request.source_ip.inNetwork(\"10.0.0.0/33\")", 28, "not a network"),
        ("now.getHours(\"Europe/Berln\") > 1", 13, "not a time zone"),
        ("now < timestamp(\"tomorrow\")", 6, "\"tomorrow\" is not a timestamp"),
        ("claims[request.host] == 1", 0, "a claim is named"),
        ("size(claims) > 1", 5, "a claim is named"),
        ("claims.groups.exists(now, true)", 21, "now has a meaning of its own"),
        ("request.path", 8, "a policy takes true or false, and this is a text"),
        ("1u == 1", 0, "unsigned numbers"),
        ("", 0, "the expression is empty"),
    ] {
        let faults = Expression::compile(source).expect_err(source);
        assert!(faults.iter().any(|fault| fault.at == at && fault.message.starts_with(message)), "{source}: {faults:?}");
    }
    let hint = &Expression::compile("claims.groups.exist(g, g == 1)").unwrap_err()[0].hint;
    assert_eq!(hint.as_deref(), Some("did you mean \"exists\"?"));
}

#[test]
fn depth_length_and_steps_have_an_end() {
    for source in [
        format!("{}true{}", "(".repeat(300), ")".repeat(300)),
        format!("{}true{}", "!(".repeat(200), ")".repeat(200)),
        format!("claims.a{} == 1", ".b".repeat(1000)),
        format!("1{} == 1", "+1".repeat(1000)),
        format!("{}true", "claims.a ? true : ".repeat(200)),
        "a".repeat(5000),
    ] {
        assert!(Expression::compile(&source).is_err(), "{}", &source[..20]);
    }
    let deep = format!("{}true{}", "!(".repeat(58), ")".repeat(58));
    assert_eq!(ask(&deep, &json!({"sub": "u"}), "/", &[]), Ok(true));
    let many: Vec<u32> = (0..1000).collect();
    let nested = "claims.l.all(a, claims.l.all(b, claims.l.all(c, a + b + c >= 0)))";
    assert_eq!(ask(nested, &json!({"sub": "u", "l": many}), "/", &[]), Err(Failure::Steps));
    // Nothing passes over it either.
    assert_eq!(ask(&format!("{nested} || true"), &json!({"sub": "u", "l": many}), "/", &[]), Err(Failure::Steps));
}

#[test]
fn a_policy_that_no_request_changes_is_known_beforehand() {
    for (source, constant) in [
        ("true", Some(true)),
        ("false && claims.a == 1", Some(false)),
        ("claims.a == 1 || 1 == 1", Some(true)),
        ("\"a\" == \"b\"", Some(false)),
        ("claims.a == 1", None),
        ("has(claims.a)", None),
        ("request.method == \"GET\" && now > timestamp(0)", None),
    ] {
        assert_eq!(Expression::compile(source).unwrap().constant(), constant, "{source}");
    }
}

//! What a policy costs each request: under a microsecond for a usual rule.
//!
//! `cargo bench --bench authorize`. Claims are those of somebody in twelve groups, none of them the first one that is asked for.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use vestibule::authorization::{EmailPattern, Expression, Facts, Groups, Policy, authorize};
use vestibule::clock::UnixTime;
use vestibule::identity::Identity;
use vestibule::message::{Authority, RequestTarget, RequestView, Scheme};
use vestibule::secret::Secret;

fn identity() -> Identity {
    let groups: Vec<String> = (0..11).map(|index| format!("a-group-of-the-company-{index}")).chain(["staff".to_owned()]).collect();
    let claims = json!({
        "sub": "8c1d3a52-4f0e-4a57-9d3b-3d5b2f6f3c11", "email": "alice@example.com", "email_verified": true, "name": "Alice Liddell",
        "cognito:groups": groups, "department": "sales", "level": 3, "auth_time": 1_795_170_000, "tenant": "north",
    });
    let Value::Object(claims) = claims else { unreachable!() };
    Identity {
        provider: "corporate".into(),
        issuer: "https://login.example.com".into(),
        client_id: "gateway".into(),
        subject: "8c1d3a52-4f0e-4a57-9d3b-3d5b2f6f3c11".into(),
        display_name: "alice".into(),
        claims,
        access_token: Secret::from(""),
        id_token: Secret::from(""),
        session: None,
        expires_at: UnixTime(2_000_000_000),
    }
}

fn policies() -> Vec<(&'static str, Policy)> {
    let groups = |names: &[&str]| Groups {
        claim: "cognito:groups".into(),
        claim_of: Vec::new(),
        any_of: names.iter().map(|name| (*name).into()).collect(),
    };
    let allow = |source: &str| Policy { allow: Some(Expression::compile(source).unwrap()), ..Policy::default() };
    vec![
        ("short form: groups", Policy { groups: Some(groups(&["admins", "staff"])), ..Policy::default() }),
        (
            "short form: groups, emails, claims",
            Policy {
                groups: Some(groups(&["admins", "staff"])),
                emails: vec![EmailPattern::parse("*@example.com").unwrap()],
                claims: vec![("department".into(), vec!["it".into(), "sales".into()])],
                ..Policy::default()
            },
        ),
        ("cel: in", allow(r#""staff" in claims["cognito:groups"]"#)),
        ("cel: exists", allow(r#"claims["cognito:groups"].exists(g, g == "staff")"#)),
        (
            "cel: request fields",
            allow(r#"request.method in ["GET", "HEAD"] && (!request.path.startsWith("/admin") || "admins" in claims["cognito:groups"])"#),
        ),
        (
            "cel: query, header, address",
            allow(
                r#"request.query.tenant == claims.tenant && request.headers["x-env"] == "staging" && request.source_ip.inNetwork("192.0.2.0/24")"#,
            ),
        ),
        (
            "cel: time and pattern",
            allow(r#"now - timestamp(claims.auth_time) < duration("12h") && request.path.matches("^/reports/[a-z0-9]+$")"#),
        ),
    ]
}

fn decisions(criterion: &mut Criterion) {
    let identity = identity();
    let authority = Authority::parse(b"app.example.com").unwrap();
    let target = RequestTarget::parse(b"/reports/q3?tenant=north&page=2").unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in [("accept", "text/html"), ("user-agent", "Mozilla/5.0"), ("x-env", "staging"), ("cookie", "theme=dark")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let request = RequestView {
        method: &Method::GET,
        scheme: Scheme::Https,
        port: 443,
        authority: &authority,
        target: &target,
        headers: &headers,
        client: "192.0.2.7".parse().unwrap(),
        request_id: "0",
    };
    let facts = Facts { identity: Some(&identity), request: &request, now: UnixTime(1_795_177_800) };
    for (name, policy) in policies() {
        assert!(authorize(Some(&policy), &facts).is_ok(), "{name} has to allow, or the whole of it would not be measured");
        criterion.bench_function(name, |bencher| bencher.iter(|| authorize(black_box(Some(&policy)), black_box(&facts)).is_ok()));
    }
}

/// The interpreter of the crate whose parser we use, its claims converted once for all requests: why we have our own
/// (docs/decisions/0006).
fn interpreter_of_the_library(criterion: &mut Criterion) {
    let groups = identity().claims.get("cognito:groups").and_then(Value::as_array).unwrap().clone();
    let groups: Vec<cel::Value> = groups.iter().filter_map(Value::as_str).map(cel::Value::from).collect();
    let claims = std::collections::HashMap::from([("cognito:groups", cel::Value::from(groups))]);
    let mut context = cel::Context::default();
    context.add_variable_from_value("claims", claims);
    for source in [r#""staff" in claims["cognito:groups"]"#, r#"claims["cognito:groups"].exists(g, g == "staff")"#] {
        let program = cel::Program::compile(source).unwrap();
        assert_eq!(program.execute(&context), Ok(cel::Value::Bool(true)));
        let name = if source.contains("exists") { "library: exists" } else { "library: in" };
        criterion.bench_function(name, |bencher| bencher.iter(|| program.execute(black_box(&context))));
    }
}

criterion_group!(benches, decisions, interpreter_of_the_library);
criterion_main!(benches);

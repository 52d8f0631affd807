//! Access tokens of the test's provider, and rules that accept them.

use serde_json::{Value, json};

use super::World;
use super::behaviour::put;
use super::client::{FETCH, connect};
use super::gateway::{Plan, rule};
use super::jose;
use super::provider::unix_time;
use super::secrets::random;
use super::wire::Response;

pub(crate) const AUDIENCE: &str = "my-api";

/// `/api*` takes a session or a token, `/jwt*` takes tokens as an ALB does.
pub(crate) fn rules(plan: &mut Plan, bearer_tokens: &Value, additional_claims: &Value) {
    let provider = plan.configuration["identity_providers"]["op"].clone();
    let forward = json!({"forward": "app"});
    let mut authenticate = super::gateway::authenticate("op", "authenticate");
    authenticate["authenticate"]["bearer_tokens"] = bearer_tokens.clone();
    let validation = json!({"jwt_validation": {
        "issuer": provider["issuer"],
        "jwks_endpoint": format!("{}/jwks", provider["issuer"].as_str().unwrap()),
        "ca_certificates": provider["ca_certificates"],
        "additional_claims": additional_claims,
    }});
    let rules = plan.listener()["rules"].as_array_mut().unwrap();
    rules.push(rule(40, "/api*", &json!([authenticate, forward])));
    rules.push(rule(50, "/jwt*", &json!([validation, forward])));
}

/// A world with both rules in their usual form.
pub(crate) fn world() -> World {
    World::start_with(|plan| {
        let scope = json!([{"name": "scope", "format": "space_separated_values", "values": ["read"]}]);
        rules(plan, &json!({"audiences": [AUDIENCE]}), &scope);
    })
}

/// An honest token of the provider's, but for what `edit` does to `(header, claims)`.
pub(crate) fn token(world: &World, edit: impl FnOnce(&mut Value, &mut Value)) -> String {
    let key = world.provider.set(|provider| provider.key.clone());
    let mut header = json!({"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"});
    let now = unix_time();
    let mut claims = json!({
        "iss": world.provider.issuer(),
        "sub": "alice",
        "aud": AUDIENCE,
        "client_id": "machine",
        "scope": "read write",
        "email": "alice@example.com",
        "iat": now,
        "exp": now + 300,
        "jti": random(8),
    });
    edit(&mut header, &mut claims);
    let token = jose::token(&header, &claims, &key);
    world.secrets.add(&token, "access token");
    token
}

/// The same with one claim set; null takes it away.
pub(crate) fn token_with(world: &World, name: &str, value: Value) -> String {
    token(world, |_, claims| put(claims, name, value))
}

/// What a program gets for `path` with these header lines.
pub(crate) fn ask(world: &World, path: &str, lines: &[(&str, &str)]) -> Response {
    let mut wire = connect(world.gateway.port);
    let mut head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\n", world.gateway.authority());
    for (name, value) in lines {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    wire.send(format!("{head}\r\n").as_bytes()).unwrap();
    wire.response("GET").unwrap()
}

/// The same with a bearer token.
pub(crate) fn with_token(world: &World, path: &str, token: &str) -> Response {
    ask(world, path, &[("Authorization", &format!("Bearer {token}"))])
}

/// The same from a page that uses `fetch()`.
pub(crate) fn fetch_with_token(world: &World, path: &str, token: &str) -> Response {
    let authorization = format!("Bearer {token}");
    let lines: Vec<_> = FETCH.iter().copied().chain([("Authorization", authorization.as_str())]).collect();
    ask(world, path, &lines)
}

/// The answer is `status` with an RFC 6750 challenge of this error, the target saw nothing, and the log says `reason`.
#[track_caller]
pub(crate) fn refused(world: &World, path: &str, token: &str, (status, error, reason): (u16, &str, &str), variant: &str) -> Response {
    let target = world.target.count();
    let agent = random(12);
    let response = ask(world, path, &[("Authorization", &format!("Bearer {token}")), ("User-Agent", &agent)]);
    assert_eq!(response.status(), status, "{variant}: {response}");
    let challenge = response.get("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer realm="), "{variant}: {challenge}");
    assert!(challenge.contains(&format!("error=\"{error}\"")), "{variant}: {challenge}");
    assert_eq!(response.get("location"), None, "{variant}: a redirect");
    assert_eq!(world.target.count(), target, "{variant}: the target saw a request");
    let lines = world.gateway.access_lines_with(1, |line| line["user_agent"] == agent.as_str());
    let line = lines.first().unwrap_or_else(|| panic!("{variant}: not in the access log"));
    assert_eq!(line["error_reason"], reason, "{variant}: {line}");
    response
}

/// The request reaches the target.
#[track_caller]
pub(crate) fn accepted(world: &World, path: &str, token: &str, variant: &str) {
    let response = with_token(world, path, token);
    assert_eq!(response.status(), 200, "{variant}: {response}");
}

/// The value of a counter with these labels, 0 where it has not been counted.
pub(crate) fn counter(world: &World, line: &str) -> u64 {
    let metrics = world.gateway.admin("/metrics").unwrap().text();
    let found = metrics.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or(0)
}

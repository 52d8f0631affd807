//! The whole of a decision about one request: without a session nothing arrives that is not public, whoever sends whatever.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode;
use tokio::runtime::Runtime;
use url::Url;
use vestibule::clock::UnixTime;
use vestibule::gateway::{Body, Exchange, Forward, Gateway, Record, Reply, handle};
use vestibule::message::{Authority, RequestTarget, RequestView, Scheme};

use super::configuration::load;
use crate::input;

static GATEWAY: LazyLock<Arc<Gateway>> = LazyLock::new(|| {
    let (compiled, report) = load(CONFIGURATION.as_bytes());
    compiled.unwrap_or_else(|| panic!("{}", report.render(false))).gateway
});
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());

const CONFIGURATION: &str = r##"
listeners:
  - address: 127.0.0.1:8080
    protocol: http
    hosts: [app.test, "*.app.test"]
    trusted_proxies: [127.0.0.1]
    limits: { sign_ins_per_address: 4294967295, failures_per_address: 4294967295 }
    rules:
      - { priority: 10, conditions: [{ path_pattern: ["/public/*", "/favicon.ico"] }], actions: [{ forward: public }] }
      - { priority: 20, conditions: [{ host_header: [open.app.test] }], actions: [{ forward: host }] }
      - { priority: 30, conditions: [{ path_pattern: ["/allow/*"] }], actions: [{ authenticate: { identity_provider: op, on_unauthenticated_request: allow } }, { forward: allow }] }
      - { priority: 40, conditions: [{ path_pattern: ["/deny/*"] }], actions: [{ authenticate: { identity_provider: op, on_unauthenticated_request: deny, allow_cors_preflight: true } }, { forward: closed }] }
      - { priority: 50, conditions: [{ path_pattern: ["/moved/*"] }], actions: [{ redirect: { protocol: HTTPS, host: "#{host}", port: "443", path: "/x#{path}", query: "a=b&#{query}", status_code: HTTP_301 } }] }
      - { priority: 60, conditions: [{ path_pattern: ["/token/*"] }], actions: [{ authenticate: { identity_provider: op, bearer_tokens: { audiences: [api] } } }, { forward: closed }] }
    default_actions: [{ authenticate: { identity_provider: op } }, { authorize: { groups: [staff] } }, { forward: closed }]
identity_providers:
  op: { type: oidc, issuer: "https://op.test", client_id: gw, authorization_endpoint: "https://op.test/authorize", token_endpoint: "https://op.test/token", jwks_uri: "https://op.test/keys" }
target_groups:
  public: { targets: ["127.0.0.1:1"] }
  host: { targets: ["127.0.0.1:1"] }
  allow: { targets: ["127.0.0.1:1"] }
  closed: { targets: ["127.0.0.1:1"] }
sessions: { keys: [{ file: session.key }] }
identity_headers: { signing_key: { file: signing.key } }
"##;

/// Host, method, target, header lines up to an empty one, body.
pub fn decision(data: &[u8]) {
    let [host, method, target, rest] = input::lines(data);
    let (Ok(authority), Ok(method), Ok(target)) = (Authority::parse(host), Method::from_bytes(method), RequestTarget::parse(target)) else {
        return;
    };
    let end = rest.windows(2).position(|pair| pair == b"\n\n").unwrap_or(rest.len());
    let headers: HeaderMap = input::headers(&rest[..end]);
    let request = RequestView {
        method: &method,
        scheme: Scheme::Https,
        port: 443,
        authority: &authority,
        target: &target,
        headers: &headers,
        client: IpAddr::from([192, 0, 2, 1]),
        request_id: "c9a84ee7e87bc64b",
    };
    let gateway = &*GATEWAY;
    let listener = &gateway.listeners[0];
    let body = match gateway.wants_body(listener, &request) {
        Some(_) => Body::Whole(Bytes::copy_from_slice(rest.get(end + 2..).unwrap_or_default())),
        None => Body::Unread,
    };
    let (now, record) = (UnixTime(1_800_000_000), Record::default());
    let mut exchange =
        Exchange { gateway, listener, request: &request, now, body, record, connection: None, set_cookies: Vec::new(), keeps_form: None };
    match RUNTIME.block_on(handle(&mut exchange)) {
        Ok(forward) => arrives(&request, &forward),
        Err(reply) => is_answered(&request, &reply),
    }
}

fn arrives(request: &RequestView<'_>, forward: &Forward) {
    assert!(forward.identity.is_none() && forward.session.is_none() && forward.resent.is_none() && forward.set_cookies.is_empty());
    let path = as_others_read_it(request.target.path());
    let is_public = match &*forward.target_group.name {
        "public" => path.starts_with("/public/") || path == "/favicon.ico",
        "host" => request.authority.host() == "open.app.test",
        "allow" => path.starts_with("/allow/"),
        // A real preflight, bare.
        "closed" => path.starts_with("/deny/") && *request.method == Method::OPTIONS && request.headers.contains_key("origin"),
        _ => false,
    };
    assert!(is_public, "{} of {} arrives at {}", request.target.path(), request.authority.as_str(), forward.target_group.name);
}

/// Decoded as often as it can be, without parameters, with single slashes.
fn as_others_read_it(path: &str) -> String {
    let mut read: Vec<u8> = path.as_bytes().to_vec();
    loop {
        let decoded: Vec<u8> = percent_decode(&read).collect();
        if decoded == read {
            break;
        }
        read = decoded;
    }
    let text = String::from_utf8_lossy(&read).replace('\\', "/");
    let names: Vec<&str> = text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    assert!(!names.contains(&"..") && !names.contains(&"."), "a dot segment in {path}");
    let mut merged = String::new();
    for (at, name) in names.iter().enumerate() {
        if at > 0 && !(merged.ends_with('/') && name.is_empty() && at + 1 < names.len()) {
            if !merged.ends_with('/') {
                merged.push('/');
            }
            merged.push_str(name);
        }
    }
    merged
}

fn is_answered(request: &RequestView<'_>, reply: &Reply) {
    assert!((200..600).contains(&reply.status) && reply.status != 500, "{}", reply.status);
    let all = |wanted: HeaderName| reply.headers.iter().filter(move |(name, _)| *name == wanted).map(|(_, value)| value);
    for (name, value) in &reply.headers {
        assert!(input::is_visible(value), "{name}: {value:?}");
    }
    for place in all(LOCATION) {
        let url = Url::parse(&request.origin()).unwrap().join(place.to_str().unwrap()).unwrap();
        let host = url.host_str().unwrap_or_default().to_owned();
        assert!(host == request.authority.host() || host == "op.test", "{place:?} leads to {host}");
        assert!(matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none());
        if url.path() == "/authorize" && host == "op.test" {
            let parameter =
                |name: &str| url.query_pairs().filter(|(found, _)| found == name).map(|(_, value)| value.into_owned()).collect::<Vec<_>>();
            assert_eq!((parameter("client_id"), parameter("response_type")), (vec!["gw".to_owned()], vec!["code".to_owned()]));
            assert_eq!(parameter("redirect_uri"), [format!("{}/oauth2/idpresponse", request.origin())]);
            assert_eq!(
                (parameter("code_challenge_method"), parameter("state").len(), parameter("nonce").len()),
                (vec!["S256".to_owned()], 1, 1)
            );
        }
    }
    for cookie in all(SET_COOKIE).filter_map(|cookie: &HeaderValue| cookie.to_str().ok()) {
        assert!(cookie.contains("; Secure") && cookie.contains("; HttpOnly") && !cookie.contains("Domain"), "{cookie}");
        assert!(!cookie.starts_with("AWSELBAuthSessionCookie") || cookie.contains("Max-Age=0"), "a session from nothing: {cookie}");
    }
    // Nothing that somebody says becomes an element of a page.
    let is_page = all(CONTENT_TYPE).any(|kind| kind.as_bytes().starts_with(b"text/html"));
    assert!(!is_page || !reply.body.windows(3).any(|piece| piece == b"<x>"), "{}", String::from_utf8_lossy(&reply.body));
}

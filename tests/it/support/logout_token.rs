//! What the test's provider says behind the browser's back: logout tokens (OpenID Connect Back-Channel Logout 1.0).

use serde_json::{Value, json};

use super::World;
use super::client::connect;
use super::jose;
use super::provider::{CLIENT_ID, unix_time};
use super::secrets::random;
use super::wire::Response;

pub(crate) const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// An honest token that names nobody yet, but for what `edit` does to `(header, claims)`.
pub(crate) fn token(world: &World, edit: impl FnOnce(&mut Value, &mut Value)) -> String {
    let key = world.provider.set(|provider| provider.key.clone());
    let mut header = json!({"alg": key.algorithm, "kid": key.kid, "typ": "logout+jwt"});
    let now = unix_time();
    let mut claims = json!({
        "iss": world.provider.issuer(),
        "aud": CLIENT_ID,
        "iat": now,
        "exp": now + 120,
        "jti": random(16),
        "events": {EVENT: {}},
    });
    edit(&mut header, &mut claims);
    let token = jose::token(&header, &claims, &key);
    world.secrets.add(&token, "logout token");
    token
}

/// The same with these claims beside; null takes one away.
pub(crate) fn token_of(world: &World, more: &Value) -> String {
    token(world, |_, claims| {
        for (name, value) in more.as_object().unwrap() {
            super::behaviour::put(claims, name, value.clone());
        }
    })
}

/// A form with it.
pub(crate) fn form(token: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish()
}

/// POST of this body to the endpoint, as a provider does it: no cookies, nothing of a browser.
pub(crate) fn post(world: &World, lines: &[(&str, &str)], body: &[u8]) -> Response {
    let mut wire = connect(world.gateway.port);
    let authority = world.gateway.authority();
    let mut head = format!("POST /oauth2/backchannel_logout HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in lines {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    wire.send(&[format!("{head}\r\n").as_bytes(), body].concat()).unwrap();
    wire.response("POST").unwrap()
}

/// The same with a form that holds the token.
pub(crate) fn deliver(world: &World, token: &str) -> Response {
    post(world, &[("Content-Type", "application/x-www-form-urlencoded")], form(token).as_bytes())
}

//! Plain HTTP behind a TLS terminator: signing people in works when the proxy in front is named, and is refused otherwise.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vestibule::app::{self, Options, Running};
use vestibule::identity_headers::SigningKey;
use vestibule::session::SessionKey;

use crate::support::World;
use crate::support::client::{connect, set_cookies};
use crate::support::gateway::NONCE_COOKIE;

fn configuration(options: &Options) -> Value {
    json!({
        "listeners": [{
            "address": "127.0.0.1:0",
            "protocol": "http",
            "hosts": ["app.test"],
            "trusted_proxies": ["127.0.0.0/8"],
            "default_actions": [{"authenticate": {"identity_provider": "op"}}, {"fixed_response": {"status_code": 200}}],
        }],
        // Never asked: every endpoint that the start of a login needs is here.
        "identity_providers": {"op": {
            "type": "oidc",
            "issuer": "https://op.test",
            "client_id": "gw",
            "authorization_endpoint": "https://op.test/authorize",
            "token_endpoint": "https://op.test/token",
            "jwks_uri": "http://127.0.0.1:9/keys",
        }},
        "sessions": {"keys": [SessionKey::generate(&options.entropy).unwrap()]},
        "identity_headers": {"signing_key": SigningKey::generate(&options.entropy).unwrap()},
        "access_log": {"path": "/dev/null"},
    })
}

async fn start(configuration: &Value, options: Options) -> Running {
    let (loaded, report) = app::load_text(&configuration.to_string(), Path::new(""), &options);
    app::start(loaded.unwrap_or_else(|| panic!("{}", report.render(false))), options).await.unwrap()
}

/// Status, `Location` and `Set-Cookie` of a navigation to `/x?y=1`.
async fn navigate(address: SocketAddr, fields: &str) -> (String, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /x?y=1 HTTP/1.1\r\nHost: app.test\r\nAccept: text/html\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let field = |name: &str| {
        let of =
            |line: &str| line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned());
        text.lines().find_map(of).unwrap_or_default()
    };
    (text[9..12].to_owned(), field("location"), field("set-cookie"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_word_of_a_trusted_proxy_makes_the_request_a_secure_one() {
    let options = Options::default();
    let running = start(&configuration(&options), options).await;
    let address = running.addresses()[0];

    let (status, location, cookie) = navigate(address, "X-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.9\r\n").await;
    assert_eq!(status, "302");
    assert!(location.starts_with("https://op.test/authorize?"), "{location}");
    assert!(location.contains("redirect_uri=https%3A%2F%2Fapp.test%2Foauth2%2Fidpresponse&"), "{location}");
    assert!(cookie.contains("; Secure"), "{cookie}");

    // F23, S25: over plain HTTP nobody is signed in, and no cookie is set.
    for fields in ["", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Proto: javascript\r\n"] {
        let (status, location, cookie) = navigate(address, fields).await;
        assert_eq!((status.as_str(), location.as_str(), cookie.as_str()), ("302", "https://app.test/x?y=1", ""), "{fields:?}");
    }
    running.stop().await;
}

/// A listener of version 6 knows a proxy of version 4 as `::ffff:127.0.0.1`. The people behind one share a connection, and no nonce; a
/// browser's own tabs do.
#[test]
fn people_behind_a_proxy_share_no_login_whatever_the_version_of_its_address() {
    for (own, trusted, is_one) in
        [("127.0.0.1", json!([]), true), ("127.0.0.1", json!(["127.0.0.1"]), false), ("[::]", json!(["127.0.0.1"]), false)]
    {
        let world = World::start_with(|plan| {
            plan.listener()["trusted_proxies"] = trusted.clone();
            plan.listener()["address"] = json!(format!("{own}:{}", plan.port));
        });
        let mut wire = connect(world.gateway.port);
        let nonces = [(); 2].map(|()| {
            wire.send(format!("GET /page HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n\r\n", world.gateway.authority()).as_bytes())
                .unwrap();
            let response = wire.response("GET").unwrap();
            set_cookies(&response).into_iter().find(|cookie| cookie.name == NONCE_COOKIE).unwrap_or_else(|| panic!("{response}")).value
        });
        assert_eq!(nonces[0] == nonces[1], is_one, "{own} {trusted}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_h21_a_stranger_is_not_believed() {
    let options = Options::default();
    let mut configuration = configuration(&options);
    configuration["listeners"][0]["trusted_proxies"] = json!(["192.0.2.1"]);
    let running = start(&configuration, options).await;
    let (status, location, cookie) = navigate(running.addresses()[0], "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\n").await;
    assert_eq!((status.as_str(), location.as_str(), cookie.as_str()), ("302", "https://app.test/x?y=1", ""));
    running.stop().await;
}

#[test]
fn signing_in_over_plain_http_without_a_proxy_is_an_error_of_the_configuration() {
    let options = Options::default();
    for (trusted, hint) in [(json!([]), "trusted_proxies"), (json!(["0.0.0.0/0"]), "trusts everybody")] {
        let mut configuration = configuration(&options);
        configuration["listeners"][0]["trusted_proxies"] = trusted;
        let (loaded, report) = app::load_text(&format!("{configuration:#}"), Path::new(""), &options);
        assert!(loaded.is_none());
        assert!(report.render(false).contains(hint), "{}", report.render(false));
    }
}

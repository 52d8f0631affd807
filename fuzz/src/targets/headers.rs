//! What targets are told, and what a client cannot say.

use std::collections::HashSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use http::{HeaderMap, HeaderName, Method};
use ipnet::IpNet;
use percent_encoding::percent_decode;
use serde_json::{Map, Value};
use std::net::{IpAddr, SocketAddr};
use vestibule::authorization::{Facts, authorize};
use vestibule::clients::system_entropy;
use vestibule::clock::UnixTime;
use vestibule::identity::Identity;
use vestibule::identity_headers::{
    ClaimHeader, ClientCertificateMode, ForwardedFor, ForwardedForMode, ForwardedSettings, IdentityHeaders, ProtectedHeaders, Signer,
    SigningKey, client_certificate_headers, trace_id,
};
use vestibule::message::{Authority, RequestTarget, RequestView, Scheme, json as strict};
use vestibule::secret::Secret;

use crate::input;

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let key = SigningKey::parse(&SigningKey::generate(&system_entropy()).unwrap()).unwrap();
    Signer::new(vec![key], "arn:aws:x".to_owned(), true, system_entropy())
});

/// A subject, then claims.
pub fn claim_headers(data: &[u8]) {
    let [subject, claims] = input::lines(data);
    let (Ok(subject), Ok(claims)) = (std::str::from_utf8(subject), strict::object(claims)) else { return };
    let identity = identity(subject, claims.clone());
    let (authority, target) = (Authority::parse(b"app.test").unwrap(), RequestTarget::parse(b"/").unwrap());
    let request = RequestView {
        method: &Method::GET,
        scheme: Scheme::Https,
        port: 443,
        authority: &authority,
        target: &target,
        headers: &HeaderMap::new(),
        client: IpAddr::from([127, 0, 0, 1]),
        request_id: "",
    };
    let now = UnixTime(1_800_000_000);
    let permit = authorize(None, &Facts { identity: Some(&identity), request: &request, now }).unwrap().permit.unwrap();
    let wanted: Vec<ClaimHeader> = claims
        .keys()
        .take(8)
        .enumerate()
        .map(|(at, claim)| ClaimHeader { name: HeaderName::try_from(format!("x-claim-{at}")).unwrap(), claim: claim.clone() })
        .collect();
    let made = IdentityHeaders::of(permit, &SIGNER, &wanted, true, now).unwrap();
    let value = |name: &str| made.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.to_str().unwrap());
    for (name, value) in &made.headers {
        assert!(value.as_bytes().iter().all(u8::is_ascii_graphic), "{name}: {value:?}");
    }
    // No two people have one text: what arrives can be decoded to what was meant.
    let decoded = |text: &str| percent_decode(text.as_bytes()).collect::<Vec<u8>>();
    assert_eq!(decoded(value("x-amzn-oidc-identity").unwrap()), subject.as_bytes());
    for header in &wanted {
        if let Value::String(text) = &claims[&header.claim] {
            assert_eq!(decoded(value(header.name.as_str()).unwrap()), text.as_bytes());
        }
        assert_eq!(value(header.name.as_str()).is_none(), matches!(claims[&header.claim], Value::Null | Value::Object(_)));
    }
    let payload = value("x-amzn-oidc-data").unwrap().split('.').nth(1).unwrap();
    let told: Map<String, Value> = serde_json::from_slice(&URL_SAFE.decode(payload).unwrap()).unwrap();
    let mut expected = claims;
    expected.insert("exp".to_owned(), 1_800_000_120.into());
    expected.insert("iss".to_owned(), "https://op.test".into());
    assert_eq!(told, expected);
}

fn identity(subject: &str, claims: Map<String, Value>) -> Identity {
    Identity {
        provider: "op".into(),
        issuer: "https://op.test".into(),
        client_id: "gw".into(),
        subject: subject.into(),
        display_name: subject.into(),
        claims,
        access_token: Secret::from("token"),
        id_token: Secret::from(""),
        session: None,
        expires_at: UnixTime(1_900_000_000),
    }
}

/// Header lines.
pub fn protected_headers(data: &[u8]) {
    let protected = ProtectedHeaders::new(["X-Auth-Email", "Remote.User"]);
    let headers = input::headers(data);
    // As CGI, WSGI and Rack fold names, to the one form that applications look up.
    let folded = |name: &HeaderName| name.as_str().to_ascii_uppercase().replace(['-', '.'], "_");
    const PREFIXES: [&str; 5] = ["X_AMZN_OIDC_", "X_AMZN_MTLS_", "X_AMZN_TLS_", "X_FORWARDED_", "X_ORIGINAL_"];
    const NAMES: [&str; 8] =
        ["FORWARDED", "X_REAL_IP", "X_REWRITE_URL", "X_AMZN_TRACE_ID", "PROXY", "PROXY_CONNECTION", "X_AUTH_EMAIL", "REMOTE_USER"];
    let is_ours = |name: &HeaderName| {
        let name = folded(name);
        NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix))
    };
    let mut left = headers.clone();
    for name in protected.found_in(&headers) {
        assert!(is_ours(&name), "{name} is taken away");
        left.remove(&name);
    }
    assert!(protected.found_in(&left).is_empty());
    assert!(!left.keys().any(is_ours), "{left:?}");
    let kept: HashSet<&HeaderName> = headers.keys().filter(|name| !is_ours(name)).collect();
    assert_eq!(left.keys().collect::<HashSet<_>>(), kept);
}

/// The certificate that a client shows, DER.
pub fn client_certificate(data: &[u8]) {
    for mode in [ClientCertificateMode::Passthrough, ClientCertificateMode::Verify] {
        for (name, value) in client_certificate_headers(mode, &[data]) {
            assert!(input::is_visible(&value), "{name}: {value:?}");
            assert!(name.as_str().starts_with("x-amzn-mtls-clientcert"));
            if matches!(name.as_str(), "x-amzn-mtls-clientcert" | "x-amzn-mtls-clientcert-leaf") {
                let pem = String::from_utf8(percent_decode(value.as_bytes()).collect()).unwrap();
                let body = pem.strip_prefix("-----BEGIN CERTIFICATE-----\n").unwrap().strip_suffix("-----END CERTIFICATE-----\n").unwrap();
                assert_eq!(STANDARD.decode(body.replace('\n', "")).unwrap(), data);
            }
        }
    }
}

/// Mode and peer, then header lines.
pub fn forwarded(data: &[u8]) {
    let [mode, peer, lines] = input::lines(data);
    let mode = match mode {
        b"preserve" => ForwardedForMode::Preserve,
        b"remove" => ForwardedForMode::Remove,
        _ => ForwardedForMode::Append,
    };
    let peer: SocketAddr =
        std::str::from_utf8(peer).ok().and_then(|peer| peer.parse().ok()).unwrap_or(SocketAddr::from(([10, 0, 0, 1], 4711)));
    let networks: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let is_trusted = |address: &IpAddr| networks.iter().any(|network| network.contains(address));
    let settings = ForwardedSettings { mode, client_port: data.len() % 2 == 0, trusted_proxies: networks.clone() };
    let headers = input::headers(lines);
    let found = ForwardedFor::read(&headers, peer, Scheme::Http, 80, &settings);
    let own = peer.ip().to_canonical();
    let alone = ForwardedFor::read(&HeaderMap::new(), peer, Scheme::Http, 80, &settings);
    if !is_trusted(&own) {
        // Nothing that a stranger says changes anything.
        assert_eq!((found.client, found.scheme.as_str(), found.port, &found.chain), (own, "http", 80, &alone.chain));
    }
    // The visitor is no proxy, unless there is nobody but proxies.
    let said: Vec<IpAddr> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|text| text.trim().parse().ok().or_else(|| text.trim().parse::<SocketAddr>().ok().map(|socket| socket.ip())))
        .map(|address: IpAddr| address.to_canonical())
        .collect();
    let nearest = said.iter().skip(said.len().saturating_sub(30)).chain([&own]);
    let visitor = nearest.clone().rev().find(|address| !is_trusted(address)).or(nearest.clone().next()).copied();
    assert_eq!(Some(found.client), if is_trusted(&own) { visitor } else { Some(own) });
    assert_eq!(found.client, found.client.to_canonical());
    assert!(mode != ForwardedForMode::Remove || found.chain.is_none());
    if mode == ForwardedForMode::Append {
        let chain = found.chain.unwrap();
        let last = chain.to_str().unwrap().rsplit(", ").next().unwrap().to_owned();
        let last = last.parse::<IpAddr>().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
        assert_eq!(last, Some(own));
        assert!(chain.to_str().unwrap().split(", ").count() <= 31);
    }
    let trace = trace_id(&headers, UnixTime(0x5f00_0000), [1; 12]);
    assert!(input::is_visible(&trace) || headers.get("x-amzn-trace-id").is_some_and(|sent| sent.as_bytes().contains(&b'\t')), "{trace:?}");
    let trace = trace.to_str().unwrap();
    assert!(trace.starts_with("Root=1-5f000000-") || trace.starts_with("Self=1-5f000000-"), "{trace}");
    assert!(trace.len() <= 512 + 42);
}

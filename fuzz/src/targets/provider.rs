//! What a provider says: discovery, the answers of its endpoints, and the query that it sends a browser back with.

use std::sync::LazyLock;

use serde_json::Value;
use url::{Host, Url};
use vestibule::message::json as strict;
use vestibule::provider::{
    AssertionAudience, AuthorizationResponse, ClientAuthentication, Endpoints, Issuers, LogoutStyle, Provider, ProviderAnswer,
    ProviderMetadata, PushedRequests, TokenResponse, UrlPolicy, introspection_claims, merge, user_info_claims,
};

use crate::input;

static PROVIDER: LazyLock<Provider> = LazyLock::new(|| Provider {
    name: "op".into(),
    display_name: "op".to_owned(),
    client_id: "gw".into(),
    client_authentication: ClientAuthentication::None,
    assertion_audience: AssertionAudience::default(),
    pushed_requests: PushedRequests::default(),
    issuers: Issuers::one("https://op.test"),
    discovery_url: "https://op.test/.well-known/openid-configuration".to_owned(),
    endpoints: Endpoints::default(),
    logout: LogoutStyle::RpInitiated,
    hosted_domains: Vec::new(),
    asks_user_info: true,
    urls: UrlPolicy::default(),
});

pub fn discovery(data: &[u8]) {
    let Ok(found) = ProviderMetadata::discovered(&PROVIDER, data) else { return };
    let document: Value = serde_json::from_slice(data).unwrap();
    assert_eq!((&*found.issuer, document["issuer"].as_str()), ("https://op.test", Some("https://op.test")));
    let needed = [&found.authorization_endpoint, &found.token_endpoint, &found.jwks_uri];
    let others = [
        &found.user_info_endpoint,
        &found.end_session_endpoint,
        &found.introspection_endpoint,
        &found.pushed_authorization_endpoint,
        &found.revocation_endpoint,
    ];
    for text in needed.into_iter().chain(others.into_iter().flatten()) {
        let url = Url::parse(text).unwrap();
        assert_eq!(url.as_str(), text, "a URL that is not in its normal form");
        let is_here = match url.host().unwrap() {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        assert!(url.scheme() == "https" || (url.scheme() == "http" && is_here), "{text}");
        assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{text}");
    }
}

/// Status and content type, then the body: as token response, user info and introspection.
pub fn provider_answer(data: &[u8]) {
    let [status, content_type, body] = input::lines(data);
    let status = std::str::from_utf8(status).ok().and_then(|status| status.parse().ok()).unwrap_or(200);
    let content_type = std::str::from_utf8(content_type).ok().filter(|text| !text.is_empty()).map(str::to_owned);
    let answer = ProviderAnswer { status, content_type, body: body.to_vec() };
    let object = strict::object(body).ok();
    let is_usable = answer.is_success() && answer.is_json() && object.is_some();
    if let Ok(tokens) = TokenResponse::parse(&answer) {
        let object = object.as_ref().unwrap();
        assert!(is_usable && !object.contains_key("error"));
        assert!(object["token_type"].as_str().unwrap().eq_ignore_ascii_case("bearer"));
        let access_token = tokens.access_token.expose();
        assert!(!access_token.is_empty() && http::HeaderValue::from_str(access_token).is_ok_and(|value| input::is_visible(&value)));
        assert_eq!(object["access_token"], access_token.as_str());
        assert!(tokens.expires_in.is_none_or(|lifetime| !lifetime.is_zero() && lifetime.as_secs() <= 365 * 86_400));
        assert!(!format!("{tokens:?}").contains(access_token.as_str()) || access_token.len() < 20);
    }
    if let Ok(mut claims) = user_info_claims(&answer, "alice") {
        assert!(is_usable && claims["sub"] == "alice");
        // What the ID token alone proves stays as it was.
        let proven = strict::object(br#"{"sub":"alice","acr":"1","amr":["pwd"],"auth_time":7,"sid":"s","iss":"https://op.test"}"#).unwrap();
        let mut merged = proven.clone();
        merge(&mut merged, claims.clone());
        assert!(proven.iter().all(|(name, value)| name == "sub" || merged[name] == *value));
        claims.retain(|name, _| !merged.contains_key(name));
        assert!(claims.keys().all(|name| ["aud", "exp", "iat", "nonce"].contains(&name.as_str())), "{claims:?} are lost");
    }
    match introspection_claims(&answer) {
        Ok(Some(claims)) => assert!(is_usable && object.unwrap()["active"] == true && !claims.contains_key("active")),
        Ok(None) => assert!(is_usable),
        Err(_) => {}
    }
}

/// Against the `url` crate.
pub fn authorization_response(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    let Ok(response) = AuthorizationResponse::parse(query) else { return };
    let mut url = Url::parse("https://app.test/oauth2/idpresponse").unwrap();
    // A query of a request has no `#`, no tab and no line break: `RequestTarget` has seen to that.
    if query.contains(|character: char| !character.is_ascii_graphic() || character == '#') {
        return;
    }
    url.set_query(Some(query));
    let pairs: Vec<(String, String)> = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    assert!(pairs.len() <= 32);
    let all = |name: &str| pairs.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
    let one = |name: &str| {
        let found = all(name);
        assert!(found.len() <= 1, "{name} is given twice");
        found.first().copied()
    };
    assert_eq!(response.state.as_deref(), one("state").filter(|value| !value.is_empty()));
    assert_eq!(response.code.as_deref(), one("code").filter(|value| !value.is_empty()));
    assert_eq!((response.error.as_deref(), response.iss.as_deref()), (one("error"), one("iss")));
    assert!(one("code").is_none() || one("error").is_none());
    assert!(all("id_token").is_empty() && all("access_token").is_empty() && all("response").is_empty());
}

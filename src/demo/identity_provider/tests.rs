//! The provider as clients and browsers meet it, over a loopback listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{COOKIE, HOST, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use super::{Error, IdentityProvider, Settings, SettingsError};
use crate::clock::{Clock, UnixTime};
use crate::secret::test_entropy;

const REDIRECT_URI: &str = "https://localhost:8443/oauth2/idpresponse";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Hands(AtomicU64);

impl Clock for Hands {
    fn now(&self) -> UnixTime {
        UnixTime(self.0.load(Ordering::Relaxed))
    }
}

/// A running provider and a browser without redirects or a cookie jar: every step is visible.
struct Story {
    origin: String,
    issuer: String,
    hands: Arc<Hands>,
    client: Client,
}

impl Story {
    async fn begin(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hands = Arc::new(Hands(AtomicU64::new(1_800_000_000)));
        let clock: Arc<dyn Clock> = hands.clone();
        let provider = IdentityProvider::new(settings, listener.local_addr().unwrap(), clock, test_entropy()).unwrap();
        let router = provider.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        // Another test may have been first; which one does not matter.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { origin: provider.origin().to_owned(), issuer: provider.issuer().to_owned(), hands, client }
    }

    fn pass(&self, seconds: u64) {
        self.hands.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.origin))
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client.post(format!("{}{path}", self.origin)).body(body);
        request.header("content-type", "application/x-www-form-urlencoded")
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).send().await.unwrap().bytes().await.unwrap()).unwrap()
    }

    /// The sign-in page of an authorization request, submitted. Answers what the form's answer was.
    async fn submit(&self, query: &str, username: &str, password: &str) -> Response {
        let page = self.get(&format!("/login?{query}")).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        let cookie = cookie_of(&page, "cognito-form");
        let token = cookie.split_once('=').unwrap().1.to_owned();
        let form = [("_csrf", token.as_str()), ("username", username), ("password", password)];
        self.post(&format!("/login?{query}"), &form).header(COOKIE, cookie).send().await.unwrap()
    }

    /// Signs alice in. Answers her session's cookie and the code.
    async fn code(&self, extra: &str) -> (String, String) {
        let answer = self.submit(&query(extra), "alice", "wonderland").await;
        assert_eq!(answer.status(), StatusCode::FOUND);
        let location = location(&answer);
        assert_eq!(parameter(&location, "state").as_deref(), Some("a&b"));
        (cookie_of(&answer, "cognito"), parameter(&location, "code").unwrap())
    }

    async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let request = self.post("/oauth2/token", form).basic_auth("vestibule", Some("development-only"));
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    async fn redeem(&self, code: &str) -> (StatusCode, Value) {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)];
        self.token(&form).await
    }

    async fn refresh(&self, refresh_token: &str) -> (StatusCode, Value) {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// The claims of a token, verified with the published key of its `kid`.
    async fn verified(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        let header: Value = serde_json::from_slice(&decoded(header)).unwrap();
        assert_eq!(header.as_object().unwrap().keys().len(), 2, "only kid and alg");
        let set = self.json("/local_Vestibule/.well-known/jwks.json").await;
        let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"])?.clone();
        let component = |name: &str| decoded(key[name].as_str().unwrap());
        RsaPublicKeyComponents { n: component("n"), e: component("e") }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decoded(signature))
            .unwrap();
        Some(serde_json::from_slice(&decoded(payload)).unwrap())
    }
}

fn decoded(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

fn query(extra: &str) -> String {
    let base = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", "vestibule"), ("redirect_uri", REDIRECT_URI), ("response_type", "code"), ("state", "a&b")])
        .extend_pairs([("nonce", "n-1"), ("code_challenge", CHALLENGE), ("code_challenge_method", "S256")])
        .finish();
    format!("{base}{extra}")
}

fn cookie_of(answer: &Response, name: &str) -> String {
    let mut cookies = answer.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let cookie = cookies.rfind(|cookie| cookie.starts_with(&format!("{name}="))).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

fn location(answer: &Response) -> String {
    answer.headers()[LOCATION].to_str().unwrap().to_owned()
}

fn parameter(location: &str, name: &str) -> Option<String> {
    Url::parse(location).unwrap().query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_person_signs_in_and_the_client_gets_a_user_pools_tokens() {
    let story = Story::begin(Settings::default()).await;
    let first = story.get(&format!("/oauth2/authorize?{}", query(""))).send().await.unwrap();
    assert_eq!((first.status(), location(&first)), (StatusCode::FOUND, format!("/login?{}", query(""))));

    let (session, code) = story.code("").await;
    let (status, tokens) = story.redeem(&code).await;
    assert_eq!((status, &tokens["token_type"], &tokens["expires_in"]), (StatusCode::OK, &"Bearer".into(), &3600.into()));
    let id = story.verified(tokens["id_token"].as_str().unwrap()).await.unwrap();
    let access = story.verified(tokens["access_token"].as_str().unwrap()).await.unwrap();

    for (name, value) in [("iss", story.issuer.as_str()), ("aud", "vestibule"), ("nonce", "n-1"), ("token_use", "id")] {
        assert_eq!(id[name], value, "{name}");
    }
    assert_eq!((&id["cognito:username"], &id["email_verified"]), (&"alice".into(), &true.into()));
    assert_eq!(id["cognito:groups"], serde_json::json!(["staff", "admins"]));
    assert_eq!((&access["client_id"], &access["version"]), (&"vestibule".into(), &2.into()));
    assert!(access.get("aud").is_none() && access.get("email").is_none());
    for name in ["sub", "auth_time", "origin_jti", "event_id", "iat", "exp"] {
        assert_eq!(id[name], access[name], "{name}");
    }
    let kid = |name: &str| decoded(tokens[name].as_str().unwrap().split('.').next().unwrap());
    assert_ne!(kid("id_token"), kid("access_token"), "two keys");
    assert_eq!(tokens["refresh_token"].as_str().unwrap().split('.').count(), 5);

    let info = story.get("/oauth2/userInfo").bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
    let info: Value = serde_json::from_slice(&info.bytes().await.unwrap()).unwrap();
    assert_eq!((&info["sub"], &info["username"]), (&id["sub"], &"alice".into()));
    assert_eq!(info["email_verified"], "true", "a string, as in a user pool");
    assert!(info.get("cognito:groups").is_none());

    let again = story.get(&format!("/oauth2/authorize?{}", query(""))).header(COOKIE, &session).send().await.unwrap();
    assert!(location(&again).starts_with(&format!("{REDIRECT_URI}?code=")), "signed in already");
    let forced = story.get(&format!("/oauth2/authorize?{}", query("&prompt=login"))).header(COOKIE, &session).send().await.unwrap();
    assert!(location(&forced).starts_with("/login?"));
    story.pass(3600);
    let silent = story.get(&format!("/oauth2/authorize?{}", query("&prompt=none"))).header(COOKIE, &session).send().await.unwrap();
    assert_eq!(parameter(&location(&silent), "error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn a_code_used_twice_takes_its_tokens_along() {
    let story = Story::begin(Settings::default()).await;
    let (_, code) = story.code("").await;
    let (_, tokens) = story.redeem(&code).await;
    let info = || story.get("/oauth2/userInfo").bearer_auth(tokens["access_token"].as_str().unwrap()).send();
    assert_eq!(info().await.unwrap().status(), StatusCode::OK);
    let (status, error) = story.redeem(&code).await;
    assert_eq!((status, &error["error"]), (StatusCode::BAD_REQUEST, &"invalid_grant".into()));
    let refused = info().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.headers()[WWW_AUTHENTICATE].to_str().unwrap().starts_with("error=\"invalid_token\""), "no scheme, as Cognito");
    assert_eq!(story.refresh(tokens["refresh_token"].as_str().unwrap()).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn refreshing_keeps_the_sign_in_and_brings_a_new_refresh_token_only_with_rotation() {
    for rotate in [false, true] {
        let story = Story::begin(Settings { rotate_refresh_tokens: rotate, ..Settings::default() }).await;
        let (_, code) = story.code("").await;
        let (_, tokens) = story.redeem(&code).await;
        let refresh_token = tokens["refresh_token"].as_str().unwrap();
        let first = story.verified(tokens["id_token"].as_str().unwrap()).await.unwrap();
        story.pass(4000);
        let (status, refreshed) = story.refresh(refresh_token).await;
        assert_eq!((status, refreshed.get("refresh_token").is_some()), (StatusCode::OK, rotate));
        let second = story.verified(refreshed["id_token"].as_str().unwrap()).await.unwrap();
        assert_eq!((&first["auth_time"], &first["origin_jti"]), (&second["auth_time"], &second["origin_jti"]));
        assert!(second["iat"].as_u64() > first["iat"].as_u64() && second.get("nonce").is_none());
        assert_eq!(story.refresh(refresh_token).await.0 == StatusCode::OK, !rotate);
    }
}

#[tokio::test]
async fn revocation_ends_refreshing_and_knows_refresh_tokens_only() {
    let story = Story::begin(Settings::default()).await;
    let (_, code) = story.code("").await;
    let (_, tokens) = story.redeem(&code).await;
    let revoke = async |token: &str| {
        let request = story.post("/oauth2/revoke", &[("token", token), ("client_id", "vestibule"), ("client_secret", "development-only")]);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let (status, body) = revoke(tokens["access_token"].as_str().unwrap()).await;
    assert!(status == StatusCode::BAD_REQUEST && body.contains("unsupported_token_type"), "{body}");
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(revoke(refresh_token).await, (StatusCode::OK, String::new()));
    assert_eq!(revoke(refresh_token).await.0, StatusCode::OK);
    assert_eq!(story.refresh(refresh_token).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_wrong_password_keeps_the_name_and_does_not_tell_who_exists() {
    let story = Story::begin(Settings::default()).await;
    let mut pages = Vec::new();
    for username in ["alice", "carol<b>"] {
        let answer = story.submit(&query(""), username, "wrong").await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let page = answer.text().await.unwrap();
        assert!(page.contains("do not go together") && !page.contains("carol<b>"));
        let notice = page.split("role=\"alert\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        pages.push((notice, page.contains("value=\"alice\"") || page.contains("value=\"carol&lt;b&gt;\"")));
    }
    assert!(pages[0].1 && pages[0] == pages[1], "{pages:?}");
}

#[tokio::test]
async fn a_form_from_another_site_signs_nobody_in() {
    let story = Story::begin(Settings::default()).await;
    let path = format!("/login?{}", query(""));
    let token = "a".repeat(43);
    let form = [("_csrf", token.as_str()), ("username", "alice"), ("password", "wonderland")];
    let without_cookie = story.post(&path, &form).send().await.unwrap();
    let cookie = format!("cognito-form={token}");
    let cross_site = story.post(&path, &form).header(COOKIE, cookie).header("sec-fetch-site", "cross-site").send().await.unwrap();
    for answer in [without_cookie, cross_site] {
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(answer.headers().get_all(SET_COOKIE).iter().all(|cookie| !cookie.to_str().unwrap().starts_with("cognito=")));
    }
}

#[tokio::test]
async fn a_request_for_an_unknown_address_stays_on_a_page_of_its_own() {
    let story = Story::begin(Settings::default()).await;
    for path in ["/oauth2/authorize", "/login"] {
        let evil = "client_id=vestibule&response_type=code&redirect_uri=https%3A%2F%2Fevil.example%2F%22%3E%3Cscript%3E";
        let answer = story.get(&format!("{path}?{evil}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(answer.headers().get(LOCATION).is_none());
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("redirect_mismatch") && !page.contains("<script"), "{page}");
    }
}

#[tokio::test]
async fn signing_out_is_cognitos_and_not_openid_connects() {
    let story = Story::begin(Settings::default()).await;
    let (session, _) = story.code("").await;
    let openid = story.get("/logout?client_id=vestibule&post_logout_redirect_uri=https%3A%2F%2Flocalhost%3A8443%2F");
    let answer = openid.header(COOKIE, &session).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.text().await.unwrap().contains("Required String parameter &#x27;redirect_uri&#x27; is not present"));
    let elsewhere = story.get("/logout?client_id=vestibule&logout_uri=https%3A%2F%2Fevil.example%2F").send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::BAD_REQUEST);

    let back = story.get("/logout?client_id=vestibule&logout_uri=https%3A%2F%2Flocalhost%3A8443%2F&state=x");
    let answer = back.header(COOKIE, &session).send().await.unwrap();
    assert_eq!((answer.status(), location(&answer)), (StatusCode::FOUND, "https://localhost:8443/".to_owned()));
    assert_eq!(cookie_of(&answer, "cognito"), "cognito=");
    let again = story.get(&format!("/oauth2/authorize?{}", query(""))).header(COOKIE, &session).send().await.unwrap();
    assert!(location(&again).starts_with("/login?"), "the session is over here as well");
    let other = story.get(&format!("/logout?{}", query(""))).send().await.unwrap();
    assert_eq!(location(&other), format!("/login?{}", query("")));
}

#[tokio::test]
async fn rotated_keys_overlap_and_forgotten_ones_do_not() {
    let interval = Some(Duration::from_secs(86_400));
    let story = Story::begin(Settings { key_rotation_interval: interval, ..Settings::default() }).await;
    let (_, code) = story.code("").await;
    let (_, tokens) = story.redeem(&code).await;
    let token = tokens["id_token"].as_str().unwrap();
    let rotate = async |query: &str| story.post(&format!("/_development/rotate-keys{query}"), &[]).send().await.unwrap().status();
    assert_eq!(rotate("").await, StatusCode::OK);
    assert!(story.verified(token).await.is_some());
    story.pass(86_400);
    assert!(story.verified(token).await.is_none(), "rotated again by time");
    assert_eq!(rotate("?forget=true").await, StatusCode::OK);
    let set = story.json("/local_Vestibule/.well-known/jwks.json").await;
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    let foreign = story.post("/_development/rotate-keys", &[]).header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn discovery_is_a_user_pools() {
    let story = Story::begin(Settings::default()).await;
    let metadata = story.json("/local_Vestibule/.well-known/openid-configuration").await;
    assert_eq!(metadata["issuer"], story.issuer);
    assert_eq!(metadata["userinfo_endpoint"], format!("{}/oauth2/userInfo", story.origin));
    assert!(metadata.get("code_challenge_methods_supported").is_none());
    assert!(metadata.get("end_session_endpoint").is_some() && metadata.get("revocation_endpoint").is_some());
}

#[tokio::test]
async fn a_name_that_was_pointed_here_is_not_served() {
    let story = Story::begin(Settings::default()).await;
    for (host, status) in [("evil.example", StatusCode::MISDIRECTED_REQUEST), ("127.0.0.1:9000", StatusCode::OK)] {
        assert_eq!(story.get("/").header(HOST, host).send().await.unwrap().status(), status, "{host}");
    }
}

#[test]
fn other_machines_are_let_in_only_by_name() {
    let provider = |settings| {
        let clock: Arc<dyn Clock> = Arc::new(Hands(AtomicU64::new(0)));
        IdentityProvider::new(settings, "192.0.2.1:9000".parse().unwrap(), clock, test_entropy())
    };
    let refused = provider(Settings::default()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::Settings(SettingsError::NotLoopback { .. })));
    assert!(refused.to_string().contains("allow_any_address"));
    let allowed = provider(Settings { allow_any_address: true, ..Settings::default() }).unwrap();
    assert_eq!(allowed.issuer(), "http://192.0.2.1:9000/local_Vestibule");
}

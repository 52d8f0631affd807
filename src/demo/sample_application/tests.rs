//! The application as a gateway meets it, over a loopback listener, with a gateway's keys served beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{SampleApplication, SampleSettings};
use crate::clock::{Clock, UnixTime};
use crate::secret::test_entropy;

const NOW: u64 = 1_800_000_000;
const KID: &str = "c2f80c8b-c05c-4068-af14-17299f7896b1";
const SIGNER: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/demo/50dc6c495c0c9188";

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> UnixTime {
        UnixTime(NOW)
    }
}

struct Story {
    base: String,
    key: EcdsaKeyPair,
    fetches: Arc<AtomicUsize>,
    client: Client,
}

impl Story {
    async fn begin() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der: PublicKeyX509Der = key.public_key().as_der().unwrap();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()));
        let fetches = Arc::new(AtomicUsize::new(0));
        let counter = fetches.clone();
        let keys = Router::new().route(
            "/oauth2/keys/{kid}",
            get(async move |Path(kid): Path<String>| {
                counter.fetch_add(1, Ordering::Relaxed);
                if kid == KID { (StatusCode::OK, pem) } else { (StatusCode::NOT_FOUND, String::new()) }
            }),
        );
        let jwks_base = format!("{}/oauth2/keys/", run(keys).await).parse().unwrap();
        let settings = SampleSettings { jwks_base, root_certificate: None, signer: SIGNER.to_owned() };
        let base = run(SampleApplication::new(settings, Arc::new(Fixed)).unwrap().router()).await;
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self { base, key, fetches, client: Client::builder().no_proxy().build().unwrap() }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", URL_SAFE.encode(header.to_string()), URL_SAFE.encode(claims.to_string()));
        let signature = self.key.sign(test_entropy().source(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE.encode(signature))
    }

    async fn ask(&self, path: &str, identity: &str, data: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.base));
        let access_token = format!("opaque-start-{}-opaque-end--", "SECRET".repeat(10));
        let request = request.header("x-amzn-oidc-identity", identity).header("x-amzn-oidc-data", data);
        request.header("x-amzn-oidc-accesstoken", access_token).send().await.unwrap()
    }

    async fn reason(&self, identity: &str, data: &str) -> String {
        let answer = self.ask("/api/me", identity, data).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        body["reason"].as_str().unwrap().split(':').next().unwrap().to_owned()
    }
}

async fn run(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

fn header() -> Value {
    json!({ "typ": "JWT", "kid": KID, "alg": "ES256", "iss": "i", "client": "c", "signer": SIGNER, "exp": NOW + 120 })
}

fn claims() -> Value {
    json!({ "sub": "s-1", "given_name": "Alice<script>", "cognito:groups": ["staff"], "exp": NOW + 120, "iss": "i" })
}

#[tokio::test]
async fn a_gateways_word_is_verified_and_shown() {
    let story = Story::begin().await;
    let data = story.sign(&header(), &claims());
    assert!(data.contains('='), "padded, as AWS leaves it");
    let answer = story.ask("/", "s-1", &data).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let page = answer.text().await.unwrap();
    assert!(page.contains("Hello, Alice&lt;script&gt;") && page.contains("badge good"), "{page}");
    assert!(!page.contains("SECRETSECRET") && !page.contains(&data), "no whole token is shown");

    let me = story.ask("/api/me", "s-1", &data).await;
    let body: Value = serde_json::from_slice(&me.bytes().await.unwrap()).unwrap();
    assert_eq!((&body["verified"], &body["subject"]), (&true.into(), &"s-1".into()));
    assert!(story.ask("/optional", "s-1", &data).await.text().await.unwrap().contains("Nice to see you"));
    assert_eq!(story.fetches.load(Ordering::Relaxed), 1, "the key is kept");
}

#[tokio::test]
async fn anything_less_is_named_and_not_believed() {
    let story = Story::begin().await;
    let with = |mut value: Value, name: &str, new: Value| {
        value[name] = new;
        value
    };
    let forged = {
        let good = story.sign(&header(), &claims());
        let signature = good.rsplit_once('.').unwrap().1;
        let other = with(claims(), "sub", json!("admin"));
        format!("{}.{}.{signature}", URL_SAFE.encode(header().to_string()), URL_SAFE.encode(other.to_string()))
    };
    for (identity, data, reason) in [
        ("s-1", "not a token".to_owned(), "Token"),
        ("s-1", story.sign(&with(header(), "kid", json!("../../evil")), &claims()), "Key id"),
        ("s-1", story.sign(&with(header(), "kid", json!(KID.to_uppercase())), &claims()), "Key id"),
        ("s-1", story.sign(&with(header(), "kid", json!("00000000-0000-4000-8000-000000000000")), &claims()), "Public key"),
        ("s-1", story.sign(&with(header(), "alg", json!("none")), &claims()), "Signature"),
        ("admin", forged, "Signature"),
        ("s-1", story.sign(&with(header(), "signer", json!("arn:aws:elsewhere")), &claims()), "Signer"),
        ("s-1", story.sign(&with(header(), "exp", json!(NOW)), &claims()), "Time"),
        ("s-1", story.sign(&header(), &with(claims(), "exp", Value::Null)), "Time"),
        ("admin", story.sign(&header(), &claims()), "Identity"),
    ] {
        assert_eq!(story.reason(identity, &data).await, reason);
    }
}

#[tokio::test]
async fn without_an_identity_it_invites_and_its_api_refuses() {
    let story = Story::begin().await;
    let ask = async |path: &str| {
        let answer = story.client.get(format!("{}{path}", story.base)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert!(ask("/").await.1.contains("Nobody is signed in"));
    assert!(ask("/optional").await.1.contains("Hello, stranger"));
    assert!(ask("/public").await.1.contains("A page for everybody"));
    assert_eq!(ask("/api/me").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask("/healthz").await, (StatusCode::OK, "ok".to_owned()));
    assert_eq!(ask("/nowhere").await.0, StatusCode::NOT_FOUND);
    assert_eq!(story.fetches.load(Ordering::Relaxed), 0);
}

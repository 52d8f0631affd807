//! What a decision costs: rule, session or token, headers; next to the bare verification of a signature.
//!
//! `cargo bench --bench hot_path`. The network is left out: keys are in memory, nothing is forwarded.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{AUTHORIZATION, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use vestibule::authentication::{KeySource, ProviderClient, ProviderClientError, SessionStore};
use vestibule::clients::{MemorySessions, system_entropy};
use vestibule::clock::UnixTime;
use vestibule::config::{Connect, ProviderTls, load_bytes};
use vestibule::gateway::{Body, Exchange, Gateway, Record, handle};
use vestibule::identity_headers::SigningKey;
use vestibule::message::head::{self, DesyncMitigation, HeadLimits};
use vestibule::message::{Authority, RequestTarget, RequestView, Scheme};
use vestibule::provider::{CallError, Endpoint, Moment, Provider, ProviderAnswer, ProviderCall, ProviderMetadata};
use vestibule::session::SessionKey;
use vestibule::session::{EndedSessions, RedisServers};
use vestibule::tokens::KeySet;

const NOW: UnixTime = UnixTime(1_795_170_000);
const ISSUER: &str = "https://login.example.com";

/// An issuer in memory: an RSA key and one of P-256.
struct Issuer {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    #[expect(clippy::disallowed_methods, reason = "a benchmark has nobody above it to hand randomness down")]
    fn new() -> Arc<Self> {
        let (rsa, ec) =
            (RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
        Arc::new(Self { rsa, ec, random: SystemRandom::new() })
    }

    fn keys(&self) -> Vec<u8> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (public, point) = (self.rsa.public_key(), self.ec.public_key().as_ref());
        let rsa = json!({
            "kty": "RSA", "kid": "rsa", "alg": "RS256",
            "n": encode(public.modulus().big_endian_without_leading_zero()), "e": encode(public.exponent().big_endian_without_leading_zero()),
        });
        let ec = json!({"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "x": encode(&point[1..33]), "y": encode(&point[33..])});
        json!({"keys": [rsa, ec]}).to_string().into_bytes()
    }

    fn sign(&self, algorithm: &str, kind: &str, claims: &Value) -> String {
        let header = json!({"alg": algorithm, "kid": if algorithm == "RS256" { "rsa" } else { "ec" }, "typ": kind});
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = if algorithm == "RS256" {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(&RSA_PKCS1_SHA256, &self.random, input.as_bytes(), &mut signature).unwrap();
            signature
        } else {
            self.ec.sign(&self.random, input.as_bytes()).unwrap().as_ref().to_vec()
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// As Cognito makes them, with some groups.
    fn access_token(&self, algorithm: &str) -> String {
        let groups: Vec<String> = (0..12).map(|index| format!("a-group-of-the-company-{index}")).collect();
        self.sign(
            algorithm,
            "at+jwt",
            &json!({
                "iss": ISSUER, "sub": "8c1d3a52-4f0e-4a57-9d3b-3d5b2f6f3c11", "aud": "my-api", "client_id": "4fmvh2example", "scope": "read write",
                "iat": NOW.0, "exp": NOW.0 + 3600, "jti": "c2f80c8b-c05c-4068-af14-17299f7896b1", "username": "alice", "cognito:groups": groups,
            }),
        )
    }
}

/// The provider of the configuration: answers from memory.
struct Answers {
    issuer: Arc<Issuer>,
    keys: Arc<KeySet>,
    metadata: Arc<ProviderMetadata>,
    nonce: std::sync::Mutex<String>,
}

#[async_trait]
impl KeySource for Answers {
    fn current_keys(&self) -> Option<Arc<KeySet>> {
        Some(self.keys.clone())
    }

    async fn keys(&self) -> Result<Arc<KeySet>, ProviderClientError> {
        Ok(self.keys.clone())
    }

    async fn newer_keys(&self, known: &Arc<KeySet>) -> Result<Arc<KeySet>, ProviderClientError> {
        Ok(known.clone())
    }
}

#[async_trait]
impl ProviderClient for Answers {
    async fn metadata(&self) -> Result<Arc<ProviderMetadata>, ProviderClientError> {
        Ok(self.metadata.clone())
    }

    fn current_metadata(&self) -> Option<Arc<ProviderMetadata>> {
        Some(self.metadata.clone())
    }

    fn call_later(&self, _call: ProviderCall) {}

    async fn call(&self, call: ProviderCall) -> Result<ProviderAnswer, CallError> {
        assert!(call.endpoint == Endpoint::Token);
        let nonce = self.nonce.lock().unwrap().clone();
        let claims = json!({
            "iss": ISSUER, "sub": "alice", "aud": "gateway", "nonce": nonce, "iat": NOW.0, "exp": NOW.0 + 600,
            "email": "alice@example.com", "name": "Alice Liddell", "groups": ["staff", "admins"],
        });
        let id_token = self.issuer.sign("RS256", "JWT", &claims);
        let access_token = self.issuer.access_token("RS256");
        let body = json!({"access_token": access_token, "id_token": id_token, "token_type": "Bearer"});
        Ok(ProviderAnswer { status: 200, content_type: Some("application/json".to_owned()), body: body.to_string().into_bytes() })
    }
}

struct Made {
    issuer: Arc<Issuer>,
    client: std::cell::RefCell<Option<Arc<Answers>>>,
}

impl Connect for Made {
    fn provider(&self, provider: &Arc<Provider>, _: ProviderTls<'_>) -> Result<Arc<dyn ProviderClient>, String> {
        let answers = Arc::new(Answers {
            issuer: self.issuer.clone(),
            keys: Arc::new(KeySet::parse(&self.issuer.keys()).unwrap()),
            metadata: Arc::new(ProviderMetadata::configured(provider).unwrap()),
            nonce: std::sync::Mutex::default(),
        });
        self.client.replace(Some(answers.clone()));
        Ok(answers)
    }

    fn key_set(&self, _: &str, _: &str, _: Option<&[u8]>) -> Result<Arc<dyn KeySource>, String> {
        Err("no key set of its own".to_owned())
    }

    fn redis_sessions(&self, _: RedisServers, _: &EndedSessions) -> Result<Arc<dyn SessionStore>, String> {
        Err("no Redis".to_owned())
    }

    fn memory_sessions(&self) -> Arc<dyn SessionStore> {
        Arc::new(MemorySessions::new())
    }
}

/// A gateway on plain HTTP behind a proxy that is believed: what it decides is the same.
fn gateway(issuer: &Arc<Issuer>) -> (Arc<Gateway>, Arc<Answers>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("session.key"), SessionKey::generate(&system_entropy()).unwrap()).unwrap();
    std::fs::write(folder.path().join("signing.key"), SigningKey::generate(&system_entropy()).unwrap()).unwrap();
    let rule = |priority: u32, path: &str, actions: Value| json!({"priority": priority, "conditions": [{"path_pattern": [path]}], "actions": actions});
    let sign_in = json!({"identity_provider": "op", "scope": "openid email"});
    let mut with_tokens = sign_in.clone();
    with_tokens["bearer_tokens"] = json!({"audiences": ["my-api"], "scopes": ["read"]});
    let forward = json!({"forward": "app"});
    let configuration = json!({
        "listeners": [{
            "address": "127.0.0.1:8080", "protocol": "http", "hosts": ["app.test"], "trusted_proxies": ["127.0.0.1/32"],
            "limits": {"sign_ins_per_address": u32::MAX, "failures_per_address": u32::MAX},
            "rules": [
                rule(10, "/public/*", json!([forward])),
                rule(20, "/api/*", json!([{"authenticate": with_tokens}, forward])),
            ],
            "default_actions": [{"authenticate": sign_in}, forward],
        }],
        "identity_providers": {"op": {
            "type": "oidc", "issuer": ISSUER, "client_id": "gateway", "user_info": false,
            "authorization_endpoint": format!("{ISSUER}/a"), "token_endpoint": format!("{ISSUER}/t"), "jwks_uri": format!("{ISSUER}/k"),
        }},
        "target_groups": {"app": {"targets": ["127.0.0.1:9"]}},
        "sessions": {"keys": [{"file": "session.key"}]},
        "identity_headers": {"signing_key": {"file": "signing.key"}, "claims": {"X-Auth-Email": "email"}},
    });
    let made = Made { issuer: issuer.clone(), client: None.into() };
    let (compiled, report) = load_bytes(configuration.to_string().as_bytes(), "bench", folder.path(), &system_entropy(), NOW, &made);
    let compiled = compiled.unwrap_or_else(|| panic_with(&report.render(false)));
    let client = made.client.borrow().clone().unwrap();
    (compiled.gateway, client)
}

#[expect(clippy::panic, reason = "a benchmark fails by panicking")]
fn panic_with(report: &str) -> ! {
    panic!("{report}")
}

/// One request, decided; the headers of the answer where the gateway answers itself.
async fn decide(gateway: &Gateway, path: &str, headers: &HeaderMap) -> Option<Vec<(http::HeaderName, HeaderValue)>> {
    let (authority, target) = (Authority::parse(b"app.test").unwrap(), RequestTarget::parse(path.as_bytes()).unwrap());
    let request = RequestView {
        method: &Method::GET,
        scheme: Scheme::Https,
        port: 443,
        authority: &authority,
        target: &target,
        headers,
        client: [192, 0, 2, 1].into(),
        request_id: "c9a84ee7e87bc64b",
    };
    let mut exchange = Exchange {
        gateway,
        listener: &gateway.listeners[0],
        request: &request,
        now: NOW,
        body: Body::default(),
        record: Record::default(),
        connection: None,
        set_cookies: Vec::new(),
        keeps_form: None,
    };
    handle(&mut exchange).await.err().map(|reply| reply.headers)
}

/// Signs in by the front door, and keeps the cookies.
async fn session(gateway: &Gateway, client: &Answers) -> HeaderMap {
    let text = |headers: &[(http::HeaderName, HeaderValue)], name: http::HeaderName| -> Vec<String> {
        headers.iter().filter(|(found, _)| *found == name).map(|(_, value)| value.to_str().unwrap().to_owned()).collect()
    };
    let cookies = |set: Vec<String>| set.iter().map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect::<Vec<_>>().join("; ");
    let start = decide(gateway, "/", &HeaderMap::new()).await.unwrap();
    let location = text(&start, LOCATION).remove(0);
    let parameter =
        |wanted: &str| url::Url::parse(&location).unwrap().query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
    *client.nonce.lock().unwrap() = parameter("nonce");
    let nonce = HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&cookies(text(&start, SET_COOKIE))).unwrap())]);
    let done = decide(gateway, &format!("/oauth2/idpresponse?code=c&state={}", parameter("state")), &nonce).await.unwrap();
    let shards = cookies(text(&done, SET_COOKIE));
    assert!(shards.contains("AWSELBAuthSessionCookie-0="), "{done:?}");
    HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&shards).unwrap())])
}

fn decisions(criterion: &mut Criterion) {
    let issuer = Issuer::new();
    let (gateway, client) = gateway(&issuer);
    let runtime = Runtime::new().unwrap();
    let bearer = |token: &str| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap())]);
    let forged = {
        let token = issuer.access_token("RS256");
        let (input, _) = token.rsplit_once('.').unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode([7; 256]))
    };
    let signed_in = runtime.block_on(session(&gateway, &client));
    let cases = [
        ("rule without authentication", "/public/x", HeaderMap::new(), true),
        ("session cookie", "/page", signed_in, true),
        ("token seen: RS256", "/api/x", bearer(&issuer.access_token("RS256")), true),
        ("token seen: ES256", "/api/x", bearer(&issuer.access_token("ES256")), true),
        ("token forged: one verification that fails", "/api/x", bearer(&forged), false),
        ("token that is junk", "/api/x", bearer(&"junk.".repeat(200)), false),
        ("token without signature", "/api/x", bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."), false),
    ];
    let mut group = criterion.benchmark_group("decision");
    for (name, path, headers, passes) in &cases {
        assert_eq!(runtime.block_on(decide(&gateway, path, headers)).is_none(), *passes, "{name}");
        group.bench_function(*name, |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let begin = Instant::now();
                    for _ in 0..times {
                        black_box(decide(&gateway, path, headers).await);
                    }
                    begin.elapsed()
                })
            });
        });
    }
    group.finish();
}

/// What a browser sends, a session among it, as it is read before the parser has it.
fn heads(criterion: &mut Criterion) {
    let head = format!(
        "GET /app/page?x=1 HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.7\r\nAccept-Encoding: gzip, br\r\n\
         Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nConnection: keep-alive\r\nCookie: AWSELBAuthSessionCookie-0={}\r\n\r\n",
        "x".repeat(1200)
    );
    let limits = HeadLimits { target: 16 * 1024, bytes: 64 * 1024, fields: 128 };
    criterion.bench_function("head of a request: found and read", |bencher| {
        bencher.iter(|| {
            let length = head::length(black_box(head.as_bytes()), 0)?;
            head::read(&head.as_bytes()[..length], DesyncMitigation::Defensive, &limits).ok()
        });
    });
}

/// A token that nobody has seen, next to nothing but its signature.
fn new_tokens(criterion: &mut Criterion) {
    let issuer = Issuer::new();
    let (gateway, _) = gateway(&issuer);
    let runtime = Runtime::new().unwrap();
    let rule = gateway.listeners[0].rules.all().find(|rule| rule.bearer_tokens().is_some()).unwrap();
    let tokens = rule.bearer_tokens().unwrap();
    let entropy = system_entropy();
    let point = issuer.ec.public_key().as_ref();
    let ec = ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).unwrap();
    let rsa = ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, issuer.rsa.public_key().as_ref()).unwrap();
    let mut group = criterion.benchmark_group("new token");
    for (algorithm, key) in [("RS256", &rsa), ("ES256", &ec)] {
        let token = issuer.access_token(algorithm);
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        group.bench_function(format!("{algorithm}: aws-lc-rs alone"), |bencher| {
            bencher.iter(|| key.verify_sig(black_box(input.as_bytes()), &signature).unwrap());
        });
        group.bench_function(format!("{algorithm}: judged"), |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let begin = Instant::now();
                    for _ in 0..times {
                        let moment = Moment { entropy: &entropy, now: NOW };
                        assert!(tokens.judge(black_box(&token), moment).await.is_ok());
                    }
                    begin.elapsed()
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, heads, decisions, new_tokens);
criterion_main!(benches);

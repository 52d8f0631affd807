//! A gateway with an issuer in memory and somebody who is signed in. The network is left out.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use vestibule::authentication::{KeySource, ProviderClient, ProviderClientError, SessionStore};
use vestibule::clients::{MemorySessions, system_entropy};
use vestibule::clock::UnixTime;
use vestibule::config::{Connect, ProviderTls, load_bytes};
use vestibule::gateway::{Body, Exchange, Gateway, Record, handle};
use vestibule::identity_headers::SigningKey;
use vestibule::message::{Authority, RequestTarget, RequestView, Scheme};
use vestibule::provider::{CallError, Endpoint, Provider, ProviderAnswer, ProviderCall, ProviderMetadata};
use vestibule::session::{EndedSessions, RedisServers, SessionKey};
use vestibule::tokens::KeySet;

pub(crate) const NOW: UnixTime = UnixTime(1_795_170_000);
/// Nobody is asked there: everything that an issuer says is in memory.
const ISSUER: &str = "https://localhost:9";

/// An issuer in memory: an RSA key and one of P-256.
pub(crate) struct Issuer {
    pub(crate) rsa: RsaKeyPair,
    pub(crate) ec: EcdsaKeyPair,
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
    pub(crate) fn access_token(&self, algorithm: &str) -> String {
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

/// A gateway, and what it needs to be asked.
pub(crate) struct Scene {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) issuer: Arc<Issuer>,
    client: Arc<Answers>,
    pub(crate) folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let issuer = Issuer::new();
        let folder = tempfile::tempdir().unwrap();
        let configuration = configuration(
            folder.path(),
            &json!({"address": "127.0.0.1:8443", "protocol": "http", "hosts": ["localhost"], "trusted_proxies": ["127.0.0.1/32"]}),
        );
        let made = Made { issuer: issuer.clone(), client: None.into() };
        let (compiled, report) = load_bytes(configuration.to_string().as_bytes(), "scene", folder.path(), &system_entropy(), NOW, &made);
        let compiled = compiled.unwrap_or_else(|| panic!("{}", report.render(false)));
        let client = made.client.borrow().clone().unwrap();
        Self { gateway: compiled.gateway, issuer, client, folder }
    }

    /// One request, decided; the headers of the answer where the gateway answers itself.
    pub(crate) async fn decide(&self, path: &str, headers: &HeaderMap) -> Option<Vec<(http::HeaderName, HeaderValue)>> {
        let (authority, target) = (Authority::parse(b"localhost").unwrap(), RequestTarget::parse(path.as_bytes()).unwrap());
        let request = request(&authority, &target, headers);
        let mut exchange = Exchange {
            gateway: &self.gateway,
            listener: &self.gateway.listeners[0],
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
    pub(crate) async fn session(&self) -> HeaderMap {
        let text = |headers: &[(http::HeaderName, HeaderValue)], name: http::HeaderName| -> Vec<String> {
            headers.iter().filter(|(found, _)| *found == name).map(|(_, value)| value.to_str().unwrap().to_owned()).collect()
        };
        let cookies =
            |set: Vec<String>| set.iter().map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect::<Vec<_>>().join("; ");
        let start = self.decide("/", &HeaderMap::new()).await.unwrap();
        let location = text(&start, LOCATION).remove(0);
        let parameter =
            |wanted: &str| url::Url::parse(&location).unwrap().query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
        *self.client.nonce.lock().unwrap() = parameter("nonce");
        let nonce = HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&cookies(text(&start, SET_COOKIE))).unwrap())]);
        let done = self.decide(&format!("/oauth2/idpresponse?code=c&state={}", parameter("state")), &nonce).await.unwrap();
        let shards = cookies(text(&done, SET_COOKIE));
        assert!(shards.contains("AWSELBAuthSessionCookie-0="), "{done:?}");
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&shards).unwrap())])
    }
}

/// As it comes from a browser over TLS.
pub(crate) fn request<'a>(authority: &'a Authority, target: &'a RequestTarget, headers: &'a HeaderMap) -> RequestView<'a> {
    RequestView {
        method: &Method::GET,
        scheme: Scheme::Https,
        port: 443,
        authority,
        target,
        headers,
        client: [192, 0, 2, 1].into(),
        request_id: "c9a84ee7e87bc64b",
    }
}

/// Three rules: nobody is asked, a token will do, a session. With the keys that are in the folder, or new ones.
pub(crate) fn configuration(folder: &Path, listener: &Value) -> Value {
    let key = |name: &str, make: &dyn Fn() -> String| {
        if !folder.join(name).exists() {
            std::fs::write(folder.join(name), make()).unwrap();
        }
    };
    key("session.key", &|| SessionKey::generate(&system_entropy()).unwrap());
    key("signing.key", &|| SigningKey::generate(&system_entropy()).unwrap());
    let rule = |priority: u32, path: &str, actions: Value| json!({"priority": priority, "conditions": [{"path_pattern": [path]}], "actions": actions});
    let sign_in = json!({"identity_provider": "op", "scope": "openid email"});
    let mut with_tokens = sign_in.clone();
    with_tokens["bearer_tokens"] = json!({"audiences": ["my-api"], "scopes": ["read"]});
    let forward = json!({"forward": "app"});
    let mut configuration = json!({
        "listeners": [{
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
    for (key, value) in listener.as_object().unwrap() {
        configuration["listeners"][0][key] = value.clone();
    }
    configuration
}

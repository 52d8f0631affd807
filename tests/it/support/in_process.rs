//! A gateway in this process, with a clock that the test moves and a provider that answers from memory: for what takes days.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use vestibule::authentication::{KeySource, ProviderClient, ProviderClientError, SessionStore};
use vestibule::clients::{MemorySessions, RedisSessions, system_entropy};
use vestibule::clock::UnixTime;
use vestibule::config::{Connect, ProviderTls, load_bytes};
use vestibule::gateway::{Body, Exchange, Gateway, Record, handle, keep_form};
use vestibule::message::{Authority, RequestTarget, RequestView, Scheme};
use vestibule::provider::{CallError, Provider, ProviderAnswer, ProviderCall, ProviderMetadata};
use vestibule::session::{EndedSessions, RedisAddress, RedisLogin, RedisServers, RedisTopology};
use vestibule::tokens::KeySet;

use super::gateway::{eventually, session_key};
use super::jose::{self, Key};
use super::redis::Redis;
use super::secrets::Secrets;

const ISSUER: &str = "https://op.test";

/// Answers token requests, and counts them.
struct Script {
    key: Key,
    keys: Arc<KeySet>,
    metadata: Arc<ProviderMetadata>,
    moment: Arc<Mutex<Moment>>,
}

#[derive(Default)]
struct Moment {
    now: u64,
    nonce: String,
    lifetime: u64,
    refreshes: usize,
    is_down: bool,
}

#[async_trait]
impl KeySource for Script {
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
impl ProviderClient for Script {
    fn current_metadata(&self) -> Option<Arc<ProviderMetadata>> {
        Some(self.metadata.clone())
    }

    fn call_later(&self, _call: ProviderCall) {}

    async fn metadata(&self) -> Result<Arc<ProviderMetadata>, ProviderClientError> {
        Ok(self.metadata.clone())
    }

    async fn call(&self, call: ProviderCall) -> Result<ProviderAnswer, CallError> {
        let mut moment = self.moment.lock().unwrap();
        if moment.is_down {
            return Err(CallError::Timeout);
        }
        let refreshes = call.form.unwrap().expose().contains("grant_type=refresh_token");
        moment.refreshes += usize::from(refreshes);
        let claims = json!({
            "iss": ISSUER, "sub": "alice", "aud": "gateway", "nonce": moment.nonce, "iat": moment.now, "exp": moment.now + 600,
        });
        let id_token = jose::token(&json!({"alg": "ES256", "kid": "a"}), &claims, &self.key);
        let mut body = json!({"access_token": format!("access-{}", moment.refreshes), "id_token": id_token, "token_type": "bearer"});
        if moment.lifetime > 0 {
            body["refresh_token"] = json!(format!("refresh-{}", moment.refreshes));
            body["expires_in"] = json!(moment.lifetime);
        }
        Ok(ProviderAnswer { status: 200, content_type: Some("application/json".to_owned()), body: body.to_string().into_bytes() })
    }
}

struct Made(Arc<Mutex<Moment>>, Arc<dyn SessionStore>);

impl Connect for Made {
    fn provider(&self, provider: &Arc<Provider>, _: ProviderTls<'_>) -> Result<Arc<dyn ProviderClient>, String> {
        let key = Key::ecdsa("ES256", "a");
        let keys = KeySet::parse(json!({"keys": [key.jwk()]}).to_string().as_bytes()).unwrap();
        let metadata = Arc::new(ProviderMetadata::configured(provider).unwrap());
        Ok(Arc::new(Script { key, keys: Arc::new(keys), metadata, moment: self.0.clone() }))
    }

    fn key_set(&self, _: &str, _: &str, _: Option<&[u8]>) -> Result<Arc<dyn KeySource>, String> {
        Err("no key set of its own".to_owned())
    }

    fn redis_sessions(&self, _: RedisServers, _: &EndedSessions) -> Result<Arc<dyn SessionStore>, String> {
        Err("no Redis".to_owned())
    }

    fn memory_sessions(&self) -> Arc<dyn SessionStore> {
        self.1.clone()
    }
}

/// What a request came to.
pub(crate) struct Decided {
    /// `None`: it goes to the target.
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) sets_session: bool,
    pub(crate) retry_after: Option<String>,
    /// The page, where the gateway answers itself.
    pub(crate) page: String,
    /// The body that goes to the target in place of the one that came.
    pub(crate) resent: Option<Vec<u8>>,
    location: Option<String>,
}

/// One browser, one gateway, one clock.
pub(crate) struct InProcess {
    gateway: Arc<Gateway>,
    moment: Arc<Mutex<Moment>>,
    runtime: Runtime,
    /// Runs what never ends, so that `at` can wait for all the rest.
    _beside: Option<(Runtime, Redis)>,
    pub(crate) cookies: Vec<(String, String)>,
}

impl InProcess {
    /// At `now`, with more settings of the authenticate action.
    pub(crate) fn start(now: u64, settings: &Value) -> Self {
        Self::start_with(now, settings, "cookie", Arc::new(MemorySessions::new()))
    }

    /// With sessions in a store of the test's own.
    pub(crate) fn start_with_store(now: u64, settings: &Value, store: Arc<dyn SessionStore>) -> Self {
        Self::start_with(now, settings, "memory", store)
    }

    /// With sessions in a Redis of its own.
    pub(crate) fn start_with_redis(now: u64, settings: &Value) -> Self {
        let (redis, runtime) = (Redis::start(), Runtime::new().unwrap());
        let servers = RedisServers {
            addresses: vec![RedisAddress::Tcp { host: "127.0.0.1".to_owned(), port: redis.port }],
            tls: false,
            database: 0,
            login: RedisLogin::default(),
            topology: RedisTopology::Standalone,
            authorities: None,
            client_certificate: None,
            key_prefix: "vestibule".to_owned(),
        };
        let sessions = RedisSessions::new(servers, EndedSessions::new(), &system_entropy(), Arc::new(|_| ())).unwrap();
        runtime.block_on(async { sessions.start() });
        Self { _beside: Some((runtime, redis)), ..Self::start_with_store(now, settings, Arc::new(sessions)) }
    }

    fn start_with(now: u64, settings: &Value, kind: &str, store: Arc<dyn SessionStore>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("session.key"), session_key(&Secrets::default())).unwrap();
        super::certificates::write_signing_key(&folder.path().join("signing.key"));
        let mut authenticate = json!({"identity_provider": "op"});
        authenticate.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let configuration = json!({
            "listeners": [{
                "address": "127.0.0.1:8080", "protocol": "http", "hosts": ["app.test"], "trusted_proxies": ["127.0.0.1/32"],
                "rules": [super::gateway::rule(1, "/public*", &json!([{"forward": "app"}]))],
                "default_actions": [{"authenticate": authenticate}, {"forward": "app"}],
            }],
            "identity_providers": {"op": {
                "type": "oidc", "issuer": ISSUER, "client_id": "gateway", "user_info": false,
                "authorization_endpoint": format!("{ISSUER}/a"), "token_endpoint": format!("{ISSUER}/t"), "jwks_uri": format!("{ISSUER}/k"),
            }},
            "target_groups": {"app": {"targets": ["127.0.0.1:9"]}},
            "sessions": {"keys": [{"file": "session.key"}], "store": kind},
            "identity_headers": {"signing_key": {"file": "signing.key"}},
        });
        let moment = Arc::new(Mutex::new(Moment { now, ..Moment::default() }));
        let bytes = configuration.to_string().into_bytes();
        let (compiled, report) = load_bytes(&bytes, "test", folder.path(), &system_entropy(), UnixTime(now), &Made(moment.clone(), store));
        let gateway = compiled.unwrap_or_else(|| panic!("{}", report.render(false))).gateway;
        Self { gateway, moment, runtime: Runtime::new().unwrap(), _beside: None, cookies: Vec::new() }
    }

    /// Tokens live so long, and can be refreshed.
    pub(crate) fn refreshable(&self, lifetime: u64) {
        self.moment.lock().unwrap().lifetime = lifetime;
    }

    /// From now on the provider does not answer.
    pub(crate) fn provider_is_down(&self) {
        self.moment.lock().unwrap().is_down = true;
    }

    pub(crate) fn refreshes(&self) -> usize {
        self.moment.lock().unwrap().refreshes
    }

    /// What goes on in the background ends first: minutes do not go by while a provider answers.
    pub(crate) fn at(&self, now: u64) {
        let is_quiet = || self.runtime.metrics().num_alive_tasks() == 0;
        assert!(eventually(Duration::from_secs(30), is_quiet), "something in the background does not end");
        self.moment.lock().unwrap().now = now;
    }

    /// A navigation, with the cookies that this browser has.
    pub(crate) fn get(&mut self, path: &str) -> Decided {
        self.request(&Method::GET, path, &[], &[])
    }

    /// A form that a person sends from a page of the application's.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Decided {
        self.request(&Method::POST, path, &[(ORIGIN, "https://app.test"), (CONTENT_TYPE, "application/x-www-form-urlencoded")], body)
    }

    fn request(&mut self, method: &Method, path: &str, more: &[(HeaderName, &'static str)], body: &[u8]) -> Decided {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = HeaderMap::from_iter([(http::header::ACCEPT, HeaderValue::from_static("text/html"))]);
        headers.extend(more.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))));
        if !cookies.is_empty() {
            headers.insert(COOKIE, HeaderValue::from_str(&cookies.join("; ")).unwrap());
        }
        let now = UnixTime(self.moment.lock().unwrap().now);
        let (authority, target) = (Authority::parse(b"app.test").unwrap(), RequestTarget::parse(path.as_bytes()).unwrap());
        let request = RequestView {
            method,
            scheme: Scheme::Https,
            port: 443,
            authority: &authority,
            target: &target,
            headers: &headers,
            client: [192, 0, 2, 1].into(),
            request_id: "c9a84ee7e87bc64b",
        };
        let gateway = &self.gateway;
        let (listener, record) = (&gateway.listeners[0], Record::default());
        // As the proxy does it: a body is read for an endpoint that wants it, and for a form that is kept.
        let whole = || Body::Whole(bytes::Bytes::copy_from_slice(body));
        let read = if gateway.wants_body(listener, &request).is_some() { whole() } else { Body::Unread };
        let (connection, set_cookies) = (None, Vec::new());
        let mut exchange =
            Exchange { gateway, listener, request: &request, now, body: read, record, connection, set_cookies, keeps_form: None };
        let mut decision = self.runtime.block_on(handle(&mut exchange));
        if let (Err(_), Some(rule)) = (&decision, exchange.keeps_form) {
            exchange.body = whole();
            decision = decision.map_err(|refusal| keep_form(rule, refusal, &mut exchange));
        }
        let reason = exchange.record.error_reason;
        let (mut resent, mut page) = (None, String::new());
        let (status, answered): (_, Vec<(HeaderName, HeaderValue)>) = match decision {
            Ok(forward) => {
                resent = forward.resent.map(|form| form.body.to_vec());
                (None, forward.set_cookies.into_iter().map(|cookie| (SET_COOKIE, cookie)).collect())
            }
            Err(reply) => {
                page = String::from_utf8_lossy(&reply.body).into_owned();
                (Some(reply.status), reply.headers)
            }
        };
        let text = |wanted: HeaderName| {
            answered
                .iter()
                .filter(move |(name, _)| *name == wanted)
                .map(|(_, value)| value.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let set = text(SET_COOKIE);
        for cookie in &set {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !cookie.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        let sets_session = set.iter().any(|cookie| cookie.starts_with("AWSELBAuthSessionCookie-") && !cookie.contains("Max-Age=0"));
        Decided { status, reason, sets_session, retry_after: text(RETRY_AFTER).pop(), page, resent, location: text(LOCATION).pop() }
    }

    /// By the front door.
    pub(crate) fn sign_in(&mut self) {
        self.sign_in_at("/");
    }

    /// From a page that leads to the provider to the way back from there.
    pub(crate) fn callback(&mut self, path: &str) -> String {
        let location = self.get(path).location.unwrap();
        let parameter = |name: &str| super::client::parameter(&location, name).unwrap();
        self.moment.lock().unwrap().nonce = parameter("nonce");
        format!("/oauth2/idpresponse?code=c&state={}", parameter("state"))
    }

    pub(crate) fn sign_in_at(&mut self, path: &str) {
        let callback = self.callback(path);
        let done = self.get(&callback);
        assert_eq!((done.status, done.sets_session), (Some(302), true), "{:?}", done.reason);
    }
}

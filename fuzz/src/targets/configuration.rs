//! What an operator writes: the configuration, policies, and what another gateway's description becomes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use http::{HeaderMap, Method};
use serde_json::json;
use vestibule::authentication::{KeySource, ProviderClient, ProviderClientError, SessionStore};
use vestibule::authorization::{Expression, Facts, Failure};
use vestibule::clients::{MemorySessions, system_entropy};
use vestibule::clock::UnixTime;
use vestibule::config::{Compiled, Connect, ProviderTls, Report, Severity, load_bytes};
use vestibule::identity::Identity;
use vestibule::identity_headers::SigningKey;
use vestibule::import::{Input, alb};
use vestibule::message::{Authority, RequestTarget, RequestView, Scheme};
use vestibule::provider::{CallError, Provider, ProviderAnswer, ProviderCall, ProviderMetadata};
use vestibule::secret::Secret;
use vestibule::session::{EndedSessions, RedisServers, SessionKey};
use vestibule::tokens::KeySet;

/// A folder with the two keys that a configuration needs.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::Builder::new().prefix("vestibule-fuzz").tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    write("session.key", &SessionKey::generate(&system_entropy()).unwrap());
    write("signing.key", &SigningKey::generate(&system_entropy()).unwrap());
    folder
});

pub fn load(text: &[u8]) -> (Option<Compiled>, Report) {
    load_bytes(text, "fuzz.yaml", FOLDER.path(), &system_entropy(), UnixTime(1_800_000_000), &Nowhere)
}

pub fn configuration(data: &[u8]) {
    // No text of a stranger makes this program open a file elsewhere.
    if data.windows(2).any(|pair| matches!(pair, b".." | b"/d" | b"/p" | b"/s" | b"~/")) {
        return;
    }
    let (compiled, report) = load(data);
    let has_errors = report.faults().iter().any(|fault| fault.severity == Severity::Error);
    assert_eq!(compiled.is_none(), has_errors, "{}", report.render(false));
    let text = String::from_utf8_lossy(data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data)).into_owned();
    // YAML has a carriage return for a line end too.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let count = text.lines().count();
    for fault in report.faults() {
        assert!(!fault.message.is_empty());
        if let Some(span) = fault.span {
            assert!(span.line <= count + 1, "line {} of {count}: {}", span.line, fault.message);
        }
    }
    // Showing them neither fails nor says something else the second time.
    assert!(!report.render(true).is_empty());
    let again = load(data).1;
    assert_eq!(again.faults(), report.faults());
    if let Some(compiled) = compiled {
        assert_eq!(compiled.gateway.listeners.len(), compiled.listeners.len());
        assert!(!compiled.listeners.is_empty());
        assert!(compiled.listeners.iter().all(|listener| listener.balancers.iter().all(|network| network.prefix_len() > 0)));
    }
}

/// What is carried over is a configuration: only files that it names may be missing.
pub fn alb_import(data: &[u8]) {
    let Ok(imported) = alb(&[Input { name: "a.json", bytes: data }]) else { return };
    assert!(imported.notes.iter().all(|note| note.lines().count() <= 1), "{:?}", imported.notes);
    let report = load(imported.configuration.as_bytes()).1;
    for fault in report.faults().iter().filter(|fault| fault.severity == Severity::Error) {
        let is_missing = fault.message.contains("No such file") || fault.message.contains("there is no certificate to take");
        assert!(is_missing, "{}\n{}", report.render(false), imported.configuration);
    }
}

/// An expression, and perhaps a path in a line of its own in front of it, after a `#`.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (path, source) = match text.strip_prefix('#').and_then(|rest| rest.split_once('\n')) {
        Some((path, source)) => (path, source),
        None => ("/abc", text),
    };
    let Ok(target) = RequestTarget::parse(path.as_bytes()) else { return };
    let expression = match Expression::compile(source) {
        Ok(expression) => expression,
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults {
                assert!(fault.at <= source.chars().count() + 1 && !fault.message.is_empty(), "{fault:?} in {source:?}");
            }
            return;
        }
    };
    assert_eq!(expression.source(), source);
    let identity = identity();
    let authority = Authority::parse(b"app.test").unwrap();
    let headers = HeaderMap::from_iter([(http::header::USER_AGENT, http::HeaderValue::from_static("fuzz"))]);
    let request = RequestView {
        method: &Method::GET,
        scheme: Scheme::Https,
        port: 443,
        authority: &authority,
        target: &target,
        headers: &headers,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        request_id: "",
    };
    for identity in [Some(&identity), None] {
        let facts = Facts { identity, request: &request, now: UnixTime(1_800_000_000) };
        let answer = expression.holds(&facts);
        assert!(!matches!(answer, Err(Failure::Panic)), "{source:?} panics");
        assert_eq!(expression.holds(&facts), answer);
        // What needs no request says the same for every one.
        if let Some(constant) = expression.constant() {
            assert_eq!(answer, Ok(constant), "{source:?}");
        }
        // Twice no is yes, and both are as certain.
        if let (Ok(opposite), true) = (Expression::compile(&format!("!({source})")), target.second_reading().is_none()) {
            assert_eq!(opposite.holds(&facts).ok(), answer.as_ref().ok().map(|answer| !answer), "{source:?}");
        }
    }
}

fn identity() -> Identity {
    let claims =
        json!({"sub": "u", "t": "abc", "n": 3, "d": 1.5, "y": true, "l": ["a", "abc"], "m": {"k": "a"}, "cognito:groups": ["staff"]});
    let serde_json::Value::Object(claims) = claims else { unreachable!() };
    Identity {
        provider: "op".into(),
        issuer: "https://op.test".into(),
        client_id: "gw".into(),
        subject: "u".into(),
        display_name: "u".into(),
        claims,
        access_token: Secret::from("token"),
        id_token: Secret::from(""),
        session: None,
        expires_at: UnixTime(1_900_000_000),
    }
}

/// Connections that are never used.
struct Nowhere;

impl Connect for Nowhere {
    fn provider(&self, provider: &Arc<Provider>, _: ProviderTls<'_>) -> Result<Arc<dyn ProviderClient>, String> {
        Ok(Arc::new(Provided(ProviderMetadata::configured(provider).map(Arc::new).ok())))
    }

    fn key_set(&self, _: &str, _: &str, _: Option<&[u8]>) -> Result<Arc<dyn KeySource>, String> {
        Ok(Arc::new(Provided(None)))
    }

    fn memory_sessions(&self) -> Arc<dyn SessionStore> {
        Arc::new(MemorySessions::new())
    }

    fn redis_sessions(&self, _: RedisServers, _: &EndedSessions) -> Result<Arc<dyn SessionStore>, String> {
        Ok(Arc::new(MemorySessions::new()))
    }
}

/// A provider of which is known what the configuration says.
struct Provided(Option<Arc<ProviderMetadata>>);

fn nobody() -> CallError {
    CallError::Connection("nowhere".to_owned())
}

#[async_trait]
impl KeySource for Provided {
    fn current_keys(&self) -> Option<Arc<KeySet>> {
        None
    }

    async fn keys(&self) -> Result<Arc<KeySet>, ProviderClientError> {
        Err(nobody().into())
    }

    async fn newer_keys(&self, _: &Arc<KeySet>) -> Result<Arc<KeySet>, ProviderClientError> {
        Err(nobody().into())
    }
}

#[async_trait]
impl ProviderClient for Provided {
    async fn metadata(&self) -> Result<Arc<ProviderMetadata>, ProviderClientError> {
        self.0.clone().ok_or_else(|| nobody().into())
    }

    fn current_metadata(&self) -> Option<Arc<ProviderMetadata>> {
        self.0.clone()
    }

    async fn call(&self, _: ProviderCall) -> Result<ProviderAnswer, CallError> {
        Err(nobody())
    }

    fn call_later(&self, _: ProviderCall) {}
}

//! An OpenID Provider over TLS on localhost in which everything can be made wrong.
//!
//! It is honest until told otherwise: `set` edits its behaviour, `fault` replaces an endpoint's answers,
//! `hits` tells what it was asked. `approve` is the person who says yes, without a browser.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use serde_json::{Value, json};

use super::answer::Answer;
use super::behaviour::Behaviour;
pub(crate) use super::behaviour::put;
use super::certificates::certificates;
use super::jose;
use super::secrets::{Secrets, random};
use super::wire::{Request, Server, Wire, listen, pairs};

pub(crate) const CLIENT_ID: &str = "gateway-client";

type Fault = Box<dyn FnMut(&Hit) -> Option<Answer> + Send>;

/// A request that an endpoint got.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) endpoint: String,
    pub(crate) request: Request,
    /// Why an honest provider refused it.
    pub(crate) refusal: Option<&'static str>,
}

impl Hit {
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        let form = self.request.form();
        form.into_iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }
}

struct Authorization {
    parameters: HashMap<String, String>,
    user: String,
    used: bool,
}

/// All tokens of one login are a family, and one that comes back after it was replaced ends them all.
struct RefreshToken {
    user: String,
    family: String,
    replaced: bool,
}

#[derive(Default)]
struct Book {
    authorizations: HashMap<String, Authorization>,
    access_tokens: HashMap<String, String>,
    refresh_tokens: HashMap<String, RefreshToken>,
    /// Refresh tokens that came a second time: what a provider takes for theft.
    reuses: usize,
    hits: Vec<Hit>,
    faults: HashMap<String, Fault>,
}

struct Shared {
    issuer: String,
    client_secret: String,
    secrets: Secrets,
    behaviour: Mutex<Behaviour>,
    book: Mutex<Book>,
}

pub(crate) struct Provider {
    shared: Arc<Shared>,
    server: Server,
}

impl Provider {
    pub(crate) fn start(secrets: &Secrets) -> Self {
        Self::start_with(secrets, certificates().server())
    }

    /// With TLS of the test's choice.
    pub(crate) fn start_with(secrets: &Secrets, tls: Arc<ServerConfig>) -> Self {
        Self::start_as(secrets, tls, listen(), format!("client-secret-{}", random(18)))
    }

    /// On a port that it had before, with the secret of then.
    pub(crate) fn start_again(secrets: &Secrets, port: u16, secret: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        Self::start_as(secrets, certificates().server(), listener, secret.to_owned())
    }

    fn start_as(secrets: &Secrets, tls: Arc<ServerConfig>, listener: TcpListener, client_secret: String) -> Self {
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            issuer: format!("https://localhost:{port}"),
            client_secret,
            secrets: secrets.clone(),
            behaviour: Mutex::new(Behaviour::honest()),
            book: Mutex::default(),
        });
        secrets.add(&shared.client_secret, "client secret");
        let state = shared.clone();
        let server = Server::start(listener, Some(tls), move |wire| {
            let _ = state.serve(wire);
        });
        Self { shared, server }
    }

    /// Its port, to be used again.
    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    pub(crate) fn client_secret(&self) -> &str {
        &self.shared.client_secret
    }

    /// The configuration of this provider for a gateway.
    pub(crate) fn configuration(&self) -> Value {
        let secret = certificates().secret_file(&format!("{}.secret", self.server.port), self.client_secret());
        json!({
            "type": "oidc",
            "issuer": self.issuer(),
            "client_id": CLIENT_ID,
            "client_secret": {"file": secret},
            "ca_certificates": certificates().ca_file(),
        })
    }

    pub(crate) fn set<T>(&self, change: impl FnOnce(&mut Behaviour) -> T) -> T {
        change(&mut self.shared.behaviour.lock().unwrap())
    }

    /// Honest again; keys, metadata, codes and counts stay.
    pub(crate) fn reset(&self) {
        self.set(|behaviour| {
            let former = std::mem::replace(behaviour, Behaviour::honest());
            behaviour.key = former.key;
            behaviour.published = former.published;
            behaviour.metadata = former.metadata;
        });
        self.shared.book.lock().unwrap().faults.clear();
    }

    /// Answers every request to `endpoint` with `answer` until `reset`.
    pub(crate) fn fault(&self, endpoint: &str, answer: Answer) {
        self.fault_when(endpoint, move |_| Some(answer.clone()));
    }

    /// Lets `decide` answer; `None` is the honest answer.
    pub(crate) fn fault_when(&self, endpoint: &str, decide: impl FnMut(&Hit) -> Option<Answer> + Send + 'static) {
        let mut book = self.shared.book.lock().unwrap();
        book.faults.insert(endpoint.to_owned(), Box::new(decide));
    }

    pub(crate) fn hits(&self, endpoint: &str) -> Vec<Hit> {
        let book = self.shared.book.lock().unwrap();
        let hits = book.hits.iter();
        hits.filter(|hit| hit.endpoint == endpoint).cloned().collect()
    }

    pub(crate) fn count(&self, endpoint: &str) -> usize {
        self.hits(endpoint).len()
    }

    /// Refreshes that were asked for.
    pub(crate) fn refreshes(&self) -> usize {
        self.hits("token").iter().filter(|hit| hit.form("grant_type").as_deref() == Some("refresh_token")).count()
    }

    /// Refresh tokens that came a second time.
    pub(crate) fn reuses(&self) -> usize {
        self.shared.book.lock().unwrap().reuses
    }

    /// Ends everything that could be refreshed, as an administrator would.
    pub(crate) fn revoke_all(&self) {
        self.shared.book.lock().unwrap().refresh_tokens.clear();
    }

    /// Connections accepted, finished handshake or not.
    pub(crate) fn accepted(&self) -> usize {
        self.server.accepted()
    }

    /// The callback URL after the person of `Behaviour::user` agreed to `authorization_url`.
    pub(crate) fn approve(&self, authorization_url: &str) -> String {
        let user = self.set(|behaviour| behaviour.user.clone());
        self.shared.approve(authorization_url, &user)
    }

    /// The same by a provider that sends no `iss` along (RFC 9207 is not everybody's).
    pub(crate) fn approve_without_iss(&self, authorization_url: &str) -> String {
        let callback = self.approve(authorization_url);
        super::oracles::with_parameter(&callback, "iss", None)
    }

    pub(crate) fn approve_as(&self, authorization_url: &str, user: &str) -> String {
        self.shared.approve(authorization_url, user)
    }
}

#[expect(clippy::disallowed_methods, reason = "a provider has its own clock")]
pub(crate) fn unix_time() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(elapsed.as_secs()).unwrap()
}

impl Shared {
    fn serve(&self, mut wire: Wire) -> std::io::Result<()> {
        loop {
            wire.read_timeout(Duration::from_secs(60));
            let request = wire.request()?;
            let endpoint = match request.path() {
                "/.well-known/openid-configuration" => "discovery",
                path => path.trim_start_matches('/'),
            }
            .to_owned();
            let mut hit = Hit { endpoint, request, refusal: None };
            let fault = {
                let mut book = self.book.lock().unwrap();
                let decide = book.faults.get_mut(&hit.endpoint);
                decide.and_then(|decide| decide(&hit))
            };
            let answer = fault.unwrap_or_else(|| self.honest_answer(&mut hit));
            self.book.lock().unwrap().hits.push(hit);
            if !answer.say(&mut wire)? {
                return Ok(());
            }
        }
    }

    fn honest_answer(&self, hit: &mut Hit) -> Answer {
        match hit.endpoint.as_str() {
            "discovery" => Answer::json(200, &self.discovery()),
            "jwks" => {
                let behaviour = self.behaviour.lock().unwrap();
                let keys = behaviour.published.clone();
                Answer::json(200, &json!({"keys": keys.unwrap_or_else(|| vec![behaviour.key.jwk()])}))
            }
            "authorize" => {
                let url = format!("{}{}", self.issuer, hit.request.target);
                Answer::redirect(302, &self.approve(&url, "alice"))
            }
            "token" => match self.grant(&hit.request) {
                Ok(tokens) => Answer::json(200, &tokens).with("Cache-Control", "no-store"),
                Err((status, error, why)) => {
                    hit.refusal = Some(why);
                    Answer::json(status, &json!({"error": error, "error_description": why}))
                }
            },
            "userinfo" => {
                let header = hit.request.get("authorization").unwrap_or_default();
                let token = header.strip_prefix("Bearer ").unwrap_or_default();
                let user = self.book.lock().unwrap().access_tokens.get(token).cloned();
                let Some(user) = user else {
                    hit.refusal = Some("access token unknown");
                    return Answer::json(401, &json!({"error": "invalid_token"}));
                };
                let mut behaviour = self.behaviour.lock().unwrap();
                let mut claims = behaviour.claims_of(&user);
                if let Some(edit) = &mut behaviour.edit_user_info {
                    edit(&mut claims);
                }
                Answer::json(200, &claims)
            }
            "end_session" => {
                let query = hit.request.query();
                let back = query.iter().find(|(n, _)| n == "post_logout_redirect_uri");
                match back {
                    Some((_, uri)) => Answer::redirect(302, uri),
                    None => Answer::of(200, Some("text/html"), "signed out"),
                }
            }
            _ => Answer::json(404, &json!({"error": "not_found"})),
        }
    }

    fn discovery(&self) -> Value {
        let at = |path: &str| json!(format!("{}/{path}", self.issuer));
        let mut document = json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"),
            "userinfo_endpoint": at("userinfo"),
            "jwks_uri": at("jwks"),
            "end_session_endpoint": at("end_session"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        let behaviour = self.behaviour.lock().unwrap();
        for (name, value) in behaviour.metadata.as_object().unwrap() {
            put(&mut document, name, value.clone());
        }
        document
    }

    fn approve(&self, authorization_url: &str, user: &str) -> String {
        let (_, query) = authorization_url.split_once('?').unwrap_or_default();
        let parameters: HashMap<String, String> = pairs(query).into_iter().collect();
        let code = format!("code-{}", random(24));
        self.secrets.add(&code, "authorization code");
        let redirect_uri = parameters.get("redirect_uri").cloned().unwrap_or_default();
        let state = parameters.get("state").cloned().unwrap_or_default();
        let response = vec![("code".to_owned(), code.clone()), ("state".to_owned(), state), ("iss".to_owned(), self.issuer.clone())];
        self.book.lock().unwrap().authorizations.insert(code, Authorization { parameters, user: user.to_owned(), used: false });
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(response);
        format!("{redirect_uri}?{}", query.finish())
    }

    fn grant(&self, request: &Request) -> Result<Value, (u16, &'static str, &'static str)> {
        let form: HashMap<String, String> = request.form().into_iter().collect();
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if !self.client_is_known(request, &form) {
            return Err((401, "invalid_client", "client authentication"));
        }
        match field("grant_type") {
            "authorization_code" => {}
            "refresh_token" => return self.refresh(field("refresh_token")),
            _ => return Err((400, "unsupported_grant_type", "grant type")),
        }
        let refuse = |why| Err((400, "invalid_grant", why));
        let (user, nonce) = {
            let mut book = self.book.lock().unwrap();
            let Some(authorization) = book.authorizations.get_mut(field("code")) else {
                return refuse("code unknown");
            };
            if std::mem::replace(&mut authorization.used, true) {
                return refuse("code used");
            }
            let asked = |name: &str| authorization.parameters.get(name).cloned();
            if asked("redirect_uri").as_deref() != Some(field("redirect_uri")) {
                return refuse("redirect_uri differs");
            }
            if asked("code_challenge_method").as_deref() != Some("S256")
                || asked("code_challenge") != Some(jose::code_challenge(field("code_verifier")))
            {
                return refuse("PKCE");
            }
            (authorization.user.clone(), asked("nonce"))
        };
        self.secrets.add(field("code_verifier"), "code verifier");
        Ok(self.tokens(&user, nonce.as_deref(), &random(12)))
    }

    /// Rotates: each token works once.
    fn refresh(&self, token: &str) -> Result<Value, (u16, &'static str, &'static str)> {
        let (user, family) = {
            let mut book = self.book.lock().unwrap();
            let Some(known) = book.refresh_tokens.get_mut(token) else { return Err((400, "invalid_grant", "refresh token unknown")) };
            let (user, family) = (known.user.clone(), known.family.clone());
            if std::mem::replace(&mut known.replaced, true) {
                book.refresh_tokens.retain(|_, other| other.family != family);
                book.reuses += 1;
                return Err((400, "invalid_grant", "refresh token used twice"));
            }
            (user, family)
        };
        Ok(self.tokens(&user, None, &family))
    }

    fn client_is_known(&self, request: &Request, form: &HashMap<String, String>) -> bool {
        let basic =
            request.get("authorization").and_then(|value| value.strip_prefix("Basic ")).and_then(|encoded| STANDARD.decode(encoded).ok());
        let Some(basic) = basic else {
            return form.get("client_id").map(String::as_str) == Some(CLIENT_ID) && form.get("client_secret") == Some(&self.client_secret);
        };
        // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
        let basic = String::from_utf8_lossy(&basic).into_owned();
        let (id, secret) = basic.split_once(':').unwrap_or_default();
        let form_decoded = |text: &str| pairs(text).first().map(|(name, _)| name.clone());
        form_decoded(id).as_deref() == Some(CLIENT_ID) && form_decoded(secret).as_ref() == Some(&self.client_secret)
    }

    fn tokens(&self, user: &str, nonce: Option<&str>, family: &str) -> Value {
        let access_token = format!("access-{}", random(30));
        let refresh_token = format!("refresh-{}", random(30));
        self.secrets.add(&access_token, "access token");
        self.secrets.add(&refresh_token, "refresh token");
        let mut book = self.book.lock().unwrap();
        book.access_tokens.insert(access_token.clone(), user.to_owned());
        let known = RefreshToken { user: user.to_owned(), family: family.to_owned(), replaced: false };
        book.refresh_tokens.insert(refresh_token.clone(), known);
        drop(book);

        let mut behaviour = self.behaviour.lock().unwrap();
        let now = unix_time();
        let mut claims = behaviour.claims_of(user);
        for (name, value) in [
            ("iss", json!(self.issuer)),
            ("aud", json!(CLIENT_ID)),
            ("iat", json!(now)),
            ("exp", json!(now + 600)),
            ("auth_time", json!(now)),
            ("nonce", json!(nonce)),
            ("at_hash", json!(jose::at_hash(&access_token))),
        ] {
            put(&mut claims, name, value);
        }
        let key = behaviour.key.clone();
        let mut header = json!({"alg": key.algorithm, "typ": "JWT", "kid": key.kid});
        if let Some(edit) = &mut behaviour.edit_id_token {
            edit(&mut header, &mut claims);
        }
        let id_token = match &mut behaviour.make_id_token {
            Some(make) => make(&header, &claims, &key),
            None => jose::token(&header, &claims, &key),
        };
        self.secrets.add(&id_token, "ID token");
        let mut response = json!({
            "access_token": access_token,
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": id_token,
        });
        if let Some(edit) = &mut behaviour.edit_token_response {
            edit(&mut response);
        }
        response
    }
}

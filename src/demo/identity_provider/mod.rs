//! The development identity provider: an OpenID Provider in the shape of an Amazon Cognito user pool with its domain.
//!
//! Endpoints, parameters, claims and error answers are named and formed as Cognito's are, oddities included, so that
//! what works against it works against a pool. It keeps everything in memory, speaks plain HTTP, and knows only the
//! users of its settings; it is for development and is not reachable from other machines unless asked for by name.
//!
//! It has no implicit flow, no federation, no sign-up, no hosted password change and no pool API.

mod authorization_request;
mod bounded;
mod client_authentication;
mod development;
mod discovery;
mod error;
mod grants;
mod hosted;
mod keys;
mod language;
mod parameters;
mod scope;
mod session;
mod settings;
#[cfg(test)]
mod tests;
mod token;
mod tokens;
mod user_info;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use url::Url;

pub use super::page::ThemeError;
pub use settings::{Branding, Client, Settings, SettingsError, User};

use self::grants::Grants;
use self::keys::{Pair, SigningKeys};
use self::session::Sessions;
use super::page::{Theme, with_security_headers};
use super::server;
use crate::clock::Clock;
use crate::secret::Entropy;

/// A provider that is ready to answer. Cloning shares it.
#[derive(Clone)]
pub struct IdentityProvider(Arc<Pool>);

/// Why the provider does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the signing keys could not be made")]
    Keys,
    #[error("the development identity provider cannot serve: {0}")]
    Serve(#[from] std::io::Error),
}

/// Serves until `shutdown` is done; the requests at hand have two more seconds.
pub async fn serve(
    settings: Settings,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let bound = listener.local_addr()?;
    let provider = IdentityProvider::new(settings, bound, clock, entropy)?;
    Ok(server::serve(listener, provider.router(), shutdown).await?)
}

impl IdentityProvider {
    /// `bound` is the address of the listener. Makes the signing keys, which takes some tenths of a second.
    pub fn new(settings: Settings, bound: SocketAddr, clock: Arc<dyn Clock>, entropy: Entropy) -> Result<Self, Error> {
        settings.validate()?;
        let loopback = bound.ip().is_loopback();
        if !loopback {
            if !settings.allow_any_address {
                return Err(SettingsError::NotLoopback { address: bound }.into());
            }
            tracing::warn!(address = %bound, "the development identity provider can be reached by other machines");
        }
        let origin = origin(&settings, bound)?;
        let branding = &settings.branding;
        let theme = Theme::new(branding.logo.as_deref(), &branding.primary_color, &branding.background_color);
        let keys = SigningKeys::new(Pair::generate().map_err(|_| Error::Keys)?, clock.now());
        Ok(Self(Arc::new(Pool {
            issuer: format!("{origin}/{}", settings.pool_id),
            origin,
            shows_users: settings.show_users && loopback,
            theme: theme.map_err(SettingsError::Theme)?,
            keys: RwLock::new(keys),
            rotation: tokio::sync::Mutex::new(()),
            grants: Mutex::new(Grants::new()),
            sessions: Mutex::new(Sessions::new()),
            settings,
            clock,
            entropy,
        })))
    }

    /// `http://localhost:PORT`, unless the settings name another one.
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// `{origin}/{pool_id}`, with the discovery document below it.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// What `user_pool_arn` of a `type: cognito` provider is set to; its `endpoint` is the origin.
    pub fn user_pool_arn(&self) -> String {
        self.0.user_pool_arn()
    }

    pub fn router(&self) -> Router {
        let pool = &self.0.settings.pool_id;
        Router::new()
            .route("/", get(hosted::overview))
            .route("/oauth2/authorize", get(hosted::authorize))
            .route("/login", get(hosted::login_page).post(hosted::sign_in))
            .route("/logout", get(hosted::logout))
            .route("/oauth2/token", post(token::token))
            .route("/oauth2/revoke", post(token::revoke))
            .route("/oauth2/userInfo", get(user_info::user_info).post(user_info::user_info))
            .route(&format!("/{pool}/.well-known/openid-configuration"), get(discovery::openid_configuration))
            .route(&format!("/{pool}/.well-known/jwks.json"), get(discovery::json_web_key_set))
            .route("/_development/rotate-keys", post(development::rotate_keys))
            .fallback(hosted::not_found)
            .layer(DefaultBodyLimit::max(FORM_LENGTH))
            .layer(from_fn_with_state(self.clone(), only_own_host))
            .layer(map_response(with_security_headers))
            .with_state(self.clone())
    }
}

/// Everything that the endpoints share.
struct Pool {
    settings: Settings,
    origin: String,
    issuer: String,
    shows_users: bool,
    theme: Theme,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    keys: RwLock<SigningKeys>,
    /// One rotation at a time.
    rotation: tokio::sync::Mutex<()>,
    grants: Mutex<Grants>,
    sessions: Mutex<Sessions>,
}

impl Pool {
    fn keys(&self) -> RwLockReadGuard<'_, SigningKeys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn user_pool_arn(&self) -> String {
        format!("arn:aws:cognito-idp:{}:000000000000:userpool/{}", self.settings.region, self.settings.pool_id)
    }
}

/// Refuses a request for another host: a page on the internet whose name is pointed at 127.0.0.1 (DNS rebinding) could
/// otherwise sign its visitor in here and read the tokens.
async fn only_own_host(State(IdentityProvider(pool)): State<IdentityProvider>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if pool.settings.allow_any_address || is_own_host(host, &pool.origin) {
        return next.run(request).await;
    }
    (StatusCode::MISDIRECTED_REQUEST, "This host is not served here.").into_response()
}

fn is_own_host(host: &str, origin: &str) -> bool {
    let Ok(asked) = Url::parse(&format!("http://{host}/")) else { return false };
    let own = Url::parse(origin).ok();
    asked
        .host_str()
        .is_some_and(|name| matches!(name, "localhost" | "127.0.0.1" | "[::1]") || own.as_ref().and_then(Url::host_str) == Some(name))
}

fn origin(settings: &Settings, bound: SocketAddr) -> Result<String, SettingsError> {
    let Some(origin) = &settings.origin else {
        let unreachable = bound.ip().is_loopback() || bound.ip().is_unspecified();
        return Ok(if unreachable { format!("http://localhost:{}", bound.port()) } else { format!("http://{bound}") });
    };
    let plain = Url::parse(origin)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == origin.trim_end_matches('/'));
    if plain { Ok(origin.trim_end_matches('/').to_owned()) } else { Err(SettingsError::Origin { origin: origin.clone() }) }
}

/// No form here is longer; a refresh token has 1.8 kB.
const FORM_LENGTH: usize = 64 * 1024;

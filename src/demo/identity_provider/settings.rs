//! What the development identity provider is started with: plain values, no file format.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::http::HeaderValue;
use url::Url;

use crate::demo::page::{BACKGROUND, PRIMARY, ThemeError};
use crate::secret::Secret;

/// A user pool and its domain in one.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens. Default 127.0.0.1:9000.
    pub address: SocketAddr,
    /// The scheme, host and port that browsers and clients use; the issuer is `{origin}/{pool_id}`.
    /// Default: `http://localhost:PORT` with the port that was bound.
    pub origin: Option<String>,
    /// Lets it listen where other machines can reach it. Default no: whoever reaches it can sign in as anyone, since
    /// its users are samples and their passwords are known.
    pub allow_any_address: bool,
    /// The region in front of the pool's id. Default `local`.
    pub region: String,
    /// `{region}_{letters and digits}`, as `eu-west-1_AbCdEf123`. Default `local_Vestibule`.
    pub pool_id: String,
    pub branding: Branding,
    pub clients: Vec<Client>,
    pub users: Vec<User>,
    /// Lists the users and their passwords on the sign-in page. Default yes; never done on an address that is not loopback.
    pub show_users: bool,
    /// Of access and ID tokens. Default 1 h.
    pub token_validity: Duration,
    /// Counted from the sign-in; rotation does not lengthen it. Default 30 d.
    pub refresh_token_validity: Duration,
    /// Each refresh answers with a new refresh token, and the old one used again ends the grant. Default no.
    pub rotate_refresh_tokens: bool,
    /// New signing keys after this time. Default never.
    pub key_rotation_interval: Option<Duration>,
}

/// How the hosted pages look.
#[derive(Clone, Debug)]
pub struct Branding {
    pub title: String,
    /// An inline SVG or a `data:image/` URL. Default: Vestibule's own.
    pub logo: Option<String>,
    /// `#rrggbb`.
    pub primary_color: String,
    /// `#rrggbb`, used in the light scheme; the dark one is derived from the primary colour.
    pub background_color: String,
}

/// An app client.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: String,
    /// None: a public client, which names itself and proves nothing.
    pub secret: Option<Secret<String>>,
    /// What the sign-in page calls the application.
    pub name: String,
    /// Compared to the letter.
    pub redirect_uris: Vec<String>,
    /// Where `/logout` may return to, compared to the letter.
    pub logout_uris: Vec<String>,
}

/// A user of the pool.
#[derive(Clone, Debug)]
pub struct User {
    pub username: String,
    pub password: Secret<String>,
    pub email: String,
    pub email_verified: bool,
    pub given_name: String,
    pub family_name: String,
    pub groups: Vec<String>,
    /// Further attributes by name, as `name` or `custom:department`; text, as in a user pool.
    pub attributes: BTreeMap<String, String>,
}

/// Why these settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(
        "the development identity provider does not listen on {address}: its users and passwords are samples, and whoever \
         can reach it can sign in as any of them. Use 127.0.0.1 or [::1], or set allow_any_address: true"
    )]
    NotLoopback { address: SocketAddr },
    #[error("origin {origin:?} must be http:// or https://, a host and perhaps a port, and nothing after it")]
    Origin { origin: String },
    #[error("pool_id {pool_id:?} must be the region {region:?}, an underscore, and letters or digits")]
    PoolId { pool_id: String, region: String },
    #[error("two clients are called {0:?}, or one has no name")]
    ClientId(String),
    #[error("two users are called {0:?}, or one has no name")]
    Username(String),
    #[error("client {client:?}: {uri:?} must be an absolute URL in ASCII without a fragment")]
    Uri { client: String, uri: String },
    #[error("token validity must be between 5 minutes and 1 day, and no longer than the refresh token's")]
    TokenValidity,
    #[error(transparent)]
    Theme(#[from] ThemeError),
}

impl Settings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let rest = self.pool_id.strip_prefix(&self.region).and_then(|rest| rest.strip_prefix('_'));
        let region_is_plain = self.region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !region_is_plain || !rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            return Err(SettingsError::PoolId { pool_id: self.pool_id.clone(), region: self.region.clone() });
        }
        if let Some(twice) = repeated(self.clients.iter().map(|client| &client.id)) {
            return Err(SettingsError::ClientId(twice));
        }
        if let Some(twice) = repeated(self.users.iter().map(|user| &user.username)) {
            return Err(SettingsError::Username(twice));
        }
        for client in &self.clients {
            for uri in client.redirect_uris.iter().chain(&client.logout_uris) {
                let usable = Url::parse(uri).is_ok_and(|url| url.fragment().is_none());
                if !usable || !uri.is_ascii() || HeaderValue::from_str(uri).is_err() {
                    return Err(SettingsError::Uri { client: client.id.clone(), uri: uri.clone() });
                }
            }
        }
        let in_range = (Duration::from_secs(300)..=Duration::from_secs(86_400)).contains(&self.token_validity);
        if !in_range || self.refresh_token_validity < self.token_validity {
            return Err(SettingsError::TokenValidity);
        }
        Ok(())
    }

    pub(super) fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }

    pub(super) fn user(&self, username: &str) -> Option<&User> {
        self.users.iter().find(|user| user.username == username)
    }
}

fn repeated<'a>(names: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| name.is_empty() || !seen.insert(*name)).cloned()
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)),
            origin: None,
            allow_any_address: false,
            region: "local".to_owned(),
            pool_id: "local_Vestibule".to_owned(),
            branding: Branding::default(),
            clients: vec![Client::default()],
            users: sample_users(),
            show_users: true,
            token_validity: Duration::from_secs(3600),
            refresh_token_validity: Duration::from_secs(30 * 86_400),
            rotate_refresh_tokens: false,
            key_rotation_interval: None,
        }
    }
}

impl Default for Branding {
    fn default() -> Self {
        Self { title: "Vestibule".to_owned(), logo: None, primary_color: PRIMARY.to_owned(), background_color: BACKGROUND.to_owned() }
    }
}

impl Default for Client {
    fn default() -> Self {
        Self {
            id: "vestibule".to_owned(),
            secret: Some(Secret::from("development-only")),
            name: "Sample application".to_owned(),
            redirect_uris: vec!["https://localhost:8443/oauth2/idpresponse".to_owned()],
            logout_uris: vec!["https://localhost:8443/".to_owned(), "https://localhost:8443/oauth2/logout".to_owned()],
        }
    }
}

fn sample_users() -> Vec<User> {
    let user = |username: &str, password: &str, given_name: &str, family_name: &str, groups: &[&str], department: &str| User {
        username: username.to_owned(),
        password: Secret::from(password),
        email: format!("{username}@example.com"),
        email_verified: true,
        given_name: given_name.to_owned(),
        family_name: family_name.to_owned(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        attributes: BTreeMap::from([
            ("name".to_owned(), format!("{given_name} {family_name}")),
            ("custom:department".to_owned(), department.to_owned()),
        ]),
    };
    vec![
        user("alice", "wonderland", "Alice", "Liddell", &["staff", "admins"], "Looking Glass"),
        user("bob", "builder", "Bob", "Mason", &["staff"], "Works"),
    ]
}

#[cfg(test)]
mod tests {
    use super::{Settings, SettingsError};

    #[test]
    fn the_defaults_can_be_used() {
        Settings::default().validate().unwrap();
    }

    #[test]
    fn a_pool_belongs_to_its_region() {
        for pool_id in ["", "local", "local_", "other_Pool", "local_a/b", "local_a_b"] {
            let settings = Settings { pool_id: pool_id.to_owned(), ..Settings::default() };
            assert!(matches!(settings.validate(), Err(SettingsError::PoolId { .. })), "{pool_id}");
        }
    }

    #[test]
    fn a_redirect_uri_is_absolute_and_has_no_fragment() {
        for uri in ["/callback", "https://app.example.com/#x", "https://app.example.com/\r\nx: y", ""] {
            let mut settings = Settings::default();
            settings.clients[0].redirect_uris.push(uri.to_owned());
            assert!(matches!(settings.validate(), Err(SettingsError::Uri { .. })), "{uri}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let printed = format!("{:?}", Settings::default());
        assert!(!printed.contains("wonderland") && !printed.contains("development-only"), "{printed}");
    }
}

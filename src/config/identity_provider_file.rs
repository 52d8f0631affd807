//! Users, groups, clients and colours of the development identity provider.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::compile::Context;
use super::raw::identity_provider_file as raw;
use super::report::Faults;
use super::{Fault, Report, reader, text};
use crate::clock::UnixTime;
use crate::secret::Secret;

/// What the file says; `None` means the default of the development identity provider.
#[derive(Debug)]
pub struct IdentityProviderFile {
    pub address: Option<SocketAddr>,
    pub allow_any_address: bool,
    pub origin: Option<String>,
    pub region: Option<String>,
    pub pool_id: Option<String>,
    pub title: Option<String>,
    pub logo: Option<String>,
    pub primary_color: Option<String>,
    pub background_color: Option<String>,
    pub clients: Option<Vec<ClientEntry>>,
    pub users: Option<Vec<UserEntry>>,
    pub show_users: Option<bool>,
    pub token_validity: Option<Duration>,
    pub refresh_token_validity: Option<Duration>,
    pub rotate_refresh_tokens: bool,
    pub key_rotation_interval: Option<Duration>,
}

/// An app client.
#[derive(Debug)]
pub struct ClientEntry {
    pub id: String,
    pub secret: Option<Secret<String>>,
    pub name: String,
    pub redirect_uris: Vec<String>,
    pub logout_uris: Vec<String>,
}

/// A user.
#[derive(Debug)]
pub struct UserEntry {
    pub username: String,
    pub password: Secret<String>,
    pub email: String,
    pub email_verified: bool,
    pub given_name: String,
    pub family_name: String,
    pub groups: Vec<String>,
    pub attributes: BTreeMap<String, String>,
}

/// Reads the file of `vestibule identity-provider`.
pub fn load_identity_provider(path: &Path) -> (Option<IdentityProviderFile>, Report) {
    let name = path.display().to_string();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return (None, Report::of(name, Fault::error("", format!("the file cannot be read: {error}")))),
    };
    let mut faults = Faults::default();
    let text = text(&bytes, &mut faults).unwrap_or_default();
    let raw = reader::read_document::<raw::IdentityProviderFile>(&text, &mut faults);
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let file = raw.map(|raw| compile(raw, &mut Context::new(&base, &text, UnixTime::default(), &mut faults)));
    let report = Report::new(name, text.into_owned(), faults);
    (file.filter(|_| !report.has_errors()), report)
}

fn compile(raw: raw::IdentityProviderFile, context: &mut Context<'_>) -> IdentityProviderFile {
    let address = raw.address.as_ref().and_then(|at| context.address(at));
    let clients = raw.clients.map(|clients| clients.into_iter().map(|client| self::client(client, context)).collect());
    let branding = raw.branding;
    let colour = |pick: fn(&raw::Branding) -> &Option<String>| branding.as_ref().and_then(|branding| pick(branding).clone());
    IdentityProviderFile {
        address,
        allow_any_address: raw.allow_any_address.unwrap_or(false),
        origin: raw.origin.map(|at| at.value),
        region: raw.region.map(|at| at.value),
        pool_id: raw.pool_id.map(|at| at.value),
        title: colour(|branding| &branding.title),
        logo: colour(|branding| &branding.logo),
        primary_color: colour(|branding| &branding.primary_color),
        background_color: colour(|branding| &branding.background_color),
        clients,
        users: raw.users.map(|users| users.sections.into_iter().map(|(name, user)| self::user(name, user.value)).collect()),
        show_users: raw.show_users,
        token_validity: raw.token_validity.map(|validity| validity.0),
        refresh_token_validity: raw.refresh_token_validity.map(|validity| validity.0),
        rotate_refresh_tokens: raw.rotate_refresh_tokens.unwrap_or(false),
        key_rotation_interval: raw.key_rotation_interval.map(|interval| interval.0),
    }
}

fn client(raw: raw::Client, context: &mut Context<'_>) -> ClientEntry {
    ClientEntry {
        secret: raw.secret.as_ref().and_then(|secret| context.secret(secret)),
        name: raw.name.unwrap_or_else(|| raw.id.clone()),
        id: raw.id,
        redirect_uris: raw.redirect_uris,
        logout_uris: raw.logout_uris,
    }
}

fn user(username: String, raw: raw::User) -> UserEntry {
    UserEntry {
        password: Secret::new(raw.password),
        email: raw.email.unwrap_or_else(|| format!("{username}@example.com")),
        email_verified: raw.email_verified.unwrap_or(true),
        given_name: raw.given_name.unwrap_or_else(|| username.clone()),
        family_name: raw.family_name.unwrap_or_default(),
        groups: raw.groups,
        attributes: raw.attributes.sections.into_iter().map(|(name, value)| (name, value.value)).collect(),
        username,
    }
}

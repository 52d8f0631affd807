//! The development identity provider's file on top of its defaults.

use super::identity_provider::{Branding, Client, Settings, User};
use crate::config::{ClientEntry, IdentityProviderFile, UserEntry};

impl From<IdentityProviderFile> for Settings {
    fn from(file: IdentityProviderFile) -> Self {
        let default = Self::default();
        Self {
            address: file.address.unwrap_or(default.address),
            allow_any_address: file.allow_any_address,
            origin: file.origin.or(default.origin),
            region: file.region.unwrap_or(default.region),
            pool_id: file.pool_id.unwrap_or(default.pool_id),
            branding: Branding {
                title: file.title.unwrap_or(default.branding.title),
                logo: file.logo.or(default.branding.logo),
                primary_color: file.primary_color.unwrap_or(default.branding.primary_color),
                background_color: file.background_color.unwrap_or(default.branding.background_color),
            },
            clients: file.clients.map_or(default.clients, |clients| clients.into_iter().map(Client::from).collect()),
            users: file.users.map_or(default.users, |users| users.into_iter().map(User::from).collect()),
            show_users: file.show_users.unwrap_or(default.show_users),
            token_validity: file.token_validity.unwrap_or(default.token_validity),
            refresh_token_validity: file.refresh_token_validity.unwrap_or(default.refresh_token_validity),
            rotate_refresh_tokens: file.rotate_refresh_tokens,
            key_rotation_interval: file.key_rotation_interval,
        }
    }
}

impl From<ClientEntry> for Client {
    fn from(entry: ClientEntry) -> Self {
        let ClientEntry { id, secret, name, redirect_uris, logout_uris } = entry;
        Self { id, secret, name, redirect_uris, logout_uris }
    }
}

impl From<UserEntry> for User {
    fn from(entry: UserEntry) -> Self {
        let UserEntry { username, password, email, email_verified, given_name, family_name, groups, attributes } = entry;
        Self { username, password, email, email_verified, given_name, family_name, groups, attributes }
    }
}

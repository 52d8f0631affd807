//! The issuer of an `oidc` provider: one, or Entra ID's for many tenants.

use uuid::Uuid;

use super::context::Context;
use crate::config::raw::IdentityProvider;
use crate::config::reader::Located;
use crate::provider::{Issuers, TENANT};

pub(super) fn of(context: &mut Context<'_>, raw: &IdentityProvider, issuer: &Located<String>) -> Option<Issuers> {
    let tenants = tenants(context, raw)?;
    let Some(template) = template(&issuer.value, !tenants.is_empty()) else {
        if let Some(at) = raw.allowed_tenants.first() {
            context.error_hint(
                at,
                "the issuer is that of one tenant, and allowed_tenants would not count",
                "https://login.microsoftonline.com/{tenantid}/v2.0 is the issuer of many",
            );
            return None;
        }
        let issuers = Issuers::one(&issuer.value);
        return Some(if issuer.value == GOOGLE { issuers.with_alias(GOOGLE.trim_start_matches("https://")) } else { issuers });
    };
    if tenants.is_empty() {
        context.error_hint(
            issuer,
            "everybody with an account in any tenant of the world could sign in",
            "name those that may in allowed_tenants, or one tenant in the issuer",
        );
        return None;
    }
    Some(Issuers::one(&template).of_tenants(tenants))
}

fn tenants(context: &mut Context<'_>, raw: &IdentityProvider) -> Option<Vec<String>> {
    let mut tenants = Vec::new();
    let mut sound = true;
    for at in &raw.allowed_tenants {
        match Uuid::parse_str(&at.value) {
            Ok(tenant) => tenants.push(tenant.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned()),
            Err(_) => {
                context.error_hint(at, format!("{:?} is not the id of a tenant", at.value), "a GUID; a domain name is not in any token");
                sound = false;
            }
        }
    }
    sound.then_some(tenants)
}

/// The issuer as the metadata of the shared endpoints names it. `common` may be anything elsewhere than at Microsoft.
fn template(issuer: &str, has_tenants: bool) -> Option<String> {
    if issuer.contains(TENANT) {
        return Some(issuer.to_owned());
    }
    let (scheme, rest) = issuer.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let (first, rest) = path.split_once('/')?;
    let is_shared = matches!(first, "common" | "organizations") && (has_tenants || host.contains("microsoftonline"));
    is_shared.then(|| format!("{scheme}://{host}/{TENANT}/{rest}"))
}

/// Its name to the letter.
pub(super) const GOOGLE: &str = "https://accounts.google.com";

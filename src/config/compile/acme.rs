//! `acme`: whose certificate a listener asks for, for which names.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use super::certificates;
use super::context::Context;
use crate::config::raw::{Acme, AcmeChallenge as RawChallenge, Listener, Protocol};
use crate::config::reader::Located;
use crate::gateway::{AcmeChallenge, AcmeOrder, ExternalAccount};
use crate::secret::Secret;

/// `has_http`: whether any listener of the file speaks plain HTTP.
pub(super) fn compile(context: &mut Context<'_>, listener: &Listener, protocol: Protocol, has_http: bool) -> Option<AcmeOrder> {
    let at = listener.acme.as_ref()?;
    let raw = &at.value;
    if protocol == Protocol::Http {
        context.error(at, "an http listener has no certificates");
        return None;
    }
    if !raw.terms_of_service_agreed.value {
        context.error_hint(&raw.terms_of_service_agreed, "without it the authority makes no certificate", "read its terms, then: true");
    }
    let challenge = match raw.challenge.as_ref().map(|at| at.value) {
        None | Some(RawChallenge::TlsAlpn01) => AcmeChallenge::TlsAlpn01,
        Some(RawChallenge::Http01) => AcmeChallenge::Http01,
    };
    if let Some(at) = raw.challenge.as_ref().filter(|_| challenge == AcmeChallenge::Http01 && !has_http) {
        context.error_hint(at, "http-01 is answered by an http listener, and there is none", "add one on port 80, or use tls-alpn-01");
    }
    let directory_url = directory_url(context, raw);
    let domains = domains(context, listener, at);
    let contact = raw.contact.iter().filter_map(|at| contact(context, at)).collect();
    let authorities = match &raw.ca_certificates {
        Some(at) => {
            certificates::authorities(context, at)?;
            Some(context.file(at)?)
        }
        None => None,
    };
    let external_account = match &raw.external_account {
        Some(external) => {
            let hmac_key = context.secret(&external.hmac_key)?;
            let Ok(decoded) = URL_SAFE_NO_PAD.decode(hmac_key.expose().trim_end_matches('=')) else {
                context.error(&external.key_id, "hmac_key is not base64url");
                return None;
            };
            Some(ExternalAccount { key_id: external.key_id.value.clone(), hmac_key: Secret::new(decoded) })
        }
        None => None,
    };
    check_cache(context, &raw.cache);
    let cache = context.path(&raw.cache.value);
    Some(AcmeOrder { directory_url: directory_url?, contact, domains: domains?, challenge, cache, authorities, external_account })
}

fn directory_url(context: &mut Context<'_>, raw: &Acme) -> Option<String> {
    let Some(at) = &raw.directory_url else { return Some(LETS_ENCRYPT.to_owned()) };
    // Only the account key proves who is asking, and what comes back is believed: plain HTTP is out of the question (RFC 8555 §6.1).
    if Url::parse(&at.value).is_ok_and(|url| url.scheme() == "https" && url.has_host()) {
        return Some(at.value.clone());
    }
    context.error_hint(at, format!("{:?} is not the URL of an ACME directory", at.value), "it begins with https://");
    None
}

fn domains(context: &mut Context<'_>, listener: &Listener, at: &Located<Acme>) -> Option<Vec<String>> {
    let named = &at.value.domains;
    let mut domains: Vec<String> = Vec::new();
    let mut sound = true;
    let wanted = if named.is_empty() { &listener.hosts } else { named };
    for at in wanted {
        let domain = at.value.to_ascii_lowercase();
        let is_name = domain.len() <= 253 && domain.parse::<std::net::IpAddr>().is_err() && domain.split('.').all(is_label);
        if is_name {
            domains.push(domain);
        } else if !named.is_empty() {
            let hint =
                if domain.contains('*') { "wildcards need the challenge dns-01, which is not there" } else { "write app.example.com" };
            context.error_hint(at, format!("{:?} is not a name for which a certificate can be ordered", at.value), hint);
            sound = false;
        }
    }
    domains.sort_unstable();
    domains.dedup();
    if domains.is_empty() && sound {
        context.error_hint(at, "nobody says which names the certificate is for", "domains: [app.example.com], or name the hosts");
        sound = false;
    }
    sound.then_some(domains)
}

fn is_label(label: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty() && label.len() <= 63 && label.bytes().all(is_part) && !label.starts_with('-') && !label.ends_with('-')
}

fn contact(context: &mut Context<'_>, at: &Located<String>) -> Option<String> {
    let address = at.value.strip_prefix("mailto:").unwrap_or(&at.value);
    let is_address = address.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if is_address && !address.contains([' ', ',', '?']) {
        return Some(format!("mailto:{address}"));
    }
    context.error(at, format!("{:?} is not a mail address", at.value));
    None
}

/// The folder may be made later.
fn check_cache(context: &mut Context<'_>, at: &Located<String>) {
    let Ok(metadata) = std::fs::metadata(context.path(&at.value)) else { return };
    if !metadata.is_dir() {
        context.error(at, format!("{} is not a folder", at.value));
    } else if metadata.permissions().mode() & 0o077 != 0 {
        context.warn(at, format!("others on this machine may look into {}", at.value), format!("chmod 700 {}", at.value));
    }
}

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

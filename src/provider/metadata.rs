//! Provider metadata (OIDC Discovery 1.0 §3, §4.3; RFC 8414; RFC 9207 §3).

use std::sync::Arc;

use serde_json::{Map, Value};
use url::{Host, Url};

use super::Provider;
use crate::message::json;

/// Which URLs of a provider may be used at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UrlPolicy {
    /// `insecure_http: true`: plain HTTP also elsewhere than on loopback.
    pub insecure_http: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("not an absolute http(s) URL")]
    Form,
    #[error("plain http is accepted on loopback only")]
    Insecure,
    #[error("a URL of a provider has neither user info nor a fragment")]
    Parts,
}

impl UrlPolicy {
    /// `https`, or `http` on loopback; no `file:`, no user info, no fragment (threat I05).
    pub fn check(self, text: &str) -> Result<Url, UrlError> {
        let url = Url::parse(text).map_err(|_| UrlError::Form)?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(UrlError::Parts);
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.insecure_http || is_loopback(&url) => Ok(url),
            "http" => Err(UrlError::Insecure),
            _ => Err(UrlError::Form),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Endpoints, each as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    pub authorization: Option<String>,
    pub token: Option<String>,
    pub user_info: Option<String>,
    pub keys: Option<String>,
    pub end_session: Option<String>,
    pub introspection: Option<String>,
    pub pushed_authorization: Option<String>,
    pub revocation: Option<String>,
}

impl Endpoints {
    /// Nothing is missing that a login needs.
    #[must_use]
    pub fn are_complete(&self) -> bool {
        self.authorization.is_some() && self.token.is_some() && self.keys.is_some()
    }
}

/// What is known of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderMetadata {
    pub issuer: Arc<str>,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub user_info_endpoint: Option<String>,
    pub jwks_uri: String,
    pub end_session_endpoint: Option<String>,
    /// RFC 7662.
    pub introspection_endpoint: Option<String>,
    /// RFC 9126.
    pub pushed_authorization_endpoint: Option<String>,
    pub requires_pushed_requests: bool,
    /// RFC 7009.
    pub revocation_endpoint: Option<String>,
    /// The provider says that its authorization responses carry `iss` (RFC 9207 §3), so one without is refused.
    pub sends_iss: bool,
    /// `None`: it does not say. It may know others beside.
    pub acr_values_supported: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("the discovery document is not a JSON object with distinct members")]
    Form,
    #[error("the discovery document names the issuer {found:?}, not {expected:?}")]
    Issuer { found: String, expected: String },
    #[error("{member} is missing in the discovery document and in the configuration")]
    Missing { member: &'static str },
    #[error("{member}: {error}")]
    Url { member: &'static str, error: UrlError },
}

impl ProviderMetadata {
    /// From the configuration alone.
    pub fn configured(provider: &Provider) -> Result<Self, MetadataError> {
        Self::assemble(provider, provider.issuers.first().clone(), &Map::new())
    }

    /// From a discovery document, with the configuration's endpoints on top. The issuer is compared letter for letter:
    /// Auth0's ends in a slash, others' do not.
    pub fn discovered(provider: &Provider, document: &[u8]) -> Result<Self, MetadataError> {
        let document = json::object(document).map_err(|_| MetadataError::Form)?;
        let found = document.get("issuer").and_then(Value::as_str).unwrap_or_default();
        let issuer = provider.issuers.of_metadata(found).ok_or_else(|| MetadataError::Issuer {
            found: found.chars().take(200).collect(),
            expected: provider.issuers.first().to_string(),
        })?;
        Self::assemble(provider, issuer.clone(), &document)
    }

    fn assemble(provider: &Provider, issuer: Arc<str>, document: &Map<String, Value>) -> Result<Self, MetadataError> {
        // Where the certificate of a client is asked for (RFC 8705 §5).
        let aliases = document.get("mtls_endpoint_aliases").and_then(Value::as_object).filter(|_| provider.shows_certificate());
        let find = |configured: &Option<String>, member: &'static str| -> Result<Option<String>, MetadataError> {
            let alias = || aliases.and_then(|aliases| aliases.get(member)).and_then(Value::as_str);
            let found = configured.as_deref().or_else(alias).or_else(|| document.get(member).and_then(Value::as_str));
            let checked = found.map(|text| provider.urls.check(text).map(String::from)).transpose();
            checked.map_err(|error| MetadataError::Url { member, error })
        };
        let need = |configured: &Option<String>, member: &'static str| find(configured, member)?.ok_or(MetadataError::Missing { member });
        let endpoints = &provider.endpoints;
        Ok(Self {
            issuer,
            authorization_endpoint: need(&endpoints.authorization, "authorization_endpoint")?,
            token_endpoint: need(&endpoints.token, "token_endpoint")?,
            user_info_endpoint: find(&endpoints.user_info, "userinfo_endpoint")?,
            jwks_uri: need(&endpoints.keys, "jwks_uri")?,
            end_session_endpoint: find(&endpoints.end_session, "end_session_endpoint")?,
            introspection_endpoint: find(&endpoints.introspection, "introspection_endpoint")?,
            pushed_authorization_endpoint: find(&endpoints.pushed_authorization, "pushed_authorization_request_endpoint")?,
            revocation_endpoint: find(&endpoints.revocation, "revocation_endpoint")?,
            requires_pushed_requests: document.get("require_pushed_authorization_requests") == Some(&Value::Bool(true)),
            acr_values_supported: document
                .get("acr_values_supported")
                .and_then(Value::as_array)
                .map(|values| values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()),
            sends_iss: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_a_provider_are_https_or_loopback() {
        let policy = UrlPolicy::default();
        for good in ["https://login.example.com/x", "http://localhost:9000", "http://127.0.0.1:1/", "http://[::1]/", "http://op.localhost/"]
        {
            assert!(policy.check(good).is_ok(), "{good}");
        }
        for bad in [
            "http://login.example.com",
            "file:///etc/passwd",
            "https://u:p@x/",
            "https://x/#f",
            "//x",
            "x",
            "javascript:1",
            "http://169.254.169.254/",
        ] {
            assert!(policy.check(bad).is_err(), "{bad}");
        }
        assert!(UrlPolicy { insecure_http: true }.check("http://login.example.com").is_ok());
    }
}

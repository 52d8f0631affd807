//! OAuth 2.0 Protected Resource Metadata (RFC 9728): where a client that was refused learns whom to ask for a token.

use serde_json::{Value, json};

/// What is said about one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedResource {
    /// The identifier: an `https` URL without query or fragment (§1.2).
    pub resource: String,
    /// `host[:port]` of it: only under this name is the document served, and pointed to.
    pub authority: String,
    /// Its path, `/` left out where it stands alone (§3.1).
    pub path: String,
    /// Issuers.
    pub authorization_servers: Vec<String>,
    pub scopes_supported: Vec<String>,
    pub resource_name: Option<String>,
    pub resource_documentation: Option<String>,
}

/// Stands between the host and the path of the identifier (§3.1).
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

impl ProtectedResource {
    /// Where the document is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}{WELL_KNOWN}{}", self.authority, self.path)
    }

    /// Whether a request asks for it.
    #[must_use]
    pub fn is_at(&self, authority: &str, path: &str) -> bool {
        path.strip_prefix(WELL_KNOWN) == Some(self.path.as_str()) && self.authority.eq_ignore_ascii_case(authority)
    }

    #[must_use]
    pub fn document(&self) -> Value {
        let mut document = json!({
            "resource": self.resource,
            "authorization_servers": self.authorization_servers,
            "bearer_methods_supported": ["header"],
        });
        if !self.scopes_supported.is_empty() {
            document["scopes_supported"] = json!(self.scopes_supported);
        }
        if let Some(name) = &self.resource_name {
            document["resource_name"] = json!(name);
        }
        if let Some(url) = &self.resource_documentation {
            document["resource_documentation"] = json!(url);
        }
        document
    }
}

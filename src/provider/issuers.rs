//! Which issuers count for a provider (OIDC Core §3.1.3.7 rule 2, Discovery §4.3). Each is compared whole: no trimmed slash, no
//! other case, no prefix (threat T02).

use std::sync::Arc;

use serde_json::{Map, Value};

/// What stands for the tenant in the issuer of Microsoft Entra ID's shared endpoints.
pub const TENANT: &str = "{tenantid}";

/// The names that documents and tokens of one provider may bear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuers {
    first: Arc<str>,
    others: Vec<Arc<str>>,
    /// Beside the issuer of its metadata, in tokens only: Google's tokens may leave out `https://`.
    aliases: Vec<Arc<str>>,
    /// Whose tokens count where the issuer is a template. Without the list every tenant of the world could sign in.
    tenants: Vec<Arc<str>>,
}

impl Issuers {
    #[must_use]
    pub fn one(issuer: &str) -> Self {
        Self { first: issuer.into(), others: Vec::new(), aliases: Vec::new(), tenants: Vec::new() }
    }

    /// An emulator of Cognito may call itself by its own address or by AWS's.
    #[must_use]
    pub fn or(mut self, issuer: &str) -> Self {
        self.others.push(issuer.into());
        self
    }

    #[must_use]
    pub fn with_alias(mut self, issuer: &str) -> Self {
        self.aliases.push(issuer.into());
        self
    }

    /// `tenants` are GUIDs in lower case.
    #[must_use]
    pub fn of_tenants(mut self, tenants: impl IntoIterator<Item = String>) -> Self {
        self.tenants.extend(tenants.into_iter().map(Arc::from));
        self
    }

    #[must_use]
    pub fn first(&self) -> &Arc<str> {
        &self.first
    }

    /// Every issuer that a token of this provider may name.
    pub fn of_tokens(&self) -> impl Iterator<Item = String> {
        let named = std::iter::once(&self.first).chain(&self.others).filter(|issuer| !issuer.contains(TENANT)).map(ToString::to_string);
        let templates = std::iter::once(&self.first).chain(&self.others).filter(|issuer| issuer.contains(TENANT));
        let of_tenants = templates.flat_map(|issuer| self.tenants.iter().map(move |tenant| issuer.replace(TENANT, tenant)));
        named.chain(of_tenants).chain(self.aliases.iter().map(ToString::to_string))
    }

    /// Whether only its metadata tells which of them a provider calls itself.
    #[must_use]
    pub fn are_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// The issuer that metadata names, if it is one of these.
    #[must_use]
    pub fn of_metadata(&self, named: &str) -> Option<&Arc<str>> {
        std::iter::once(&self.first).chain(&self.others).find(|issuer| &***issuer == named)
    }

    /// Whether the `iss` of an authorization response may come from a provider whose metadata names `issuer` (RFC 9207 §2.4).
    #[must_use]
    pub fn of_response(&self, issuer: &str, iss: &str) -> bool {
        iss == issuer
            || self.aliases.iter().any(|alias| &**alias == iss)
            || self.tenants.iter().any(|tenant| issuer.contains(TENANT) && issuer.replace(TENANT, tenant) == iss)
    }

    /// Whether a token is some tenant's own, and that tenant is not allowed: a person with an account elsewhere, and no forgery.
    #[must_use]
    pub fn is_of_another_tenant(&self, issuer: &str, claims: &Map<String, Value>) -> bool {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let (Some(iss), Some(tenant)) = (text("iss"), text("tid")) else { return false };
        issuer.contains(TENANT) && issuer.replace(TENANT, tenant) == iss && !self.tenants.iter().any(|allowed| &**allowed == tenant)
    }

    /// The issuer of a token, if it may come from a provider whose metadata names `issuer`. Where that is a template, the token's own
    /// `tid` has to be an allowed tenant and to be the one in its `iss`; and a key that is some tenant's vouches for that tenant only.
    #[must_use]
    pub fn of_token(&self, issuer: &str, claims: &Map<String, Value>, key_issuer: Option<&str>) -> Option<Arc<str>> {
        let iss = claims.get("iss").and_then(Value::as_str)?;
        let tenant = claims.get("tid").and_then(Value::as_str);
        let sound = if issuer.contains(TENANT) {
            let tenant = tenant.filter(|tenant| self.tenants.iter().any(|allowed| &**allowed == *tenant))?;
            issuer.replace(TENANT, tenant) == iss
        } else {
            iss == issuer || self.aliases.iter().any(|alias| &**alias == iss)
        };
        let vouched = key_issuer.is_none_or(|of_key| match tenant {
            Some(tenant) => of_key.replace(TENANT, tenant) == iss,
            None => of_key == iss,
        });
        (sound && vouched).then(|| iss.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHARED: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
    const OURS: &str = "11111111-2222-3333-4444-555555555555";
    const OTHER: &str = "99999999-2222-3333-4444-555555555555";

    fn claims(iss: &str, tid: Option<&str>) -> Map<String, Value> {
        let mut claims = Map::from_iter([("iss".to_owned(), json!(iss))]);
        claims.extend(tid.map(|tid| ("tid".to_owned(), json!(tid))));
        claims
    }

    #[test]
    fn an_issuer_is_compared_whole() {
        let issuers = Issuers::one("https://tenant.auth0.com/");
        assert!(issuers.of_metadata("https://tenant.auth0.com/").is_some());
        for near in ["https://tenant.auth0.com", "https://TENANT.auth0.com/", "http://tenant.auth0.com/", "https://tenant.auth0.com//"] {
            assert!(issuers.of_metadata(near).is_none(), "{near}");
            assert!(issuers.of_token(issuers.first(), &claims(near, None), None).is_none(), "{near}");
        }
    }

    #[test]
    fn a_tenant_has_to_be_allowed_and_to_be_the_issuer() {
        let issuers = Issuers::one(SHARED).of_tenants([OURS.to_owned()]);
        let at = |tenant: &str| SHARED.replace(TENANT, tenant);
        let of = |iss: &str, tid: Option<&str>, key: Option<&str>| issuers.of_token(SHARED, &claims(iss, tid), key).is_some();
        assert!(of(&at(OURS), Some(OURS), None));
        assert!(of(&at(OURS), Some(OURS), Some(SHARED)));
        assert!(of(&at(OURS), Some(OURS), Some(&at(OURS))));
        assert_eq!(issuers.of_tokens().collect::<Vec<_>>(), [at(OURS)]);
        assert!(!of(&at(OTHER), Some(OTHER), None), "another tenant");
        assert!(!of(&at(OTHER), Some(OURS), None), "another tenant's issuer with our tenant's id");
        assert!(!of(&at(OURS), Some(OTHER), None), "our issuer with another tenant's id");
        assert!(!of(&at(OURS), None, None), "no tid");
        assert!(!of(SHARED, Some(TENANT), None), "the template itself");
        assert!(!of(&at(OURS), Some(OURS), Some(&at(OTHER))), "a key of another tenant");
        assert!(issuers.is_of_another_tenant(SHARED, &claims(&at(OTHER), Some(OTHER))));
        assert!(!issuers.is_of_another_tenant(SHARED, &claims(&at(OTHER), Some(OURS))), "a forgery");
        assert!(issuers.of_response(SHARED, &at(OURS)) && !issuers.of_response(SHARED, &at(OTHER)));
    }

    #[test]
    fn google_may_leave_out_the_scheme_in_tokens_only() {
        let issuers = Issuers::one("https://accounts.google.com").with_alias("accounts.google.com");
        assert!(issuers.of_token("https://accounts.google.com", &claims("accounts.google.com", None), None).is_some());
        assert!(issuers.of_metadata("accounts.google.com").is_none());
    }
}

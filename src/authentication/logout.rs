//! Signing out: which request may do it, where it leads, what comes back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Authenticate, Authentication, LOGIN_LIFETIME};
use crate::clock::UnixTime;
use crate::identity::Identity;
use crate::message::RequestView;
use crate::provider::{EndSessionRequest, LogoutStyle, ProviderMetadata};
use crate::session::{Purpose, SealError, Sealer};

/// Where a person may be sent after signing out: own hosts, and what `endpoints.logout_return_to` lists.
#[derive(Debug, Clone, Default)]
pub struct ReturnPlaces {
    listed: Vec<String>,
}

impl ReturnPlaces {
    /// `listed` are whole URLs; a place has to equal one of them.
    #[must_use]
    pub fn new(listed: Vec<String>) -> Self {
        Self { listed }
    }

    /// The URL to go to, judged as a browser would read it (WHATWG URL), so that `//evil`, `/\evil` and tabs between
    /// slashes are what a browser makes of them; `None` when it is not allowed.
    #[must_use]
    pub fn resolve(&self, wanted: &str, origin: &str) -> Option<String> {
        if wanted.len() > super::MAX_RETURN_BYTES {
            return None;
        }
        if self.listed.iter().any(|listed| listed == wanted) {
            return Some(wanted.to_owned());
        }
        let own = Url::parse(origin).ok()?;
        let url = own.join(wanted).ok()?;
        let at_home = url.origin() == own.origin() && url.username().is_empty() && url.password().is_none();
        (matches!(url.scheme(), "http" | "https") && at_home).then(|| url.into())
    }
}

/// What comes back from the provider after a logout, sealed into its `state`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutState {
    pub started_at: UnixTime,
    pub return_to: String,
}

impl LogoutState {
    pub fn seal(&self, sealer: &Sealer) -> Result<String, SealError> {
        let plain = postcard::to_allocvec(self).map_err(|_| SealError::NoKey)?;
        Ok(URL_SAFE_NO_PAD.encode(sealer.seal(Purpose::LoginState, &[b"logout"], &plain)?))
    }

    pub fn open(sealer: &Sealer, state: &str, now: UnixTime) -> Result<Self, SealError> {
        let sealed = URL_SAFE_NO_PAD.decode(state).map_err(|_| SealError::Refused)?;
        let plain = sealer.open(Purpose::LoginState, &[b"logout"], sealed)?;
        let state: Self = postcard::from_bytes(&plain).map_err(|_| SealError::Refused)?;
        if now >= state.started_at.plus(LOGIN_LIFETIME) { Err(SealError::Refused) } else { Ok(state) }
    }
}

impl Authentication {
    /// Whether the request is the person's own wish: from a page of ours or typed, or it knows the session. What another
    /// site makes the browser send is asked about first (logout CSRF, threat L12).
    #[must_use]
    pub fn is_wished(&self, request: &RequestView<'_>, session_hash: &str, given: Option<&str>) -> bool {
        if given.is_some_and(|given| given == session_hash) {
            return true;
        }
        match request.header("sec-fetch-site") {
            Some("same-origin") => true,
            Some("none") => *request.method == Method::GET,
            Some(_) => false,
            None => request.header("origin").or_else(|| request.header("referer")).is_some_and(|from| same_origin(from, &request.origin())),
        }
    }

    /// The provider's URL that ends its session too; `None` when it has none (Google).
    pub fn end_session_url(
        &self,
        authenticate: &Authenticate,
        metadata: &ProviderMetadata,
        identity: &Identity,
        landing: &str,
        return_to: Option<&str>,
        now: UnixTime,
    ) -> Result<Option<String>, SealError> {
        let hint = identity.id_token.expose();
        let state = return_to.map(|place| LogoutState { started_at: now, return_to: place.to_owned() }.seal(&self.sealer)).transpose()?;
        let request = EndSessionRequest {
            id_token_hint: Some(hint.as_str()).filter(|hint| !hint.is_empty()),
            // Only RP-initiated logout brings a state back; elsewhere the place itself has to be registered.
            return_to: return_to.filter(|_| authenticate.provider.logout != LogoutStyle::RpInitiated).unwrap_or(landing),
            state: state.as_deref(),
        };
        Ok(request.url(&authenticate.provider, metadata.end_session_endpoint.as_deref()))
    }
}

fn same_origin(from: &str, origin: &str) -> bool {
    match (Url::parse(from), Url::parse(origin)) {
        (Ok(from), Ok(origin)) => from.origin() == origin.origin(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_places_and_the_own_origin_are_returned_to() {
        let places = ReturnPlaces::new(vec!["https://www.example.com/bye".to_owned()]);
        let origin = "https://app.test:8443";
        assert_eq!(places.resolve("/public?x=1", origin).unwrap(), "https://app.test:8443/public?x=1");
        assert_eq!(places.resolve("https://www.example.com/bye", origin).unwrap(), "https://www.example.com/bye");
        for evil in [
            "//evil.test",
            "///evil.test",
            "////evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "/\t/evil.test",
            "/\n/evil.test",
            "https://evil.test",
            "http://app.test:8443/",
            "https://app.test/",
            "https://app.test:8443@evil.test/",
            "https://u@app.test:8443/",
            "javascript:alert(1)",
            "data:text/html,x",
            "https:evil.test",
            "https://www.example.com/bye/../evil",
            "https://www.example.com/bye?x",
            "http:evil.test",
            "https://app.test:8443.evil.test/",
            "\u{1}https://evil.test",
        ] {
            let resolved = places.resolve(evil, origin);
            assert!(resolved.as_deref().is_none_or(|url| url.starts_with("https://app.test:8443/")), "{evil:?} leads to {resolved:?}");
        }
    }
}

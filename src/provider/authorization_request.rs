//! The authorization request (OIDC Core §3.1.2.1) with PKCE (RFC 7636). Always `response_type=code` and `S256`:
//! also where a provider does not list PKCE (Cognito does not, and supports it).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// 43 characters of base64url (RFC 7636 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeVerifier(pub String);

impl CodeVerifier {
    /// BASE64URL(SHA256(ASCII(code_verifier))) (RFC 7636 §4.2).
    #[must_use]
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.0.as_bytes()))
    }
}

/// Everything that goes into the URL.
#[derive(Debug)]
pub struct AuthorizationRequest<'a> {
    pub client_id: &'a str,
    pub redirect_uri: &'a str,
    pub scope: &'a str,
    pub state: &'a str,
    pub nonce: &'a str,
    pub code_challenge: &'a str,
    /// Space-separated, the most wanted first.
    pub acr_values: Option<&'a str>,
    /// In seconds.
    pub max_age: Option<&'a str>,
    pub prompt: Option<&'a str>,
    /// From `authentication_request_extra_params`; none of our own names (the configuration sees to it). The three above win over theirs:
    /// no parameter may stand twice (RFC 6749 §3.1).
    pub extra: &'a [(String, String)],
}

impl AuthorizationRequest<'_> {
    /// Parameters of our own in ALB's order, then the extra ones. A query that the endpoint has already is kept.
    #[must_use]
    pub fn url(&self, authorization_endpoint: &str) -> String {
        let mut url = authorization_endpoint.to_owned();
        let mut separator = if url.contains('?') { '&' } else { '?' };
        for (name, value) in self.parameters() {
            url.push(separator);
            push_component(&mut url, name);
            url.push('=');
            push_component(&mut url, value);
            separator = '&';
        }
        url
    }

    /// What remains of the URL when the rest has been pushed (RFC 9126 §4).
    #[must_use]
    pub fn reference_url(authorization_endpoint: &str, client_id: &str, request_uri: &str) -> String {
        let separator = if authorization_endpoint.contains('?') { '&' } else { '?' };
        let encode = |text| utf8_percent_encode(text, COMPONENT);
        format!("{authorization_endpoint}{separator}client_id={}&request_uri={}", encode(client_id), encode(request_uri))
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = [
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect_uri),
            ("response_type", "code"),
            ("scope", self.scope),
            ("state", self.state),
            ("nonce", self.nonce),
            ("code_challenge", self.code_challenge),
            ("code_challenge_method", "S256"),
        ];
        let of_authentication = [("acr_values", self.acr_values), ("max_age", self.max_age), ("prompt", self.prompt)];
        let stands_already = move |name: &str| of_authentication.iter().any(|(own, value)| *own == name && value.is_some());
        let extra = self.extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let of_authentication = of_authentication.into_iter().filter_map(|(name, value)| Some((name, value?)));
        own.into_iter().chain(of_authentication).chain(extra.filter(move |(name, _)| !stands_already(name)))
    }
}

/// Most of it is base64url, of which nothing is escaped.
fn push_component(url: &mut String, text: &str) {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')) {
        url.push_str(text);
    } else {
        url.extend(utf8_percent_encode(text, COMPONENT));
    }
}

/// Everything but the unreserved characters of RFC 3986, so that no value can add a parameter (threat F22).
pub(super) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = CodeVerifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn no_value_can_add_a_parameter() {
        let request = AuthorizationRequest {
            client_id: "a&client_id=evil",
            redirect_uri: "https://app.test/oauth2/idpresponse",
            scope: "openid email",
            state: "s#?",
            nonce: "n",
            code_challenge: "c",
            acr_values: Some("a&b c"),
            max_age: None,
            prompt: Some("login"),
            extra: &[("prompt".to_owned(), "none".to_owned()), ("lang".to_owned(), "fr&state=x\r\n".to_owned())],
        };
        assert_eq!(
            request.url("https://op.test/authorize?tenant=1"),
            "https://op.test/authorize?tenant=1&client_id=a%26client_id%3Devil&redirect_uri=https%3A%2F%2Fapp.test%2Foauth2%2Fidpresponse\
             &response_type=code&scope=openid%20email&state=s%23%3F&nonce=n&code_challenge=c&code_challenge_method=S256&acr_values=a%26b%20c&prompt=login\
             &lang=fr%26state%3Dx%0D%0A"
        );
    }
}

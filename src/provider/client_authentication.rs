//! How the gateway proves to the token endpoint that it is the client (RFC 6749 §2.3.1, RFC 7523, RFC 8705, OIDC Core §9).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::client_assertion::{Moment, by_key, by_secret};
use super::{ClientKey, Endpoint, Provider, ProviderCall, ProviderMetadata};
use crate::secret::{EntropyError, Secret};

/// One of the methods of `token_endpoint_auth_method`.
#[derive(Debug, Clone)]
pub enum ClientAuthentication {
    ClientSecretBasic(Secret<String>),
    ClientSecretPost(Secret<String>),
    ClientSecretJwt(Secret<String>),
    PrivateKeyJwt {
        key: Arc<ClientKey>,
        /// SHA-256 of the certificate that the provider knows the key by.
        certificate: Option<[u8; 32]>,
    },
    /// The certificate is shown when the connection is made.
    TlsClientAuth,
    /// A public client; PKCE alone protects the code.
    None,
}

/// `aud` of the client's own JWTs. Providers differ in what they accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AssertionAudience {
    /// As OIDC Core §9 has it.
    #[default]
    TokenEndpoint,
    /// As the revision of RFC 7523 has it, against a provider that names another's endpoint as its own.
    Issuer,
}

impl ClientAuthentication {
    /// A POST of `form` to one of the provider's endpoints, with the client's proof.
    pub(super) fn call(
        provider: &Provider,
        metadata: &ProviderMetadata,
        (endpoint, url): (Endpoint, &str),
        mut form: Vec<(&str, String)>,
        moment: Moment<'_>,
    ) -> Result<ProviderCall, EntropyError> {
        let mut headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ];
        let audience = match provider.assertion_audience {
            AssertionAudience::TokenEndpoint => &metadata.token_endpoint,
            AssertionAudience::Issuer => &*metadata.issuer,
        };
        provider.client_authentication.apply(&provider.client_id, audience, moment, &mut headers, &mut form)?;
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        Ok(ProviderCall { endpoint, url: url.to_owned(), headers, form: Some(Secret::new(form)), is_refresh: false })
    }

    fn apply(
        &self,
        client_id: &str,
        audience: &str,
        moment: Moment<'_>,
        headers: &mut Vec<(http::HeaderName, HeaderValue)>,
        form: &mut Vec<(&str, String)>,
    ) -> Result<(), EntropyError> {
        let mut assert = |assertion: String| {
            form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()));
            form.push(("client_assertion", assertion));
        };
        match self {
            Self::ClientSecretBasic(secret) => {
                let credentials = format!("{}:{}", encode(client_id), encode(secret.expose()));
                let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(credentials)));
                headers.extend(value.ok().map(|mut value| {
                    value.set_sensitive(true);
                    (AUTHORIZATION, value)
                }));
                return Ok(());
            }
            Self::ClientSecretPost(secret) => form.push(("client_secret", secret.expose().clone())),
            Self::ClientSecretJwt(secret) => assert(by_secret(secret, client_id, audience, moment)?),
            Self::PrivateKeyJwt { key, certificate } => assert(by_key(key, certificate.as_ref(), client_id, audience, moment)?),
            Self::TlsClientAuth | Self::None => {}
        }
        // A pushed authorization request names the client among its own parameters.
        if !form.iter().any(|(name, _)| *name == "client_id") {
            form.push(("client_id", client_id.to_owned()));
        }
        Ok(())
    }
}

/// RFC 6749 asks for form encoding, but LemonLDAP::NG and Glewlwyd do not decode it: so only what must be encoded is, and
/// `-._~` are left alone. A space becomes `%20`, which every decoder understands.
fn encode(text: &str) -> impl std::fmt::Display + '_ {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
    use crate::secret::test_entropy;

    #[test]
    fn basic_encodes_only_what_it_must() {
        let (mut headers, mut form) = (Vec::new(), Vec::new());
        let entropy = test_entropy();
        let moment = Moment { entropy: &entropy, now: UnixTime(1) };
        let basic = ClientAuthentication::ClientSecretBasic(Secret::from("p%:w&+= ~-._"));
        basic.apply("we%ird:id", "https://op.test/token", moment, &mut headers, &mut form).unwrap();
        let credentials = headers[0].1.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        assert_eq!(STANDARD.decode(credentials).unwrap(), b"we%25ird%3Aid:p%25%3Aw%26%2B%3D%20~-._");
        assert!(headers[0].1.is_sensitive() && form.is_empty());
    }
}

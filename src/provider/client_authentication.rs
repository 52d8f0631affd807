//! How the gateway proves to the token endpoint that it is the client (RFC 6749 §2.3.1, OIDC Core §9).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::secret::Secret;

/// One of the methods of `token_endpoint_auth_method`.
#[derive(Debug, Clone)]
pub enum ClientAuthentication {
    ClientSecretBasic(Secret<String>),
    ClientSecretPost(Secret<String>),
    /// A public client; PKCE alone protects the code.
    None,
}

impl ClientAuthentication {
    /// Adds what the method needs to a token request.
    pub(super) fn apply(&self, client_id: &str, headers: &mut Vec<(http::HeaderName, HeaderValue)>, form: &mut Vec<(&str, String)>) {
        match self {
            Self::ClientSecretBasic(secret) => {
                let credentials = format!("{}:{}", encode(client_id), encode(secret.expose()));
                let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(credentials)));
                headers.extend(value.ok().map(|mut value| {
                    value.set_sensitive(true);
                    (AUTHORIZATION, value)
                }));
            }
            Self::ClientSecretPost(secret) => {
                form.push(("client_id", client_id.to_owned()));
                form.push(("client_secret", secret.expose().clone()));
            }
            Self::None => form.push(("client_id", client_id.to_owned())),
        }
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

    #[test]
    fn basic_encodes_only_what_it_must() {
        let (mut headers, mut form) = (Vec::new(), Vec::new());
        ClientAuthentication::ClientSecretBasic(Secret::from("p%:w&+= ~-._")).apply("we%ird:id", &mut headers, &mut form);
        let credentials = headers[0].1.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        assert_eq!(STANDARD.decode(credentials).unwrap(), b"we%25ird%3Aid:p%25%3Aw%26%2B%3D%20~-._");
        assert!(headers[0].1.is_sensitive() && form.is_empty());
    }
}

//! Ending the session at the provider: RP-Initiated Logout 1.0 §2, or Cognito's `/logout`.

use percent_encoding::utf8_percent_encode;

use super::authorization_request::COMPONENT;
use super::{LogoutStyle, Provider};

/// Where the browser is sent to sign out.
#[derive(Debug)]
pub struct EndSessionRequest<'a> {
    pub id_token_hint: Option<&'a str>,
    /// Registered with the provider.
    pub return_to: &'a str,
    pub state: Option<&'a str>,
}

impl EndSessionRequest<'_> {
    /// `None` where the provider has no such place.
    #[must_use]
    pub fn url(&self, provider: &Provider, end_session_endpoint: Option<&str>) -> Option<String> {
        let mut parameters = Vec::with_capacity(4);
        match &provider.logout {
            LogoutStyle::Template(template) => {
                let encode = |text| utf8_percent_encode(text, COMPONENT).to_string();
                return Some(template.replace("{client_id}", &encode(&provider.client_id)).replace("{return_to}", &encode(self.return_to)));
            }
            LogoutStyle::RpInitiated => {
                parameters.extend(self.id_token_hint.map(|hint| ("id_token_hint", hint)));
                parameters.push(("client_id", &*provider.client_id));
                parameters.push(("post_logout_redirect_uri", self.return_to));
                parameters.extend(self.state.map(|state| ("state", state)));
            }
            LogoutStyle::Cognito => {
                parameters.push(("client_id", &*provider.client_id));
                parameters.push(("logout_uri", self.return_to));
            }
        }
        let mut url = end_session_endpoint?.to_owned();
        let mut separator = if url.contains('?') { '&' } else { '?' };
        for (name, value) in parameters {
            url.push(separator);
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, COMPONENT));
            separator = '&';
        }
        Some(url)
    }
}

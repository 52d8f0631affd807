//! The authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1), as Cognito reads it.

use super::parameters::{Parameters, with_query};
use super::scope;
use super::settings::{Client, Settings};

/// A request that may be answered to its client.
#[derive(Debug)]
pub(super) struct AuthorizationRequest<'a> {
    pub(super) client: &'a Client,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) scopes: Vec<&'static str>,
    pub(super) nonce: Option<String>,
    pub(super) code_challenge: Option<String>,
    pub(super) prompt: Prompt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// Only if nobody is signed in.
    Unspecified,
    /// Never: no page may be shown.
    None,
    /// In any case.
    Login,
}

/// Why a request is refused, and to whom that is said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestFault {
    /// To the person. Nothing goes to an address that is not known to be the client's: the provider would be an open
    /// redirector, and codes or errors would reach strangers (RFC 6749 §4.1.2.1).
    Page(PageFault),
    /// To the client, at its redirect URI.
    Redirect(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum PageFault {
    UnknownClient(String),
    UnknownRedirectUri { client: String, redirect_uri: String },
}

impl<'a> AuthorizationRequest<'a> {
    pub(super) fn read(parameters: &Parameters, settings: &'a Settings) -> Result<Self, RequestFault> {
        let (client, redirect_uri) = destination(parameters, settings).map_err(RequestFault::Page)?;
        let state = parameters.one("state").map(str::to_owned);
        let refuse = |error, description| {
            RequestFault::Redirect(answer(redirect_uri, state.as_deref(), &[("error", error), ("error_description", description)]))
        };
        if parameters.any_repeated() {
            return Err(refuse("invalid_request", "a parameter is there twice"));
        }
        match parameters.one("response_type") {
            Some("code") => {}
            Some("token") => return Err(refuse("unauthorized_client", "the client may not use the implicit flow")),
            Some(_) => return Err(refuse("unsupported_response_type", "response_type must be code")),
            None => return Err(refuse("invalid_request", "response_type is missing")),
        }
        let code_challenge = code_challenge(parameters).map_err(|description| refuse("invalid_request", description))?;
        let nonce = parameters.one("nonce");
        if nonce.is_some_and(|nonce| nonce.len() > NONCE_LENGTH) {
            return Err(refuse("invalid_request", "nonce is too long"));
        }
        if parameters.one("identity_provider").is_some_and(|name| name != "COGNITO") {
            return Err(refuse("invalid_request", "this identity_provider is not set up; there is only COGNITO"));
        }
        let prompt = match parameters.one("prompt") {
            None | Some("consent") => Prompt::Unspecified,
            Some("none") => Prompt::None,
            Some("login" | "select_account") => Prompt::Login,
            Some(_) => return Err(refuse("invalid_request", "prompt is none, login, consent or select_account")),
        };
        let scopes =
            scope::requested(parameters.one("scope")).map_err(|()| refuse("invalid_scope", "a scope is unknown or lacks openid"))?;
        let (nonce, redirect_uri) = (nonce.map(str::to_owned), redirect_uri.to_owned());
        Ok(Self { client, redirect_uri, state, scopes, nonce, code_challenge, prompt })
    }

    /// The redirect URI with an answer.
    pub(super) fn answer(&self, parameters: &[(&str, &str)]) -> String {
        answer(&self.redirect_uri, self.state.as_deref(), parameters)
    }
}

/// The client and its redirect URI, compared to the letter (RFC 9700 §4.1.3).
fn destination<'p, 's>(parameters: &'p Parameters, settings: &'s Settings) -> Result<(&'s Client, &'p str), PageFault> {
    let id = parameters.one("client_id").filter(|_| !parameters.is_repeated("client_id")).unwrap_or_default();
    let client = settings.client(id).ok_or_else(|| PageFault::UnknownClient(id.to_owned()))?;
    let redirect_uri = parameters.one("redirect_uri").filter(|_| !parameters.is_repeated("redirect_uri")).unwrap_or_default();
    if client.redirect_uris.iter().any(|registered| registered == redirect_uri) {
        return Ok((client, redirect_uri));
    }
    Err(PageFault::UnknownRedirectUri { client: client.id.clone(), redirect_uri: redirect_uri.to_owned() })
}

/// PKCE: S256 only, and both parameters or neither.
fn code_challenge(parameters: &Parameters) -> Result<Option<String>, &'static str> {
    match (parameters.one("code_challenge"), parameters.one("code_challenge_method")) {
        (None, None) => Ok(None),
        (Some(challenge), Some("S256")) if challenge.len() == 43 => Ok(Some(challenge.to_owned())),
        (Some(_), Some("S256")) => Err("code_challenge is not a SHA-256 in base64url"),
        (Some(_), Some(_)) => Err("code_challenge_method must be S256"),
        (Some(_), None) => Err("code_challenge_method is missing"),
        (None, Some(_)) => Err("code_challenge is missing"),
    }
}

fn answer(redirect_uri: &str, state: Option<&str>, parameters: &[(&str, &str)]) -> String {
    let state = state.map(|state| ("state", state));
    with_query(redirect_uri, &parameters.iter().copied().chain(state).collect::<Vec<_>>())
}

const NONCE_LENGTH: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::{AuthorizationRequest, PageFault, Parameters, Prompt, RequestFault, Settings};

    const GOOD: &str = "client_id=vestibule&redirect_uri=https%3A%2F%2Flocalhost%3A8443%2Foauth2%2Fidpresponse&response_type=code\
                        &scope=openid+email&state=s%26t&nonce=n";

    fn read(query: &str) -> Result<(Vec<&'static str>, Prompt, String), RequestFault> {
        AuthorizationRequest::read(&Parameters::parse(query), &Settings::default())
            .map(|request| (request.scopes.clone(), request.prompt, request.answer(&[("code", "c")])))
    }

    #[test]
    fn a_good_request_is_answered_with_its_state() {
        let (scopes, prompt, answer) = read(GOOD).unwrap();
        assert_eq!((scopes, prompt), (vec!["openid", "email"], Prompt::Unspecified));
        assert_eq!(answer, "https://localhost:8443/oauth2/idpresponse?code=c&state=s%26t");
    }

    #[test]
    fn nothing_is_sent_to_an_address_that_is_not_the_clients() {
        for other in [
            "https%3A%2F%2Flocalhost%3A8443%2Foauth2%2Fidpresponse%2F",
            "https%3A%2F%2FLOCALHOST%3A8443%2Foauth2%2Fidpresponse",
            "https%3A%2F%2Flocalhost%3A8443%2Foauth2%2Fidpresponse%3Fa%3D1",
            "https%3A%2F%2Fevil.example",
            "",
        ] {
            let query = format!("client_id=vestibule&response_type=bad&redirect_uri={other}");
            assert!(matches!(read(&query), Err(RequestFault::Page(PageFault::UnknownRedirectUri { .. }))), "{other}");
        }
        let twice = format!("{GOOD}&redirect_uri=https%3A%2F%2Fevil.example");
        assert!(matches!(read(&twice), Err(RequestFault::Page(_))));
        assert!(matches!(read(&GOOD.replace("vestibule", "other")), Err(RequestFault::Page(PageFault::UnknownClient(_)))));
    }

    #[test]
    fn other_faults_go_back_to_the_client() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        for (extra, error) in [
            (format!("&code_challenge={challenge}"), "invalid_request"),
            ("&code_challenge_method=S256".to_owned(), "invalid_request"),
            (format!("&code_challenge={challenge}&code_challenge_method=plain"), "invalid_request"),
            ("&state=again".to_owned(), "invalid_request"),
            ("&identity_provider=Google".to_owned(), "invalid_request"),
            ("&prompt=perhaps".to_owned(), "invalid_request"),
        ] {
            let Err(RequestFault::Redirect(location)) = read(&format!("{GOOD}{extra}")) else { panic!("{extra}") };
            assert!(location.contains(&format!("?error={error}&")), "{extra}: {location}");
        }
        for (from, to, error) in [
            ("response_type=code", "response_type=token", "unauthorized_client"),
            ("response_type=code", "response_type=id_token", "unsupported_response_type"),
            ("response_type=code", "", "invalid_request"),
            ("scope=openid+email", "scope=email", "invalid_scope"),
        ] {
            let Err(RequestFault::Redirect(location)) = read(&GOOD.replace(from, to)) else { panic!("{to}") };
            assert!(location.contains(&format!("?error={error}&")) && location.ends_with("&state=s%26t"), "{to}: {location}");
        }
        assert!(read(&format!("{GOOD}&code_challenge={challenge}&code_challenge_method=S256")).is_ok());
    }
}

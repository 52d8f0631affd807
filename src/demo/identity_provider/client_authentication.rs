//! Client authentication at the token and revocation endpoints (RFC 6749 §2.3): Basic, in the form, or none.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::OAuthError;
use super::parameters::Parameters;
use super::settings::{Client, Settings};

/// The client that sent this request.
pub(super) fn authenticate<'a>(headers: &HeaderMap, form: &Parameters, settings: &'a Settings) -> Result<&'a Client, OAuthError> {
    let (id, secret) = match headers.get(header::AUTHORIZATION) {
        Some(authorization) => {
            if form.one("client_secret").is_some() {
                return Err(TWO_METHODS);
            }
            let (id, secret) = authorization.to_str().ok().and_then(basic).ok_or(UNREADABLE)?;
            if form.one("client_id").is_some_and(|other| other != id) {
                return Err(TWO_CLIENTS);
            }
            (id, Some(secret))
        }
        None => (form.one("client_id").ok_or(UNREADABLE)?.to_owned(), form.one("client_secret").map(str::to_owned)),
    };
    let client = settings.client(&id).ok_or(REFUSED)?;
    match (&client.secret, secret) {
        (Some(expected), Some(sent)) if same(expected.expose(), &sent) => Ok(client),
        (None, None) => Ok(client),
        _ => Err(REFUSED),
    }
}

/// Id and secret are form-encoded before they are joined (§2.3.1), which keeps a `:` or `%` in either of them apart.
fn basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

fn form_decoded(value: &str) -> Option<String> {
    let spaced = value.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Compares digests: the time taken tells neither how much was right nor how long the secret is.
pub(super) fn same(expected: &str, sent: &str) -> bool {
    let of = |text: &str| digest(&SHA256, text.as_bytes());
    verify_slices_are_equal(of(expected).as_ref(), of(sent).as_ref()).is_ok()
}

const UNREADABLE: OAuthError = OAuthError::new("invalid_client", "client credentials are missing or cannot be read");
const REFUSED: OAuthError = OAuthError::new("invalid_client", "the client is unknown or its secret is wrong");
const TWO_METHODS: OAuthError = OAuthError::new("invalid_request", "credentials came both in the header and in the form");
const TWO_CLIENTS: OAuthError = OAuthError::new("invalid_client", "header and form name two clients");

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::secret::Secret;

    fn settings() -> Settings {
        let client = |id: &str, secret: Option<&str>| Client { id: id.to_owned(), secret: secret.map(Secret::from), ..Client::default() };
        Settings { clients: vec![client("we%ird:id", Some("p%:w&+= ~")), client("public", None)], ..Settings::default() }
    }

    fn with_basic(credentials: &str) -> HeaderMap {
        let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(credentials))).unwrap();
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        let settings = settings();
        let client = authenticate(&with_basic("we%25ird%3Aid:p%25%3Aw%26%2B%3D+~"), &Parameters::default(), &settings);
        assert_eq!(client.unwrap().id, "we%ird:id");
        assert!(authenticate(&with_basic("we%25ird%3Aid:p%25%3Aw%26+%3D+~"), &Parameters::default(), &settings).is_err());
    }

    #[test]
    fn one_method_and_one_client() {
        let settings = settings();
        let headers = with_basic("we%25ird%3Aid:p%25%3Aw%26%2B%3D%20~");
        let form = |text: &str| Parameters::parse(text);
        assert_eq!(authenticate(&headers, &form("client_secret=x"), &settings).unwrap_err(), TWO_METHODS);
        assert_eq!(authenticate(&headers, &form("client_id=public"), &settings).unwrap_err(), TWO_CLIENTS);
        assert!(authenticate(&headers, &form("client_id=we%25ird%3Aid"), &settings).is_ok());
    }

    #[test]
    fn a_secret_is_required_exactly_where_there_is_one() {
        let settings = settings();
        let sent = |form: &str| authenticate(&HeaderMap::new(), &Parameters::parse(form), &settings).map(|client| client.id.clone());
        assert!(sent("client_id=public").is_ok());
        assert!(sent("client_id=we%25ird%3Aid&client_secret=p%25%3Aw%26%2B%3D+~").is_ok());
        for refused in ["client_id=public&client_secret=x", "client_id=we%25ird%3Aid", "client_id=nobody", ""] {
            assert!(sent(refused).is_err(), "{refused}");
        }
    }
}

//! The authorization response (RFC 6749 §4.1.2, RFC 9207 §2): the query of the callback, read strictly.

/// What a browser brought back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthorizationResponse {
    pub state: Option<String>,
    pub code: Option<String>,
    pub error: Option<String>,
    pub iss: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationResponseError {
    #[error("a parameter is given twice")]
    Duplicate,
    #[error("the response holds a code and an error, or tokens")]
    Mixed,
    #[error("the response holds more than {MAX_PARAMETERS} parameters")]
    TooMany,
    #[error("a parameter is not UTF-8")]
    Encoding,
}

impl AuthorizationResponse {
    /// A parameter that comes twice is refused: which one counts is what two programs disagree about (RFC 6749 §3.1).
    /// Others than ours (`session_state`, `scope`) are passed over.
    pub fn parse(query: &str) -> Result<Self, AuthorizationResponseError> {
        let mut response = Self::default();
        let mut foreign = false;
        for (count, (name, value)) in form_urlencoded::parse(query.as_bytes()).enumerate() {
            if count >= MAX_PARAMETERS {
                return Err(AuthorizationResponseError::TooMany);
            }
            let place = match &*name {
                "state" => &mut response.state,
                "code" => &mut response.code,
                "error" => &mut response.error,
                "iss" => &mut response.iss,
                "id_token" | "access_token" | "response" => {
                    foreign = true;
                    continue;
                }
                _ => continue,
            };
            if value.contains('\u{fffd}') {
                return Err(AuthorizationResponseError::Encoding);
            }
            if place.replace(value.into_owned()).is_some() {
                return Err(AuthorizationResponseError::Duplicate);
            }
        }
        if foreign || (response.code.is_some() && response.error.is_some()) {
            return Err(AuthorizationResponseError::Mixed);
        }
        for place in [&mut response.state, &mut response.code] {
            place.take_if(|value| value.is_empty());
        }
        Ok(response)
    }
}

const MAX_PARAMETERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_mixtures_and_floods_are_refused() {
        assert!(AuthorizationResponse::parse("code=a&state=b&session_state=x&scope=openid").is_ok());
        for (query, error) in [
            ("state=a&state=b&code=c", AuthorizationResponseError::Duplicate),
            ("code=a&code=a&state=b", AuthorizationResponseError::Duplicate),
            ("code=a&error=b&state=c", AuthorizationResponseError::Mixed),
            ("code=a&state=c&id_token=x", AuthorizationResponseError::Mixed),
            ("code=%ff&state=c", AuthorizationResponseError::Encoding),
        ] {
            assert_eq!(AuthorizationResponse::parse(query), Err(error), "{query}");
        }
        assert_eq!(AuthorizationResponse::parse(&"a=b&".repeat(10_000)), Err(AuthorizationResponseError::TooMany));
        assert_eq!(AuthorizationResponse::parse("&&&&"), Ok(AuthorizationResponse::default()));
        assert_eq!(AuthorizationResponse::parse("state=&code="), Ok(AuthorizationResponse::default()));
    }
}

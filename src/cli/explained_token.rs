//! What `explain` says of `jwt_validation`.

use serde_json::{Map, Value, json};

use crate::authentication::{BearerError, Credentials, JwtValidation, credentials, is_cors_preflight};
use crate::clock::UnixTime;
use crate::identity::Identity;
use crate::message::RequestView;

/// Whether a request goes on, and as whom.
pub(super) enum Outcome {
    Passes(Option<Box<Identity>>),
    /// The gateway answers; the explanation says what.
    Answered,
}

/// What `jwt_validation` makes of the claims of a token. The signature is taken for granted: there is no token here to verify.
pub(super) fn explain(
    validation: &JwtValidation,
    claims: Option<Map<String, Value>>,
    request: &RequestView<'_>,
    now: UnixTime,
    explanation: &mut Value,
) -> Result<Outcome, String> {
    let tokens = &validation.tokens;
    let mut said = json!({"issuer": &*tokens.name});
    let outcome = if validation.allow_cors_preflight && is_cors_preflight(request.method, request.headers) {
        said["because"] = "a preflight passes, bare".into();
        Outcome::Passes(None)
    } else if let Some(claims) = claims {
        let judged = tokens.policy.judge_introspected(&claims, now);
        match judged.map(|_| validation.requirements.judge(&claims, now)) {
            Ok(Err(found)) => {
                said["because"] =
                    format!("a token with the claims given is good, and its sign-in not what the rule asks for: {found}").into();
                explanation["answer"] = json!({"status": 401});
                Outcome::Answered
            }
            Ok(Ok(())) => {
                said["because"] = "a token with the claims given passes, if the issuer has signed it".into();
                let identity = tokens.identity_of_claims(claims).map_err(|error| error.to_string())?;
                Outcome::Passes(Some(Box::new(identity)))
            }
            Err(error) => {
                said["because"] = format!("a token with the claims given is refused: {error}").into();
                explanation["answer"] = json!({"status": if error == BearerError::Scope { 403 } else { 401 }});
                Outcome::Answered
            }
        }
    } else {
        said["because"] = match credentials(request.headers) {
            Credentials::Nothing | Credentials::Other => "no bearer token",
            _ => "a token is not verified here: give its claims with --claims",
        }
        .into();
        explanation["answer"] = json!({"status": 401});
        Outcome::Answered
    };
    explanation["authentication"] = said;
    Ok(outcome)
}

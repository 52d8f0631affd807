//! `jwt-validation` actions.

use super::aws;
use super::model::JwtValidation;
use crate::provider::UrlPolicy;

/// `Err`: `check` would refuse it, or nobody knows what it means.
pub(super) fn jwt_validation(raw: &aws::JwtValidation) -> Result<JwtValidation, String> {
    UrlPolicy::default().check(&raw.jwks_endpoint).map_err(|error| format!("{:?}: {error}", raw.jwks_endpoint))?;
    if raw.issuer.is_empty() || raw.issuer.len() > 256 {
        return Err(format!("jwt-validation with the issuer {:?}", raw.issuer));
    }
    if raw.additional_claims.len() > 10 {
        return Err("jwt-validation with more than 10 claims".to_owned());
    }
    let claims = raw.additional_claims.iter().map(claim).collect::<Result<_, _>>()?;
    Ok(JwtValidation { issuer: raw.issuer.clone(), jwks_endpoint: raw.jwks_endpoint.clone(), claims })
}

fn claim(raw: &aws::AdditionalClaim) -> Result<(String, &'static str, Vec<String>), String> {
    let name = &raw.name;
    let format = match raw.format.as_str() {
        "single-string" => "single_string",
        "string-array" => "string_array",
        "space-separated-values" => "space_separated_values",
        other => return Err(format!("the claim {name:?} in the form {other:?}")),
    };
    let is_sound = |value: &String| value.chars().count() <= 256 && (format != "space_separated_values" || !value.contains(' '));
    if ["exp", "iss", "nbf", "iat"].contains(&name.as_str()) || !(1..=10).contains(&raw.values.len()) || !raw.values.iter().all(is_sound) {
        return Err(format!("the claim {name:?} with its values"));
    }
    Ok((name.clone(), format, raw.values.clone()))
}

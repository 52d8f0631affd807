//! How and when a person has to have signed in for a rule: `acr_values`, `max_age`, `amr` (OIDC Core §2 and §3.1.2.1, RFC 8176,
//! RFC 9470).
//!
//! Judged at every request against what the provider has signed: that a login asked for it proves nothing, since providers may ignore
//! `max_age` and return whatever `acr` they like.

use serde_json::{Map, Value};

use super::Prompt;
use crate::clock::UnixTime;
use crate::provider::{has_come, seconds};

/// What a rule asks for. Empty: any sign-in will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthenticationRequirements {
    /// `acr` is one of these; the most wanted first.
    pub acr_values: Vec<String>,
    /// Seconds since `auth_time`.
    pub max_age: Option<u64>,
    /// `amr` holds all of these.
    pub amr: Vec<String>,
}

/// Which of them a genuine session or token does not meet. Names a claim, never its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Insufficient {
    #[error("acr is none of acr_values")]
    Acr,
    #[error("auth_time is missing, 0 or in the future, so that max_age cannot be met")]
    AuthTime,
    #[error("auth_time is longer ago than max_age")]
    MaxAge,
    #[error("amr lacks a method that the rule asks for")]
    Amr,
}

impl AuthenticationRequirements {
    /// Allocates nothing: this is asked at every request. What only a page of the provider mends is found first, because one new sign-in
    /// has to mend all.
    pub fn judge(&self, claims: &Map<String, Value>, now: UnixTime) -> Result<(), Insufficient> {
        let age = self.judge_age(claims, now);
        if age == Err(Insufficient::MaxAge) {
            return age;
        }
        if !self.amr.iter().all(|method| holds(claims.get("amr"), method)) {
            return Err(Insufficient::Amr);
        }
        age?;
        if self.acr_values.is_empty() {
            return Ok(());
        }
        let acr = claims.get("acr").and_then(Value::as_str).ok_or(Insufficient::Acr)?;
        if self.acr_values.iter().any(|wanted| wanted == acr) { Ok(()) } else { Err(Insufficient::Acr) }
    }

    fn judge_age(&self, claims: &Map<String, Value>, now: UnixTime) -> Result<(), Insufficient> {
        if self.max_age.is_none() {
            return Ok(());
        }
        // Providers that do not know when a person signed in leave it out or say 0; one from the future would never grow old.
        let is_known = seconds(claims, "auth_time").is_some_and(|time| time > 0) && has_come(claims, "auth_time", now);
        let until = self.until(claims).filter(|_| is_known).ok_or(Insufficient::AuthTime)?;
        // Without leeway: it would make a short `max_age` a much longer one.
        if until <= now { Err(Insufficient::MaxAge) } else { Ok(()) }
    }

    /// When claims that are sufficient now cease to be; `None`: never.
    #[must_use]
    pub fn until(&self, claims: &Map<String, Value>) -> Option<UnixTime> {
        Some(UnixTime(seconds(claims, "auth_time")?.saturating_add(self.max_age?)))
    }
}

/// A list; one method alone is also written as a text by some.
fn holds(amr: Option<&Value>, method: &str) -> bool {
    match amr {
        Some(Value::String(only)) => only == method,
        Some(Value::Array(methods)) => methods.iter().any(|found| found == method),
        _ => false,
    }
}

impl Insufficient {
    /// As RFC 9470 §3 puts it, for whoever can mend it. Says nothing about the person.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Acr => "A different authentication level is required",
            Self::AuthTime | Self::MaxAge => "More recent authentication is required",
            Self::Amr => "Another authentication method is required",
        }
    }

    /// What mends it. `acr_values` and `max_age` say themselves what is missing, and a provider may know how to add just that; but for
    /// `amr` there is no parameter, and one that ignores `max_age`, as Cognito does, would send the old sign-in back.
    #[must_use]
    pub fn prompt(self) -> Prompt {
        match self {
            Self::MaxAge | Self::Amr => Prompt::Login,
            Self::Acr | Self::AuthTime => Prompt::AsConfigured,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn judged(requirements: &AuthenticationRequirements, claims: &Value) -> Result<(), Insufficient> {
        requirements.judge(claims.as_object().unwrap(), UnixTime(NOW))
    }

    #[test]
    fn any_of_the_acr_values_is_enough_and_nothing_like_them() {
        let requirements = AuthenticationRequirements { acr_values: vec!["gold".into(), "silver".into()], ..Default::default() };
        for acr in ["gold", "silver"] {
            assert_eq!(judged(&requirements, &json!({"acr": acr})), Ok(()), "{acr}");
        }
        for acr in [json!("Gold"), json!("gold "), json!("gold silver"), json!(["gold"]), json!(null), json!(0), json!("")] {
            assert_eq!(judged(&requirements, &json!({"acr": acr})), Err(Insufficient::Acr), "{acr}");
        }
        assert_eq!(judged(&requirements, &json!({})), Err(Insufficient::Acr));
    }

    #[test]
    fn all_of_the_methods_have_to_be_among_amr() {
        let requirements = AuthenticationRequirements { amr: vec!["mfa".into(), "hwk".into()], ..Default::default() };
        assert_eq!(judged(&requirements, &json!({"amr": ["pwd", "hwk", "mfa"]})), Ok(()));
        for amr in [
            json!(["mfa"]),
            json!([]),
            json!("mfa hwk"),
            json!("mfa"),
            json!(["MFA", "HWK"]),
            json!([["mfa", "hwk"]]),
            json!({"mfa": 1, "hwk": 1}),
        ] {
            assert_eq!(judged(&requirements, &json!({"amr": amr})), Err(Insufficient::Amr), "{amr}");
        }
        assert_eq!(judged(&requirements, &json!({})), Err(Insufficient::Amr));
        let one = AuthenticationRequirements { amr: vec!["mfa".into()], ..Default::default() };
        assert_eq!(judged(&one, &json!({"amr": "mfa"})), Ok(()));
    }

    #[test]
    fn max_age_counts_from_an_auth_time_that_can_be_believed() {
        let requirements = AuthenticationRequirements { max_age: Some(900), ..Default::default() };
        for (auth_time, expected) in [
            (json!(NOW), Ok(())),
            (json!(NOW - 899), Ok(())),
            (json!(NOW - 900), Err(Insufficient::MaxAge)),
            (json!(1), Err(Insufficient::MaxAge)),
            (json!(NOW + 60), Ok(())),
            (json!(NOW + 61), Err(Insufficient::AuthTime)),
            (json!(u64::MAX), Err(Insufficient::AuthTime)),
            (json!(1e300), Err(Insufficient::AuthTime)),
            (json!(0), Err(Insufficient::AuthTime)),
            (json!(0.5), Err(Insufficient::AuthTime)),
            (json!(-1), Err(Insufficient::AuthTime)),
            (json!(NOW.to_string()), Err(Insufficient::AuthTime)),
            (json!(null), Err(Insufficient::AuthTime)),
        ] {
            assert_eq!(judged(&requirements, &json!({"auth_time": auth_time})), expected, "{auth_time}");
        }
        assert_eq!(judged(&requirements, &json!({"iat": NOW})), Err(Insufficient::AuthTime));
        assert_eq!(judged(&AuthenticationRequirements::default(), &json!({})), Ok(()));
    }
}

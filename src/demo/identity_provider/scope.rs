//! Scopes of a user pool, and what each lets a client see.

use serde_json::{Map, Value};
use uuid::Builder;

use aws_lc_rs::digest::{SHA256, digest};

use super::settings::User;

/// The scopes asked for, in the pool's order. Without any, all of them, as a user pool has it.
/// Err: one is unknown, or one that describes a person comes without `openid`.
pub(super) fn requested(scope: Option<&str>) -> Result<Vec<&'static str>, ()> {
    let Some(scope) = scope else { return Ok(SCOPES.to_vec()) };
    let names: Vec<&str> = scope.split(' ').filter(|name| !name.is_empty()).collect();
    if !names.iter().all(|name| SCOPES.contains(name)) {
        return Err(());
    }
    let granted: Vec<&'static str> = SCOPES.into_iter().filter(|name| names.contains(name)).collect();
    let describes = granted.iter().any(|name| matches!(*name, "email" | "phone" | "profile"));
    if describes && !granted.contains(&"openid") {
        return Err(());
    }
    Ok(granted)
}

/// A user's attributes as far as the scopes reach. `openid` alone reaches all of them, as in a user pool.
///
/// `verified` writes the two `…_verified` attributes: a user pool has booleans in the ID token and strings at user info.
pub(super) fn attributes(user: &User, scopes: &[&str], verified: fn(bool) -> Value) -> Map<String, Value> {
    let all = !scopes.iter().any(|scope| matches!(*scope, "email" | "phone" | "profile"));
    let mut attributes = Map::new();
    let mut add = |scope: &str, name: &str, value: Value| {
        if all || scopes.contains(&scope) {
            attributes.insert(name.to_owned(), value);
        }
    };
    add("email", "email", user.email.clone().into());
    add("email", "email_verified", verified(user.email_verified));
    add("profile", "given_name", user.given_name.clone().into());
    add("profile", "family_name", user.family_name.clone().into());
    for (name, value) in &user.attributes {
        match name.as_str() {
            "phone_number" => add("phone", name, value.clone().into()),
            "phone_number_verified" => add("phone", name, verified(value == "true")),
            _ if RESERVED.contains(&name.as_str()) => {}
            _ => add("profile", name, value.clone().into()),
        }
    }
    attributes
}

/// The user's `sub`, the same after every start, so that what an application stored for a sample user stays theirs.
pub(super) fn subject(pool_id: &str, user: &User) -> String {
    let digest = digest(&SHA256, format!("{pool_id}\n{}", user.username).as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    Builder::from_random_bytes(bytes).into_uuid().to_string()
}

pub(super) const SCOPES: [&str; 5] = ["openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"];

/// Claims of the provider, which no attribute may pose as.
const RESERVED: [&str; 8] = ["sub", "iss", "aud", "exp", "iat", "nonce", "token_use", "username"];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{SCOPES, attributes, requested, subject};
    use crate::demo::identity_provider::settings::Settings;

    #[test]
    fn scopes_are_known_and_openid_leads() {
        assert_eq!(requested(None), Ok(SCOPES.to_vec()));
        assert_eq!(requested(Some("email openid")), Ok(vec!["openid", "email"]));
        assert_eq!(requested(Some("email")), Err(()));
        assert_eq!(requested(Some("openid everything")), Err(()));
    }

    #[test]
    fn a_scope_shows_what_it_names() {
        let alice = &Settings::default().users[0];
        let names = |scopes: &[&str]| attributes(alice, scopes, Value::Bool).keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&["openid", "email"]), ["email", "email_verified"]);
        assert!(names(&["openid"]).contains(&"custom:department".to_owned()));
        assert!(!names(&["openid", "profile"]).contains(&"email".to_owned()));
    }

    #[test]
    fn an_attribute_cannot_pose_as_a_claim_of_the_provider() {
        let mut alice = Settings::default().users[0].clone();
        alice.attributes.insert("sub".to_owned(), "bob".to_owned());
        assert!(!attributes(&alice, &["openid"], Value::Bool).contains_key("sub"));
    }

    #[test]
    fn a_subject_is_a_uuid_and_stays() {
        let users = Settings::default().users;
        let first = subject("local_Vestibule", &users[0]);
        assert_eq!(first, subject("local_Vestibule", &users[0]));
        assert_ne!(first, subject("local_Vestibule", &users[1]));
        assert!(uuid::Uuid::parse_str(&first).is_ok());
    }
}

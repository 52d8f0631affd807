//! How a provider may differ from an honest one.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::jose::Key;

type Edit<T> = Option<Box<dyn FnMut(&mut T) + Send>>;
type EditToken = Option<Box<dyn FnMut(&mut Value, &mut Value) + Send>>;
type MakeToken = Option<Box<dyn FnMut(&Value, &Value, &Key) -> String + Send>>;
/// How the provider differs from an honest one.
pub(crate) struct Behaviour {
    /// The signing key; also the key set, unless `published` says otherwise.
    pub(crate) key: Key,
    /// The `keys` of the key set.
    pub(crate) published: Option<Vec<Value>>,
    pub(crate) user: String,
    /// What user info and ID token say of each user, beside `sub`.
    pub(crate) users: HashMap<String, Value>,
    /// Members of the discovery document; null takes one away.
    pub(crate) metadata: Value,
    /// `(header, claims)` before signing.
    pub(crate) edit_id_token: EditToken,
    /// `(header, claims, key)` instead of signing.
    pub(crate) make_id_token: MakeToken,
    pub(crate) edit_token_response: Edit<Value>,
    pub(crate) edit_user_info: Edit<Value>,
}

impl Behaviour {
    pub(super) fn honest() -> Self {
        Self {
            key: Key::rsa(0, "RS256", "rsa-0"),
            published: None,
            user: "alice".to_owned(),
            users: HashMap::from([
                ("alice".to_owned(), json!({"email": "alice@example.com", "name": "Alice Liddell", "groups": ["staff"]})),
                ("bob".to_owned(), json!({"email": "bob@example.com", "name": "Bob"})),
            ]),
            metadata: json!({}),
            edit_id_token: None,
            make_id_token: None,
            edit_token_response: None,
            edit_user_info: None,
        }
    }

    pub(super) fn claims_of(&self, user: &str) -> Value {
        let mut claims = self.users.get(user).cloned().unwrap_or_else(|| json!({}));
        claims["sub"] = json!(user);
        claims
    }

    /// Before signing, `edit` may change header and claims.
    pub(crate) fn edit_id_token(&mut self, edit: impl FnMut(&mut Value, &mut Value) + Send + 'static) {
        self.edit_id_token = Some(Box::new(edit));
    }

    /// Before signing, `edit` may change the claims.
    pub(crate) fn edit_claims(&mut self, mut edit: impl FnMut(&mut Value) + Send + 'static) {
        self.edit_id_token(move |_, claims| edit(claims));
    }

    /// Sets one claim of the ID token; null takes it away.
    pub(crate) fn claim(&mut self, name: &'static str, value: Value) {
        self.edit_claims(move |claims| put(claims, name, value.clone()));
    }

    /// Makes the ID token from header, claims and the key that would have signed.
    pub(crate) fn make_id_token(&mut self, make: impl FnMut(&Value, &Value, &Key) -> String + Send + 'static) {
        self.make_id_token = Some(Box::new(make));
    }

    pub(crate) fn edit_token_response(&mut self, edit: impl FnMut(&mut Value) + Send + 'static) {
        self.edit_token_response = Some(Box::new(edit));
    }

    pub(crate) fn edit_user_info(&mut self, edit: impl FnMut(&mut Value) + Send + 'static) {
        self.edit_user_info = Some(Box::new(edit));
    }
}

/// Sets a member; null takes it away.
pub(crate) fn put(object: &mut Value, name: &str, value: Value) {
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
}

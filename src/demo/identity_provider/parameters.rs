//! Request parameters of OAuth 2.0 (RFC 6749 §3.1, §3.2), from a query or a form.

use std::collections::HashMap;

/// Parameters by name.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    values: HashMap<String, String>,
    repeated: Vec<String>,
}

impl Parameters {
    pub(super) fn parse(encoded: &str) -> Self {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(encoded.as_bytes()) {
            if parameters.values.insert(name.to_string(), value.into_owned()).is_some() {
                parameters.repeated.push(name.into_owned());
            }
        }
        parameters
    }

    /// None also when it was sent empty (§3.1: treated as omitted).
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter must not be sent twice (§3.1): of two readers of one request, each could take the other one.
    pub(super) fn is_repeated(&self, name: &str) -> bool {
        self.repeated.iter().any(|repeated| repeated == name)
    }

    pub(super) fn any_repeated(&self) -> bool {
        !self.repeated.is_empty()
    }
}

/// `uri` with further query parameters.
pub(super) fn with_query(uri: &str, parameters: &[(&str, &str)]) -> String {
    let separator = match uri.rsplit_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{uri}{separator}{query}")
}

/// `encoded` with `name` set to `value`, everything else as it came.
pub(super) fn with_parameter(encoded: &str, name: &str, value: &str) -> String {
    let others = form_urlencoded::parse(encoded.as_bytes()).filter(|(other, _)| other != name);
    form_urlencoded::Serializer::new(String::new()).extend_pairs(others).append_pair(name, value).finish()
}

#[cfg(test)]
mod tests {
    use super::{Parameters, with_parameter, with_query};

    #[test]
    fn an_empty_parameter_is_absent_and_a_second_one_is_noticed() {
        let parameters = Parameters::parse("a=1&b=&c=x%20y+z&a=2");
        assert_eq!(parameters.one("b"), None);
        assert_eq!(parameters.one("c"), Some("x y z"));
        assert!(parameters.is_repeated("a") && !parameters.is_repeated("c") && parameters.any_repeated());
    }

    #[test]
    fn a_query_that_is_there_is_kept() {
        assert_eq!(with_query("https://a/b", &[("code", "x y")]), "https://a/b?code=x+y");
        assert_eq!(with_query("https://a/b?t=1", &[("code", "&")]), "https://a/b?t=1&code=%26");
        assert_eq!(with_query("https://a/b?", &[("code", "1")]), "https://a/b?code=1");
        assert_eq!(with_parameter("state=a%26b&login_hint=x", "login_hint", "bob"), "state=a%26b&login_hint=bob");
    }
}

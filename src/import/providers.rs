//! Identity providers: an ALB repeats them in every action, here each stands once.

use super::aws::{Cognito, Oidc};
use super::model::{Notes, Provider};
use crate::cognito::UserPoolArn;
use crate::provider::UrlPolicy;

/// The providers of all rules.
#[derive(Debug, Default)]
pub(super) struct Providers(pub(super) Vec<Provider>);

impl Providers {
    /// The name of the provider; a pool, a client and a domain together are one.
    pub(super) fn cognito(&mut self, raw: &Cognito, notes: &mut Notes) -> Result<String, String> {
        UserPoolArn::parse(&raw.user_pool_arn).map_err(|error| format!("{:?}: {error}", raw.user_pool_arn))?;
        if raw.user_pool_client_id.is_empty() || raw.user_pool_domain.is_empty() {
            return Err("a user pool without client or domain".to_owned());
        }
        let entries = vec![
            ("type", "cognito".to_owned()),
            ("user_pool_arn", raw.user_pool_arn.clone()),
            ("user_pool_client_id", raw.user_pool_client_id.clone()),
            ("user_pool_domain", raw.user_pool_domain.clone()),
        ];
        let label = raw.user_pool_domain.split('.').next().unwrap_or_default();
        let comments = vec![
            "Callback URL of the app client: https://HOST/oauth2/idpresponse, as before. Sign-out URL: https://HOST/oauth2/logout"
                .to_owned(),
        ];
        Ok(self.named(label, entries, comments, notes))
    }

    pub(super) fn oidc(&mut self, raw: &Oidc, notes: &mut Notes) -> Result<String, String> {
        let urls = UrlPolicy::default();
        for url in [&raw.issuer, &raw.authorization_endpoint, &raw.token_endpoint, &raw.user_info_endpoint] {
            urls.check(url).map_err(|error| format!("{url:?}: {error}"))?;
        }
        let issuer = urls.check(&raw.issuer).map_err(|error| error.to_string())?;
        if issuer.query().is_some() || raw.client_id.is_empty() {
            return Err(format!("the issuer {:?} has a query, or there is no client id", raw.issuer));
        }
        let entries = vec![
            ("type", "oidc".to_owned()),
            ("issuer", raw.issuer.clone()),
            ("authorization_endpoint", raw.authorization_endpoint.clone()),
            ("token_endpoint", raw.token_endpoint.clone()),
            ("user_info_endpoint", raw.user_info_endpoint.clone()),
            ("client_id", raw.client_id.clone()),
        ];
        let comments = vec![
            "Keys for ID tokens, which an ALB throws away, come from the issuer's discovery document; set jwks_uri if it has none."
                .to_owned(),
        ];
        Ok(self.named(&issuer.host_str().unwrap_or_default().replace('.', "-"), entries, comments, notes))
    }

    fn named(&mut self, label: &str, entries: Vec<(&'static str, String)>, comments: Vec<String>, notes: &mut Notes) -> String {
        if let Some(known) = self.0.iter().find(|known| known.entries == entries) {
            return known.name.clone();
        }
        let name = distinct(label, "provider", |name| self.0.iter().any(|known| known.name == name));
        notes.say(format!(
            "identity provider {name}: client secrets are not carried over: put it in secrets/{name}, readable by the gateway alone"
        ));
        self.0.push(Provider { comments, name: name.clone(), entries });
        name
    }
}

/// A name that can stand in a path and in a metric, and that nothing else has.
pub(super) fn distinct(label: &str, otherwise: &str, taken: impl Fn(&str) -> bool) -> String {
    let sound = |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    let name: String = label.chars().take(64).map(|character| if sound(character) { character } else { '-' }).collect();
    let name = name.trim_matches('-');
    let name = if name.is_empty() { otherwise } else { name };
    let mut chosen = name.to_owned();
    let mut number = 2;
    while taken(&chosen) {
        chosen = format!("{name}-{number}");
        number += 1;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_a_path_and_distinct() {
        assert_eq!(distinct("../../etc/passwd", "x", |_| false), "etc-passwd");
        assert_eq!(distinct("\n#{}", "provider", |_| false), "provider");
        assert_eq!(distinct("web", "x", |name| matches!(name, "web" | "web-2")), "web-3");
    }
}

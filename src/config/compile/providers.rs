//! `identity_providers` into `Provider`s with their connections.

use std::sync::Arc;

use super::authenticate::check_extra_params;
use super::context::Context;
use super::{Connect, ConnectedProvider, ProviderTls, Providers, client_authentication, issuers};
use crate::cognito::{UserPoolArn, hosted_endpoints, issuers};
use crate::config::raw::{self, IdentityProvider, Named, ProviderType};
use crate::config::reader::Located;
use crate::gateway::ClientCertificate;
use crate::provider::{AssertionAudience, Endpoints, Issuers, LogoutStyle, Provider, PushedRequests, TENANT, UrlPolicy};

pub(super) fn compile(context: &mut Context<'_>, raw: &Named<IdentityProvider>, connect: &dyn Connect) -> Providers {
    let mut providers = Providers::new();
    for (name, raw) in &raw.sections {
        let Some((provider, certificate)) = provider(context, name, raw) else { continue };
        let provider = Arc::new(provider);
        let authorities = match &raw.value.ca_certificates {
            Some(at) => match context.file(at) {
                Some(pem) => Some(pem),
                None => continue,
            },
            None => None,
        };
        let tls = ProviderTls { authorities: authorities.as_deref(), client_certificate: certificate.as_ref() };
        match connect.provider(&provider, tls) {
            Ok(client) => {
                let here = Located { value: (), span: raw.span, path: raw.path.clone() };
                let extra = &raw.value.authentication_request_extra_params.sections;
                check_extra_params(context, &here, extra);
                let extra_params = extra.iter().map(|(name, at)| (name.clone(), at.value.value.clone())).collect();
                let groups_claim = groups_claim(&raw.value);
                providers.insert(name.clone(), ConnectedProvider { provider, client, groups_claim, extra_params });
            }
            Err(error) => match &raw.value.ca_certificates {
                Some(at) => context.error(at, error),
                None => context.error(raw, error),
            },
        }
    }
    providers
}

/// Groups have no standard claim; these are the usual names.
fn groups_claim(raw: &IdentityProvider) -> Arc<str> {
    let default = match raw.r#type.value {
        ProviderType::Oidc => "groups",
        ProviderType::Cognito => "cognito:groups",
    };
    raw.groups_claim.as_ref().map_or(default, |at| at.value.as_str()).into()
}

fn provider(context: &mut Context<'_>, name: &str, raw: &Located<IdentityProvider>) -> Option<(Provider, Option<ClientCertificate>)> {
    let urls = UrlPolicy { insecure_http: raw.value.insecure_http.as_ref().is_some_and(|at| at.value) };
    if let Some(at) = raw.value.insecure_http.as_ref().filter(|at| at.value) {
        context.warn(at, "plain http is accepted from this provider: whoever is on the way can sign in as anybody", "use https");
    }
    let configured = endpoints(context, &raw.value, urls);
    let proof = client_authentication::proof(context, raw);
    let display_name = raw.value.display_name.as_ref().map_or_else(|| name.to_owned(), |at| at.value.clone());
    let identity = match raw.value.r#type.value {
        ProviderType::Oidc => oidc(context, raw, urls),
        ProviderType::Cognito => cognito(context, raw, urls),
    };
    let (identity, endpoints, proof) = (identity?, configured?, proof?);
    let provider = Provider {
        name: name.into(),
        display_name,
        client_id: identity.client_id.into(),
        client_authentication: proof.method,
        assertion_audience: match raw.value.client_assertion_audience.as_ref().map(|at| at.value) {
            Some(raw::AssertionAudience::TokenEndpoint) | None => AssertionAudience::TokenEndpoint,
            Some(raw::AssertionAudience::Issuer) => AssertionAudience::Issuer,
        },
        pushed_requests: match raw.value.pushed_authorization_requests.as_ref().map(|at| at.value) {
            Some(raw::PushedRequests::Auto) | None => PushedRequests::Auto,
            Some(raw::PushedRequests::Always) => PushedRequests::Always,
            Some(raw::PushedRequests::Never) => PushedRequests::Never,
        },
        issuers: identity.issuers,
        discovery_url: identity.discovery_url,
        endpoints: over(identity.endpoints, endpoints),
        logout: identity.logout,
        hosted_domains: raw.value.hosted_domains.iter().map(|at| at.value.clone()).collect(),
        asks_user_info: raw.value.user_info.unwrap_or(true),
        urls,
    };
    Some((provider, proof.certificate))
}

/// What the two types differ in.
struct Identity {
    client_id: String,
    issuers: Issuers,
    discovery_url: String,
    endpoints: Endpoints,
    logout: LogoutStyle,
}

fn oidc(context: &mut Context<'_>, raw: &Located<IdentityProvider>, urls: UrlPolicy) -> Option<Identity> {
    let value = &raw.value;
    for (key, at) in [
        ("user_pool_arn", &value.user_pool_arn),
        ("user_pool_client_id", &value.user_pool_client_id),
        ("user_pool_domain", &value.user_pool_domain),
    ] {
        if let Some(at) = at {
            context.error_hint(at, format!("{key} belongs to type: cognito"), "write type: cognito, or remove it");
        }
    }
    let issuer = required(context, raw, &value.issuer, "issuer")?;
    let client_id = required(context, raw, &value.client_id, "client_id")?;
    let url = match urls.check(&issuer.value) {
        Ok(url) => url,
        Err(error) => {
            context.error(issuer, format!("{:?}: {error}", issuer.value));
            return None;
        }
    };
    if url.query().is_some() {
        context.error(issuer, "an issuer has no query (OpenID Connect Discovery §3)");
        return None;
    }
    let issuers = issuers::of(context, value, issuer)?;
    let logout = match &value.logout_url {
        Some(at) => LogoutStyle::Template(logout_template(context, at, urls)?),
        None => LogoutStyle::RpInitiated,
    };
    // Where many tenants share an endpoint, its document is found under a name that stands for all of them.
    let document = issuer.value.trim_end_matches('/').replace(TENANT, "organizations");
    Some(Identity {
        client_id: client_id.value.clone(),
        issuers,
        discovery_url: format!("{document}/.well-known/openid-configuration"),
        endpoints: Endpoints::default(),
        logout,
    })
}

fn logout_template(context: &mut Context<'_>, at: &Located<String>, urls: UrlPolicy) -> Option<String> {
    let filled = at.value.replace("{client_id}", "client").replace("{return_to}", "place");
    if let Err(error) = urls.check(&filled) {
        context.error(at, format!("{:?}: {error}", at.value));
        return None;
    }
    if filled.contains(['{', '}']) {
        context.error_hint(at, format!("{:?} has an unknown placeholder", at.value), "there are {client_id} and {return_to}");
        return None;
    }
    Some(at.value.clone())
}

fn cognito(context: &mut Context<'_>, raw: &Located<IdentityProvider>, urls: UrlPolicy) -> Option<Identity> {
    let value = &raw.value;
    for (key, at) in [("issuer", &value.issuer), ("client_id", &value.client_id), ("logout_url", &value.logout_url)] {
        if let Some(at) = at {
            context.error_hint(
                at,
                format!("{key} belongs to type: oidc"),
                "a user pool has user_pool_arn, user_pool_client_id and user_pool_domain",
            );
        }
    }
    let arn = required(context, raw, &value.user_pool_arn, "user_pool_arn");
    let client_id = required(context, raw, &value.user_pool_client_id, "user_pool_client_id");
    let domain = if value.endpoint.is_some() {
        value.user_pool_domain.as_ref()
    } else {
        Some(required(context, raw, &value.user_pool_domain, "user_pool_domain")?)
    };
    let (arn, client_id) = (arn?, client_id?);
    let pool = match UserPoolArn::parse(&arn.value) {
        Ok(pool) => pool,
        Err(error) => {
            context.error(arn, error.to_string());
            return None;
        }
    };
    if let Some(endpoint) = &value.endpoint
        && let Err(error) = urls.check(&endpoint.value)
    {
        context.error(endpoint, format!("{:?}: {error}", endpoint.value));
        return None;
    }
    let endpoint = value.endpoint.as_ref().map(|at| at.value.trim_end_matches('/'));
    let issuer = endpoint.map_or_else(|| pool.issuer(), |endpoint| pool.issuer_at(endpoint));
    // An emulator that has hosted pages serves them itself; a VPC endpoint or moto stands beside the real domain.
    let hosted = match (domain, endpoint) {
        (Some(domain), _) => pool.domain(&domain.value),
        (None, Some(endpoint)) => endpoint.to_owned(),
        (None, None) => return None,
    };
    Some(Identity {
        client_id: client_id.value.clone(),
        issuers: issuers(&pool, endpoint),
        discovery_url: format!("{issuer}/.well-known/openid-configuration"),
        endpoints: Endpoints { keys: Some(format!("{issuer}/.well-known/jwks.json")), ..hosted_endpoints(&hosted) },
        logout: LogoutStyle::Cognito,
    })
}

fn required<'r>(
    context: &mut Context<'_>,
    section: &Located<IdentityProvider>,
    value: &'r Option<Located<String>>,
    key: &str,
) -> Option<&'r Located<String>> {
    if value.is_none() {
        context.error(section, format!("{key} is missing"));
    }
    value.as_ref()
}

fn endpoints(context: &mut Context<'_>, raw: &IdentityProvider, urls: UrlPolicy) -> Option<Endpoints> {
    let mut sound = true;
    let mut check = |at: &Option<Located<String>>| {
        let at = at.as_ref()?;
        if let Err(error) = urls.check(&at.value) {
            context.error(at, format!("{:?}: {error}", at.value));
            sound = false;
        }
        Some(at.value.clone())
    };
    let endpoints = Endpoints {
        authorization: check(&raw.authorization_endpoint),
        token: check(&raw.token_endpoint),
        user_info: check(&raw.user_info_endpoint),
        keys: check(&raw.jwks_uri),
        end_session: check(&raw.end_session_endpoint),
        pushed_authorization: check(&raw.pushed_authorization_request_endpoint),
        introspection: check(&raw.introspection_endpoint),
        revocation: check(&raw.revocation_endpoint),
    };
    sound.then_some(endpoints)
}

fn over(under: Endpoints, set: Endpoints) -> Endpoints {
    Endpoints {
        authorization: set.authorization.or(under.authorization),
        token: set.token.or(under.token),
        user_info: set.user_info.or(under.user_info),
        keys: set.keys.or(under.keys),
        end_session: set.end_session.or(under.end_session),
        pushed_authorization: set.pushed_authorization.or(under.pushed_authorization),
        introspection: set.introspection.or(under.introspection),
        revocation: set.revocation.or(under.revocation),
    }
}

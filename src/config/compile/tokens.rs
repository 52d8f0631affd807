//! `jwt_validation` and `bearer_tokens` into what a rule asks of a token.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::context::Context;
use super::{Connect, ConnectedProvider, requirements};
use crate::authentication::{
    AdditionalClaim, BearerTokens, ClaimFormat, Introspection, JwtValidation, KeySource, ProtectedResource, TokenPolicy, TokenSource,
    TokenUse,
};
use crate::config::raw;
use crate::config::reader::Located;
use crate::config::report::Fault;
use crate::provider::UrlPolicy;
use crate::tokens::{Algorithm, Verifier};

/// Key sets that rules name by URL, each connected to once, and the numbers by which rules are told apart.
pub(super) struct TokenSources<'c> {
    connect: &'c dyn Connect,
    key_sets: RefCell<BTreeMap<KeySetName, Arc<dyn KeySource>>>,
    last_id: Cell<u32>,
}

/// Issuer, URL, and the file of its authorities.
type KeySetName = (String, String, Option<String>);

impl<'c> TokenSources<'c> {
    pub(super) fn new(connect: &'c dyn Connect) -> Self {
        Self { connect, key_sets: RefCell::default(), last_id: Cell::new(0) }
    }

    fn id(&self) -> u32 {
        self.last_id.set(self.last_id.get() + 1);
        self.last_id.get()
    }

    /// Issuers of such key sets, for metrics.
    pub(super) fn issuers(&self) -> Vec<Arc<str>> {
        let mut issuers: Vec<Arc<str>> = self.key_sets.borrow().keys().map(|(issuer, ..)| issuer.as_str().into()).collect();
        issuers.dedup();
        issuers
    }

    fn key_set(&self, context: &mut Context<'_>, raw: &raw::JwtValidation) -> Option<Arc<dyn KeySource>> {
        let authorities = match &raw.ca_certificates {
            Some(at) => Some(context.file(at)?),
            None => None,
        };
        let named = raw.ca_certificates.as_ref().map(|at| at.value.clone());
        let (issuer, url) = (&raw.issuer.value, &raw.jwks_endpoint.value);
        let mut key_sets = self.key_sets.borrow_mut();
        let key = (issuer.clone(), url.clone(), named);
        if let Some(known) = key_sets.get(&key) {
            return Some(known.clone());
        }
        match self.connect.key_set(issuer, url, authorities.as_deref()) {
            Ok(source) => {
                key_sets.insert(key, source.clone());
                Some(source)
            }
            Err(error) => {
                context.error(raw.ca_certificates.as_ref().unwrap_or(&raw.jwks_endpoint), error);
                None
            }
        }
    }
}

pub(super) fn jwt_validation(context: &mut Context<'_>, raw: &raw::JwtValidation, sources: &TokenSources<'_>) -> Option<JwtValidation> {
    let urls = UrlPolicy { insecure_http: raw.insecure_http.as_ref().is_some_and(|at| at.value) };
    if let Some(at) = raw.insecure_http.as_ref().filter(|at| at.value) {
        context.warn(at, "keys are fetched over plain http: whoever is on the way can make tokens", "use https");
    }
    if let Err(error) = urls.check(&raw.jwks_endpoint.value) {
        context.error(&raw.jwks_endpoint, format!("{:?}: {error}", raw.jwks_endpoint.value));
        return None;
    }
    if raw.issuer.value.is_empty() || raw.issuer.value.len() > 256 {
        context.error(&raw.issuer, "an issuer has between 1 and 256 characters");
    }
    let additional_claims = additional_claims(context, &raw.additional_claims);
    if !raw.additional_claims.value.iter().any(|claim| TELLING_WHOM_FOR.contains(&claim.name.value.as_str())) {
        context.warn(
            &raw.issuer,
            "a token of this issuer passes whatever application it was made for",
            "ask for its aud, or for its client_id, in additional_claims",
        );
    }
    let verifier = verifier(context, &raw.algorithms);
    let resource = raw.resource_metadata.as_ref().map(|at| resource(context, at, &raw.issuer.value, &[]));
    let requirements = requirements::compile(context, &raw.acr_values, raw.max_age.as_ref(), &raw.amr);
    let keys = sources.key_set(context, raw)?;
    let issuer: Arc<str> = raw.issuer.value.as_str().into();
    let identity_headers = raw.identity_headers.as_ref().is_some_and(|at| at.value);
    Some(JwtValidation {
        tokens: Arc::new(BearerTokens {
            id: sources.id(),
            name: issuer.clone(),
            source: TokenSource::Keys { issuer, keys },
            verifier,
            policy: TokenPolicy { is_for_anybody: true, additional_claims, names_a_subject: identity_headers, ..TokenPolicy::default() },
            introspection: None,
            resource: resource.flatten().map(Arc::new),
        }),
        requirements,
        identity_headers,
        allow_cors_preflight: raw.allow_cors_preflight.unwrap_or(false),
    })
}

pub(super) fn bearer_tokens(
    context: &mut Context<'_>,
    at: &Located<raw::BearerTokens>,
    connected: &ConnectedProvider,
    sources: &TokenSources<'_>,
) -> BearerTokens {
    let raw = &at.value;
    if raw.audiences.value.is_empty() && raw.client_ids.is_empty() {
        context.error_hint(
            at,
            "neither audiences nor client_ids: a token that was made for another application would pass",
            "audiences: [THIS-API], or for Cognito client_ids: [APP-CLIENT-ID]",
        );
    }
    let scopes = texts(&raw.scopes);
    for at in raw.scopes.iter().filter(|at| !is_scope(&at.value)) {
        context.error(at, format!("{:?} is not one scope (RFC 6749 §3.3)", at.value));
    }
    let introspection = raw.introspection.as_ref().map(|raw| {
        let max_age = raw.max_age.as_ref().map_or(INTROSPECTED_FOR, |at| at.value.0);
        if let Some(at) = raw.max_age.as_ref().filter(|_| max_age > LONGEST_INTROSPECTED) {
            context.error(at, "an answer is believed for at most 1h: a token that is revoked passes for so long");
        }
        Introspection { max_age }
    });
    let provider = &connected.provider;
    let resource = raw.resource_metadata.as_ref().map(|at| resource(context, at, provider.issuers.first(), &scopes));
    let token_uses = match raw.token_use.as_slice() {
        [] => vec![TokenUse::Access],
        uses => uses
            .iter()
            .map(|token_use| match token_use {
                raw::TokenUse::Access => TokenUse::Access,
                raw::TokenUse::Id => TokenUse::Id,
            })
            .collect(),
    };
    BearerTokens {
        id: sources.id(),
        name: provider.name.clone(),
        source: TokenSource::Provider {
            provider: provider.clone(),
            client: connected.client.clone(),
            more_issuers: raw.issuers.iter().map(|at| at.value.as_str().into()).collect(),
        },
        verifier: verifier(context, &raw.algorithms),
        policy: TokenPolicy {
            audiences: texts(&raw.audiences.value),
            client_ids: texts(&raw.client_ids),
            is_for_anybody: false,
            names_a_subject: true,
            token_uses,
            types: raw.types.iter().map(|at| at.value.strip_prefix("application/").unwrap_or(&at.value).to_owned()).collect(),
            scopes,
            additional_claims: additional_claims(context, &raw.additional_claims),
        },
        introspection,
        resource: resource.flatten().map(Arc::new),
    }
}

fn additional_claims(context: &mut Context<'_>, raw: &Located<Vec<raw::AdditionalClaim>>) -> Vec<AdditionalClaim> {
    if raw.value.len() > 10 {
        context.error(raw, "there are at most 10 additional claims");
    }
    raw.value.iter().map(|claim| additional_claim(context, claim)).collect()
}

fn additional_claim(context: &mut Context<'_>, raw: &raw::AdditionalClaim) -> AdditionalClaim {
    if ["exp", "iss", "nbf", "iat"].contains(&raw.name.value.as_str()) {
        context.error(&raw.name, format!("{} is always checked, and cannot be asked for", raw.name.value));
    }
    if raw.values.value.is_empty() || raw.values.value.len() > 10 {
        let place = Located { value: (), span: raw.name.span, path: raw.name.path.clone() };
        context.error(&place, "a claim has between 1 and 10 values");
    }
    let format = match raw.format {
        raw::ClaimFormat::SingleString => ClaimFormat::SingleString,
        raw::ClaimFormat::StringArray => ClaimFormat::StringArray,
        raw::ClaimFormat::SpaceSeparatedValues => ClaimFormat::SpaceSeparatedValues,
    };
    for at in &raw.values.value {
        if at.value.chars().count() > 256 {
            context.error(at, "a value has at most 256 characters");
        }
        if format == ClaimFormat::SpaceSeparatedValues && at.value.contains(' ') {
            context.error(at, format!("{:?} cannot be one of several values between spaces", at.value));
        }
    }
    let any = raw.r#match == Some(raw::ClaimMatch::Any);
    AdditionalClaim { name: raw.name.value.clone(), format, values: texts(&raw.values.value), any }
}

fn verifier(context: &mut Context<'_>, raw: &[Located<String>]) -> Verifier {
    if raw.is_empty() {
        return Verifier::default();
    }
    let mut algorithms = Vec::new();
    for at in raw {
        match Algorithm::parse(&at.value) {
            Some(algorithm) => algorithms.push(algorithm),
            None => {
                let known: Vec<&str> = Algorithm::ALL.into_iter().map(Algorithm::name).collect();
                context.error(at, format!("{:?} is not one of: {}", at.value, known.join(", ")));
            }
        }
    }
    Verifier::new(&algorithms)
}

fn resource(context: &mut Context<'_>, at: &Located<raw::ResourceMetadata>, issuer: &str, scopes: &[String]) -> Option<ProtectedResource> {
    let raw = &at.value;
    let url = Url::parse(&raw.resource.value).ok();
    let Some(url) = url.filter(|url| url.scheme() == "https" && url.query().is_none() && url.fragment().is_none() && url.has_host()) else {
        let message = format!("{:?} is not an https URL without query and fragment (RFC 9728 §1.2)", raw.resource.value);
        context.push(Fault::error(raw.resource.path.clone(), message).at(raw.resource.span));
        return None;
    };
    let host = url.host_str().unwrap_or_default();
    let given = texts(&raw.authorization_servers);
    let scopes_supported = if raw.scopes_supported.is_empty() { scopes.to_vec() } else { texts(&raw.scopes_supported) };
    Some(ProtectedResource {
        resource: raw.resource.value.clone(),
        authority: url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
        path: if url.path() == "/" { String::new() } else { url.path().to_owned() },
        authorization_servers: if given.is_empty() { vec![issuer.to_owned()] } else { given },
        scopes_supported,
        resource_name: raw.resource_name.as_ref().map(|at| at.value.clone()),
        resource_documentation: raw.resource_documentation.as_ref().map(|at| at.value.clone()),
    })
}

fn texts(located: &[Located<String>]) -> Vec<String> {
    located.iter().map(|at| at.value.clone()).collect()
}

/// RFC 6749 §3.3; it stands in a quoted text of a header.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

const TELLING_WHOM_FOR: [&str; 5] = ["aud", "client_id", "azp", "cid", "appid"];
const INTROSPECTED_FOR: Duration = Duration::from_secs(60);
const LONGEST_INTROSPECTED: Duration = Duration::from_secs(60 * 60);

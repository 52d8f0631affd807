//! Bearer tokens in the pipeline, and the challenge to whoever brings none or a bad one (RFC 6750 §3, RFC 9728 §5.1).

use std::sync::Arc;

use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use serde_json::json;

use super::known_sessions::Known;
use super::reply::{self, Verdict};
use super::{Exchange, Reply, TokenEvent};
use crate::authentication::{
    Authenticate, AuthenticationRequirements, BearerError, BearerTokens, Credentials, Insufficient, JwtValidation, ProtectedResource,
    credentials, is_cors_preflight,
};
use crate::message::{Scheme, shows_page};
use crate::provider::Moment;

/// The `jwt_validation` action: nobody passes without a token, except a preflight where the rule says so.
pub(super) async fn validate(validation: &JwtValidation, exchange: &mut Exchange<'_>) -> Result<Option<Arc<Known>>, Reply> {
    exchange.record.actions.push("jwt-validation");
    exchange.record.identity_provider = Some(validation.tokens.name.clone());
    let request = exchange.request;
    if validation.allow_cors_preflight && is_cors_preflight(request.method, request.headers) {
        exchange.record.outcome = Some("anonymous");
        return Ok(None);
    }
    match presented(&validation.tokens, exchange).await? {
        Some(known) => {
            check_authentication(&validation.tokens, &validation.requirements, &known, exchange)?;
            Ok(Some(known))
        }
        None => Err(refuse(&validation.tokens, reply::token_missing(), Challenge::None, exchange)),
    }
}

/// What a rule asks of the request's bearer token: of several providers, the one whose token it says it is. Nothing is believed for that:
/// the one that is asked verifies it.
pub(super) async fn accepting<'a>(authenticate: &'a Arc<Authenticate>, exchange: &Exchange<'_>) -> Option<&'a Arc<BearerTokens>> {
    let first = authenticate.bearer_tokens.as_ref()?;
    if !authenticate.is_choice() {
        return Some(first);
    }
    let Credentials::Bearer(token) = credentials(exchange.request.headers) else { return Some(first) };
    for tokens in authenticate.ways().filter_map(|way| way.bearer_tokens.as_ref()) {
        if tokens.may_be_of(token).await {
            return Some(tokens);
        }
    }
    Some(first)
}

/// Whoever the request's bearer token is; `None` when it brings none.
pub(super) async fn presented(tokens: &BearerTokens, exchange: &mut Exchange<'_>) -> Result<Option<Arc<Known>>, Reply> {
    let (gateway, request) = (exchange.gateway, exchange.request);
    let token = match credentials(request.headers) {
        Credentials::Nothing | Credentials::Other => return Ok(None),
        Credentials::Malformed => return Err(refuse(tokens, reply::token_malformed(), Challenge::InvalidToken(FORM), exchange)),
        Credentials::Ambiguous => {
            return Err(refuse(tokens, reply::for_bearer(&BearerError::Ambiguous), Challenge::InvalidRequest, exchange));
        }
        Credentials::Bearer(token) => token,
    };
    if request.scheme == Scheme::Http {
        // Everybody on the way has read it (RFC 6750 §5.3).
        return Err(refuse(tokens, reply::token_in_the_clear(), Challenge::InvalidRequest, exchange));
    }
    // Others of the same address may have tokens that are good.
    if exchange.has_failed_too_often() && gateway.known_tokens.known(tokens, token, exchange.now).await.is_none() {
        exchange.record.token = Some(TokenEvent::Failure);
        return Err(exchange.too_many("AuthTooManyFailures"));
    }
    let moment = Moment { entropy: &gateway.authentication.entropy, now: exchange.now };
    match gateway.known_tokens.judge(tokens, token, moment).await {
        Ok(judged) => {
            let identity = &judged.known.identity;
            exchange.record.token_was_known = Some(judged.was_known);
            exchange.record.token = Some(TokenEvent::Success);
            exchange.record.outcome = Some("token");
            exchange.record.subject = Some(identity.subject.clone());
            exchange.record.display_name = Some(identity.display_name.clone());
            Ok(Some(judged.known))
        }
        Err(error) => {
            exchange.note_failure();
            Err(refuse(tokens, reply::for_bearer(&error), challenge(&error), exchange))
        }
    }
}

/// Whether whoever is behind a good token has signed in as the rule asks for (RFC 9470). Asked at every request: a token that has been
/// judged grows older.
pub(super) fn check_authentication(
    tokens: &BearerTokens,
    requirements: &AuthenticationRequirements,
    known: &Known,
    exchange: &mut Exchange<'_>,
) -> Result<(), Reply> {
    let Err(found) = requirements.judge(&known.identity.claims, exchange.now) else { return Ok(()) };
    exchange.record.outcome = Some("refused");
    Err(refuse(tokens, reply::token_insufficient(found), Challenge::InsufficientAuthentication(requirements, found), exchange))
}

/// What RFC 9470 §3 says to a program whose session is not enough, where the rule takes tokens and where it does not.
pub(super) fn insufficient_challenge(authenticate: &Authenticate, found: Insufficient, exchange: &Exchange<'_>) -> Option<HeaderValue> {
    let challenge = Challenge::InsufficientAuthentication(&authenticate.requirements, found);
    HeaderValue::try_from(challenge.text(authenticate.bearer_tokens.as_deref(), exchange)).ok()
}

/// The challenge that belongs beside another one, where a rule accepts both a session and a token.
pub(super) fn bare_challenge(tokens: &BearerTokens, exchange: &Exchange<'_>) -> Option<HeaderValue> {
    HeaderValue::try_from(Challenge::None.text(Some(tokens), exchange)).ok()
}

fn refuse(tokens: &BearerTokens, verdict: Verdict, challenge: Challenge<'_>, exchange: &mut Exchange<'_>) -> Reply {
    exchange.record.token = Some(TokenEvent::Failure);
    let header = HeaderValue::try_from(challenge.text(Some(tokens), exchange));
    let request = exchange.request;
    let (status, situation) = (verdict.status, verdict.situation);
    let mut reply = exchange.refuse(verdict, None);
    let is_json = !shows_page(request.headers) && !reply.is_grpc;
    if let (Some((error, description)), true) = (challenge.error(), is_json) {
        let body = json!({"error": error, "error_description": description, "request_id": request.request_id});
        reply = Reply::json(status, &body);
    } else if situation == "token_required" && is_json {
        reply = Reply::json(status, &json!({"error": "token_required", "request_id": request.request_id}));
    }
    match header {
        Ok(header) if matches!(status, 400 | 401 | 403) => reply.with(WWW_AUTHENTICATE, header),
        _ => reply,
    }
}

/// RFC 6750 §3.1.
#[derive(Debug, Clone, Copy)]
enum Challenge<'a> {
    /// Nothing was brought, so nothing is said of it; or it is not the token that is at fault.
    None,
    InvalidRequest,
    InvalidToken(&'static str),
    InsufficientScope,
    /// RFC 9470 §3.
    InsufficientAuthentication(&'a AuthenticationRequirements, Insufficient),
}

impl Challenge<'_> {
    fn error(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::None => None,
            Self::InvalidRequest => Some(("invalid_request", "One bearer token is expected, over TLS")),
            Self::InvalidToken(description) => Some(("invalid_token", description)),
            Self::InsufficientScope => Some(("insufficient_scope", "The token lacks a scope")),
            Self::InsufficientAuthentication(_, found) => Some((reply::INSUFFICIENT, found.description())),
        }
    }

    fn text(self, tokens: Option<&BearerTokens>, exchange: &Exchange<'_>) -> String {
        let authority = exchange.request.authority;
        let mut text = format!("Bearer realm=\"{}\"", authority.host());
        if let Some((error, description)) = self.error() {
            text.push_str(&format!(", error=\"{error}\", error_description=\"{description}\""));
        }
        if let Self::InsufficientAuthentication(requirements, _) = self {
            if !requirements.acr_values.is_empty() {
                text.push_str(&format!(", acr_values=\"{}\"", requirements.acr_values.join(" ")));
            }
            if let Some(seconds) = requirements.max_age {
                text.push_str(&format!(", max_age=\"{seconds}\""));
            }
        }
        let Some(tokens) = tokens else { return text };
        if !tokens.policy.scopes.is_empty() && matches!(self, Self::None | Self::InsufficientScope) {
            text.push_str(&format!(", scope=\"{}\"", tokens.policy.scopes.join(" ")));
        }
        // Only under the name of the resource itself: a client compares the two (RFC 9728 §3.3).
        let resource = tokens.resource.as_ref().filter(|resource| resource.authority.eq_ignore_ascii_case(authority.as_str()));
        if let Some(url) = resource.map(|resource| ProtectedResource::url(resource)) {
            text.push_str(&format!(", resource_metadata=\"{url}\""));
        }
        text
    }
}

/// What the client is told: enough to mend its own mistake, nothing about the rule.
fn challenge(error: &BearerError) -> Challenge<'static> {
    match error {
        BearerError::Ambiguous => Challenge::InvalidRequest,
        BearerError::Form(_) => Challenge::InvalidToken(FORM),
        BearerError::Signature(_) => Challenge::InvalidToken("The signature of the token cannot be verified"),
        BearerError::Expired => Challenge::InvalidToken("The token has expired"),
        BearerError::NotYet => Challenge::InvalidToken("The token is not valid yet"),
        BearerError::Inactive => Challenge::InvalidToken("The token is not active"),
        BearerError::Type | BearerError::OtherUse | BearerError::Missing(_) | BearerError::Format(_) | BearerError::Value(_) => {
            Challenge::InvalidToken("The token is not one for this resource")
        }
        BearerError::Scope => Challenge::InsufficientScope,
        BearerError::Metadata(_)
        | BearerError::Keys(_)
        | BearerError::NoIntrospectionEndpoint
        | BearerError::IntrospectionCall(_)
        | BearerError::Introspection(_)
        | BearerError::Entropy(_) => Challenge::None,
    }
}

const FORM: &str = "The token is malformed";

//! The one place where a failure gets its status, its page and its `error_reason`. No match here has a `_` arm: a new failure does not compile until somebody has decided.

use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};

use super::pages::PageContext;
use super::{AuthenticationEvent, Gateway, Record, Reply, TransformError};
use crate::authentication::{
    BackchannelLogoutError, BearerError, CallbackError, IdTokenFailure, Insufficient, KeptFormError, LoginError, ProviderClientError,
    SessionStoreError, SessionWriteError,
};
use crate::authorization::{Failure, Refusal, Why};
use crate::identity_headers::HeaderError;
use crate::message::{Malformed, shows_page};
use crate::provider::{AuthorizationResponseError, CallError, IdTokenError, TokenError, UserInfoError};
use crate::session::RecordError;

/// Whom an answer is for, as far as that is known: also of a request that was refused before it could be read.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    pub host: &'a str,
    pub headers: &'a HeaderMap,
    pub request_id: &'a str,
}

/// A decision about a failure.
#[derive(Debug)]
pub struct Verdict {
    pub status: u16,
    pub situation: &'static str,
    pub reason: &'static str,
    pub event: Option<AuthenticationEvent>,
    /// For the operator's log; never shown.
    pub detail: String,
}

impl Verdict {
    fn new(status: u16, situation: &'static str, reason: &'static str, error: &impl std::fmt::Display) -> Self {
        Self { status, situation, reason, event: None, detail: error.to_string() }
    }

    fn counted(mut self, event: AuthenticationEvent) -> Self {
        self.event = Some(event);
        self
    }

    /// Writes the verdict down and makes the answer.
    #[must_use]
    pub fn reply(self, gateway: &Gateway, visitor: Visitor<'_>, action: Option<&str>, record: &mut Record) -> Reply {
        record.error_reason = Some(self.reason);
        record.event = self.event;
        record.outcome.get_or_insert("refused");
        let reply = plain_reply(gateway, visitor, self.status, self.situation, action);
        record.detail = Some(self.detail);
        if matches!(self.status, 503 | 561) { reply.with(RETRY_AFTER, HeaderValue::from_static("30")) } else { reply }
    }
}

/// A page for a navigation, JSON for anything else.
#[must_use]
pub(super) fn plain_reply(gateway: &Gateway, visitor: Visitor<'_>, status: u16, situation: &str, action: Option<&str>) -> Reply {
    if shows_page(visitor.headers) {
        let secondary = (!visitor.host.is_empty() && situation != "misdirected").then_some("/");
        let context = PageContext {
            host: visitor.host,
            status: Some(status),
            request_id: visitor.request_id,
            action,
            secondary,
            ..PageContext::default()
        };
        page_reply(gateway, visitor, status, situation, &context)
    } else {
        Reply::for_program(visitor, status, situation, &[])
    }
}

#[must_use]
pub(super) fn page_reply(gateway: &Gateway, visitor: Visitor<'_>, status: u16, situation: &str, context: &PageContext<'_>) -> Reply {
    let language = visitor.headers.get("accept-language").and_then(|value| value.to_str().ok());
    let page = gateway.pages.render(situation, language, context);
    Reply::page(status, page)
}

/// A request that cannot be made unambiguous, or is over a limit.
#[must_use]
pub fn for_malformed(error: Malformed) -> Verdict {
    let bad = |reason| Verdict::new(400, "bad_request", reason, &error);
    match error {
        Malformed::Host | Malformed::Authority | Malformed::HostMismatch => bad("RequestInvalidHost"),
        Malformed::TargetForm => bad("RequestInvalidTarget"),
        Malformed::Path | Malformed::DotSegment => bad("RequestInvalidPath"),
        Malformed::AmbiguousPath => bad("RequestAmbiguousPath"),
        Malformed::Query => bad("RequestInvalidQuery"),
        Malformed::Head => bad("RequestInvalidHeader"),
        Malformed::Framing => bad("RequestInvalidFraming"),
        Malformed::Method => Verdict::new(405, "method_not_allowed", "RequestMethodNotAllowed", &error),
        Malformed::TargetTooLong => Verdict::new(414, "uri_too_long", "RequestTargetTooLong", &error),
        Malformed::HeaderTooLarge => Verdict::new(431, "headers_too_large", "RequestHeaderTooLarge", &error),
        Malformed::BodyTooLarge => Verdict::new(413, "too_large", "RequestBodyTooLarge", &error),
        Malformed::TooSlow => Verdict::new(408, "too_slow", "RequestTooSlow", &error),
        Malformed::Expectation => Verdict::new(417, "bad_request", "RequestExpectationUnknown", &error),
    }
}

/// A path that a rewrite would turn into another one is the visitor's doing; anything else is the configuration's.
#[must_use]
pub fn for_transform(error: TransformError) -> Verdict {
    match error {
        TransformError::Url(Malformed::DotSegment | Malformed::Path | Malformed::Query) => {
            Verdict::new(400, "bad_request", "RequestInvalidPath", &error)
        }
        TransformError::Url(_) => Verdict::new(500, "internal_error", "TransformFailed", &error),
        TransformError::Host(_) => Verdict::new(500, "internal_error", "TransformFailed", &error),
    }
}

/// A Host that this listener does not serve.
#[must_use]
pub(super) fn misdirected(host: &str) -> Verdict {
    Verdict::new(421, "misdirected", "RequestMisdirected", &format_args!("no listener host is {host:?}"))
}

/// A rule asks for a token, and there is none.
#[must_use]
pub(super) fn token_missing() -> Verdict {
    Verdict::new(401, "token_required", "JWTHeaderNotPresent", &"no bearer token")
}

/// What follows `Bearer` is no token.
#[must_use]
pub(super) fn token_malformed() -> Verdict {
    Verdict::new(401, "token_required", "JWTRequestFormatInvalid", &"the Authorization header holds no bearer token")
}

#[must_use]
pub(super) fn token_in_the_clear() -> Verdict {
    Verdict::new(401, "token_required", "JWTRequestNotSecure", &"a bearer token came over plain http")
}

/// A bearer token that does not pass. What the provider did wrong is not its fault.
#[must_use]
pub(super) fn for_bearer(error: &BearerError) -> Verdict {
    let refused = |reason| Verdict::new(401, "token_required", reason, error);
    match error {
        BearerError::Ambiguous => Verdict::new(400, "bad_request", "JWTRequestFormatInvalid", error),
        BearerError::Form(_) => refused("JWTRequestFormatInvalid"),
        BearerError::Signature(_) => refused("JWTSignatureValidationError"),
        BearerError::Type => refused("JWTRequestFormatInvalid"),
        BearerError::OtherUse => refused("JWTClaimValueInvalid"),
        BearerError::Missing(_) => refused("JWTClaimNotPresent"),
        BearerError::Format(_) => refused("JWTClaimFormatInvalid"),
        BearerError::Value(_) => refused("JWTClaimValueInvalid"),
        BearerError::Expired => refused("JWTClaimValueInvalid"),
        BearerError::NotYet => refused("JWTClaimValueInvalid"),
        BearerError::Scope => Verdict::new(403, "token_required", "JWTInsufficientScope", error),
        BearerError::Inactive => refused("JWTTokenInactive"),
        BearerError::Metadata(cause) => provider("AuthDiscoveryRequestTimeout", "AuthDiscoveryRequestFailed", cause),
        BearerError::Keys(cause) => provider("JWKSRequestTimeout", "JWKSRequestFailed", cause),
        BearerError::NoIntrospectionEndpoint => unavailable("JWTIntrospectionRequestFailed", error),
        BearerError::IntrospectionCall(cause) => call("JWTIntrospectionRequestTimeout", "JWTIntrospectionRequestFailed", cause),
        BearerError::Introspection(_) => unavailable("JWTIntrospectionRequestFailed", error),
        BearerError::Entropy(cause) => unhandled(cause),
    }
}

/// How a target failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetFailure {
    #[error("the target did not answer, or not in HTTP")]
    Failed,
    #[error("there is no target to send the request to")]
    Unavailable,
    #[error("the target was too slow")]
    Timeout,
    #[error("the gateway itself failed")]
    Internal,
}

#[must_use]
pub fn for_target(error: TargetFailure) -> Verdict {
    match error {
        TargetFailure::Failed => Verdict::new(502, "target_failed", "TargetFailed", &error),
        TargetFailure::Unavailable => Verdict::new(503, "unavailable", "TargetUnavailable", &error),
        TargetFailure::Timeout => Verdict::new(504, "target_timeout", "TargetTimeout", &error),
        TargetFailure::Internal => Verdict::new(500, "internal_error", "UnhandledException", &error),
    }
}

/// A WebSocket that a page of another origin opens in somebody's name.
#[must_use]
pub(super) fn foreign_origin() -> Verdict {
    Verdict::new(403, "origin_not_allowed", "AuthOriginNotAllowed", &"a WebSocket from another origin: see allowed_origins")
}

/// No session where one is needed.
#[must_use]
pub(super) fn unauthenticated(reason: &'static str) -> Verdict {
    Verdict::new(401, "sign_in_required", reason, &"no session")
}

/// Signed in, and not as the rule asks for.
#[must_use]
pub(super) fn insufficient(found: Insufficient) -> Verdict {
    Verdict::new(401, INSUFFICIENT, "AuthInsufficientAuthentication", &found)
}

/// The same of whoever is behind a token.
#[must_use]
pub(super) fn token_insufficient(found: Insufficient) -> Verdict {
    Verdict::new(401, INSUFFICIENT, "JWTInsufficientAuthentication", &found)
}

/// Signed in, and not one of those whom the rule lets pass.
#[must_use]
pub fn for_refusal(refusal: &Refusal) -> Verdict {
    let forbidden = |reason| Verdict::new(403, "forbidden", reason, refusal);
    match &refusal.why {
        Why::No(_) => forbidden("AuthForbidden"),
        Why::Failed(failure) => match failure {
            Failure::MissingClaim(_) => forbidden("AuthMissingClaim"),
            Failure::NobodySignedIn(_) => forbidden("AuthMissingCookie"),
            Failure::IncompleteClaim(_) => forbidden("AuthIncompleteClaim"),
            Failure::MissingKey(_) => forbidden("AuthPolicyError"),
            Failure::Index => forbidden("AuthPolicyError"),
            Failure::Kind => forbidden("AuthPolicyError"),
            Failure::Overflow => forbidden("AuthPolicyError"),
            Failure::Division => forbidden("AuthPolicyError"),
            Failure::Conversion => forbidden("AuthPolicyError"),
            Failure::Twice => forbidden("AuthPolicyError"),
            Failure::Unreadable => forbidden("AuthPolicyError"),
            Failure::DoubledKey => forbidden("AuthPolicyError"),
            Failure::Steps => forbidden("AuthPolicyError"),
            Failure::Panic => forbidden("AuthPolicyError"),
        },
    }
}

#[must_use]
pub(super) fn for_login(error: &LoginError) -> Verdict {
    match error {
        LoginError::Provider(cause) => provider("AuthDiscoveryRequestTimeout", "AuthDiscoveryRequestFailed", cause),
        LoginError::PushedCall(cause) => call("AuthPushedRequestTimeout", "AuthPushedRequestFailed", cause),
        LoginError::Pushed(cause) => unavailable("AuthPushedRequestFailed", cause),
        LoginError::Seal(cause) => unhandled(cause),
        LoginError::Entropy(cause) => unhandled(cause),
    }
}

#[must_use]
pub(super) fn for_session_record(error: RecordError) -> Verdict {
    unhandled(&error)
}

/// From one address, in one minute (RFC 6585 §4).
#[must_use]
pub(super) fn too_many(reason: &'static str) -> Verdict {
    Verdict::new(429, "too_many_requests", reason, &"the address has reached a limit of its listener").counted(AuthenticationEvent::Failure)
}

/// Whether somebody is signed in cannot be known. Not a way to sign in: where the store is away that would end in a loop (threat O01).
#[must_use]
pub(super) fn for_session_store(error: &SessionStoreError) -> Verdict {
    Verdict::new(503, "sign_in_unavailable", "AuthSessionStoreFailed", error).counted(AuthenticationEvent::Error)
}

#[must_use]
pub(super) fn for_headers(error: HeaderError) -> Verdict {
    match error {
        HeaderError::Signature => unhandled(&error),
        HeaderError::AccessToken => unhandled(&error),
    }
}

#[must_use]
pub(super) fn for_callback(error: &CallbackError) -> Verdict {
    let failure = |status, situation, reason| Verdict::new(status, situation, reason, error).counted(AuthenticationEvent::Failure);
    let unrecognised = |reason| failure(401, "sign_in_not_recognised", reason);
    let nonsense = |reason| failure(561, "sign_in_unavailable", reason);
    match error {
        CallbackError::Response(cause) => match cause {
            AuthorizationResponseError::Duplicate => failure(400, "bad_request", "AuthInvalidAuthorizationResponse"),
            AuthorizationResponseError::Mixed => failure(400, "bad_request", "AuthInvalidAuthorizationResponse"),
            AuthorizationResponseError::TooMany => failure(400, "bad_request", "AuthInvalidAuthorizationResponse"),
            AuthorizationResponseError::Encoding => failure(400, "bad_request", "AuthInvalidAuthorizationResponse"),
        },
        CallbackError::MissingState => unrecognised("AuthMissingStateParam"),
        CallbackError::InvalidState => unrecognised("AuthInvalidStateParam"),
        CallbackError::OtherRule => unrecognised("AuthInvalidStateParam"),
        CallbackError::MissingBrowserNonce => unrecognised("AuthMissingAWSALBAuthNonce"),
        CallbackError::InvalidBrowserNonce => unrecognised("AuthInvalidAWSALBAuthNonce"),
        CallbackError::LateState => failure(401, "sign_in_expired", "AuthExpiredStateParam"),
        CallbackError::UsedState => unrecognised("AuthUsedStateParam"),
        CallbackError::Metadata(cause) => provider("AuthDiscoveryRequestTimeout", "AuthDiscoveryRequestFailed", cause),
        CallbackError::ResponseIssuer => unrecognised("AuthInvalidIssParam"),
        CallbackError::AccessDenied => failure(403, "access_denied", "AuthAccessDenied"),
        CallbackError::UnmetRequirements => failure(403, INSUFFICIENT, "AuthInsufficientAuthentication"),
        CallbackError::Insufficient(_) => failure(403, INSUFFICIENT, "AuthInsufficientAuthentication"),
        CallbackError::ErrorResponse(_) => nonsense("AuthErrorResponse"),
        CallbackError::NotSilently(_) => Verdict::new(302, "sign_in_required", "AuthInteractionRequired", error),
        CallbackError::MissingCode => unrecognised("AuthMissingCodeParam"),
        CallbackError::TokenCall(cause) => call("AuthTokenEpRequestTimeout", "AuthTokenEpRequestFailed", cause),
        CallbackError::Token(cause) => match cause {
            TokenError::InvalidGrant => unrecognised("AuthInvalidGrantError"),
            TokenError::Refused { .. } => nonsense("AuthTokenEpRequestFailed").counted(AuthenticationEvent::Error),
            TokenError::Form => nonsense("AuthInvalidTokenResponse"),
            TokenError::Member("id_token") => nonsense("AuthInvalidIdToken"),
            TokenError::Member(_) => nonsense("AuthInvalidTokenResponse"),
        },
        CallbackError::IdToken(cause) => match cause {
            IdTokenFailure::Keys(cause) => provider("AuthJwksRequestTimeout", "AuthJwksRequestFailed", cause),
            IdTokenFailure::Signature(_) => nonsense("AuthInvalidIdToken"),
            IdTokenFailure::Claims(IdTokenError::Tenant) => failure(403, "access_denied", "AuthForbiddenTenant"),
            IdTokenFailure::Claims(IdTokenError::HostedDomain) => failure(403, "access_denied", "AuthForbiddenDomain"),
            IdTokenFailure::Claims(_) => nonsense("AuthInvalidIdToken"),
        },
        CallbackError::UserInfoCall(cause) => call("AuthUserinfoEpRequestTimeout", "AuthUserinfoEpRequestFailed", cause),
        CallbackError::UserInfo(cause) => match cause {
            UserInfoError::Refused(_) => nonsense("AuthUserinfoEpRequestFailed").counted(AuthenticationEvent::Error),
            UserInfoError::Form => nonsense("AuthInvalidUserinfoResponse"),
            UserInfoError::Subject => nonsense("AuthInvalidUserinfoResponse"),
        },
        CallbackError::Session(cause) => match cause {
            SessionWriteError::TooLarge => {
                failure(500, "session_too_large", "AuthUserinfoResponseSizeExceeded").counted(AuthenticationEvent::ClaimsTooLarge)
            }
            SessionWriteError::Store(cause) => for_session_store(cause),
            SessionWriteError::Ended => unhandled(cause),
            SessionWriteError::Record(cause) => unhandled(cause),
            SessionWriteError::Seal(cause) => unhandled(cause),
        },
        CallbackError::Entropy(cause) => unhandled(cause),
    }
}

/// A form that comes back from the page that kept it.
#[must_use]
pub(super) fn for_kept_form(error: KeptFormError) -> Verdict {
    let refused = |reason| Verdict::new(400, "form_refused", reason, &error);
    match error {
        KeptFormError::Foreign => refused("AuthForeignForm"),
        KeptFormError::Missing => refused("AuthInvalidForm"),
        KeptFormError::Unusable => refused("AuthInvalidForm"),
        KeptFormError::OtherHost => refused("AuthInvalidForm"),
        KeptFormError::Late => refused("AuthExpiredForm"),
        KeptFormError::Used => Verdict::new(409, "form_sent", "AuthUsedForm", &error),
    }
}

/// What a provider's page embeds does not say whose session it means.
#[must_use]
pub(super) fn bad_logout_request(why: &'static str) -> Verdict {
    Verdict::new(400, "bad_request", "AuthInvalidLogoutRequest", &why)
}

/// A logout request of a provider. Where its keys cannot be had, nobody has been signed out, and it may try again.
#[must_use]
pub(super) fn for_backchannel_logout(error: &BackchannelLogoutError) -> Verdict {
    let refused = |reason| Verdict::new(400, "bad_request", reason, error);
    let later = |verdict| Verdict { status: 503, event: None, ..verdict };
    match error {
        BackchannelLogoutError::Request(_) => refused("AuthInvalidLogoutRequest"),
        BackchannelLogoutError::TooLarge => Verdict::new(413, "too_large", "AuthInvalidLogoutRequest", error),
        BackchannelLogoutError::Signature(_) => refused("AuthInvalidLogoutToken"),
        BackchannelLogoutError::Stranger => refused("AuthInvalidLogoutToken"),
        BackchannelLogoutError::Token(_) => refused("AuthInvalidLogoutToken"),
        BackchannelLogoutError::Used => refused("AuthUsedLogoutToken"),
        BackchannelLogoutError::Store(cause) => for_session_store(cause),
        BackchannelLogoutError::Metadata(cause) => later(provider("AuthDiscoveryRequestTimeout", "AuthDiscoveryRequestFailed", cause)),
        BackchannelLogoutError::Keys(cause) => later(provider("AuthJwksRequestTimeout", "AuthJwksRequestFailed", cause)),
    }
}

fn provider(timeout: &'static str, failed: &'static str, error: &ProviderClientError) -> Verdict {
    match error {
        ProviderClientError::Call(cause) => call(timeout, failed, cause),
        ProviderClientError::Status(_) => unavailable(failed, error),
        ProviderClientError::Metadata(_) => unavailable(failed, error),
        ProviderClientError::Keys(_) => unavailable(failed, error),
    }
}

fn call(timeout: &'static str, failed: &'static str, error: &CallError) -> Verdict {
    match error {
        CallError::Timeout => unavailable(timeout, error),
        CallError::TooLarge => unavailable(failed, error),
        CallError::Connection(_) => unavailable(failed, error),
        CallError::CoolingDown(_) => unavailable(failed, error),
    }
}

fn unavailable(reason: &'static str, error: &impl std::fmt::Display) -> Verdict {
    Verdict::new(561, "sign_in_unavailable", reason, error).counted(AuthenticationEvent::Error)
}

pub(super) fn unhandled(error: &impl std::fmt::Display) -> Verdict {
    Verdict::new(500, "internal_error", "AuthUnhandledException", error).counted(AuthenticationEvent::Error)
}

/// RFC 9470 §3; also the name of the page.
pub(super) const INSUFFICIENT: &str = "insufficient_user_authentication";

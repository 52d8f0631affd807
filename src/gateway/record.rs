//! What is worth knowing of a request afterwards: the access log and the metrics are made of this.

use std::sync::Arc;
use std::time::Duration;

use crate::identity::Identity;
use crate::message::RequestTarget;

/// Filled in along the pipeline. Holds no token, no cookie, no code, no query of a callback.
#[derive(Debug, Default, Clone)]
pub struct Record {
    /// Priority of the rule: 0 the default, `None` when none was looked for.
    pub rule_priority: Option<u32>,
    pub rule: Option<Arc<str>>,
    /// ALB's words: `authenticate`, `jwt-validation`, `forward`, `redirect`, `fixed-response`; and `authorize`.
    pub actions: Vec<&'static str>,
    pub identity_provider: Option<Arc<str>>,
    pub subject: Option<Arc<str>>,
    /// How a page calls the person, for the log of `demo` only.
    pub display_name: Option<Arc<str>>,
    /// A hash.
    pub session: Option<Arc<str>>,
    /// `session`, `token`, `anonymous`, `redirected`, `refused`, `signed_in`, `signed_out`, `failed`.
    pub outcome: Option<&'static str>,
    pub error_reason: Option<&'static str>,
    /// The reason in words, for the log of the operator.
    pub detail: Option<String>,
    pub event: Option<AuthenticationEvent>,
    /// What became of a bearer token.
    pub token: Option<TokenEvent>,
    /// Whether it had been judged before.
    pub token_was_known: Option<bool>,
    /// What became of a logout token.
    pub logout_token: Option<TokenEvent>,
    /// What the rule's policy said; `None` where it was not asked.
    pub authorized: Option<Authorized>,
    /// Whether the person of a session was still in memory.
    pub session_was_known: Option<bool>,
    /// Sessions that this request has ended.
    pub revoked: u64,
    /// How long the provider was waited for.
    pub authentication_time: Option<Duration>,
    /// The target of the request is a callback: its query stays out of every log.
    pub masks_query: bool,
    /// What became of the rule's transforms, in ALB's words; `None` where nothing was rewritten.
    pub transform_status: Option<&'static str>,
    /// What became of a form: `kept` and `too_large` without a session, `sent` when it is sent from where it was kept.
    pub form: Option<&'static str>,
    /// What was asked for in truth, by a request that brings a kept form back.
    pub resent: Option<Box<RequestTarget>>,
}

impl Record {
    /// Whose session it is.
    pub(super) fn note_person(&mut self, identity: &Identity) {
        self.subject = Some(identity.subject.clone());
        self.display_name = Some(identity.display_name.clone());
        self.session = identity.session.as_ref().map(|session| session.hash.clone());
    }
}

/// What ALB counts of `jwt-validation` (CloudWatch: `JWTValidationSuccessCount`, `JWTValidationFailureCount`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenEvent {
    Success,
    Failure,
}

/// A decision about who may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized {
    /// `allowed`, `refused`, `would_refuse`.
    pub decision: &'static str,
    /// As `error_reason` has it, also where nobody was refused.
    pub reason: Option<&'static str>,
    /// Which part of the policy, and why. No value of a claim.
    pub detail: Option<String>,
}

/// What ALB counts (CloudWatch: `ELBAuthSuccess`, `ELBAuthFailure`, `ELBAuthError`, `ELBAuthUserClaimsSizeExceeded`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationEvent {
    Success,
    /// The person, the browser or the provider's answer was at fault.
    Failure,
    /// The provider could not be reached or failed.
    Error,
    ClaimsTooLarge,
}

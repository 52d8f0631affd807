//! The compiled snapshot of a configuration, and what it decides about a request.
//!
//! `pipeline` is the table of contents; `reply` is where every failure becomes an answer.

mod acme;
mod address_limits;
mod answer;
mod bearer;
mod current_session;
mod endpoints;
mod exchange;
mod hosts;
mod kept_form;
mod known_sessions;
mod known_tokens;
mod pages;
mod permission;
mod pipeline;
mod record;
mod redirect;
mod renewals;
mod reply;
mod response_headers;
mod rule;
mod seen_sessions;
mod sign_in_challenge;
mod step_up;
mod target_group;
mod transform;

use http::HeaderMap;

pub use acme::{AcmeChallenge, AcmeOrder, ExternalAccount, HttpChallenges};
pub use address_limits::{AddressLimits, PerAddress};
pub use answer::Reply;
pub use exchange::{Body, Exchange};
pub use hosts::HostNames;
pub use kept_form::{Resent, keep_form};
pub use known_sessions::KnownSessions;
pub use known_tokens::KnownTokens;
pub use pages::{PageError, Pages, SITUATIONS};
pub use pipeline::{Forward, handle};
pub use record::{AuthenticationEvent, Authorized, Record, TokenEvent};
pub use redirect::{Redirect, RedirectError};
pub use renewals::{Background, RefreshCounts, Renewals};
pub use reply::{TargetFailure, Verdict, Visitor, for_malformed, for_refusal, for_target, for_transform};
pub use response_headers::{RESPONSE_HEADERS, ResponseHeader, ResponseHeaders};
pub use rule::{FixedResponse, RoutingAction, RuleActions};
pub use seen_sessions::{SeenSession, SeenSessions};
pub use target_group::{
    Algorithm, Balance, ClientCertificate, ForwardAction, HealthCheck, Outstanding, ProtocolVersion, STICKINESS_COOKIES, Stickiness,
    StickinessType, Sticky, Target, TargetAddress, TargetGroup, TargetTimeouts, TargetTls, Wanted, WeightedTargetGroup,
};
pub use transform::{Rewrite, RewriteError, Rewritten, TransformError, Transforms};

use std::sync::Arc;

use crate::authentication::{Authenticate, Authentication, CHOICE_COOKIE, NONCE_COOKIE, ProtectedResource, ReturnPlaces};
use crate::clock::UnixTime;
use crate::identity_headers::{ClaimHeader, ForwardedSettings, ProtectedHeaders, Signer};
use crate::message::{RequestView, Scheme};
use crate::rules::RuleTable;
use crate::session::SessionCookie;

/// Everything that a request is decided by. Immutable; a reload makes another.
pub struct Gateway {
    /// How many there were before it, in this process.
    pub generation: u64,
    pub listeners: Vec<ListenerRules>,
    pub target_groups: Vec<Arc<TargetGroup>>,
    pub authentication: Arc<Authentication>,
    pub signer: Signer,
    pub claim_headers: Vec<ClaimHeader>,
    /// Whether `x-amzn-oidc-accesstoken` is sent.
    pub sends_access_token: bool,
    pub protected: ProtectedHeaders,
    /// `/oauth2`
    pub prefix: String,
    pub return_places: ReturnPlaces,
    pub pages: Pages,
    pub known: KnownSessions,
    pub known_tokens: KnownTokens,
    pub renewals: Renewals,
    pub address_limits: AddressLimits,
    /// What authorities that make certificates are about to ask for.
    pub http_challenges: HttpChallenges,
    /// Session cookies of all rules: none of them reaches a target, whichever rule set it.
    pub cookies: Vec<SessionCookie>,
    /// Whether any visitor is kept with a target. Where nobody is, cookies of ALB's names belong to somebody else: a real one
    /// in front or behind.
    pub is_sticky: bool,
}

/// One listener's part of it.
pub struct ListenerRules {
    /// The address as configured: a label in metrics.
    pub name: String,
    pub scheme: Scheme,
    pub hosts: HostNames,
    pub forwarded: ForwardedSettings,
    pub rules: RuleTable<RuleActions>,
    pub response_headers: ResponseHeaders,
    /// The port that goes into `x-forwarded-port`.
    pub port: u16,
    pub per_address: PerAddress,
}

impl ListenerRules {
    /// Resources of which clients may learn where tokens come from.
    pub fn protected_resources(&self) -> impl Iterator<Item = &Arc<ProtectedResource>> {
        self.rules.all().filter_map(|rule| rule.bearer_tokens()?.resource.as_ref())
    }

    /// The rules that sign people in. A listener without any serves none of the endpoints.
    pub fn authenticating(&self) -> impl Iterator<Item = &Arc<Authenticate>> {
        self.rules.all().filter_map(|rule| rule.authenticate.as_ref()).flat_map(Authenticate::ways)
    }
}

impl Gateway {
    /// Takes over what a reload must not forget: who has signed out, which logins are done, who is known, which targets are up. What
    /// was judged by rules that may have changed (`known_tokens`) is not among it.
    pub fn inherit(&mut self, old: &Self, now: UnixTime) {
        self.generation = old.generation + 1;
        if let Some(authentication) = Arc::get_mut(&mut self.authentication) {
            authentication.ended = old.authentication.ended.clone();
            authentication.finished_logins = old.authentication.finished_logins.clone();
            authentication.used_logout_tokens = old.authentication.used_logout_tokens.clone();
            authentication.used_forms = old.authentication.used_forms.clone();
        }
        self.known = old.known.clone();
        self.renewals = old.renewals.clone();
        self.address_limits = old.address_limits.clone();
        self.http_challenges = old.http_challenges.clone();
        for group in &self.target_groups {
            if let Some(before) = old.target_groups.iter().find(|before| before.name == group.name) {
                group.inherit(before, now);
            }
        }
    }

    /// Whether a request is for a path of the gateway's own, which no rule sees.
    #[must_use]
    pub fn has_endpoint(&self, listener: &ListenerRules, request: &RequestView<'_>) -> bool {
        endpoints::find(self, listener, request).is_some()
    }

    /// How much of a request's body the gateway itself wants to read; `None` where it is none of its business.
    #[must_use]
    pub fn wants_body(&self, listener: &ListenerRules, request: &RequestView<'_>) -> Option<usize> {
        endpoints::find(self, listener, request)?.wants_body(request)
    }

    /// Whether a cookie is the gateway's own.
    #[must_use]
    pub fn owns_cookie(&self, name: &[u8]) -> bool {
        name == NONCE_COOKIE.as_bytes()
            || name == CHOICE_COOKIE.as_bytes()
            || self.cookies.iter().any(|cookie| cookie.owns(name))
            || (self.is_sticky && STICKINESS_COOKIES.iter().any(|cookie| cookie.as_bytes() == name))
    }

    /// The `Cookie` header for the target; `None` when nothing is left of it.
    #[must_use]
    pub fn target_cookies(&self, headers: &HeaderMap) -> Option<http::HeaderValue> {
        crate::message::cookies::without(headers, |name| self.owns_cookie(name))
    }
}

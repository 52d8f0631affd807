//! What a rule leads to.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::{ForwardAction, Redirect, Transforms};
use crate::authentication::{Authenticate, AuthenticationRequirements, BearerTokens, JwtValidation};
use crate::authorization::Policy;

/// The actions of a rule, compiled.
pub struct RuleActions {
    /// The priority, or `default`: a label in metrics.
    pub name: Arc<str>,
    pub priority: u32,
    pub authenticate: Option<Arc<Authenticate>>,
    /// Instead of that, never beside it.
    pub jwt_validation: Option<Arc<JwtValidation>>,
    /// Who of those that are signed in may pass; `None`: all of them.
    pub authorize: Option<Policy>,
    pub routing: RoutingAction,
    /// What a forwarded request is made into.
    pub transforms: Transforms,
}

impl RuleActions {
    /// What the rule asks of a bearer token, if it accepts any.
    #[must_use]
    pub fn bearer_tokens(&self) -> Option<&Arc<BearerTokens>> {
        let of_validation = self.jwt_validation.as_ref().map(|validation| &validation.tokens);
        of_validation.or_else(|| self.authenticate.as_ref()?.bearer_tokens.as_ref())
    }

    /// How and when people have to have signed in.
    #[must_use]
    pub fn requirements(&self) -> Option<&AuthenticationRequirements> {
        let of_validation = self.jwt_validation.as_ref().map(|validation| &validation.requirements);
        of_validation.or_else(|| Some(&self.authenticate.as_ref()?.requirements))
    }

    /// Whether a real preflight passes, bare.
    #[must_use]
    pub fn allows_cors_preflight(&self) -> bool {
        self.authenticate.as_ref().is_some_and(|authenticate| authenticate.allow_cors_preflight)
            || self.jwt_validation.as_ref().is_some_and(|validation| validation.allow_cors_preflight)
    }

    /// Whether the target is told who asks.
    #[must_use]
    pub fn tells_target(&self) -> bool {
        self.jwt_validation.as_ref().is_none_or(|validation| validation.identity_headers)
    }
}

/// The one routing action of a rule.
pub enum RoutingAction {
    Forward(ForwardAction),
    Redirect(Redirect),
    FixedResponse(FixedResponse),
}

impl RoutingAction {
    /// Whether visitors are kept with one of several target groups.
    #[must_use]
    pub fn is_sticky(&self) -> bool {
        matches!(self, Self::Forward(ForwardAction { stickiness: Some(_), .. }))
    }
}

/// An answer that the configuration spells out.
#[derive(Debug, Clone)]
pub struct FixedResponse {
    pub status: u16,
    pub content_type: HeaderValue,
    pub body: Bytes,
}

//! What a request without a valid session gets (ALB: `OnUnauthenticatedRequest`).

use http::{HeaderMap, Method};

use super::Presented;
use crate::message::RequestKind;

/// The mode of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnauthenticatedRequest {
    /// To the provider; 401 for what cannot follow a redirect.
    #[default]
    Authenticate,
    /// 401; but an expired or lost session sends a navigation to the provider, as ALB does.
    Deny,
    /// Passes without identity headers.
    Allow,
}

/// The answer of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Redirect,
    Refuse,
    PassAnonymously,
}

#[must_use]
pub fn decide(mode: OnUnauthenticatedRequest, presented: &Presented, kind: RequestKind) -> Decision {
    let redirects = match mode {
        OnUnauthenticatedRequest::Allow => return Decision::PassAnonymously,
        OnUnauthenticatedRequest::Authenticate => kind.follows_redirects(),
        OnUnauthenticatedRequest::Deny => matches!(presented, Presented::Expired(_) | Presented::Unknown(_)) && kind.follows_redirects(),
    };
    if redirects { Decision::Redirect } else { Decision::Refuse }
}

/// A preflight as the Fetch standard defines it. It carries no cookie, so that a rule which serves other origins has to
/// let it pass; asked for by name, because anybody can send one.
#[must_use]
pub fn is_cors_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key("origin") && headers.contains_key("access-control-request-method")
}

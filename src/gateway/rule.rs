//! What a rule leads to.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::{ForwardAction, Redirect, Transforms};
use crate::authentication::Authenticate;

/// The actions of a rule, compiled.
pub struct RuleActions {
    /// The priority, or `default`: a label in metrics.
    pub name: Arc<str>,
    pub priority: u32,
    pub authenticate: Option<Arc<Authenticate>>,
    pub routing: RoutingAction,
    /// What a forwarded request is made into.
    pub transforms: Transforms,
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

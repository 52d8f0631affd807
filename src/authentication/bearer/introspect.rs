//! Opaque tokens: the provider is asked (RFC 7662), not more than a few at a time, and not again at once about what it has refused.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::BearerError;
use crate::authentication::ProviderClient;
use crate::provider::{Moment, Provider, introspection_call, introspection_claims};

/// How a rule has opaque tokens judged.
#[derive(Debug, Clone)]
pub struct Introspection {
    /// An answer is believed at most this long, and never past the token's `exp`.
    pub max_age: Duration,
}

impl Introspection {
    pub(super) async fn ask(
        &self,
        provider: &Provider,
        client: &Arc<dyn ProviderClient>,
        token: &str,
        moment: Moment<'_>,
    ) -> Result<Map<String, Value>, BearerError> {
        let metadata = client.metadata().await.map_err(BearerError::Metadata)?;
        let endpoint = metadata.introspection_endpoint.as_deref().ok_or(BearerError::NoIntrospectionEndpoint)?;
        let call = introspection_call(provider, &metadata, endpoint, token, moment)?;
        let answer = client.call(call).await.map_err(BearerError::IntrospectionCall)?;
        introspection_claims(&answer).map_err(BearerError::Introspection)?.ok_or(BearerError::Inactive)
    }
}

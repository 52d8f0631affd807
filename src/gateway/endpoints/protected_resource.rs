//! `/.well-known/oauth-protected-resource`: OAuth 2.0 Protected Resource Metadata (RFC 9728 §3).

use http::HeaderValue;
use http::header::ACCESS_CONTROL_ALLOW_ORIGIN;

use crate::authentication::ProtectedResource;
use crate::gateway::Reply;

/// Public, and for clients in browsers too: it says what a 401 has said already.
pub(super) fn serve(resource: &ProtectedResource) -> Reply {
    Reply::public("application/json", resource.document().to_string()).with(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))
}

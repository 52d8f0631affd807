//! The head that a target would receive, made by the same code that makes it for a real request.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};
use pingora::Result;
use pingora::http::RequestHeader;

use super::context::RequestContext;
use super::forwarding;
use crate::clock::UnixTime;
use crate::gateway::{Forward, Gateway};
use crate::identity_headers::{ForwardedFor, trace_id};
use crate::message::{Authority, RequestTarget, Scheme};

/// A request that nobody has sent.
pub struct DryRun<'a> {
    pub method: &'a Method,
    pub authority: &'a Authority,
    pub target: &'a RequestTarget,
    pub headers: &'a HeaderMap,
    pub client: IpAddr,
    pub scheme: Scheme,
    pub port: u16,
    /// `X-Forwarded-For`, if the target gets one.
    pub forwarded_for: Option<String>,
}

impl DryRun<'_> {
    /// Names and values in the order in which they are sent.
    pub fn target_head(&self, gateway: &Arc<Gateway>, forward: Forward, now: UnixTime) -> Result<Vec<(String, String)>> {
        let mut original = RequestHeader::build(self.method.clone(), self.target.as_str().as_bytes(), Some(self.headers.len()))?;
        for (name, value) in self.headers {
            original.append_header(name.clone(), value.clone())?;
        }
        let mut context = RequestContext::new(gateway.clone(), now);
        context.authority = Some(self.authority.clone());
        context.target = Some(self.target.clone());
        let chain = self.forwarded_for.as_ref().and_then(|chain| HeaderValue::try_from(chain).ok());
        context.forwarded = Some(ForwardedFor { client: self.client, scheme: self.scheme, port: self.port, chain });
        context.trace_id = Some(trace_id(self.headers, now, [0; 12]));
        context.forward = Some(forward);
        let mut upstream = original.clone();
        forwarding::prepare(&original, &mut upstream, &context)?;
        Ok(upstream
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect())
    }
}

//! Pingora's phases, kept thin: read the request into one normal form, ask the gateway, forward or answer, write the log.

mod backlog;
mod connections;
mod context;
mod departures;
mod dry_run;
mod ending;
mod forms;
mod forwarding;
mod held_writes;
mod logging;
mod reading;
mod target_tls;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora::ErrorType::HTTPStatus;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::{Error, HttpPeer};
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::gateway::{Body, Exchange, Gateway, handle};
use crate::secret::Entropy;
use crate::telemetry::{AccessLog, Metrics};
use context::{Ledger, RequestContext};
pub use departures::{Departures, SWEEP};
pub use dry_run::DryRun;
pub use ending::EndingProxy;
pub use target_tls::TargetIdentities;

/// Everything that the phases need.
pub struct Proxy {
    /// One snapshot a request; a reload puts another one here.
    pub gateway: Arc<ArcSwap<Gateway>>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
    pub metrics: Arc<Metrics>,
    pub access_log: Arc<AccessLog>,
    pub target_identities: TargetIdentities,
    pub departures: Arc<Departures>,
}

#[async_trait]
impl ProxyHttp for Proxy {
    /// Boxed: pingora moves it from phase to phase.
    type CTX = Box<RequestContext>;

    fn new_ctx(&self) -> Box<RequestContext> {
        Box::new(RequestContext::new(self.gateway.load_full(), self.clock.now()))
    }

    /// Pingora's own default would bring a module that compresses nothing, and asks it of every piece of every answer.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut Box<RequestContext>) -> Result<()> {
        let (clock, metrics, access_log) = (self.clock.clone(), self.metrics.clone(), self.access_log.clone());
        context.begin(session, &self.entropy, Ledger { clock, metrics, access_log });
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Box<RequestContext>) -> Result<bool> {
        let now = context.created_at;
        let gateway = context.gateway.clone();
        if let Err(error) = reading::read(session, context) {
            let reply = reading::refuse(session, context, error);
            writing::write(session, context, reply).await?;
            return Ok(true);
        }
        let wanted = reading::view(session, context, &gateway).and_then(|(request, listener)| gateway.wants_body(listener, &request));
        let body = match wanted {
            Some(limit) => reading::body(session, limit).await,
            None => Body::Unread,
        };
        let record = std::mem::take(&mut context.record);
        let Some((request, listener)) = reading::view(session, context, &gateway) else {
            return Err(Error::explain(pingora::ErrorType::InternalError, "a connection without a listener"));
        };
        // Where a body has been read, that is not what the provider took.
        let started = if wanted.is_some() { Instant::now() } else { context.started };
        let connection = reading::unshared_connection(context, listener);
        let mut exchange = Exchange {
            gateway: &gateway,
            listener,
            request: &request,
            now,
            body,
            record,
            connection,
            set_cookies: Vec::new(),
            keeps_form: None,
        };
        let decision = handle(&mut exchange).await;
        let (mut record, keeps_form) = (exchange.record, exchange.keeps_form);
        if record.masks_query || record.outcome == Some("redirected") {
            record.authentication_time = Some(started.elapsed());
        }
        if let Some(target) = record.resent.take() {
            context.target = Some(*target);
        }
        context.record = record;
        match decision {
            Ok(forward) => {
                context.forward = Some(forward);
                Ok(false)
            }
            Err(reply) => {
                let reply = match keeps_form {
                    Some(rule) => forms::keep(session, context, rule, reply, now).await,
                    None => reply,
                };
                writing::write(session, context, reply).await?;
                Ok(true)
            }
        }
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        context: &mut Box<RequestContext>,
    ) -> Result<()> {
        if reading::count_body(body.as_ref(), context).is_err() {
            return Err(Error::explain(HTTPStatus(413), "the body is larger than limits.body_bytes").into_down());
        }
        if let Some(form) = context.resent() {
            forms::replace(form, body, end_of_stream);
        }
        Ok(())
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Box<RequestContext>) -> Result<Box<HttpPeer>> {
        context.in_flight = None;
        let mut peer = forwarding::peer(context, &self.target_identities, &self.entropy, self.clock.now())?;
        if let (Some(forward), Some(outstanding)) = (&context.forward, &context.outstanding) {
            context.in_flight =
                Some(self.departures.begins(&forward.target_group, outstanding, context.ending.clone(), context.may_hold()));
        }
        if session.is_upgrade_req() {
            forwarding::hold_writes(&mut peer);
        }
        Ok(peer)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        context: &mut Box<RequestContext>,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if let Some(forward) = &context.forward {
            self.metrics.connect_error(&forward.target_group.name);
            if let Some(outstanding) = &context.outstanding {
                outstanding.target().health.refused(self.clock.now());
                context.tried.push(outstanding.index);
            }
            // Nothing has been sent yet: the next target may have it, whatever the method.
            error.set_retry(context.attempts < forward.target_group.targets.len().min(forwarding::MAX_ATTEMPTS));
        }
        error
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::unix::io::RawFd,
        _digest: Option<&Digest>,
        context: &mut Box<RequestContext>,
    ) -> Result<()> {
        context.was_connected = true;
        // A connection of before says nothing about whether the target takes new ones.
        if let Some(outstanding) = context.outstanding.as_ref().filter(|_| !reused) {
            outstanding.target().health.connected();
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        context: &mut Box<RequestContext>,
    ) -> Result<()> {
        forwarding::prepare(session.req_header(), upstream, context)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Box<RequestContext>,
    ) -> Result<()> {
        forwarding::inspect_response(session, response, context, &*self.clock)?;
        ending::watch(session, response, context, &self.clock);
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        context: &mut Box<RequestContext>,
    ) -> Result<Option<Duration>> {
        context.ending.backlog.note(body.as_ref().map_or(0, Bytes::len), session.body_bytes_sent());
        Ok(None)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        context: &mut Box<RequestContext>,
    ) -> Result<Option<Duration>> {
        context.sent += body.as_ref().map_or(0, Bytes::len);
        context.ending.backlog.note(0, session.body_bytes_sent());
        Ok(None)
    }

    fn upstream_response_trailer_filter(
        &self,
        _session: &mut Session,
        trailers: &mut HeaderMap,
        _context: &mut Box<RequestContext>,
    ) -> Result<()> {
        forwarding::inspect_trailers(trailers);
        Ok(())
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Box<RequestContext>) -> FailToProxy {
        forms::target_failed(context).await;
        writing::target_failed(session, error, context).await
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, context: &mut Box<RequestContext>) {
        context.ledger = None;
        let entry = logging::entry(session, context, self.clock.now_in_microseconds());
        self.metrics.request(&entry);
        self.access_log.write(&entry);
        context.end();
    }
}

//! What is remembered of a request from one phase to the next.

use std::sync::Arc;
use std::time::Duration;

use pingora::proxy::Session;
use tokio::time::Instant;

use super::ending::LastLine;
use crate::clock::UnixTime;
use crate::gateway::{Forward, Gateway, Outstanding, Record};
use crate::identity_headers::ForwardedFor;
use crate::listener::{ClientStream, HeadDeadline};
use crate::message::{Authority, ConnectionInfo, RequestTarget, hex};
use crate::secret::Entropy;

/// One request.
pub struct RequestContext {
    pub(super) gateway: Arc<Gateway>,
    pub(super) started: Instant,
    pub(super) created_at: UnixTime,
    pub(super) request_id: String,
    pub(super) connection: Option<Arc<ConnectionInfo>>,
    deadline: Option<Arc<HeadDeadline>>,
    is_http1: bool,
    pub(super) authority: Option<Authority>,
    pub(super) target: Option<RequestTarget>,
    pub(super) forwarded: Option<ForwardedFor>,
    pub(super) trace_id: Option<http::HeaderValue>,
    pub(super) record: Record,
    pub(super) forward: Option<Forward>,
    pub(super) attempts: usize,
    /// The target that has the request.
    pub(super) outstanding: Option<Outstanding>,
    /// Targets to which no connection came about.
    pub(super) tried: Vec<usize>,
    pub(super) target_name: Option<String>,
    pub(super) target_started: Option<Instant>,
    pub(super) target_time: Option<Duration>,
    pub(super) target_status: Option<u16>,
    pub(super) status: Option<u16>,
    pub(super) last_line: Option<LastLine>,
}

impl RequestContext {
    pub(super) fn new(gateway: Arc<Gateway>, created_at: UnixTime) -> Self {
        Self {
            gateway,
            started: Instant::now(),
            created_at,
            request_id: String::new(),
            connection: None,
            deadline: None,
            is_http1: true,
            authority: None,
            target: None,
            forwarded: None,
            trace_id: None,
            record: Record::default(),
            forward: None,
            attempts: 0,
            outstanding: None,
            tried: Vec::new(),
            target_name: None,
            target_started: None,
            target_time: None,
            target_status: None,
            status: None,
            last_line: None,
        }
    }

    /// The head is here: the clock for it stops, the one for the request starts.
    pub(super) fn begin(&mut self, session: &mut Session, entropy: &Entropy) {
        // RFC 9112 §9.3.2. Off, the first of two requests in one segment would be refused for the second. Each still goes through
        // every phase, and a body that is not read still ends the connection.
        session.set_pipelining_enabled(true);
        self.started = Instant::now();
        self.is_http1 = !session.is_http2();
        let digest = session.digest().and_then(|digest| digest.proxy_digest.as_deref());
        if let Some(connection) = digest.and_then(ClientStream::connection) {
            connection.deadline.head_is_complete();
            self.connection = Some(connection.info.clone());
            self.deadline = Some(connection.deadline.clone());
        }
        // 64 bits: enough to find a line by, short enough to read out on the telephone.
        let random = entropy.bytes::<8>().unwrap_or_default();
        self.request_id = hex(&random);
    }

    /// The next byte on this connection belongs to another request.
    pub(super) fn end(&mut self) {
        self.outstanding = None;
        if let Some(deadline) = self.deadline.take().filter(|_| self.is_http1) {
            deadline.request_is_over();
        }
    }
}

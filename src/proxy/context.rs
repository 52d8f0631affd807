//! What is remembered of a request from one phase to the next.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use pingora::proxy::Session;
use tokio::time::Instant;

use super::backlog::MayHold;
use super::departures::InFlight;
use super::ending::Ending;
use super::logging;
use crate::clock::{Clock, UnixTime};
use crate::config::ListenerLimits;
use crate::gateway::{Forward, Gateway, ListenerRules, Outstanding, Record, Resent, TargetGroup};
use crate::identity_headers::ForwardedFor;
use crate::listener::{ClientStream, Note, Screening};
use crate::message::head::Tier;
use crate::message::{Authority, ConnectionInfo, RequestTarget, Scheme, hex};
use crate::secret::Entropy;
use crate::telemetry::{AccessLog, Metrics};

/// One request.
pub struct RequestContext {
    pub(super) gateway: Arc<Gateway>,
    pub(super) started: Instant,
    pub(super) created_at: UnixTime,
    pub(super) request_id: String,
    pub(super) connection: Option<Arc<ConnectionInfo>>,
    pub(super) limits: ListenerLimits,
    pub(super) screening: Option<Arc<Screening>>,
    /// What the screen of the connection has to say of this request.
    pub(super) note: Note,
    /// Over HTTP/2, where content needs no header that says so.
    pub(super) has_body_without_length: bool,
    /// Octets of the request's body so far.
    pub(super) received: u64,
    pub(super) authority: Option<Authority>,
    pub(super) target: Option<RequestTarget>,
    pub(super) forwarded: Option<ForwardedFor>,
    pub(super) trace_random: [u8; 12],
    pub(super) trace_id: Option<http::HeaderValue>,
    pub(super) record: Record,
    pub(super) forward: Option<Forward>,
    pub(super) attempts: usize,
    /// A target may have something of the request.
    pub(super) was_connected: bool,
    /// The target that has the request.
    pub(super) outstanding: Option<Outstanding>,
    /// Targets to which no connection came about.
    pub(super) tried: Vec<usize>,
    /// The group and the position in it of the target that was asked last.
    pub(super) asked: Option<(Arc<TargetGroup>, usize)>,
    pub(super) target_started: Option<Instant>,
    pub(super) target_time: Option<Duration>,
    pub(super) target_status: Option<u16>,
    pub(super) status: Option<u16>,
    /// Bytes of the answer's body.
    pub(super) sent: usize,
    pub(super) ending: Arc<Ending>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) seen: Seen,
    /// Where the line of a request goes that is dropped before its end; `None` once it has been written.
    pub(super) ledger: Option<Ledger>,
}

/// Of the request's head, for the log.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) method: http::Method,
    pub(super) version: http::Version,
    pub(super) user_agent: Option<http::HeaderValue>,
}

/// Everything that a line is written to.
pub(super) struct Ledger {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) access_log: Arc<AccessLog>,
}

impl RequestContext {
    pub(super) fn new(gateway: Arc<Gateway>, created_at: UnixTime) -> Self {
        Self {
            gateway,
            started: Instant::now(),
            created_at,
            request_id: String::new(),
            connection: None,
            limits: ListenerLimits::default(),
            screening: None,
            note: Note::default(),
            has_body_without_length: false,
            received: 0,
            authority: None,
            target: None,
            forwarded: None,
            trace_random: [0; 12],
            trace_id: None,
            record: Record::default(),
            forward: None,
            attempts: 0,
            was_connected: false,
            outstanding: None,
            tried: Vec::new(),
            asked: None,
            target_started: None,
            target_time: None,
            target_status: None,
            status: None,
            sent: 0,
            ending: Ending::of_this_request(),
            in_flight: None,
            seen: Seen::default(),
            ledger: None,
        }
    }

    /// What is known of every request, good or bad.
    pub(super) fn begin(&mut self, session: &mut Session, entropy: &Entropy, ledger: Ledger) {
        let head = session.req_header();
        let user_agent = head.headers.get(http::header::USER_AGENT).cloned();
        self.seen = Seen { method: head.method.clone(), version: head.version, user_agent };
        self.ledger = Some(ledger);
        // RFC 9112 §9.3.2. Off, the first of two requests in one segment would be refused for the second. Each still goes through
        // every phase, and a body that is not read still ends the connection.
        session.set_pipelining_enabled(true);
        let is_http1 = !session.is_http2();
        self.has_body_without_length = !is_http1 && !session.downstream_session.is_body_empty();
        let digest = session.digest().and_then(|digest| digest.proxy_digest.as_deref());
        if let Some(connection) = digest.and_then(ClientStream::connection) {
            self.connection = Some(connection.info.clone());
            self.limits = connection.limits;
            if is_http1 {
                self.note = connection.screening.next();
                self.screening = Some(connection.screening.clone());
            }
        }
        // Of HTTP/1.1 the connection itself sees to it. A window of HTTP/2 that stays closed would keep the target's connection for good.
        if !is_http1 {
            session.set_write_timeout(Some(self.limits.send_timeout));
        }
        let idle = self.limits.idle_timeout.as_secs().max(1);
        let kept = session.get_keepalive().map(|_| idle);
        // An ALB, too, ends the connection after a request that others may read in another way.
        let closes = self.note.refused.is_some() || self.note.oddity.is_some_and(|oddity| oddity.tier() > Tier::Acceptable);
        session.set_keepalive(kept.filter(|_| !closes));
        // 64 bits: enough to find a line by, short enough to read out on the telephone.
        let random = random(entropy);
        let (id, trace) = random.split_at(8);
        self.request_id = hex(id);
        self.trace_random.copy_from_slice(trace);
    }

    /// Where the request came in.
    pub(super) fn listener(&self) -> Option<&ListenerRules> {
        self.gateway.listeners.get(self.connection.as_ref()?.listener)
    }

    /// What its clients may leave untaken.
    pub(super) fn may_hold(&self) -> MayHold {
        let listener = self.connection.as_ref().map_or(0, |connection| connection.listener);
        MayHold { listener, octets: self.limits.unsent_bytes, time: self.limits.send_timeout }
    }

    /// The one that has the request, or the last one that could not be had.
    pub(super) fn target_name(&self) -> Option<&str> {
        let (group, index) = self.asked.as_ref()?;
        Some(&group.targets.get(*index)?.name)
    }

    /// How the visitor speaks, as far as that is known.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        self.forwarded.as_ref().map(|forwarded| forwarded.scheme).or_else(|| Some(self.listener()?.scheme))
    }

    /// What goes to the target in place of the body that came.
    pub(super) fn resent(&self) -> Option<&Resent> {
        self.forward.as_ref()?.resent.as_deref()
    }

    /// The next byte on this connection belongs to another request.
    pub(super) fn end(&mut self) {
        self.outstanding = None;
        self.in_flight = None;
        if let Some(screening) = self.screening.take() {
            screening.is_over();
        }
    }
}

/// For what everybody may see, and must not come twice: asked of the source for some requests at once.
fn random(entropy: &Entropy) -> [u8; 20] {
    thread_local! {
        static AHEAD: RefCell<([u8; 1000], usize)> = const { RefCell::new(([0; 1000], 1000)) };
    }
    AHEAD.with_borrow_mut(|(octets, at)| {
        if *at == octets.len() {
            (*octets, *at) = (entropy.bytes().unwrap_or([0; 1000]), 0);
        }
        *at += 20;
        octets[*at - 20..*at].try_into().unwrap_or_default()
    })
}

/// A request whose work was ended from within (`ending`) comes to no further phase, and has its line all the same.
impl Drop for RequestContext {
    fn drop(&mut self) {
        let Some(Ledger { clock, metrics, access_log }) = self.ledger.take().filter(|_| self.asked.is_some()) else { return };
        self.record.error_reason = self.ending.reason().or(self.record.error_reason);
        let entry = logging::of_dropped(self, clock.now_in_microseconds());
        metrics.request(&entry);
        access_log.write(&entry);
    }
}

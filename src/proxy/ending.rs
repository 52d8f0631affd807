//! What was opened with a session does not outlive it (threats W02, W06): sockets, event streams, every answer of which nobody says
//! how long it is. They end within five seconds of the end of the session.
//!
//! A download goes on: an answer with a length, or that is to be saved as a file. So does an upload, and an answer that has not begun:
//! its request was allowed, and `timeouts.response` bounds it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH};
use http::{Method, StatusCode};
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::proxy::{HttpProxy, Session};
use pingora::server::ShutdownWatch;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::context::RequestContext;
use super::{Proxy, logging};
use crate::clock::Clock;
use crate::telemetry::{AccessLog, Entry, Metrics};

/// The proxy, whose work on one request can be ended from within. Pingora has no place of its own where a request that waits for
/// its target could be told to stop; with HTTP/2 its connection has to go on for the others.
pub struct EndingProxy(Arc<HttpProxy<Proxy>>);

impl EndingProxy {
    #[must_use]
    pub fn new(proxy: HttpProxy<Proxy>) -> Self {
        Self(Arc::new(proxy))
    }
}

#[async_trait]
impl HttpServerApp for EndingProxy {
    async fn process_new_http(self: &Arc<Self>, session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        let ending = Arc::<Ending>::default();
        let work = ENDING.scope(ending.clone(), self.0.process_new_http(session, shutdown));
        tokio::select! {
            biased;
            done = work => done,
            // What is dropped here closes a connection of HTTP/1.1 and resets a stream of HTTP/2: never a clean end.
            () = ending.has_come() => None,
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.0.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        HttpServerApp::server_options(&*self.0)
    }

    async fn http_cleanup(&self) {
        self.0.http_cleanup().await;
    }
}

type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Of one request: set by the phases, waited for around them.
#[derive(Default)]
struct Ending {
    end: Mutex<Option<End>>,
    set: Notify,
}

impl Ending {
    fn comes_with(&self, end: impl Future<Output = ()> + Send + 'static) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(end));
        self.set.notify_one();
    }

    async fn has_come(&self) {
        self.set.notified().await;
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        match end {
            Some(end) => end.await,
            None => std::future::pending().await,
        }
    }
}

tokio::task_local! {
    static ENDING: Arc<Ending>;
}

/// Called when the target's answer begins. Where nobody is signed in, it may go on.
pub(super) fn watch(session: &Session, response: &ResponseHeader, context: &mut RequestContext, proxy: &Proxy) {
    let Some(term) = context.forward.as_ref().and_then(|forward| forward.session) else { return };
    if !may_be_endless(&session.req_header().method, response) {
        return;
    }
    let Ok(ending) = ENDING.try_with(Arc::clone) else { return };
    let (gateway, clock) = (context.gateway.clone(), proxy.clock.clone());
    ending.comes_with(async move {
        loop {
            sleep(INTERVAL).await;
            if gateway.authentication.over(term, clock.now()).is_some() {
                return;
            }
        }
    });
    context.last_line = Some(LastLine::new(session, response, context, proxy));
}

fn may_be_endless(method: &Method, response: &ResponseHeader) -> bool {
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        return true;
    }
    let has_none = response.status.is_informational() || matches!(response.status.as_u16(), 204 | 205 | 304) || *method == Method::HEAD;
    let is_file = response.headers.get(CONTENT_DISPOSITION).is_some_and(|value| {
        let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"attachment")
    });
    !has_none && !is_file && !response.headers.contains_key(CONTENT_LENGTH)
}

/// The line of a request that is dropped at the end of its session: no phase comes after that.
pub(super) struct LastLine(Option<Written>);

struct Written {
    entry: Entry,
    over: Box<dyn Fn() -> Option<&'static str> + Send + Sync>,
    started: tokio::time::Instant,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    access_log: Arc<AccessLog>,
}

impl LastLine {
    fn new(session: &Session, response: &ResponseHeader, context: &mut RequestContext, proxy: &Proxy) -> Self {
        let record = context.record.clone();
        let mut entry = logging::entry(session, context, 0);
        context.record = record;
        entry.status = response.status.as_u16();
        let (gateway, clock) = (context.gateway.clone(), proxy.clock.clone());
        let term = context.forward.as_ref().and_then(|forward| forward.session);
        let over = move || gateway.authentication.over(term?, clock.now()).map(crate::authentication::SessionOver::reason);
        Self(Some(Written {
            entry,
            over: Box::new(over),
            started: context.started,
            clock: proxy.clock.clone(),
            metrics: proxy.metrics.clone(),
            access_log: proxy.access_log.clone(),
        }))
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        if let Some(written) = &mut self.0 {
            written.entry.sent_bytes += bytes;
        }
    }

    /// The line is written as that of any other request.
    pub(super) fn discard(mut self) {
        self.0 = None;
    }
}

impl Drop for LastLine {
    fn drop(&mut self) {
        let Some(Written { mut entry, over, started, clock, metrics, access_log }) = self.0.take() else { return };
        entry.record.error_reason = over();
        entry.elapsed = started.elapsed();
        entry.finished_at = clock.now_in_microseconds();
        metrics.request(&entry);
        access_log.write(&entry);
    }
}

/// The end comes within five seconds of that of the session; this leaves room for a machine under load.
const INTERVAL: Duration = Duration::from_secs(2);

//! What was opened with a session does not outlive it (threats W02, W06): sockets, event streams, every answer of which nobody says
//! how long it is. They end within five seconds of the end of the session.
//!
//! A download goes on: an answer with a length, or that is to be saved as a file. So does an upload, and an answer that has not begun:
//! its request was allowed, and `timeouts.response` bounds it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use atomic_waker::AtomicWaker;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH};
use http::{Method, StatusCode};
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::proxy::{HttpProxy, Session};
use pingora::server::ShutdownWatch;
use tokio::time::sleep;

use super::Proxy;
use super::backlog::Backlog;
use super::context::RequestContext;
use crate::clock::Clock;
use crate::config::ListenerLimits;
use crate::listener::Idle;

/// The proxy, whose work on one request can be ended from within. Pingora has no place of its own where a request that waits for
/// its target could be told to stop; with HTTP/2 its connection has to go on for the others.
pub struct EndingProxy {
    proxy: Arc<HttpProxy<Proxy>>,
    server_options: HttpServerOptions,
    h2_options: H2Options,
    pub(super) idle: Arc<Idle>,
}

impl EndingProxy {
    /// For one listener.
    #[must_use]
    pub fn new(proxy: Arc<HttpProxy<Proxy>>, limits: &ListenerLimits) -> Self {
        let mut server_options = HttpServerOptions::default();
        server_options.h2_idle_timeout = Some(limits.idle_timeout);
        let mut h2_options = default_h2_options();
        h2_options.max_concurrent_streams(limits.http2.concurrent_streams);
        h2_options.max_header_list_size(u32::try_from(limits.head.bytes).unwrap_or(u32::MAX));
        h2_options.data_frame_budget(SMALL_FRAMES);
        Self { proxy, server_options, h2_options, idle: Arc::default() }
    }
}

#[async_trait]
impl HttpServerApp for EndingProxy {
    async fn process_new_http(self: &Arc<Self>, session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        let ending = Arc::<Ending>::default();
        let work = ENDING.scope(ending.clone(), self.proxy.process_new_http(session, shutdown));
        tokio::select! {
            biased;
            done = work => done,
            // What is dropped here closes a connection of HTTP/1.1 and resets a stream of HTTP/2: never a clean end.
            () = poll_fn(|context| ending.poll_end(context)) => None,
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.h2_options.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.server_options)
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

type End = Pin<Box<dyn Future<Output = &'static str> + Send>>;

/// Of one request: set by the phases and from outside, waited for around them. It is asked at every step of every request, and so it is
/// one atomic that hardly ever changes.
#[derive(Default)]
pub(super) struct Ending {
    state: AtomicU8,
    waker: AtomicWaker,
    end: Mutex<Option<End>>,
    reason: OnceLock<&'static str>,
    /// What its client has not taken yet.
    pub(super) backlog: Backlog,
}

/// Until something is set there is nothing to wait for.
const UNSET: u8 = 0;
/// There is a future to wait for.
const AWAITED: u8 = 1;
/// It has come.
const NOW: u8 = 2;

impl Ending {
    /// That of the request whose work this is.
    pub(super) fn of_this_request() -> Arc<Self> {
        ENDING.try_with(Arc::clone).unwrap_or_default()
    }

    /// When `end` is done, with the reason that it gives.
    fn comes_with(&self, end: impl Future<Output = &'static str> + Send + 'static) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(end));
        self.state.fetch_max(AWAITED, Ordering::AcqRel);
        self.waker.wake();
    }

    pub(super) fn comes_now(&self, reason: &'static str) {
        let _ = self.reason.set(reason);
        self.state.store(NOW, Ordering::Release);
        self.waker.wake();
    }

    /// Why the work was dropped, for the log.
    pub(super) fn reason(&self) -> Option<&'static str> {
        self.reason.get().copied()
    }

    fn poll_end(&self, context: &mut Context<'_>) -> Poll<()> {
        // First registered, then looked at: what is set in between wakes.
        self.waker.register(context.waker());
        match self.state.load(Ordering::Acquire) {
            UNSET => Poll::Pending,
            AWAITED => {
                let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(end) = end.as_mut() else { return Poll::Pending };
                let reason = ready!(end.as_mut().poll(context));
                let _ = self.reason.set(reason);
                Poll::Ready(())
            }
            _ => Poll::Ready(()),
        }
    }
}

tokio::task_local! {
    static ENDING: Arc<Ending>;
}

/// Called when the target's answer begins. Where nobody is signed in, it may go on.
pub(super) fn watch(session: &Session, response: &ResponseHeader, context: &RequestContext, clock: &Arc<dyn Clock>) {
    let Some(term) = context.forward.as_ref().and_then(|forward| forward.session) else { return };
    if !may_be_endless(&session.req_header().method, response) {
        return;
    }
    let (gateway, clock) = (context.gateway.clone(), clock.clone());
    context.ending.comes_with(async move {
        loop {
            sleep(INTERVAL).await;
            if let Some(over) = gateway.authentication.over_anywhere(term, clock.now()).await {
                return over.reason();
            }
        }
    });
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

/// The end comes within five seconds of that of the session; this leaves room for a machine under load.
const INTERVAL: Duration = Duration::from_secs(2);
/// What small DATA frames that wait to be read may cost a connection, in bytes beyond what they carry. The library's own limit ends a
/// connection, with every call on it, after about a hundred messages of a gRPC stream that arrive at once.
const SMALL_FRAMES: usize = 1024 * 1024;

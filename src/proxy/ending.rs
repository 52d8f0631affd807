//! What was opened with a session does not outlive it (threats W02, W06): sockets, event streams, every answer of which nobody says
//! how long it is. They end within five seconds of the end of the session.
//!
//! A download goes on: an answer with a length, or that is to be saved as a file. So does an upload, and an answer that has not begun:
//! its request was allowed, and `timeouts.response` bounds it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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

use super::Proxy;
use super::context::RequestContext;
use crate::clock::Clock;

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

type End = Pin<Box<dyn Future<Output = &'static str> + Send>>;

/// Of one request: set by the phases and from outside, waited for around them.
#[derive(Default)]
pub(super) struct Ending {
    end: Mutex<Option<End>>,
    set: Notify,
    now: Notify,
    reason: OnceLock<&'static str>,
}

impl Ending {
    /// That of the request whose work this is.
    pub(super) fn of_this_request() -> Arc<Self> {
        ENDING.try_with(Arc::clone).unwrap_or_default()
    }

    /// When `end` is done, with the reason that it gives.
    fn comes_with(&self, end: impl Future<Output = &'static str> + Send + 'static) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(end));
        self.set.notify_one();
    }

    pub(super) fn comes_now(&self, reason: &'static str) {
        let _ = self.reason.set(reason);
        self.now.notify_one();
    }

    /// Why the work was dropped, for the log.
    pub(super) fn reason(&self) -> Option<&'static str> {
        self.reason.get().copied()
    }

    async fn has_come(&self) {
        let of_session = async {
            self.set.notified().await;
            let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take();
            match end {
                Some(end) => end.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = of_session => drop(self.reason.set(reason)),
            () = self.now.notified() => {}
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

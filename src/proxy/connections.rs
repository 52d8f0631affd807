//! A connection from its first request to its last (docs/decisions/0010).

use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::{HttpPersistentSettings, HttpServerApp as _, ServerApp as _};
use pingora::protocols::Shutdown as _;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;

use super::EndingProxy;
use crate::listener::{ClientStream, Serve};

#[async_trait]
impl Serve for EndingProxy {
    async fn serve(self: Arc<Self>, stream: ClientStream, shutdown: &ShutdownWatch) {
        if stream.is_h2() {
            self.process_new(Box::new(stream), shutdown).await;
        } else {
            self.serve_http1(Box::new(stream), shutdown).await;
        }
    }

    async fn close_idle(&self) {
        self.idle.close();
        self.http_cleanup().await;
    }
}

impl EndingProxy {
    /// One request after the other. Pingora's own loop waits for each with all that a request needs, 25 KB of it; this one waits with
    /// nothing (docs/decisions/0010).
    async fn serve_http1(self: Arc<Self>, mut stream: Box<ClientStream>, shutdown: &ShutdownWatch) {
        let member = self.idle.join();
        let mut settings: Option<HttpPersistentSettings> = None;
        loop {
            let mut head = None;
            if !stream.has_untaken() {
                head = stream.next_head(&member).await;
                if head.is_none() {
                    stream.shutdown().await;
                    return;
                }
            }
            let mut session = ServerSession::new_http1(stream);
            match settings.take() {
                Some(settings) => settings.apply_to_session(&mut session),
                // For how long is said by each request (`context`).
                None => session.set_keepalive(Some(1)),
            }
            if let Some(head) = head {
                session.set_pipelined_prefix(head);
            }
            let Some(reused) = self.process_new_http(session, shutdown).await else { return };
            let (kept, kept_settings) = reused.consume();
            let Ok(same) = kept.into_any().downcast() else { return };
            (stream, settings) = (same, kept_settings);
        }
    }
}

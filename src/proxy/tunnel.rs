//! A socket that was opened with a session does not outlive it (threat W02).

use std::sync::Arc;
use std::time::Duration;

use pingora::proxy::Session;
use tokio::time::sleep;

use super::context::RequestContext;
use crate::clock::Clock;
use crate::listener::ClientStream;

/// Called when the target has switched protocols. Where nobody is signed in, the socket may stay open.
pub(super) fn watch(session: &Session, context: &RequestContext, clock: &Arc<dyn Clock>) {
    let Some(term) = context.forward.as_ref().and_then(|forward| forward.session) else { return };
    let digest = session.digest().and_then(|digest| digest.proxy_digest.as_deref());
    let Some(connection) = digest.and_then(ClientStream::connection) else { return };
    let (gateway, clock) = (context.gateway.clone(), clock.clone());
    connection.tunnel.ends_with(async move {
        while gateway.authentication.over(term, clock.now()).is_none() {
            sleep(INTERVAL).await;
        }
    });
}

/// A socket is closed within five seconds of the end of its session; this leaves room for a machine under load.
const INTERVAL: Duration = Duration::from_secs(2);

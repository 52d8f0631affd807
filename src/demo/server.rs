//! Serving that ends: open connections are finished, idle ones are not waited for.

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Serves until `shutdown` is done and the requests at hand are answered, for which they have two seconds. A browser
/// opens connections that it may never use; without the limit one of them could hold up the end for as long as it likes.
pub(super) async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let (announce, announced) = oneshot::channel();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        // Nobody listens any more only when the server has ended already.
        let _ = announce.send(());
    });
    let limit = async {
        if announced.await.is_ok() {
            tokio::time::sleep(GRACE).await;
        }
    };
    tokio::select! {
        ended = server => ended,
        () = limit => Ok(()),
    }
}

const GRACE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpStream;
    use std::time::Duration;

    use axum::Router;
    use tokio::net::TcpListener;

    use super::serve;

    #[tokio::test]
    async fn an_unused_connection_does_not_hold_up_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, Router::new(), async {
            let _ = stopped.await;
        }));
        let mut half_a_request = TcpStream::connect(address).unwrap();
        half_a_request.write_all(b"GET / HT").unwrap();
        stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(20), server).await.unwrap().unwrap().unwrap();
    }
}

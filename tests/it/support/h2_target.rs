//! An application that speaks HTTP/2 only (gRPC, h2c), and a client that hears trailers. Both by the `h2` library.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use super::certificates::{APP, certificates};
use super::gateway::Gateway;

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
    /// Certificates that the gateway has shown.
    pub(crate) client_certificates: usize,
}

impl Seen {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(|value| value.to_str().ok())
    }
}

pub(crate) struct Http2Target {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    /// Its end is the end of every connection.
    _runtime: tokio::runtime::Runtime,
}

impl Http2Target {
    /// In the clear, with prior knowledge.
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// By ALPN.
    pub(crate) fn start_tls(config: &ServerConfig) -> Self {
        let mut config = config.clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::start_with(Some(Arc::new(config)))
    }

    fn start_with(tls: Option<Arc<ServerConfig>>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let socket = super::wire::listen();
        let port = socket.local_addr().unwrap().port();
        socket.set_nonblocking(true).unwrap();
        let (seen, connections) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(AtomicUsize::new(0)));
        let (recorded, counted) = (seen.clone(), connections.clone());
        runtime.spawn(async move {
            let listener = TcpListener::from_std(socket).unwrap();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                counted.fetch_add(1, Ordering::SeqCst);
                let (recorded, tls) = (recorded.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, 0, recorded).await,
                        Some(config) => {
                            let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await else { return };
                            let shown = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
                            serve(stream, shown, recorded).await;
                        }
                    }
                });
            }
        });
        Self { port, seen, connections, _runtime: runtime }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests for paths that begin so.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path.starts_with(path)).cloned().collect()
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, client_certificates: usize, seen: Arc<Mutex<Vec<Seen>>>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, client_certificates, seen.clone()));
    }
}

/// `x-trailer` says a trailer of the answer. `/AWS.ALB/healthcheck` is a method that does not exist; any other call has one message and the status 0. With `x-together` it is answered when
/// so many are here.
async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    client_certificates: usize,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(data)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(data.len());
        body.extend(data);
    }
    let trailers = stream.trailers().await.ok().flatten().unwrap_or_default();
    let authority = head.uri.authority().map(ToString::to_string).unwrap_or_default();
    let (path, fields) = (head.uri.path().to_owned(), head.headers);
    let together = fields.get("x-together").and_then(|count| count.to_str().ok()?.parse::<usize>().ok());
    let asked_trailer = fields.get("x-trailer").cloned();
    let unknown = path == "/AWS.ALB/healthcheck";
    seen.lock().unwrap().push(Seen { authority, path, fields, body: body.clone(), trailers, client_certificates });
    if let Some(together) = together {
        let arrived = || seen.lock().unwrap().iter().filter(|seen| seen.fields.contains_key("x-together")).count();
        let _ = tokio::time::timeout(Duration::from_secs(10), async {
            while arrived() < together {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    let status = if unknown { "12" } else { "0" };
    let mut trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), status.parse().unwrap())]);
    if let Some((name, value)) = asked_trailer.as_ref().and_then(|asked| asked.to_str().ok()?.split_once(": ")) {
        trailers.insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    let response = Response::builder().header("content-type", "application/grpc");
    if unknown {
        let _ = respond.send_response(response.header("grpc-status", status).body(()).unwrap(), true);
        return;
    }
    let Ok(mut stream) = respond.send_response(response.body(()).unwrap(), false) else { return };
    let _ = stream.send_data(Bytes::from(body), false);
    let _ = stream.send_trailers(trailers);
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

/// Calls at the same time on one connection to the gateway, each with a body and trailers.
pub(crate) fn calls(
    gateway: &Gateway,
    path: &str,
    fields: &[(&str, &str)],
    trailers: &[(&'static str, &str)],
    count: usize,
) -> Vec<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(certificates().client(b"h2"));
        let stream = connector.connect(APP.try_into().unwrap(), stream).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut pending = Vec::new();
        for number in 0..count {
            let mut request = Request::post(gateway.url(path)).header("content-type", "application/grpc").header("te", "trailers");
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let mut client = client.clone().ready().await.unwrap();
            let (response, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
            body.send_data(Bytes::from(format!("message {number}")), trailers.is_empty()).unwrap();
            if !trailers.is_empty() {
                let trailers = trailers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
                body.send_trailers(trailers.collect()).unwrap();
            }
            pending.push(response);
        }
        let mut answers = Vec::new();
        for response in pending {
            answers.push(answer_to(response).await);
        }
        answers
    })
}

/// One request with a body of any size, on a connection of its own.
pub(crate) fn post(gateway: &Gateway, path: &str, fields: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(certificates().client(b"h2"));
        let stream = connector.connect(APP.try_into().unwrap(), stream).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::post(gateway.url(path)).header("content-length", body.len());
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut client = client.ready().await.unwrap();
        let (response, mut sending) = client.send_request(request.body(()).unwrap(), false).unwrap();
        sending.send_data(Bytes::from(body), true).unwrap();
        answer_to(response).await
    })
}

async fn answer_to(response: h2::client::ResponseFuture) -> Answer {
    let (head, mut stream) = response.await.unwrap().into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.unwrap();
        let _ = stream.flow_control().release_capacity(data.len());
        body.extend(data);
    }
    let trailers = stream.trailers().await.unwrap().unwrap_or_default();
    Answer { status: head.status.as_u16(), fields: head.headers, body, trailers }
}

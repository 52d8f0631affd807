//! How the authority is reached: the gateway's own TLS, limits and no proxy of the environment.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body::Body as _;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::clients::tls_roots::client_config;
use crate::gateway::AcmeOrder;

/// One authority.
pub(super) struct AcmeConnection(reqwest::Client);

impl AcmeConnection {
    pub(super) fn new(authorities: Option<&[u8]>) -> Result<Self, String> {
        let tls = client_config(authorities, None).map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("vestibule/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .build();
        http.map(Self).map_err(|error| error.to_string())
    }
}

/// What an authority says of itself; `Err` in words.
pub async fn ask_directory(order: &AcmeOrder) -> Result<String, String> {
    let connection = AcmeConnection::new(order.authorities.as_deref())?;
    let request = Request::get(order.directory_url.as_str()).body(BodyWrapper::default()).map_err(|error| error.to_string())?;
    let mut answer = exchange(&connection.0, request).await.map_err(|error| error.to_string())?;
    let body = answer.body.into_bytes().await.map_err(|error| error.to_string())?;
    let directory: serde_json::Value = serde_json::from_slice(&body).map_err(|_| "what answers is no ACME server".to_owned())?;
    if !answer.parts.status.is_success() || !directory["newOrder"].is_string() {
        return Err("what answers is no ACME server".to_owned());
    }
    let terms = directory["meta"]["termsOfService"].as_str().unwrap_or("none are named");
    Ok(format!("{} answers; terms of service: {terms}", order.directory_url))
}

impl HttpClient for AcmeConnection {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let http = self.0.clone();
        Box::pin(async move { exchange(&http, request).await.map_err(Error::Other) })
    }
}

async fn exchange(
    http: &reqwest::Client,
    request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, Box<dyn std::error::Error + Send + Sync>> {
    let (parts, mut body) = request.into_parts();
    let mut whole = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(frame) = frame;
        whole.extend(frame.into_data().unwrap_or_default());
    }
    let request = http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(whole.freeze());
    let mut response = request.send().await.map_err(|error| in_words(&error))?;
    let mut head = http::Response::new(());
    *head.status_mut() = response.status();
    *head.headers_mut() = std::mem::take(response.headers_mut());
    let mut content = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| in_words(&error))? {
        content.extend_from_slice(&piece);
        if content.len() > MAX_BODY_BYTES {
            return Err("the answer is larger than 1 MiB".into());
        }
    }
    Ok(BytesResponse { parts: head.into_parts().0, body: Box::new(content.freeze()) })
}

/// With its causes, which reqwest leaves out.
fn in_words(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

const MAX_BODY_BYTES: usize = 1024 * 1024;

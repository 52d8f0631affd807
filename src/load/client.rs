//! As much of a browser as a sign-in needs: one request after the other, cookies kept, nothing followed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::sync::Mutex;
use url::{Origin, Url};

use super::dial::{DialError, Dialer};
use super::people::Person;
use super::plan::Version;

/// What all people who sign in share: how origins are reached.
pub(super) struct Network {
    tls: Arc<ClientConfig>,
    /// The origin that is measured goes elsewhere than its name says.
    moved: Option<(Origin, (String, u16))>,
    timeout: Duration,
    dialers: Mutex<HashMap<Origin, Dialer>>,
}

/// One person's browser.
pub(super) struct Client<'a> {
    network: &'a Network,
    pub(super) person: Person,
    open: HashMap<Origin, http1::SendRequest<Full<Bytes>>>,
}

pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("the connection fails: {0}")]
    Connection(#[from] hyper::Error),
    #[error("the page is larger than {} MiB, or breaks off", LARGEST_PAGE >> 20)]
    Page,
    #[error("this cannot be asked for: {0}")]
    Request(#[from] http::Error),
}

impl Network {
    pub(super) fn new(tls: Arc<ClientConfig>, target: &Url, connect_to: Option<(String, u16)>, timeout: Duration) -> Self {
        let moved = connect_to.map(|address| (target.origin(), address));
        Self { tls, moved, timeout, dialers: Mutex::default() }
    }

    async fn dialer(&self, url: &Url) -> Result<Dialer, DialError> {
        let mut dialers = self.dialers.lock().await;
        if let Some(dialer) = dialers.get(&url.origin()) {
            return Ok(dialer.clone());
        }
        let elsewhere = self.moved.as_ref().filter(|(origin, _)| *origin == url.origin()).map(|(_, address)| address);
        let dialer = Dialer::of(url, elsewhere, &self.tls, Some(Version::Http1), self.timeout).await?;
        dialers.insert(url.origin(), dialer.clone());
        Ok(dialer)
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(network: &'a Network, person: Person) -> Self {
        Self { network, person, open: HashMap::new() }
    }

    /// Asks once, within the time for an answer.
    pub(super) async fn ask(&mut self, ask: &Ask<'_>) -> Result<Answer, ClientError> {
        let timeout = self.network.timeout;
        let answer = tokio::time::timeout(timeout, self.exchange(ask)).await.map_err(|_| ClientError::Timeout(timeout))??;
        self.person.cookies.keep(&answer.headers, ask.url);
        Ok(answer)
    }

    async fn exchange(&mut self, ask: &Ask<'_>) -> Result<Answer, ClientError> {
        let mut request = self.request(ask)?;
        let origin = ask.url.origin();
        // A connection that was kept may have ended meanwhile: what it did not take goes over a fresh one.
        if let Some(mut sender) = self.open.remove(&origin)
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => return self.read(response, origin, sender).await,
                Err(mut failed) => request = failed.take_message().ok_or(failed.into_error())?,
            }
        }
        let dialed = self.network.dialer(ask.url).await?.dial(0, self.network.timeout).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(dialed.stream)).await?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        self.read(response, origin, sender).await
    }

    async fn read(
        &mut self,
        response: http::Response<hyper::body::Incoming>,
        origin: Origin,
        sender: http1::SendRequest<Full<Bytes>>,
    ) -> Result<Answer, ClientError> {
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_PAGE).collect().await.map_err(|_| ClientError::Page)?.to_bytes();
        self.open.insert(origin, sender);
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, ClientError> {
        let authority = &ask.url[url::Position::BeforeHost..url::Position::AfterPort];
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(&ask.url[url::Position::BeforePath..url::Position::AfterQuery])
            .header(HOST, authority)
            .body(Full::new(ask.body.clone()))?;
        for (name, value) in &ask.headers {
            request.headers_mut().insert(name, value.clone());
        }
        if let Some(cookies) = self.person.cookies.header(ask.url) {
            request.headers_mut().insert(COOKIE, cookies);
        }
        if let Some(authorization) = &self.person.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }
}

impl Answer {
    /// Where it leads, if it is a redirect.
    pub(super) fn location(&self, from: &Url) -> Option<Url> {
        if !self.status.is_redirection() {
            return None;
        }
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        from.join(location).ok()
    }

    pub(super) fn is_html(&self) -> bool {
        self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| value.starts_with("text/html"))
    }

    /// How long to wait before asking again, where it says so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        if !matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            return None;
        }
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// What a browser says of itself when a person follows a link.
pub(super) fn navigation() -> HeaderMap {
    let named = [
        ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("accept-language", "en"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "none"),
        ("user-agent", USER_AGENT),
    ];
    named.into_iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

pub(super) const USER_AGENT: &str = concat!("vestibule-bench/", env!("CARGO_PKG_VERSION"));

const LARGEST_PAGE: usize = 4 << 20;

//! Clients that say exactly what they are told: a raw connection, and a browser with a cookie jar.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::ClientConfig;

use super::certificates::{APP, certificates};
use super::gateway::{Gateway, NONCE_COOKIE, SESSION_COOKIE};
use super::secrets::Secrets;
use super::wire::{Response, Wire, octets};

/// What a browser says when a person opens a page.
pub(crate) const NAVIGATE: &[(&str, &str)] = &[
    ("User-Agent", "Mozilla/5.0 (it)"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "none"),
];

/// What a browser says for `fetch()`.
pub(crate) const FETCH: &[(&str, &str)] = &[
    ("User-Agent", "Mozilla/5.0 (it)"),
    ("Accept", "*/*"),
    ("Sec-Fetch-Mode", "cors"),
    ("Sec-Fetch-Dest", "empty"),
    ("Sec-Fetch-Site", "same-origin"),
];

/// One TLS connection to a gateway.
pub(crate) fn connect(port: u16) -> Wire {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| certificates().client(b"http/1.1"));
    connect_as(port, config.clone()).expect("the gateway takes no TLS connection")
}

pub(crate) fn connect_as(port: u16, config: Arc<ClientConfig>) -> io::Result<Wire> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let socket = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    Wire::tls_client(socket, config, APP)
}

/// One request on a connection of its own, the bytes as given; `None` where it was closed without an answer.
pub(crate) fn raw(gateway: &Gateway, request: impl AsRef<[u8]>) -> Option<Response> {
    let mut wire = connect(gateway.port);
    wire.send(request.as_ref()).ok()?;
    wire.response("GET").ok()
}

/// What the gateway at a port, asked by the name `authority`, answers to a script of somebody with these cookies: 401 where a navigation
/// would be sent to sign in.
pub(crate) fn ask_as_script(port: u16, authority: &str, cookies: &str, path: &str) -> u16 {
    let mut wire = connect(port);
    let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nSec-Fetch-Mode: cors\r\nCookie: {cookies}\r\n\r\n");
    wire.send(head.as_bytes()).unwrap();
    wire.response("GET").unwrap().status()
}

/// A cookie as the gateway set it.
#[derive(Clone, Debug)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Lower-case names.
    pub(crate) attributes: Vec<(String, String)>,
    /// Octets of name, value and attributes.
    pub(crate) size: usize,
}

impl SetCookie {
    fn parse(line: &str) -> Self {
        let mut parts = line.split(';').map(str::trim);
        let pair = parts.next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let attributes = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Self { name: name.to_owned(), value: value.to_owned(), attributes: attributes.collect(), size: line.len() }
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn deletes(&self) -> bool {
        match self.attribute("max-age") {
            Some(seconds) => seconds == "0" || seconds.starts_with('-'),
            None => self.attribute("expires").is_some_and(|at| at.contains("1970")),
        }
    }

    pub(crate) fn is_session(&self) -> bool {
        self.name.starts_with(SESSION_COOKIE)
    }
}

pub(crate) fn set_cookies(response: &Response) -> Vec<SetCookie> {
    let lines = response.head.all("set-cookie");
    lines.into_iter().map(SetCookie::parse).collect()
}

/// The value of one parameter of a URL's query.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = super::wire::pairs(query);
    pairs.into_iter().find(|(n, _)| n == name).map(|(_, v)| v)
}

/// A `Cookie` header of these pairs.
pub(crate) fn cookie_header(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

/// Cookies and a kept connection; nothing is followed.
pub(crate) struct Browser {
    port: u16,
    pub(crate) cookies: Vec<(String, String)>,
    secrets: Secrets,
    wire: Option<Wire>,
}

impl Browser {
    pub(crate) fn new(gateway: &Gateway, secrets: &Secrets) -> Self {
        Self { port: gateway.port, cookies: Vec::new(), secrets: secrets.clone(), wire: None }
    }

    /// Another browser with the same cookies.
    pub(crate) fn copy(&self) -> Self {
        Self { port: self.port, cookies: self.cookies.clone(), secrets: self.secrets.clone(), wire: None }
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let found = self.cookies.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn put_cookie(&mut self, name: &str, value: &str) {
        self.cookies.retain(|(n, _)| n != name);
        self.cookies.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn drop_cookie(&mut self, name: &str) {
        self.cookies.retain(|(n, _)| n != name);
    }

    /// The session's shards, in order of name.
    pub(crate) fn session(&self) -> Vec<(String, String)> {
        let mut shards: Vec<_> = self.cookies.iter().filter(|(name, _)| name.starts_with(SESSION_COOKIE)).cloned().collect();
        shards.sort();
        shards
    }

    /// The `Cookie` header as it would be sent.
    pub(crate) fn cookie_header(&self) -> String {
        cookie_header(&self.cookies)
    }

    /// What a page in deny mode answers to exactly these cookies.
    pub(crate) fn status_with(&mut self, cookies: &str) -> u16 {
        self.request("GET", "/deny/page", NAVIGATE, &[("Cookie", cookies)], None).status()
    }

    /// A navigation to a path or to a URL of the gateway.
    pub(crate) fn get(&mut self, url: &str) -> Response {
        self.request("GET", url, NAVIGATE, &[], None)
    }

    /// A navigation with more headers.
    pub(crate) fn get_with(&mut self, url: &str, more: &[(&str, &str)]) -> Response {
        self.request("GET", url, NAVIGATE, more, None)
    }

    /// A `fetch()`.
    pub(crate) fn fetch(&mut self, url: &str) -> Response {
        self.request("GET", url, FETCH, &[], None)
    }

    /// Any request; header values are octets as Latin-1. A `Host` or `Cookie` among `more` replaces our own.
    pub(crate) fn request(
        &mut self,
        method: &str,
        url: &str,
        base: &[(&str, &str)],
        more: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Response {
        let origin = format!("https://{APP}:{}", self.port);
        let target = url.strip_prefix(&origin).unwrap_or(url);
        assert!(target.starts_with('/'), "not of this gateway: {url}");
        let given = |wanted: &str| more.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !given("host") {
            head.push_str(&format!("Host: {APP}:{}\r\n", self.port));
        }
        if !self.cookies.is_empty() && !given("cookie") {
            head.push_str(&format!("Cookie: {}\r\n", self.cookie_header()));
        }
        for (name, value) in base.iter().chain(more) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let bytes = [octets(&head).as_slice(), body.unwrap_or_default()].concat();
        let response = self.exchange(method, &bytes).unwrap_or_else(|error| panic!("{method} {url}: no answer ({error})"));
        self.keep(&response);
        response
    }

    fn exchange(&mut self, method: &str, bytes: &[u8]) -> io::Result<Response> {
        if let Some(mut wire) = self.wire.take() {
            // A kept connection may have been closed meanwhile; then a fresh one is tried.
            if let Ok(response) = wire.send(bytes).and_then(|()| wire.response(method)) {
                self.reuse(wire, &response);
                return Ok(response);
            }
        }
        let mut wire = connect(self.port);
        wire.send(bytes)?;
        let response = wire.response(method)?;
        self.reuse(wire, &response);
        Ok(response)
    }

    fn reuse(&mut self, wire: Wire, response: &Response) {
        let closes = response.get("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        if !closes && response.status() != 101 && wire.buffer.is_empty() {
            self.wire = Some(wire);
        }
    }

    fn keep(&mut self, response: &Response) {
        for cookie in set_cookies(response) {
            self.drop_cookie(&cookie.name);
            if cookie.deletes() {
                continue;
            }
            if cookie.is_session() {
                self.secrets.add(&cookie.value, "session cookie");
            } else if cookie.name == NONCE_COOKIE {
                self.secrets.add(&cookie.value, "nonce cookie");
            }
            self.cookies.push((cookie.name, cookie.value));
        }
    }
}

//! HTTP/1.1 byte by byte, for both ends, and a server that gives each connection a thread.
//!
//! Nothing here repairs what it is told to send or hides what it receives.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection with what was read too far.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    pub(crate) buffer: Vec<u8>,
}

impl Wire {
    pub(crate) fn plain(socket: TcpStream) -> Self {
        let stream = Box::new(socket.try_clone().unwrap());
        Self::over(stream, socket)
    }

    fn over(stream: Box<dyn Stream>, socket: TcpStream) -> Self {
        Self { stream, socket, buffer: Vec::new() }
    }

    /// TLS as the client; fails as the handshake does.
    pub(crate) fn tls_client(socket: TcpStream, config: Arc<rustls::ClientConfig>, name: &str) -> io::Result<Self> {
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let mut session = rustls::ClientConnection::new(config, name).unwrap();
        let mut clone = socket.try_clone()?;
        while session.is_handshaking() {
            session.complete_io(&mut clone)?;
        }
        Ok(Self::over(Box::new(StreamOwned::new(session, clone)), socket))
    }

    fn tls_server(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut clone = socket.try_clone()?;
        while session.is_handshaking() {
            session.complete_io(&mut clone)?;
        }
        Ok(Self::over(Box::new(StreamOwned::new(session, clone)), socket))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    pub(crate) fn read_timeout(&self, limit: Duration) {
        self.socket.set_read_timeout(Some(limit)).unwrap();
    }

    pub(crate) fn write_timeout(&self, limit: Duration) {
        self.socket.set_write_timeout(Some(limit)).unwrap();
    }

    /// Reads once more; the end of the stream is an error.
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 65536];
        let count = self.stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    /// Everything up to and with `separator`.
    pub(crate) fn until(&mut self, separator: &[u8]) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..].windows(separator.len()).position(|window| window == separator);
            if let Some(position) = found {
                return Ok(self.buffer.drain(..searched + position + separator.len()).collect());
            }
            searched = self.buffer.len().saturating_sub(separator.len());
            self.fill()?;
        }
    }

    pub(crate) fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.fill()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Everything until the peer closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill().is_ok() {}
        std::mem::take(&mut self.buffer)
    }

    /// A chunked body: the data, its raw bytes, the trailer lines.
    fn chunked(&mut self) -> io::Result<Body> {
        let mut body = Body::default();
        loop {
            let line = self.until(b"\r\n")?;
            let digits = text(&line);
            let digits = digits.trim_end().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
            body.raw.extend_from_slice(&line);
            if size == 0 {
                break;
            }
            let chunk = self.exactly(size + 2)?;
            body.raw.extend_from_slice(&chunk);
            body.data.extend_from_slice(&chunk[..size]);
        }
        loop {
            let line = self.until(b"\r\n")?;
            body.raw.extend_from_slice(&line);
            if line == b"\r\n" {
                return Ok(body);
            }
            body.trailers.push(text(&line[..line.len() - 2]));
        }
    }

    /// One request, read strictly: what is not unambiguous HTTP/1.1 framing stays in the buffer or fails.
    pub(crate) fn request(&mut self) -> io::Result<Request> {
        let head = Head::parse(self.until(b"\r\n\r\n")?);
        let body = if !head.all("transfer-encoding").is_empty() {
            self.chunked()?
        } else if let Some(length) = head.get("content-length") {
            let data = self.exactly(length.parse().map_err(io::Error::other)?)?;
            Body { raw: data.clone(), data, trailers: Vec::new() }
        } else {
            Body::default()
        };
        Ok(Request::new(head, body))
    }

    /// One response; interim ones are passed over.
    pub(crate) fn response(&mut self, method: &str) -> io::Result<Response> {
        let head = loop {
            let head = Head::parse(self.until(b"\r\n\r\n")?);
            if head.status() >= 200 || head.status() == 101 {
                break head;
            }
        };
        let bare = method == "HEAD" || matches!(head.status(), 101 | 204 | 304);
        let body = if bare {
            Vec::new()
        } else if head.all("transfer-encoding").iter().any(|v| v.contains("chunked")) {
            self.chunked()?.data
        } else if let Some(length) = head.get("content-length") {
            self.exactly(length.parse().map_err(io::Error::other)?)?
        } else {
            self.rest()
        };
        Ok(Response { head, body })
    }

    pub(crate) fn close(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// A server keeps a handle on each socket, so that one is not closed by forgetting it.
impl Drop for Wire {
    fn drop(&mut self) {
        self.close();
    }
}

#[derive(Default)]
struct Body {
    data: Vec<u8>,
    raw: Vec<u8>,
    trailers: Vec<String>,
}

/// A start line and header fields, as received. Octets are kept as Latin-1.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) raw: Vec<u8>,
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    fn parse(raw: Vec<u8>) -> Self {
        let mut lines = raw.split(|byte| *byte == b'\n').map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            text(line)
        });
        let line = lines.next().unwrap_or_default();
        let fields = lines
            .filter(|line| !line.is_empty())
            .map(|line| match line.split_once(':') {
                Some((name, value)) => (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()),
                None => (line, String::new()),
            })
            .collect();
        Self { raw, line, fields }
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    fn status(&self) -> u16 {
        let code = self.line.split(' ').nth(1).unwrap_or_default();
        code.parse().unwrap_or_default()
    }
}

/// A request as a server of ours received it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    pub(crate) raw: Vec<u8>,
    pub(crate) trailers: Vec<String>,
}

impl Request {
    fn new(head: Head, body: Body) -> Self {
        let mut words = head.line.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let rest: Vec<&str> = words.collect();
        let target = rest[..rest.len().saturating_sub(1)].join(" ");
        let raw = [head.raw.as_slice(), body.raw.as_slice()].concat();
        Self { head, method, target, body: body.data, raw, trailers: body.trailers }
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn query(&self) -> Vec<(String, String)> {
        pairs(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    pub(crate) fn form(&self) -> Vec<(String, String)> {
        pairs(&text(&self.body))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    /// Every header and trailer that some program behind could take for `name`: case and `-`, `_`, `.` folded.
    pub(crate) fn folded(&self, name: &str) -> Vec<(String, String)> {
        let wanted = fold(name);
        let trailers = self.trailers.iter().map(|line| {
            let name = line.split(':').next().unwrap_or_default();
            (name.to_owned(), format!("(trailer) {line}"))
        });
        self.head.fields.iter().cloned().chain(trailers).filter(|(field, _)| fold(field) == wanted).collect()
    }
}

/// A response as a client of ours received it.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    pub(crate) fn location(&self) -> Option<&str> {
        self.get("location")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self}"))
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.text().chars().take(120).collect();
        let location = self.location().unwrap_or("-");
        let location: String = location.chars().take(160).collect();
        write!(f, "<{} Location: {location} {body:?}>", self.head.line)
    }
}

/// Octets as Latin-1, so that none is lost or joined.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Latin-1 back to octets.
pub(crate) fn octets(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

pub(crate) fn pairs(encoded: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded.as_bytes()).into_owned().collect()
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// A listener on a free port of loopback. The system takes those of its own choice, for outgoing connections too, from
/// 32,768 on: here is a range where nothing moves in while a gateway has yet to bind.
pub(crate) fn listen() -> TcpListener {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(1_009) % 20_000;
    loop {
        let offset = (start + NEXT.fetch_add(1, Ordering::SeqCst)) % 20_000;
        let port = u16::try_from(10_000 + offset).unwrap();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener;
        }
    }
}

/// A listening socket on loopback. Dropping it ends every connection.
pub(crate) struct Server {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    stopped: AtomicBool,
    accepted: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Server {
    /// Serves each connection with `serve` on a thread of its own.
    pub(crate) fn start<F>(listener: TcpListener, tls: Option<Arc<ServerConfig>>, serve: F) -> Self
    where
        F: Fn(Wire) + Send + Sync + 'static,
    {
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { stopped: AtomicBool::new(false), accepted: AtomicUsize::new(0), open: Mutex::default() });
        let (state, serve) = (shared.clone(), Arc::new(serve));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                if state.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(socket) = socket else { continue };
                state.accepted.fetch_add(1, Ordering::SeqCst);
                let _ = socket.set_nodelay(true);
                let _ = socket.set_read_timeout(Some(Duration::from_secs(60)));
                if let Ok(clone) = socket.try_clone() {
                    state.open.lock().unwrap().push(clone);
                }
                let (serve, tls) = (serve.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(Wire::plain(socket)),
                    Some(config) => {
                        if let Ok(wire) = Wire::tls_server(socket, config) {
                            serve(wire);
                        }
                    }
                });
            }
        });
        Self { port, shared }
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Ends every open connection.
    pub(crate) fn cut(&self) {
        for socket in self.shared.open.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // The accepting thread looks at the flag when somebody knocks.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.cut();
    }
}

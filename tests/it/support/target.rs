//! The application behind the gateway: keeps the exact bytes of every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::wire::{Request, Server, Wire, listen};

/// What marks a body as the target's, so that its bytes are known where they must not be.
pub(crate) const MARK: &str = "bytes of the target";

type Requests = Arc<Mutex<Vec<Request>>>;
/// Octets to say for a path, instead of an honest answer; then the connection ends.
type Script = Arc<Mutex<HashMap<String, Vec<u8>>>>;

pub(crate) struct Target {
    requests: Requests,
    script: Script,
    server: Server,
}

impl Target {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// Over TLS where there is a configuration for it.
    pub(crate) fn start_with(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let (requests, script) = (Requests::default(), Script::default());
        let (recorded, scripted) = (requests.clone(), script.clone());
        let server = Server::start(listen(), tls, move |wire| {
            let _ = serve(wire, &recorded, &scripted);
        });
        Self { requests, script, server }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    /// Answers requests for `path` with these octets and closes.
    pub(crate) fn say(&self, path: &str, octets: impl Into<Vec<u8>>) {
        self.script.lock().unwrap().insert(path.to_owned(), octets.into());
    }

    /// Connections taken so far, health checks among them.
    pub(crate) fn connections(&self) -> usize {
        self.server.accepted()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// What came after the first `mark` requests.
    pub(crate) fn since(&self, mark: usize) -> Vec<Request> {
        self.requests.lock().unwrap()[mark..].to_vec()
    }

    pub(crate) fn last(&self) -> Request {
        let requests = self.requests.lock().unwrap();
        requests.last().cloned().expect("the target saw no request")
    }
}

fn serve(mut wire: Wire, requests: &Requests, script: &Script) -> std::io::Result<()> {
    loop {
        wire.read_timeout(Duration::from_secs(60));
        let request = wire.request()?;
        if request.path() == super::gateway::HEALTH_PATH {
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
            continue;
        }
        requests.lock().unwrap().push(request.clone());
        let scripted = script.lock().unwrap().get(request.path()).cloned();
        if let Some(octets) = scripted {
            return wire.send(&octets);
        }
        let upgrade = request.get("upgrade").unwrap_or_default();
        if upgrade.eq_ignore_ascii_case("websocket") {
            return echo(wire, &request);
        }
        let body = format!("{MARK}: {} {}\n", request.method, request.target);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
        wire.send(head.as_bytes())?;
        if request.method != "HEAD" {
            wire.send(body.as_bytes())?;
        }
    }
}

/// RFC 6455 section 4.2.2, then the same bytes back; frames are the tests' business.
fn echo(mut wire: Wire, request: &Request) -> std::io::Result<()> {
    let key = request.get("sec-websocket-key").unwrap_or_default();
    let joined = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, joined.as_bytes());
    wire.send(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            STANDARD.encode(hash)
        )
        .as_bytes(),
    )?;
    loop {
        if wire.buffer.is_empty() {
            wire.fill()?;
        }
        let bytes = std::mem::take(&mut wire.buffer);
        wire.send(&bytes)?;
    }
}

//! `vestibule bench` as a person runs it, and what it is run against.

use std::process::{Child, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use vestibule::clients::{SystemClock, system_entropy};
use vestibule::demo::identity_provider::{Client, IdentityProvider, Settings};
use vestibule::secret::Secret;

use super::certificates::certificates;
use super::gateway::{CALLBACK, Gateway, Plan, vestibule, write_private};
use super::secrets::{Secrets, random};
use super::target::Target;
use super::wire::{Request, Server, listen};

/// A gateway in front of a target, with the development identity provider, of which alice and bob are sample users.
pub(crate) struct Deployment {
    pub(crate) gateway: Gateway,
    pub(crate) target: Target,
    folder: tempfile::TempDir,
    _runtime: Runtime,
}

/// How a run has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) output: String,
    pub(crate) said: String,
}

/// A server over plain HTTP/1.1 that answers with octets of the test's choice.
pub(crate) struct Scripted {
    server: Server,
    asked: Arc<AtomicUsize>,
}

impl Deployment {
    pub(crate) fn start() -> Self {
        let secrets = Secrets::default();
        let target = Target::start();
        let runtime = Runtime::new().unwrap();
        let socket = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = socket.local_addr().unwrap();
        let make = |clients| {
            let settings = Settings { clients, ..Settings::default() };
            IdentityProvider::new(settings, address, Arc::new(SystemClock), system_entropy()).unwrap()
        };
        let (nobody, secret) = (make(Vec::new()), random(18));
        let provider = json!({
            "type": "cognito",
            "user_pool_arn": nobody.user_pool_arn(),
            "user_pool_client_id": CLIENT,
            "client_secret": secret,
            "endpoint": nobody.origin(),
        });
        // Its port is known when it listens; until then the provider's connections wait to be taken.
        let gateway = Plan::new(target.port(), &provider, &secrets).start_unready();
        let client = Client {
            id: CLIENT.to_owned(),
            secret: Some(Secret::from(secret.as_str())),
            name: "the application".to_owned(),
            redirect_uris: vec![gateway.url(CALLBACK)],
            logout_uris: Vec::new(),
        };
        let provider = make(vec![client]);
        runtime.spawn(async move { axum::serve(socket, provider.router()).await });
        Self { gateway, target, folder: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    /// A file that only its owner may read.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        write_private(&path, text);
        path.to_str().unwrap().to_owned()
    }

    /// Against `path`, before the name of the gateway is known to anybody's DNS.
    pub(crate) fn bench(&self, path: &str, arguments: &[&str]) -> Ended {
        ended(self.begun(path, arguments, Stdio::null()))
    }

    /// The same, begun.
    pub(crate) fn begun(&self, path: &str, arguments: &[&str], input: Stdio) -> Child {
        let (url, address) = (self.gateway.url(path), format!("127.0.0.1:{}", self.gateway.port));
        let authority = certificates().ca_file();
        let usual = [url.as_str(), "--connect-to", &address, "--ca-file", authority.to_str().unwrap()];
        begun(&[&usual, arguments].concat(), input)
    }
}

impl Scripted {
    /// `answer` is given the request and its number, from 0; an empty answer ends the connection.
    pub(crate) fn start(answer: impl Fn(&Request, usize) -> String + Send + Sync + 'static) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let server = Server::start(listen(), None, move |mut wire| {
            while let Ok(request) = wire.request() {
                let octets = answer(&request, counter.fetch_add(1, Ordering::SeqCst));
                if octets.is_empty() || wire.send(octets.as_bytes()).is_err() || octets.contains("Connection: close") {
                    return;
                }
            }
        });
        Self { server, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.server.port)
    }

    /// Requests so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.server.accepted()
    }
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { status: output.status.code(), output: text(&output.stdout), said: text(&output.stderr) }
    }

    /// The result, of a run with `--format json`.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.output).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs it to its end.
pub(crate) fn bench(arguments: &[&str]) -> Ended {
    ended(begun(arguments, Stdio::null()))
}

/// Begins a run.
pub(crate) fn begun(arguments: &[&str], input: Stdio) -> Child {
    let mut command = vestibule();
    // Whoever runs the tests may have run the demo.
    command.arg("bench").args(arguments).env("XDG_DATA_HOME", "/nonexistent").current_dir(std::env::temp_dir());
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for its end.
pub(crate) fn ended(run: Child) -> Ended {
    Ended::of(&run.wait_with_output().unwrap())
}

/// `200` with a body.
pub(crate) fn good(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

const CLIENT: &str = "bench";

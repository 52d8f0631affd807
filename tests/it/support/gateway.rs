//! `vestibule serve` as a process of its own, with a configuration made from JSON (which is YAML).

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::certificates::{APP, certificates, write_signing_key};
use super::redis::Redis;
use super::secrets::Secrets;
use super::wire::{Response, Wire, listen};

pub(crate) const HEALTH_PATH: &str = "/health-of-the-target";
pub(crate) const SESSION_COOKIE: &str = "AWSELBAuthSessionCookie";
pub(crate) const NONCE_COOKIE: &str = "AWSALBAuthNonce";
pub(crate) const CALLBACK: &str = "/oauth2/idpresponse";
pub(crate) const SIGNER: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/edge/50dc6c495c0c9188";

pub(crate) struct Gateway {
    folder: Arc<tempfile::TempDir>,
    /// What its sessions are kept in.
    redis: Option<Arc<Redis>>,
    process: Child,
    pub(crate) port: u16,
    admin_port: u16,
    /// A stop that the test asked for is not a death.
    stopped: bool,
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    listen().local_addr().unwrap().port()
}

/// A fresh session key.
pub(crate) fn session_key(secrets: &Secrets) -> String {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).unwrap();
    let key = STANDARD.encode(key);
    secrets.add(&key, "session key");
    key
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, content: &str) {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

/// `vestibule` with nothing of this process's environment that would change it. `VESTIBULE_BIN` may name another build, as for a soak.
pub(crate) fn vestibule() -> Command {
    let built = std::env::var_os("VESTIBULE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_vestibule").into());
    let mut command = Command::new(built);
    command.env("NO_COLOR", "1").env_remove("RUST_LOG");
    command
}

/// Waits for `condition`, asked every 20 ms, for at most `limit`.
pub(crate) fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One authenticate action.
pub(crate) fn authenticate(provider: &str, mode: &str) -> Value {
    json!({"authenticate": {
        "identity_provider": provider,
        "on_unauthenticated_request": mode,
        "scope": "openid email profile",
    }})
}

/// One rule for a path pattern.
pub(crate) fn rule(priority: u32, path: &str, actions: &Value) -> Value {
    json!({
        "priority": priority,
        "conditions": [{"path_pattern": [path]}],
        "actions": actions,
    })
}

/// A log that two processes may write.
fn appending(path: &Path) -> File {
    File::options().create(true).append(true).open(path).unwrap()
}

/// What a test wants to start.
pub(crate) struct Plan {
    pub(crate) port: u16,
    pub(crate) admin_port: u16,
    pub(crate) configuration: Value,
    folder: Arc<tempfile::TempDir>,
    redis: Option<Arc<Redis>>,
}

impl Plan {
    /// `/allow*`, `/deny*` and `/public*` in those modes, everything else authenticated; log at its loudest.
    pub(crate) fn new(target_port: u16, provider: &Value, secrets: &Secrets) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, admin_port) = (free_port(), free_port());
        let at = |name: &str| folder.path().join(name);
        write_private(&at("session.key"), &session_key(secrets));
        write_signing_key(&at("signing.key"));
        let forward = json!({"forward": "app"});
        let configuration = json!({
            "listeners": [{
                "address": format!("127.0.0.1:{port}"),
                "protocol": "https",
                "hosts": [APP],
                "certificates": [{
                    "certificate": certificates().certificate_file(),
                    "private_key": certificates().private_key_file(),
                }],
                "rules": [
                    rule(10, "/allow*", &json!([authenticate("op", "allow"), forward])),
                    rule(20, "/deny*", &json!([authenticate("op", "deny"), forward])),
                    rule(30, "/public*", &json!([forward])),
                ],
                "default_actions": [authenticate("op", "authenticate"), forward],
            }],
            "identity_providers": {"op": provider},
            "target_groups": {"app": {
                "protocol": "http",
                "targets": [format!("127.0.0.1:{target_port}")],
                "health_check": {"path": HEALTH_PATH},
            }},
            "sessions": {"keys": [{"file": at("session.key")}], "store": "cookie"},
            "identity_headers": {
                "signer": SIGNER,
                "signing_key": {"file": at("signing.key")},
                "claims": {"X-Auth-Email": "email", "X-Auth-Name": "name", "X-Auth-Groups": "groups"},
            },
            "admin": {"address": format!("127.0.0.1:{admin_port}")},
            "access_log": {"format": "json", "path": at("access.log")},
            "log": {"level": "trace", "format": "text"},
        });
        Self { port, admin_port, configuration, folder: Arc::new(folder), redis: None }
    }

    /// One more gateway with the same keys, providers, targets and store.
    pub(crate) fn sibling(gateway: &Gateway) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let text = read(&gateway.configuration_file());
        let mut plan = Self {
            port: gateway.port,
            admin_port: gateway.admin_port,
            configuration: serde_json::from_str(&text).unwrap(),
            folder,
            redis: gateway.redis.clone(),
        };
        plan.configuration["access_log"]["path"] = json!(plan.folder.path().join("access.log"));
        plan.move_elsewhere();
        plan
    }

    /// Keeps sessions in a Redis of its own.
    pub(crate) fn keep_in_redis(&mut self) -> Arc<Redis> {
        let redis = Arc::new(Redis::start());
        self.keep_in(&redis, &redis.url());
        redis
    }

    /// Keeps sessions in this Redis, by way of `url`.
    pub(crate) fn keep_in(&mut self, redis: &Arc<Redis>, url: &str) {
        self.configuration["sessions"]["store"] = json!("redis");
        self.configuration["sessions"]["redis"] = json!({"url": url});
        self.redis = Some(redis.clone());
    }

    pub(crate) fn listener(&mut self) -> &mut Value {
        &mut self.configuration["listeners"][0]
    }

    /// The settings of the default action's authentication.
    pub(crate) fn authentication(&mut self) -> &mut Value {
        &mut self.configuration["listeners"][0]["default_actions"][0]["authenticate"]
    }

    /// Starts it and waits until `/readyz` says so.
    pub(crate) fn start(self) -> Gateway {
        self.start_until(|gateway| gateway.admin("/readyz").is_some_and(|response| response.status() == 200))
    }

    /// Starts it and waits until its port takes connections.
    pub(crate) fn start_unready(self) -> Gateway {
        self.start_until(|gateway| TcpStream::connect(("127.0.0.1", gateway.port)).is_ok())
    }

    fn start_until(mut self, is_up: impl Fn(&Gateway) -> bool) -> Gateway {
        loop {
            let mut gateway = self.spawn();
            let up = eventually(Duration::from_secs(20), || gateway.ended().is_some() || is_up(&gateway));
            if up && gateway.ended().is_none() {
                return gateway;
            }
            let log = gateway.log();
            assert!(log.contains("in use"), "the gateway does not start ({:?}):\n{log}", gateway.ended());
            self.move_elsewhere();
        }
    }

    fn spawn(&self) -> Gateway {
        let file = self.folder.path().join("vestibule.yaml");
        std::fs::write(&file, format!("{:#}\n", self.configuration)).unwrap();
        let log = self.folder.path().join("gateway.log");
        let _ = std::fs::remove_file(&log);
        let log = appending(&log);
        let process = vestibule()
            .args(["serve", "--config"])
            .arg(&file)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Gateway {
            folder: self.folder.clone(),
            redis: self.redis.clone(),
            process,
            port: self.port,
            admin_port: self.admin_port,
            stopped: false,
        }
    }

    /// With other ports, since somebody was faster.
    fn move_elsewhere(&mut self) {
        let mut text = self.configuration.to_string();
        for port in [&mut self.port, &mut self.admin_port] {
            let other = free_port();
            text = text.replace(&format!("\"127.0.0.1:{port}\""), &format!("\"127.0.0.1:{other}\""));
            *port = other;
        }
        self.configuration = serde_json::from_str(&text).unwrap();
    }
}

impl Gateway {
    pub(crate) fn origin(&self) -> String {
        format!("https://{APP}:{}", self.port)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// What it was started with.
    pub(crate) fn configuration_file(&self) -> std::path::PathBuf {
        self.folder.path().join("vestibule.yaml")
    }

    /// The key that seals, as it stands in its file.
    pub(crate) fn session_key(&self) -> String {
        read(&self.folder.path().join("session.key"))
    }

    /// The authority under which browsers ask.
    pub(crate) fn authority(&self) -> String {
        format!("{APP}:{}", self.port)
    }

    /// GET on the admin address; `None` where nothing answers.
    pub(crate) fn admin(&self, path: &str) -> Option<Response> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.admin_port));
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
        let mut wire = Wire::plain(socket);
        wire.read_timeout(Duration::from_secs(5));
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        wire.send(request.as_bytes()).ok()?;
        wire.response("GET").ok()
    }

    /// Any request on the admin address; a `Host` among `lines` replaces our own.
    pub(crate) fn ask_admin(&self, method: &str, path: &str, lines: &[(&str, &str)]) -> Response {
        let address = SocketAddr::from(([127, 0, 0, 1], self.admin_port));
        let mut wire = Wire::plain(TcpStream::connect(address).unwrap());
        wire.read_timeout(Duration::from_secs(5));
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !lines.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("Host: {address}\r\n"));
        }
        for (name, value) in lines {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        wire.send(format!("{head}\r\n").as_bytes()).unwrap();
        wire.response(method).unwrap()
    }

    /// Both outputs of the process.
    pub(crate) fn log(&self) -> String {
        read(&self.folder.path().join("gateway.log"))
    }

    pub(crate) fn access_log(&self) -> String {
        read(&self.folder.path().join("access.log"))
    }

    pub(crate) fn access_lines(&self) -> Vec<Value> {
        let log = self.access_log();
        // What stands after the last line break is still being written.
        let complete = log.rfind('\n').map_or("", |end| &log[..end]);
        let lines = complete.lines();
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("access log line ({error}): {line}"))).collect()
    }

    /// Waits for `count` lines of the access log for which `wanted` holds.
    pub(crate) fn access_lines_with(&self, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut found = Vec::new();
        eventually(Duration::from_secs(3), || {
            found = self.access_lines();
            found.retain(&wanted);
            found.len() >= count
        });
        found
    }

    /// Whether a line of the access log has this `error_reason`.
    pub(crate) fn logs_reason(&self, reason: &str) -> bool {
        !self.access_lines_with(1, |line| line["error_reason"] == reason).is_empty()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        let status = read(Path::new(&format!("/proc/{}/status", self.process.id())));
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
        kibibytes.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Open files, sockets among them.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// Hundredths of a second that processors have spent on it (proc_pid_stat(5), fields 14 and 15).
    pub(crate) fn processor_time(&self) -> u64 {
        let stat = read(Path::new(&format!("/proc/{}/stat", self.process.id())));
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for an end that the test has asked for.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.stopped = true;
        eventually(limit, || self.ended().is_some());
        self.ended()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }

    /// Ends it without asking.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Ends it without asking, and starts it again with the same files.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let configuration = serde_json::from_slice(&std::fs::read(self.configuration_file()).unwrap()).unwrap();
        let (folder, redis) = (self.folder.clone(), self.redis.clone());
        let plan = Plan { port: self.port, admin_port: self.admin_port, configuration, folder, redis };
        *self = plan.start();
    }

    /// Another process takes its place: started, then handed the listeners. Returns when the one of before has ended, with its status.
    pub(crate) fn upgrade(&mut self) -> ExitStatus {
        let waiting = |log: &str| log.matches("waiting for the process that runs").count();
        let before = waiting(&self.log());
        let mut next = self.next();
        let waits = || waiting(&self.log()) > before;
        assert!(eventually(Duration::from_secs(20), waits), "the next process does not wait:\n{}", self.log());
        assert!(Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status().unwrap().success());
        let ended = eventually(Duration::from_secs(40), || self.process.try_wait().unwrap().is_some());
        assert!(ended && next.try_wait().unwrap().is_none(), "no upgrade:\n{}", self.log());
        std::mem::replace(&mut self.process, next).wait().unwrap()
    }

    /// `serve --upgrade` with the same files.
    pub(crate) fn next(&self) -> Child {
        let log = appending(&self.folder.path().join("gateway.log"));
        vestibule()
            .args(["serve", "--upgrade", "--config"])
            .arg(self.configuration_file())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// ALIVE: still the same process, and no panic in its log.
    pub(crate) fn assert_alive(&mut self) {
        if self.stopped {
            return;
        }
        let log = self.log();
        if let Some(status) = self.ended() {
            let tail: String = log.lines().rev().take(5).collect::<Vec<_>>().join("\n");
            panic!("the gateway ended by itself ({status}):\n{tail}");
        }
        let panicked = log.lines().find(|line| line.contains("panicked at"));
        assert!(panicked.is_none(), "a panic in the gateway: {panicked:?}");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop();
    }
}

fn read(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path) {
        let _ = file.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How `vestibule serve` ended with a configuration that it must refuse.
pub(crate) struct Refusal {
    pub(crate) status: Option<i32>,
    pub(crate) output: String,
    pub(crate) elapsed: Duration,
}

/// Runs `vestibule serve` until it ends, for at most ten seconds.
pub(crate) fn serve_refused(folder: &Path, configuration: &[u8]) -> Refusal {
    let file = folder.join("vestibule.yaml");
    File::create(&file).unwrap().write_all(configuration).unwrap();
    let log = folder.join("refusal.log");
    let output = File::create(&log).unwrap();
    let begin = Instant::now();
    let mut process = vestibule()
        .args(["serve", "--config", "vestibule.yaml"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let ended = eventually(Duration::from_secs(10), || process.try_wait().unwrap().is_some());
    let elapsed = begin.elapsed();
    if !ended {
        let _ = process.kill();
    }
    let status = process.wait().unwrap();
    Refusal { status: status.code(), output: read(&log), elapsed }
}

//! Redis: a process of its own, in a folder of its own, and what can go wrong on the way to it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::gateway::{eventually, free_port};
use super::wire::listen;

pub(crate) struct Redis {
    folder: tempfile::TempDir,
    process: Mutex<Child>,
    pub(crate) port: u16,
    arguments: Vec<String>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more arguments; `{port}` in them is the port.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let port = free_port();
        let process = spawn(&folder, port, &arguments);
        let redis = Self { folder, process: Mutex::new(process), port, arguments };
        if redis.is_up() {
            return redis;
        }
        let log = std::fs::read_to_string(redis.folder.path().join("redis.log")).unwrap_or_default();
        assert!(log.contains("in use"), "Redis does not start:\n{log}");
        // Somebody was faster.
        Self::start_with(&redis.arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// One that watches over others; `settings` is its file.
    pub(crate) fn sentinel(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, settings).unwrap();
        let port = free_port();
        let process = Command::new("redis-server")
            .arg(&file)
            .args(["--sentinel", "--port", &port.to_string(), "--bind", "127.0.0.1", "--logfile", "redis.log"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Redis is missing: script/bootstrap installs it");
        let sentinel = Self { folder, process: Mutex::new(process), port, arguments: Vec::new() };
        if sentinel.is_up() { sentinel } else { Self::sentinel(settings) }
    }

    /// Ends it by its own command, saving nothing.
    pub(crate) fn end(&self) {
        let _ = redis::cmd("SHUTDOWN").arg("NOSAVE").exec(&mut self.connection());
    }

    fn is_up(&self) -> bool {
        let has_ended = || self.process.lock().unwrap().try_wait().unwrap().is_some();
        eventually(Duration::from_secs(10), || has_ended() || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        !has_ended()
    }

    /// Kills it, and starts it again with what it has written.
    pub(crate) fn start_again(&self) {
        self.kill();
        *self.process.lock().unwrap() = spawn(&self.folder, self.port, &self.arguments);
        assert!(self.is_up(), "Redis does not start again");
    }

    fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    pub(crate) fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command.query(&mut self.connection()).unwrap()
    }

    pub(crate) fn keys(&self, pattern: &str) -> Vec<String> {
        self.ask(&["KEYS", pattern])
    }

    /// How many commands it has been given, but for what instances say to themselves.
    pub(crate) fn commands(&self) -> u64 {
        let statistics: String = self.ask(&["INFO", "commandstats"]);
        let count = |line: &str| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok();
        let is_counted = |line: &&str| {
            !["publish", "info", "hello", "client", "subscribe", "command"].iter().any(|name| line.starts_with(&format!("cmdstat_{name}")))
        };
        statistics.lines().filter(is_counted).filter_map(count).sum()
    }
}

fn spawn(folder: &tempfile::TempDir, port: u16, arguments: &[String]) -> Child {
    let port = port.to_string();
    let mut command = Command::new("redis-server");
    command.current_dir(folder.path());
    if !arguments.iter().any(|argument| argument == "--port") {
        command.args(["--port", &port]);
    }
    command
        .args(["--bind", "127.0.0.1", "--save", "", "--logfile", "redis.log"])
        .args(arguments.iter().map(|argument| argument.replace("{port}", &port)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Redis is missing: script/bootstrap installs it")
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What happens on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// Connections are closed, old and new.
    Refuse,
    /// Nothing arrives, in neither direction, and nothing is closed.
    Swallow,
    /// Each piece takes so long, in each direction.
    Delay(Duration),
    /// Of each answer half arrives, and then the end.
    Truncate,
    /// The way back is closed, and the way there is open.
    HalfClose,
    /// This is what arrives instead of each answer.
    Lie(&'static str),
    /// This arrives before the next answer: from then on each is that of another question. Once.
    Slip(&'static str),
}

/// Between a gateway and Redis.
pub(crate) struct FaultProxy {
    pub(crate) port: u16,
    fault: Arc<Mutex<Fault>>,
}

impl FaultProxy {
    pub(crate) fn before(redis: &Redis) -> Self {
        let listener = listen();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, fault: Arc::new(Mutex::new(Fault::Nothing)) };
        let (fault, upstream) = (proxy.fault.clone(), redis.port);
        thread::spawn(move || accept(&listener, &fault, upstream));
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

fn accept(listener: &TcpListener, fault: &Arc<Mutex<Fault>>, upstream: u16) {
    while let Ok((client, _)) = listener.accept() {
        let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { continue };
        if *fault.lock().unwrap() == Fault::Refuse {
            continue;
        }
        for (from, to, is_answer) in [(client.try_clone(), server.try_clone(), false), (server.try_clone(), client.try_clone(), true)] {
            let (Ok(from), Ok(to)) = (from, to) else { continue };
            let fault = fault.clone();
            thread::spawn(move || carry(from, to, is_answer, &fault));
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, is_answer: bool, fault: &Mutex<Fault>) {
    from.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut buffer = [0; 65536];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => 0,
            Err(_) => break,
        };
        let now = match &mut *fault.lock().unwrap() {
            slip @ Fault::Slip(_) if is_answer && read > 0 => std::mem::replace(slip, Fault::Nothing),
            now => now.clone(),
        };
        let sent = match (now, read) {
            (Fault::Refuse, _) => break,
            (_, 0) => Ok(()),
            (Fault::Swallow, _) => Ok(()),
            (Fault::Truncate, _) if is_answer => {
                let _ = to.write_all(&buffer[..read / 2]);
                break;
            }
            (Fault::HalfClose, _) if is_answer => {
                let _ = to.shutdown(Shutdown::Write);
                continue;
            }
            (Fault::Lie(answer), _) if is_answer => to.write_all(answer.as_bytes()),
            (Fault::Slip(answer), _) if is_answer => to.write_all(answer.as_bytes()).and_then(|()| to.write_all(&buffer[..read])),
            (Fault::Delay(time), _) => {
                thread::sleep(time);
                to.write_all(&buffer[..read])
            }
            _ => to.write_all(&buffer[..read]),
        };
        if sent.is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

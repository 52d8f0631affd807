//! `vestibule health`: whether a gateway is ready, for images that hold neither a shell nor curl.
//!
//! It asks the admin address and nobody else, and reads no configuration: a file that is being edited says nothing of the process
//! that runs.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::{FAILED, output};

pub(super) fn run(address: SocketAddr) -> ExitCode {
    match ask(address) {
        Ok(status) if status == "200" => ExitCode::SUCCESS,
        Ok(status) => {
            output::complain(&format!("{address} is not ready: /readyz answers {status}"));
            ExitCode::from(FAILED)
        }
        Err(error) => {
            output::complain(&format!("{address} does not answer: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

/// The status of `/readyz`. The deadline is for all of it: somebody who drips holds nobody up.
fn ask(address: SocketAddr) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut head = [0; "HTTP/1.1 200 ".len()];
    let mut filled = 0;
    while filled < head.len() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut head[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    let status = std::str::from_utf8(&head).ok().and_then(|head| head.strip_prefix("HTTP/1.1 "));
    let status = status.map(str::trim_end).filter(|status| status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()));
    status.map(str::to_owned).ok_or_else(|| io::Error::other("this is no HTTP"))
}

const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What a peer that answers `answer` and closes is taken for.
    fn asked(answer: &'static [u8]) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let count = stream.read(&mut request).unwrap();
            assert!(request[..count].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer).unwrap();
        });
        let status = ask(address);
        peer.join().unwrap();
        status
    }

    #[test]
    fn status_is_read_and_nothing_else_is_taken_for_one() {
        assert_eq!(asked(b"HTTP/1.1 200 OK\r\n\r\nok\n").unwrap(), "200");
        assert_eq!(asked(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap(), "503");
        for answer in [&b""[..], b"HTTP/1.1 2", b"HTTP/1.1 2000 OK", b"\x15\x03\x03\x00\x02\x02\x50 not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n"] {
            assert!(asked(answer).is_err(), "{answer:?}");
        }
    }
}

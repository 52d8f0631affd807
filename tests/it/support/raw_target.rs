//! A target of which the test says every byte, and when its connections end.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A target that gives each connection a thread, with the number of the connection.
pub(crate) fn target(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> SocketAddr {
    let listener = super::wire::listen();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (Ok(stream), serve) = (stream, serve.clone()) else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
            thread::spawn(move || serve(stream, number));
        }
    });
    address
}

pub(crate) fn head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    head
}

/// Closed with bytes unread, which the kernel answers with RST.
pub(crate) fn reset(stream: TcpStream) {
    thread::sleep(Duration::from_millis(50));
    drop(stream);
}

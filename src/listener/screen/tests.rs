use std::future::poll_fn;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;
use crate::message::head::Oddity;

const HEAD: &str = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const BODY: &str = "5\r\nhello\r\n0\r\n\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// A client at one end, the parser's side at the other.
struct Wire {
    client: DuplexStream,
    server: DuplexStream,
    screen: Screen,
    shared: Arc<Screening>,
}

impl Wire {
    fn new() -> Self {
        let (client, server) = duplex(1 << 20);
        let shared = Arc::<Screening>::default();
        let screen = Screen::new(shared.clone(), DesyncMitigation::Defensive, ListenerLimits::default());
        Self { client, server, screen, shared }
    }

    async fn send(&mut self, octets: &[u8]) {
        self.client.write_all(octets).await.unwrap();
    }

    /// One read with room for so many octets; `None` if nothing is to be had.
    async fn read(&mut self, room: usize) -> Option<io::Result<Vec<u8>>> {
        let mut space = vec![0; room];
        poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut space);
            let polled = self.screen.poll_read(&mut self.server, context, &mut buffer);
            Poll::Ready(match polled {
                Poll::Ready(Ok(())) => Some(Ok(buffer.filled().to_vec())),
                Poll::Ready(Err(error)) => Some(Err(error)),
                Poll::Pending => None,
            })
        })
        .await
    }

    async fn text(&mut self, room: usize) -> String {
        let mut all = Vec::new();
        while let Some(Ok(octets)) = self.read(room).await.filter(|read| read.as_ref().is_ok_and(|octets| !octets.is_empty())) {
            all.extend(octets);
        }
        String::from_utf8(all).unwrap()
    }
}

#[tokio::test]
async fn honest_requests_pass_whatever_the_pieces_in_which_they_come_and_are_read() {
    let all = [HEAD, BODY, NEXT, HEAD, BODY].concat();
    for piece in [1, 2, 7, 50, all.len()] {
        for room in [1, 3, 64, 4096] {
            let mut wire = Wire::new();
            let mut passed = String::new();
            for octets in all.as_bytes().chunks(piece) {
                wire.send(octets).await;
                passed.push_str(&wire.text(room).await);
            }
            assert_eq!(passed, all, "pieces of {piece}, read {room} at a time");
            let notes: Vec<Note> = (0..4).map(|_| wire.shared.next()).collect();
            assert_eq!(notes[..3], [Note::default(); 3]);
            assert_eq!(notes[3].refused, Some(Malformed::Framing), "a request that nobody has let through");
        }
    }
}

#[tokio::test]
async fn a_refused_head_becomes_a_plain_one_and_nothing_after_it_is_read() {
    let mut wire = Wire::new();
    wire.send(NEXT.as_bytes()).await;
    wire.send(b"POST /secret HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    wire.send(NEXT.as_bytes()).await;
    let passed = wire.text(4096).await;
    let stand_in = passed.strip_prefix(NEXT).unwrap();
    assert_eq!(stand_in, "POST / HTTP/1.1\r\nHost: refused.invalid\r\nConnection: close\r\nAccept: text/html\r\n\r\n");
    assert_eq!(wire.shared.next(), Note::default());
    assert_eq!(wire.shared.next(), Note { oddity: Some(Oddity::BothTeClPresent), refused: Some(Malformed::Framing) });
    wire.send(NEXT.as_bytes()).await;
    assert!(wire.read(100).await.is_none());
}

#[tokio::test]
async fn a_bad_chunk_ends_the_connection_and_hides_nothing() {
    let mut wire = Wire::new();
    wire.send(format!("{HEAD}5\r\nhello\r\n2;x\nGET").as_bytes()).await;
    let first = wire.read(4096).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(first).unwrap(), HEAD);
    assert!(wire.read(4096).await.unwrap().is_err());
    assert_eq!(wire.shared.fault(), Some(Malformed::Framing));
}

#[tokio::test]
async fn empty_lines_in_front_are_left_out_and_not_many_of_them() {
    let mut wire = Wire::new();
    wire.send(format!("\r\n{NEXT}").as_bytes()).await;
    assert_eq!(wire.text(4096).await, NEXT);
    assert_eq!(wire.shared.next(), Note::default());
    wire.send("\r\n".repeat(1000).as_bytes()).await;
    wire.text(4096).await;
    assert_eq!(wire.shared.next().refused, Some(Malformed::Head));
}

#[tokio::test]
async fn what_follows_an_offer_to_switch_is_opaque_until_the_answer_says_otherwise() {
    let offer = "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut wire = Wire::new();
    wire.send(format!("{offer}\u{1}\u{2}").as_bytes()).await;
    assert_eq!(wire.text(4096).await, format!("{offer}\u{1}\u{2}"));
    wire.shared.is_over();
    wire.send(NEXT.as_bytes()).await;
    assert!(wire.read(100).await.unwrap().is_err(), "octets of which nobody knows the protocol");

    let mut wire = Wire::new();
    wire.send(offer.as_bytes()).await;
    assert_eq!(wire.text(4096).await, offer);
    wire.shared.is_over();
    wire.send(b"no request\r\n\r\n").await;
    assert!(wire.text(4096).await.contains("refused.invalid"));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_refused_after_its_time() {
    let mut wire = Wire::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(14) {
        wire.send(b"G").await;
        assert!(wire.read(100).await.is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(wire.text(4096).await.contains("refused.invalid"));
    assert_eq!(wire.shared.next().refused, Some(Malformed::TooSlow));
}

#[tokio::test(start_paused = true)]
async fn a_body_may_pause_but_not_drip_forever() {
    let head = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    let mut wire = Wire::new();
    wire.send(head.as_bytes()).await;
    wire.send(&[b'x'; 100_000]).await;
    wire.text(200_000).await;
    // 200 seconds have been earned, and 20 are given.
    tokio::time::advance(Duration::from_secs(210)).await;
    wire.send(b"x").await;
    assert!(wire.read(100).await.unwrap().is_ok());
    let mut ended = false;
    for _ in 0..30 {
        wire.send(b"x").await;
        ended |= wire.read(100).await.is_some_and(|read| read.is_err());
        assert!(wire.read(100).await.is_none_or(|read| read.is_err()));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(ended);
    assert_eq!(wire.shared.fault(), Some(Malformed::TooSlow));
}

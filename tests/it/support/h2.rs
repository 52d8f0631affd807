//! HTTP/2 at the level of frames (RFC 9113), with HPACK literals only (RFC 7541 section 6.2.2).

use std::io;
use std::time::Duration;

use super::certificates::certificates;
use super::client::connect_as;
use super::gateway::Gateway;
use super::wire::Wire;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// How a stream ended.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) body: Vec<u8>,
    /// Error code of RST_STREAM.
    pub(crate) reset: Option<u32>,
    /// Error code of GOAWAY.
    pub(crate) goaway: Option<u32>,
    /// The connection ended.
    pub(crate) closed: bool,
}

impl Outcome {
    /// Refused: a 4xx, or a stream or connection error.
    pub(crate) fn is_refused(&self) -> bool {
        match self.status {
            Some(status) => (400..500).contains(&status),
            None => self.reset.is_some_and(|code| code != 0) || self.goaway.is_some() || self.closed,
        }
    }
}

/// One connection; streams are opened one after the other.
pub(crate) struct Http2 {
    wire: Wire,
    next_stream: u32,
}

impl Http2 {
    pub(crate) fn connect(gateway: &Gateway) -> Self {
        // HEADER_TABLE_SIZE 0: the peer then has no dynamic table that would have to be kept here.
        Self::connect_with(gateway, &[0, 1, 0, 0, 0, 0])
    }

    /// With settings of one's own (RFC 9113 section 6.5.1).
    pub(crate) fn connect_with(gateway: &Gateway, settings: &[u8]) -> Self {
        let mut wire = connect_as(gateway.port, certificates().client(b"h2")).unwrap();
        wire.read_timeout(Duration::from_secs(15));
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut connection = Self { wire, next_stream: 1 };
        connection.frame(SETTINGS, 0, 0, settings).unwrap();
        connection
    }

    /// A request without a body, whose answer nobody waits for.
    pub(crate) fn open(&mut self, fields: &[(&str, &str)]) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let _ = self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields));
        stream
    }

    /// Octets as they are.
    pub(crate) fn send_octets(&mut self, octets: &[u8]) -> io::Result<()> {
        self.wire.send(octets)
    }

    /// Reads until the peer has ended the connection, or said that it does; `false` if it has not within the time.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        self.wire.read_timeout(limit);
        let begun = std::time::Instant::now();
        while begun.elapsed() < limit {
            match self.wire.exactly(9) {
                Ok(head) => {
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                    if self.wire.exactly(length as usize).is_err() || head[3] == GOAWAY {
                        return begun.elapsed() < limit;
                    }
                }
                Err(_) => return begun.elapsed() < limit,
            }
        }
        false
    }

    /// Fields exactly as given, pseudo-headers among them; then body and trailers. Waits for the outcome.
    pub(crate) fn request(&mut self, fields: &[(&str, &str)], body: Option<&[u8]>, trailers: &[(&str, &str)]) -> Outcome {
        let stream = self.next_stream;
        self.next_stream += 2;
        // What is refused early may be refused while it is still being sent: the outcome tells.
        let _ = self.send(stream, fields, body, trailers);
        self.outcome(stream)
    }

    fn send(&mut self, stream: u32, fields: &[(&str, &str)], body: Option<&[u8]>, trailers: &[(&str, &str)]) -> io::Result<()> {
        let end = |last: bool| if last { END_STREAM } else { 0 };
        let only_head = body.is_none() && trailers.is_empty();
        self.frame(HEADERS, END_HEADERS | end(only_head), stream, &block(fields))?;
        if let Some(body) = body {
            self.frame(DATA, end(trailers.is_empty()), stream, body)?;
        }
        if !trailers.is_empty() {
            self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(trailers))?;
        }
        Ok(())
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.wire.send(&frame(kind, flags, stream, payload))
    }

    fn outcome(&mut self, stream: u32) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let Ok(head) = self.wire.exactly(9) else {
                outcome.closed = true;
                return outcome;
            };
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let (kind, flags) = (head[3], head[4]);
            let of = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
            let Ok(payload) = self.wire.exactly(length as usize) else {
                outcome.closed = true;
                return outcome;
            };
            match kind {
                SETTINGS if flags & ACK == 0 => {
                    let _ = self.frame(SETTINGS, ACK, 0, &[]);
                }
                PING if flags & ACK == 0 => {
                    let _ = self.frame(PING, ACK, 0, &payload);
                }
                GOAWAY => {
                    let code = u32::from_be_bytes(payload[4..8].try_into().unwrap());
                    outcome.goaway = Some(code);
                    if code != 0 {
                        return outcome;
                    }
                }
                RST_STREAM if of == stream => {
                    let code = u32::from_be_bytes(payload[..4].try_into().unwrap());
                    // NO_ERROR after a whole response only asks to stop sending (RFC 9113 section 8.1).
                    outcome.reset = Some(code);
                    return outcome;
                }
                HEADERS if of == stream => {
                    outcome.status = outcome.status.or_else(|| status(&payload));
                    if flags & END_STREAM != 0 {
                        return outcome;
                    }
                }
                DATA if of == stream => {
                    outcome.body.extend(payload);
                    if flags & END_STREAM != 0 {
                        return outcome;
                    }
                }
                CONTINUATION => panic!("a response head of more than one frame"),
                _ => {}
            }
        }
    }
}

/// RFC 9113 section 4.1.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Literal header fields without indexing, new names, no Huffman code.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            let octets = super::wire::octets(text);
            length(&mut out, octets.len());
            out.extend(octets);
        }
    }
    out
}

/// An integer with a 7-bit prefix (RFC 7541 section 5.1).
fn length(out: &mut Vec<u8>, value: usize) {
    if value < 127 {
        out.push(u8::try_from(value).unwrap());
        return;
    }
    out.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}

/// `:status`, which comes first (RFC 9113 section 8.3): an entry of the static table, or a literal named by one.
fn status(block: &[u8]) -> Option<u16> {
    // A dynamic table size update may precede it.
    let start = block.iter().position(|octet| octet & 0b1110_0000 != 0b0010_0000)?;
    let block = &block[start..];
    let first = *block.first()?;
    if first & 0x80 != 0 {
        const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        return STATIC.get(usize::from((first & 0x7f).checked_sub(8)?)).copied();
    }
    let size = usize::from(block.get(1)? & 0x7f);
    let text = block.get(2..2 + size)?;
    let digits = if block[1] & 0x80 != 0 { digits_of_huffman(text) } else { super::wire::text(text) };
    digits.get(..3)?.parse().ok()
}

/// RFC 7541 appendix B has 5 bits for 0 to 2 and 6 bits, from 0b011001 on, for 3 to 9.
fn digits_of_huffman(octets: &[u8]) -> String {
    let bits: Vec<u8> = octets.iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1)).collect();
    let mut digits = String::new();
    let mut rest = bits.as_slice();
    let value = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum * 2 + bit);
    while digits.len() < 3 && rest.len() >= 5 {
        let short = value(&rest[..5]);
        if short < 3 {
            digits.push(char::from(b'0' + short));
            rest = &rest[5..];
        } else if rest.len() >= 6 {
            digits.push(char::from(b'3' + value(&rest[..6]).wrapping_sub(0b01_1001)));
            rest = &rest[6..];
        } else {
            break;
        }
    }
    digits
}

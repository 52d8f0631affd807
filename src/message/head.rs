//! A look at the raw head of an HTTP/1.1 request, for what the parser behind has already mended.
//!
//! Pingora accepts bare line feeds, drops a fragment, escapes a space or NUL in the target, lets a doubled
//! `Content-Length` pass and prefers `Transfer-Encoding` where both are given. Two programs that mend
//! differently are how requests are smuggled (RFC 9112 §11.2), so such a head is refused here.

use memchr::{memchr, memchr2};

use super::{MAX_HEADER_BYTES, MAX_TARGET_BYTES, Malformed};

/// Checks everything up to and including the empty line.
pub fn inspect(head: &[u8]) -> Result<(), Malformed> {
    if head.len() > MAX_HEADER_BYTES {
        return Err(Malformed::HeaderTooLarge);
    }
    let mut lines = Lines(head);
    request_line(lines.next().ok_or(Malformed::Head)??)?;
    let mut lengths = 0u32;
    let mut encodings = 0u32;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let colon = memchr(b':', line).ok_or(Malformed::Head)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            lengths += 1;
            if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
                return Err(Malformed::Framing);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            encodings += 1;
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed::Framing);
            }
        }
    }
    if lengths + encodings > 1 { Err(Malformed::Framing) } else { Ok(()) }
}

fn request_line(line: &[u8]) -> Result<(), Malformed> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(Malformed::Head);
    };
    if target.len() > MAX_TARGET_BYTES {
        return Err(Malformed::TargetTooLong);
    }
    if method.is_empty() || method.len() > 64 || target.contains(&b'#') || target.iter().any(|byte| *byte < 0x21 || *byte == 0x7f) {
        return Err(Malformed::Head);
    }
    if matches!(version, b"HTTP/1.1" | b"HTTP/1.0") { Ok(()) } else { Err(Malformed::Head) }
}

/// Lines that end in CR LF. Every request is scanned here, most of it a session cookie: by vector instructions.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some(end) = memchr(b'\n', self.0) else {
            self.0 = &[];
            return Some(Err(Malformed::Head));
        };
        let (line, rest) = self.0.split_at(end + 1);
        self.0 = rest;
        // The only carriage return is the last byte but one, and there is no NUL.
        Some(match line {
            [text @ .., b'\r', b'\n'] if memchr2(b'\r', 0, text).is_none() => Ok(text),
            _ => Err(Malformed::Head),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_head_passes() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked \r\n\r\n",
        ] {
            assert_eq!(inspect(head.as_bytes()), Ok(()), "{head:?}");
        }
    }

    #[test]
    fn what_two_programs_frame_differently_is_refused() {
        for head in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            "GET /\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(inspect(head.as_bytes()).is_err(), "{head:?}");
        }
    }
}

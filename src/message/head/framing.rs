//! What a head says of the length of its body (RFC 9112 §6).

use super::{Oddity, Version};

/// What follows the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    None,
    Octets(u64),
    Chunked,
}

/// Collected from `Content-Length` and `Transfer-Encoding`, also from fields that a lenient program takes for one of them.
#[derive(Debug, Default)]
pub(super) struct Framing {
    length: Option<u64>,
    chunked: bool,
    encodings: u32,
    lengths: u32,
    bad_length: bool,
    different_lengths: bool,
    bad_encoding: bool,
    /// A coding that there is, beside `chunked`: we have none of them (RFC 9112 §7 lets a server have none).
    other_coding: bool,
    chunked_twice: bool,
}

impl Framing {
    /// Takes one field; `true` if it only repeats what another has said.
    pub(super) fn read(&mut self, name: &[u8], value: &[u8]) -> bool {
        let value = trim_blanks(value);
        if is_about_length(name) {
            self.lengths += 1;
            let Some(length) = octets(value) else {
                self.bad_length = true;
                return false;
            };
            let before = self.length.replace(length);
            self.different_lengths |= before.is_some_and(|before| before != length);
            return before == Some(length);
        }
        self.encodings += 1;
        if value.eq_ignore_ascii_case(b"chunked") {
            self.chunked_twice |= self.chunked;
            self.chunked = true;
            return false;
        }
        let codings = || {
            value.split(|byte| *byte == b',').map(|coding| coding.split(|byte| *byte == b';').next().unwrap_or_default()).map(trim_blanks)
        };
        self.chunked_twice |= codings().filter(|coding| coding.eq_ignore_ascii_case(b"chunked")).count() > 1;
        let is_known = |coding: &[u8]| KNOWN_CODINGS.iter().any(|known| coding.eq_ignore_ascii_case(known.as_bytes()));
        if codings().all(is_known) {
            self.other_coding = true;
        } else {
            self.bad_encoding = true;
        }
        false
    }

    /// Nothing is odd about it, and it cannot be read.
    pub(super) fn is_beyond_us(&self) -> bool {
        self.other_coding
    }

    /// `without_body`: the method is one whose content has no meaning (RFC 9110 §9.3.1).
    pub(super) fn oddities(&self, without_body: bool, version: Version) -> impl Iterator<Item = Oddity> {
        let undefined = without_body || version != Version::Http11;
        let length = self.length.unwrap_or_default();
        [
            (self.chunked_twice, Oddity::MultipleTransferEncodingChunked),
            (self.bad_encoding, Oddity::BadTransferEncoding),
            (self.different_lengths, Oddity::MultipleContentLength),
            (self.bad_length, Oddity::BadContentLength),
            (self.encodings > 0 && self.lengths > 0, Oddity::BothTeClPresent),
            (self.lengths > 1 && !self.different_lengths, Oddity::DuplicateContentLength),
            (self.encodings > 0 && undefined, Oddity::UndefinedTransferEncodingSemantics),
            ((without_body || version == Version::Older) && self.lengths > 0 && length > 0, Oddity::UndefinedContentLengthSemantics),
            (without_body && self.lengths > 0 && length == 0, Oddity::GetHeadZeroContentLength),
        ]
        .into_iter()
        .filter_map(|(is_so, oddity)| is_so.then_some(oddity))
    }

    pub(super) fn length(&self) -> BodyLength {
        match self.length {
            _ if self.chunked => BodyLength::Chunked,
            None | Some(0) => BodyLength::None,
            Some(length) => BodyLength::Octets(length),
        }
    }
}

/// Digits and nothing else, and few enough for every program's integer.
fn octets(value: &[u8]) -> Option<u64> {
    let are_digits = !value.is_empty() && value.len() <= MOST_DIGITS && value.iter().all(u8::is_ascii_digit);
    are_digits.then(|| value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// RFC 9110 §5.6.3. A form feed is no blank.
fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn is_about_length(name: &[u8]) -> bool {
    name.iter().any(|byte| byte.eq_ignore_ascii_case(&b'l'))
}

/// One of the two names.
pub(super) fn names_framing(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
}

/// A name that some program takes for one of the two: with another hyphen or several, with blanks or letters that look alike.
pub(super) fn resembles_framing(name: &[u8]) -> bool {
    resembles(name, b"contentlength") || resembles(name, b"transferencoding")
}

/// Most names end here by their length, or at their first letter.
fn resembles(name: &[u8], wanted: &[u8]) -> bool {
    if name.len() < wanted.len() {
        return false;
    }
    let (mut letters, mut replaced) = (0, 0);
    let mut rest = wanted.iter();
    for byte in name {
        if byte.is_ascii_alphanumeric() {
            letters += 1;
            let letter = byte.to_ascii_lowercase();
            if !rest.any(|other| *other == letter) {
                return false;
            }
        } else if !matches!(byte, b'-' | b'_') {
            // What is no letter may stand for one.
            replaced += 1;
        }
    }
    letters > 0 && letters + replaced >= wanted.len()
}

/// RFC 9112 §7, and what was registered before.
const KNOWN_CODINGS: [&str; 7] = ["chunked", "gzip", "x-gzip", "deflate", "compress", "x-compress", "identity"];
/// Below 2⁶⁰.
const MOST_DIGITS: usize = 18;

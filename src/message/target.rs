//! The request target in one normal form (RFC 3986 §6.2.2, RFC 9112 §3.2.1).
//!
//! Escapes of unreserved characters are undone and bytes above 0x7F are escaped. What programs behind
//! read in different ways is refused: dot segments in any spelling, backslashes, control characters,
//! broken or overlong escapes. Three things that applications use honestly are kept byte for byte,
//! `//`, `%2F` and `;parameters`, together with the other way to read the path: a request whose two
//! readings are matched by different rules is refused too (`rules`).

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::{MAX_TARGET_BYTES, Malformed};

/// A path and perhaps a query, normalised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTarget {
    text: String,
    path_end: usize,
    second_reading: Option<String>,
}

impl RequestTarget {
    /// Reads an origin-form target.
    pub fn parse(raw: &[u8]) -> Result<Self, Malformed> {
        if raw.len() > MAX_TARGET_BYTES {
            return Err(Malformed::TargetTooLong);
        }
        if raw.first() != Some(&b'/') {
            return Err(Malformed::TargetForm);
        }
        let (path, query) = match raw.iter().position(|byte| *byte == b'?') {
            Some(at) => (&raw[..at], Some(&raw[at + 1..])),
            None => (raw, None),
        };
        let mut text = String::with_capacity(raw.len());
        let second_reading = match std::str::from_utf8(path) {
            Ok(path) if is_plain(path) => {
                text.push_str(path);
                None
            }
            _ => {
                normalise_path(path, &mut text)?;
                second_reading(&text)?
            }
        };
        let path_end = text.len();
        if let Some(query) = query {
            text.push('?');
            normalise_query(query, &mut text)?;
        }
        Ok(Self { text, path_end, second_reading })
    }

    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[..self.path_end]
    }

    /// Without the question mark; `None` when there is none.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.text.get(self.path_end + 1..)
    }

    /// Path and query, as the target receives them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A link to the same path from a page of ours: `//host` in front would be another host to a browser.
    #[must_use]
    pub fn href(&self) -> String {
        if self.text.starts_with("//") { format!("/.{}", self.text) } else { self.text.clone() }
    }

    /// How a program that decodes `%2F`, merges slashes and drops path parameters reads the path, where
    /// that is another path.
    #[must_use]
    pub fn second_reading(&self) -> Option<&str> {
        self.second_reading.as_deref()
    }
}

/// Most paths: every octet stands for itself, no segment but the last is empty, and none begins with a dot. What is below would come to the same.
fn is_plain(path: &str) -> bool {
    let is_plain = |byte: &u8| is_unreserved(*byte) || *byte == b'/';
    path.as_bytes().iter().all(is_plain) && !path.as_bytes().windows(2).any(|pair| matches!(pair, b"//" | b"/."))
}

fn normalise_path(path: &[u8], text: &mut String) -> Result<(), Malformed> {
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match *byte {
            b'%' => {
                let (value, tail) = escape(tail)?;
                rest = tail;
                match value {
                    0..=0x1f | 0x7f | b'\\' => return Err(Malformed::Path),
                    _ if is_overlong(value, tail) => return Err(Malformed::Path),
                    _ if is_unreserved(value) => text.push(char::from(value)),
                    _ => push_escape_as_sent(byte_pair(tail, path), text),
                }
            }
            0..=0x20 | 0x7f | b'\\' | b'#' | b'"' | b'<' | b'>' => return Err(Malformed::Path),
            byte if byte >= 0x80 && is_overlong(byte, tail) => return Err(Malformed::Path),
            byte if byte >= 0x80 => push_escape(byte, text),
            byte => text.push(char::from(byte)),
        }
    }
    Ok(())
}

/// The two hexadecimal digits in front of `tail` within `path`, in the case in which they were sent.
fn byte_pair<'a>(tail: &[u8], path: &'a [u8]) -> &'a [u8] {
    let end = path.len() - tail.len();
    &path[end - 2..end]
}

fn escape(tail: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    match tail {
        [high, low, rest @ ..] => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => Ok((high << 4 | low, rest)),
            _ => Err(Malformed::Path),
        },
        _ => Err(Malformed::Path),
    }
}

/// The overlong forms of '.', '/' and '\' (CVE-2000-0884 and its many children). A byte that is sent as it is becomes an escape, so that what
/// follows counts in both spellings.
fn is_overlong(value: u8, tail: &[u8]) -> bool {
    let next = match tail {
        [b'%', rest @ ..] => escape(rest).ok().map(|(value, _)| value),
        tail => tail.first().copied(),
    };
    match value {
        0xc0 | 0xc1 => matches!(next, Some(0x80..=0xbf)),
        0xe0 => matches!(next, Some(0x80..=0x9f)),
        _ => false,
    }
}

fn normalise_query(query: &[u8], text: &mut String) -> Result<(), Malformed> {
    for byte in query {
        match *byte {
            0..=0x20 | 0x7f | b'#' => return Err(Malformed::Query),
            byte if byte >= 0x80 => push_escape(byte, text),
            byte => text.push(char::from(byte)),
        }
    }
    Ok(())
}

/// Refuses dot segments, and says how else the path can be read.
fn second_reading(path: &str) -> Result<Option<String>, Malformed> {
    let mut other = String::new();
    let mut differs = false;
    let mut segments = 0usize;
    let pieces: Vec<&str> = split_at_slashes(path, &mut differs);
    for (index, piece) in pieces.iter().enumerate() {
        let name = piece.split(';').next().unwrap_or_default();
        if leads_elsewhere(piece) {
            return Err(Malformed::DotSegment);
        }
        differs |= name.len() != piece.len();
        let last = index + 1 == pieces.len();
        if name.is_empty() && !last {
            differs |= index > 0;
            continue;
        }
        other.push('/');
        other.push_str(name);
        segments += 1;
    }
    if segments == 0 {
        other.push('/');
    }
    Ok((differs && other != path).then_some(other))
}

/// Splits at `/` and `%2F`; `escaped` tells whether one of the second kind was there. The part before the first slash, empty,
/// is the first piece.
fn split_at_slashes<'a>(path: &'a str, escaped: &mut bool) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let bytes = path.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let width = match bytes[at] {
            b'/' => 1,
            b'%' if bytes[at + 1] == b'2' && bytes[at + 2] | 0x20 == b'f' => 3,
            _ => 0,
        };
        if width > 0 {
            *escaped |= width == 3;
            pieces.push(&path[start..at]);
            start = at + width;
        }
        at += width.max(1);
    }
    pieces.push(&path[start..]);
    pieces
}

/// `.` and `..`, as a target finds them that decodes any number of times: with dots escaped more than once (`%252e`), and before a slash, a
/// backslash or a semicolon that is (`..%252f`, `..%3b`).
fn leads_elsewhere(piece: &str) -> bool {
    let is_dots = |name: &[u8]| matches!(name.split(|byte| *byte == b';').next(), Some(b"." | b".."));
    if !piece.contains('%') {
        return is_dots(piece.as_bytes());
    }
    let mut read = Cow::Borrowed(piece.as_bytes());
    for _ in 0..MAX_DECODED {
        if read.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dots) {
            return true;
        }
        let decoded = Cow::from(percent_decode(&read)).into_owned();
        if decoded == *read {
            return false;
        }
        read = Cow::Owned(decoded);
    }
    // Nobody honest escapes an escape so often, and who looks on pays for every time.
    true
}

/// How often a path is decoded in search of a dot segment.
const MAX_DECODED: usize = 8;

fn push_escape_as_sent(digits: &[u8], text: &mut String) {
    text.push('%');
    text.extend(digits.iter().map(|digit| char::from(*digit)));
}

fn push_escape(byte: u8, text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_short_way_comes_to_the_same(path in "/[a-zA-Z0-9._~/-]{0,40}") {
            proptest::prop_assume!(is_plain(&path));
            let mut text = String::new();
            normalise_path(path.as_bytes(), &mut text).unwrap();
            proptest::prop_assert_eq!(&text, &path);
            proptest::prop_assert_eq!(second_reading(&text), Ok(None));
        }
    }

    fn parse(target: &str) -> Result<RequestTarget, Malformed> {
        RequestTarget::parse(target.as_bytes())
    }

    #[test]
    fn honest_targets_pass_byte_for_byte() {
        for target in [
            "/",
            "/a%2Fb?x=%26&y=%2F",
            "/a%2fb",
            "/app/deep%20path/x.html?y=1&z=%26%2F&u=%C3%BC&empty=&flag",
            "/proxy/https://example.com/x",
            "/?next=//x",
            "/job/feature%252Ffoo",
            "/100%25",
            "/a%3Bb/%252e.x",
            "/files/v1..2%252Fnotes..",
            "/.well-known/x",
            "/...",
            "/a;v=1/b",
            "/like?q=100%",
        ] {
            assert_eq!(parse(target).map(|parsed| parsed.as_str().to_owned()), Ok(target.to_owned()), "{target}");
        }
    }

    #[test]
    fn equivalent_spellings_become_one() {
        assert_eq!(parse("/%70rivate").unwrap().path(), "/private");
        assert_eq!(parse("/a%2Ejson").unwrap().path(), "/a.json");
        assert_eq!(RequestTarget::parse("/ü".as_bytes()).unwrap().path(), "/%C3%BC");
    }

    #[test]
    fn what_programs_read_differently_is_refused() {
        for target in [
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/.%2E/b",
            "/./a",
            "/a/.",
            "/..;/a",
            "/a/..%2fb",
            "/%252e%252e/a",
            "/.;x/a",
            "/a\\b",
            "/a%5cb",
            "/a%00",
            "/a%0d%0ab",
            "/a%7f",
            "/a%zz",
            "/a%2",
            "/%",
            "/%c0%ae",
            "/%C1%9C",
            "/%e0%80%ae",
            "/%u002e",
            "/..%3b/a",
            "/..%253Bx/a",
            "/..%252fa",
            "/a%252F..%252Fb",
            "/..%255ca",
            "/a%25252f.%25252fb",
            "/%25252e%3b/",
            "/%2525252525252525252541",
            "/a b",
            "/a\tb",
            "/a#b",
            "/a?b c",
            "*",
            "x",
            "http://a/b",
            "",
        ] {
            assert!(parse(target).is_err(), "{target}");
        }
    }

    /// A byte that is sent as it is becomes an escape on the way: what it makes with its neighbours is the same either way.
    #[test]
    fn overlong_forms_are_refused_however_they_are_sent() {
        for target in
            [&b"/\xc0\xae\xc0\xae/x"[..], b"/\xc0%ae/x", b"/%c0\xae/x", b"/\xc1\x9cx", b"/\xe0\x80\xaf", b"/%e0\x80\xaf", b"/\xe0%80%af"]
        {
            assert_eq!(RequestTarget::parse(target), Err(Malformed::Path), "{}", target.escape_ascii());
        }
        // A lone byte is no overlong form, and neither is another letter.
        assert_eq!(RequestTarget::parse(b"/\xc0/\xe0\xa4\xb9").unwrap().path(), "/%C0/%E0%A4%B9");
    }

    #[test]
    fn a_path_that_can_be_read_twice_carries_the_other_reading() {
        for (path, other) in [
            ("//private", "/private"),
            ("/private//", "/private/"),
            ("/public;/private", "/public/private"),
            ("/private;x=1", "/private"),
            ("/private%2fx", "/private/x"),
            ("/a/;/b", "/a/b"),
        ] {
            assert_eq!(parse(path).unwrap().second_reading(), Some(other), "{path}");
        }
        assert_eq!(parse("/private/").unwrap().second_reading(), None);
    }
}

//! Structured input from bytes in a form that a person can write as a seed: lines.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The first `N` lines; the last of them is all of the rest. Those that are missing are empty.
pub fn lines<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut lines = data.splitn(N, |byte| *byte == b'\n');
    std::array::from_fn(|_| lines.next().unwrap_or_default())
}

/// `name: value`, one a line; what is no header is left out, as it never gets this far.
pub fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii())) {
            headers.append(name, value);
        }
    }
    headers
}

/// Only visible ASCII: what a header may hold wherever the text comes from.
pub fn is_visible(value: &HeaderValue) -> bool {
    value.as_bytes().iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}

/// RFC 4648 §5 without padding, in plain steps: the other opinion.
pub fn base64url(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == character)?;
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    // No stray character, and no bits that say nothing.
    (count < 6 && bits & ((1 << count) - 1) == 0).then_some(bytes)
}

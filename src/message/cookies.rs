//! Cookies of a request, byte for byte (RFC 6265 §5.4): found by exact name, removed without touching the rest.
//!
//! No quoting, no `$Version`, no trimming beyond spaces and tabs: what a lenient parser would take for our
//! cookie is not ours (cookie sandwich, Unicode-space prefixes).

use http::header::{COOKIE, HeaderMap, HeaderValue};
use memchr::memchr;

/// Name and value of every cookie, in order. Crumbs of HTTP/2 (RFC 9113 §8.2.3) count as one header.
pub fn all(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.get_all(COOKIE).iter().flat_map(|header| Pairs(Some(header.as_bytes()))).filter_map(split)
}

/// The first cookie of that name. A browser puts the one with the longer path first.
#[must_use]
pub fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    all(headers).find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
}

/// The `Cookie` header without those for which `ours` holds; `None` when nothing is left.
#[must_use]
pub fn without(headers: &HeaderMap, ours: impl Fn(&[u8]) -> bool) -> Option<HeaderValue> {
    let mut kept: Vec<u8> = Vec::new();
    for header in headers.get_all(COOKIE) {
        let mut first_of_header = true;
        for pair in Pairs(Some(header.as_bytes())) {
            if split(pair).is_some_and(|(name, _)| ours(name)) {
                continue;
            }
            if kept.is_empty() {
                kept.extend_from_slice(pair.trim_ascii_start());
            } else {
                kept.extend_from_slice(if first_of_header { b"; " } else { b";" });
                kept.extend_from_slice(pair);
            }
            first_of_header = false;
        }
    }
    if kept.iter().all(|byte| matches!(byte, b';' | b' ' | b'\t')) {
        return None;
    }
    HeaderValue::from_bytes(&kept).ok()
}

/// What stands between the semicolons.
struct Pairs<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Pairs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        let (pair, rest) = match memchr(b';', rest) {
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        self.0 = rest;
        Some(pair)
    }
}

fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr(b'=', pair)?;
    Some((trim(&pair[..equals]), trim(&pair[equals + 1..])))
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let headers = headers(&["a=1; s=first; s=second", "s=third"]);
        assert_eq!(find(&headers, "s"), Some(&b"first"[..]));
        assert_eq!(find(&headers, "S"), None);
    }

    #[test]
    fn others_pass_byte_for_byte() {
        let ours = |name: &[u8]| name == b"s-0" || name == b"n";
        for (sent, left) in [
            ("theme=dark; s-0=x; lang=de", Some("theme=dark; lang=de")),
            ("s-0=x; theme=\"a b\";lang=de", Some("theme=\"a b\";lang=de")),
            ("n=1; s-0=x", None),
            ("odd; =v; s-0=x", Some("odd; =v")),
            ("$Version=1; a=\"x; s-0=y\"", Some("$Version=1; a=\"x")),
        ] {
            assert_eq!(
                without(&headers(&[sent]), ours).as_ref().map(|value| value.to_str().unwrap().to_owned()),
                left.map(str::to_owned),
                "{sent}"
            );
        }
        assert_eq!(without(&headers(&["a=1", "s-0=x", "b=2"]), ours).unwrap(), "a=1; b=2");
    }
}

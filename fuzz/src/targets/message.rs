//! What is on the wire, made unambiguous: idempotent, and what other programs read in it.

use std::borrow::Cow;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode;
use serde_json::Value;
use url::{Host, Url};
use vestibule::message::head::{self, BodyLength, DesyncMitigation, Head, HeadLimits};
use vestibule::message::{Authority, Chunks, MAX_TARGET_BYTES, RequestTarget, Scheme, cookies as cookie_header, json as strict};

pub fn request_target(data: &[u8]) {
    let path = data.split(|byte| *byte == b'?').next().unwrap_or_default();
    let Ok(target) = RequestTarget::parse(data) else { return };
    assert!(!leads_elsewhere(path), "a dot segment passes");
    let text = target.as_str();
    assert!(data.len() <= MAX_TARGET_BYTES && text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(target.query().is_some(), data.contains(&b'?'));
    assert_eq!(format!("{}{}", target.path(), target.query().map(|query| format!("?{query}")).unwrap_or_default()), text);
    // What is matched is what was asked for, and what is forwarded is read in the same way again.
    assert_eq!(Cow::from(percent_decode(target.path().as_bytes())), Cow::from(percent_decode(path)));
    if text.len() <= MAX_TARGET_BYTES {
        assert_eq!(RequestTarget::parse(text.as_bytes()).as_ref(), Ok(&target));
    }
    if let Some(other) = target.second_reading() {
        assert_ne!(other, target.path());
        assert!(other.starts_with('/') && !other.contains("//") && !other.contains(';') && !other.to_ascii_lowercase().contains("%2f"));
        assert_eq!(RequestTarget::parse(other.as_bytes()).map(|other| other.second_reading().map(str::to_owned)), Ok(None));
    }
    // A browser and other programs with a WHATWG parser stay where they were.
    let url = Url::parse(&format!("https://app.test{text}")).unwrap();
    let escapes = |text: &str| text.replace('`', "%60").replace('{', "%7B").replace('}', "%7D").replace('^', "%5E").replace('|', "%7C");
    assert_eq!((escapes(url.path()), url.host_str(), url.fragment()), (escapes(target.path()), Some("app.test"), None));
    assert_eq!(Url::parse("https://app.test/x").unwrap().join(&target.href()).unwrap().host_str(), Some("app.test"));
}

/// Whether any program could find a dot segment there, however often it decodes.
fn leads_elsewhere(path: &[u8]) -> bool {
    let mut path = path.to_vec();
    loop {
        let is_one = |segment: &[u8]| matches!(segment.split(|byte| *byte == b';').next(), Some(b"." | b".."));
        if path.split(|byte| matches!(byte, b'/' | b'\\')).any(is_one) {
            return true;
        }
        let decoded: Vec<u8> = percent_decode(&path).collect();
        if decoded == path {
            return false;
        }
        path = decoded;
    }
}

/// The first octet is the mode.
pub fn request_head(data: &[u8]) {
    const MODES: [DesyncMitigation; 3] = [DesyncMitigation::Strictest, DesyncMitigation::Defensive, DesyncMitigation::Monitor];
    const LIMITS: HeadLimits = HeadLimits { target: MAX_TARGET_BYTES, bytes: 64 * 1024, fields: 128 };
    let Some((mode, data)) = data.split_first() else { return };
    let mode = usize::from(*mode) % MODES.len();
    let Some(end) = head::length(data, 0) else { return };
    assert!((0..end).all(|searched| head::length(data, searched) == Some(end)), "the end depends on the pieces");
    let Ok(read) = head::read(&data[..end], MODES[mode], &LIMITS) else { return };
    for later in &MODES[mode..] {
        assert_eq!(head::read(&data[..end], *later, &LIMITS).as_ref(), Ok(&read), "a stricter mode lets more pass");
    }
    let Head { body, normal_form, .. } = read;
    let passed = normal_form.as_deref().unwrap_or(&data[..end]);
    let again = head::read(passed, MODES[mode], &LIMITS).unwrap();
    assert_eq!((again.body, again.normal_form), (body, None), "the normal form is none");
    for (at, byte) in passed.iter().enumerate() {
        assert!(*byte != b'\n' || (at > 0 && passed[at - 1] == b'\r'), "a bare line feed at {at}");
        assert!(*byte != b'\r' || passed.get(at + 1) == Some(&b'\n'), "a bare carriage return at {at}");
        assert!(*byte != 0, "NUL at {at}");
    }
    // What another parser makes of it.
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(passed), Ok(httparse::Status::Complete(passed.len())));
    let of = |name: &str| request.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).collect::<Vec<_>>();
    let framing = match (&of("content-length")[..], &of("transfer-encoding")[..]) {
        ([], []) => BodyLength::None,
        ([length], []) => match std::str::from_utf8(length.value).unwrap().parse() {
            Ok(0) => BodyLength::None,
            length => BodyLength::Octets(length.unwrap()),
        },
        ([], [coding]) if coding.value.eq_ignore_ascii_case(b"chunked") => BodyLength::Chunked,
        (lengths, codings) => panic!("{lengths:?} and {codings:?}"),
    };
    assert_eq!(body, framing);
    assert!(!request.path.unwrap().contains(['#', ' ', '\t', '<', '>']));
}

/// The first octet says where the pieces are cut.
pub fn chunked_body(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    let mut whole = Chunks::default();
    let read = whole.read(data);
    let mut pieces = Chunks::default();
    let mut total = 0;
    for piece in data.chunks(usize::from(*size).max(1)) {
        match pieces.read(piece) {
            Ok(count) => total += count,
            Err(_) => return assert!(read.is_err(), "refused in pieces only"),
        }
        if pieces.is_over() {
            break;
        }
    }
    // One that is refused whole may end before what is bad.
    let Ok(length) = read else { return };
    assert_eq!((total, pieces.is_over()), (length, whole.is_over()));
    if whole.is_over() {
        assert_eq!(other_end(data), Some(length), "another reader ends it elsewhere");
    }
}

/// Where a plain reader with httparse ends a chunked body.
fn other_end(data: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(&data[at..]) else { return None };
        at += line;
        if size == 0 {
            break;
        }
        at += usize::try_from(size).ok()?;
        at += data.get(at..at + 2).filter(|end| *end == b"\r\n")?.len();
    }
    loop {
        let end = data[at..].windows(2).position(|pair| pair == b"\r\n")?;
        at += end + 2;
        if end == 0 {
            return Some(at);
        }
    }
}

pub fn authority(data: &[u8]) {
    let Ok(authority) = Authority::parse(data) else { return };
    let text = authority.as_str();
    assert_eq!(Authority::parse(text.as_bytes()).as_ref(), Ok(&authority));
    assert!(!text.bytes().any(|byte| byte.is_ascii_uppercase()
        || matches!(byte, b'@' | b'/' | b'?' | b'#' | b'\\' | b',' | b'%')
        || !byte.is_ascii_graphic()));
    assert_eq!(text, authority.port().map_or(authority.host().to_owned(), |port| format!("{}:{port}", authority.host())));
    for scheme in [Scheme::Http, Scheme::Https] {
        let origin = authority.origin(scheme);
        // A number such as 0x7f.1 is an address to a browser; a name stays what it is.
        let Ok(url) = Url::parse(&origin) else { continue };
        match url.host() {
            Some(Host::Domain(name)) if !name.contains("xn--") => {
                assert_eq!((name, url.origin().ascii_serialization()), (authority.host(), origin))
            }
            Some(Host::Ipv6(address)) => assert_eq!(format!("[{address}]"), authority.host()),
            Some(Host::Domain(_) | Host::Ipv4(_)) | None => {}
        }
        assert!(url.username().is_empty() && url.password().is_none() && url.path() == "/" && url.query().is_none());
    }
}

/// Each line is a header of its own, as HTTP/2 cuts it.
pub fn cookies(data: &[u8]) {
    let ours = |name: &[u8]| name == b"s-0" || name == b"n";
    let mut headers = HeaderMap::new();
    let mut pairs: Vec<Vec<u8>> = Vec::new();
    for line in data.split(|byte| *byte == b'\n').take(16) {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        pairs.extend(value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::to_vec));
        headers.append(COOKIE, value);
    }
    let trim = |bytes: &[u8]| {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
        let end = bytes.iter().rposition(|byte| !is_blank(byte)).map_or(start, |at| at + 1);
        bytes[start..end].to_vec()
    };
    let name = |pair: &[u8]| pair.iter().position(|byte| *byte == b'=').map(|at| trim(&pair[..at]));
    let value = |pair: &[u8]| pair.iter().position(|byte| *byte == b'=').map(|at| trim(&pair[at + 1..]));
    let found = cookie_header::find(&headers, "s-0").map(<[u8]>::to_vec);
    assert_eq!(found, pairs.iter().find(|pair| name(pair).as_deref() == Some(b"s-0")).and_then(|pair| value(pair)));
    let left = cookie_header::without(&headers, ours);
    let after = left.as_ref().map(|left| HeaderMap::from_iter([(COOKIE, left.clone())])).unwrap_or_default();
    assert!(!cookie_header::all(&after).any(|(name, _)| ours(name)), "one of ours is left");
    assert_eq!(cookie_header::without(&after, ours), left, "taken out twice");
    // The others are all there, in their order, byte for byte but for the blanks around them.
    let others = |pairs: &[Vec<u8>]| -> Vec<Vec<u8>> {
        pairs
            .iter()
            .filter(|pair| !name(pair).is_some_and(|name| ours(&name)))
            .map(|pair| trim(pair))
            .filter(|pair| !pair.is_empty())
            .collect()
    };
    let kept: Vec<Vec<u8>> =
        left.iter().flat_map(|left| left.as_bytes().split(|byte| *byte == b';').map(<[u8]>::to_vec).collect::<Vec<_>>()).collect();
    assert_eq!(others(&kept), others(&pairs));
}

/// Against serde_json, which lets the last of two members win: a text has a member twice exactly if it names more of them than are kept.
pub fn json(data: &[u8]) {
    let ours = strict::object(data).ok();
    let theirs = match serde_json::from_slice::<Value>(data) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    };
    let is_distinct = theirs.as_ref().is_some_and(|object| count(&Value::Object(object.clone())) == names(data));
    assert_eq!(ours, theirs.filter(|_| is_distinct));
}

fn count(value: &Value) -> usize {
    match value {
        Value::Object(object) => object.len() + object.values().map(count).sum::<usize>(),
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Colons outside of texts, of what is known to be JSON.
fn names(text: &[u8]) -> usize {
    let (mut within, mut escaped, mut found) = (false, false, 0);
    for byte in text {
        match (within, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => within = !within,
            (false, b':') => found += 1,
            _ => {}
        }
    }
    found
}

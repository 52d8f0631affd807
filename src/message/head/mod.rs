//! The raw head of an HTTP/1.1 request, before any parser mends it.
//!
//! Two programs that mend differently are how requests are smuggled (RFC 9112 §11.2). What has one meaning passes byte for byte. What
//! could be read in two ways is refused; in the mode `monitor` some of it is written anew, with the one meaning that it then has.

mod framing;
mod oddity;

pub use framing::BodyLength;
pub use oddity::{Oddity, Tier};

use memchr::memchr;

use super::Malformed;
use framing::Framing;

/// ALB's `desync_mitigation_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DesyncMitigation {
    /// What can be given one meaning is, and passes.
    Monitor,
    #[default]
    Defensive,
    /// Only what the specifications define passes.
    Strictest,
}

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Octets of the request target.
    pub target: usize,
    /// Octets of the whole head.
    pub bytes: usize,
    /// Header fields.
    pub fields: usize,
}

/// A head that has one meaning.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub body: BodyLength,
    /// There is an `Upgrade`: what follows may be another protocol.
    pub offers_upgrade: bool,
    pub oddity: Option<Oddity>,
    /// In place of what was sent.
    pub normal_form: Option<Vec<u8>>,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub malformed: Malformed,
    pub oddity: Option<Oddity>,
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self { malformed, oddity: None }
    }
}

/// The length of the head that `octets` begin with, up to and including the empty line; `None` while that has not come. A line may end in LF
/// alone here: such a head is to be refused when it is complete, not waited for.
#[must_use]
pub fn length(octets: &[u8], searched: usize) -> Option<usize> {
    // The empty line may have begun in what was searched before.
    let from = searched.saturating_sub(3);
    memchr::memchr_iter(b'\n', &octets[from..]).map(|at| from + at + 1).find_map(|end| match &octets[end..] {
        [b'\n', ..] => Some(end + 1),
        [b'\r', b'\n', ..] => Some(end + 2),
        _ => None,
    })
}

/// Reads everything up to and including the empty line.
pub fn read(head: &[u8], mode: DesyncMitigation, limits: &HeadLimits) -> Result<Head, Refusal> {
    if head.len() > limits.bytes {
        // Not the fields but the line is what is too long, if it is.
        let line = memchr(b'\n', head).unwrap_or(head.len());
        let malformed = if line > limits.target.min(limits.bytes) { Malformed::TargetTooLong } else { Malformed::HeaderTooLarge };
        return Err(malformed.into());
    }
    let mut reader = Reader { mode, oddity: None, malformed: None, framing: Framing::default(), rewritten: false, offers_upgrade: false };
    let mut lines = Lines(head);
    let first = lines.next().unwrap_or(Line { text: b"", ends_well: false });
    let request = reader.request_line(first, limits.target)?;
    let start = head.len() - lines.0.len();
    let mut kept = start..start;
    let mut count = 0;
    let mut normal = Vec::new();
    while let Some(line) = lines.next() {
        if line.text.is_empty() && line.ends_well {
            break;
        }
        count += 1;
        if count > limits.fields {
            return Err(Malformed::HeaderTooLarge.into());
        }
        let end = head.len() - lines.0.len();
        if reader.keeps(line) {
            kept.end = end;
        } else {
            normal.extend_from_slice(&head[kept.clone()]);
            kept = end..end;
        }
    }
    reader.body(&request);
    if let Some(malformed) = reader.malformed {
        return Err(Refusal { malformed, oddity: reader.oddity });
    }
    let normal_form = reader.rewritten.then(|| {
        normal.extend_from_slice(&head[kept]);
        request.with(&normal)
    });
    Ok(Head { body: reader.framing.length(), offers_upgrade: reader.offers_upgrade, oddity: reader.oddity, normal_form })
}

struct Reader {
    mode: DesyncMitigation,
    /// The gravest.
    oddity: Option<Oddity>,
    /// Set as soon as there is something that cannot be given one meaning.
    malformed: Option<Malformed>,
    framing: Framing,
    rewritten: bool,
    offers_upgrade: bool,
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: Version,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http11,
    Http10,
    /// HTTP/0.9, which says nothing, and whatever is no version of HTTP/1.
    Older,
}

impl RequestLine<'_> {
    fn with(&self, fields: &[u8]) -> Vec<u8> {
        let version: &[u8] = if self.version == Version::Http10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" };
        let mut head = [self.method, b" "].concat();
        for byte in self.target {
            match byte {
                b' ' => head.extend_from_slice(b"%20"),
                // In the query: in the path they are refused.
                b'"' => head.extend_from_slice(b"%22"),
                b'<' => head.extend_from_slice(b"%3C"),
                b'>' => head.extend_from_slice(b"%3E"),
                byte if *byte >= 0x80 => head.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                byte => head.push(*byte),
            }
        }
        [&head[..], version, fields, b"\r\n"].concat()
    }
}

impl Reader {
    /// Notes what is odd; `refused` unless the mode gives it a meaning.
    fn note(&mut self, oddity: Oddity, refused: Option<Malformed>) {
        self.oddity = self.oddity.max(Some(oddity));
        self.malformed = self.malformed.or(refused);
    }

    fn monitors(&self) -> bool {
        self.mode == DesyncMitigation::Monitor
    }

    fn request_line<'a>(&mut self, line: Line<'a>, longest: usize) -> Result<RequestLine<'a>, Refusal> {
        let text = line.text.trim_ascii_end();
        if text.len() < line.text.len() {
            self.note(Oddity::NonCompliantVersion, Some(Malformed::Head));
        }
        if !line.ends_well {
            self.note(Oddity::BadUri, Some(Malformed::Head));
        }
        let space = memchr(b' ', text).unwrap_or(text.len());
        let (method, rest) = text.split_at(space);
        let rest = rest.get(1..).unwrap_or_default();
        let (target, version) = match memchr::memrchr(b' ', rest) {
            Some(last) => (&rest[..last], &rest[last + 1..]),
            None => (rest, &b""[..]),
        };
        if target.len() > longest {
            return Err(Malformed::TargetTooLong.into());
        }
        if method.is_empty() || method.len() > LONGEST_METHOD || !method.iter().copied().all(is_token) {
            self.note(Oddity::BadMethod, Some(Malformed::Head));
        }
        let (written, version) = match version {
            b"HTTP/1.1" => (version, Version::Http11),
            b"HTTP/1.0" => (version, Version::Http10),
            other => (other, Version::Older),
        };
        if version == Version::Older {
            let is_known = matches!(written, b"" | b"HTTP/0.9" | b"HTTP/1.2");
            self.note(if is_known { Oddity::NonCompliantVersion } else { Oddity::BadVersion }, Some(Malformed::Head));
        }
        if target.is_empty() || target.contains(&b'#') {
            self.malformed = self.malformed.or(Some(Malformed::Head));
        }
        if target.iter().any(|byte| *byte < 0x20 || *byte == 0x7f) {
            let is_bad = target.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'));
            self.note(if is_bad { Oddity::BadUri } else { Oddity::AmbiguousUri }, Some(Malformed::Head));
        } else if target.contains(&b' ') {
            let holds_version = target.windows(6).any(|window| window == b" HTTP/");
            let refused = (holds_version || !self.monitors()).then_some(Malformed::Head);
            self.note(if holds_version { Oddity::BadVersion } else { Oddity::SpaceInUri }, refused);
            self.rewritten = true;
        }
        let (path, query) = target.split_at(memchr(b'?', target).unwrap_or(target.len()));
        if path.iter().any(|byte| matches!(byte, b'<' | b'>' | b'"' | b'`')) {
            self.malformed = self.malformed.or(Some(Malformed::Path));
        }
        // Programs write these as they are, nobody means anything else by them, and the parser would refuse them.
        // And octets beyond ASCII are read as text by some parsers, and refused if they are none.
        self.rewritten |= memchr::memchr3(b'"', b'<', b'>', query).is_some() || !target.is_ascii();
        Ok(RequestLine { method, target, version })
    }

    /// Takes one field; `false` if it is to be left out.
    fn keeps(&mut self, line: Line<'_>) -> bool {
        if !line.ends_well {
            self.note(Oddity::BadHeader, Some(Malformed::Head));
            return true;
        }
        let Some(colon) = memchr(b':', line.text) else {
            self.note(Oddity::BadHeader, Some(Malformed::Head));
            return true;
        };
        let (name, value) = (&line.text[..colon], &line.text[colon + 1..]);
        if !name.iter().copied().all(is_token) || name.is_empty() {
            return self.keeps_odd_name(name, value);
        }
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.offers_upgrade = true,
            14 | 17 if framing::names_framing(name) => return self.keeps_framing(name, value),
            _ if framing::resembles_framing(name) => self.note(Oddity::SuspiciousHeader, Some(Malformed::Framing)),
            _ => {}
        }
        let (controls, beyond) = survey(value);
        if controls {
            let is_bad = value.contains(&0);
            let refused = (is_bad || !self.monitors()).then_some(Malformed::Head);
            self.note(if is_bad { Oddity::BadHeader } else { Oddity::NonCompliantHeader }, refused);
            self.rewritten = true;
            return false;
        }
        if beyond && self.mode == DesyncMitigation::Strictest {
            self.note(Oddity::NonCompliantHeader, Some(Malformed::Head));
        }
        true
    }

    fn keeps_odd_name(&mut self, name: &[u8], value: &[u8]) -> bool {
        if !name.contains(&0) && framing::resembles_framing(name) {
            self.framing.read(name, value);
            self.note(Oddity::SuspiciousHeader, Some(Malformed::Framing));
            return true;
        }
        let is_bad = value.contains(&0) || name.contains(&0) || name.contains(&b'\r');
        let is_folded = matches!(name.first(), Some(b' ' | b'\t'));
        let oddity = match () {
            () if is_bad => Oddity::BadHeader,
            () if name.trim_ascii().is_empty() => Oddity::EmptyHeader,
            () if is_folded => Oddity::BadHeader,
            () => Oddity::NonCompliantHeader,
        };
        // A line that a program behind would join to the one before is no field to leave out.
        let refused = (is_bad || is_folded || !self.monitors()).then_some(Malformed::Head);
        self.note(oddity, refused);
        self.rewritten = true;
        false
    }

    fn keeps_framing(&mut self, name: &[u8], value: &[u8]) -> bool {
        if value.contains(&0) {
            self.note(Oddity::BadHeader, Some(Malformed::Head));
            return true;
        }
        let repeats = self.framing.read(name, value);
        if repeats && self.monitors() {
            self.rewritten = true;
            return false;
        }
        true
    }

    /// What the fields say together of the body's length.
    fn body(&mut self, request: &RequestLine<'_>) {
        let without_body = matches!(request.method, b"GET" | b"HEAD");
        let oddities: Vec<Oddity> = self.framing.oddities(without_body, request.version).collect();
        for oddity in oddities {
            let passes = match oddity {
                Oddity::GetHeadZeroContentLength => self.mode != DesyncMitigation::Strictest,
                Oddity::UndefinedContentLengthSemantics | Oddity::UndefinedTransferEncodingSemantics => {
                    self.mode != DesyncMitigation::Strictest && request.version == Version::Http11
                }
                Oddity::DuplicateContentLength => self.monitors(),
                _ => false,
            };
            self.note(oddity, (!passes).then_some(Malformed::Framing));
        }
        if self.framing.is_beyond_us() {
            self.malformed = self.malformed.or(Some(Malformed::Framing));
        }
    }
}

/// Without what ends it.
#[derive(Clone, Copy)]
struct Line<'a> {
    text: &'a [u8],
    /// In CR LF, and with no other CR.
    ends_well: bool,
}

/// Every request is scanned here, most of it a session cookie: by vector instructions.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let end = memchr(b'\n', self.0)?;
        let (line, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        let text = line.strip_suffix(b"\r");
        let ends_well = text.is_some_and(|text| memchr(b'\r', text).is_none());
        Some(Line { text: text.unwrap_or(line), ends_well })
    }
}

/// Whether there are control characters, and octets beyond ASCII. Without an early end, so that it is done by vector instructions.
fn survey(value: &[u8]) -> (bool, bool) {
    let (mut controls, mut all) = (0, 0);
    for byte in value {
        controls |= (u8::from(*byte < 0x20) & u8::from(*byte != b'\t')) | u8::from(*byte == 0x7f);
        all |= byte;
    }
    (controls != 0, all >= 0x80)
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "below 256")]
            let character = byte as u8;
            table[byte] = character.is_ascii_alphanumeric()
                || matches!(character, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
            byte += 1;
        }
        table
    };
    TOKEN[usize::from(byte)]
}

/// Longer than any registered one.
const LONGEST_METHOD: usize = 64;

#[cfg(test)]
mod tests;

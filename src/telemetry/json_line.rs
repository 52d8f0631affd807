//! The access log's JSON, written straight into the line: by a serialiser it was a tenth of what the gateway does for a request.

use std::fmt::Display;
use std::io::Write as _;
use std::time::Duration;

/// One object, on one line. Names are written with everything around them, as the macros below put them together when this is compiled.
pub(super) struct JsonLine<'a>(&'a mut Vec<u8>);

/// A text of several pieces.
macro_rules! texts {
    ($line:ident, $name:literal, $($piece:expr),+) => {{
        $line.raw(concat!(",\"", $name, "\":\""));
        $($line.piece($piece);)+
        $line.raw("\"");
    }};
}

/// A text, or `-` where there is none, as AWS writes it.
macro_rules! dash {
    ($line:ident, $name:literal, $value:expr) => {
        match $value {
            Some(value) => $crate::telemetry::json_line::texts!($line, $name, value),
            None => $line.raw(concat!(",\"", $name, "\":\"-\"")),
        }
    };
}

/// What is written without quotes.
macro_rules! value {
    ($line:ident, $name:literal, $method:ident, $value:expr) => {{
        $line.raw(concat!(",\"", $name, "\":"));
        $line.$method($value);
    }};
}

pub(super) use {dash, texts, value};

impl<'a> JsonLine<'a> {
    /// The first field is one of ours, and so is its text.
    pub(super) fn begin(line: &'a mut Vec<u8>, name: &str, text: &str) -> Self {
        line.reserve(USUAL);
        let mut line = Self(line);
        for piece in ["{\"", name, "\":\"", text, "\""] {
            line.raw(piece);
        }
        line
    }

    pub(super) fn end(self) {
        self.0.push(b'}');
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn piece(&mut self, piece: &str) {
        // All of it is looked at, without an early end: that is done by vector instructions.
        let must_be_escaped = piece.bytes().fold(false, |found, byte| found | (byte < 0x20) | (byte == b'"') | (byte == b'\\'));
        if must_be_escaped { self.escaped(piece) } else { self.raw(piece) }
    }

    /// What a client has put there, or somebody who wants lines of their own in the log.
    fn escaped(&mut self, piece: &str) {
        let text = serde_json::to_string(piece).unwrap_or_default();
        self.raw(text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default());
    }

    /// Something whose form has nothing that has to be escaped.
    pub(super) fn shown(&mut self, value: impl Display) {
        let _ = write!(self.0, "\"{value}\"");
    }

    /// With commas. The words are ours.
    pub(super) fn list(&mut self, words: &[&str]) {
        self.raw("\"");
        for (index, word) in words.iter().enumerate() {
            self.raw(if index == 0 { "" } else { "," });
            self.raw(word);
        }
        self.raw("\"");
    }

    pub(super) fn number(&mut self, value: u64) {
        self.raw(itoa::Buffer::new().format(value));
    }

    pub(super) fn number_or_dash(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.number(value),
            None => self.raw("\"-\""),
        }
    }

    /// In seconds, to the microsecond; -1 where no target was asked, as AWS writes it.
    pub(super) fn seconds(&mut self, time: Option<Duration>) {
        match time {
            Some(time) => self.decimal(time, 1_000_000),
            None => self.raw("-1.0"),
        }
    }

    /// In milliseconds, to the microsecond.
    pub(super) fn milliseconds(&mut self, time: Option<Duration>) {
        match time {
            Some(time) => self.decimal(time, 1000),
            None => self.raw("null"),
        }
    }

    /// Microseconds in a unit of so many of them, without zeros that say nothing.
    fn decimal(&mut self, time: Duration, unit: u64) {
        let microseconds = time.as_secs().saturating_mul(1_000_000).saturating_add((u64::from(time.subsec_nanos()) + 500) / 1000);
        self.number(microseconds / unit);
        // The one in front keeps the zeros behind the point.
        let rest = unit + microseconds % unit;
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(rest)[1..].trim_end_matches('0');
        self.raw(".");
        self.raw(if digits.is_empty() { "0" } else { digits });
    }

    /// RFC 3339 in UTC, with microseconds, as AWS writes it.
    pub(super) fn timestamp(&mut self, microseconds: u64) {
        let mut text = [0; TIMESTAMP];
        let text = timestamp(microseconds, &mut text);
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
    }
}

/// A line of somebody signed in has about so many octets.
const USUAL: usize = 1536;

/// `2026-11-20T12:04:11.000123Z`
pub(super) const TIMESTAMP: usize = 27;

/// `-` for what is no time.
pub(super) fn timestamp(microseconds: u64, text: &mut [u8; TIMESTAMP]) -> &str {
    let time = i64::try_from(microseconds).ok().and_then(|time| jiff::Timestamp::from_microsecond(time).ok());
    let Some(time) = time.map(|time| jiff::tz::Offset::UTC.to_datetime(time)) else { return "-" };
    text.copy_from_slice(b"0000-00-00T00:00:00.000000Z");
    let mut write = |end: usize, digits: usize, mut rest: u32| {
        for at in (end - digits..end).rev() {
            text[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
    };
    write(4, 4, time.year().unsigned_abs().into());
    write(7, 2, time.month().unsigned_abs().into());
    write(10, 2, time.day().unsigned_abs().into());
    write(13, 2, time.hour().unsigned_abs().into());
    write(16, 2, time.minute().unsigned_abs().into());
    write(19, 2, time.second().unsigned_abs().into());
    write(26, 6, time.subsec_nanosecond().unsigned_abs() / 1000);
    std::str::from_utf8(text).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(write: impl FnOnce(&mut JsonLine<'_>)) -> String {
        let mut octets = Vec::new();
        let mut line = JsonLine::begin(&mut octets, "type", "h2");
        write(&mut line);
        line.end();
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn numbers_are_shown_to_the_microsecond_and_no_longer_than_they_are() {
        for (nanoseconds, seconds, milliseconds) in [
            (0, "0.0", "0.0"),
            (499, "0.0", "0.0"),
            (500, "0.000001", "0.001"),
            (1_234_567, "0.001235", "1.235"),
            (10_000_000, "0.01", "10.0"),
            (999_999_500, "1.0", "1000.0"),
            (61_500_000_000, "61.5", "61500.0"),
        ] {
            let time = Some(Duration::from_nanos(nanoseconds));
            let written = line(|line| {
                value!(line, "s", seconds, time);
                value!(line, "ms", milliseconds, time);
            });
            assert_eq!(written, format!(r#"{{"type":"h2","s":{seconds},"ms":{milliseconds}}}"#));
        }
        assert_eq!(line(|line| value!(line, "s", seconds, None)), r#"{"type":"h2","s":-1.0}"#);
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let text = |microseconds| timestamp(microseconds, &mut [0; TIMESTAMP]).to_owned();
        assert_eq!(text(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(951_782_399_000_001), "2000-02-28T23:59:59.000001Z");
        assert_eq!(text(951_868_799_999_999), "2000-02-29T23:59:59.999999Z");
        assert_eq!(text(u64::MAX), "-");
    }

    #[test]
    fn nothing_that_comes_from_outside_ends_a_text_or_a_line() {
        for text in ["a\"b", "a\\", "a\nb\u{0}", "ü\u{7f}\u{2028}", "plain"] {
            let written = line(|line| texts!(line, "k", "<", text, ">"));
            assert!(!written.contains('\n'));
            let read: serde_json::Value = serde_json::from_str(&written).unwrap();
            assert_eq!(read["k"], format!("<{text}>"));
        }
    }
}

//! The access log's JSON, written straight into the line: by a serialiser it was a tenth of what the gateway does for a request.

use std::fmt::Display;
use std::io::Write as _;
use std::time::Duration;

/// One object, on one line.
pub(super) struct JsonLine<'a>(&'a mut Vec<u8>);

impl<'a> JsonLine<'a> {
    pub(super) fn begin(line: &'a mut Vec<u8>) -> Self {
        line.push(b'{');
        Self(line)
    }

    pub(super) fn end(self) {
        self.0.push(b'}');
    }

    /// `name` is one of ours: nothing in it has to be escaped.
    fn key(&mut self, name: &str) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.texts(name, &[value]);
    }

    /// `-` where there is none, as AWS writes it.
    pub(super) fn dash(&mut self, name: &str, value: Option<&str>) {
        self.texts(name, &[value.unwrap_or("-")]);
    }

    /// One text of several pieces.
    pub(super) fn texts(&mut self, name: &str, pieces: &[&str]) {
        self.key(name);
        self.0.push(b'"');
        for piece in pieces {
            if piece.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
                self.escaped(piece);
            } else {
                self.0.extend_from_slice(piece.as_bytes());
            }
        }
        self.0.push(b'"');
    }

    /// Something whose form has nothing that has to be escaped.
    pub(super) fn shown(&mut self, name: &str, value: impl Display) {
        self.key(name);
        let _ = write!(self.0, "\"{value}\"");
    }

    /// One text, with commas. The words are ours.
    pub(super) fn list(&mut self, name: &str, words: &[&str]) {
        self.key(name);
        self.0.push(b'"');
        for (index, word) in words.iter().enumerate() {
            self.0.extend_from_slice(if index == 0 { b"" } else { b"," });
            self.0.extend_from_slice(word.as_bytes());
        }
        self.0.push(b'"');
    }

    /// What a client has put there, or somebody who wants lines of their own in the log.
    fn escaped(&mut self, piece: &str) {
        let text = serde_json::to_string(piece).unwrap_or_default();
        self.0.extend_from_slice(text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().as_bytes());
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.key(name);
        self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    pub(super) fn number_or_dash(&mut self, name: &str, value: Option<u64>) {
        match value {
            Some(value) => self.number(name, value),
            None => self.text(name, "-"),
        }
    }

    /// In seconds, to the microsecond; -1 where no target was asked, as AWS writes it.
    pub(super) fn seconds(&mut self, name: &str, time: Option<Duration>) {
        self.key(name);
        match time {
            Some(time) => self.decimal(time, 1_000_000, 6),
            None => self.0.extend_from_slice(b"-1.0"),
        }
    }

    /// In milliseconds, to the microsecond.
    pub(super) fn milliseconds(&mut self, name: &str, time: Option<Duration>) {
        self.key(name);
        match time {
            Some(time) => self.decimal(time, 1000, 3),
            None => self.0.extend_from_slice(b"null"),
        }
    }

    /// `digits` behind the point, without zeros that say nothing.
    fn decimal(&mut self, time: Duration, unit: u128, digits: usize) {
        let microseconds = (time.as_nanos() + 500) / 1000;
        let _ = write!(self.0, "{}", microseconds / unit);
        let start = self.0.len();
        let mut rest = microseconds % unit;
        self.0.resize(start + 1 + digits, b'0');
        self.0[start] = b'.';
        for at in (start + 1..self.0.len()).rev() {
            self.0[at] = digit(rest);
            rest /= 10;
        }
        while self.0.ends_with(b"0") && self.0.len() > start + 2 {
            self.0.pop();
        }
    }

    /// RFC 3339 in UTC, with microseconds, as AWS writes it.
    pub(super) fn timestamp(&mut self, name: &str, microseconds: u64) {
        let mut text = [0; TIMESTAMP];
        self.text(name, timestamp(microseconds, &mut text));
    }
}

/// `2026-11-20T12:04:11.000123Z`
pub(super) const TIMESTAMP: usize = 27;

/// `-` for what is no time.
pub(super) fn timestamp(microseconds: u64, text: &mut [u8; TIMESTAMP]) -> &str {
    let time = i64::try_from(microseconds).ok().and_then(|time| jiff::Timestamp::from_microsecond(time).ok());
    let Some(time) = time.map(|time| jiff::tz::Offset::UTC.to_datetime(time)) else { return "-" };
    text.copy_from_slice(b"0000-00-00T00:00:00.000000Z");
    let mut write = |end: usize, digits: usize, value: u32| {
        let mut rest = u128::from(value);
        for at in (end - digits..end).rev() {
            text[at] = digit(rest);
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

/// The last one.
fn digit(value: u128) -> u8 {
    b'0' + u8::try_from(value % 10).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(write: impl FnOnce(&mut JsonLine<'_>)) -> String {
        let mut octets = Vec::new();
        let mut line = JsonLine::begin(&mut octets);
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
            (61_500_000_000, "61.5", "61500.0"),
        ] {
            let time = Some(Duration::from_nanos(nanoseconds));
            let wanted = format!(r#"{{"s":{seconds},"ms":{milliseconds}}}"#);
            let written = line(|line| {
                line.seconds("s", time);
                line.milliseconds("ms", time);
            });
            assert_eq!(written, wanted);
        }
        assert_eq!(line(|line| line.seconds("s", None)), r#"{"s":-1.0}"#);
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
            let written = line(|line| line.texts("k", &["<", text, ">"]));
            assert!(!written.contains('\n'));
            let read: serde_json::Value = serde_json::from_str(&written).unwrap();
            assert_eq!(read["k"], format!("<{text}>"));
        }
    }
}

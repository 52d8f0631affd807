//! Numbers as a person reads them, and as a program does.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The percentiles that are told, with their keys.
pub(super) const PERCENTILES: [(&str, f64); 6] =
    [("p50", 50.0), ("p75", 75.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0), ("p99.9", 99.9)];

/// Of microseconds: three digits, and the unit that fits.
pub(super) fn time(microseconds: f64) -> String {
    match microseconds {
        below if below < 999.5 => format!("{below:.0} µs"),
        below if below < 9_995.0 => format!("{:.2} ms", below / 1e3),
        below if below < 99_950.0 => format!("{:.1} ms", below / 1e3),
        below if below < 999_500.0 => format!("{:.0} ms", below / 1e3),
        above => format!("{:.2} s", above / 1e6),
    }
}

pub(super) fn whole_time(microseconds: u64) -> String {
    time(microseconds as f64)
}

pub(super) fn octets(count: f64) -> String {
    match count {
        below if below < 1024.0 => format!("{below:.0} B"),
        below if below < 1024.0 * 1024.0 => format!("{:.1} KiB", below / 1024.0),
        below if below < 1024.0 * 1024.0 * 1024.0 => format!("{:.1} MiB", below / 1024.0 / 1024.0),
        above => format!("{:.2} GiB", above / 1024.0 / 1024.0 / 1024.0),
    }
}

/// With a comma for every thousand.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Of requests each second.
pub(super) fn rate(number: f64) -> String {
    if number < 99.95 { format!("{number:.1}") } else { count(number.round() as u64) }
}

pub(super) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    // Neither all nor none, unless it is.
    match percent {
        all if part == whole => format!("{all:.0} %"),
        none if part == 0 => format!("{none:.0} %"),
        most if most > 99.99 => "over 99.99 %".to_owned(),
        few if few < 0.01 => "under 0.01 %".to_owned(),
        some => format!("{some:.2} %"),
    }
}

pub(super) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if duration.subsec_millis() == 0 { format!("{seconds:.0} s") } else { format!("{seconds:.1} s") }
}

/// Milliseconds by the keys of percentiles.
pub(super) fn milliseconds(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    let mut times = Map::new();
    times.insert("min".to_owned(), json!(in_milliseconds(histogram.min())));
    times.insert("mean".to_owned(), json!((histogram.mean()).round() / 1e3));
    for (key, percentile) in PERCENTILES {
        times.insert(key.replace('.', "_"), json!(in_milliseconds(histogram.value_at_percentile(percentile))));
    }
    times.insert("max".to_owned(), json!(in_milliseconds(histogram.max())));
    Value::Object(times)
}

fn in_milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e3
}

/// A row of a table of times.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Times {
    pub(super) name: &'static str,
    pub(super) cells: Vec<String>,
}

impl Times {
    /// All percentiles and the greatest.
    pub(super) fn of(name: &'static str, histogram: &Histogram<u64>) -> Self {
        let mut cells: Vec<String> =
            PERCENTILES.iter().map(|(_, percentile)| whole_time(histogram.value_at_percentile(*percentile))).collect();
        cells.push(whole_time(histogram.max()));
        if histogram.is_empty() {
            cells.fill("–".to_owned());
        }
        Self { name, cells }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_their_unit() {
        let times = [(0, "0 µs"), (999, "999 µs"), (1_000, "1.00 ms"), (12_345, "12.3 ms"), (250_400, "250 ms"), (1_500_000, "1.50 s")];
        for (microseconds, text) in times {
            assert_eq!(whole_time(microseconds), text);
        }
        assert_eq!((count(7), count(1_234_567)), ("7".to_owned(), "1,234,567".to_owned()));
        assert_eq!((octets(512.0), octets(2048.0)), ("512 B".to_owned(), "2.0 KiB".to_owned()));
        assert_eq!((rate(9.96), rate(12_345.6)), ("10.0".to_owned(), "12,346".to_owned()));
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!(share(999_999, 1_000_000), "over 99.99 %");
        assert_eq!(share(1, 1_000_000), "under 0.01 %");
        assert_eq!((share(5, 5), share(0, 5), share(1, 3)), ("100 %".to_owned(), "0 %".to_owned(), "33.33 %".to_owned()));
    }
}

//! Limits that a run must keep, as `p99>200ms` says what must not be.

use std::str::FromStr;

use super::figures;
use super::outcome::Outcome;

/// What is compared with what.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    text: String,
    figure: Figure,
    comparison: Comparison,
    /// Microseconds, a number, or a share.
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Percentile(f64),
    Mean,
    Max,
    Errors { is_share: bool },
    SignedOut { is_share: bool },
    Rate,
    Lag,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

#[derive(Debug, Clone, thiserror::Error, PartialEq)]
#[error("{0:?} cannot be read: {1}\n  hint: as p99>200ms, max>=1s, mean>50ms, errors>0.1%, signed-out>0, rate<450 or lag>5ms")]
pub struct ThresholdError(String, &'static str);

/// A threshold and what came of it.
pub struct Judged {
    pub text: String,
    pub value: String,
    pub holds: bool,
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let wrong = |why| ThresholdError(text.to_owned(), why);
        let at = text.find(['<', '>']).ok_or_else(|| wrong("there is neither < nor > in it"))?;
        let (name, rest) = text.split_at(at);
        let (comparison, value) = match (rest.get(..1), rest.get(1..2)) {
            (Some(">"), Some("=")) => (Comparison::AtLeast, rest.get(2..)),
            (Some(">"), _) => (Comparison::Above, rest.get(1..)),
            (_, Some("=")) => (Comparison::AtMost, rest.get(2..)),
            _ => (Comparison::Below, rest.get(1..)),
        };
        let value = value.unwrap_or_default().trim();
        let is_share = value.ends_with('%');
        let figure = match name.trim() {
            "mean" => Figure::Mean,
            "max" => Figure::Max,
            "errors" => Figure::Errors { is_share },
            "signed-out" => Figure::SignedOut { is_share },
            "rate" => Figure::Rate,
            "lag" => Figure::Lag,
            other => Figure::Percentile(percentile(other).ok_or_else(|| wrong("there is no such figure"))?),
        };
        let limit = match figure {
            Figure::Percentile(_) | Figure::Mean | Figure::Max | Figure::Lag => {
                microseconds(value).ok_or_else(|| wrong("a time has a unit: us, ms or s"))?
            }
            _ if is_share && figure != Figure::Rate => {
                number(value.trim_end_matches('%')).ok_or_else(|| wrong("this is no share"))? / 100.0
            }
            _ => number(value).ok_or_else(|| wrong("this is no number"))?,
        };
        Ok(Self { text: text.to_owned(), figure, comparison, limit })
    }
}

impl Threshold {
    /// Whether the outcome keeps to it.
    pub fn judge(&self, outcome: &Outcome) -> Judged {
        let record = &outcome.record;
        let of = |part: u64, is_share: bool| match (is_share, record.requests()) {
            (false, _) => part as f64,
            (true, 0) => 0.0,
            (true, whole) => part as f64 / whole as f64,
        };
        let actual = match self.figure {
            Figure::Percentile(percentile) => record.response.value_at_percentile(percentile) as f64,
            Figure::Mean => record.response.mean(),
            Figure::Max => record.response.max() as f64,
            Figure::Errors { is_share } => of(outcome.errors(), is_share),
            Figure::SignedOut { is_share } => of(record.signed_out, is_share),
            Figure::Rate => outcome.rate(),
            Figure::Lag => outcome.lag() as f64,
        };
        let fails = match self.comparison {
            Comparison::Above => actual > self.limit,
            Comparison::AtLeast => actual >= self.limit,
            Comparison::Below => actual < self.limit,
            Comparison::AtMost => actual <= self.limit,
        };
        // A time that nobody measured keeps no limit.
        let is_measured = !self.is_time() || !record.response.is_empty();
        Judged { text: self.text.clone(), value: self.words(actual), holds: is_measured && !fails }
    }

    fn is_time(&self) -> bool {
        matches!(self.figure, Figure::Percentile(_) | Figure::Mean | Figure::Max)
    }

    fn words(&self, actual: f64) -> String {
        match self.figure {
            Figure::Errors { is_share: true } | Figure::SignedOut { is_share: true } => format!("{:.3} %", actual * 100.0),
            Figure::Errors { .. } | Figure::SignedOut { .. } => figures::count(actual as u64),
            Figure::Rate => figures::rate(actual),
            _ => figures::time(actual),
        }
    }
}

fn percentile(name: &str) -> Option<f64> {
    number(name.strip_prefix('p')?).filter(|percentile| *percentile <= 100.0)
}

fn microseconds(text: &str) -> Option<f64> {
    let units = [("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
    units.iter().find_map(|(unit, size)| Some(number(text.strip_suffix(unit)?)? * size))
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_with_their_units() {
        for (text, figure, comparison, limit) in [
            ("p99>200ms", Figure::Percentile(99.0), Comparison::Above, 200_000.0),
            ("p99.9 >= 1.5s", Figure::Percentile(99.9), Comparison::AtLeast, 1_500_000.0),
            ("errors>0.1%", Figure::Errors { is_share: true }, Comparison::Above, 0.001),
            ("errors>3", Figure::Errors { is_share: false }, Comparison::Above, 3.0),
            ("signed-out>0", Figure::SignedOut { is_share: false }, Comparison::Above, 0.0),
            ("rate<450", Figure::Rate, Comparison::Below, 450.0),
            ("lag<=5us", Figure::Lag, Comparison::AtMost, 5.0),
        ] {
            let read: Threshold = text.parse().unwrap();
            assert_eq!((read.figure, read.comparison), (figure, comparison), "{text}");
            assert!((read.limit - limit).abs() < 1e-9, "{text}: {}", read.limit);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        for text in ["p99", "p99>200", "p101>1s", "latency>1s", "errors>x%", "rate<5%", "p99>-1ms", "p99>NaNs", "max>µ"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }
}

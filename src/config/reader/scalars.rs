//! Texts, numbers, truth values and durations, with the place where they stand.

use std::time::Duration;

use super::{Content, FromNode, Node, Reader, Span};

/// A value with its place and path, for faults that are found later.
#[derive(Debug, Clone)]
pub struct Located<T> {
    pub value: T,
    pub(in crate::config) span: Span,
    pub(in crate::config) path: String,
}

impl<T: FromNode> FromNode for Located<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let value = T::read(node, reader)?;
        Some(Self { value, span: node.span, path: reader.path().to_owned() })
    }

    /// An absent list, map or option has no place; it points at nothing.
    fn absent() -> Option<Self> {
        T::absent().map(|value| Self { value, span: Span::default(), path: String::new() })
    }
}

impl FromNode for String {
    /// Any scalar that is not null: `port: 443` is as good as `port: "443"`.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.content {
            Content::Scalar { text, .. } if !node.is_null() => Some(text.clone()),
            _ => reader.wrong_type(node, "a text"),
        }
    }
}

impl FromNode for bool {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.content {
            Content::Scalar { text, plain: true } if text == "true" => Some(true),
            Content::Scalar { text, plain: true } if text == "false" => Some(false),
            _ => reader.wrong_type(node, "true or false"),
        }
    }
}

macro_rules! whole_number {
    ($($type:ty),*) => {$(
        impl FromNode for $type {
            fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
                match &node.content {
                    Content::Scalar { text, plain: true } if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
                        let number = text.parse().ok();
                        if number.is_none() {
                            reader.fault(node.span, format!("{text} is too large; at most {} fits here", <$type>::MAX));
                        }
                        number
                    }
                    _ => reader.wrong_type(node, "a whole number"),
                }
            }
        }
    )*};
}
whole_number!(u16, u32, u64);

/// A duration of the file: `90s`, `15m`, `12h`, `7d`, or whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Seconds(pub(in crate::config) Duration);

impl FromNode for Seconds {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Content::Scalar { text, .. } = &node.content else { return reader.wrong_type(node, "a duration") };
        let parsed = parse_duration(text);
        if parsed.is_none() {
            reader.fault(node.span, format!("{text:?} is not a duration")).hint =
                Some("write 90s, 15m, 12h, 7d or whole seconds".to_owned());
        }
        parsed.map(Self)
    }
}

/// At most ten years: what is longer is a slip of the finger.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (seconds <= 10 * 365 * 86_400).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_an_end() {
        for (text, seconds) in
            [("90s", Some(90)), ("15m", Some(900)), ("7d", Some(604_800)), ("2h", Some(7200)), ("30", Some(30)), ("0", Some(0))]
        {
            assert_eq!(parse_duration(text).map(|duration| duration.as_secs()), seconds, "{text}");
        }
        for text in ["", "s", "-1s", "1e99s", "1.5h", "99999999999999999999s", "5w", "1 s", "99999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}

//! The functions of CEL's standard library that a policy may call, and their kinds. What has a pattern, a network or a time zone
//! as its argument (`matches`, `inNetwork`, `getHours`) is compiled with the expression: see `compiler`.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::failure::Failure;
use super::kind::Kind;
use super::value::{List, Map, Text, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Contains,
    EndsWith,
    LowerAscii,
    Size,
    Split,
    StartsWith,
    ToDouble,
    ToDuration,
    ToInt,
    ToText,
    ToTimestamp,
    Trim,
    UpperAscii,
}

/// Name, whether it is called on a value, kinds of its values (any of each), kind of the result.
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) member: bool,
    pub(super) function: Function,
    pub(super) takes: &'static [&'static [Kind]],
    pub(super) gives: Kind,
}

const TEXT: &[Kind] = &[Kind::Text];

pub(super) const SIGNATURES: &[Signature] = &[
    member("contains", Function::Contains, &[TEXT, TEXT], Kind::Bool),
    member("endsWith", Function::EndsWith, &[TEXT, TEXT], Kind::Bool),
    member("lowerAscii", Function::LowerAscii, &[TEXT], Kind::Text),
    member("split", Function::Split, &[TEXT, TEXT], Kind::Any),
    member("startsWith", Function::StartsWith, &[TEXT, TEXT], Kind::Bool),
    member("trim", Function::Trim, &[TEXT], Kind::Text),
    member("upperAscii", Function::UpperAscii, &[TEXT], Kind::Text),
    global("double", Function::ToDouble, &[&[Kind::Double, Kind::Int, Kind::Text]], Kind::Double),
    global("duration", Function::ToDuration, &[&[Kind::Text, Kind::Duration]], Kind::Duration),
    global("int", Function::ToInt, &[&[Kind::Int, Kind::Double, Kind::Text, Kind::Timestamp]], Kind::Int),
    global("string", Function::ToText, &[&[Kind::Text, Kind::Int, Kind::Bool, Kind::Timestamp]], Kind::Text),
    global("timestamp", Function::ToTimestamp, &[&[Kind::Text, Kind::Int, Kind::Timestamp]], Kind::Timestamp),
];

const fn member(name: &'static str, function: Function, takes: &'static [&'static [Kind]], gives: Kind) -> Signature {
    Signature { name, member: true, function, takes, gives }
}

const fn global(name: &'static str, function: Function, takes: &'static [&'static [Kind]], gives: Kind) -> Signature {
    Signature { name, member: false, function, takes, gives }
}

/// Parts of a timestamp, and of a duration where they have a meaning there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
}

pub(super) const PARTS: &[(&str, Part)] = &[
    ("getFullYear", Part::FullYear),
    ("getMonth", Part::Month),
    ("getDate", Part::Date),
    ("getDayOfMonth", Part::DayOfMonth),
    ("getDayOfWeek", Part::DayOfWeek),
    ("getDayOfYear", Part::DayOfYear),
    ("getHours", Part::Hours),
    ("getMinutes", Part::Minutes),
    ("getSeconds", Part::Seconds),
];

/// Names beyond those of the tables, for the nearest one in a report.
pub(super) const OTHERS: &[&str] = &["size", "has", "exists", "all", "exists_one", "map", "filter", "matches", "inNetwork"];

pub(super) fn call<'v>(function: Function, mut values: impl Iterator<Item = Value<'v>>) -> Result<Value<'v>, Failure> {
    let first = values.next().ok_or(Failure::Kind)?;
    let second = values.next();
    match (function, first, second) {
        (Function::Size, value, None) => size(&value),
        (Function::ToInt, value, None) => to_int(&value),
        (Function::ToDouble, value, None) => to_double(&value),
        (Function::ToText, value, None) => to_text(value),
        (Function::ToTimestamp, value, None) => to_timestamp(&value),
        (Function::ToDuration, value, None) => to_duration(&value),
        (Function::LowerAscii, Value::Text(text), None) => Ok(Value::owned(&text.as_str().to_ascii_lowercase())),
        (Function::UpperAscii, Value::Text(text), None) => Ok(Value::owned(&text.as_str().to_ascii_uppercase())),
        (Function::Trim, Value::Text(text), None) => Ok(Value::owned(text.as_str().trim())),
        (Function::Contains, Value::Text(text), Some(Value::Text(other))) => Ok(Value::Bool(text.as_str().contains(other.as_str()))),
        (Function::StartsWith, Value::Text(text), Some(Value::Text(other))) => Ok(Value::Bool(text.as_str().starts_with(other.as_str()))),
        (Function::EndsWith, Value::Text(text), Some(Value::Text(other))) => Ok(Value::Bool(text.as_str().ends_with(other.as_str()))),
        (Function::Split, Value::Text(text), Some(Value::Text(at))) => Ok(Value::List(List::Owned(split(&text, &at)))),
        _ => Err(Failure::Kind),
    }
}

fn split<'v>(text: &Text<'v>, at: &Text<'_>) -> std::rc::Rc<[Value<'v>]> {
    match text {
        Text::Borrowed(text) if !at.as_str().is_empty() => text.split(at.as_str()).map(Value::text).collect(),
        Text::Owned(text) if !at.as_str().is_empty() => text.split(at.as_str()).map(Value::owned).collect(),
        _ => text.as_str().chars().map(|char| Value::owned(char.encode_utf8(&mut [0; 4]))).collect(),
    }
}

fn size<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    let size = match value {
        Value::Text(text) => text.as_str().chars().count(),
        Value::List(list) => list.len(),
        Value::Map(Map::Json(members)) => members.len(),
        Value::Map(Map::Owned(entries)) => entries.len(),
        _ => return Err(Failure::Kind),
    };
    i64::try_from(size).map(Value::Int).map_err(|_| Failure::Overflow)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the range has been looked at before")]
fn to_int<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    Ok(Value::Int(match value {
        Value::Int(number) => *number,
        Value::Double(number) if *number > i64::MIN as f64 && *number < i64::MAX as f64 => *number as i64,
        Value::Double(_) => return Err(Failure::Overflow),
        Value::Text(text) => text.as_str().parse().map_err(|_| Failure::Conversion)?,
        Value::Timestamp(at) => at.as_second(),
        _ => return Err(Failure::Kind),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "CEL's own conversion rounds")]
fn to_double<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    Ok(Value::Double(match value {
        Value::Int(number) => *number as f64,
        Value::Double(number) => *number,
        Value::Text(text) => text.as_str().parse().map_err(|_| Failure::Conversion)?,
        _ => return Err(Failure::Kind),
    }))
}

fn to_text(value: Value<'_>) -> Result<Value<'_>, Failure> {
    Ok(match value {
        Value::Text(text) => Value::Text(text),
        Value::Int(number) => Value::owned(&number.to_string()),
        Value::Bool(truth) => Value::text(if truth { "true" } else { "false" }),
        Value::Timestamp(at) => Value::owned(&at.to_string()),
        _ => return Err(Failure::Kind),
    })
}

fn to_timestamp<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    Ok(Value::Timestamp(match value {
        Value::Timestamp(at) => *at,
        Value::Int(seconds) => Timestamp::from_second(*seconds).map_err(|_| Failure::Overflow)?,
        Value::Text(text) => text.as_str().parse().map_err(|_| Failure::Conversion)?,
        _ => return Err(Failure::Kind),
    }))
}

fn to_duration<'v>(value: &Value<'v>) -> Result<Value<'v>, Failure> {
    Ok(Value::Duration(match value {
        Value::Duration(length) => *length,
        Value::Text(text) => duration(text.as_str()).ok_or(Failure::Conversion)?,
        _ => return Err(Failure::Kind),
    }))
}

/// CEL's own notation: `12h`, `1h30m`, `-90s`, `1.5h`.
pub(super) fn duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut sum = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let (number, unit) = rest.split_at(digits);
        let end = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        let factor = match &unit[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * factor;
        rest = &unit[end..];
    }
    SignedDuration::try_from_secs_f64(if negative { -sum } else { sum }).ok()
}

/// As CEL counts: months, days of the month and of the year from 0, `getDate` from 1, Sunday is 0.
pub(super) fn part<'v>(part: Part, value: &Value<'v>, zone: &TimeZone) -> Result<Value<'v>, Failure> {
    let at = match value {
        Value::Timestamp(at) => at.to_zoned(zone.clone()),
        Value::Duration(length) => {
            return Ok(Value::Int(match part {
                Part::Hours => length.as_secs() / 3600,
                Part::Minutes => length.as_secs() / 60,
                Part::Seconds => length.as_secs(),
                _ => return Err(Failure::Kind),
            }));
        }
        _ => return Err(Failure::Kind),
    };
    Ok(Value::Int(match part {
        Part::FullYear => at.year().into(),
        Part::Month => i64::from(at.month()) - 1,
        Part::Date => at.day().into(),
        Part::DayOfMonth => i64::from(at.day()) - 1,
        Part::DayOfWeek => at.weekday().to_sunday_zero_offset().into(),
        Part::DayOfYear => i64::from(at.day_of_year()) - 1,
        Part::Hours => at.hour().into(),
        Part::Minutes => at.minute().into(),
        Part::Seconds => at.second().into(),
    }))
}

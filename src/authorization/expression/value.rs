//! What an expression computes with. Claims and headers are borrowed where they lie: nothing is converted or copied for a request.

use std::rc::Rc;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use super::failure::Failure;

#[derive(Debug, Clone)]
pub(super) enum Value<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Text<'v>),
    List(List<'v>),
    Map(Map<'v>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
}

#[derive(Debug, Clone)]
pub(super) enum Text<'v> {
    Borrowed(&'v str),
    Owned(Rc<str>),
}

#[derive(Debug, Clone)]
pub(super) enum List<'v> {
    Json(&'v [Json]),
    Owned(Rc<[Value<'v>]>),
}

#[derive(Debug, Clone)]
pub(super) enum Map<'v> {
    Json(&'v serde_json::Map<String, Json>),
    Owned(Rc<[(Value<'v>, Value<'v>)]>),
    Headers(&'v HeaderMap),
    /// The query as it stands in the request.
    Query(&'v str),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl<'v> Value<'v> {
    pub(super) fn text(text: &'v str) -> Self {
        Self::Text(Text::Borrowed(text))
    }

    pub(super) fn owned(text: &str) -> Self {
        Self::Text(Text::Owned(text.into()))
    }

    /// A whole number that is none of CEL's `int` would be rounded, and two persons' numbers could become one: it is a failure.
    pub(super) fn of(json: &'v Json) -> Result<Self, Failure> {
        Ok(match json {
            Json::Null => Self::Null,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None if number.is_u64() => return Err(Failure::Overflow),
                None => Self::Double(number.as_f64().ok_or(Failure::Overflow)?),
            },
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::List(List::Json(items)),
            Json::Object(members) => Self::Map(Map::Json(members)),
        })
    }

    pub(super) fn truth(&self) -> Result<bool, Failure> {
        match self {
            Self::Bool(truth) => Ok(*truth),
            _ => Err(Failure::Kind),
        }
    }

    /// CEL's equality: numbers by value, lists and maps by their parts, what is of another kind is not equal.
    pub(super) fn equals(&self, other: &Value<'_>) -> Result<bool, Failure> {
        Ok(match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(one), Value::Bool(two)) => one == two,
            (Self::Text(one), Value::Text(two)) => one.as_str() == two.as_str(),
            (Self::Timestamp(one), Value::Timestamp(two)) => one == two,
            (Self::Duration(one), Value::Duration(two)) => one == two,
            (Self::List(one), Value::List(two)) => {
                if one.len() != two.len() {
                    return Ok(false);
                }
                for index in 0..one.len() {
                    if !one.at(index)?.equals(&two.at(index)?)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Self::Map(one), Value::Map(two)) => return one.equals(two),
            _ => self.compare_numbers(other).is_some_and(std::cmp::Ordering::is_eq),
        })
    }

    /// `None` where there is no order: other kinds, NaN.
    pub(super) fn compare(&self, other: &Value<'_>) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
            (Self::Text(one), Value::Text(two)) => Some(one.as_str().cmp(two.as_str())),
            (Self::Timestamp(one), Value::Timestamp(two)) => Some(one.cmp(two)),
            (Self::Duration(one), Value::Duration(two)) => Some(one.cmp(two)),
            _ => self.compare_numbers(other),
        }
    }

    fn compare_numbers(&self, other: &Value<'_>) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Int(one), Value::Int(two)) => Some(one.cmp(two)),
            (Self::Double(one), Value::Double(two)) => one.partial_cmp(two),
            (Self::Int(one), Value::Double(two)) => compare_mixed(*one, *two),
            (Self::Double(one), Value::Int(two)) => compare_mixed(*two, *one).map(std::cmp::Ordering::reverse),
            _ => None,
        }
    }
}

/// Without rounding the whole number: 2^53 + 1 is not 2^53.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "the ranges have been looked at before")]
fn compare_mixed(whole: i64, double: f64) -> Option<std::cmp::Ordering> {
    use std::cmp::Ordering;
    if double.is_nan() {
        return None;
    }
    if double >= i64::MAX as f64 {
        return Some(Ordering::Less);
    }
    if double < i64::MIN as f64 {
        return Some(Ordering::Greater);
    }
    Some(whole.cmp(&(double as i64)).then_with(|| 0.0.partial_cmp(&double.fract()).unwrap_or(Ordering::Equal)))
}

impl<'v> List<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Owned(items) => items.len(),
        }
    }

    pub(super) fn at(&self, index: usize) -> Result<Value<'v>, Failure> {
        match self {
            Self::Json(items) => items.get(index).ok_or(Failure::Index).and_then(Value::of),
            Self::Owned(items) => items.get(index).cloned().ok_or(Failure::Index),
        }
    }
}

impl<'v> Map<'v> {
    /// `None`: there is no such key.
    pub(super) fn find(&self, key: &Value<'_>) -> Result<Option<Value<'v>>, Failure> {
        match (self, key) {
            (Self::Json(members), Value::Text(key)) => members.get(key.as_str()).map(Value::of).transpose(),
            (Self::Owned(entries), key) => {
                for (known, value) in entries.iter() {
                    if known.equals(key)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
            (Self::Headers(headers), Value::Text(key)) => header(headers, key.as_str()),
            (Self::Query(query), Value::Text(key)) => parameter(query, key.as_str()),
            _ => Ok(None),
        }
    }

    /// `None`: its size and its keys are nothing to rely on.
    pub(super) fn keys(&self) -> Option<Vec<Value<'v>>> {
        match self {
            Self::Json(members) => Some(members.keys().map(|key| Value::text(key)).collect()),
            Self::Owned(entries) => Some(entries.iter().map(|(key, _)| key.clone()).collect()),
            Self::Headers(_) | Self::Query(_) => None,
        }
    }

    fn equals(&self, other: &Map<'_>) -> Result<bool, Failure> {
        let (Some(keys), Some(others)) = (self.keys(), other.keys()) else { return Err(Failure::Kind) };
        if keys.len() != others.len() {
            return Ok(false);
        }
        for key in &keys {
            match (self.find(key)?, other.find(key)?) {
                (Some(one), Some(two)) if one.equals(&two)? => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// A header that is given twice is read in one way here and in another behind: it decides nothing.
fn header<'v>(headers: &'v HeaderMap, name: &str) -> Result<Option<Value<'v>>, Failure> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(|text| Some(Value::text(text))).map_err(|_| Failure::Unreadable),
        (Some(_), Some(_)) => Err(Failure::Twice),
    }
}

/// The same for a parameter of the query (parameter pollution). Decoded as a form is.
fn parameter<'v>(query: &'v str, name: &str) -> Result<Option<Value<'v>>, Failure> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(known, _)| known == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        // What was no UTF-8 has been replaced, and is not what the application will see.
        (Some(value), None) if value.contains('\u{fffd}') => Err(Failure::Unreadable),
        (Some(std::borrow::Cow::Borrowed(value)), None) => Ok(Some(Value::text(value))),
        (Some(std::borrow::Cow::Owned(value)), None) => Ok(Some(Value::owned(&value))),
        (Some(_), Some(_)) => Err(Failure::Twice),
    }
}

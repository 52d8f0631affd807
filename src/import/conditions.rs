//! Conditions of a rule. `Err` says why one has no counterpart: the rule is closed then, because leaving a condition out would
//! make it hold for requests that it was not meant for.

use super::aws;
use super::model::{Condition, Notes};
use crate::rules::{Case, Wildcard};

/// `Ok(None)`: the condition never held, and so never did its rule.
pub(super) fn condition(
    raw: &aws::Condition,
    place: &str,
    comments: &mut Vec<String>,
    notes: &mut Notes,
) -> Result<Option<Condition>, String> {
    let of = |config: &Option<aws::Values>| {
        config.as_ref().map_or_else(
            || (raw.values.clone(), raw.regex_values.clone()),
            |config| {
                let regexes = if config.regex_values.is_empty() { &raw.regex_values } else { &config.regex_values };
                (config.values.clone(), regexes.clone())
            },
        )
    };
    let made = match raw.field.as_str() {
        "host-header" => {
            let (values, regexes) = of(&raw.host_header_config);
            let values: Vec<String> = values.iter().map(|value| value.to_ascii_lowercase()).collect();
            // The host is compared in lower case, where a capital in an expression would match nothing.
            let regexes = regexes.into_iter().map(|regex| if has_capital(&regex) { format!("(?i){regex}") } else { regex }).collect();
            texts(("host_header", "host_regex"), values, regexes)?
        }
        "path-pattern" => {
            let (values, regexes) = of(&raw.path_pattern_config);
            let (values, never): (Vec<String>, Vec<String>) = values.into_iter().partition(|value| value.starts_with(['/', '*', '?']));
            for value in &never {
                notes.leave(
                    comments,
                    place,
                    format!("path pattern {value:?} is left out: it matches no path, because a path begins with a slash"),
                );
            }
            if values.is_empty() && regexes.is_empty() && !never.is_empty() {
                return Ok(None);
            }
            texts(("path_pattern", "path_regex"), values, regexes)?
        }
        "http-request-method" => Condition::Texts("http_request_method", methods(of(&raw.http_request_method_config).0)?),
        "source-ip" => Condition::Texts("source_ip", networks(of(&raw.source_ip_config).0)?),
        "http-header" => header(raw.http_header_config.as_ref().ok_or("a condition http-header without HttpHeaderConfig")?)?,
        "query-string" => query(raw.query_string_config.as_ref().ok_or("a condition query-string without QueryStringConfig")?)?,
        other => return Err(format!("the condition {other:?} is not known")),
    };
    Ok(Some(made))
}

/// Patterns and expressions of one condition are alternatives; here they are two conditions, of which both would have to hold. So
/// where there are both, the patterns are said as expressions.
fn texts(keys: (&'static str, &'static str), values: Vec<String>, regexes: Vec<String>) -> Result<Condition, String> {
    for value in &values {
        Wildcard::new(value, Case::Sensitive).map_err(|error| format!("{value:?}: {error}"))?;
    }
    if regexes.is_empty() {
        return not_empty(values).map(|values| Condition::Texts(keys.0, values));
    }
    let all: Vec<String> = values.iter().map(|value| expression(value)).chain(regexes).collect();
    all.iter().try_for_each(|regex| check_regex(regex))?;
    Ok(Condition::Texts(keys.1, all))
}

fn expression(pattern: &str) -> String {
    let parts: Vec<String> = pattern.split('*').map(|part| part.split('?').map(regex::escape).collect::<Vec<_>>().join(".")).collect();
    format!("^{}$", parts.join(".*"))
}

fn check_regex(regex: &str) -> Result<(), String> {
    if regex.is_empty() || regex.len() > 128 {
        return Err(format!("the regular expression {regex:?} would have more than 128 characters, or none"));
    }
    crate::rules::expression(regex, false).map(|_| ()).map_err(|error| format!("{regex:?}: {error}"))
}

fn has_capital(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn not_empty<T>(values: Vec<T>) -> Result<Vec<T>, String> {
    if values.is_empty() { Err("a condition without values".to_owned()) } else { Ok(values) }
}

fn methods(values: Vec<String>) -> Result<Vec<String>, String> {
    let sound =
        |text: &str| (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'));
    match values.iter().find(|value| !sound(value)) {
        Some(wrong) => Err(format!("{wrong:?} is not a method")),
        None => not_empty(values),
    }
}

fn networks(values: Vec<String>) -> Result<Vec<String>, String> {
    let sound = |text: &str| text.parse::<ipnet::IpNet>().is_ok() || text.parse::<std::net::IpAddr>().is_ok();
    match values.iter().find(|value| !sound(value)) {
        Some(wrong) => Err(format!("{wrong:?} is not a network")),
        None => not_empty(values),
    }
}

fn header(raw: &aws::HttpHeader) -> Result<Condition, String> {
    let name = &raw.http_header_name;
    let sound = name.len() <= 40 && name.parse::<http::HeaderName>().is_ok_and(|name| name != http::header::HOST);
    if !sound {
        return Err(format!("{name:?} is not the name of a header that a condition can have"));
    }
    for value in &raw.values {
        Wildcard::with_escapes(value, Case::Sensitive).map_err(|error| format!("{value:?}: {error}"))?;
    }
    raw.regex_values.iter().try_for_each(|regex| check_regex(regex))?;
    not_empty(raw.values.iter().chain(&raw.regex_values).collect())?;
    Ok(Condition::HttpHeader { name: name.clone(), values: raw.values.clone(), regex_values: raw.regex_values.clone() })
}

fn query(raw: &aws::QueryString) -> Result<Condition, String> {
    let mut pairs = Vec::with_capacity(raw.values.len());
    for pair in &raw.values {
        let key = pair.key.clone().filter(|key| !key.is_empty());
        for text in key.iter().chain([&pair.value]) {
            Wildcard::with_escapes(text, Case::Sensitive).map_err(|error| format!("{text:?}: {error}"))?;
        }
        pairs.push((key, pair.value.clone()));
    }
    not_empty(pairs).map(Condition::QueryString)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(raw: serde_json::Value) -> Result<Option<Condition>, String> {
        condition(&serde_json::from_value(raw).unwrap(), "rule", &mut Vec::new(), &mut Notes::default())
    }

    #[test]
    fn patterns_beside_expressions_stay_alternatives() {
        let both =
            serde_json::json!({"Field": "host-header", "HostHeaderConfig": {"Values": ["*.Example.com"], "RegexValues": ["^App[0-9]$"]}});
        let Ok(Some(Condition::Texts("host_regex", texts))) = translated(both) else { panic!("not expressions") };
        assert_eq!(texts, [r"^.*\.example\.com$", "(?i)^App[0-9]$"]);
    }

    #[test]
    fn what_has_no_counterpart_is_said() {
        for (raw, said) in [
            (serde_json::json!({"Field": "tea-time", "Values": ["5"]}), "tea-time"),
            (serde_json::json!({"Field": "path-pattern", "Values": []}), "without values"),
            (serde_json::json!({"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["(?<=a)b"]}}), "not a regular expression"),
            (serde_json::json!({"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "Host", "Values": ["x"]}}), "Host"),
            (serde_json::json!({"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/33"]}}), "not a network"),
        ] {
            let error = translated(raw).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let never = serde_json::json!({"Field": "path-pattern", "Values": ["img/*"]});
        assert!(translated(never).unwrap().is_none());
    }
}

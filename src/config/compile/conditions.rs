//! `conditions` of rules.

use ipnet::IpNet;
use regex::Regex;

use super::context::Context;
use crate::config::raw;
use crate::config::reader::Located;
use crate::rules::{Case, Condition, QueryPair, Wildcard, WildcardError, expression};

pub(super) fn condition(context: &mut Context<'_>, at: &Located<raw::Condition>) -> Option<Condition> {
    match &at.value {
        raw::Condition::HostHeader(values) => {
            not_empty(context, at, values.len());
            patterns(context, values, |value| Wildcard::new(value, Case::LowerCased)).map(Condition::HostHeader)
        }
        raw::Condition::HostRegex(values) => {
            not_empty(context, at, values.len());
            regexes(context, values, false).map(Condition::HostRegex)
        }
        raw::Condition::PathPattern(values) => {
            not_empty(context, at, values.len());
            for at in values.iter().filter(|at| !at.value.starts_with(['/', '*', '?'])) {
                context.error_hint(at, format!("{:?} matches no path", at.value), "a path begins with a slash");
            }
            patterns(context, values, |value| Wildcard::new(value, Case::Sensitive)).map(Condition::PathPattern)
        }
        raw::Condition::PathRegex(values) => {
            not_empty(context, at, values.len());
            regexes(context, values, false).map(Condition::PathRegex)
        }
        raw::Condition::HttpRequestMethod(values) => {
            not_empty(context, at, values.len());
            Some(Condition::HttpRequestMethod(methods(context, values)))
        }
        raw::Condition::HttpHeader(header) => http_header(context, at, header),
        raw::Condition::QueryString(pairs) => {
            not_empty(context, at, pairs.len());
            pairs
                .iter()
                .map(|pair| query_pair(context, pair))
                .collect::<Vec<_>>()
                .into_iter()
                .collect::<Option<_>>()
                .map(Condition::QueryString)
        }
        raw::Condition::SourceIp(values) => {
            not_empty(context, at, values.len());
            let networks: Vec<_> = values.iter().map(|at| network(context, at)).collect();
            networks.into_iter().collect::<Option<_>>().map(Condition::SourceIp)
        }
    }
}

/// A rule that protects something and never matches protects nothing.
fn not_empty(context: &mut Context<'_>, at: &Located<raw::Condition>, count: usize) {
    if count == 0 {
        context.error_hint(at, "a condition without values never holds", "name at least one, or remove the condition");
    }
}

fn patterns(
    context: &mut Context<'_>,
    values: &[Located<String>],
    make: impl Fn(&str) -> Result<Wildcard, WildcardError>,
) -> Option<Vec<Wildcard>> {
    let made: Vec<_> = values.iter().map(|at| pattern(context, at, &make)).collect();
    made.into_iter().collect()
}

fn pattern(context: &mut Context<'_>, at: &Located<String>, make: impl Fn(&str) -> Result<Wildcard, WildcardError>) -> Option<Wildcard> {
    make(&at.value).map_err(|error| context.error(at, error.to_string())).ok()
}

fn regexes(context: &mut Context<'_>, values: &[Located<String>], ignore_case: bool) -> Option<Vec<Regex>> {
    let mut made = Vec::with_capacity(values.len());
    for at in values {
        if at.value.is_empty() || at.value.len() > MAX_REGEX_CHARACTERS {
            context.error(at, format!("a regular expression has between 1 and {MAX_REGEX_CHARACTERS} characters"));
            continue;
        }
        match expression(&at.value, ignore_case) {
            Ok(regex) => made.push(regex),
            Err(error) => context.error(at, error.to_string()),
        }
    }
    (made.len() == values.len()).then_some(made)
}

fn methods(context: &mut Context<'_>, values: &[Located<String>]) -> Vec<String> {
    for at in values {
        let sound =
            (1..=40).contains(&at.value.len()) && at.value.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'));
        if !sound {
            context.error_hint(at, format!("{:?} is not a method", at.value), "methods are upper-case, such as GET");
        }
    }
    values.iter().map(|at| at.value.clone()).collect()
}

fn http_header(context: &mut Context<'_>, at: &Located<raw::Condition>, raw: &raw::HttpHeader) -> Option<Condition> {
    not_empty(context, at, raw.values.len() + raw.regex_values.len());
    let name = raw.name.value.parse::<http::HeaderName>().ok().filter(|name| name.as_str().len() <= 40);
    if name.is_none() {
        context.error(&raw.name, format!("{:?} is not the name of a header", raw.name.value));
    }
    if name.as_ref().is_some_and(|name| name == http::header::HOST) {
        context.error_hint(&raw.name, "the Host header has a condition of its own", "use host_header");
    }
    let values = patterns(context, &raw.values, |value| Wildcard::with_escapes(value, Case::LowerCased));
    let regexes = regexes(context, &raw.regex_values, true);
    Some(Condition::HttpHeader { name: name?, values: values?, regexes: regexes? })
}

fn query_pair(context: &mut Context<'_>, raw: &raw::QueryPair) -> Option<QueryPair> {
    let make = |value: &str| Wildcard::with_escapes(value, Case::LowerCased);
    let key = match &raw.key {
        Some(at) => Some(pattern(context, at, make)?),
        None => None,
    };
    Some(QueryPair { key, value: pattern(context, &raw.value, make)? })
}

/// A network, or one address.
pub(super) fn network(context: &mut Context<'_>, at: &Located<String>) -> Option<IpNet> {
    let parsed = at.value.parse::<IpNet>().or_else(|_| at.value.parse::<std::net::IpAddr>().map(IpNet::from)).ok();
    if parsed.is_none() {
        context.error_hint(at, format!("{:?} is not a network", at.value), "write 10.0.0.0/8 or 192.0.2.1");
    }
    parsed
}

/// ALB's limit.
const MAX_REGEX_CHARACTERS: usize = 128;

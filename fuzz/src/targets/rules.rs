//! Rules and patterns against the slowest reading of what they say.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderName, Method};
use ipnet::IpNet;
use vestibule::message::{Authority, RequestTarget, RequestView, Scheme};
use vestibule::rules::{AmbiguousPath, Case, Condition, QueryPair, Rule, RuleTable, Wildcard};

use crate::input;

/// A row for each end of the text: what the pattern up to here can have matched.
fn plainly(pattern: &[(u8, bool)], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for (byte, is_itself) in pattern {
        let mut next = vec![false; text.len() + 1];
        for end in 0..=text.len() {
            next[end] = match (byte, is_itself) {
                (b'*', false) => reached[..=end].contains(&true),
                (b'?', false) => end > 0 && reached[end - 1],
                (byte, _) => end > 0 && reached[end - 1] && text[end - 1] == *byte,
            };
        }
        reached = next;
    }
    reached[text.len()]
}

fn tokens(pattern: &str, escapes: bool) -> Vec<(u8, bool)> {
    let mut bytes = pattern.bytes();
    let mut tokens = Vec::new();
    while let Some(byte) = bytes.next() {
        tokens.push(if escapes && byte == b'\\' { (bytes.next().unwrap_or(b'\\'), true) } else { (byte, false) });
    }
    tokens
}

/// Two patterns and a text.
pub fn wildcard(data: &[u8]) {
    let [one, two, text] = input::lines(data);
    let (Ok(one), Ok(two), Ok(text)) = (std::str::from_utf8(one), std::str::from_utf8(two), std::str::from_utf8(text)) else { return };
    if text.len() > 512 {
        return;
    }
    let lower = text.to_ascii_lowercase();
    for (pattern, case, text) in [(one, Case::Sensitive, text), (one, Case::LowerCased, lower.as_str())] {
        let folded = if case == Case::LowerCased { pattern.to_ascii_lowercase() } else { pattern.to_owned() };
        if let Ok(wildcard) = Wildcard::new(pattern, case) {
            assert_eq!(wildcard.matches(text), plainly(&tokens(&folded, false), text.as_bytes()));
            assert_eq!(Wildcard::new(wildcard.source(), case).as_ref(), Ok(&wildcard));
            if let Some(only) = wildcard.literal() {
                assert!(wildcard.matches(only) && (!wildcard.matches(text) || text == only));
            }
        }
        if let Ok(wildcard) = Wildcard::with_escapes(pattern, case) {
            assert_eq!(wildcard.matches(text), plainly(&tokens(&folded, true), text.as_bytes()));
        }
    }
    if let (Ok(wide), Ok(narrow)) = (Wildcard::new(one, Case::Sensitive), Wildcard::new(two, Case::Sensitive)) {
        assert!(wide.covers(&wide));
        assert!(!wide.covers(&narrow) || !narrow.matches(text) || wide.matches(text), "{one} covers {two}, and {text:?} says no");
    }
}

struct Written {
    priority: u32,
    conditions: Vec<(String, Vec<String>)>,
}

/// Host, target, method, a header, an address; then a rule in each line: `10 host=a,*.b path=/x* method=GET query=k:v header=x-env:a ip=10.0.0.0/8`.
pub fn rules(data: &[u8]) {
    let [host, target, method, header, address, rest] = input::lines(data);
    let (Ok(authority), Ok(target), Ok(method)) = (Authority::parse(host), RequestTarget::parse(target), Method::from_bytes(method)) else {
        return;
    };
    let headers = input::headers(header);
    let client = std::str::from_utf8(address).ok().and_then(|text| text.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let request = RequestView {
        method: &method,
        scheme: Scheme::Https,
        port: 443,
        authority: &authority,
        target: &target,
        headers: &headers,
        client,
        request_id: "",
    };
    let written: Vec<Written> = String::from_utf8_lossy(rest).lines().take(24).filter_map(rule).collect();
    let compiled: Vec<Option<Vec<Condition>>> =
        written.iter().map(|rule| rule.conditions.iter().map(|(kind, values)| condition(kind, values)).collect()).collect();
    let mut usable: Vec<(&Written, Vec<Condition>)> =
        written.iter().zip(compiled).filter_map(|(rule, conditions)| Some((rule, conditions?))).collect();
    let table = RuleTable::new(
        usable
            .iter()
            .enumerate()
            .map(|(at, (rule, conditions))| Rule { priority: rule.priority, conditions: conditions.clone(), then: at })
            .collect(),
        usize::MAX,
    );
    let numbers: Vec<usize> = {
        let mut numbers: Vec<usize> = (0..usable.len()).collect();
        numbers.sort_by_key(|at| usable[*at].0.priority);
        numbers
    };
    let slowly = |path: &str| {
        let holds = |at: &&usize| usable[**at].0.conditions.iter().all(|(kind, values)| holds(kind, values, &request, path));
        numbers.iter().find(holds).copied().unwrap_or(usize::MAX)
    };
    let (first, second) = (slowly(target.path()), target.second_reading().map(slowly));
    let expected = if second.is_none_or(|second| second == first) { Ok(&first) } else { Err(AmbiguousPath) };
    assert_eq!(table.find(&request), expected);
    if let Ok(found) = table.find(&request) {
        let tried = table.explain(&request);
        let told = tried.last().filter(|tried| tried.failed.is_empty()).map_or(usize::MAX, |tried| tried.rule.then);
        assert_eq!(told, *found, "explained otherwise");
        if let Some((rule, _)) = usable.get(*found) {
            let unique = usable.iter().filter(|(other, _)| other.priority == rule.priority).count() == 1;
            assert!(!unique || !table.shadowed().iter().any(|(late, _)| *late == rule.priority), "a rule that can never match has matched");
        }
    }
    usable.clear();
}

fn rule(line: &str) -> Option<Written> {
    let mut words = line.split(' ');
    let priority = words.next()?.parse().ok()?;
    let conditions = words.filter_map(|word| {
        let (kind, values) = word.split_once('=')?;
        Some((kind.to_owned(), values.split(',').map(str::to_owned).collect()))
    });
    Some(Written { priority, conditions: conditions.take(6).collect() })
}

fn condition(kind: &str, values: &[String]) -> Option<Condition> {
    let wildcards = |case| values.iter().map(|value| Wildcard::new(value, case).ok()).collect::<Option<Vec<_>>>();
    let escaped = |value: &str| Wildcard::with_escapes(value, Case::LowerCased).ok();
    Some(match kind {
        "host" => Condition::HostHeader(wildcards(Case::LowerCased)?),
        "path" => Condition::PathPattern(wildcards(Case::Sensitive)?),
        "method" => Condition::HttpRequestMethod(values.to_vec()),
        "query" => {
            let pair = |text: &String| {
                let (key, value) = text.split_once(':').map_or((None, text.as_str()), |(key, value)| (Some(key), value));
                Some(QueryPair { key: key.map(|key| escaped(key).ok_or(())).transpose().ok()?, value: escaped(value)? })
            };
            Condition::QueryString(values.iter().map(pair).collect::<Option<_>>()?)
        }
        "header" => {
            let (name, first) = values.first()?.split_once(':')?;
            let all = std::iter::once(first).chain(values[1..].iter().map(String::as_str));
            let values = all.map(escaped).collect::<Option<_>>()?;
            Condition::HttpHeader { name: name.parse::<HeaderName>().ok()?, values, regexes: Vec::new() }
        }
        "ip" => Condition::SourceIp(values.iter().map(|value| value.parse::<IpNet>().ok()).collect::<Option<_>>()?),
        _ => return None,
    })
}

fn holds(kind: &str, values: &[String], request: &RequestView<'_>, path: &str) -> bool {
    let lower =
        |pattern: &str, text: &str, escapes| plainly(&tokens(&pattern.to_ascii_lowercase(), escapes), text.to_ascii_lowercase().as_bytes());
    match kind {
        "host" => values.iter().any(|value| lower(value, request.authority.host(), false)),
        "path" => values.iter().any(|value| plainly(&tokens(value, false), path.as_bytes())),
        "method" => values.iter().any(|value| value == request.method.as_str()),
        "query" => request.target.query().is_some_and(|query| {
            query.split('&').any(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                values.iter().any(|wanted| match wanted.split_once(':') {
                    Some((wanted_key, wanted)) => lower(wanted_key, key, true) && lower(wanted, value, true),
                    None => lower(wanted, if pair.contains('=') { value } else { key }, true),
                })
            })
        }),
        "header" => {
            let (name, first) = values[0].split_once(':').unwrap();
            let mut found = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            found.any(|found| std::iter::once(first).chain(values[1..].iter().map(String::as_str)).any(|wanted| lower(wanted, found, true)))
        }
        "ip" => values.iter().any(|value| value.parse::<IpNet>().unwrap().contains(&request.client)),
        _ => false,
    }
}

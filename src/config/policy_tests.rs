//! A table of requests and people, and what is to become of them (docs/authorization.md).

use std::net::IpAddr;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::raw::policy_tests as raw;
use super::reader::{self, Located};
use super::report::{Fault, Faults, Report, Span};
use crate::clock::UnixTime;

/// One request of the table.
#[derive(Debug)]
pub struct PolicyTest {
    pub name: String,
    pub url: String,
    pub method: String,
    pub headers: HeaderMap,
    pub source_ip: IpAddr,
    pub now: UnixTime,
    pub claims: Option<Map<String, Value>>,
    pub rule: Option<String>,
    /// `allowed`, `refused`, `sign_in`, `would_refuse`.
    pub expected: &'static str,
    /// Line and column in the file.
    pub place: Span,
}

/// Reads the file; the report holds what is wrong with its form.
pub fn load_policy_tests(path: &Path, now: UnixTime) -> (Option<Vec<PolicyTest>>, Report) {
    let name = path.display().to_string();
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return (None, Report::of(name, Fault::error("", format!("the file cannot be read: {error}")))),
    };
    let mut faults = Faults::default();
    let text = super::text(&bytes, &mut faults).unwrap_or_default();
    let raw = reader::read_document::<raw::PolicyTests>(&text, &mut faults);
    let tests = raw.map(|raw| {
        if raw.tests.value.is_empty() {
            // A table without rows would pass whatever the policies say.
            faults.push(Fault::error(raw.tests.path.clone(), "there is no test").at(raw.tests.span));
        }
        raw.tests.value.iter().filter_map(|test| compile(test, now, &mut faults)).collect()
    });
    let report = Report::new(name, text.into_owned(), faults);
    (tests.filter(|_| !report.has_errors()), report)
}

fn compile(raw: &Located<raw::PolicyTest>, now: UnixTime, faults: &mut Faults) -> Option<PolicyTest> {
    let mut fault = |at: &Located<String>, message: String| {
        faults.push(Fault::error(at.path.clone(), message).at(at.span));
    };
    let test = &raw.value;
    let source_ip = match test.source_ip.as_ref().map(|at| (at, at.value.parse())) {
        None => Some(IpAddr::from([192, 0, 2, 1])),
        Some((_, Ok(address))) => Some(address),
        Some((at, Err(_))) => {
            fault(at, format!("{:?} is not an address", at.value));
            None
        }
    };
    let now = match test.now.as_ref().map(|at| (at, at.value.parse::<jiff::Timestamp>().ok())) {
        None => Some(now),
        Some((at, time)) => {
            let seconds = time.and_then(|time| u64::try_from(time.as_second()).ok());
            if seconds.is_none() {
                fault(at, format!("{:?} is not a time: write 2026-01-31T12:00:00Z", at.value));
            }
            seconds.map(UnixTime)
        }
    };
    let mut headers = HeaderMap::new();
    let mut sound = true;
    for (name, at) in &test.headers.sections {
        match (name.parse::<HeaderName>(), HeaderValue::from_str(&at.value.value)) {
            (Ok(name), Ok(value)) => {
                headers.append(name, value);
            }
            _ => {
                fault(&at.value, format!("{name}: {:?} is not a header", at.value.value));
                sound = false;
            }
        }
    }
    let (source_ip, now) = (source_ip?, now?);
    sound.then(|| PolicyTest {
        name: test.name.as_ref().map_or_else(|| test.url.value.clone(), |at| at.value.clone()),
        url: test.url.value.clone(),
        method: test.method.as_ref().map_or_else(|| "GET".to_owned(), |at| at.value.clone()),
        headers,
        source_ip,
        now,
        claims: test.claims.as_ref().map(|claims| claims.0.clone()),
        rule: test.rule.as_ref().map(|at| at.value.clone()),
        expected: match test.expect.value {
            raw::Expected::Allowed => "allowed",
            raw::Expected::Refused => "refused",
            raw::Expected::SignIn => "sign_in",
            raw::Expected::WouldRefuse => "would_refuse",
        },
        place: raw.span,
    })
}

//! `vestibule check --policy-tests`: a table of requests, people and expected answers, each tried as `explain` tries one.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;

use super::explain::{NOT_OVER_HTTP, Question, explain};
use super::{AT_FAULT, FAILED, output};
use crate::clock::UnixTime;
use crate::config::{PolicyTest, load_policy_tests};
use crate::gateway::Gateway;

pub(super) fn run(path: &Path, gateway: &Arc<Gateway>, now: UnixTime) -> ExitCode {
    let (tests, report) = load_policy_tests(path, now);
    let Some(tests) = tests else {
        output::complain(report.render(output::has_color(&std::io::stderr())).trim_end());
        return ExitCode::from(AT_FAULT);
    };
    let count = tests.len();
    let failures: Vec<String> = tests.into_iter().filter_map(|test| failure(path, test, gateway)).collect();
    let verdict = match failures.len() {
        0 => "all as expected".to_owned(),
        1 => "1 fails".to_owned(),
        failed => format!("{failed} fail"),
    };
    let word = if count == 1 { "test" } else { "tests" };
    output::print(&format!("\n{}: {count} {word}, {verdict}", path.display()));
    for failure in &failures {
        output::print(failure);
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// `None`: as expected.
fn failure(path: &Path, test: PolicyTest, gateway: &Arc<Gateway>) -> Option<String> {
    let PolicyTest { name, url, method, headers, source_ip, now, claims, rule, expected, place } = test;
    let question = Question { method: &method, url: &url, headers, client: source_ip, claims, now };
    let (got, chosen, because) = match explain(question, gateway) {
        Ok((explanation, passes)) => (became(&explanation, passes), text(&explanation["rule"]), because(&explanation)),
        Err(error) => ("no answer".to_owned(), String::new(), error),
    };
    let wrong_rule = rule.filter(|rule| *rule != chosen);
    if got == expected && wrong_rule.is_none() {
        return None;
    }
    let expected = wrong_rule.map_or_else(|| expected.to_owned(), |rule| format!("{expected} by rule {rule}"));
    let place = format!("{}:{}:{}", path.display(), place.line, place.column);
    let by = if chosen.is_empty() { String::new() } else { format!(" by rule {chosen}") };
    Some(format!("\n  fail   {place}  {name}\n         expected {expected}, got {got}{by}\n         {because}"))
}

/// In the words of `expect`, or what else it was.
fn became(explanation: &Value, passes: bool) -> String {
    let decision = &explanation["authorization"]["decision"];
    let status = explanation["answer"]["status"].as_u64();
    let word = match status {
        _ if passes && decision == "would_refuse" => "would_refuse",
        _ if passes => "allowed",
        Some(403) if decision == "refused" => "refused",
        Some(302) if explanation["authentication"]["because"] == NOT_OVER_HTTP => "a redirect to https",
        Some(302 | 401) => "sign_in",
        Some(status) => return status.to_string(),
        None => "an answer of the gateway's own",
    };
    word.to_owned()
}

fn because(explanation: &Value) -> String {
    let said = [("authentication", "because"), ("authorization", "because"), ("answer", "because")];
    let said: Vec<String> = said.iter().map(|(part, word)| text(&explanation[part][word])).filter(|said| !said.is_empty()).collect();
    said.join("; ")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

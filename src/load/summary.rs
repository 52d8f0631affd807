//! What is said on the terminal before and after, and to programs.

use serde_json::{Value, json};

use super::figures::{self, PERCENTILES, Times, count, milliseconds, octets, rate, seconds, share};
use super::outcome::Outcome;
use super::plan::{Load, PeopleFrom, Plan, Version, shown};
use super::threshold::Judged;

/// What is about to be done, so that nobody is surprised by it.
#[must_use]
pub fn announcement(plan: &Plan) -> String {
    let pages: Vec<String> = plan.pages.iter().map(|page| shown(&page.url)).collect();
    let sessions = counted(plan.sessions, "session");
    let who = match &plan.people {
        PeopleFrom::SignIn(users) => format!("{sessions}, signed in as {}", named(users.iter().map(|user| user.name.as_str()))),
        PeopleFrom::Ready(people) => format!("{sessions}, with the cookies or tokens of {}", people.len()),
        PeopleFrom::Anonymous => format!("{}, not signed in", counted(plan.sessions, "visitor")),
    };
    let most = plan.requests.map(|most| format!(", at most {} requests", count(most))).unwrap_or_default();
    let warm_up = if plan.warm_up.is_zero() { String::new() } else { format!(", after {} of warm-up", seconds(plan.warm_up)) };
    let load = format!("{} for {}{most}{warm_up}", load_words(plan.load), seconds(plan.duration));
    let mut lines = vec![
        format!("  Target    {} {}", plan.method, pages.join("\n            ")),
        format!("  People    {who}"),
        format!("  Load      {load}"),
    ];
    if let Some((host, port)) = &plan.connect_to {
        lines.insert(1, format!("  Connects  to {host}:{port} instead"));
    }
    lines.extend(plan.notes.iter().map(|note| format!("  Note      {note}")));
    lines.join("\n")
}

fn named<'a>(names: impl Iterator<Item = &'a str> + Clone) -> String {
    let all = names.clone().count();
    let mut some: Vec<&str> = names.take(NAMES_TOLD).collect();
    let more = format!("{} more", all.saturating_sub(NAMES_TOLD));
    if all > NAMES_TOLD {
        some.push(&more);
    }
    some.join(", ")
}

fn counted(number: usize, what: &str) -> String {
    format!("{} {what}{}", count(number as u64), if number == 1 { "" } else { "s" })
}

pub(super) fn load_words(load: Load) -> String {
    match load {
        Load::Rate(asked) => format!("{} requests/s (open loop)", rate(asked)),
        Load::Concurrency(at_a_time) => format!("{} at a time (closed loop)", count(at_a_time as u64)),
    }
}

/// The result for a person.
#[must_use]
pub fn table(outcome: &Outcome, judged: &[Judged]) -> String {
    let record = &outcome.record;
    let all = record.requests();
    let mut lines = vec![String::new()];
    let mut row = |name: &str, words: String| lines.push(format!("  {name:<14}  {words}"));
    row("Requests", format!("{} in {}", count(all), seconds(outcome.measured)));
    let asked = if let Load::Rate(asked) = outcome.load { format!(", {}/s asked for", rate(asked)) } else { String::new() };
    row("Rate", format!("{}/s answered{asked}", rate(outcome.rate())));
    row("As expected", format!("{} ({})", count(record.good), share(record.good, all)));
    for (name, number) in unexpected(outcome) {
        row("", format!("{} {name} ({})", count(number), share(number, all)));
    }
    let statuses: Vec<String> = record.statuses.iter().map(|(status, number)| format!("{status} × {}", count(*number))).collect();
    row("Statuses", if statuses.is_empty() { "none".to_owned() } else { statuses.join(", ") });
    row("Bodies", format!("{}, {}/s", octets(record.octets as f64), octets(outcome.per_second(record.octets as f64))));
    row("Connections", connections(outcome));
    if !outcome.sign_ins.each.is_empty() {
        let each = &outcome.sign_ins.each;
        let at = |percentile| figures::whole_time(each.value_at_percentile(percentile));
        let slowest = figures::whole_time(each.max());
        row(
            "Sign-ins",
            format!(
                "{} in {}: p50 {}, p99 {}, max {slowest}",
                count(each.len()),
                figures::time(outcome.sign_ins.took.as_micros() as f64),
                at(50.0),
                at(99.0)
            ),
        );
    }
    lines.push(String::new());
    let heads: String = PERCENTILES.iter().map(|(name, _)| *name).chain(["max"]).map(|name| format!("{name:>9}")).collect();
    lines.push(format!("  {:<14}{heads}", ""));
    for times in times(outcome) {
        let cells: String = times.cells.iter().map(|cell| format!("{cell:>9}")).collect();
        lines.push(format!("  {:<14}{cells}", times.name));
    }
    if outcome.load.is_open() {
        lines.push("  Response time is counted from when the request should have been sent, service time from when it was.".to_owned());
    }
    if !judged.is_empty() {
        lines.push(String::new());
    }
    for judged in judged {
        let Judged { text, value, holds } = judged;
        lines.push(format!("  {}  not {text}: {value}", if *holds { "ok  " } else { "FAIL" }));
    }
    for note in &outcome.notes {
        lines.push(format!("\n  Note: {note}"));
    }
    lines.join("\n")
}

/// Response time and service time.
pub(super) fn times(outcome: &Outcome) -> [Times; 2] {
    [Times::of("Response time", &outcome.record.response), Times::of("Service time", &outcome.record.service)]
}

/// What went otherwise than it should, in words.
pub(super) fn unexpected(outcome: &Outcome) -> Vec<(&'static str, u64)> {
    let record = &outcome.record;
    let judged = [("signed out", record.signed_out), ("with another status", record.other_status), ("without the text", record.other_text)];
    let failed = record.failures.iter().map(|(failure, number)| (failure.name(), *number));
    judged.into_iter().chain(failed).filter(|(_, number)| *number > 0).collect()
}

pub(super) fn connections(outcome: &Outcome) -> String {
    let record = &outcome.record;
    let opened = format!(
        "{} opened, {}, at most {} at a time",
        count(record.tcp.len()),
        outcome.version.name(),
        count(outcome.connections.most as u64)
    );
    let failed = if record.connections_failed > 0 { format!(", {} failed", count(record.connections_failed)) } else { String::new() };
    let mut made = String::new();
    if !record.tcp.is_empty() {
        made = format!(
            "; TCP p50 {}, max {}",
            figures::whole_time(record.tcp.value_at_percentile(50.0)),
            figures::whole_time(record.tcp.max())
        );
    }
    if !record.tls.is_empty() {
        made.push_str(&format!(
            "; TLS p50 {}, max {}",
            figures::whole_time(record.tls.value_at_percentile(50.0)),
            figures::whole_time(record.tls.max())
        ));
    }
    format!("{opened}{failed}{made}")
}

/// The result for a program. Keys are only ever added.
#[must_use]
pub fn json(outcome: &Outcome, judged: &[Judged]) -> Value {
    let record = &outcome.record;
    let (asked, at_a_time) = match outcome.load {
        Load::Rate(asked) => (json!(asked), Value::Null),
        Load::Concurrency(at_a_time) => (Value::Null, json!(at_a_time)),
    };
    let statuses: serde_json::Map<String, Value> =
        record.statuses.iter().map(|(status, number)| (status.to_string(), json!(number))).collect();
    let failures: serde_json::Map<String, Value> =
        record.failures.iter().filter_map(|(failure, number)| Some((json!(failure).as_str()?.to_owned(), json!(number)))).collect();
    json!({
        "format": 1,
        "started": outcome.started,
        "ended_early": outcome.ended_early,
        "passed": judged.iter().all(|judged| judged.holds) && outcome.has_good_answers(),
        "target": {
            "method": outcome.method,
            "pages": outcome.pages,
            "addresses": outcome.addresses,
            "http": match outcome.version { Version::Http1 => "1.1", Version::Http2 => "2" },
        },
        "load": {
            "loop": if outcome.load.is_open() { "open" } else { "closed" },
            "rate": asked,
            "concurrency": at_a_time,
            "requests": outcome.requests,
            "sessions": outcome.sessions,
            "people": outcome.people,
            "connections": outcome.connections.most,
            "threads": outcome.threads,
            "duration_s": outcome.duration.as_secs_f64(),
            "warm_up_s": outcome.warm_up.as_secs_f64(),
            "timeout_s": outcome.timeout.as_secs_f64(),
        },
        "requests": {
            "total": record.requests(),
            "as_expected": record.good,
            "errors": outcome.errors(),
            "signed_out": record.signed_out,
            "other_status": record.other_status,
            "other_text": record.other_text,
            "unanswered": record.failures_in_all(),
            "warm_up": record.warm_up,
        },
        "measured_s": outcome.measured.as_secs_f64(),
        "rate": outcome.rate(),
        "statuses": statuses,
        "unanswered": failures,
        "bytes": { "total": record.octets, "per_second": outcome.per_second(record.octets as f64) },
        "response_time_ms": milliseconds(&record.response),
        "service_time_ms": milliseconds(&record.service),
        "sign_in": {
            "count": outcome.sign_ins.each.len(),
            "took_s": outcome.sign_ins.took.as_secs_f64(),
            "time_ms": milliseconds(&outcome.sign_ins.each),
        },
        "connections": {
            "opened": record.tcp.len(),
            "failed": record.connections_failed,
            "tcp_ms": milliseconds(&record.tcp),
            "tls_ms": milliseconds(&record.tls),
        },
        "generator": {
            "keeps_up": outcome.keeps_up(),
            "lag_ms": milliseconds(&record.lag),
            "processor": record.processor,
        },
        "thresholds": judged.iter().map(|judged| json!({ "fails_if": judged.text, "value": judged.value, "holds": judged.holds })).collect::<Vec<_>>(),
        "notes": outcome.notes,
    })
}

const NAMES_TOLD: usize = 5;

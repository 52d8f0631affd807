//! The report: one HTML file that needs nothing else, and says nothing that is secret.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Value, json};

use super::charts::{distribution, latency_over_time, percentiles, rate_over_time};
use super::figures::{self, PERCENTILES, count, octets, rate, seconds, share};
use super::outcome::Outcome;
use super::plan::Load;
use super::summary::{connections, load_words, times, unexpected};
use super::threshold::Judged;

/// Draws it.
pub fn report(outcome: &Outcome, judged: &[Judged]) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.render_named_str("report.html", include_str!("templates/report.html"), Serde(&context(outcome, judged)))
}

fn context(outcome: &Outcome, judged: &[Judged]) -> Value {
    let record = &outcome.record;
    let all = record.requests();
    let response = &record.response;
    let at =
        |percentile| if response.is_empty() { "–".to_owned() } else { figures::whole_time(response.value_at_percentile(percentile)) };
    let asked = match outcome.load {
        Load::Rate(asked) => format!("{}/s asked for", rate(asked)),
        Load::Concurrency(_) => "as fast as answers came".to_owned(),
    };
    let heads: Vec<&str> = PERCENTILES.iter().map(|(name, _)| *name).chain(["max"]).collect();
    let statuses = record.statuses.iter().map(|(status, number)| (status.to_string(), class_of(*status), *number));
    let failures = record.failures.iter().map(|(failure, number)| (failure.name().to_owned(), "bad", *number));
    let answers: Vec<Value> = statuses
        .chain(failures)
        .map(|(name, class, number)| {
            let width = if all == 0 { 0.0 } else { number as f64 * 100.0 / all as f64 };
            json!({ "name": name, "class": class, "count": count(number), "share": share(number, all), "width": width })
        })
        .collect();
    json!({
        "started": outcome.started,
        "version": env!("CARGO_PKG_VERSION"),
        "target": outcome.pages.first(),
        "method": outcome.method,
        "tiles": [
            { "name": "Answered", "value": format!("{}/s", rate(outcome.rate())), "detail": asked, "bad": false },
            { "name": "As expected", "value": share(record.good, all), "detail": format!("{} of {}", count(record.good), count(all)), "bad": record.good < all },
            { "name": "Response time, median", "value": at(50.0), "detail": format!("90 % within {}", at(90.0)), "bad": false },
            { "name": "Response time, p99", "value": at(99.0), "detail": format!("slowest {}", at(100.0)), "bad": false },
        ],
        "unexpected": unexpected(outcome).into_iter().map(|(name, number)| format!("{} {name}", count(number))).collect::<Vec<_>>(),
        "heads": heads,
        "times": times(outcome),
        "charts": [latency_over_time(outcome), rate_over_time(outcome), percentiles(outcome), distribution(outcome)],
        "answers": answers,
        "judged": judged.iter().map(|judged| json!({ "text": judged.text, "value": judged.value, "holds": judged.holds })).collect::<Vec<_>>(),
        "notes": outcome.notes,
        "is_open": outcome.load.is_open(),
        "settings": settings(outcome),
    })
}

/// What it was measured with, and what else was.
fn settings(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let record = &outcome.record;
    let mut settings = vec![
        ("Pages", outcome.pages.iter().map(|page| format!("{} {page}", outcome.method)).collect::<Vec<_>>().join(", ")),
        ("Connected to", outcome.addresses.join(", ")),
        ("Load", load_words(outcome.load)),
        (
            "Measured",
            format!("{} of {}, after {} of warm-up", seconds(outcome.measured), seconds(outcome.duration), seconds(outcome.warm_up)),
        ),
        ("Sessions", format!("{}, {}", count(outcome.sessions as u64), outcome.people)),
        ("Connections", connections(outcome)),
        ("Bodies", format!("{}, {}/s", octets(record.octets as f64), octets(outcome.per_second(record.octets as f64)))),
        ("Late after", seconds(outcome.timeout)),
        ("Generator", generator(outcome)),
    ];
    if let Some(requests) = outcome.requests {
        settings.insert(3, ("Requests", format!("at most {}", count(requests))));
    }
    let each = &outcome.sign_ins.each;
    if !each.is_empty() {
        let at = |percentile| figures::whole_time(each.value_at_percentile(percentile));
        let words = format!(
            "{} in {}: p50 {}, p99 {}, max {}",
            count(each.len()),
            figures::time(outcome.sign_ins.took.as_micros() as f64),
            at(50.0),
            at(99.0),
            figures::whole_time(each.max())
        );
        settings.push(("Sign-ins", words));
    }
    settings
}

fn generator(outcome: &Outcome) -> String {
    let threads = format!("{} threads, the busiest used {:.0} % of a processor", outcome.threads, outcome.record.processor * 100.0);
    if outcome.load.is_open() { format!("{threads}; p99 of requests sent {} late", figures::whole_time(outcome.lag())) } else { threads }
}

fn class_of(status: u16) -> &'static str {
    match status {
        200..=299 => "a",
        300..=399 => "b",
        _ => "bad",
    }
}

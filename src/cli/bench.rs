//! `vestibule bench`: load on a deployment behind a login, by people who are signed in.

use std::fs;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, Method};
use url::Url;
use zeroize::Zeroizing;

use super::{AT_FAULT, FAILED, demo, explain, output, serve};
use crate::clients::SystemClock;
use crate::clock::Clock as _;
use crate::demo::identity_provider::Settings;
use crate::load::{
    Expectation, Fields, Judged, Load, Outcome, Page, PeopleFrom, Person, Plan, Statuses, Threshold, User, Version, announcement,
    client_config, cookies_from, is_loopback, json, report, run as run_load, table, tokens_from, users_from,
};

const EXAMPLES: &str = "Examples:
  vestibule bench https://localhost:8443/
      The demo, as its sample users
  vestibule bench https://app.example.com/page --users users.csv --sessions 50 --rate 500 --duration 30s --report report.html
      500 requests a second by 50 people, with charts
  vestibule bench https://app.example.com/page --cookie-file cookies.txt --fail-if 'p99>200ms' --fail-if 'errors>0.1%' --format json
      In CI, where the login needs a second factor

docs/load-testing.md has more. Exit status: 0 good, 1 failed while running or over a limit of --fail-if, 2 usage.";

/// What was typed.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Bench {
    /// The page to ask for. Further URLs of the same origin, or paths, are asked for in turn.
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,

    /// People who sign in, "name,password" on each line; - reads standard input. On localhost without it: the demo's sample users.
    #[arg(long, value_name = "FILE", help_heading = "Who asks", conflicts_with_all = ["cookie_file", "bearer_file", "anonymous"])]
    users: Option<PathBuf>,
    /// How many are signed in, each with cookies and connections of their own; people take turns. Default: as many as there are people.
    #[arg(long, value_name = "N", help_heading = "Who asks", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sessions: Option<u32>,
    /// Cookies of people who are signed in: a Cookie header on each line, or a cookie jar as curl writes it, which is one person's.
    #[arg(long, value_name = "FILE", help_heading = "Who asks", conflicts_with_all = ["bearer_file", "anonymous"])]
    cookie_file: Vec<PathBuf>,
    /// Access tokens, one on each line.
    #[arg(long, value_name = "FILE", help_heading = "Who asks", conflicts_with = "anonymous")]
    bearer_file: Option<PathBuf>,
    /// Nobody signs in.
    #[arg(long, help_heading = "Who asks")]
    anonymous: bool,
    /// Where a sign-in begins: a URL, or a path. Default: the page.
    #[arg(long, value_name = "URL", help_heading = "Who asks")]
    sign_in_at: Option<String>,
    /// The field of the provider's form for the name. Default: told by its type.
    #[arg(long, value_name = "NAME", help_heading = "Who asks")]
    user_field: Option<String>,
    /// The field for the password.
    #[arg(long, value_name = "NAME", help_heading = "Who asks")]
    password_field: Option<String>,
    /// How many sign in at a time.
    #[arg(long, value_name = "N", default_value_t = 4, help_heading = "Who asks", value_parser = clap::value_parser!(u32).range(1..=256))]
    sign_ins_at_a_time: u32,

    /// Requests each second, sent when they are due whether or not others are answered (open loop) [default: 50]
    #[arg(long, value_name = "R", help_heading = "Load", value_parser = positive, conflicts_with = "concurrency")]
    rate: Option<f64>,
    /// So many requests at a time, each after the answer of another (closed loop). Coordinated omission applies.
    #[arg(long, value_name = "N", help_heading = "Load", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    concurrency: Option<u32>,
    /// For how long, as 30s, 5m, 1h [default: 10s; with --requests 5m]
    #[arg(long, value_name = "TIME", help_heading = "Load", value_parser = time)]
    duration: Option<Duration>,
    /// At most so many requests.
    #[arg(long, value_name = "N", help_heading = "Load", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Before anything is measured, as 5s.
    #[arg(long, value_name = "TIME", default_value = "0s", help_heading = "Load", value_parser = time)]
    warm_up: Duration,
    /// At most so many connections [default: 6 for each session over HTTP/1.1, 1 over HTTP/2]
    #[arg(long, value_name = "N", help_heading = "Load", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: Option<u32>,
    /// Threads that make the load [default: one for each processor]
    #[arg(long, value_name = "N", help_heading = "Load", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,

    #[arg(long, default_value = "GET", help_heading = "Request")]
    method: Method,
    /// A header of every request; may be given again.
    #[arg(long = "header", value_name = "N: V", help_heading = "Request")]
    headers: Vec<String>,
    /// What every request brings.
    #[arg(long, value_name = "FILE", help_heading = "Request")]
    body_file: Option<PathBuf>,
    /// After this an answer is late, counted from when the request should have been sent.
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Request", value_parser = time)]
    timeout: Duration,

    /// The version of HTTP [default: what the server prefers]
    #[arg(long, value_enum, help_heading = "Connection")]
    http: Option<Http>,
    /// A certificate authority in PEM that is believed beside the system's. On localhost also the demo's.
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    ca_file: Option<PathBuf>,
    /// Believes every certificate: passwords then go to whoever answers.
    #[arg(long, help_heading = "Connection", conflicts_with = "ca_file")]
    insecure: bool,
    /// Connects there for the origin of the URL, as before its DNS is switched over. Providers are asked where they are.
    #[arg(long, value_name = "HOST:PORT", help_heading = "Connection", value_parser = host_and_port)]
    connect_to: Option<(String, u16)>,

    /// Statuses of good answers, as 200, 2xx or 200,304. A redirect to a login is never one.
    #[arg(long, value_name = "STATUS", default_value = "2xx", value_delimiter = ',', help_heading = "What a good answer is")]
    expect_status: Vec<Statuses>,
    /// Text that is in every good answer; {user} stands for the name of whoever asked.
    #[arg(long, value_name = "TEXT", help_heading = "What a good answer is")]
    expect_text: Option<String>,
    /// Ends with status 1 if this holds, as p99>200ms, errors>0.1%, signed-out>0, rate<450 or lag>5ms; may be given again.
    #[arg(long, value_name = "LIMIT", help_heading = "What a good answer is")]
    fail_if: Vec<Threshold>,

    /// Writes a report with charts, in one HTML file.
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    report: Option<PathBuf>,
    /// What is printed at the end.
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Result")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Http {
    #[value(name = "1.1")]
    One,
    #[value(name = "2")]
    Two,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) fn run(arguments: &Bench) -> ExitCode {
    let (plan, report_file) = match plan(arguments) {
        Ok(planned) => planned,
        Err(error) => {
            output::complain(&error);
            return ExitCode::from(AT_FAULT);
        }
    };
    allow_descriptors();
    output::complain(&announcement(&plan));
    match driven(plan) {
        Ok(outcome) => told(arguments, &outcome, report_file),
        Err(error) => {
            output::complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

fn driven(plan: Plan) -> Result<Outcome, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime cannot start: {error}"))?;
    let started = jiff::Timestamp::from_second(i64::try_from(SystemClock.now().0).unwrap_or_default());
    let started = started.map(|time| time.to_string()).unwrap_or_default();
    let with_bar = std::io::stderr().is_terminal();
    let outcome = runtime.block_on(run_load(plan, started, with_bar, serve::stop_signal()));
    runtime.shutdown_background();
    outcome.map_err(|error| error.to_string())
}

/// Prints the result and writes the report; what was asked not to be decides over the exit status.
fn told(arguments: &Bench, outcome: &Outcome, report_file: Option<fs::File>) -> ExitCode {
    let judged: Vec<Judged> = arguments.fail_if.iter().map(|threshold| threshold.judge(outcome)).collect();
    match arguments.format {
        Format::Text => output::print(&table(outcome, &judged)),
        Format::Json => output::print(&format!("{:#}", json(outcome, &judged))),
    }
    if let (Some(mut file), Some(path)) = (report_file, &arguments.report) {
        let written = report(outcome, &judged).map_err(|error| error.to_string()).and_then(|html| {
            use std::io::Write as _;
            file.set_len(0).and_then(|()| file.write_all(html.as_bytes())).map_err(|error| error.to_string())
        });
        match written {
            Ok(()) => output::complain(&format!("\n  Report: {}", path.display())),
            Err(error) => {
                output::complain(&format!("{}: the report cannot be written: {error}", path.display()));
                return ExitCode::from(FAILED);
            }
        }
    }
    if judged.iter().all(|judged| judged.holds) && outcome.has_good_answers() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

fn plan(arguments: &Bench) -> Result<(Plan, Option<fs::File>), String> {
    let pages = Page::all(&arguments.urls).map_err(|error| error.to_string())?;
    let first = pages.first().ok_or("no URL was given")?.url.clone();
    let mut notes = Vec::new();
    let people = people(arguments, &first)?;
    let sessions = arguments.sessions.map_or_else(|| default_sessions(&people), |sessions| sessions as usize);
    let body = match &arguments.body_file {
        Some(path) => Bytes::from(fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?),
        None => Bytes::new(),
    };
    let sign_in_at = arguments.sign_in_at.as_deref().map(|text| first.join(text).map_err(|error| format!("--sign-in-at {text}: {error}")));
    if arguments.insecure {
        notes.push("Certificates were not verified (--insecure): this says nothing about who answered.".to_owned());
    }
    let load = match (arguments.rate, arguments.concurrency) {
        (_, Some(concurrency)) => Load::Concurrency(concurrency as usize),
        (rate, None) => Load::Rate(rate.unwrap_or(DEFAULT_RATE)),
    };
    let usual = if arguments.requests.is_some() { USUAL_BOUND } else { USUAL_DURATION };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let plan = Plan {
        method: arguments.method.clone(),
        headers: headers(&arguments.headers)?,
        body,
        people,
        sessions,
        fields: Fields { user: arguments.user_field.clone(), password: arguments.password_field.clone() },
        sign_in_at: sign_in_at.transpose()?,
        sign_ins_at_a_time: arguments.sign_ins_at_a_time as usize,
        load,
        duration: arguments.duration.unwrap_or(usual),
        warm_up: arguments.warm_up,
        requests: arguments.requests,
        connections: arguments.connections.map(|most| most as usize),
        version: arguments.http.map(|http| match http {
            Http::One => Version::Http1,
            Http::Two => Version::Http2,
        }),
        threads: arguments.threads.map_or(threads, |threads| threads as usize),
        timeout: arguments.timeout,
        expectation: Expectation { statuses: arguments.expect_status.clone(), text: arguments.expect_text.clone() },
        connect_to: arguments.connect_to.clone(),
        tls: tls(arguments, &first)?,
        notes,
        pages,
    };
    if plan.duration.is_zero() || plan.timeout.is_zero() {
        return Err("--duration and --timeout are longer than nothing".to_owned());
    }
    // Before the load, and not after it: what cannot be written is known then.
    let report_file = arguments.report.as_deref().map(|path| {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path);
        file.map_err(|error| format!("{}: the report cannot be written: {error}", path.display()))
    });
    Ok((plan, report_file.transpose()?))
}

fn people(arguments: &Bench, first: &Url) -> Result<PeopleFrom, String> {
    let told = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if arguments.anonymous {
        return Ok(PeopleFrom::Anonymous);
    }
    if let Some(path) = &arguments.users {
        return Ok(PeopleFrom::SignIn(users_from(&read(path)?).map_err(|error| told(path, &error))?));
    }
    if let Some(path) = &arguments.bearer_file {
        return Ok(PeopleFrom::Ready(tokens_from(&read(path)?).map_err(|error| told(path, &error))?));
    }
    let mut ready: Vec<Person> = Vec::new();
    for path in &arguments.cookie_file {
        ready.extend(cookies_from(&read(path)?, first).map_err(|error| told(path, &error))?);
    }
    if !ready.is_empty() {
        return Ok(PeopleFrom::Ready(ready));
    }
    if !is_loopback(first) {
        return Err("who signs in?\n  hint: --users FILE with \"name,password\" on each line; --cookie-file or --bearer-file for people who are signed in; --anonymous for nobody".to_owned());
    }
    let sample = Settings::default().users.into_iter();
    Ok(PeopleFrom::SignIn(sample.map(|user| User { name: user.username, password: user.password }).collect()))
}

fn default_sessions(people: &PeopleFrom) -> usize {
    match people {
        PeopleFrom::SignIn(users) => users.len(),
        PeopleFrom::Ready(people) => people.len(),
        PeopleFrom::Anonymous => ANONYMOUS_VISITORS,
    }
}

/// What lies in it may be secret.
fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let outcome = if path == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    outcome.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text)
}

/// Secrets have no place where every process of the machine can read them.
fn headers(given: &[String]) -> Result<HeaderMap, String> {
    let headers = explain::headers(given)?;
    for (name, option) in [(COOKIE, "--cookie-file"), (AUTHORIZATION, "--bearer-file")] {
        if headers.contains_key(&name) {
            return Err(format!(
                "--header {name}: what is typed here can be seen by others on this machine\n  hint: write it into a file and use {option}"
            ));
        }
    }
    Ok(headers)
}

fn tls(arguments: &Bench, first: &Url) -> Result<std::sync::Arc<rustls::ClientConfig>, String> {
    let demo = demo::folder().join("ca.pem");
    let path = arguments.ca_file.clone().or_else(|| (is_loopback(first) && demo.is_file()).then_some(demo));
    let Some(path) = path else { return client_config(None, arguments.insecure).map_err(|error| error.to_string()) };
    let pem = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    client_config(Some(&pem), arguments.insecure).map_err(|error| format!("{}: {error}", path.display()))
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= MOST_RATE);
    number.ok_or_else(|| format!("a rate is a number above 0, and at most {MOST_RATE:.0}"))
}

fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|digit: char| digit.is_ascii_alphabetic()).unwrap_or(text.len()));
    let size = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("a time has a unit, as 500ms, 30s, 5m or 1h".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "a time is a number with a unit, as 30s".to_owned())?;
    let time = Duration::try_from_secs_f64(number * size).map_err(|error| error.to_string())?;
    if time > LONGEST { Err("a day is the most".to_owned()) } else { Ok(time) }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).ok_or("a host and a port, as 192.0.2.1:443")?;
    Ok((host.to_owned(), port.parse().map_err(|_| format!("{port:?} is no port"))?))
}

/// Each connection is one: as many as the machine lets us have.
fn allow_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

const DEFAULT_RATE: f64 = 50.0;
const MOST_RATE: f64 = 10_000_000.0;
const USUAL_DURATION: Duration = Duration::from_secs(10);
const USUAL_BOUND: Duration = Duration::from_secs(300);
const LONGEST: Duration = Duration::from_secs(86_400);
const ANONYMOUS_VISITORS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, milliseconds) in [("500ms", 500), ("30s", 30_000), ("1.5m", 90_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(time(text).map(|time| time.as_millis()), Ok(milliseconds), "{text}");
        }
        for text in ["30", "s", "-1s", "25h", "NaNs", "1d", ""] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_to_connect_to_is_a_host_and_a_port() {
        assert_eq!(host_and_port("[::1]:8443"), Ok(("[::1]".to_owned(), 8443)));
        assert!(host_and_port("app.example.com").is_err() && host_and_port(":1").is_err() && host_and_port("a:99999").is_err());
        assert!(positive("0").is_err() && positive("-1").is_err() && positive("inf").is_err());
    }
}

//! How far it is, on standard error: a bar where a person looks on, else a line every few seconds.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::drive::{Drive, Live};
use super::figures;

/// Where progress goes.
pub(super) enum Progress {
    Bar,
    Lines,
}

/// A bar that goes when it is no longer needed.
struct Bar(ProgressBar);

/// The sign-ins.
pub(super) struct SignInProgress {
    bar: Option<Bar>,
    all: u64,
    done: u64,
    told: Instant,
}

impl Progress {
    pub(super) fn sign_ins(&self, all: usize) -> SignInProgress {
        let all = all as u64;
        let bar = matches!(self, Self::Bar).then(|| Bar::new(all, "  signing in  {bar:32} {pos}/{len}"));
        SignInProgress { bar, all, done: 0, told: Instant::now() }
    }

    /// Tells how it goes for as long as anybody listens.
    pub(super) async fn watch(&self, drive: &Drive) {
        let length = drive.from.saturating_duration_since(drive.begin) + drive.length;
        let bar = matches!(self, Self::Bar).then(|| Bar::new(length.as_millis() as u64, "  {prefix:10}  {bar:32} {msg}"));
        let every = if bar.is_some() { REDRAWN } else { TOLD };
        let mut before = Moment { at: drive.begin, ended: 0 };
        loop {
            tokio::time::sleep_until((before.at.max(drive.begin) + every).into()).await;
            let (now, words) = before.since(drive);
            before = now;
            let passed = before.at.saturating_duration_since(drive.begin);
            let clock = figures::seconds(Duration::from_secs(passed.as_secs()));
            match &bar {
                Some(Bar(bar)) => {
                    bar.set_prefix(if before.at < drive.from { "warming up" } else { "load" });
                    bar.set_position(passed.min(length).as_millis() as u64);
                    bar.set_message(format!("{clock}  {words}"));
                }
                None => say(&format!("  {clock} of {}: {words}", figures::seconds(length))),
            }
        }
    }
}

/// How far it had come at some time.
struct Moment {
    at: Instant,
    ended: u64,
}

impl Moment {
    /// How far it has come now, and what has happened since, in words.
    fn since(&self, drive: &Drive) -> (Self, String) {
        let at = Instant::now();
        let sum = |of: fn(&Live) -> u64| drive.lives.iter().map(of).sum::<u64>();
        let ended = sum(|live| live.ended.load(Ordering::Relaxed));
        let (bad, waiting) = (sum(|live| live.bad.load(Ordering::Relaxed)), sum(|live| live.waiting.load(Ordering::Relaxed)));
        let mut recent: Option<Histogram<u64>> = None;
        for histogram in drive.lives.iter().filter_map(Live::recent) {
            match recent.as_mut() {
                Some(sum) => drop(sum.add(histogram)),
                None => recent = Some(histogram),
            }
        }
        let rate = (ended - self.ended) as f64 / at.saturating_duration_since(self.at).as_secs_f64().max(f64::EPSILON);
        let times = recent.map(|histogram| {
            let of = |percentile| figures::whole_time(histogram.value_at_percentile(percentile));
            format!(", p50 {}, p99 {}", of(50.0), of(99.0))
        });
        let failing = if bad > 0 { format!(", {} not as expected", figures::count(bad)) } else { String::new() };
        let words = format!("{}/s{}, {waiting} waiting{failing}", figures::rate(rate), times.unwrap_or_default());
        (Self { at, ended }, words)
    }
}

impl SignInProgress {
    pub(super) fn one_more(&mut self) {
        self.done += 1;
        match &self.bar {
            Some(Bar(bar)) => bar.set_position(self.done),
            None if self.told.elapsed() > TOLD => {
                self.told = Instant::now();
                say(&format!("  signed in {} of {}", self.done, self.all));
            }
            None => {}
        }
    }
}

impl Bar {
    fn new(length: u64, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

const REDRAWN: Duration = Duration::from_millis(500);
const TOLD: Duration = Duration::from_secs(5);

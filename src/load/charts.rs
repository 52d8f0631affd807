//! The lines and bars of the report, as numbers that a template draws with.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::figures;
use super::outcome::Outcome;

/// A chart of one size, with everything in its own units already.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) explanation: String,
    pub(super) width: f64,
    pub(super) height: f64,
    /// The frame of what is drawn.
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) across: Vec<Tick>,
    pub(super) up: Vec<Tick>,
    pub(super) lines: Vec<Line>,
    pub(super) bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) name: &'static str,
    /// Chooses colour and stroke.
    pub(super) class: &'static str,
    pub(super) path: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) title: String,
}

/// Response times by when requests should have been sent.
pub(super) fn latency_over_time(outcome: &Outcome) -> Chart {
    let stretches = &outcome.record.stretches;
    let step = outcome.record.stretch.as_secs_f64();
    let shown: Vec<(f64, &Histogram<u64>)> = stretches
        .iter()
        .enumerate()
        .filter(|(_, stretch)| !stretch.response.is_empty())
        .map(|(at, stretch)| (middle(at, step, outcome), &stretch.response))
        .collect();
    let least = shown.iter().map(|(_, times)| times.value_at_percentile(50.0)).min().unwrap_or(1);
    let most = shown.iter().map(|(_, times)| times.max()).max().unwrap_or(1);
    let up = Decades::of(least, most);
    let mut chart =
        Chart::empty("Response time over time", format!("Each point is {} of requests, by when they should have been sent.", plural(step)));
    let measured = outcome.measured.as_secs_f64().max(SHORTEST);
    let across = Linear::of(measured);
    chart.across = chart.ticks_across(&across, &|seconds| format!("{seconds} s"));
    chart.up = chart.decades(&up);
    let named: [(&'static str, &'static str, f64); 3] = [("max", "c", 100.0), ("p99", "b", 99.0), ("p50", "a", 50.0)];
    for (name, class, percentile) in named {
        let points = shown.iter().map(|(at, times)| (chart.x(across.place(*at)), chart.y(up.place(times.value_at_percentile(percentile)))));
        chart.lines.push(Line { name, class, path: path(points) });
    }
    chart
}

/// Answers each second, by when they came.
pub(super) fn rate_over_time(outcome: &Outcome) -> Chart {
    let record = &outcome.record;
    let step = record.stretch.as_secs_f64();
    let measured = outcome.measured.as_secs_f64().max(SHORTEST);
    let per_second = |number: u64, at: usize| {
        // The last stretch may be cut short.
        let width = (measured - at as f64 * step).clamp(SHORTEST, step);
        number as f64 / width
    };
    let within: Vec<(usize, f64, f64)> = record
        .stretches
        .iter()
        .enumerate()
        .take_while(|(at, _)| (*at as f64) * step < measured)
        .map(|(at, stretch)| (at, per_second(stretch.ended, at), per_second(stretch.failed, at)))
        .collect();
    let most = within.iter().map(|(_, good, bad)| good + bad).fold(1.0, f64::max);
    let up = Linear::of(most * 1.05);
    let across = Linear::of(measured);
    let mut chart = Chart::empty("Requests per second", "What ended in each moment: as expected below, everything else on top.".to_owned());
    chart.across = chart.ticks_across(&across, &|seconds| format!("{seconds} s"));
    chart.up = chart.ticks_up(&up, &|number| if number < 1000.0 { number.to_string() } else { figures::count(number as u64) });
    for (at, good, bad) in within {
        let x = chart.x(across.place(at as f64 * step));
        let width = (chart.x(across.place(((at + 1) as f64 * step).min(measured))) - x).max(0.5);
        let second = at as f64 * step;
        for (class, from, to) in [("a", 0.0, good), ("bad", good, good + bad)] {
            if to > from {
                let (y, foot) = (chart.y(up.place(to)), chart.y(up.place(from)));
                let words = if class == "a" { "as expected" } else { "not as expected" };
                let title = format!("{second:.0} s: {}/s {words}", figures::rate(to - from));
                chart.bars.push(Bar { class, x: round(x), y: round(y), width: round(width * 0.92), height: round(foot - y), title });
            }
        }
    }
    chart
}

/// The time that each share of requests stays below, with a decade for every nine.
pub(super) fn percentiles(outcome: &Outcome) -> Chart {
    let record = &outcome.record;
    let samples = record.response.len().max(1);
    // Beyond one request in so many there is nothing to see.
    let nines = (samples as f64).log10().clamp(1.0, 6.0);
    let up = Decades::of(record.response.min().min(record.service.min()).max(1), record.response.max());
    let mut chart = Chart::empty(
        "Percentiles",
        "How long the slowest had to wait: to the right, one request in ten, in a hundred, in a thousand …".to_owned(),
    );
    let place = |percentile: f64| (-(1.0 - percentile / 100.0).max(1e-9).log10() / nines).min(1.0);
    let marks =
        [(0.0_f64, "0 %"), (50.0, "50 %"), (90.0, "90 %"), (99.0, "99 %"), (99.9, "99.9 %"), (99.99, "99.99 %"), (99.999, "99.999 %")];
    let across = marks.iter().filter(|(percentile, _)| -(1.0 - percentile / 100.0).log10() <= nines + 1e-9);
    chart.across = across.map(|(percentile, label)| Tick { at: round(chart.x(place(*percentile))), label: (*label).to_owned() }).collect();
    chart.up = chart.decades(&up);
    for (name, class, histogram) in [("service time", "b", &record.service), ("response time", "a", &record.response)] {
        let steps = (0..=POINTS).map(|step| 100.0 * (1.0 - 10f64.powf(-nines * step as f64 / POINTS as f64)));
        let points = steps.map(|percentile| (chart.x(place(percentile)), chart.y(up.place(histogram.value_at_percentile(percentile)))));
        let path = if histogram.is_empty() { String::new() } else { path(points) };
        chart.lines.push(Line { name, class, path });
    }
    chart
}

/// How many requests took how long.
pub(super) fn distribution(outcome: &Outcome) -> Chart {
    let response = &outcome.record.response;
    let up_to = response.max().max(1);
    let span = Decades::of(response.min().max(1), up_to);
    let mut chart = Chart::empty("Distribution", "How many requests took how long.".to_owned());
    let edges: Vec<f64> = (0..=BINS).map(|bin| span.value(f64::from(bin) / f64::from(BINS))).collect();
    let counts: Vec<(f64, f64, u64)> = edges
        .windows(2)
        .filter_map(|pair| match *pair {
            [from, to] => {
                let (low, high) = (from.ceil() as u64, (to.ceil() as u64).saturating_sub(1));
                (high >= low).then(|| (from, to, response.count_between(low, high)))
            }
            _ => None,
        })
        .collect();
    let most = counts.iter().map(|(_, _, count)| *count).max().unwrap_or(1).max(1);
    let up = Linear::of(most as f64);
    chart.across = span.marks().map(|(place, label)| Tick { at: round(chart.x(place)), label }).collect();
    chart.up = chart.ticks_up(&up, &|number| figures::count(number as u64));
    for (from, to, count) in counts {
        if count == 0 {
            continue;
        }
        let (x, y) = (chart.x(span.place_of(from)), chart.y(up.place(count as f64)));
        let width = chart.x(span.place_of(to)) - x;
        let title = format!("{} to {}: {}", figures::time(from), figures::time(to), figures::count(count));
        chart.bars.push(Bar { class: "a", x: round(x), y: round(y), width: round(width * 0.92), height: round(chart.bottom - y), title });
    }
    chart
}

impl Chart {
    fn empty(title: &'static str, explanation: String) -> Self {
        Self {
            title,
            explanation,
            width: 720.0,
            height: 260.0,
            left: 64.0,
            right: 708.0,
            top: 12.0,
            bottom: 228.0,
            across: Vec::new(),
            up: Vec::new(),
            lines: Vec::new(),
            bars: Vec::new(),
        }
    }

    fn x(&self, place: f64) -> f64 {
        self.left + (self.right - self.left) * place.clamp(0.0, 1.0)
    }

    fn y(&self, place: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * place.clamp(0.0, 1.0)
    }

    fn ticks_across(&self, scale: &Linear, label: &dyn Fn(f64) -> String) -> Vec<Tick> {
        scale.marks().map(|value| Tick { at: round(self.x(scale.place(value))), label: label(value) }).collect()
    }

    fn ticks_up(&self, scale: &Linear, label: &dyn Fn(f64) -> String) -> Vec<Tick> {
        scale.marks().map(|value| Tick { at: round(self.y(scale.place(value))), label: label(value) }).collect()
    }

    fn decades(&self, scale: &Decades) -> Vec<Tick> {
        scale.marks().map(|(place, label)| Tick { at: round(self.y(place)), label }).collect()
    }
}

/// From nothing to a number, with marks at round ones.
struct Linear {
    most: f64,
    step: f64,
}

impl Linear {
    fn of(most: f64) -> Self {
        let rough = (most / 5.0).max(f64::MIN_POSITIVE);
        let size = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * size >= rough).unwrap_or(10.0) * size;
        Self { most, step }
    }

    fn place(&self, value: f64) -> f64 {
        value / self.most
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        let (step, most) = (self.step, self.most);
        (0..=10).map(move |mark| (f64::from(mark) * step * 1e9).round() / 1e9).take_while(move |value| *value <= most * 1.0001)
    }
}

/// Times on a logarithmic scale, from one power of ten or a part of it to another.
struct Decades {
    low: f64,
    high: f64,
}

impl Decades {
    /// Wide enough for both, and not much wider.
    fn of(least: u64, most: u64) -> Self {
        let (least, most) = (least.max(1) as f64, most.max(1) as f64);
        let below = MARKS.iter().rev().copied().find(|mark| *mark <= least).unwrap_or(1.0);
        let above = MARKS.iter().copied().find(|mark| *mark >= most).unwrap_or(most);
        Self { low: below, high: if above > below { above } else { below * 10.0 } }
    }

    fn place(&self, microseconds: u64) -> f64 {
        self.place_of(microseconds as f64)
    }

    fn place_of(&self, microseconds: f64) -> f64 {
        (microseconds.max(self.low) / self.low).log10() / (self.high / self.low).log10()
    }

    fn value(&self, place: f64) -> f64 {
        self.low * (self.high / self.low).powf(place)
    }

    /// All round numbers where there is room for them, else the powers of ten.
    fn marks(&self) -> impl Iterator<Item = (f64, String)> {
        let within = MARKS.iter().copied().filter(|mark| (self.low..=self.high).contains(mark));
        let has_room = within.clone().count() <= 8;
        within.filter(move |mark| has_room || mark.log10().fract().abs() < 1e-9).map(|mark| (self.place_of(mark), short(mark)))
    }
}

/// A round time without zeros behind its point.
fn short(microseconds: f64) -> String {
    match microseconds {
        below if below < 1e3 => format!("{below:.0} µs"),
        below if below < 1e6 => format!("{:.0} ms", below / 1e3),
        above => format!("{:.0} s", above / 1e6),
    }
}

/// The time in the middle of a stretch, of which the last may be cut short.
fn middle(at: usize, step: f64, outcome: &Outcome) -> f64 {
    let begin = at as f64 * step;
    f64::midpoint(begin, (begin + step).min(outcome.measured.as_secs_f64().max(begin)))
}

/// A line; a single point is a dot, since lines have round ends.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        path.push_str(&format!("{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { " L" }));
    }
    if !path.contains('L') && !path.is_empty() {
        path.push_str(" h0.1");
    }
    path
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn plural(seconds: f64) -> String {
    if seconds > 1.0 { format!("{seconds:.0} seconds") } else { "a second".to_owned() }
}

const MARKS: [f64; 25] =
    [1.0, 2.0, 5.0, 1e1, 2e1, 5e1, 1e2, 2e2, 5e2, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8];
/// Seconds; less cannot be divided by.
const SHORTEST: f64 = 0.001;
const POINTS: usize = 200;
const BINS: u16 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_point_is_a_dot_and_none_is_nothing() {
        assert_eq!(path([(1.0, 2.0), (3.0, 4.0)].into_iter()), "M1.0 2.0 L3.0 4.0");
        assert_eq!(path([(1.0, 2.0)].into_iter()), "M1.0 2.0 h0.1");
        assert_eq!(path(std::iter::empty()), "");
    }

    #[test]
    fn scales_begin_and_end_at_round_numbers() {
        let scale = Decades::of(130, 4_700);
        assert_eq!((scale.low, scale.high), (100.0, 5_000.0));
        let marks: Vec<String> = scale.marks().map(|(_, label)| label).collect();
        assert_eq!(marks, ["100 µs", "200 µs", "500 µs", "1 ms", "2 ms", "5 ms"]);
        assert!((scale.place(100)).abs() < 1e-9 && (scale.place(5_000) - 1.0).abs() < 1e-9);
        assert_eq!(Linear::of(10.0).marks().collect::<Vec<_>>(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(Decades::of(7, 7).marks().count(), 2);
    }
}

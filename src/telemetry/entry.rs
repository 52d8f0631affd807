//! One request, as all three forms of the access log and the metrics want it.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::gateway::Record;
use crate::message::head::Oddity;

/// Everything that is known once the answer has been sent.
#[derive(Debug)]
pub struct Entry {
    pub record: Record,
    /// The listener's address as configured.
    pub listener: String,
    /// ALB's `type`: `http`, `https`, `h2`, `ws`, `wss`.
    pub kind: &'static str,
    /// Microseconds since 1970.
    pub finished_at: u64,
    /// From the request's head to the end of the answer.
    pub elapsed: Duration,
    pub client: SocketAddr,
    pub target: Option<String>,
    pub target_group: Option<String>,
    /// From the connection to the target to the first byte of its answer.
    pub target_time: Option<Duration>,
    pub status: u16,
    pub target_status: Option<u16>,
    pub received_bytes: usize,
    pub sent_bytes: usize,
    pub method: String,
    /// The whole URL, with the query of a callback masked.
    pub url: String,
    /// What the target received in place of what was asked for, masked likewise.
    pub transformed_host: Option<String>,
    pub transformed_uri: Option<String>,
    pub version: &'static str,
    pub user_agent: String,
    pub tls_cipher: Option<String>,
    pub tls_version: Option<&'static str>,
    pub server_name: Option<String>,
    pub trace_id: Option<String>,
    pub request_id: String,
    /// What could be read in another way.
    pub oddity: Option<Oddity>,
}

impl Entry {
    /// One line: ALB's field names in snake case, and ours.
    #[must_use]
    pub fn json(&self) -> String {
        let record = &self.record;
        let line = Line {
            r#type: self.kind,
            time: timestamp(self.finished_at),
            request_id: &self.request_id,
            listener: &self.listener,
            client_port: self.client,
            target_port: dash(self.target.as_deref()),
            request_processing_time: seconds(self.target_time.map(|time| self.elapsed.saturating_sub(time))),
            target_processing_time: seconds(self.target_time),
            response_processing_time: seconds(self.target_time.map(|_| Duration::ZERO)),
            elb_status_code: self.status,
            target_status_code: self.target_status.map_or(NumberOrDash::Dash("-"), NumberOrDash::Number),
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            request: self.request(),
            user_agent: &self.user_agent,
            ssl_cipher: dash(self.tls_cipher.as_deref()),
            ssl_protocol: dash(self.tls_version),
            target_group: dash(self.target_group.as_deref()),
            trace_id: dash(self.trace_id.as_deref()),
            domain_name: dash(self.server_name.as_deref()),
            matched_rule_priority: record.rule_priority.map_or(NumberOrDash::Dash("-"), NumberOrDash::Number),
            request_creation_time: timestamp(self.created_at()),
            actions_executed: record.actions.join(","),
            redirect_url: dash(record.redirect_url.as_deref()),
            error_reason: dash(record.error_reason),
            target_port_list: dash(self.target.as_deref()),
            target_status_code_list: self.target_status.map_or(NumberOrDash::Dash("-"), NumberOrDash::Number),
            classification: dash(self.oddity.map(|oddity| oddity.tier().as_str())),
            classification_reason: dash(self.oddity.map(Oddity::as_str)),
            transformed_host: dash(self.transformed_host.as_deref()),
            transformed_uri: dash(self.transformed_uri.as_deref()),
            request_transform_status: dash(record.transform_status),
            error_detail: dash(record.detail.as_deref()),
            identity_provider: dash(record.identity_provider.as_deref()),
            subject: dash(record.subject.as_deref()),
            session_id: dash(record.session.as_deref()),
            auth_outcome: dash(record.outcome),
            form: dash(record.form),
            authorize_decision: dash(record.authorized.as_ref().map(|authorized| authorized.decision)),
            authorize_reason: dash(record.authorized.as_ref().and_then(|authorized| authorized.reason)),
            authorize_detail: dash(record.authorized.as_ref().and_then(|authorized| authorized.detail.as_deref())),
            auth_latency_ms: record.authentication_time.map(milliseconds),
            duration_ms: milliseconds(self.elapsed),
        };
        // A struct of texts and numbers always serialises.
        serde_json::to_string(&line).unwrap_or_default()
    }

    pub(super) fn created_at(&self) -> u64 {
        self.finished_at.saturating_sub(u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX))
    }

    /// `GET https://host:443/path HTTP/2.0`
    pub(super) fn request(&self) -> String {
        format!("{} {} {}", self.method, self.url, self.version)
    }
}

#[derive(Serialize)]
struct Line<'a, Target: Serialize, Rule: Serialize> {
    r#type: &'a str,
    time: String,
    request_id: &'a str,
    listener: &'a str,
    client_port: SocketAddr,
    target_port: &'a str,
    request_processing_time: f64,
    target_processing_time: f64,
    response_processing_time: f64,
    elb_status_code: u16,
    target_status_code: Target,
    received_bytes: usize,
    sent_bytes: usize,
    request: String,
    user_agent: &'a str,
    ssl_cipher: &'a str,
    ssl_protocol: &'a str,
    target_group: &'a str,
    trace_id: &'a str,
    domain_name: &'a str,
    matched_rule_priority: Rule,
    request_creation_time: String,
    actions_executed: String,
    redirect_url: &'a str,
    error_reason: &'a str,
    target_port_list: &'a str,
    target_status_code_list: Target,
    classification: &'a str,
    classification_reason: &'a str,
    transformed_host: &'a str,
    transformed_uri: &'a str,
    request_transform_status: &'a str,
    error_detail: &'a str,
    identity_provider: &'a str,
    subject: &'a str,
    session_id: &'a str,
    auth_outcome: &'a str,
    form: &'a str,
    authorize_decision: &'a str,
    authorize_reason: &'a str,
    authorize_detail: &'a str,
    auth_latency_ms: Option<f64>,
    duration_ms: f64,
}

/// AWS writes `-` where there is no number.
#[derive(Serialize)]
#[serde(untagged)]
enum NumberOrDash<T> {
    Number(T),
    Dash(&'static str),
}

fn dash(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}

/// -1 where no target was asked, as AWS writes it.
fn seconds(time: Option<Duration>) -> f64 {
    time.map_or(-1.0, |time| (time.as_secs_f64() * 1_000_000.0).round() / 1_000_000.0)
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// RFC 3339 in UTC, with microseconds, as AWS writes it.
pub(super) fn timestamp(microseconds: u64) -> String {
    let time = i64::try_from(microseconds).ok().and_then(|time| jiff::Timestamp::from_microsecond(time).ok());
    time.map_or_else(|| "-".to_owned(), |time| format!("{time:.6}"))
}

//! One request, as all three forms of the access log and the metrics want it.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use super::json_line::{JsonLine, dash, texts, value};
use crate::gateway::Record;
use crate::message::head::Oddity;

/// Everything that is known once the answer has been sent.
#[derive(Debug)]
pub struct Entry<'a> {
    pub record: &'a Record,
    /// The listener's address as configured.
    pub listener: &'a str,
    /// ALB's `type`: `http`, `https`, `h2`, `ws`, `wss`.
    pub kind: &'static str,
    /// Microseconds since 1970.
    pub finished_at: u64,
    /// From the request's head to the end of the answer.
    pub elapsed: Duration,
    pub client: SocketAddr,
    pub target: Option<&'a str>,
    pub target_group: Option<&'a str>,
    /// From the connection to the target to the first byte of its answer.
    pub target_time: Option<Duration>,
    pub status: u16,
    pub target_status: Option<u16>,
    pub received_bytes: usize,
    pub sent_bytes: usize,
    pub method: &'a str,
    /// The whole URL, with the query of a callback masked.
    pub url: String,
    pub redirect_url: Option<&'a str>,
    /// What the target received in place of what was asked for, masked likewise.
    pub transformed_host: Option<&'a str>,
    pub transformed_uri: Option<String>,
    pub version: &'static str,
    pub user_agent: Cow<'a, str>,
    pub tls_cipher: Option<&'a str>,
    pub tls_version: Option<&'static str>,
    pub server_name: Option<&'a str>,
    pub trace_id: Option<&'a str>,
    pub request_id: &'a str,
    /// What could be read in another way.
    pub oddity: Option<Oddity>,
}

impl Entry<'_> {
    /// One object: ALB's field names in snake case, and ours.
    pub fn json(&self, line: &mut Vec<u8>) {
        let mut line = JsonLine::begin(line, "type", self.kind);
        self.of_request(&mut line);
        self.of_gateway(&mut line);
        line.end();
    }

    /// What an ALB tells, in its order.
    fn of_request(&self, line: &mut JsonLine<'_>) {
        let record = self.record;
        value!(line, "time", timestamp, self.finished_at);
        texts!(line, "request_id", self.request_id);
        texts!(line, "listener", self.listener);
        value!(line, "client_port", shown, self.client);
        dash!(line, "target_port", self.target);
        value!(line, "request_processing_time", seconds, self.target_time.map(|time| self.elapsed.saturating_sub(time)));
        value!(line, "target_processing_time", seconds, self.target_time);
        value!(line, "response_processing_time", seconds, self.target_time.map(|_| Duration::ZERO));
        value!(line, "elb_status_code", number, self.status.into());
        value!(line, "target_status_code", number_or_dash, self.target_status.map(u64::from));
        value!(line, "received_bytes", number, self.received_bytes as u64);
        value!(line, "sent_bytes", number, self.sent_bytes as u64);
        texts!(line, "request", self.method, " ", &self.url, " ", self.version);
        texts!(line, "user_agent", &self.user_agent);
        dash!(line, "ssl_cipher", self.tls_cipher);
        dash!(line, "ssl_protocol", self.tls_version);
        dash!(line, "target_group", self.target_group);
        dash!(line, "trace_id", self.trace_id);
        dash!(line, "domain_name", self.server_name);
        value!(line, "matched_rule_priority", number_or_dash, record.rule_priority.map(u64::from));
        value!(line, "request_creation_time", timestamp, self.created_at());
        value!(line, "actions_executed", list, &record.actions);
        dash!(line, "redirect_url", self.redirect_url);
        dash!(line, "error_reason", record.error_reason);
        dash!(line, "target_port_list", self.target);
        value!(line, "target_status_code_list", number_or_dash, self.target_status.map(u64::from));
        dash!(line, "classification", self.oddity.map(|oddity| oddity.tier().as_str()));
        dash!(line, "classification_reason", self.oddity.map(Oddity::as_str));
        dash!(line, "transformed_host", self.transformed_host);
        dash!(line, "transformed_uri", self.transformed_uri.as_deref());
        dash!(line, "request_transform_status", record.transform_status);
    }

    fn of_gateway(&self, line: &mut JsonLine<'_>) {
        let record = self.record;
        let authorized = record.authorized.as_ref();
        dash!(line, "error_detail", record.detail.as_deref());
        dash!(line, "identity_provider", record.identity_provider.as_deref());
        dash!(line, "subject", record.subject.as_deref());
        dash!(line, "session_id", record.session.as_deref());
        dash!(line, "auth_outcome", record.outcome);
        dash!(line, "form", record.form);
        dash!(line, "authorize_decision", authorized.map(|authorized| authorized.decision));
        dash!(line, "authorize_reason", authorized.and_then(|authorized| authorized.reason));
        dash!(line, "authorize_detail", authorized.and_then(|authorized| authorized.detail.as_deref()));
        value!(line, "auth_latency_ms", milliseconds, record.authentication_time);
        value!(line, "duration_ms", milliseconds, Some(self.elapsed));
    }

    pub(super) fn created_at(&self) -> u64 {
        self.finished_at.saturating_sub(u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX))
    }
}

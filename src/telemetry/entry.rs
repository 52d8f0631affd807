//! One request, as all three forms of the access log and the metrics want it.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use super::json_line::JsonLine;
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
        let mut line = JsonLine::begin(line);
        self.of_request(&mut line);
        self.of_gateway(&mut line);
        line.end();
    }

    /// What an ALB tells, in its order.
    fn of_request(&self, line: &mut JsonLine<'_>) {
        let record = self.record;
        line.text("type", self.kind);
        line.timestamp("time", self.finished_at);
        line.text("request_id", self.request_id);
        line.text("listener", self.listener);
        line.shown("client_port", self.client);
        line.dash("target_port", self.target);
        line.seconds("request_processing_time", self.target_time.map(|time| self.elapsed.saturating_sub(time)));
        line.seconds("target_processing_time", self.target_time);
        line.seconds("response_processing_time", self.target_time.map(|_| Duration::ZERO));
        line.number("elb_status_code", self.status.into());
        line.number_or_dash("target_status_code", self.target_status.map(u64::from));
        line.number("received_bytes", self.received_bytes as u64);
        line.number("sent_bytes", self.sent_bytes as u64);
        line.texts("request", &[self.method, " ", &self.url, " ", self.version]);
        line.text("user_agent", &self.user_agent);
        line.dash("ssl_cipher", self.tls_cipher);
        line.dash("ssl_protocol", self.tls_version);
        line.dash("target_group", self.target_group);
        line.dash("trace_id", self.trace_id);
        line.dash("domain_name", self.server_name);
        line.number_or_dash("matched_rule_priority", record.rule_priority.map(u64::from));
        line.timestamp("request_creation_time", self.created_at());
        line.list("actions_executed", &record.actions);
        line.dash("redirect_url", self.redirect_url);
        line.dash("error_reason", record.error_reason);
        line.dash("target_port_list", self.target);
        line.number_or_dash("target_status_code_list", self.target_status.map(u64::from));
        line.dash("classification", self.oddity.map(|oddity| oddity.tier().as_str()));
        line.dash("classification_reason", self.oddity.map(Oddity::as_str));
        line.dash("transformed_host", self.transformed_host);
        line.dash("transformed_uri", self.transformed_uri.as_deref());
        line.dash("request_transform_status", record.transform_status);
    }

    fn of_gateway(&self, line: &mut JsonLine<'_>) {
        let record = self.record;
        let authorized = record.authorized.as_ref();
        line.dash("error_detail", record.detail.as_deref());
        line.dash("identity_provider", record.identity_provider.as_deref());
        line.dash("subject", record.subject.as_deref());
        line.dash("session_id", record.session.as_deref());
        line.dash("auth_outcome", record.outcome);
        line.dash("form", record.form);
        line.dash("authorize_decision", authorized.map(|authorized| authorized.decision));
        line.dash("authorize_reason", authorized.and_then(|authorized| authorized.reason));
        line.dash("authorize_detail", authorized.and_then(|authorized| authorized.detail.as_deref()));
        line.milliseconds("auth_latency_ms", record.authentication_time);
        line.milliseconds("duration_ms", Some(self.elapsed));
    }

    pub(super) fn created_at(&self) -> u64 {
        self.finished_at.saturating_sub(u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX))
    }
}

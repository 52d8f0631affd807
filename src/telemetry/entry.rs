//! One request, as all three forms of the access log and the metrics want it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::gateway::Record;

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
    pub version: &'static str,
    pub user_agent: String,
    pub tls_cipher: Option<String>,
    pub tls_version: Option<&'static str>,
    pub server_name: Option<String>,
    pub trace_id: Option<String>,
    pub request_id: String,
}

impl Entry {
    /// ALB's field names in snake case, and ours.
    #[must_use]
    pub fn json(&self) -> Value {
        let record = &self.record;
        let mut line = Map::new();
        let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
        put("type", self.kind.into());
        put("time", timestamp(self.finished_at).into());
        put("request_id", self.request_id.clone().into());
        put("listener", self.listener.clone().into());
        put("client_port", self.client.to_string().into());
        put("target_port", dash(self.target.as_deref()));
        put("request_processing_time", seconds(self.target_time.map(|time| self.elapsed.saturating_sub(time))));
        put("target_processing_time", seconds(self.target_time));
        put("response_processing_time", seconds(self.target_time.map(|_| Duration::ZERO)));
        put("elb_status_code", self.status.into());
        put("target_status_code", self.target_status.map_or_else(|| "-".into(), Value::from));
        put("received_bytes", self.received_bytes.into());
        put("sent_bytes", self.sent_bytes.into());
        put("request", self.request().into());
        put("user_agent", self.user_agent.clone().into());
        put("ssl_cipher", dash(self.tls_cipher.as_deref()));
        put("ssl_protocol", dash(self.tls_version));
        put("target_group", dash(self.target_group.as_deref()));
        put("trace_id", dash(self.trace_id.as_deref()));
        put("domain_name", dash(self.server_name.as_deref()));
        put("matched_rule_priority", record.rule_priority.map_or_else(|| "-".into(), Value::from));
        put("request_creation_time", timestamp(self.created_at()).into());
        put("actions_executed", record.actions.join(",").into());
        put("redirect_url", dash(record.redirect_url.as_deref()));
        put("error_reason", dash(record.error_reason));
        put("target_port_list", dash(self.target.as_deref()));
        put("target_status_code_list", self.target_status.map_or_else(|| "-".into(), |status| status.to_string().into()));
        put("classification", "-".into());
        put("classification_reason", "-".into());
        put("conn_trace_id", "-".into());
        put("error_detail", dash(record.detail.as_deref()));
        put("identity_provider", dash(record.identity_provider.as_deref()));
        put("subject", dash(record.subject.as_deref()));
        put("session_id", dash(record.session.as_deref()));
        put("auth_outcome", dash(record.outcome));
        put("auth_latency_ms", record.authentication_time.map_or(Value::Null, |time| json!(time.as_secs_f64() * 1000.0)));
        put("duration_ms", json!(self.elapsed.as_secs_f64() * 1000.0));
        Value::Object(line)
    }

    pub(super) fn created_at(&self) -> u64 {
        self.finished_at.saturating_sub(u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX))
    }

    /// `GET https://host:443/path HTTP/2.0`
    pub(super) fn request(&self) -> String {
        format!("{} {} {}", self.method, self.url, self.version)
    }
}

fn dash(text: Option<&str>) -> Value {
    text.unwrap_or("-").into()
}

fn seconds(time: Option<Duration>) -> Value {
    time.map_or(json!(-1), |time| json!((time.as_secs_f64() * 1_000_000.0).round() / 1_000_000.0))
}

/// RFC 3339 in UTC, with microseconds, as AWS writes it.
pub(super) fn timestamp(microseconds: u64) -> String {
    let time = i64::try_from(microseconds).ok().and_then(|time| jiff::Timestamp::from_microsecond(time).ok());
    time.map_or_else(|| "-".to_owned(), |time| format!("{time:.6}"))
}

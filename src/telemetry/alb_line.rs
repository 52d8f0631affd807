//! AWS's own access log line, in its order and quoting, for the parsers that exist (ALB: Access log entries).

use super::Entry;
use super::json_line::{TIMESTAMP, timestamp};
use crate::message::head::Oddity;

impl Entry<'_> {
    /// 33 fields up to `request_transform_status`.
    #[must_use]
    pub fn alb(&self) -> String {
        let record = self.record;
        let timestamp = |microseconds| timestamp(microseconds, &mut [0; TIMESTAMP]).to_owned();
        let dash = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), str::to_owned);
        let quoted = |text: Option<&str>| format!("\"{}\"", text.map_or_else(|| "-".to_owned(), escaped));
        let time = |seconds: Option<f64>| seconds.map_or_else(|| "-1".to_owned(), |seconds| format!("{seconds:.3}"));
        let target_time = self.target_time.map(|time| time.as_secs_f64());
        let own_time = self.elapsed.as_secs_f64() - target_time.unwrap_or_default();
        // AWS has no word for `authorize`, and parsers refuse others.
        let actions = record.actions.iter().copied().filter(|action| *action != "authorize").collect::<Vec<_>>().join(",");
        let target_status = self.target_status.map(|status| status.to_string());
        [
            self.kind.to_owned(),
            timestamp(self.finished_at),
            self.listener.to_owned(),
            self.client.to_string(),
            dash(self.target),
            time(target_time.map(|_| own_time)),
            time(target_time),
            time(target_time.map(|_| 0.0)),
            self.status.to_string(),
            dash(target_status.as_deref()),
            self.received_bytes.to_string(),
            self.sent_bytes.to_string(),
            quoted(Some(&format!("{} {} {}", self.method, self.url, self.version))),
            quoted(Some(&self.user_agent)),
            dash(self.tls_cipher),
            dash(self.tls_version),
            dash(self.target_group),
            quoted(self.trace_id),
            quoted(self.server_name),
            quoted(None),
            record.rule_priority.map_or_else(|| "-1".to_owned(), |priority| priority.to_string()),
            timestamp(self.created_at()),
            quoted(Some(actions.as_str()).filter(|actions| !actions.is_empty())),
            quoted(self.redirect_url),
            quoted(record.error_reason.and_then(aws_reason)),
            quoted(self.target),
            quoted(target_status.as_deref()),
            quoted(self.oddity.map(|oddity| oddity.tier().as_str())),
            quoted(self.oddity.map(Oddity::as_str)),
            format!("TID_{:0>32}", self.request_id),
            quoted(self.transformed_host),
            quoted(self.transformed_uri.as_deref()),
            quoted(record.transform_status),
        ]
        .join(" ")
    }
}

/// ALB writes what cannot be printed as `\xHH`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// AWS's own words only, the nearest one: parsers refuse others.
fn aws_reason(reason: &'static str) -> Option<&'static str> {
    Some(match reason {
        "AuthInvalidCookie" | "AuthExpiredCookie" | "AuthEndedSession" | "AuthUnknownSession" => "AuthInvalidCookie",
        "AuthInvalidGrantError"
        | "AuthInvalidIdToken"
        | "AuthInvalidStateParam"
        | "AuthInvalidTokenResponse"
        | "AuthInvalidUserinfoResponse"
        | "AuthMissingCodeParam"
        | "AuthMissingStateParam"
        | "AuthInvalidAWSALBAuthNonce"
        | "AuthMissingAWSALBAuthNonce"
        | "AuthTokenEpRequestFailed"
        | "AuthTokenEpRequestTimeout"
        | "AuthUnhandledException"
        | "AuthUserinfoEpRequestFailed"
        | "AuthUserinfoEpRequestTimeout"
        | "AuthUserinfoResponseSizeExceeded" => reason,
        "AuthExpiredStateParam" | "AuthUsedStateParam" | "AuthInvalidIssParam" | "AuthInvalidAuthorizationResponse" => {
            "AuthInvalidStateParam"
        }
        "AuthDiscoveryRequestFailed" | "AuthJwksRequestFailed" | "AuthErrorResponse" => "AuthTokenEpRequestFailed",
        "AuthDiscoveryRequestTimeout" | "AuthJwksRequestTimeout" => "AuthTokenEpRequestTimeout",
        "RequestInvalidHost" => "AuthMissingHostHeader",
        _ => return None,
    })
}

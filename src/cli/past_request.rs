//! A request that has been: its line of the access log, and what to do about it. "It says 7f3a…" is enough.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

/// The last line whose request id is, or begins with, what was read out on the telephone.
pub(super) fn find(access_log: &Path, request_id: &str) -> Result<Map<String, Value>, String> {
    if request_id.len() < 4 || !request_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{request_id:?} is not a request id: at least four of its hexadecimal digits are needed"));
    }
    let wanted = request_id.to_ascii_lowercase();
    let file = File::open(access_log).map_err(|error| format!("{}: {error}", access_log.display()))?;
    let mut found = None;
    for line in BufReader::new(file).lines().map_while(Result::ok) {
        // Cheap before exact: a log has millions of lines.
        if line.contains(&wanted)
            && let Ok(Value::Object(entry)) = serde_json::from_str(&line)
            && entry.get("request_id").and_then(Value::as_str).is_some_and(|id| id.starts_with(&wanted))
        {
            found = Some(entry);
        }
    }
    found.ok_or_else(|| format!("{} has no request {request_id} (only access logs with format: json can be asked)", access_log.display()))
}

/// What a reason means and what to do, as docs/operations.md has them.
pub(super) fn advice(reason: &str) -> Option<(String, String)> {
    const PAGE: &str = include_str!("../../docs/operations.md");
    let names = |cell: &str| {
        cell.split('`').skip(1).step_by(2).any(|name| match name.strip_suffix('…') {
            Some(prefix) => reason.starts_with(prefix),
            None => reason == name,
        })
    };
    PAGE.lines().find_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
        let [reasons, _status, means, what] = cells[..] else { return None };
        names(&format!("`{reasons}")).then(|| (means.to_owned(), what.trim_end_matches('|').trim().to_owned()))
    })
}

/// For a person.
pub(super) fn text(entry: &Map<String, Value>) -> String {
    let word = |name: &str| {
        entry
            .get(name)
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .filter(|word| word != "-" && word != "null")
    };
    let mut lines = vec![word("request").unwrap_or_default(), String::new()];
    let mut add = |label: &str, value: Option<String>| lines.extend(value.map(|value| format!("  {label:<15} {value}")));
    add("request id", word("request_id"));
    add("at", word("time").map(|time| format!("{time}, from {}", word("client_port").unwrap_or_default())));
    let outcome = word("auth_outcome").map(|outcome| format!("  {}", outcome.replace('_', " "))).unwrap_or_default();
    add("answer", word("elb_status_code").map(|status| format!("{status}{outcome}")));
    let reason = word("error_reason");
    add("reason", reason.clone());
    add("detail", word("error_detail"));
    if let Some((means, what)) = reason.as_deref().and_then(advice) {
        add("means", Some(means));
        add("do", Some(what));
    }
    add("rule", word("matched_rule_priority").map(|priority| if priority == "0" { "default".to_owned() } else { priority }));
    add(
        "target",
        word("target_group").map(|group| {
            format!(
                "{group} ({}), answered {}",
                word("target_port").unwrap_or_default(),
                word("target_status_code").unwrap_or_else(|| "nothing".to_owned())
            )
        }),
    );
    add("provider", word("identity_provider"));
    add("person", word("subject"));
    add("session", word("session_id"));
    lines.join("\n")
}

/// Method and URL of a line, for a dry run today; `None` where the query was masked.
pub(super) fn request(entry: &Map<String, Value>) -> Option<(String, String)> {
    let mut words = entry.get("request")?.as_str()?.split(' ');
    let (method, url) = (words.next()?, words.next()?);
    (url.contains("://") && !url.contains("[masked]")).then(|| (method.to_owned(), url.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn every_reason_that_the_gateway_gives_has_advice() {
        let reply = include_str!("../gateway/reply.rs");
        let pipeline = include_str!("../gateway/pipeline.rs");
        let session_check = include_str!("../authentication/session_check.rs");
        let current_session = include_str!("../gateway/current_session.rs");
        let writing = include_str!("../proxy/writing.rs");
        let mut count = 0;
        for word in [reply, pipeline, session_check, current_session, writing].iter().flat_map(|text| text.split('"').skip(1).step_by(2)) {
            let is_reason = ["Auth", "Request", "Target", "Unhandled", "ClientClosed"].iter().any(|prefix| word.starts_with(prefix));
            if is_reason && word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                assert!(advice(word).is_some(), "docs/operations.md says nothing of {word}");
                count += 1;
            }
        }
        assert!(count > 40, "only {count} reasons were found: the scan itself is broken");
        assert_eq!(advice("AuthNothing"), None);
    }
}

//! The log of `demo`: a line for a person to read.

use super::Entry;

impl Entry<'_> {
    /// `  12:04:19  GET  /oauth2/…       302  signed in       alice`
    #[must_use]
    pub fn for_a_person(&self) -> String {
        let record = self.record;
        let seconds = self.finished_at / 1_000_000 % 86_400;
        let path = self.url.splitn(4, '/').nth(3).unwrap_or_default();
        let path = format!("/{}", path.split('?').next().unwrap_or_default());
        let path = if record.masks_query { format!("{}…", &path[..path.rfind('/').map_or(path.len(), |at| at + 1)]) } else { path };
        let shown: String = if path.chars().count() > 22 { path.chars().take(21).chain(['…']).collect() } else { path };
        let who = record.display_name.as_deref().or(record.subject.as_deref()).unwrap_or("");
        let (what, more) = match record.outcome {
            Some("redirected") => ("to sign-in", "no session"),
            Some("signed_in") => ("signed in", who),
            Some("signed_out") => ("signed out", ""),
            Some("session") => (who, ""),
            Some("refused") if record.error_reason == Some("AuthMissingCookie") => ("refused", "not signed in"),
            Some("refused" | "failed") => (record.error_reason.unwrap_or("refused"), record.detail.as_deref().unwrap_or("")),
            _ => ("", ""),
        };
        let rule = record.rule.as_deref().zip(self.target_group).map(|(rule, group)| format!("rule {rule} → {group}")).unwrap_or_default();
        let more = if more.is_empty() { rule.as_str() } else { more };
        format!(
            "  {:02}:{:02}:{:02}  {:<4} {:<22} {}  {:<16} {}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            self.method,
            shown,
            self.status,
            what,
            more
        )
        .trim_end()
        .to_owned()
    }
}

//! Faults of a configuration, and how they are shown: what, where, and what to do next.

use std::fmt::Write as _;
use std::path::Path;

use super::files::Files;

/// A place in the file; lines and columns count from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub line: usize,
    pub column: usize,
    pub length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub severity: Severity,
    /// `listeners[0].rules[2].actions[0]`
    pub path: String,
    pub message: String,
    pub span: Option<Span>,
    pub hint: Option<String>,
}

impl Fault {
    #[must_use]
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, path: path.into(), message: message.into(), span: None, hint: None }
    }

    #[must_use]
    pub fn warning(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, message) }
    }

    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Faults as they are found, where secrets stand that no line of a report may show, and which files were read.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<Fault>,
    secrets: Vec<Span>,
    files: Files,
}

impl Faults {
    pub(super) fn reads(&mut self, path: &Path) {
        self.files.note(path);
    }

    pub(super) fn push(&mut self, fault: Fault) -> &mut Fault {
        self.found.push(fault);
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// Adds what the compiler found in a file of which `self` are the faults of form. What could not be read was left out for it, so
    /// that it may miss something there: that is no fault of its own, and what it warns of may not be so.
    pub(super) fn join(&mut self, meaning: Self) {
        let unread: Vec<String> = self.found.iter().map(|fault| fault.path.clone()).collect();
        let follows = |fault: &Fault| fault.severity == Severity::Warning || unread.iter().any(|path| path.starts_with(&fault.path));
        self.found.extend(meaning.found.into_iter().filter(|fault| unread.is_empty() || !follows(fault)));
        self.secrets.extend(meaning.secrets);
        self.files = std::mem::take(&mut self.files).or(meaning.files);
    }

    pub(super) fn hide(&mut self, span: Span) {
        self.secrets.push(span);
    }
}

/// All faults of one file.
#[derive(Debug)]
pub struct Report {
    name: String,
    text: String,
    faults: Vec<Fault>,
    secrets: Vec<Span>,
    files: Files,
}

impl Report {
    pub(super) fn new(name: String, text: String, faults: Faults) -> Self {
        let Faults { mut found, secrets, files } = faults;
        found.sort_by_key(|fault| (fault.severity == Severity::Warning, fault.span.map_or(0, |span| span.line)));
        Self { name, text, faults: found, secrets, files }
    }

    /// A report of one fault that concerns no line.
    pub fn of(name: String, fault: Fault) -> Self {
        Self { name, text: String::new(), faults: vec![fault], secrets: Vec::new(), files: Files::default() }
    }

    /// With files that were read before.
    pub(super) fn after(mut self, files: Files) -> Self {
        self.files = files.or(self.files);
        self
    }

    /// Every file that was read, or should have been, as far as that was known.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.faults.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// For a terminal; `color` paints severity and marker.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let count = |severity| self.faults.iter().filter(|fault| fault.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let verdict = if errors > 0 { "is not usable" } else { "is usable" };
        let mut counts = Vec::new();
        if errors > 0 {
            counts.push(plural(errors, "error"));
        }
        if warnings > 0 {
            counts.push(plural(warnings, "warning"));
        }
        let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
        let mut out = format!("{} {verdict}{counts}\n", self.name);
        for fault in &self.faults {
            self.render_fault(fault, color, &mut out);
        }
        out
    }

    /// A line of the file with its secrets covered.
    fn line(&self, number: usize) -> Option<String> {
        let line = self.text.lines().nth(number.checked_sub(1)?)?;
        let mut shown: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for span in self.secrets.iter().filter(|span| span.line == number) {
            let from = (span.column - 1).min(shown.len());
            // To the end of the line: the secret may go on over several.
            shown[from..].iter_mut().filter(|c| !c.is_whitespace()).for_each(|c| *c = '*');
        }
        cover_by_key(&mut shown);
        shown.truncate(160);
        Some(shown.into_iter().collect())
    }

    fn render_fault(&self, fault: &Fault, color: bool, out: &mut String) {
        let (word, paint) = match fault.severity {
            Severity::Error => ("error", "\x1b[31;1m"),
            Severity::Warning => ("warn ", "\x1b[33;1m"),
        };
        let (on, off) = if color { (paint, "\x1b[0m") } else { ("", "") };
        let place = fault.span.map(|span| format!("{}:{}:{}", self.name, span.line, span.column));
        let head = [Some(fault.path.as_str()).filter(|path| !path.is_empty()), place.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("  ");
        let _ = writeln!(out, "\n  {on}{word}{off}  {head}");
        let _ = writeln!(out, "         {}", fault.message);
        match (fault.span.and_then(|span| Some((span, self.line(span.line)?))), &fault.hint) {
            (Some((span, shown)), hint) => {
                let _ = writeln!(out, "  {:>5} | {shown}", span.line);
                let room = shown.chars().count().saturating_sub(span.column - 1).max(1);
                let marker = "^".repeat(span.length.clamp(1, room));
                let hint = hint.as_deref().map(|hint| format!(" {hint}")).unwrap_or_default();
                let _ = writeln!(out, "        | {}{on}{marker}{off}{hint}", " ".repeat(span.column.saturating_sub(1)));
            }
            (None, Some(hint)) => {
                let _ = writeln!(out, "         {hint}");
            }
            (None, None) => {}
        }
    }
}

/// What stands behind a key that names a secret is covered also where the file could not be read as YAML.
fn cover_by_key(line: &mut [char]) {
    const KEYS: [&str; 5] = ["secret:", "password:", "signing_key:", "hmac_key:", "keys:"];
    let text: String = line.iter().collect::<String>().to_ascii_lowercase();
    for key in KEYS {
        let Some(at) = text.find(key) else { continue };
        let start = text[..at].chars().count() + key.chars().count();
        let value = text.chars().skip(start).find(|c| !c.is_whitespace());
        if value.is_some_and(|first| !matches!(first, '{' | '[' | '|' | '>')) {
            line[start..].iter_mut().filter(|c| !c.is_whitespace()).for_each(|c| *c = '*');
        }
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

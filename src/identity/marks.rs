//! By what sessions are ended when nobody shows them: a provider names a person or a session of its own, an operator a hash.
//!
//! Each is a digest, so that a memory of endings holds no names and its entries have one size.

use aws_lc_rs::digest;

use crate::clock::UnixTime;

/// One thing that a session can be found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark([u8; 16]);

impl Mark {
    /// `hash` is that of `SessionId`, as logs show it.
    #[must_use]
    pub fn session(hash: &str) -> Self {
        Self::of("session", &[hash])
    }

    /// A person, as the issuer knows them: every session of theirs.
    #[must_use]
    pub fn subject(issuer: &str, client_id: &str, subject: &str) -> Self {
        Self::of("subject", &[issuer, client_id, subject])
    }

    /// A session at the provider (`sid`).
    #[must_use]
    pub fn provider_session(issuer: &str, client_id: &str, sid: &str) -> Self {
        Self::of("sid", &[issuer, client_id, sid])
    }

    /// A person's sessions of which the provider gave no `sid`: any of them can be the one that it means.
    #[must_use]
    pub fn without_provider_session(issuer: &str, client_id: &str, subject: &str) -> Self {
        Self::of("no sid", &[issuer, client_id, subject])
    }

    /// As another instance has it from `bytes`.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Lengths are part of it: no two lists of words look the same.
    fn of(kind: &str, words: &[&str]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for word in std::iter::once(&kind).chain(words) {
            context.update(&(word.len() as u64).to_be_bytes());
            context.update(word.as_bytes());
        }
        let mut mark = [0; 16];
        mark.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(mark)
    }
}

/// Everything that one session can be found by.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    session: Mark,
    subject: Mark,
    provider_session: Mark,
    pub signed_in_at: UnixTime,
}

impl Marks {
    /// See `KnownSession::new`; `hash` is that of its id.
    #[must_use]
    pub fn new(hash: &str, (issuer, client_id): (&str, &str), subject: &str, sid: Option<&str>, signed_in_at: UnixTime) -> Self {
        Self {
            session: Mark::session(hash),
            subject: Mark::subject(issuer, client_id, subject),
            provider_session: match sid {
                Some(sid) => Mark::provider_session(issuer, client_id, sid),
                None => Mark::without_provider_session(issuer, client_id, subject),
            },
            signed_in_at,
        }
    }

    #[must_use]
    pub fn all(&self) -> [Mark; 3] {
        [self.session, self.subject, self.provider_session]
    }

    #[must_use]
    pub fn has(&self, mark: Mark) -> bool {
        self.all().contains(&mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_different_words_differ_however_they_are_cut() {
        let marks = [
            Mark::subject("https://op", "client", "alice"),
            Mark::subject("https://op", "clientalice", ""),
            Mark::subject("https://opclient", "", "alice"),
            Mark::subject("https://op", "alice", "client"),
            Mark::provider_session("https://op", "client", "alice"),
            Mark::without_provider_session("https://op", "client", "alice"),
            Mark::session("alice"),
        ];
        for (index, mark) in marks.iter().enumerate() {
            assert!(!marks[index + 1..].contains(mark), "{index}");
        }
    }
}

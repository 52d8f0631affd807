//! Whether an answer is one that a person who is signed in should get.

use std::ops::RangeInclusive;
use std::str::FromStr;

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use url::{Origin, Url};

/// What a good answer is.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub statuses: Vec<Statuses>,
    /// What the body holds; `{user}` in it stands for whoever asked.
    pub text: Option<String>,
}

/// A status, or a class of them as `2xx`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(RangeInclusive<u16>);

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is neither a status, as 204, nor a class of them, as 2xx");
        if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class)).ok_or_else(wrong)?;
            return Ok(Self(class * 100..=class * 100 + 99));
        }
        let status: u16 = text.parse().ok().filter(|status| (100..=599).contains(status)).ok_or_else(wrong)?;
        Ok(Self(status..=status))
    }
}

impl Expectation {
    pub(super) fn expects(&self, status: StatusCode) -> bool {
        self.statuses.iter().any(|statuses| statuses.0.contains(&status.as_u16()))
    }

    /// What to look for in the answer to somebody of this name.
    pub(super) fn needle(&self, name: &str) -> Option<String> {
        self.text.as_ref().map(|text| text.replace("{user}", name))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// What strangers are answered: the person is not signed in, or no longer.
    SignedOut,
    Status,
    Text,
}

/// What a stranger is answered, by which one knows that somebody has become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gate {
    status: StatusCode,
    location: Option<(Origin, String)>,
}

/// Judges the answers of one run.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub(super) expectation: Expectation,
    /// Known where strangers are answered otherwise than people who are signed in.
    pub(super) gate: Option<Gate>,
    pub(super) page: Url,
    pub(super) is_anonymous: bool,
}

impl Gate {
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, from: &Url) -> Self {
        Self { status, location: place(headers, from) }
    }

    pub(super) fn status(&self) -> u16 {
        self.status.as_u16()
    }
}

impl Judge {
    pub(super) fn judge(&self, status: StatusCode, headers: &HeaderMap, body: &[u8], needle: Option<&str>) -> Verdict {
        if !self.is_anonymous && self.is_signed_out(status, headers) {
            return Verdict::SignedOut;
        }
        if !self.expectation.expects(status) {
            return Verdict::Status;
        }
        match needle {
            Some(needle) if memchr::memmem::find(body, needle.as_bytes()).is_none() => Verdict::Text,
            _ => Verdict::Good,
        }
    }

    fn is_signed_out(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        if status.is_success() {
            return false;
        }
        let place = if status.is_redirection() { place(headers, &self.page) } else { None };
        if place.as_ref().is_some_and(|(origin, _)| *origin != self.page.origin()) {
            return true;
        }
        match &self.gate {
            Some(gate) if gate.status == status && gate.location == place => true,
            _ => status == StatusCode::UNAUTHORIZED && !self.expectation.expects(status),
        }
    }
}

/// Where a redirect leads, without its query, which is another one each time.
fn place(headers: &HeaderMap, from: &Url) -> Option<(Origin, String)> {
    let url = from.join(headers.get(LOCATION)?.to_str().ok()?).ok()?;
    Some((url.origin(), url.path().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(judge: &Judge, status: u16, location: Option<&'static str>) -> Verdict {
        let mut headers = HeaderMap::new();
        if let Some(location) = location {
            headers.insert(LOCATION, location.parse().unwrap());
        }
        judge.judge(StatusCode::from_u16(status).unwrap(), &headers, b"hello alice", Some("alice"))
    }

    fn judge(statuses: &str, gate: Option<(u16, &str)>) -> Judge {
        let page = Url::parse("https://a.test/page").unwrap();
        let gate = gate.map(|(status, location)| {
            let headers = [(LOCATION, location.parse().unwrap())].into_iter().collect();
            Gate::of(StatusCode::from_u16(status).unwrap(), &headers, &page)
        });
        let expectation = Expectation { statuses: vec![statuses.parse().unwrap()], text: Some("alice".to_owned()) };
        Judge { expectation, gate, page, is_anonymous: false }
    }

    #[test]
    fn a_redirect_to_a_login_is_never_a_success() {
        let judge = judge("302", Some((302, "/login?state=1")));
        assert_eq!(judged(&judge, 302, Some("/login?state=2")), Verdict::SignedOut);
        assert_eq!(judged(&judge, 302, Some("https://op.test/authorize?x")), Verdict::SignedOut);
        assert_eq!(judged(&judge, 302, Some("/home")), Verdict::Good);
        assert_eq!(judged(&judge, 401, None), Verdict::SignedOut);
        assert_eq!(judged(&judge, 200, None), Verdict::Status);
    }

    #[test]
    fn an_answer_has_the_status_and_the_text() {
        let judge = judge("2xx", None);
        assert_eq!(judged(&judge, 299, None), Verdict::Good);
        assert_eq!(judged(&judge, 500, None), Verdict::Status);
        let other = judge.judge(StatusCode::OK, &HeaderMap::new(), b"hello bob", Some("alice"));
        assert_eq!(other, Verdict::Text);
        assert_eq!(judge.expectation.needle("carol").as_deref(), Some("alice"));
        for wrong in ["6xx", "99", "2x", "", "-1"] {
            assert!(wrong.parse::<Statuses>().is_err(), "{wrong}");
        }
    }
}

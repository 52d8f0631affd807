//! The provider's own session in a browser, one hour from the sign-in, and the token that guards its form.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::{HeaderMap, header};

use super::bounded::Bounded;
use crate::clock::UnixTime;

/// A signed-in browser.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) username: String,
    pub(super) auth_time: UnixTime,
}

/// Sessions by the value of their cookie.
pub(super) struct Sessions(Bounded<String, Session>);

impl Sessions {
    pub(super) fn new() -> Self {
        Self(Bounded::new(CAPACITY))
    }

    pub(super) fn of(&self, headers: &HeaderMap, now: UnixTime) -> Option<Session> {
        self.0.live(&cookie(headers, SESSION_COOKIE)?.to_owned(), now).cloned()
    }

    /// `token` is new for every sign-in: a value that someone planted in the browser beforehand never becomes a session.
    pub(super) fn begin(&mut self, token: String, session: Session, now: UnixTime) -> String {
        let cookie = format!("{SESSION_COOKIE}={token}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax", LIFETIME.as_secs());
        self.0.insert(token, session, now.plus(LIFETIME), now);
        cookie
    }

    pub(super) fn end(&mut self, headers: &HeaderMap) -> String {
        if let Some(token) = cookie(headers, SESSION_COOKIE) {
            self.0.remove(&token.to_owned());
        }
        format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
    }
}

/// The value that a sign-in form must repeat: the browser's own if it has one, so that two tabs do not disturb each other.
pub(super) fn form_token(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, FORM_COOKIE).filter(|token| token.len() == 43)
}

pub(super) fn form_cookie(token: &str) -> String {
    format!("{FORM_COOKIE}={token}; Path=/login; HttpOnly; SameSite=Lax")
}

/// Whether a form was served to this browser by this provider. Without it another site could sign its visitor in under
/// a name of its own choosing and watch what they then store (login CSRF).
pub(super) fn form_is_ours(headers: &HeaderMap, sent: Option<&str>) -> bool {
    let same_origin = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let (Some(expected), Some(sent)) = (form_token(headers), sent) else { return false };
    same_origin && verify_slices_are_equal(expected.as_bytes(), sent.as_bytes()).is_ok()
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(other, _)| *other == name).map(|(_, value)| value)
}

const SESSION_COOKIE: &str = "cognito";
/// A name of its own and a path: ports do not separate cookies, and applications on other ports of this host have theirs.
const FORM_COOKIE: &str = "cognito-form";
const LIFETIME: Duration = Duration::from_secs(3600);
const CAPACITY: usize = 4_096;

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{Session, Sessions, form_is_ours};
    use crate::clock::UnixTime;

    fn headers(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())])
    }

    #[test]
    fn a_session_lasts_an_hour_and_no_longer() {
        let mut sessions = Sessions::new();
        let session = Session { username: "alice".to_owned(), auth_time: UnixTime(0) };
        let cookie = sessions.begin("token".to_owned(), session, UnixTime(0));
        assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
        let headers = headers("other=1; cognito=token");
        assert!(sessions.of(&headers, UnixTime(3599)).is_some());
        assert!(sessions.of(&headers, UnixTime(3600)).is_none());
        sessions.end(&headers);
        assert!(sessions.of(&headers, UnixTime(1)).is_none());
    }

    #[test]
    fn a_form_from_elsewhere_is_noticed() {
        let token = "a".repeat(43);
        let mut ours = headers(&format!("cognito-form={token}"));
        assert!(form_is_ours(&ours, Some(&token)));
        assert!(!form_is_ours(&ours, Some("b")) && !form_is_ours(&ours, None));
        assert!(!form_is_ours(&HeaderMap::new(), Some("")) && !form_is_ours(&headers("cognito-form="), Some("")));
        ours.insert("sec-fetch-site", HeaderValue::from_static("same-site"));
        assert!(!form_is_ours(&ours, Some(&token)));
    }
}

//! What is to be done: where, by whom, how much, how long, and what counts as a good answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};
use rustls::ClientConfig;
use url::{Host, Url};

use super::verdict::Expectation;

/// Everything that a run is told.
pub struct Plan {
    /// All of one origin; each person asks for one after the other.
    pub pages: Vec<Page>,
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub people: PeopleFrom,
    pub sessions: usize,
    pub fields: Fields,
    /// Where a sign-in begins, if not on the first page.
    pub sign_in_at: Option<Url>,
    pub sign_ins_at_a_time: usize,
    pub load: Load,
    pub duration: Duration,
    pub warm_up: Duration,
    /// At most so many are measured.
    pub requests: Option<u64>,
    pub connections: Option<usize>,
    pub version: Option<Version>,
    pub threads: usize,
    pub timeout: Duration,
    pub expectation: Expectation,
    /// For the origin of the pages, instead of what its name stands for.
    pub connect_to: Option<(String, u16)>,
    pub tls: Arc<ClientConfig>,
    /// What somebody who reads the result has to know of the way it was made.
    pub notes: Vec<String>,
}

/// A page that is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    pub url: Url,
    pub path: PathAndQuery,
}

/// How arrivals are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// Arrivals each second, fixed in advance: an open loop.
    Rate(f64),
    /// So many at a time, each following the answer of the one before: a closed loop.
    Concurrency(usize),
}

/// Who asks.
pub enum PeopleFrom {
    SignIn(Vec<super::User>),
    Ready(Vec<super::Person>),
    Anonymous,
}

/// The fields of a provider's form, where they cannot be told by their types.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    pub user: Option<String>,
    pub password: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("{0}: not an http or https URL\n  hint: write it as https://app.example.com/page")]
    NotAUrl(String),
    #[error(
        "{0}: a name and a password have no place in a URL\n  hint: write them into a file, one \"name,password\" on a line, and name it with --users"
    )]
    Credentials(String),
    #[error("{other} is not of {first}\n  hint: all pages of one run are of one origin; give paths after the first URL")]
    OtherOrigin { first: String, other: String },
}

/// How many connections there may be, and how people share them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// People in one group have their connections together; a group of one is a browser's.
    pub groups: usize,
    pub most: usize,
}

impl Page {
    /// The first is a URL; those after it may be paths.
    pub fn all(given: &[String]) -> Result<Vec<Self>, PlanError> {
        let mut pages: Vec<Self> = Vec::new();
        for text in given {
            let parsed = match pages.first() {
                Some(first) if text.starts_with('/') => first.url.join(text),
                _ => Url::parse(text),
            };
            let url = parsed.ok().filter(is_http).ok_or_else(|| PlanError::NotAUrl(without_query(text)))?;
            let page = Self::of(url)?;
            if let Some(first) = pages.first()
                && first.url.origin() != page.url.origin()
            {
                return Err(PlanError::OtherOrigin { first: first.url.origin().ascii_serialization(), other: shown(&page.url) });
            }
            pages.push(page);
        }
        Ok(pages)
    }

    fn of(mut url: Url) -> Result<Self, PlanError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(PlanError::Credentials(shown(&url)));
        }
        url.set_fragment(None);
        let path = url[url::Position::BeforePath..].parse().map_err(|_| PlanError::NotAUrl(shown(&url)))?;
        Ok(Self { url, path })
    }
}

impl Page {
    /// With scheme and authority, as a request over HTTP/2 has it.
    pub(super) fn whole(&self) -> Uri {
        self.url[..url::Position::AfterQuery].parse().unwrap_or_else(|_| self.path.clone().into())
    }
}

impl Load {
    pub fn is_open(self) -> bool {
        matches!(self, Self::Rate(_))
    }
}

impl Version {
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

impl Plan {
    pub fn is_https(&self) -> bool {
        self.pages.first().is_some_and(|page| page.url.scheme() == "https")
    }

    /// What the server is called in requests.
    pub fn authority(&self) -> String {
        self.pages.first().map(|page| page.url[url::Position::BeforeHost..url::Position::AfterPort].to_owned()).unwrap_or_default()
    }

    /// Connections over HTTP/1.1 as browsers have them, one over HTTP/2, unless told otherwise.
    pub fn connections(&self, version: Version) -> Connections {
        let sessions = self.sessions.max(1);
        let most = self.connections.unwrap_or(match (version, self.load) {
            (Version::Http2, _) => sessions,
            (Version::Http1, Load::Rate(_)) => sessions.saturating_mul(CONNECTIONS_OF_A_BROWSER).min(MOST_CONNECTIONS.max(sessions)),
            (Version::Http1, Load::Concurrency(concurrency)) => sessions.max(concurrency),
        });
        Connections { groups: sessions.min(most), most }
    }

    /// When the last arrival may be, from the beginning of the warm-up.
    pub fn length(&self) -> Duration {
        self.warm_up.saturating_add(self.duration)
    }

    /// How long it takes until as many requests are due as were asked for, where that is fixed.
    pub(super) fn needed(&self) -> Option<Duration> {
        match (self.load, self.requests) {
            (Load::Rate(rate), Some(requests)) => Duration::try_from_secs_f64(requests as f64 / rate).ok(),
            _ => None,
        }
    }

    pub fn is_anonymous(&self) -> bool {
        matches!(self.people, PeopleFrom::Anonymous)
    }
}

/// A URL that may be shown: what follows its path may hold codes and tokens.
#[must_use]
pub fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn without_query(text: &str) -> String {
    text.split(['?', '#']).next().unwrap_or_default().to_owned()
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Whether it is this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// A header that is not to be printed.
pub(super) fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

const CONNECTIONS_OF_A_BROWSER: usize = 6;
/// Beyond this, whoever wants more connections over HTTP/1.1 says so: each is a descriptor here and memory over there.
const MOST_CONNECTIONS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(given: &[&str]) -> Result<Vec<String>, PlanError> {
        let given: Vec<String> = given.iter().map(|&text| text.to_owned()).collect();
        Page::all(&given).map(|pages| pages.into_iter().map(|page| page.url.to_string()).collect())
    }

    #[test]
    fn pages_are_of_one_origin_and_paths_follow_the_first() {
        let found = pages(&["https://a.test/x?y=1#z", "/two?q", "https://a.test:443/three"]).unwrap();
        assert_eq!(found, ["https://a.test/x?y=1", "https://a.test/two?q", "https://a.test/three"]);
        assert!(matches!(pages(&["https://a.test/", "https://b.test/"]), Err(PlanError::OtherOrigin { .. })));
        assert!(matches!(pages(&["https://a.test/", "http://a.test/"]), Err(PlanError::OtherOrigin { .. })));
        for wrong in ["a.test", "ftp://a.test/", "/only", "https:///", ""] {
            assert!(matches!(pages(&[wrong]), Err(PlanError::NotAUrl(_))), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_of_a_url_has_neither_query_nor_credentials() {
        let error = pages(&["https://alice:wonderland@a.test/x?code=1"]).unwrap_err().to_string();
        assert!(error.starts_with("https://a.test/x: ") && !error.contains("wonderland"), "{error}");
        assert_eq!(shown(&Url::parse("https://a.test:8443/callback?code=secret&state=s#t").unwrap()), "https://a.test:8443/callback");
        assert!(!pages(&["nothing?code=secret"]).unwrap_err().to_string().contains("secret"));
    }
}

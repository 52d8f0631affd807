//! A person under way: what they send for each page, and the cookies that answers renew.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request, Uri};

use super::Drive;
use crate::load::cookies::Cookies;
use crate::load::people::Person;
use crate::load::plan::{Page, Version};

pub(super) struct Asker {
    pub(super) group: usize,
    /// Among all people, so that they do not all begin with the same page.
    pub(super) number: usize,
    pub(super) needle: Option<String>,
    authorization: Option<HeaderValue>,
    cookies: RefCell<Cookies>,
    /// The heads of requests, one for each page, made again when a cookie changes or may have ended.
    heads: RefCell<Vec<HeaderMap>>,
    made: Cell<Option<Instant>>,
    has_cookies: bool,
}

impl Asker {
    pub(super) fn new(number: usize, group: usize, person: Person, drive: &Drive) -> Self {
        Self {
            group,
            number,
            needle: drive.judge.expectation.needle(&person.name),
            authorization: person.authorization,
            has_cookies: !person.cookies.is_empty(),
            cookies: RefCell::new(person.cookies),
            heads: RefCell::default(),
            made: Cell::new(None),
        }
    }

    /// The head of a request for a page.
    pub(super) fn request<B>(&self, drive: &Drive, at: usize, version: Version, uri: Uri, now: Instant, body: B) -> Request<B> {
        let is_fresh = self.made.get().is_some_and(|made| !self.has_cookies || now.saturating_duration_since(made) < COOKIES_LOOKED_AT);
        if !is_fresh {
            *self.heads.borrow_mut() = drive.pages.iter().map(|page| self.head(drive, page, version)).collect();
            self.made.set(Some(now));
        }
        let mut request = Request::new(body);
        *request.method_mut() = drive.method.clone();
        *request.uri_mut() = uri;
        if let Some(head) = self.heads.borrow().get(at) {
            *request.headers_mut() = head.clone();
        }
        request
    }

    fn head(&self, drive: &Drive, page: &Page, version: Version) -> HeaderMap {
        let mut head = drive.headers.clone();
        if version == Version::Http1
            && !head.contains_key(HOST)
            && let Ok(host) = HeaderValue::from_str(&page.url[url::Position::BeforeHost..url::Position::AfterPort])
        {
            head.insert(HOST, host);
        }
        if let Some(cookies) = self.cookies.borrow().header(&page.url) {
            head.insert(COOKIE, cookies);
        }
        if let Some(authorization) = &self.authorization {
            head.insert(AUTHORIZATION, authorization.clone());
        }
        head
    }

    /// Takes what an answer sets.
    pub(super) fn keep(&self, headers: &HeaderMap, page: &Page) {
        if headers.contains_key(SET_COOKIE) && self.cookies.borrow_mut().keep(headers, &page.url) {
            self.made.set(None);
        }
    }
}

/// Cookies that end with time are left out within a second of it.
const COOKIES_LOOKED_AT: Duration = Duration::from_secs(1);

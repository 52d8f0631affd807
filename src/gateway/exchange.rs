//! One request on its way through the gateway, with everything that decisions about it need.

use bytes::Bytes;
use http::HeaderValue;

use super::reply::Verdict;
use super::{Gateway, ListenerRules, Record, Reply, Visitor};
use crate::clock::UnixTime;
use crate::message::{ConnectionInfo, RequestView};

/// Handed from step to step; what is learnt on the way goes into `record`.
pub struct Exchange<'a> {
    pub gateway: &'a Gateway,
    pub listener: &'a ListenerRules,
    pub request: &'a RequestView<'a>,
    pub now: UnixTime,
    pub body: Body,
    pub record: Record,
    /// `None` where there is none (a dry run), or where requests of several visitors share it.
    pub connection: Option<&'a ConnectionInfo>,
    /// A newer state of the session, for the browser.
    pub set_cookies: Vec<HeaderValue>,
    /// The rule that refuses a form whose sender may keep it (`keep_form`). Its body has not been read.
    pub keeps_form: Option<u32>,
}

/// What there is of a request's body, for an endpoint that wants it (`Gateway::wants_body`).
#[derive(Debug, Default)]
pub enum Body {
    #[default]
    Unread,
    Whole(Bytes),
    TooLarge,
    /// It ended early, or did not come in time.
    Broken,
}

impl<'a> Exchange<'a> {
    /// Writes a failure down and makes its answer; `action` is where the page's button leads.
    pub(super) fn refuse(&mut self, verdict: Verdict, action: Option<&str>) -> Reply {
        let visitor = self.visitor();
        verdict.reply(self.gateway, visitor, action, &mut self.record)
    }

    pub(super) fn visitor(&self) -> Visitor<'a> {
        Visitor { host: self.request.authority.host(), headers: self.request.headers, request_id: self.request.request_id }
    }

    /// Another path of the request's own origin.
    pub(super) fn own_url(&self, path: &str) -> String {
        format!("{}{path}", self.request.origin())
    }
}

//! What a policy is asked about.

use crate::clock::UnixTime;
use crate::identity::Identity;
use crate::message::RequestView;

#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// `None`: nobody is signed in, and the rule lets nobody come this far.
    pub identity: Option<&'a Identity>,
    pub request: &'a RequestView<'a>,
    pub now: UnixTime,
}

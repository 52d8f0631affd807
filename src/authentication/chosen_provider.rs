//! The provider that a person has chosen before. A hint and no more: whoever writes the cookie chooses among the providers of a rule,
//! as anybody can.

use std::sync::Arc;

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use super::Authenticate;
use crate::message::cookies;

/// The cookie's name.
pub const CHOICE_COOKIE: &str = "VestibuleIdentityProvider";

/// The way of this rule that the browser remembers.
#[must_use]
pub fn chosen<'a>(authenticate: &'a Arc<Authenticate>, headers: &HeaderMap) -> Option<&'a Arc<Authenticate>> {
    let value = cookies::find(headers, CHOICE_COOKIE)?;
    let name = percent_decode(value).decode_utf8().ok()?;
    authenticate.ways().find(|way| *way.provider.name == *name)
}

#[must_use]
pub fn remember_choice(name: &str) -> String {
    let value = utf8_percent_encode(name, KEPT);
    format!("{CHOICE_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={REMEMBERED}")
}

/// Who signs out may want to sign in another way.
#[must_use]
pub fn forget_choice() -> String {
    format!("{CHOICE_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
/// Ninety days.
const REMEMBERED: u32 = 90 * 24 * 60 * 60;

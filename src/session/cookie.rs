//! A sealed session in numbered cookies (ALB: Authentication logout and session timeout).
//!
//! The first shard begins with the number of shards, so that one left over from a larger session does no harm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;

use crate::message::cookies;

/// One cookie with its name and attributes (RFC 6265 §6.1).
pub const MAX_COOKIE_BYTES: usize = 4096;
/// ALB's limit: 16 KB in all.
pub const MAX_SHARDS: usize = 4;

/// Whether ALB keeps a name for cookies of its own: those of stickiness, and the one that binds a login.
#[must_use]
pub fn is_reserved_cookie(name: &str) -> bool {
    name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("AWSALB"))
}

/// The cookies of one session, `<name>-0` … `<name>-3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCookie {
    name: String,
    shards: [String; MAX_SHARDS],
}

impl SessionCookie {
    /// ALB's.
    pub const DEFAULT_NAME: &str = "AWSELBAuthSessionCookie";

    /// A name that reads the same everywhere, and meets none of the gateway's other cookies.
    #[must_use]
    pub fn may_be_called(name: &str) -> bool {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            && !is_reserved_cookie(name)
    }

    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), shards: std::array::from_fn(|index| format!("{name}-{index}")) }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a cookie of that name is one of ours.
    #[must_use]
    pub fn owns(&self, cookie: &[u8]) -> bool {
        self.shards.iter().any(|shard| shard.as_bytes() == cookie)
    }

    /// The sealed value that a request carries; `None` when there is none or a piece is missing.
    #[must_use]
    pub fn read(&self, headers: &HeaderMap) -> Option<Vec<u8>> {
        let mut found: [Option<&[u8]>; MAX_SHARDS] = [None; MAX_SHARDS];
        for (name, value) in cookies::all(headers) {
            if let Some(index) = self.index(name) {
                found[index].get_or_insert(value);
            }
        }
        let (&count, first) = found[0]?.split_first()?;
        let count = usize::from(count.checked_sub(b'0')?);
        if !(1..=MAX_SHARDS).contains(&count) {
            return None;
        }
        let mut text = first.to_vec();
        for shard in &found[1..count] {
            text.extend_from_slice((*shard)?);
        }
        // By vector instructions, where it is: this is done for every request of everybody.
        let length = base64_simd::URL_SAFE_NO_PAD.decode_inplace(&mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }

    /// Whether a request carries any shard, readable or not.
    #[must_use]
    pub fn is_present(&self, headers: &HeaderMap) -> bool {
        cookies::all(headers).any(|(name, _)| self.owns(name))
    }

    /// `Set-Cookie` values for a sealed session, with those that delete the shards it does not need; `None` when it needs
    /// more than four.
    #[must_use]
    pub fn write(&self, sealed: &[u8]) -> Option<Vec<String>> {
        let text = URL_SAFE_NO_PAD.encode(sealed);
        let room = MAX_COOKIE_BYTES - self.shards[0].len() - 1 - ATTRIBUTES.len() - LIFETIME.len();
        let count = (text.len() + 1).div_ceil(room);
        if count > MAX_SHARDS {
            return None;
        }
        let text = format!("{count}{text}");
        let mut rest = text.as_str();
        let mut set = Vec::with_capacity(MAX_SHARDS);
        for shard in &self.shards[..count] {
            let (piece, tail) = rest.split_at(room.min(rest.len()));
            set.push(format!("{shard}={piece}{ATTRIBUTES}{LIFETIME}"));
            rest = tail;
        }
        set.extend(self.shards[count..].iter().map(|shard| deletion(shard)));
        Some(set)
    }

    /// `Set-Cookie` values that end the session in the browser.
    pub fn delete(&self) -> impl Iterator<Item = String> {
        self.shards.iter().map(|shard| deletion(shard))
    }

    fn index(&self, cookie: &[u8]) -> Option<usize> {
        let digit = cookie.strip_prefix(self.name.as_bytes())?.strip_prefix(b"-")?;
        match digit {
            [digit @ b'0'..=b'3'] => Some(usize::from(digit - b'0')),
            _ => None,
        }
    }
}

fn deletion(name: &str) -> String {
    format!("{name}={ATTRIBUTES}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
}

/// Host-only on purpose: no `Domain`. Lax, because the browser comes back from the provider by a cross-site navigation.
const ATTRIBUTES: &str = "; Path=/; Secure; HttpOnly; SameSite=Lax";
/// Seven days, as ALB's; the session's own end is sealed inside.
const LIFETIME: &str = "; Max-Age=604800";

#[cfg(test)]
mod tests {
    use super::*;

    fn request(set: &[String], keep: impl Fn(usize) -> bool) -> HeaderMap {
        let line: Vec<_> =
            set.iter().enumerate().filter(|(index, _)| keep(*index)).map(|(_, set)| set.split(';').next().unwrap()).collect();
        let mut headers = HeaderMap::new();
        headers.insert("cookie", line.join("; ").parse().unwrap());
        headers
    }

    #[test]
    fn shards_fit_and_join_again() {
        let cookie = SessionCookie::new(SessionCookie::DEFAULT_NAME);
        for size in [1, 100, 2900, 3100, 9000, 12_000] {
            let sealed: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let set = cookie.write(&sealed).unwrap();
            assert!(set.iter().all(|line| line.len() <= MAX_COOKIE_BYTES));
            assert_eq!(set.len(), MAX_SHARDS);
            assert_eq!(cookie.read(&request(&set, |_| true)).unwrap(), sealed, "{size}");
        }
        assert_eq!(cookie.write(&vec![0; 13_000]), None);
    }

    #[test]
    fn a_missing_shard_is_no_session_and_a_stale_one_does_no_harm() {
        let cookie = SessionCookie::new("s");
        let set = cookie.write(&[1; 5000]).unwrap();
        assert_eq!(cookie.read(&request(&set, |index| index != 0)), None);
        assert_eq!(cookie.read(&request(&set, |index| index != 1)), None);
        let mut stale = set.clone();
        stale[2] = "s-2=left-over".to_owned();
        assert_eq!(cookie.read(&request(&stale, |_| true)), Some(vec![1; 5000]));
    }

    #[test]
    fn a_session_has_one_spelling() {
        let cookie = SessionCookie::new("s");
        for size in [1, 2, 3, 40, 41, 42] {
            let sealed = vec![0xa5; size];
            let text = format!("1{}", URL_SAFE_NO_PAD.encode(&sealed));
            let read = |text: &str| cookie.read(&HeaderMap::from_iter([(http::header::COOKIE, format!("s-0={text}").parse().unwrap())]));
            assert_eq!(read(&text).as_ref(), Some(&sealed));
            for at in 1..text.len() {
                for other in ('!'..='~').filter(|other| *other != ';' && !text[at..].starts_with(*other)) {
                    let other = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                    assert_ne!(read(&other).as_ref(), Some(&sealed), "{other}");
                }
            }
            for other in [format!("{text}="), format!("{text}=="), text.replace('p', " p"), text.replace('-', "+")] {
                assert!(other == text || read(&other).is_none(), "{other}");
            }
        }
    }

    #[test]
    fn absurd_counts_are_no_session() {
        for value in ["", "0", "5x", "9", "-1", "99999999", "a", "1*"] {
            let mut headers = HeaderMap::new();
            headers.insert("cookie", format!("s-0={value}").parse().unwrap());
            assert_eq!(SessionCookie::new("s").read(&headers), None, "{value}");
        }
    }
}

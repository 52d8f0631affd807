//! The cookies of one person, sent and renewed as a browser does (RFC 6265).

use cookie_store::CookieStore;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use url::Url;

/// Cookies by host and path.
#[derive(Clone, Debug, Default)]
pub(super) struct Cookies {
    store: CookieStore,
    /// Names of cookies that came without their host and path: one that the gateway sets takes their place, wherever it belongs.
    placeless: Vec<String>,
}

impl Cookies {
    /// The `Cookie` header for a request; `None` where no cookie belongs.
    pub(super) fn header(&self, url: &Url) -> Option<HeaderValue> {
        let mut cookies = self.store.matches(url);
        // Longer paths first (section 5.4), and the same order every time.
        cookies.sort_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.name().to_owned()));
        let line: Vec<String> = cookies.iter().map(|cookie| format!("{}={}", cookie.name(), cookie.value())).collect();
        if line.is_empty() {
            return None;
        }
        let mut value = HeaderValue::from_bytes(line.join("; ").as_bytes()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Takes what an answer sets. Says whether it set anything.
    pub(super) fn keep(&mut self, headers: &HeaderMap, url: &Url) -> bool {
        let mut any = false;
        for value in headers.get_all(SET_COOKIE) {
            let Ok(text) = value.to_str() else { continue };
            let name = text.split('=').next().unwrap_or_default().trim();
            if let Some(at) = self.placeless.iter().position(|known| known == name) {
                self.placeless.swap_remove(at);
                self.store.remove(url.host_str().unwrap_or_default(), "/", name);
            }
            any |= self.store.parse(text, url).is_ok();
        }
        any
    }

    /// A `Cookie` header as a browser shows it. `None` where it has no cookie.
    pub(super) fn from_header(line: &str, url: &Url) -> Option<Self> {
        let line = line.strip_prefix("Cookie:").or_else(|| line.strip_prefix("cookie:")).unwrap_or(line);
        let mut cookies = Self::default();
        for pair in line.split(';').map(str::trim) {
            let (name, _) = pair.split_once('=')?;
            cookies.store.parse(&format!("{pair}; Path=/"), url).ok()?;
            cookies.placeless.push(name.trim().to_owned());
        }
        (!cookies.placeless.is_empty()).then_some(cookies)
    }

    /// A cookie jar of curl and others. The number of the first line that is none, where there is one.
    pub(super) fn from_netscape(text: &str) -> Result<Self, usize> {
        let mut cookies = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            cookies.take_netscape(line).ok_or(number + 1)?;
        }
        Ok(cookies)
    }

    fn take_netscape(&mut self, line: &str) -> Option<()> {
        let fields: Vec<&str> = line.trim_end_matches('\r').splitn(7, '\t').collect();
        let &[domain, subdomains, path, secure, expires, name, value] = fields.as_slice() else { return None };
        expires.parse::<u64>().ok()?;
        let host = domain.trim_start_matches('.');
        let url = Url::parse(&format!("https://{host}/")).ok()?;
        let mut text = format!("{name}={value}; Path={path}");
        if subdomains.eq_ignore_ascii_case("true") {
            text.push_str(&format!("; Domain={host}"));
        }
        if secure.eq_ignore_ascii_case("true") {
            text.push_str("; Secure");
        }
        self.store.parse(&text, &url).ok()?;
        Some(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.store.iter_any().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn set(cookies: &mut Cookies, at: &str, lines: &[&'static str]) {
        let headers = lines.iter().map(|line| (SET_COOKIE, HeaderValue::from_static(line))).collect();
        cookies.keep(&headers, &url(at));
    }

    fn sent(cookies: &Cookies, to: &str) -> String {
        cookies.header(&url(to)).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn cookies_go_where_they_belong_and_nowhere_else() {
        let mut cookies = Cookies::default();
        set(&mut cookies, "https://a.test/app/x", &["b=2; Path=/app; Secure", "a=1; Path=/", "gone=1; Max-Age=0"]);
        set(&mut cookies, "https://op.test/", &["provider=1"]);
        assert_eq!(sent(&cookies, "https://a.test/app/y"), "b=2; a=1");
        assert_eq!(sent(&cookies, "https://a.test/other"), "a=1");
        assert_eq!(sent(&cookies, "http://a.test/app/y"), "a=1");
        assert_eq!(sent(&cookies, "https://x.a.test/app"), "");
        set(&mut cookies, "https://a.test/", &["a=; Max-Age=0"]);
        assert_eq!(sent(&cookies, "https://a.test/"), "");
    }

    #[test]
    fn a_cookie_that_is_renewed_takes_the_place_of_the_one_that_was_pasted() {
        let mut cookies = Cookies::from_header("Cookie: session=old; theme=dark", &url("https://a.test/")).unwrap();
        assert_eq!(sent(&cookies, "https://a.test/x"), "session=old; theme=dark");
        set(&mut cookies, "https://a.test/x", &["session=new; Domain=a.test; Path=/"]);
        assert_eq!(sent(&cookies, "https://a.test/x"), "session=new; theme=dark");
        assert!(Cookies::from_header("no cookie", &url("https://a.test/")).is_none());
    }

    #[test]
    fn a_cookie_jar_of_curl_is_read() {
        let jar = "# Netscape HTTP Cookie File\n\n#HttpOnly_a.test\tFALSE\t/\tTRUE\t0\tsession\tx=y\n.a.test\tTRUE\t/app\tFALSE\t0\ttheme\tdark\n";
        let cookies = Cookies::from_netscape(jar).unwrap();
        assert_eq!(sent(&cookies, "https://a.test/app"), "theme=dark; session=x=y");
        assert_eq!(sent(&cookies, "https://b.a.test/app"), "theme=dark");
        assert_eq!(Cookies::from_netscape("a.test\tFALSE\t/\n").unwrap_err(), 1);
    }
}

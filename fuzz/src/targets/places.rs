//! Where people are sent, where sockets are opened from, whose address it is, and what a rewrite makes of a URL.

use http::header::{ORIGIN, UPGRADE};
use http::{HeaderMap, HeaderValue};
use url::Url;
use vestibule::authentication::{AllowedOrigins, ReturnPlaces};
use vestibule::authorization::EmailPattern;
use vestibule::gateway::{HostNames, Rewrite, Transforms};
use vestibule::message::{Authority, RequestTarget};

use crate::input;

/// Against the `url` crate, in the place of a browser.
pub fn return_places(data: &[u8]) {
    let Ok(wanted) = std::str::from_utf8(data) else { return };
    let listed = "https://www.example.com/bye";
    let places = ReturnPlaces::new(vec![listed.to_owned()]);
    for origin in ["https://app.test", "https://app.test:8443", "https://[::1]:8443"] {
        let Some(place) = places.resolve(wanted, origin) else { continue };
        // It stands in a `Location`, and a browser on any page of ours follows it.
        assert!(HeaderValue::from_str(&place).is_ok_and(|value| input::is_visible(&value)), "{place:?}");
        let followed = Url::parse(&format!("{origin}/oauth2/logout")).unwrap().join(&place).unwrap();
        assert!(followed.origin() == Url::parse(origin).unwrap().origin() || (place == listed && wanted == listed), "{place}");
        assert!(followed.username().is_empty() && followed.password().is_none());
        assert_eq!(places.resolve(&place, origin).as_ref(), Some(&place), "another place the second time");
    }
}

/// An origin that is allowed, and the one that a browser says.
pub fn allowed_origins(data: &[u8]) {
    let [allowed, said] = input::lines(data);
    let (Ok(allowed), Ok(said)) = (std::str::from_utf8(allowed), HeaderValue::from_bytes(said)) else { return };
    let mut origins = AllowedOrigins::default();
    let is_one = allowed != "*" && origins.add(allowed);
    let headers = HeaderMap::from_iter([(ORIGIN, said.clone()), (UPGRADE, HeaderValue::from_static("websocket"))]);
    let mut own = HostNames::default();
    own.add("app.test").unwrap();
    if !origins.permit(&headers, |host| own.serve(host)) {
        return;
    }
    let said = Url::parse(said.to_str().unwrap());
    let Ok(said) = said else { return };
    let is_own = said.scheme() == "https" && said.host_str().is_some_and(|host| host.trim_end_matches('.') == "app.test");
    let same = |allowed: &Url| {
        let host = |url: &Url| url.host_str().map(|host| host.trim_end_matches('.').to_owned());
        (allowed.scheme(), host(allowed), allowed.port_or_known_default()) == (said.scheme(), host(&said), said.port_or_known_default())
    };
    assert!(is_own || (is_one && Url::parse(allowed).is_ok_and(|allowed| same(&allowed))), "{said} is let in");
}

/// A pattern and an address.
pub fn email_pattern(data: &[u8]) {
    let [pattern, address] = input::lines(data);
    let (Ok(text), Ok(address)) = (std::str::from_utf8(pattern), std::str::from_utf8(address)) else { return };
    let Some(pattern) = EmailPattern::parse(text) else { return };
    assert_eq!(EmailPattern::parse(&pattern.to_string()).as_ref(), Some(&pattern));
    if !pattern.matches(address) {
        return;
    }
    assert!(
        address.is_ascii() && address.matches('@').count() == 1 && !address.contains([',', ' ', '"', '(', '<', ';', '\\']),
        "{address:?}"
    );
    let (wanted_local, wanted_domain) = text.rsplit_once('@').unwrap();
    let (local, domain) = address.split_once('@').unwrap();
    let (domain, wanted_domain) = (domain.to_ascii_lowercase(), wanted_domain.to_ascii_lowercase());
    match wanted_domain.strip_prefix("*.") {
        Some(parent) => assert!(domain.ends_with(&format!(".{parent}")), "{address} for {text}"),
        None => assert_eq!(domain, wanted_domain),
    }
    let expression = format!("^{}$", wanted_local.split('*').map(regex::escape).collect::<Vec<_>>().join(".*"));
    assert!(regex::Regex::new(&expression).unwrap().is_match(local), "{address} for {text}");
}

/// Two expressions with what stands in their place, for host and URL, and a request.
pub fn transforms(data: &[u8]) {
    let [host_regex, host_replace, url_regex, url_replace, host, target] = input::lines(data);
    let (Ok(authority), Ok(target)) = (Authority::parse(host), RequestTarget::parse(target)) else { return };
    let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text: &&str| text.len() <= 256);
    let rewrite = |regex, replace| Some(Rewrite::new(text(regex)?, text(replace)?).ok()).flatten();
    let transforms = Transforms { host_header_rewrite: rewrite(host_regex, host_replace), url_rewrite: rewrite(url_regex, url_replace) };
    let Ok(rewritten) = transforms.apply(&authority, &target) else { return };
    // What is sent is in normal form, and the port of a host stays.
    if let Some(rewritten) = rewritten.authority {
        assert_eq!(rewritten.port(), authority.port());
        assert_eq!(Authority::parse(rewritten.as_str().as_bytes()), Ok(rewritten));
    }
    if let Some(rewritten) = rewritten.target {
        assert!(rewritten.as_str().starts_with('/') && rewritten.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(RequestTarget::parse(rewritten.as_str().as_bytes()), Ok(rewritten));
    }
}

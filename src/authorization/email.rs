//! Patterns for e-mail addresses: `bob@example.com`, `*@example.com`, `*@*.example.com`.

use std::fmt;

/// `*` is any run of characters before the @; `*.` at the beginning of the domain is one label or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailPattern {
    /// The parts between the stars.
    local: Vec<String>,
    /// In lower case.
    domain: String,
    sub_domains: bool,
}

impl EmailPattern {
    /// `None`: not a pattern of this form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let domain = domain.to_ascii_lowercase();
        let (sub_domains, domain) = domain.strip_prefix("*.").map_or((false, domain.as_str()), |domain| (true, domain));
        let sound = local.replace('*', "x");
        (is_local_part(&sound) && is_domain(domain)).then(|| Self {
            local: local.split('*').map(str::to_owned).collect(),
            domain: domain.to_owned(),
            sub_domains,
        })
    }

    /// Only what is one plain address is compared at all: a list (`a@evil.test,b@example.com`), a second @, a comment or a quoted part,
    /// a look-alike beyond ASCII and a dot at the end match nothing (CVE-2026-40574, threat T41). The case of the domain does not
    /// count, that of the part before it does (RFC 5321 §2.4).
    #[must_use]
    pub fn matches(&self, address: &str) -> bool {
        let Some((local, domain)) = address.split_once('@') else { return false };
        address.len() <= MAX_BYTES && self.matches_domain(domain) && is_local_part(local) && self.matches_local(local)
    }

    fn matches_domain(&self, domain: &str) -> bool {
        if !self.sub_domains {
            return domain.eq_ignore_ascii_case(&self.domain);
        }
        let domain = domain.to_ascii_lowercase();
        is_domain(&domain) && domain.strip_suffix(&self.domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }

    fn matches_local(&self, local: &str) -> bool {
        let [first, middle @ .., last] = self.local.as_slice() else {
            return self.local.first().is_some_and(|only| only == local);
        };
        let Some(rest) = local.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        for part in middle {
            let Some(at) = rest.find(part.as_str()) else { return false };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

/// RFC 5322's dot-atom.
fn is_local_part(text: &str) -> bool {
    let atom = |byte: u8| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~');
    !text.is_empty() && text.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
}

/// Labels of letters, digits and hyphens.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.contains('.') && text.split('.').all(label)
}

impl fmt::Display for EmailPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sub_domains = if self.sub_domains { "*." } else { "" };
        write!(formatter, "{}@{sub_domains}{}", self.local.join("*"), self.domain)
    }
}

/// RFC 5321 §4.5.3.1.
const MAX_BYTES: usize = 254;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, address: &str) -> bool {
        EmailPattern::parse(pattern).unwrap_or_else(|| panic!("{pattern}")).matches(address)
    }

    #[test]
    fn addresses_match_as_written() {
        for (pattern, address) in [
            ("bob@example.com", "bob@example.com"),
            ("bob@Example.COM", "bob@eXample.com"),
            ("*@example.com", "a.b+c@example.com"),
            ("sales-*@example.com", "sales-@example.com"),
            ("a*b*c@example.com", "aXbYc@example.com"),
            ("*@*.example.com", "a@b.c.example.com"),
        ] {
            assert!(matches(pattern, address), "{pattern} {address}");
        }
        for (pattern, address) in [
            ("bob@example.com", "Bob@example.com"),
            ("*@example.com", "a@sub.example.com"),
            ("*@example.com", "a@evilexample.com"),
            ("*@example.com", "a@example.com.evil.test"),
            ("*@*.example.com", "a@example.com"),
            ("*@*.example.com", "a@.example.com"),
            ("*@*.example.com", "a@evil-example.com"),
            ("ab*bc@example.com", "abc@example.com"),
        ] {
            assert!(!matches(pattern, address), "{pattern} {address}");
        }
        for pattern in [
            "",
            "example.com",
            "@example.com",
            "*",
            "a@",
            "*@*",
            "*@*.*",
            "a@b@example.com",
            "*@ex*mple.com",
            "*@example",
            "a b@example.com",
            "*@example.com.",
        ] {
            assert!(EmailPattern::parse(pattern).is_none(), "{pattern}");
        }
    }

    /// CVE-2026-40574, T41: what a laxer reading would take for an address of the domain.
    #[test]
    fn laundered_addresses_match_nothing() {
        for address in [
            "attacker@evil.test@example.com",
            "a@evil.test,b@example.com",
            "a@evil.test b@example.com",
            "a@example.com\n",
            " a@example.com",
            "a@example.com.",
            "\"a@evil.test\"@example.com",
            "a(comment)@example.com",
            "<a@example.com>",
            "a@ex\u{430}mple.com",
            "a@example\u{3002}com",
            "a@\u{ff45}xample.com",
            "\u{e4}@example.com",
            "a@EXAMPLE\u{2024}com",
            "@example.com",
            "a..b@example.com",
            "a\0@example.com",
            "",
            "a@",
            "a@xn--example.com@example.com",
        ] {
            assert!(!matches("*@example.com", address), "{address:?}");
        }
    }

    proptest! {
        #[test]
        fn what_matches_a_domain_is_one_address_of_exactly_that_domain(address in "[ -~\u{e4}\u{430}]{0,12}@?[a-zA-Z.@,;<> -]{0,12}(@|\\.)?(example\\.com|Example\\.Com|example\\.com\\.)?") {
            if matches("*@example.com", &address) {
                let (local, domain) = address.rsplit_once('@').unwrap();
                prop_assert!(domain.eq_ignore_ascii_case("example.com"));
                prop_assert!(!local.is_empty() && !local.contains(['@', ',', ' ', '<', '"', ';']) && address.is_ascii());
            }
        }

        #[test]
        fn every_plain_address_matches_itself_and_its_domain(local in "[a-z0-9]{1,8}(\\.[a-z0-9+_-]{1,8}){0,2}", domain in "[a-z0-9]{1,8}(\\.[a-z0-9]{1,8}){1,3}") {
            let address = format!("{local}@{domain}");
            prop_assert!(matches(&address, &address));
            let everybody = format!("*@{domain}");
            prop_assert!(matches(&everybody, &address));
            let sub_domain = format!("*@*.{domain}");
            let below = format!("{local}@x.{domain}");
            prop_assert!(!matches(&sub_domain, &address) && matches(&sub_domain, &below));
            prop_assert!(!matches(&everybody, &below));
        }

        #[test]
        fn nothing_panics(pattern in any::<String>(), address in any::<String>()) {
            if let Some(pattern) = EmailPattern::parse(&pattern) {
                let _ = pattern.matches(&address);
            }
        }
    }
}

//! ALB's patterns: `*` is any run of characters, `?` exactly one; everything else is itself.

/// Whether letters of the two cases are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Sensitive,
    /// ASCII only; the text must be in lower case already.
    LowerCased,
}

/// A pattern, ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard(Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WildcardError {
    #[error("a pattern must not be empty")]
    Empty,
    #[error("a pattern has at most 128 characters")]
    TooLong,
    #[error("a pattern is made of visible ASCII characters")]
    Character,
}

impl Wildcard {
    pub fn new(pattern: &str, case: Case) -> Result<Self, WildcardError> {
        match pattern.len() {
            0 => return Err(WildcardError::Empty),
            129.. => return Err(WildcardError::TooLong),
            _ => {}
        }
        if !pattern.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WildcardError::Character);
        }
        let mut bytes = pattern.as_bytes().to_vec();
        if case == Case::LowerCased {
            bytes.make_ascii_lowercase();
        }
        bytes.dedup_by(|next, previous| *next == b'*' && *previous == b'*');
        Ok(Self(bytes))
    }

    /// Whether every text that `other` matches is matched here too. Says no where it cannot tell.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.0 == other.0 {
            return true;
        }
        match self.0.split_last() {
            Some((b'*', prefix)) if !prefix.contains(&b'*') && !prefix.contains(&b'?') => other.0.starts_with(prefix),
            _ => false,
        }
    }

    /// Linear in practice and never worse than pattern × text: only the last `*` is ever tried again.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_slice(), text.as_bytes());
        let (mut at, mut reached) = (0, 0);
        let mut retry = None;
        while reached < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    retry = Some((at, reached));
                    at += 1;
                }
                Some(byte) if *byte == b'?' || *byte == text[reached] => {
                    at += 1;
                    reached += 1;
                }
                _ => match retry {
                    Some((star, from)) => {
                        retry = Some((star, from + 1));
                        at = star + 1;
                        reached = from + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Slow and obviously right.
    fn plainly(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|skip| plainly(rest, &text[skip..])),
            [b'?', rest @ ..] => !text.is_empty() && plainly(rest, &text[1..]),
            [byte, rest @ ..] => text.first() == Some(byte) && plainly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn matches_as_the_plain_definition_does(pattern in "[ab*?/]{1,10}", text in "[ab/]{0,14}") {
            let wildcard = Wildcard::new(&pattern, Case::Sensitive).unwrap();
            prop_assert_eq!(wildcard.matches(&text), plainly(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn a_wildcard_host_does_not_match_its_apex_or_a_longer_name() {
        let host = Wildcard::new("*.App.test", Case::LowerCased).unwrap();
        assert!(host.matches("a.app.test") && host.matches("a.b.app.test"));
        assert!(!host.matches("app.test") && !host.matches("evilapp.test"));
    }
}

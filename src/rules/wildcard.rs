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
pub struct Wildcard {
    tokens: Vec<Token>,
    source: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`
    One,
    /// `*`
    Run,
}

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
        Self::build(pattern, case, false)
    }

    /// The same where `\*`, `\?` and `\\` stand for the characters themselves (ALB: query string and header conditions).
    pub fn with_escapes(pattern: &str, case: Case) -> Result<Self, WildcardError> {
        Self::build(pattern, case, true)
    }

    fn build(pattern: &str, case: Case, escapes: bool) -> Result<Self, WildcardError> {
        match pattern.len() {
            0 => return Err(WildcardError::Empty),
            129.. => return Err(WildcardError::TooLong),
            _ => {}
        }
        if !pattern.bytes().all(|byte| byte.is_ascii_graphic() || (escapes && byte == b' ')) {
            return Err(WildcardError::Character);
        }
        let source = match case {
            Case::Sensitive => pattern.to_owned(),
            Case::LowerCased => pattern.to_ascii_lowercase(),
        };
        let mut tokens: Vec<Token> = Vec::with_capacity(source.len());
        let mut bytes = source.bytes();
        while let Some(byte) = bytes.next() {
            tokens.push(match byte {
                b'\\' if escapes => Token::Byte(bytes.next().unwrap_or(b'\\')),
                b'*' => Token::Run,
                b'?' => Token::One,
                byte => Token::Byte(byte),
            });
        }
        tokens.dedup_by(|next, previous| *next == Token::Run && *previous == Token::Run);
        Ok(Self { tokens, source })
    }

    /// The text that alone matches; `None` when others do too.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        self.tokens.iter().all(|token| matches!(token, Token::Byte(_))).then_some(self.source.as_str())
    }

    /// As it was written, in lower case where case does not count.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether every text that `other` matches is matched here too. Says no where it cannot tell.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.tokens == other.tokens {
            return true;
        }
        match self.tokens.split_last() {
            Some((Token::Run, prefix)) if prefix.iter().all(|token| matches!(token, Token::Byte(_))) => other.tokens.starts_with(prefix),
            _ => false,
        }
    }

    /// Linear in practice and never worse than pattern × text: only the last `*` is ever tried again.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.tokens.as_slice(), text.as_bytes());
        let (mut at, mut reached) = (0, 0);
        let mut retry = None;
        while reached < text.len() {
            match pattern.get(at) {
                Some(Token::Run) => {
                    retry = Some((at, reached));
                    at += 1;
                }
                Some(token) if *token == Token::One || *token == Token::Byte(text[reached]) => {
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
        pattern[at..].iter().all(|token| *token == Token::Run)
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
    fn an_escaped_wildcard_is_itself() {
        let pattern = Wildcard::with_escapes(r"1.\*?\\", Case::Sensitive).unwrap();
        assert!(pattern.matches(r"1.*x\") && !pattern.matches(r"1.yx\"));
        assert!(Wildcard::new(r"\*", Case::Sensitive).unwrap().matches(r"\anything"));
    }

    #[test]
    fn a_wildcard_host_does_not_match_its_apex_or_a_longer_name() {
        let host = Wildcard::new("*.App.test", Case::LowerCased).unwrap();
        assert!(host.matches("a.app.test") && host.matches("a.b.app.test"));
        assert!(!host.matches("app.test") && !host.matches("evilapp.test"));
    }
}

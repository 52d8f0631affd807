//! Transforms of a rule: the target may receive another host or another URL than the one that was asked for (ALB: Transforms
//! for listener rules). They come after the rule has been chosen and change nothing about that.

use regex::Regex;

use crate::message::{Authority, Malformed, RequestTarget};
use crate::rules::{ExpressionError, expression};

/// What a rule rewrites. The default rule of an ALB cannot have any.
#[derive(Debug, Default)]
pub struct Transforms {
    /// Over the host, without its port; the port stays.
    pub host_header_rewrite: Option<Rewrite>,
    /// Over path and query.
    pub url_rewrite: Option<Rewrite>,
}

/// What the target receives instead; `None`: what was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    pub authority: Option<Authority>,
    pub target: Option<RequestTarget>,
}

/// The expression matched, and what came out is not fit to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    #[error("the rewritten host is none: {0}")]
    Host(Malformed),
    #[error("the rewritten URL is none: {0}")]
    Url(Malformed),
}

impl TransformError {
    /// As ALB's log says it.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Host(_) => "TransformInvalidHost",
            Self::Url(_) => "TransformInvalidPath",
        }
    }
}

impl Rewritten {
    /// As ALB's log says it; `None` where nothing was rewritten.
    #[must_use]
    pub fn status(&self) -> Option<&'static str> {
        (self.authority.is_some() || self.target.is_some()).then_some("TransformSuccess")
    }
}

impl Transforms {
    /// The result goes through the same reader as a request: a replacement cannot make a dot segment out of a harmless path
    /// (threat P16).
    pub fn apply(&self, authority: &Authority, target: &RequestTarget) -> Result<Rewritten, TransformError> {
        let host = self.host_header_rewrite.as_ref().and_then(|rewrite| rewrite.apply(authority.host()));
        let url = self.url_rewrite.as_ref().and_then(|rewrite| rewrite.apply(target.as_str()));
        let with_port = |host: String| match authority.port() {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        let authority = host.map(|host| Authority::parse(with_port(host).as_bytes())).transpose().map_err(TransformError::Host)?;
        let target = url.map(|url| RequestTarget::parse(url.as_bytes())).transpose().map_err(TransformError::Url)?;
        Ok(Rewritten { authority, target })
    }
}

/// A regular expression, and what stands in place of its first match.
#[derive(Debug)]
pub struct Rewrite {
    regex: Regex,
    replace: String,
}

/// Why a rewrite cannot be.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    #[error(transparent)]
    Regex(#[from] ExpressionError),
    #[error("${0} stands for a group that the expression does not have")]
    Group(usize),
}

impl Rewrite {
    /// `replace` names groups by `$1` to `$9`, all of the match by `$0`; any other dollar sign is one.
    pub fn new(regex: &str, replace: &str) -> Result<Self, RewriteError> {
        let regex = expression(regex, false)?;
        let replace = template(replace, regex.captures_len())?;
        Ok(Self { regex, replace })
    }

    /// `None` when nothing matches.
    fn apply(&self, text: &str) -> Option<String> {
        self.regex.is_match(text).then(|| self.regex.replace(text, self.replace.as_str()).into_owned())
    }
}

/// In the words of the library, for which `$1x` would be a group named `1x`.
fn template(replace: &str, groups: usize) -> Result<String, RewriteError> {
    let mut template = String::with_capacity(replace.len() + 8);
    let mut rest = replace.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, rest.peek().and_then(|next| next.to_digit(10))) {
            ('$', Some(digit)) => {
                rest.next();
                let group = digit as usize;
                if group >= groups {
                    return Err(RewriteError::Group(group));
                }
                template.push_str(&format!("${{{group}}}"));
            }
            ('$', None) => template.push_str("$$"),
            (other, _) => template.push(other),
        }
    }
    Ok(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(regex: &str, replace: &str, target: &str) -> Result<String, TransformError> {
        let transforms = Transforms { url_rewrite: Some(Rewrite::new(regex, replace).unwrap()), ..Transforms::default() };
        let target = RequestTarget::parse(target.as_bytes()).unwrap();
        let rewritten = transforms.apply(&Authority::parse(b"app.test").unwrap(), &target)?;
        Ok(rewritten.target.unwrap_or(target).as_str().to_owned())
    }

    #[test]
    fn url_is_rewritten_at_the_first_match() {
        for (regex, replace, target, expected) in [
            ("^/api/(.*)$", "/$1", "/api/v1/people?x=1", "/v1/people?x=1"),
            ("^/api/(.*)$", "/$1", "/other", "/other"),
            ("a", "b", "/aaa", "/baa"),
            ("^/([a-z]+)/([0-9]+)$", "/$2x$1?all=$0", "/dp/12", "/12xdp?all=/dp/12"),
            ("^/price$", "/$/$a/${1}", "/price", "/$/$a/${1}"),
            ("[?].*$", "", "/page?utm_source=x", "/page"),
        ] {
            assert_eq!(url(regex, replace, target).as_deref(), Ok(expected), "{regex} {replace} {target}");
        }
    }

    #[test]
    fn p16_what_a_rewrite_makes_is_read_like_a_request() {
        assert_eq!(url("^/api(.*)$", "/$1", "/api../admin"), Err(TransformError::Url(Malformed::DotSegment)));
        assert_eq!(url("^/api/(.*)$", "$1", "/api/x"), Err(TransformError::Url(Malformed::TargetForm)));
        assert_eq!(url("^/(.*)$", "/$1\r\nX: y", "/x"), Err(TransformError::Url(Malformed::Path)));
    }

    #[test]
    fn host_keeps_its_port() {
        let rewrite = |replace| {
            let rewrite = Rewrite::new("^mywebsite-(.+)\\.com$", replace).unwrap();
            let transforms = Transforms { host_header_rewrite: Some(rewrite), ..Transforms::default() };
            let authority = Authority::parse(b"mywebsite-example.com:8443").unwrap();
            let rewritten = transforms.apply(&authority, &RequestTarget::parse(b"/").unwrap())?;
            Ok(rewritten.authority.map(|authority| authority.as_str().to_owned()))
        };
        assert_eq!(rewrite("internal.dev.$1.myweb.com"), Ok(Some("internal.dev.example.myweb.com:8443".to_owned())));
        assert_eq!(rewrite("a b"), Err(TransformError::Host(Malformed::Authority)));
    }

    #[test]
    fn group_that_is_not_there_is_refused() {
        assert!(matches!(Rewrite::new("^/(a)$", "/$2"), Err(RewriteError::Group(2))));
        assert!(matches!(Rewrite::new("^/(a", "/"), Err(RewriteError::Regex(_))));
    }
}

//! Regular expressions of an operator, wherever they stand. Linear in the length of the text whatever the expression (threat P19):
//! this engine has neither back-references nor look-around.

use regex::{Regex, RegexBuilder};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a regular expression: {0}")]
pub struct ExpressionError(String);

/// Compiles one; what would take more than a mebibyte is refused.
pub fn expression(text: &str, ignore_case: bool) -> Result<Regex, ExpressionError> {
    RegexBuilder::new(text).case_insensitive(ignore_case).size_limit(1 << 20).build().map_err(|error| {
        // The lines before the last show the expression again.
        let words = error.to_string();
        ExpressionError(words.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
    })
}

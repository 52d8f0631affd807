//! Why an expression came to no answer. Never holds a value of a claim or of the request: it goes into logs.

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the claim {0} is missing")]
    MissingClaim(Box<str>),
    /// Entra ID names groups elsewhere when there are more than 200: that is not "no groups".
    #[error("the provider did not send the claim {0} but says that there is one (too many groups for a token)")]
    IncompleteClaim(Box<str>),
    #[error("nobody is signed in, and the policy asks for {0}")]
    NobodySignedIn(Box<str>),
    #[error("there is no {0}")]
    MissingKey(Box<str>),
    #[error("a list has no such position")]
    Index,
    #[error("a value is of another kind than the policy expects")]
    Kind,
    #[error("a number is too large")]
    Overflow,
    #[error("a division by zero")]
    Division,
    #[error("a text cannot be read as what it should be")]
    Conversion,
    #[error("a header or a parameter of the query is given twice")]
    Twice,
    #[error("a header or a parameter of the query is not text")]
    Unreadable,
    #[error("a map has a key twice")]
    DoubledKey,
    #[error("the policy took too many steps")]
    Steps,
    #[error("the policy panicked")]
    Panic,
}

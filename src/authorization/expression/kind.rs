//! What is known of a value before any request: enough to find most slips when the configuration is read.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Known only at run time: what a claim holds.
    Any,
    Null,
    Bool,
    Int,
    Double,
    Text,
    List(Box<Kind>),
    Map(Box<Kind>),
    /// Headers and parameters: asked by name, neither counted nor walked through.
    Named,
    Timestamp,
    Duration,
}

impl Kind {
    pub(super) fn list(of: Kind) -> Self {
        Self::List(Box::new(of))
    }

    /// Whether a value of this kind may be one of `other`.
    pub(super) fn fits(&self, other: &Kind) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(one), Self::List(two)) | (Self::Map(one), Self::Map(two)) => one.fits(two),
            (one, two) => one == two,
        }
    }

    /// Whether the two can be equal: whole numbers and others can.
    pub(super) fn compares_with(&self, other: &Kind) -> bool {
        self.fits(other) || (self.is_number() && other.is_number())
    }

    pub(super) fn is_ordered(&self) -> bool {
        matches!(self, Self::Any | Self::Bool | Self::Int | Self::Double | Self::Text | Self::Timestamp | Self::Duration)
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    /// What two branches have in common.
    pub(super) fn join(self, other: &Kind) -> Kind {
        if self == *other { self } else { Self::Any }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Any => "anything",
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Double => "a number",
            Self::Text => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Named => "a set of headers or parameters",
            Self::Timestamp => "a timestamp",
            Self::Duration => "a duration",
        })
    }
}

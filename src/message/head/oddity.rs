//! The words of AWS's http-desync-guardian for what is odd about a request, as an ALB's log has them.

/// How dangerous it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Not as the specification has it, and read in one way by everybody.
    Acceptable,
    /// Read in two ways by programs that mean well.
    Ambiguous,
    /// Made to be read in two ways.
    Severe,
}

impl Tier {
    /// ALB's `classification`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acceptable => "Acceptable",
            Self::Ambiguous => "Ambiguous",
            Self::Severe => "Severe",
        }
    }
}

/// ALB's `classification_reason`; the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    SpaceInUri,
    NonCompliantVersion,
    NonCompliantHeader,
    GetHeadZeroContentLength,
    AmbiguousUri,
    EmptyHeader,
    UndefinedContentLengthSemantics,
    UndefinedTransferEncodingSemantics,
    DuplicateContentLength,
    BothTeClPresent,
    SuspiciousHeader,
    BadVersion,
    BadMethod,
    BadUri,
    BadHeader,
    BadContentLength,
    MultipleContentLength,
    BadTransferEncoding,
    MultipleTransferEncodingChunked,
}

impl Oddity {
    #[must_use]
    pub const fn tier(self) -> Tier {
        match self {
            Self::SpaceInUri | Self::NonCompliantVersion | Self::NonCompliantHeader | Self::GetHeadZeroContentLength => Tier::Acceptable,
            Self::AmbiguousUri
            | Self::EmptyHeader
            | Self::UndefinedContentLengthSemantics
            | Self::UndefinedTransferEncodingSemantics
            | Self::DuplicateContentLength
            | Self::BothTeClPresent
            | Self::SuspiciousHeader => Tier::Ambiguous,
            Self::BadVersion
            | Self::BadMethod
            | Self::BadUri
            | Self::BadHeader
            | Self::BadContentLength
            | Self::MultipleContentLength
            | Self::BadTransferEncoding
            | Self::MultipleTransferEncodingChunked => Tier::Severe,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SpaceInUri => "SpaceInUri",
            Self::NonCompliantVersion => "NonCompliantVersion",
            Self::NonCompliantHeader => "NonCompliantHeader",
            Self::GetHeadZeroContentLength => "GetHeadZeroContentLength",
            Self::AmbiguousUri => "AmbiguousUri",
            Self::EmptyHeader => "EmptyHeader",
            Self::UndefinedContentLengthSemantics => "UndefinedContentLengthSemantics",
            Self::UndefinedTransferEncodingSemantics => "UndefinedTransferEncodingSemantics",
            Self::DuplicateContentLength => "DuplicateContentLength",
            Self::BothTeClPresent => "BothTeClPresent",
            Self::SuspiciousHeader => "SuspiciousHeader",
            Self::BadVersion => "BadVersion",
            Self::BadMethod => "BadMethod",
            Self::BadUri => "BadUri",
            Self::BadHeader => "BadHeader",
            Self::BadContentLength => "BadContentLength",
            Self::MultipleContentLength => "MultipleContentLength",
            Self::BadTransferEncoding => "BadTransferEncoding",
            Self::MultipleTransferEncodingChunked => "MultipleTransferEncodingChunked",
        }
    }
}

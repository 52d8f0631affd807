//! An expression after compilation: names resolved, patterns compiled, kinds checked.

use ipnet::IpNet;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use super::functions::{Function, Part};

#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    /// Index into the names of claims.
    Claim(usize),
    HasClaim(usize),
    Request(Field),
    IdentityProvider,
    Now,
    /// A name that a macro has bound.
    Local(usize),
    Select(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    Index(Box<(Node, Node)>),
    Not(Box<Node>),
    And(Box<(Node, Node)>),
    Or(Box<(Node, Node)>),
    Conditional(Box<(Node, Node, Node)>),
    Equals(Box<(Node, Node)>),
    Order(Box<(Node, Node)>, Order),
    In(Box<(Node, Node)>),
    Arithmetic(Box<(Node, Node)>, Operator),
    Negate(Box<Node>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Walk(Box<Walk>),
    Call(Function, Vec<Node>),
    Part(Box<Node>, Part, TimeZone),
    Matches(Box<Node>, Regex),
    InNetwork(Box<Node>, IpNet),
}

impl Node {
    pub(super) fn is_literal(&self) -> bool {
        matches!(self, Self::Null | Self::Bool(_) | Self::Int(_) | Self::Double(_) | Self::Text(_))
    }

    pub(super) fn is_local(&self, wanted: usize) -> bool {
        matches!(self, Self::Local(index) if *index == wanted)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Method,
    Host,
    Path,
    Query,
    Headers,
    SourceIp,
}

pub(super) const FIELDS: [(&str, Field); 6] = [
    ("method", Field::Method),
    ("host", Field::Host),
    ("path", Field::Path),
    ("query", Field::Query),
    ("headers", Field::Headers),
    ("source_ip", Field::SourceIp),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A macro over the items of a list or the keys of a map.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) how: How,
    pub(super) range: Node,
    pub(super) test: Node,
    /// Of `map`: what each item becomes.
    pub(super) becomes: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Exists,
    All,
    ExistsOne,
    Filter,
    Map,
}

pub(super) const MACROS: [(&str, How); 6] = [
    ("exists", How::Exists),
    ("all", How::All),
    ("exists_one", How::ExistsOne),
    ("existsOne", How::ExistsOne),
    ("filter", How::Filter),
    ("map", How::Map),
];

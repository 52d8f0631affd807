//! Macros and functions. Patterns, networks and time zones are read here, once: the library would compile a pattern for every request, and
//! one from a claim could be made to cost much.

use cel::common::ast::{Expr, IdedExpr};
use jiff::tz::TimeZone;

use super::super::functions::{self, Function, OTHERS, PARTS, SIGNATURES};
use super::super::kind::Kind;
use super::super::node::{How, MACROS, Node, Walk};
use super::{Compiled, Compiler, nearest, text};

impl Compiler<'_> {
    pub(super) fn walk(&mut self, at: &IdedExpr, name: &str, of: &IdedExpr, variable: &IdedExpr, rest: &[IdedExpr]) -> Compiled {
        let how = MACROS.iter().find(|(known, _)| *known == name).map(|(_, how)| *how)?;
        let (test, becomes) = match (how, rest) {
            (How::Map, [becomes]) => (None, Some(becomes)),
            (How::Map, [test, becomes]) => (Some(test), Some(becomes)),
            (How::Map, _) => return self.fault(at, "map takes a name, perhaps a test, and what becomes of an item", None),
            (_, [test]) => (Some(test), None),
            (_, _) => return self.fault(at, format!("{name} takes a name and a test: groups.{name}(g, g == \"staff\")"), None),
        };
        let Expr::Ident(bound) = &variable.expr else { return self.fault(variable, "a name is expected here, such as g", None) };
        if ["claims", "request", "identity_provider", "now"].contains(&bound.as_str()) {
            return self.fault(variable, format!("{bound} has a meaning of its own"), Some("take another name"));
        }
        let (range, kind) = self.node(of)?;
        let item = match kind {
            Kind::List(of) => *of,
            Kind::Any | Kind::Map(_) => Kind::Any,
            other => return self.fault(of, format!("{name} walks through a list, and this is {other}"), None),
        };
        self.locals.push((bound.clone(), item.clone()));
        let test = match test {
            Some(test) => self.of_kind(test, &Kind::Bool, name),
            None => Some((Node::Bool(true), Kind::Bool)),
        };
        let becomes = becomes.map(|becomes| self.node(becomes));
        self.locals.pop();
        let (test, _) = test?;
        let (becomes, gives) = match (how, becomes) {
            (How::Map, Some(becomes)) => {
                let (node, kind) = becomes?;
                (Some(node), Kind::list(kind))
            }
            (How::Filter, _) => (None, Kind::list(item)),
            _ => (None, Kind::Bool),
        };
        let own = self.locals.len();
        match test {
            // The usual way to ask for a group means what `in` means, and that takes no step of its own for each item.
            Node::Equals(pair) if how == How::Exists && pair.0.is_local(own) && pair.1.is_literal() => {
                Some((Node::In(Box::new((pair.1, range))), gives))
            }
            test => Some((Node::Walk(Box::new(Walk { how, range, test, becomes })), gives)),
        }
    }

    pub(super) fn matches(&mut self, subject: &IdedExpr, pattern: &IdedExpr) -> Compiled {
        let subject = self.of_kind(subject, &Kind::Text, "matches");
        let Some(written) = text(pattern) else { return self.fault(pattern, "the pattern of matches is written out as a text", None) };
        match regex::RegexBuilder::new(written).size_limit(MAX_PATTERN_BYTES).build() {
            Ok(expression) => Some((Node::Matches(Box::new(subject?.0), expression), Kind::Bool)),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.fault(pattern, format!("not a regular expression: {why}"), None)
            }
        }
    }

    pub(super) fn in_network(&mut self, address: &IdedExpr, network: &IdedExpr) -> Compiled {
        let address = self.of_kind(address, &Kind::Text, "inNetwork");
        let written = text(network)
            .and_then(|text| text.parse::<ipnet::IpNet>().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(Into::into)));
        match written {
            Some(network) => Some((Node::InNetwork(Box::new(address?.0), network.trunc()), Kind::Bool)),
            None => self.fault(network, "not a network", Some("write 10.0.0.0/8 or 2001:db8::/32")),
        }
    }

    pub(super) fn part(&mut self, of: &IdedExpr, name: &str, zone: Option<&IdedExpr>) -> Compiled {
        let part = PARTS.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)?;
        let (node, kind) = self.node(of)?;
        if !kind.fits(&Kind::Timestamp) && !kind.fits(&Kind::Duration) {
            return self.fault(of, format!("{name} takes a timestamp, and this is {kind}"), None);
        }
        let found = match zone {
            None => Some(TimeZone::UTC),
            Some(zone) => text(zone).and_then(time_zone),
        };
        match (found, zone) {
            (Some(zone), _) => Some((Node::Part(Box::new(node), part, zone), Kind::Int)),
            (None, zone) => self.fault(zone.unwrap_or(of), "not a time zone", Some("write \"Europe/Berlin\" or \"+02:00\"")),
        }
    }

    pub(super) fn size(&mut self, of: &IdedExpr) -> Compiled {
        let (node, kind) = self.node(of)?;
        match kind {
            Kind::Any | Kind::Text | Kind::List(_) | Kind::Map(_) => Some((Node::Call(Function::Size, vec![node]), Kind::Int)),
            other => self.fault(of, format!("{other} has no size"), None),
        }
    }

    pub(super) fn function(&mut self, at: &IdedExpr, target: Option<&IdedExpr>, name: &str, values: &[IdedExpr]) -> Compiled {
        let Some(signature) = SIGNATURES.iter().find(|known| known.name == name) else {
            let known: Vec<&str> = SIGNATURES
                .iter()
                .map(|known| known.name)
                .chain(PARTS.iter().map(|(name, _)| *name))
                .chain(OTHERS.iter().copied())
                .collect();
            return self.fault(at, format!("no function is called {name:?}"), nearest(name, &known).as_deref());
        };
        let given: Vec<&IdedExpr> = target.into_iter().chain(values).collect();
        if signature.member != target.is_some() || signature.takes.len() != given.len() {
            let example = if signature.member { format!("text.{name}(…)") } else { format!("{name}(…)") };
            return self.fault(at, format!("{name} is not called like this"), Some(&format!("write {example}")));
        }
        let mut nodes = Vec::new();
        for (value, takes) in given.into_iter().zip(signature.takes) {
            let (node, kind) = self.node(value)?;
            if !takes.iter().any(|wanted| kind.fits(wanted)) {
                return self.fault(value, format!("{name} does not take {kind}"), None);
            }
            nodes.push(node);
        }
        let gives = if signature.function == Function::Split { Kind::list(Kind::Text) } else { signature.gives.clone() };
        self.folded(at, signature.function, nodes).map(|node| (node, gives))
    }

    /// `timestamp("2026-01-01T00:00:00Z")` and `duration("12h")` are read now, and their slips are found now.
    fn folded(&mut self, at: &IdedExpr, function: Function, nodes: Vec<Node>) -> Option<Node> {
        match (function, nodes.as_slice()) {
            (Function::ToTimestamp, [Node::Text(text)]) => match text.parse() {
                Ok(at) => Some(Node::Timestamp(at)),
                Err(_) => self.fault(at, format!("{text:?} is not a timestamp"), Some("write 2026-01-31T12:00:00Z")),
            },
            (Function::ToDuration, [Node::Text(text)]) => match functions::duration(text) {
                Some(length) => Some(Node::Duration(length)),
                None => self.fault(at, format!("{text:?} is not a duration"), Some("write 12h, 1h30m or 90s")),
            },
            _ => Some(Node::Call(function, nodes)),
        }
    }
}

fn time_zone(name: &str) -> Option<TimeZone> {
    if let Some((hours, minutes)) = name.trim_start_matches(['+', '-']).split_once(':') {
        let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
        let seconds = (hours * 60 + minutes) * 60;
        let offset = jiff::tz::Offset::from_seconds(if name.starts_with('-') { -seconds } else { seconds }).ok()?;
        return (hours < 24 && minutes < 60).then(|| TimeZone::fixed(offset));
    }
    TimeZone::get(name).ok()
}

/// Of a compiled pattern.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

//! From the parser's tree to nodes: every name is resolved, every kind that can be known is checked, and what could cost much at run
//! time (patterns, time zones, depth) is settled while the configuration is read.

mod calls;

use super::functions::PARTS;
use super::kind::Kind;
use super::node::{FIELDS, Field, MACROS, Node, Operator, Order};
use super::{ExpressionFault, Named};
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

pub(super) struct Compiler<'s> {
    info: &'s SourceInfo,
    pub(super) faults: Vec<ExpressionFault>,
    pub(super) claims: Vec<Box<str>>,
    pub(super) headers: Vec<Named>,
    pub(super) reads_path: bool,
    locals: Vec<(String, Kind)>,
    depth: usize,
}

/// A node and what is known of its value. `None`: a fault has been reported.
type Compiled = Option<(Node, Kind)>;

impl<'s> Compiler<'s> {
    pub(super) fn new(info: &'s SourceInfo) -> Self {
        Self { info, faults: Vec::new(), claims: Vec::new(), headers: Vec::new(), reads_path: false, locals: Vec::new(), depth: 0 }
    }

    /// The whole expression, which has to be true or false.
    pub(super) fn root(&mut self, expression: &IdedExpr) -> Option<Node> {
        self.of_kind(expression, &Kind::Bool, "a policy").map(|(node, _)| node)
    }

    fn node(&mut self, expression: &IdedExpr) -> Compiled {
        if self.depth >= MAX_DEPTH {
            return self.fault(expression, format!("the expression is nested deeper than {MAX_DEPTH} levels"), None);
        }
        self.depth += 1;
        let compiled = self.expression(expression);
        self.depth -= 1;
        compiled
    }

    fn expression(&mut self, at: &IdedExpr) -> Compiled {
        match &at.expr {
            Expr::Literal(literal) => self.literal(at, literal),
            Expr::Ident(name) => self.name(at, name),
            Expr::Select(select) => self.select(at, &select.operand, &select.field),
            Expr::Call(call) => self.call(at, call),
            Expr::List(list) => {
                let items: Vec<Compiled> = list.elements.iter().map(|item| self.node(item)).collect();
                let (nodes, kinds): (Vec<_>, Vec<_>) = items.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
                let of = kinds.into_iter().reduce(|one, two| one.join(&two)).unwrap_or(Kind::Any);
                Some((Node::List(nodes), Kind::list(of)))
            }
            Expr::Map(map) => {
                let mut entries = Vec::new();
                let mut of: Option<Kind> = None;
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return self.fault(at, "a map is written {\"key\": value}", None);
                    };
                    let (key, value) = (self.node(&entry.key), self.node(&entry.value));
                    let ((key, _), (value, kind)) = (key?, value?);
                    of = Some(of.map_or_else(|| kind.clone(), |of| of.join(&kind)));
                    entries.push((key, value));
                }
                Some((Node::Map(entries), Kind::Map(Box::new(of.unwrap_or(Kind::Any)))))
            }
            Expr::Comprehension(_) | Expr::Struct(_) | Expr::Unspecified => self.fault(at, "messages are not part of policies", None),
        }
    }

    fn literal(&mut self, at: &IdedExpr, literal: &LiteralValue) -> Compiled {
        Some(match literal {
            LiteralValue::Boolean(truth) => (Node::Bool(*truth.inner()), Kind::Bool),
            LiteralValue::Int(number) => (Node::Int(*number.inner()), Kind::Int),
            LiteralValue::Double(number) => (Node::Double(*number.inner()), Kind::Double),
            LiteralValue::String(text) => (Node::Text(text.inner().into()), Kind::Text),
            LiteralValue::Null => (Node::Null, Kind::Null),
            LiteralValue::UInt(_) => return self.fault(at, "unsigned numbers are not part of policies", Some("leave out the u")),
            LiteralValue::Bytes(_) => return self.fault(at, "bytes are not part of policies", Some("leave out the b")),
        })
    }

    fn name(&mut self, at: &IdedExpr, name: &str) -> Compiled {
        if let Some(index) = self.locals.iter().rposition(|(known, _)| known == name) {
            return Some((Node::Local(index), self.locals[index].1.clone()));
        }
        match name.trim_start_matches('.') {
            "identity_provider" => Some((Node::IdentityProvider, Kind::Text)),
            "now" => Some((Node::Now, Kind::Timestamp)),
            // By name only, so that it is known which claims decide: what a provider leaves out has to be told from what is not.
            "claims" => self.fault(at, "a claim is named: claims.email or claims[\"cognito:groups\"]", None),
            "request" => self.fault(at, format!("one of {} is asked for: request.path", fields()), None),
            name => {
                let known = ["claims", "request", "identity_provider", "now"];
                let known: Vec<&str> = known.into_iter().chain(self.locals.iter().map(|(name, _)| name.as_str())).collect();
                let near = nearest(name, &known);
                let hint = near.unwrap_or_else(|| format!("there are: {}", known.join(", ")));
                self.fault(at, format!("nothing is called {name:?}"), Some(&hint))
            }
        }
    }

    fn is_global(&self, at: &IdedExpr, name: &str) -> bool {
        matches!(&at.expr, Expr::Ident(found) if found == name) && !self.locals.iter().any(|(local, _)| local == name)
    }

    fn claim(&mut self, name: &str) -> usize {
        self.claims.iter().position(|known| **known == *name).unwrap_or_else(|| {
            self.claims.push(name.into());
            self.claims.len() - 1
        })
    }

    fn select(&mut self, at: &IdedExpr, of: &IdedExpr, key: &str) -> Compiled {
        if self.is_global(of, "claims") {
            return Some((Node::Claim(self.claim(key)), Kind::Any));
        }
        if self.is_global(of, "request") {
            return self.field(at, key);
        }
        let (node, kind) = self.node(of)?;
        self.named_header(&node, key, at);
        match kind {
            Kind::Any => Some((Node::Select(Box::new(node), key.into()), Kind::Any)),
            Kind::Map(of) => Some((Node::Select(Box::new(node), key.into()), *of)),
            Kind::Named => Some((Node::Select(Box::new(node), key.into()), Kind::Text)),
            other => self.fault(of, format!("{other} has no members"), None),
        }
    }

    fn field(&mut self, at: &IdedExpr, key: &str) -> Compiled {
        let Some((_, field)) = FIELDS.into_iter().find(|(name, _)| *name == key) else {
            let hint = nearest(key, &FIELDS.map(|(name, _)| name)).unwrap_or_else(|| format!("there are: {}", fields()));
            return self.fault(at, format!("a request has no {key:?}"), Some(&hint));
        };
        self.reads_path |= field == Field::Path;
        let kind = if matches!(field, Field::Query | Field::Headers) { Kind::Named } else { Kind::Text };
        Some((Node::Request(field), kind))
    }

    fn named_header(&mut self, node: &Node, name: &str, at: &IdedExpr) {
        if matches!(node, Node::Request(Field::Headers)) {
            let (at, length) = self.place(at);
            self.headers.push(Named { name: name.into(), at, length });
        }
    }

    fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> Compiled {
        match (call.target.as_deref(), call.func_name.as_str(), call.args.as_slice()) {
            (None, operators::LOGICAL_AND, [one, two]) => self.logic(one, two, "&&", Node::And),
            (None, operators::LOGICAL_OR, [one, two]) => self.logic(one, two, "||", Node::Or),
            (None, operators::LOGICAL_NOT, [of]) => {
                let (node, _) = self.of_kind(of, &Kind::Bool, "!")?;
                Some((Node::Not(Box::new(node)), Kind::Bool))
            }
            (None, operators::CONDITIONAL, [condition, one, two]) => {
                let condition = self.of_kind(condition, &Kind::Bool, "the condition before ?");
                let (one, two) = (self.node(one), self.node(two));
                let ((condition, _), (one, kind), (two, other)) = (condition?, one?, two?);
                Some((Node::Conditional(Box::new((condition, one, two))), kind.join(&other)))
            }
            (None, operators::EQUALS, [one, two]) => self.equality(at, one, two),
            (None, operators::NOT_EQUALS, [one, two]) => {
                let (node, kind) = self.equality(at, one, two)?;
                Some((Node::Not(Box::new(node)), kind))
            }
            (None, operators::LESS, [one, two]) => self.order(at, one, two, Order::Less),
            (None, operators::LESS_EQUALS, [one, two]) => self.order(at, one, two, Order::LessOrEqual),
            (None, operators::GREATER, [one, two]) => self.order(at, one, two, Order::Greater),
            (None, operators::GREATER_EQUALS, [one, two]) => self.order(at, one, two, Order::GreaterOrEqual),
            (None, operators::IN, [item, of]) => self.is_in(at, item, of),
            (None, operators::INDEX, [of, index]) => self.index(at, of, index),
            (None, operators::ADD, [one, two]) => self.arithmetic(at, one, two, Operator::Add),
            (None, operators::SUBSTRACT, [one, two]) => self.arithmetic(at, one, two, Operator::Subtract),
            (None, operators::MULTIPLY, [one, two]) => self.arithmetic(at, one, two, Operator::Multiply),
            (None, operators::DIVIDE, [one, two]) => self.arithmetic(at, one, two, Operator::Divide),
            (None, operators::MODULO, [one, two]) => self.arithmetic(at, one, two, Operator::Remainder),
            (None, operators::NEGATE, [of]) => {
                let (node, kind) = self.node(of)?;
                match kind {
                    Kind::Any | Kind::Int | Kind::Double | Kind::Duration => Some((Node::Negate(Box::new(node)), kind)),
                    other => self.fault(of, format!("{other} has no negative"), None),
                }
            }
            (None, operators::HAS, [of]) => self.has(at, of),
            (Some(of), name, [variable, rest @ ..]) if MACROS.iter().any(|(known, _)| *known == name) => {
                self.walk(at, name, of, variable, rest)
            }
            (None, "matches", [text, pattern]) | (Some(text), "matches", [pattern]) => self.matches(text, pattern),
            (Some(address), "inNetwork", [network]) => self.in_network(address, network),
            (Some(of), name, zone) if PARTS.iter().any(|(known, _)| *known == name) && zone.len() <= 1 => self.part(of, name, zone.first()),
            (None, "size", [of]) | (Some(of), "size", []) => self.size(of),
            (target, name, values) => self.function(at, target, name, values),
        }
    }

    fn of_kind(&mut self, at: &IdedExpr, wanted: &Kind, whose: &str) -> Compiled {
        let (node, kind) = self.node(at)?;
        if kind.fits(wanted) {
            return Some((node, kind));
        }
        self.fault(at, format!("{whose} takes {wanted}, and this is {kind}"), None)
    }

    fn logic(&mut self, one: &IdedExpr, two: &IdedExpr, sign: &str, make: fn(Box<(Node, Node)>) -> Node) -> Compiled {
        let (one, two) = (self.of_kind(one, &Kind::Bool, sign), self.of_kind(two, &Kind::Bool, sign));
        Some((make(Box::new((one?.0, two?.0))), Kind::Bool))
    }

    fn equality(&mut self, at: &IdedExpr, one: &IdedExpr, two: &IdedExpr) -> Compiled {
        let (one, two) = (self.node(one), self.node(two));
        let ((one, kind), (two, other)) = (one?, two?);
        if !kind.compares_with(&other) || kind == Kind::Named {
            return self.fault(at, format!("{kind} is never equal to {other}"), None);
        }
        Some((Node::Equals(Box::new((one, two))), Kind::Bool))
    }

    fn order(&mut self, at: &IdedExpr, one: &IdedExpr, two: &IdedExpr, order: Order) -> Compiled {
        let (one, two) = (self.node(one), self.node(two));
        let ((one, kind), (two, other)) = (one?, two?);
        if !kind.compares_with(&other) || !kind.is_ordered() || !other.is_ordered() {
            return self.fault(at, format!("{kind} is neither less nor greater than {other}"), None);
        }
        Some((Node::Order(Box::new((one, two)), order), Kind::Bool))
    }

    fn is_in(&mut self, at: &IdedExpr, item: &IdedExpr, of: &IdedExpr) -> Compiled {
        if self.is_global(of, "claims") {
            let Some(name) = text(item) else { return self.name(of, "claims") };
            return Some((Node::HasClaim(self.claim(name)), Kind::Bool));
        }
        let (node, container) = (self.node(item), self.node(of));
        let ((node, kind), (container, of_kind)) = (node?, container?);
        match (&of_kind, text(item)) {
            (Kind::Named, Some(name)) => self.named_header(&container, name, at),
            (Kind::Named, None) => return self.fault(item, "a header or a parameter is named by a text", None),
            (Kind::List(of), _) if !kind.compares_with(of) => {
                return self.fault(at, format!("{kind} is never in a list of what is {of}"), None);
            }
            (Kind::Any | Kind::List(_) | Kind::Map(_), _) => {}
            (other, _) => return self.fault(of, format!("nothing is in {other}"), Some("for a part of a text: text.contains(part)")),
        }
        Some((Node::In(Box::new((node, container))), Kind::Bool))
    }

    fn index(&mut self, at: &IdedExpr, of: &IdedExpr, index: &IdedExpr) -> Compiled {
        if self.is_global(of, "claims") {
            let Some(name) = text(index) else { return self.name(of, "claims") };
            return Some((Node::Claim(self.claim(name)), Kind::Any));
        }
        let (node, place) = (self.node(of), self.node(index));
        let ((node, kind), (place, place_kind)) = (node?, place?);
        let gives = match (kind, text(index)) {
            (Kind::Named, Some(name)) => {
                self.named_header(&node, name, at);
                Kind::Text
            }
            (Kind::Named, None) => return self.fault(index, "a header or a parameter is named by a text", None),
            (Kind::List(of), _) if place_kind.fits(&Kind::Int) => *of,
            (Kind::List(_), _) => return self.fault(index, format!("a list is counted with whole numbers, not with {place_kind}"), None),
            (Kind::Map(of), _) => *of,
            (Kind::Any, _) => Kind::Any,
            (other, _) => return self.fault(of, format!("{other} has no members"), None),
        };
        Some((Node::Index(Box::new((node, place))), gives))
    }

    fn has(&mut self, at: &IdedExpr, of: &IdedExpr) -> Compiled {
        let Expr::Select(select) = &of.expr else {
            return self.fault(at, "has() takes a member", Some("has(claims.email), or \"cognito:groups\" in claims"));
        };
        if self.is_global(&select.operand, "claims") {
            return Some((Node::HasClaim(self.claim(&select.field)), Kind::Bool));
        }
        if self.is_global(&select.operand, "request") {
            return self.fault(of, "a request always has it", None);
        }
        match self.select(of, &select.operand, &select.field)?.0 {
            Node::Select(of, key) => Some((Node::Has(of, key), Kind::Bool)),
            _ => self.fault(at, "has() takes a member", None),
        }
    }

    fn arithmetic(&mut self, at: &IdedExpr, one: &IdedExpr, two: &IdedExpr, operator: Operator) -> Compiled {
        let (one, two) = (self.node(one), self.node(two));
        let ((one, kind), (two, other)) = (one?, two?);
        let gives = match (&kind, operator, &other) {
            (Kind::Any, ..) | (.., Kind::Any) => Some(Kind::Any),
            (Kind::Int, _, Kind::Int) => Some(Kind::Int),
            (Kind::Double, Operator::Remainder, _) => None,
            (Kind::Double, _, Kind::Double) => Some(Kind::Double),
            (Kind::Text, Operator::Add, Kind::Text) => Some(Kind::Text),
            (Kind::List(one), Operator::Add, Kind::List(two)) => Some(Kind::list((**one).clone().join(two))),
            (Kind::Timestamp, Operator::Add | Operator::Subtract, Kind::Duration) | (Kind::Duration, Operator::Add, Kind::Timestamp) => {
                Some(Kind::Timestamp)
            }
            (Kind::Timestamp, Operator::Subtract, Kind::Timestamp)
            | (Kind::Duration, Operator::Add | Operator::Subtract, Kind::Duration) => Some(Kind::Duration),
            _ => None,
        };
        match gives {
            Some(gives) => Some((Node::Arithmetic(Box::new((one, two)), operator), gives)),
            None => self.fault(at, format!("{kind} and {other} cannot be computed with each other"), None),
        }
    }

    /// In characters; the parser counts bytes, to the last one. It points at the bracket of a call, and the name before it is meant.
    fn place(&self, at: &IdedExpr) -> (usize, usize) {
        let (start, stop) = self.info.offset_for(at.id).unwrap_or_default();
        let source = &self.info.source;
        let (start, stop) = (start as usize, (stop as usize + 1).min(source.len()));
        let (Some(before), Some(token)) = (source.get(..start), source.get(start..stop)) else { return (0, 1) };
        match &at.expr {
            Expr::Call(call) if token.starts_with('(') && before.ends_with(&call.func_name) => {
                let length = call.func_name.chars().count();
                (before.chars().count() - length, length)
            }
            Expr::Select(select) if token.starts_with('.') => (before.chars().count() + 1, select.field.chars().count()),
            _ => (before.chars().count(), token.chars().count().max(1)),
        }
    }

    fn fault<T>(&mut self, at: &IdedExpr, message: impl Into<String>, hint: Option<&str>) -> Option<T> {
        let (at, length) = self.place(at);
        self.faults.push(ExpressionFault { message: message.into(), hint: hint.map(str::to_owned), at, length });
        None
    }
}

fn text(at: &IdedExpr) -> Option<&str> {
    match &at.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn fields() -> String {
    FIELDS.map(|(name, _)| name).join(", ")
}

fn nearest(wrong: &str, known: &[&str]) -> Option<String> {
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), *name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min();
    near.map(|(_, name)| format!("did you mean {name:?}?"))
}

const MAX_DEPTH: usize = 64;

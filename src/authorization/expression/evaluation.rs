//! An answer for one request. What is not known is a failure and not a value: `&&` and `||` pass over it only where the other side
//! decides alone, as CEL has it, and whatever is left of it at the end is a refusal.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::failure::Failure;
use super::functions::{self, Function};
use super::node::{Field, How, Node, Operator, Order, Walk};
use super::value::{List, Map, Value};
use crate::authorization::Facts;
use crate::authorization::claims::{self, Claim};

pub(super) struct Evaluation<'v> {
    /// `None`: nothing is known. What comes out all the same is so for every request.
    facts: Option<&'v Facts<'v>>,
    /// The reading of the path that is asked about.
    path: &'v str,
    claims: &'v [Box<str>],
    locals: Vec<Value<'v>>,
    steps: u32,
}

impl<'v> Evaluation<'v> {
    pub(super) fn new(facts: Option<&'v Facts<'v>>, path: &'v str, claims: &'v [Box<str>]) -> Self {
        Self { facts, path, claims, locals: Vec::new(), steps: MAX_STEPS }
    }

    pub(super) fn evaluate(&mut self, node: &'v Node) -> Result<Value<'v>, Failure> {
        self.spend(1)?;
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(truth) => Value::Bool(*truth),
            Node::Int(number) => Value::Int(*number),
            Node::Double(number) => Value::Double(*number),
            Node::Text(text) => Value::text(text),
            Node::Timestamp(at) => Value::Timestamp(*at),
            Node::Duration(length) => Value::Duration(*length),
            Node::Claim(index) => return self.claim(*index),
            Node::HasClaim(index) => Value::Bool(self.has_claim(*index)?),
            Node::Request(field) => return self.request(*field),
            Node::IdentityProvider => Value::text(&self.facts()?.identity.ok_or_else(|| nobody("identity_provider"))?.provider),
            Node::Now => Value::Timestamp(self.now()?),
            Node::Local(index) => self.locals.get(*index).cloned().ok_or(Failure::Kind)?,
            Node::Select(of, key) => return self.select(of, key),
            Node::Has(of, key) => match self.evaluate(of)? {
                Value::Map(map) => Value::Bool(map.find(&Value::text(key))?.is_some()),
                _ => return Err(Failure::Kind),
            },
            Node::Index(pair) => return self.index(&pair.0, &pair.1),
            Node::Not(of) => Value::Bool(!self.evaluate(of)?.truth()?),
            Node::And(pair) => Value::Bool(self.either(pair, false)?),
            Node::Or(pair) => Value::Bool(self.either(pair, true)?),
            Node::Conditional(parts) => {
                let chosen = if self.evaluate(&parts.0)?.truth()? { &parts.1 } else { &parts.2 };
                return self.evaluate(chosen);
            }
            Node::Equals(pair) => {
                let (one, two) = (self.evaluate(&pair.0)?, self.evaluate(&pair.1)?);
                self.spend(weight(&one))?;
                Value::Bool(one.equals(&two)?)
            }
            Node::Order(pair, order) => Value::Bool(self.order(pair, *order)?),
            Node::In(pair) => Value::Bool(self.is_in(&pair.0, &pair.1)?),
            Node::Arithmetic(pair, operator) => return self.arithmetic(pair, *operator),
            Node::Negate(of) => match self.evaluate(of)? {
                Value::Int(number) => Value::Int(number.checked_neg().ok_or(Failure::Overflow)?),
                Value::Double(number) => Value::Double(-number),
                Value::Duration(length) => Value::Duration(length.checked_neg().ok_or(Failure::Overflow)?),
                _ => return Err(Failure::Kind),
            },
            Node::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.evaluate(item)).collect();
                Value::List(List::Owned(items?.into()))
            }
            Node::Map(entries) => return self.map(entries),
            Node::Walk(walk) => return self.walk(walk),
            Node::Call(function, values) => return self.call(*function, values),
            Node::Part(of, part, zone) => return self.part(of, *part, zone),
            Node::Matches(of, expression) => match self.evaluate(of)? {
                Value::Text(text) => {
                    self.spend(length(text.as_str()))?;
                    Value::Bool(expression.is_match(text.as_str()))
                }
                _ => return Err(Failure::Kind),
            },
            Node::InNetwork(of, network) => Value::Bool(network.contains(&self.address(of)?)),
        })
    }

    fn spend(&mut self, steps: u32) -> Result<(), Failure> {
        self.steps = self.steps.checked_sub(steps).ok_or(Failure::Steps)?;
        Ok(())
    }

    fn facts(&self) -> Result<&'v Facts<'v>, Failure> {
        self.facts.ok_or(Failure::Kind)
    }

    fn now(&self) -> Result<Timestamp, Failure> {
        let seconds = i64::try_from(self.facts()?.now.0).map_err(|_| Failure::Overflow)?;
        Timestamp::from_second(seconds).map_err(|_| Failure::Overflow)
    }

    fn claim(&self, index: usize) -> Result<Value<'v>, Failure> {
        let name = self.claims.get(index).ok_or(Failure::Kind)?;
        let identity = self.facts()?.identity.ok_or_else(|| nobody(&format!("the claim {name}")))?;
        if &**name == "iss" {
            return Ok(Value::text(&identity.issuer));
        }
        match claims::find(&identity.claims, name) {
            Claim::Present(value) => Value::of(value),
            Claim::Missing => Err(Failure::MissingClaim(name.clone())),
            Claim::Incomplete => Err(Failure::IncompleteClaim(name.clone())),
        }
    }

    /// Of nobody it is not known: `!has(claims.blocked)` does not let strangers pass.
    fn has_claim(&self, index: usize) -> Result<bool, Failure> {
        match self.claim(index) {
            Err(Failure::MissingClaim(_)) => Ok(false),
            Err(failure @ (Failure::IncompleteClaim(_) | Failure::NobodySignedIn(_) | Failure::Kind)) => Err(failure),
            _ => Ok(true),
        }
    }

    fn request(&self, field: Field) -> Result<Value<'v>, Failure> {
        let request = self.facts()?.request;
        Ok(match field {
            Field::Method => Value::text(request.method.as_str()),
            Field::Host => Value::text(request.authority.host()),
            Field::Path => Value::text(self.path),
            Field::Query => Value::Map(Map::Query(request.target.query().unwrap_or_default())),
            Field::Headers => Value::Map(Map::Headers(request.headers)),
            Field::SourceIp => Value::owned(&request.client.to_string()),
        })
    }

    fn address(&mut self, node: &'v Node) -> Result<IpAddr, Failure> {
        if matches!(node, Node::Request(Field::SourceIp)) {
            return Ok(self.facts()?.request.client);
        }
        match self.evaluate(node)? {
            Value::Text(text) => text.as_str().parse::<IpAddr>().map(|address| address.to_canonical()).map_err(|_| Failure::Conversion),
            _ => Err(Failure::Kind),
        }
    }

    fn select(&mut self, of: &'v Node, key: &'v str) -> Result<Value<'v>, Failure> {
        match self.evaluate(of)? {
            Value::Map(map) => map.find(&Value::text(key))?.ok_or_else(|| Failure::MissingKey(key.into())),
            _ => Err(Failure::Kind),
        }
    }

    fn index(&mut self, of: &'v Node, at: &'v Node) -> Result<Value<'v>, Failure> {
        let (of, index) = (self.evaluate(of)?, self.evaluate(at)?);
        match (of, &index) {
            (Value::Map(map), key) => map.find(key)?.ok_or_else(|| match at {
                Node::Text(name) => Failure::MissingKey(name.clone()),
                _ => Failure::MissingKey("such key".into()),
            }),
            (Value::List(list), Value::Int(at)) => list.at(usize::try_from(*at).map_err(|_| Failure::Index)?),
            _ => Err(Failure::Kind),
        }
    }

    /// `decides` is what one side alone decides: false for `&&`, true for `||`.
    fn either(&mut self, pair: &'v (Node, Node), decides: bool) -> Result<bool, Failure> {
        let left = self.evaluate(&pair.0).and_then(|value| value.truth());
        if left == Ok(decides) {
            return Ok(decides);
        }
        let right = self.evaluate(&pair.1).and_then(|value| value.truth());
        match (left, right) {
            (_, Ok(right)) if right == decides => Ok(decides),
            (Err(failure), _) | (Ok(_), Err(failure)) => Err(failure),
            (Ok(_), Ok(_)) => Ok(!decides),
        }
    }

    fn order(&mut self, pair: &'v (Node, Node), order: Order) -> Result<bool, Failure> {
        let (one, two) = (self.evaluate(&pair.0)?, self.evaluate(&pair.1)?);
        let found = match (one.compare(&two), &one, &two) {
            (Some(found), ..) => found,
            // Nothing is less or greater than what is no number.
            (None, Value::Double(_), Value::Int(_) | Value::Double(_)) | (None, Value::Int(_), Value::Double(_)) => return Ok(false),
            (None, ..) => return Err(Failure::Kind),
        };
        Ok(match order {
            Order::Less => found.is_lt(),
            Order::LessOrEqual => found.is_le(),
            Order::Greater => found.is_gt(),
            Order::GreaterOrEqual => found.is_ge(),
        })
    }

    fn is_in(&mut self, item: &'v Node, container: &'v Node) -> Result<bool, Failure> {
        let item = self.evaluate(item)?;
        if let Node::List(items) = container
            && items.iter().all(Node::is_literal)
        {
            for literal in items {
                if item.equals(&self.evaluate(literal)?)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        match self.evaluate(container)? {
            Value::List(list) => {
                self.spend(u32::try_from(list.len()).unwrap_or(u32::MAX))?;
                for index in 0..list.len() {
                    if list.at(index)?.equals(&item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Map(map) => Ok(map.find(&item)?.is_some()),
            _ => Err(Failure::Kind),
        }
    }

    fn map(&mut self, entries: &'v [(Node, Node)]) -> Result<Value<'v>, Failure> {
        let mut made: Vec<(Value<'v>, Value<'v>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.evaluate(key)?;
            for (known, _) in &made {
                if known.equals(&key)? {
                    return Err(Failure::DoubledKey);
                }
            }
            made.push((key, self.evaluate(value)?));
        }
        Ok(Value::Map(Map::Owned(made.into())))
    }

    fn walk(&mut self, walk: &'v Walk) -> Result<Value<'v>, Failure> {
        let list = match self.evaluate(&walk.range)? {
            Value::List(list) => list,
            Value::Map(map) => List::Owned(map.keys().ok_or(Failure::Kind)?.into()),
            _ => return Err(Failure::Kind),
        };
        let mut failed = None;
        let mut kept = Vec::new();
        let mut count = 0;
        for index in 0..list.len() {
            let item = list.at(index)?;
            self.locals.push(item);
            let test = self.evaluate(&walk.test).and_then(|value| value.truth());
            let becomes = match (&test, &walk.becomes) {
                (Ok(true), Some(becomes)) => Some(self.evaluate(becomes)),
                _ => None,
            };
            let item = self.locals.pop();
            match (walk.how, test) {
                (How::Exists, Ok(true)) => return Ok(Value::Bool(true)),
                (How::All, Ok(false)) => return Ok(Value::Bool(false)),
                (How::Exists | How::All, Ok(_)) => {}
                (How::Exists | How::All, Err(failure)) => failed = Some(failure),
                (How::ExistsOne | How::Filter | How::Map, Err(failure)) => return Err(failure),
                (How::ExistsOne, Ok(found)) => count += u32::from(found),
                (How::Filter, Ok(true)) => kept.extend(item),
                (How::Map, Ok(true)) => kept.push(becomes.ok_or(Failure::Kind)??),
                (How::Filter | How::Map, Ok(false)) => {}
            }
        }
        match (walk.how, failed) {
            (_, Some(failure)) => Err(failure),
            (How::Exists, None) => Ok(Value::Bool(false)),
            (How::All, None) => Ok(Value::Bool(true)),
            (How::ExistsOne, None) => Ok(Value::Bool(count == 1)),
            (How::Filter | How::Map, None) => Ok(Value::List(List::Owned(kept.into()))),
        }
    }

    fn call(&mut self, function: Function, values: &'v [Node]) -> Result<Value<'v>, Failure> {
        let values: Result<Vec<_>, _> = values.iter().map(|value| self.evaluate(value)).collect();
        let values = values?;
        for value in &values {
            self.spend(weight(value))?;
        }
        functions::call(function, values.into_iter())
    }

    fn part(&mut self, of: &'v Node, part: functions::Part, zone: &TimeZone) -> Result<Value<'v>, Failure> {
        let value = self.evaluate(of)?;
        functions::part(part, &value, zone)
    }

    fn arithmetic(&mut self, pair: &'v (Node, Node), operator: Operator) -> Result<Value<'v>, Failure> {
        let (one, two) = (self.evaluate(&pair.0)?, self.evaluate(&pair.1)?);
        self.spend(weight(&one).saturating_add(weight(&two)))?;
        compute(one, operator, two)
    }
}

fn compute<'v>(one: Value<'v>, operator: Operator, two: Value<'v>) -> Result<Value<'v>, Failure> {
    let overflow = |number: Option<i64>| number.map(Value::Int).ok_or(Failure::Overflow);
    match (one, operator, two) {
        (Value::Int(one), Operator::Add, Value::Int(two)) => overflow(one.checked_add(two)),
        (Value::Int(one), Operator::Subtract, Value::Int(two)) => overflow(one.checked_sub(two)),
        (Value::Int(one), Operator::Multiply, Value::Int(two)) => overflow(one.checked_mul(two)),
        (Value::Int(_), Operator::Divide | Operator::Remainder, Value::Int(0)) => Err(Failure::Division),
        (Value::Int(one), Operator::Divide, Value::Int(two)) => overflow(one.checked_div(two)),
        (Value::Int(one), Operator::Remainder, Value::Int(two)) => overflow(one.checked_rem(two)),
        (Value::Double(one), Operator::Add, Value::Double(two)) => Ok(Value::Double(one + two)),
        (Value::Double(one), Operator::Subtract, Value::Double(two)) => Ok(Value::Double(one - two)),
        (Value::Double(one), Operator::Multiply, Value::Double(two)) => Ok(Value::Double(one * two)),
        (Value::Double(one), Operator::Divide, Value::Double(two)) => Ok(Value::Double(one / two)),
        (Value::Text(one), Operator::Add, Value::Text(two)) => Ok(Value::owned(&[one.as_str(), two.as_str()].concat())),
        (Value::List(one), Operator::Add, Value::List(two)) => joined(&one, &two),
        (Value::Timestamp(at), Operator::Add, Value::Duration(length)) | (Value::Duration(length), Operator::Add, Value::Timestamp(at)) => {
            at.checked_add(length).map(Value::Timestamp).map_err(|_| Failure::Overflow)
        }
        (Value::Timestamp(at), Operator::Subtract, Value::Duration(length)) => {
            at.checked_sub(length).map(Value::Timestamp).map_err(|_| Failure::Overflow)
        }
        (Value::Timestamp(one), Operator::Subtract, Value::Timestamp(two)) => Ok(Value::Duration(one.duration_since(two))),
        (Value::Duration(one), Operator::Add, Value::Duration(two)) => one.checked_add(two).map(Value::Duration).ok_or(Failure::Overflow),
        (Value::Duration(one), Operator::Subtract, Value::Duration(two)) => {
            one.checked_sub(two).map(Value::Duration).ok_or(Failure::Overflow)
        }
        _ => Err(Failure::Kind),
    }
}

fn joined<'v>(one: &List<'v>, two: &List<'v>) -> Result<Value<'v>, Failure> {
    let items: Result<Vec<_>, _> = (0..one.len()).map(|at| one.at(at)).chain((0..two.len()).map(|at| two.at(at))).collect();
    Ok(Value::List(List::Owned(items?.into())))
}

fn nobody(asked: &str) -> Failure {
    Failure::NobodySignedIn(asked.into())
}

/// What going through a value costs, in steps.
fn weight(value: &Value<'_>) -> u32 {
    match value {
        Value::Text(text) => length(text.as_str()),
        Value::List(list) => u32::try_from(list.len()).unwrap_or(u32::MAX),
        _ => 0,
    }
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len() / 64).unwrap_or(u32::MAX)
}

/// A usual policy takes ten; this many take about a millisecond.
const MAX_STEPS: u32 = 50_000;

//! YAML documents as JSON values. Aliases are refused: nobody writes them into a manifest, and a bomb is made of them. The short
//! forms of CloudFormation's functions (`!Ref X`) become the long ones (`{"Ref": "X"}`).

use saphyr_parser::{Event, Parser, ScalarStyle, Span, SpannedEventReceiver, Tag};
use serde_json::{Map, Value};

/// Every document of a file.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let mut builder = Builder::default();
    Parser::new_from_str(text)
        .load(&mut builder, true)
        .map_err(|error| format!("neither JSON nor YAML: {} (line {})", error.info(), error.marker().line()))?;
    builder.fault.map_or(Ok(builder.documents), Err)
}

#[derive(Default)]
struct Builder {
    documents: Vec<Value>,
    /// The function that each is the argument of, and what is in it.
    open: Vec<(Option<String>, Vec<Value>)>,
    count: usize,
    fault: Option<String>,
}

impl SpannedEventReceiver<'_> for Builder {
    fn on_event(&mut self, event: Event<'_>, place: Span) {
        if self.fault.is_some() {
            return;
        }
        self.count += 1;
        let line = place.start.line();
        match event {
            _ if self.count > MAX_EVENTS || self.open.len() > MAX_DEPTH => self.fault = Some("too many values, or too deep".to_owned()),
            Event::Alias(_) => self.fault = Some(format!("line {line}: aliases are not read")),
            Event::Scalar(text, style, _, tag) => {
                let value = if style == ScalarStyle::Plain { plain(&text) } else { Value::String(text.into_owned()) };
                self.close(function(tag.as_deref()), value);
            }
            Event::SequenceStart(_, tag) | Event::MappingStart(_, tag) => self.open.push((function(tag.as_deref()), Vec::new())),
            Event::SequenceEnd => {
                let (function, items) = self.open.pop().unwrap_or_default();
                self.close(function, Value::Array(items));
            }
            Event::MappingEnd => {
                let (function, items) = self.open.pop().unwrap_or_default();
                let mut members = Map::new();
                let mut items = items.into_iter();
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                    if members.insert(key.clone(), value).is_some() {
                        self.fault = Some(format!("line {line}: {key:?} is given twice"));
                    }
                }
                self.close(function, Value::Object(members));
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
    }
}

impl Builder {
    fn close(&mut self, function: Option<String>, value: Value) {
        let value = match function {
            Some(function) => Value::Object(Map::from_iter([(function, value)])),
            None => value,
        };
        match self.open.last_mut() {
            Some((_, items)) => items.push(value),
            None => self.documents.push(value),
        }
    }
}

/// `!GetAtt` is `Fn::GetAtt`.
fn function(tag: Option<&Tag>) -> Option<String> {
    let name = tag.filter(|tag| tag.handle == "!")?.suffix.as_str();
    match name {
        "Ref" | "Condition" => Some(name.to_owned()),
        _ => Some(format!("Fn::{name}")),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::from),
    }
}

const MAX_DEPTH: usize = 64;
const MAX_EVENTS: usize = 1_000_000;

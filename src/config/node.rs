//! YAML 1.2 as a tree that knows where everything stands.

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Mark, SpannedEventReceiver};

use super::report::{Fault, Span};

/// A value of the file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) span: Span,
    size: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    /// `plain`: without quotes, so that it may also be a number, a truth value or null.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The key of a mapping, as text.
    pub(super) fn key(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            Content::Sequence(_) | Content::Mapping(_) => None,
        }
    }
}

/// Reads exactly one document. Aliases are copied, and the copies count: a bomb of them is refused.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    if let Err(error) = parser.load(&mut builder, true) {
        let mark = error.marker();
        let span = Span { line: mark.line(), column: mark.col() + 1, length: 1 };
        return Err(Fault::error("", format!("not YAML: {}", error.info())).at(span));
    }
    if let Some(fault) = builder.fault {
        return Err(fault);
    }
    match builder.documents.len() {
        0 => Err(Fault::error("", "the file is empty")),
        1 => Ok(builder.documents.remove(0)),
        _ => Err(Fault::error("", "the file holds more than one document").at(builder.documents[1].span)),
    }
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: Vec<(usize, Node)>,
    total: usize,
    fault: Option<Fault>,
}

struct Open {
    items: Vec<Node>,
    mapping: bool,
    anchor: usize,
    span: Span,
}

impl SpannedEventReceiver<'_> for Builder {
    fn on_event(&mut self, event: Event<'_>, mark: Mark) {
        if self.fault.is_some() {
            return;
        }
        let span = place(mark);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let content = Content::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.close(Node { content, span, size: 1 }, anchor);
            }
            Event::Alias(anchor) => {
                let node = self.anchors.iter().rev().find(|(known, _)| *known == anchor).map(|(_, node)| node.clone());
                if let Some(node) = node {
                    self.close(Node { span, ..node }, 0);
                }
            }
            Event::SequenceStart(anchor, _) => self.begin(false, anchor, span),
            Event::MappingStart(anchor, _) => self.begin(true, anchor, span),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
    }
}

impl Builder {
    fn begin(&mut self, mapping: bool, anchor: usize, span: Span) {
        if self.open.len() >= MAX_DEPTH {
            self.fault = Some(Fault::error("", format!("nested deeper than {MAX_DEPTH} levels")).at(span));
            return;
        }
        self.open.push(Open { items: Vec::new(), mapping, anchor, span: Span { length: 1, ..span } });
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let size = 1 + open.items.iter().map(|item| item.size).sum::<usize>();
        let content = if open.mapping {
            let mut items = open.items.into_iter();
            let mut pairs = Vec::new();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                pairs.push((key, value));
            }
            Content::Mapping(pairs)
        } else {
            Content::Sequence(open.items)
        };
        self.close(Node { content, span: open.span, size }, open.anchor);
    }

    fn close(&mut self, node: Node, anchor: usize) {
        self.total += node.size;
        if self.total > MAX_NODES {
            self.fault = Some(Fault::error("", "the file holds too many values (aliases count as what they stand for)").at(node.span));
            return;
        }
        if anchor > 0 {
            self.anchors.push((anchor, node.clone()));
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.documents.push(node),
        }
    }
}

fn place(mark: Mark) -> Span {
    let same_line = mark.end.line() == mark.start.line();
    let length = if same_line { mark.end.index().saturating_sub(mark.start.index()).max(1) } else { 1 };
    Span { line: mark.start.line(), column: mark.start.col() + 1, length }
}

const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 2_000_000;

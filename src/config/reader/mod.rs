//! From a tree to typed sections, collecting every fault on the way instead of stopping at the first.

mod scalars;
#[macro_use]
mod section;

use super::node::{self, Content, Node};
use super::report::{Fault, Faults, Span};

pub use scalars::Located;
pub(super) use scalars::Seconds;
pub(super) use section::{key, nearest_word};

/// Where we are, and what has been found wrong so far.
pub(super) struct Reader<'f> {
    faults: &'f mut Faults,
    path: String,
}

/// Something that can be read from a node. `None` means that a fault has been reported.
pub(super) trait FromNode: Sized {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;

    /// What an absent key means; `None` when the key is required.
    fn absent() -> Option<Self> {
        None
    }
}

/// Reads a whole document.
pub(super) fn read_document<T: FromNode>(text: &str, faults: &mut Faults) -> Option<T> {
    match node::parse(text) {
        Ok(node) => T::read(&node, &mut Reader { faults, path: String::new() }),
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

impl Reader<'_> {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn fault(&mut self, span: Span, message: impl Into<String>) -> &mut Fault {
        self.faults.push(Fault::error(self.path.clone(), message).at(span))
    }

    /// What stands here is a secret.
    pub(super) fn hide(&mut self, span: Span) {
        self.faults.hide(span);
    }

    /// Reads something that lies under a key or an index.
    pub(super) fn within<T>(&mut self, segment: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !self.path.is_empty() && !segment.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(segment);
        let result = read(self);
        self.path.truncate(length);
        result
    }

    pub(super) fn wrong_type<T>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        let found = match &node.content {
            _ if node.is_null() => "nothing",
            Content::Scalar { .. } => "a text",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        };
        self.fault(node.span, format!("{wanted} is expected here, and {found} was found"));
        None
    }
}

impl<T: FromNode> FromNode for Option<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if node.is_null() { reader.wrong_type(node, "a value") } else { T::read(node, reader).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Content::Sequence(items) = &node.content else { return reader.wrong_type(node, "a list") };
        // An item that cannot be read has been reported; the others go on, so that their faults show too.
        let items = items.iter().enumerate();
        Some(items.filter_map(|(index, item)| reader.within(&format!("[{index}]"), |reader| T::read(item, reader))).collect())
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

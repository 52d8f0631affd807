//! Secrets: from a file, from the environment, or written in the file (which is allowed, and warned about).

use crate::config::node::{Content, Node};
use crate::config::reader::{FromNode, Reader};
use crate::config::report::Span;

/// Where a secret is.
#[derive(Debug, Clone)]
pub(in crate::config) struct Secret {
    pub(in crate::config) source: SecretSource,
    pub(in crate::config) span: Span,
    pub(in crate::config) path: String,
}

#[derive(Debug, Clone)]
pub(in crate::config) enum SecretSource {
    File(String),
    Environment(String),
    Literal(crate::secret::Secret<String>),
}

impl FromNode for Secret {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let path = reader.path().to_owned();
        let source = if matches!(node.content, Content::Mapping(_)) {
            let mapping = reader.mapping(node, &["file", "env"], &[])?;
            let file = mapping.take::<Option<String>>("file", reader)?;
            let variable = mapping.take::<Option<String>>("env", reader)?;
            match (file, variable) {
                (Some(file), None) => SecretSource::File(file),
                (None, Some(variable)) => SecretSource::Environment(variable),
                _ => {
                    reader.fault(node.span, "a secret is {file: PATH}, {env: NAME} or a text");
                    return None;
                }
            }
        } else {
            reader.hide(node.span);
            SecretSource::Literal(crate::secret::Secret::new(String::read(node, reader)?))
        };
        // Points at the path or name within `{file: …}`: that is what has to be mended.
        let span = match &node.content {
            Content::Mapping(pairs) => pairs
                .first()
                .map_or(node.span, |(key, value)| Span { length: value.span.column + value.span.length - key.span.column, ..key.span }),
            Content::Scalar { .. } | Content::Sequence(_) => node.span,
        };
        Some(Self { source, span, path })
    }
}

/// A value, or a list of them.
#[derive(Debug, Clone)]
pub(in crate::config) struct OneOrMore<T>(pub(in crate::config) Vec<T>);

impl<T: FromNode> FromNode for OneOrMore<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.content {
            Content::Sequence(_) => Vec::read(node, reader).map(Self),
            Content::Scalar { .. } | Content::Mapping(_) => T::read(node, reader).map(|value| Self(vec![value])),
        }
    }
}

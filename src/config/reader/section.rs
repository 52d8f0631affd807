//! Mappings: known keys are read, unknown and doubled ones are faults with the nearest known name as a hint.

use super::{Content, FromNode, Node, Reader, Span};

/// The entries of a mapping, each taken once.
pub(in crate::config) struct Mapping<'n> {
    entries: Vec<(&'n str, &'n Node, &'n Node)>,
    span: Span,
}

impl Reader<'_> {
    /// Checks the keys of a mapping. `later` are keys that a later version will have.
    pub(in crate::config) fn mapping<'n>(&mut self, node: &'n Node, known: &[&str], later: &[&str]) -> Option<Mapping<'n>> {
        let mapping = self.any_mapping(node)?;
        let mut sound = true;
        for (key, place, _) in &mapping.entries {
            if later.contains(key) {
                self.fault(place.span, format!("{key} is not supported by this version"));
                sound = false;
            } else if !known.contains(key) {
                let near = nearest(key, known);
                let fault = self.fault(place.span, format!("{key:?} is not a key that is known here"));
                fault.hint =
                    Some(near.map_or_else(|| format!("known are: {}", known.join(", ")), |near| format!("did you mean {near:?}?")));
                sound = false;
            }
        }
        // What is known is still read, so that its faults show too.
        if !sound && mapping.entries.iter().all(|(key, ..)| !known.contains(key)) && !known.is_empty() && !mapping.entries.is_empty() {
            return None;
        }
        Some(mapping)
    }

    /// A mapping whose keys are names.
    pub(in crate::config) fn any_mapping<'n>(&mut self, node: &'n Node) -> Option<Mapping<'n>> {
        let Content::Mapping(pairs) = &node.content else { return self.wrong_type(node, "a mapping") };
        let mut entries: Vec<(&str, &Node, &Node)> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let Some(name) = key.key() else {
                self.fault(key.span, "a key is a text");
                continue;
            };
            if let Some((_, first, _)) = entries.iter().find(|(known, ..)| *known == name) {
                let line = first.span.line;
                self.fault(key.span, format!("{name:?} is given twice; first on line {line}"));
                continue;
            }
            entries.push((name, key, value));
        }
        Some(Mapping { entries, span: node.span })
    }
}

impl<'n> Mapping<'n> {
    /// Reads the value of a key, or what its absence means.
    pub(in crate::config) fn take<T: FromNode>(&self, key: &str, reader: &mut Reader<'_>) -> Option<T> {
        match self.entries.iter().find(|(name, ..)| *name == key) {
            Some((_, _, value)) => reader.within(key, |reader| T::read(value, reader)),
            None => T::absent().or_else(|| {
                reader.fault(self.span, format!("{key} is missing"));
                None
            }),
        }
    }

    pub(in crate::config) fn entries(&self) -> impl Iterator<Item = (&'n str, &'n Node, &'n Node)> + '_ {
        self.entries.iter().copied()
    }

    pub(in crate::config) fn span(&self) -> Span {
        self.span
    }
}

/// The known name that a slip of the finger most likely meant.
pub(in crate::config) fn nearest<'k>(wrong: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .copied()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

/// A mapping with fixed keys: the struct, its reading and its schema from one declaration.
macro_rules! section {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? } $(later: [$($later:literal),*])?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(in crate::config) struct $name { $($(#[$field_meta])* pub(in crate::config) $field: $type),* }

        impl crate::config::reader::FromNode for $name {
            fn read(node: &crate::config::node::Node, reader: &mut crate::config::reader::Reader<'_>) -> Option<Self> {
                let mapping = reader.mapping(node, &[$(crate::config::reader::key(stringify!($field))),*], &[$($($later),*)?])?;
                $(let $field = mapping.take::<$type>(crate::config::reader::key(stringify!($field)), reader);)*
                Some(Self { $($field: $field?),* })
            }
        }
    };
}

/// One of a few words.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),* $(,)? } $(later: [$($later:literal),*])?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema)]
        pub(in crate::config) enum $name { $($(#[$variant_meta])* #[schemars(rename = $word)] $variant),* }

        impl crate::config::reader::FromNode for $name {
            fn read(node: &crate::config::node::Node, reader: &mut crate::config::reader::Reader<'_>) -> Option<Self> {
                let word = String::read(node, reader)?;
                match word.as_str() {
                    $($word => Some(Self::$variant),)*
                    $($($later => {
                        reader.fault(node.span, format!("{word} is not supported by this version"));
                        None
                    })*)?
                    _ => {
                        let fault = reader.fault(node.span, format!("{word:?} is not one of: {}", [$($word),*].join(", ")));
                        fault.hint = crate::config::reader::nearest_word(&word, &[$($word),*]);
                        None
                    }
                }
            }
        }
    };
}

/// The key of a field: `r#type` is `type` in the file.
pub(in crate::config) fn key(field: &'static str) -> &'static str {
    field.trim_start_matches("r#")
}

/// The hint for a word that is not known.
pub(in crate::config) fn nearest_word(wrong: &str, known: &[&str]) -> Option<String> {
    nearest(wrong, known).map(|near| format!("did you mean {near:?}?"))
}

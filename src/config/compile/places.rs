//! Places within a value: where a character of a text stands in the file, behind quotes, escapes, indentation and folded lines.

use crate::config::reader::Located;
use crate::config::report::Span;

/// `from` counts the characters of the value. Where the file cannot be followed (an alias, a `\u` escape), the place of the value.
pub(super) fn within(text: &str, at: &Located<String>, from: usize, length: usize) -> Span {
    let value: Vec<char> = at.value.chars().collect();
    let from = from.min(value.len());
    let place = find(text, at.span, &value, from);
    place.map_or(at.span, |(line, column)| Span { line, column, length })
}

/// Goes through value and file side by side. Spaces are nothing to hold on to: a fold makes them of line ends and indentation.
fn find(text: &str, start: Span, value: &[char], wanted: usize) -> Option<(usize, usize)> {
    let mut file = File::at(text, start)?;
    let mut last = None;
    for (index, char) in value.iter().enumerate().take(wanted + 1) {
        if char.is_whitespace() {
            continue;
        }
        let place = file.next_place_of(*char)?;
        if index == wanted {
            return Some(place);
        }
        last = Some((index, place));
    }
    // At a space, or at the end: just behind what stands before it.
    last.map(|(index, (line, column))| (line, column + (wanted - index)))
}

struct File<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
    column: usize,
    /// In double quotes.
    has_escapes: bool,
}

impl<'t> File<'t> {
    fn at(text: &'t str, start: Span) -> Option<Self> {
        let line = text.split_inclusive('\n').take(start.line.checked_sub(1)?).map(str::len).sum();
        let mut file = Self { rest: text.get(line..)?.chars().peekable(), line: start.line, column: 1, has_escapes: false };
        while file.column < start.column {
            file.next()?;
        }
        file.has_escapes = file.rest.peek() == Some(&'"');
        // A block scalar begins on the next line.
        if matches!(file.rest.peek(), Some('|' | '>')) {
            let line = file.line;
            while file.line == line {
                file.next()?;
            }
        }
        Some(file)
    }

    fn next(&mut self) -> Option<char> {
        let char = self.rest.next()?;
        if char == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(char)
    }

    fn next_place_of(&mut self, wanted: char) -> Option<(usize, usize)> {
        loop {
            let place = (self.line, self.column);
            let found = match self.next()? {
                // Only there is a backslash more than itself.
                '\\' if self.has_escapes => match self.next()? {
                    'n' | 't' | 'r' => ' ',
                    'u' | 'U' | 'x' => return None,
                    escaped => escaped,
                },
                found => found,
            };
            match found {
                found if found == wanted => return Some(place),
                '\'' | '"' => {}
                other if other.is_whitespace() => {}
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the value of the only key of a document stands, and what the character that is asked for is in the file.
    fn shown(document: &str, wanted: &str) -> String {
        let node = crate::config::node::parse(document).unwrap();
        let crate::config::node::Content::Mapping(pairs) = &node.content else { panic!("a mapping") };
        let value = pairs[0].1.key().unwrap().to_owned();
        let from = value[..value.find(wanted).unwrap()].chars().count();
        let span = within(document, &Located { value, span: pairs[0].1.span, path: String::new() }, from, wanted.len());
        let line = document.lines().nth(span.line - 1).unwrap();
        format!("{} {}", span.line, line.chars().skip(span.column - 1).collect::<String>())
    }

    #[test]
    fn a_place_is_found_in_every_kind_of_scalar() {
        assert_eq!(shown("a: claims.x == foo", "foo"), "1 foo");
        assert_eq!(shown("a: 'it''s ü == foo'", "foo"), "1 foo'");
        assert_eq!(shown("a: \"claims[\\\"x\\\"] == foo\"", "foo"), "1 foo\"");
        assert_eq!(shown("a: \"one &&\\n now && foo\"", "foo"), "1 foo\"");
        assert_eq!(shown("a: |\n    one &&\n      two == foo\n", "foo"), "3 foo");
        assert_eq!(shown("a: >-  # folded\n    one &&\n    two\n\n    || foo\n", "foo"), "5 foo");
        assert_eq!(shown("a: one &&\n  two == foo", "foo"), "2 foo");
        assert_eq!(shown("\n\na: 'x\n   foo'", "foo"), "4 foo'");
    }

    #[test]
    fn where_the_file_cannot_be_followed_it_is_the_value() {
        assert_eq!(shown("a: \"\\u00fc == foo\"", "foo"), "1 \"\\u00fc == foo\"");
    }
}

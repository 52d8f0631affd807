//! Text that a YAML reader gives back as it was, whatever stands in it: the names and patterns here are strangers'.

use std::fmt::Write as _;

/// A scalar that is read as exactly this text: bare where nothing can be mistaken, otherwise in double quotes.
pub(super) fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            character if is_printable(character) => quoted.push(character),
            character => push_escape(&mut quoted, character),
        }
    }
    quoted.push('"');
    quoted
}

/// `[a, b]`
pub(super) fn flow_list<T: AsRef<str>>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(|item| scalar(item.as_ref())).collect::<Vec<_>>().join(", "))
}

/// Text for a comment or a terminal: a line break in it would end the comment and begin something else.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) { line.push(character) } else { push_escape(&mut line, character) }
    }
    line
}

/// Letters first, then what is no indicator anywhere: `arn:aws:…` and `https://…` too, because a colon counts only before a space.
/// Addresses as well: with a dot and a colon they are no number to any reader.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 10] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan"];
    let is_address = || text.starts_with(|first: char| first.is_ascii_digit()) && text.contains('.') && text.contains(':');
    (text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/') || is_address())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.' | b'_' | b'/' | b':' | b'-'))
        && !text.ends_with([':', '-'])
        && !text.contains(": ")
        // A dash after a space is read as the beginning of a list, within brackets at least.
        && text.split(' ').all(|word| word.starts_with(|first: char| first.is_ascii_alphanumeric()) || word.starts_with('/'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// YAML 1.2 §5.1, without line breaks and without what reorders or hides text on a screen.
fn is_printable(character: char) -> bool {
    match character {
        ' '..='~' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => false,
        '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' => true,
        // The last two characters of each plane are none.
        character => u32::from(character) >= 0x1_0000 && u32::from(character) & 0xffff < 0xfffe,
    }
}

fn push_escape(text: &mut String, character: char) {
    let code = u32::from(character);
    // Writing into a text does not fail.
    let _ = match code {
        0..=0xff => write!(text, "\\x{code:02x}"),
        0x100..=0xffff => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_mistaken_is_quoted() {
        for plain in ["app", "arn:aws:x:y/z", "https://login.example.com/a", "/static/app.js", "HTTP_301", "openid email", "10.0.1.11:8080"]
        {
            assert_eq!(scalar(plain), plain);
        }
        for (text, written) in [
            ("", "\"\""),
            ("443", "\"443\""),
            ("null", "\"null\""),
            ("/*", "\"/*\""),
            ("a: b", "\"a: b\""),
            ("a ", "\"a \""),
            ("/ -", "\"/ -\""),
            ("1.5", "\"1.5\""),
            ("a:", "\"a:\""),
            ("#{host}", "\"#{host}\""),
            ("say \"hi\"\n- x", "\"say \\\"hi\\\"\\n- x\""),
            ("a\u{85}\u{7f}\u{2028}b", "\"a\\x85\\x7f\\u2028b\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }

    #[test]
    fn a_comment_is_one_line() {
        assert_eq!(one_line("a\nlisteners: []\r\u{1b}[31m"), "a\\x0alisteners: []\\x0d\\x1b[31m");
    }
}

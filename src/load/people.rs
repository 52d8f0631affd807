//! Who asks: names with passwords, or what somebody who is signed in already would send. From files, never from the command line.

use http::HeaderValue;
use url::Url;
use zeroize::Zeroizing;

use super::cookies::Cookies;
use super::plan::sensitive;
use crate::secret::Secret;

/// Somebody who can sign in.
#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub password: Secret<String>,
}

/// Somebody with cookies or a token of their own.
#[derive(Clone, Debug)]
pub struct Person {
    pub(super) name: String,
    pub(super) cookies: Cookies,
    pub(super) authorization: Option<HeaderValue>,
}

/// Lines are named, never quoted: they hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error("line {0} is not a name and a password with a comma between them")]
    User(usize),
    #[error("line {0} is not a Cookie header, as name=value; name=value")]
    Cookie(usize),
    #[error("line {0} of this cookie jar does not have the seven fields of one")]
    Jar(usize),
    #[error("line {0} is not a token: one on each line, without \"Bearer\"")]
    Token(usize),
    #[error("nobody is in it")]
    Nobody,
}

impl Person {
    pub(super) fn new(name: String) -> Self {
        Self { name, cookies: Cookies::default(), authorization: None }
    }

    /// Somebody whom nobody knows.
    pub(super) fn nobody() -> Self {
        Self::new(String::new())
    }
}

/// `name,password` on each line; a password may hold commas. Empty lines, lines that begin with `#` and a first line of headings are left out.
pub fn users_from(text: &str) -> Result<Vec<User>, PeopleError> {
    let mut users = Vec::new();
    for (number, line) in lines(text) {
        if users.is_empty() && HEADINGS.iter().any(|heading| line.eq_ignore_ascii_case(heading)) {
            continue;
        }
        let (name, password) = line.split_once(',').ok_or(PeopleError::User(number))?;
        if name.trim().is_empty() || password.is_empty() {
            return Err(PeopleError::User(number));
        }
        users.push(User { name: name.trim().to_owned(), password: Secret::from(password) });
    }
    some(users)
}

/// A cookie jar, which is one person's, or `Cookie` headers, one person a line.
pub fn cookies_from(text: &str, url: &Url) -> Result<Vec<Person>, PeopleError> {
    let is_jar = text.lines().any(|line| line.split('\t').count() >= 7);
    let jars = if is_jar {
        vec![Cookies::from_netscape(text).map_err(PeopleError::Jar)?]
    } else {
        let headers = lines(text).map(|(number, line)| Cookies::from_header(line, url).ok_or(PeopleError::Cookie(number)));
        headers.collect::<Result<_, _>>()?
    };
    let people = jars.into_iter().filter(|cookies| !cookies.is_empty()).enumerate();
    some(people.map(|(at, cookies)| Person { cookies, ..Person::new(format!("cookies {}", at + 1)) }).collect())
}

/// A bearer token on each line.
pub fn tokens_from(text: &str) -> Result<Vec<Person>, PeopleError> {
    let mut people = Vec::new();
    for (number, line) in lines(text) {
        if line.contains(char::is_whitespace) {
            return Err(PeopleError::Token(number));
        }
        let value = Zeroizing::new(format!("Bearer {line}"));
        let authorization = Some(sensitive(&value).ok_or(PeopleError::Token(number))?);
        people.push(Person { authorization, ..Person::new(format!("token {}", people.len() + 1)) });
    }
    some(people)
}

/// With their numbers, as an editor counts them.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
}

fn some<T>(people: Vec<T>) -> Result<Vec<T>, PeopleError> {
    if people.is_empty() { Err(PeopleError::Nobody) } else { Ok(people) }
}

const HEADINGS: [&str; 3] = ["name,password", "user,password", "username,password"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_with_whatever_their_passwords_hold() {
        let users = users_from("\u{feff}username,password\n# staff\nalice,won,der land \r\n\nbob@example.com,x\n").unwrap();
        let pairs: Vec<(&str, &str)> = users.iter().map(|user| (user.name.as_str(), user.password.expose().as_str())).collect();
        assert_eq!(pairs, [("alice", "won,der land "), ("bob@example.com", "x")]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_not_quoted() {
        for (text, message) in [("alice,a\nwonderland\n", "line 2"), ("alice,\n", "line 1"), (",x\n", "line 1"), ("# none\n", "nobody")] {
            let error = users_from(text).unwrap_err().to_string();
            assert!(error.contains(message) && !error.contains("wonderland"), "{error}");
        }
        assert!(tokens_from("ey.a.b\nBearer ey.c.d\n").unwrap_err().to_string().starts_with("line 2"));
        assert!(cookies_from("a=1\nnothing\n", &Url::parse("https://a.test/").unwrap()).unwrap_err().to_string().starts_with("line 2"));
    }

    #[test]
    fn a_line_of_cookies_is_a_person_and_a_jar_is_one() {
        let url = Url::parse("https://a.test/").unwrap();
        assert_eq!(cookies_from("a=1; b=2\na=3\n", &url).unwrap().len(), 2);
        assert_eq!(cookies_from("a.test\tFALSE\t/\tTRUE\t0\ta\t1\na.test\tFALSE\t/\tTRUE\t0\tb\t2\n", &url).unwrap().len(), 1);
        assert_eq!(tokens_from("one\ntwo\n").unwrap().len(), 2);
    }
}

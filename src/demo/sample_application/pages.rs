//! The application's pages.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Application;
use super::identity_token::Token;
use super::received::{Received, shortened, shown};
use super::verification::Report;
use crate::clock::UnixTime;
use crate::demo::page::{Page, render};

/// `/`: who is signed in, and everything that the gateway said about it.
pub(super) fn home(application: &Application, headers: &HeaderMap, received: &Received<'_>, report: Option<&Report>) -> Response {
    let now = application.clock.now();
    let table = |object: Option<&Map<String, Value>>| object.and_then(|object| table(object, now));
    let access_token = received.access_token.map(|token| {
        let decoded = Token::decode(token);
        json!({
            "shortened": shortened(token),
            "header": table(decoded.as_ref().map(|token| &token.header)),
            "claims": table(decoded.as_ref().map(|token| &token.claims)),
        })
    });
    let values = json!({
        "person": report.and_then(Report::verified).map(person),
        "signed_in": report.is_some(),
        "checks": report.map(|report| &report.checks),
        "identity": received.identity,
        "data": received.data.map(shortened),
        "header": table(report.and_then(|report| report.header.as_ref())),
        "claims": table(report.and_then(|report| report.claims.as_ref())),
        "access_token": access_token,
        "headers": shown(headers),
    });
    let template = ("home.html", include_str!("templates/home.html"));
    let view =
        View { status: StatusCode::OK, title: "Who you are", current: "/", signed_in: report.is_some(), template, script: Some(SCRIPT) };
    page(application, &view, &values)
}

/// `/public`
pub(super) fn public(application: &Application) -> Response {
    let template = ("public.html", include_str!("templates/public.html"));
    let view = View { status: StatusCode::OK, title: "A public page", current: "/public", signed_in: false, template, script: None };
    page(application, &view, &json!({}))
}

/// `/optional`
pub(super) fn optional(application: &Application, report: Option<&Report>) -> Response {
    let values = json!({
        "person": report.and_then(Report::verified).map(person),
        "failure": report.and_then(Report::first_failure),
    });
    let template = ("optional.html", include_str!("templates/optional.html"));
    let signed_in = report.is_some();
    let view = View { status: StatusCode::OK, title: "With or without", current: "/optional", signed_in, template, script: None };
    page(application, &view, &values)
}

pub(super) fn not_found(application: &Application) -> Response {
    let template = ("not_found.html", include_str!("templates/not_found.html"));
    let view = View { status: StatusCode::NOT_FOUND, title: "Nothing here", current: "", signed_in: false, template, script: None };
    page(application, &view, &json!({}))
}

/// A page as far as it differs from the others.
struct View<'a> {
    status: StatusCode,
    title: &'a str,
    /// The entry of the navigation that leads here.
    current: &'a str,
    signed_in: bool,
    template: (&'a str, &'a str),
    script: Option<&'static str>,
}

fn page(application: &Application, view: &View<'_>, values: &Value) -> Response {
    let View { status, title, current, signed_in, template: (name, source), script } = *view;
    let theme = &application.theme;
    let markup = render(name, source, values).and_then(|content| {
        let frame = json!({ "logo": theme.logo(), "current": current, "signed_in": signed_in, "content": content });
        render("frame.html", include_str!("templates/frame.html"), &frame)
    });
    match markup {
        Ok(main) => {
            let title = format!("{title} · Sample application");
            Page { status, language: "en", title: &title, shape: "wide", main, script }.respond(theme)
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made.").into_response(),
    }
}

/// The person of verified claims.
fn person(claims: &Map<String, Value>) -> Value {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = text("given_name").or(text("name")).or(text("username")).or(text("email")).or(text("sub")).unwrap_or("you");
    json!({
        "name": name,
        "initial": name.chars().take(1).flat_map(char::to_uppercase).collect::<String>(),
        "email": text("email"),
        "groups": claims.get("cognito:groups").or(claims.get("groups")).and_then(Value::as_array),
    })
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    values: Vec<String>,
    list: bool,
    note: Option<String>,
}

fn rows(object: &Map<String, Value>, now: UnixTime) -> Vec<Row<'_>> {
    let mut rows: Vec<_> = object
        .iter()
        .map(|(name, value)| Row {
            name,
            values: match value {
                Value::Array(items) => items.iter().map(text).collect(),
                other => vec![text(other)],
            },
            list: value.is_array(),
            note: note(name, value, now),
        })
        .collect();
    rows.sort_by_key(|row| row.name);
    rows
}

/// Markup. None if it cannot be made, which leaves the rest of the page.
fn table(object: &Map<String, Value>, now: UnixTime) -> Option<String> {
    render("table.html", include_str!("templates/table.html"), &json!({ "rows": rows(object, now) })).ok()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A NumericDate in words.
fn note(name: &str, value: &Value, now: UnixTime) -> Option<String> {
    if !matches!(name, "exp" | "iat" | "nbf" | "auth_time") {
        return None;
    }
    let seconds = value.as_u64()?;
    let moment = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    let distance = if seconds >= now.0 { format!("in {}", span(seconds - now.0)) } else { format!("{} ago", span(now.0 - seconds)) };
    Some(format!("{} UTC, {distance}", moment.strftime("%Y-%m-%d %H:%M:%S")))
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

const SCRIPT: &str = include_str!("templates/fetch.js");

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{UnixTime, note, person};

    #[test]
    fn a_date_is_told_in_words() {
        assert_eq!(note("exp", &json!(1_000_000_100), UnixTime(1_000_000_000)).unwrap(), "2001-09-09 01:48:20 UTC, in 100 s");
        assert_eq!(note("iat", &json!(0), UnixTime(864_000)).unwrap(), "1970-01-01 00:00:00 UTC, 10 days ago");
        assert_eq!(note("exp", &json!(u64::MAX), UnixTime(0)), None);
        assert_eq!(note("sub", &json!(5), UnixTime(0)), None);
    }

    #[test]
    fn a_person_has_the_friendliest_name_there_is() {
        let name = |claims: serde_json::Value| person(claims.as_object().unwrap())["name"].clone();
        assert_eq!(name(json!({ "given_name": "Alice", "email": "alice@example.com", "sub": "1" })), "Alice");
        assert_eq!(name(json!({ "given_name": "", "email": "alice@example.com", "sub": "1" })), "alice@example.com");
        assert_eq!(name(json!({ "sub": "1" })), "1");
    }
}

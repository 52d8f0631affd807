//! The pages of the demonstration: one layout, one stylesheet, one set of response headers.
//!
//! Everything a template prints is escaped; a page carries no inline style or script that its Content-Security-Policy
//! does not name by hash, so that markup which slips in from a request would neither run nor restyle the page.

mod color;
mod theme;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Value, json};

pub use theme::ThemeError;
pub(super) use theme::{BACKGROUND, PRIMARY, Theme};

/// One page. `main` is markup that came out of [`render`].
pub(super) struct Page<'a> {
    pub(super) status: StatusCode,
    /// BCP 47, for `<html lang>`: a screen reader chooses its voice by it.
    pub(super) language: &'a str,
    pub(super) title: &'a str,
    /// Class of the body: `card` centres one card, `wide` is a column to read.
    pub(super) shape: &'static str,
    pub(super) main: String,
    /// A script of our own; a page must be complete without it.
    pub(super) script: Option<&'static str>,
}

impl Page<'_> {
    pub(super) fn respond(&self, theme: &Theme) -> Response {
        let rendered = render(
            "layout.html",
            include_str!("layout.html"),
            &json!({
                "language": self.language,
                "title": self.title,
                "shape": self.shape,
                "icon": theme.logo(),
                "style": theme.style(),
                "main": self.main,
                "script": self.script,
            }),
        );
        let Ok(markup) = rendered else {
            return (StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made.").into_response();
        };
        let mut response = (self.status, markup).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        if let Ok(policy) = HeaderValue::from_str(&content_security_policy(theme.style(), self.script)) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

/// Fills a template. A name that the template uses and the context lacks is an error, not an empty string.
pub(super) fn render(name: &str, source: &str, values: &Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.render_named_str(name, source, Serde(values))
}

/// Headers of every answer: nothing here may be cached, framed, sniffed or named in a Referer.
pub(super) async fn with_security_headers(mut response: Response) -> Response {
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// `form-action` is left out on purpose: Chromium applies it to the redirects after a form post as well, and signing
/// in ends with a chain of them to addresses that only the client knows.
fn content_security_policy(style: &str, script: Option<&str>) -> String {
    let mut policy = format!("default-src 'none'; img-src data:; style-src '{}'", source_hash(style));
    if let Some(script) = script {
        policy.push_str(&format!("; script-src '{}'; connect-src 'self'", source_hash(script)));
    }
    policy.push_str("; base-uri 'none'; frame-ancestors 'none'");
    policy
}

fn source_hash(source: &str) -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, source.as_bytes())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{content_security_policy, render};

    #[test]
    fn what_a_template_prints_is_text() {
        let markup = render("t.html", "<p title='{{ value }}'>{{ value }}</p>", &json!({ "value": "<b a='\"&" })).unwrap();
        assert_eq!(markup, "<p title='&lt;b a=&#x27;&quot;&amp;'>&lt;b a=&#x27;&quot;&amp;</p>");
    }

    #[test]
    fn a_missing_value_is_an_error() {
        assert!(render("t.html", "{{ missing }}", &json!({})).is_err());
    }

    #[test]
    fn a_page_without_a_script_allows_none() {
        let policy = content_security_policy("p{}", None);
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("script-src") && !policy.contains("unsafe-inline"), "{policy}");
    }
}

//! The gateway's own pages: one template, the visitor's language, a policy that lets nothing run.
//!
//! A folder of templates can replace it: `page.html` for all situations, `<situation>.html` for one.

use std::collections::HashMap;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{AutoEscape, Environment, context};
use serde::Deserialize;

/// What a page says, beside the texts of its situation.
#[derive(Debug, Default)]
pub struct PageContext<'a> {
    pub host: &'a str,
    pub identity: &'a str,
    pub status: Option<u16>,
    pub request_id: &'a str,
    /// Where the one button leads.
    pub action: Option<&'a str>,
    /// The way back to the host.
    pub secondary: Option<&'a str>,
    /// What there is to choose from.
    pub choices: Vec<Link>,
    /// Of the pages that hold a form until its sender is signed in.
    pub form: Option<FormField<'a>>,
}

/// Where a form is sent, and what it is sealed into; nothing where the page's script has to look for it.
#[derive(Debug, Clone, Copy)]
pub struct FormField<'a> {
    pub action: &'a str,
    pub value: &'a str,
}

/// A link with the words on it.
#[derive(Debug, Clone)]
pub struct Link {
    pub href: String,
    pub label: String,
}

/// A page and the Content-Security-Policy that fits it.
#[derive(Debug)]
pub struct Page {
    pub html: String,
    pub policy: String,
    /// Whether a form is sent from it.
    pub has_form: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("the template {name} is not usable: {error}")]
    Template { name: String, error: minijinja::Error },
    #[error("the built-in texts are damaged: {0}")]
    Texts(#[from] serde_json::Error),
}

/// Compiled templates and texts.
pub struct Pages {
    environment: Environment<'static>,
    policies: HashMap<String, String>,
    texts: HashMap<String, Language>,
}

#[derive(Deserialize)]
struct Language {
    common: Common,
    #[serde(flatten)]
    situations: HashMap<String, Text>,
}

#[derive(Deserialize)]
struct Common {
    back: String,
    request_id: String,
}

#[derive(Deserialize)]
struct Text {
    title: String,
    sentence: String,
    action: Option<String>,
    /// What else there is to say with a form.
    form: Option<FormText>,
}

#[derive(Deserialize)]
struct FormText {
    send: String,
    /// To whoever runs no scripts.
    by_hand: Option<String>,
    /// The form is in this tab.
    waiting: Option<String>,
    /// The button has been pressed before.
    pressed: Option<String>,
}

/// Every situation that has a text; a template of that name replaces its page.
pub const SITUATIONS: [&str; 31] = [
    "too_many_requests",
    "bad_request",
    "sign_in_required",
    "token_required",
    "sign_in_expired",
    "sign_in_not_recognised",
    "access_denied",
    "forbidden",
    "insufficient_user_authentication",
    "not_found",
    "method_not_allowed",
    "too_large",
    "too_slow",
    "uri_too_long",
    "headers_too_large",
    "misdirected",
    "target_failed",
    "unavailable",
    "target_timeout",
    "sign_in_unavailable",
    "internal_error",
    "session_too_large",
    "signed_out",
    "confirm_sign_out",
    "page",
    "choose_provider",
    "form_not_sent",
    "form_too_large",
    "form_waiting",
    "form_sent",
    "form_refused",
];

/// Pages that a form is sent from.
const WITH_FORM: [&str; 2] = ["form_not_sent", "form_waiting"];

impl Pages {
    /// `overrides` maps `<situation>` or `page` to the text of a template. All are tried once, so that a mistake in one shows
    /// at start.
    pub fn new(overrides: &HashMap<String, String>) -> Result<Self, PageError> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let mut policies = HashMap::new();
        // A `page` of the operator's knows nothing of forms: it does not replace these.
        let built_in = ["page"].into_iter().chain(WITH_FORM).map(|name| (name, include_str!("pages/page.html")));
        let custom = overrides.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (name, text) in built_in.chain(custom) {
            let failed = |error| PageError::Template { name: name.to_owned(), error };
            environment.add_template_owned(name.to_owned(), text.to_owned()).map_err(failed)?;
            policies.insert(name.to_owned(), policy(name, text, overrides.contains_key(name)));
        }
        let texts = serde_json::from_str(include_str!("pages/texts.json"))?;
        let pages = Self { environment, policies, texts };
        for name in pages.policies.keys() {
            pages
                .draw(name, "bad_request", "en", &PageContext::default())
                .map_err(|error| PageError::Template { name: name.clone(), error })?;
        }
        Ok(pages)
    }

    /// The page of a situation in the best language of `accept_language` (RFC 9110 §12.5.4).
    #[must_use]
    pub fn render(&self, situation: &str, accept_language: Option<&str>, page: &PageContext<'_>) -> Page {
        let language = self.language(accept_language.unwrap_or_default());
        let template = if self.policies.contains_key(situation) { situation } else { "page" };
        let html = self.draw(template, situation, language, page).unwrap_or_else(|_| situation.replace('_', " "));
        let policy = self.policies.get(template).cloned().unwrap_or_else(|| policy(template, "", false));
        Page { html, policy, has_form: WITH_FORM.contains(&situation) }
    }

    fn draw(&self, template: &str, situation: &str, language: &str, page: &PageContext<'_>) -> Result<String, minijinja::Error> {
        let fill = |text: &str| text.replace("{host}", page.host).replace("{identity}", page.identity);
        let texts = self.texts.get(language);
        let text = texts.and_then(|texts| texts.situations.get(situation));
        let link = |href: &str, label: &str| context! { href, label => fill(label) };
        let action = page.action.zip(text.and_then(|text| text.action.as_deref())).map(|(href, label)| link(href, label));
        let secondary = page.secondary.zip(texts).map(|(href, texts)| link(href, &texts.common.back));
        let choices: Vec<_> = page.choices.iter().map(|choice| link(&choice.href, &choice.label)).collect();
        let form = page.form.zip(text.and_then(|text| text.form.as_ref()));
        let form = form.map(|(field, text)| {
            let fill = |text: &Option<String>| text.as_deref().map(fill);
            let (by_hand, waiting, pressed) = (fill(&text.by_hand), fill(&text.waiting), fill(&text.pressed));
            context! { action => field.action, value => field.value, send => &text.send, by_hand, waiting, pressed }
        });
        self.environment.get_template(template)?.render(context! {
            lang => language,
            dir => "ltr",
            situation,
            host => page.host,
            status => page.status,
            title => text.map(|text| fill(&text.title)),
            sentence => text.map(|text| fill(&text.sentence)),
            action,
            secondary,
            request_id => page.request_id,
            request_id_label => texts.map(|texts| texts.common.request_id.as_str()),
            choices,
            form,
        })
    }

    fn language(&self, accept: &str) -> &str {
        let mut best = ("en", 0.0_f32);
        for range in accept.split(',').take(16) {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if let Some((known, _)) = self.texts.get_key_value(&tag)
                && weight > best.1
            {
                best = (known, weight);
            }
        }
        best.0
    }
}

/// Nothing may load or run but the style block of the template, known by its hash (CSP Level 3 §2.3.1), and where a form is sent the
/// script that brings it through the sign-in. A template of the operator's may also embed pictures.
fn policy(name: &str, template: &str, custom: bool) -> String {
    let has_form = WITH_FORM.contains(&name);
    let style = hashes("style", template);
    let script = if has_form { hashes("script", template) } else { String::new() };
    let image = if custom { " img-src data:;" } else { "" };
    // An application may answer a form with a redirect to another place, a payment, and Chromium holds that against this page.
    let action = if has_form { "'self' https:" } else { "'none'" };
    format!("default-src 'none';{style}{script}{image} base-uri 'none'; form-action {action}; frame-ancestors 'none'")
}

/// What a template's blocks of a kind need to work.
fn hashes(kind: &str, template: &str) -> String {
    let (open, close) = (format!("<{kind}>"), format!("</{kind}>"));
    let blocks = template.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
    let hash = |(block, _): (&str, &str)| STANDARD.encode(digest::digest(&digest::SHA256, block.as_bytes()));
    let hashes: String = blocks.map(hash).map(|hash| format!(" 'sha256-{hash}'")).collect();
    if hashes.is_empty() { hashes } else { format!(" {kind}-src{hashes};") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_situation_has_a_page_in_every_language() {
        let pages = Pages::new(&HashMap::new()).unwrap();
        for language in ["en", "de", "fr", "es", "ja"] {
            for situation in SITUATIONS.iter().filter(|name| **name != "page") {
                let context = PageContext {
                    host: "app.test",
                    identity: "<b>a</b>",
                    request_id: "7f3a",
                    action: Some("/x?a=1&b=\"2\""),
                    secondary: Some("/"),
                    status: Some(400),
                    choices: vec![Link { href: "/login?a=1&b=2".to_owned(), label: "Example <Corp>".to_owned() }],
                    form: Some(FormField { action: "/oauth2/form?rule=0", value: "sealed\"" }),
                };
                let page = pages.render(situation, Some(&format!("{language}-XX, en;q=0.5")), &context);
                assert!(page.html.contains(&format!("lang=\"{language}\"")), "{situation} {language}");
                assert!(
                    !page.html.contains("<b>a") && !page.html.contains("{host}") && !page.html.contains("{identity}"),
                    "{situation} {language}"
                );
                assert!(page.html.contains("Example &lt;Corp&gt;"), "{situation} {language}");
                let runs = page.policy.contains("script-src 'sha256-") && page.html.contains("sealed&quot;");
                assert!(runs == WITH_FORM.contains(situation) && page.html.contains("<script>") == runs, "{situation} {language}");
                assert!(page.html.contains("7f3a") && page.policy.contains("style-src 'sha256-"), "{situation} {language}");
            }
        }
    }

    #[test]
    fn a_broken_template_is_found_at_start() {
        let broken = HashMap::from([("forbidden".to_owned(), "{% if %}".to_owned())]);
        assert!(matches!(Pages::new(&broken), Err(PageError::Template { name, .. }) if name == "forbidden"));
    }
}

//! The forms of a page, and what a browser would send if a person filled them in.

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{StartTag, Token, Tokenizer};
use zeroize::Zeroizing;

use super::people::User;
use super::plan::Fields;

/// A form with its controls in the order of the page.
#[derive(Debug, Default)]
pub(super) struct Form {
    id: String,
    pub(super) action: String,
    pub(super) is_post: bool,
    controls: Vec<Control>,
}

#[derive(Debug)]
struct Control {
    kind: Kind,
    name: String,
    value: String,
    autocomplete: String,
    /// A checkbox or a radio button that is on, or not one of them.
    is_on: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hidden,
    Text,
    Password,
    Toggle,
    Submit,
}

/// What a page asks a person to do.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) forms: Vec<Form>,
    /// Where a `<meta http-equiv="refresh">` leads to.
    pub(super) refresh: Option<String>,
}

/// What a form that is filled in sends, in the order of the page.
pub(super) type Entries<'a> = Vec<(&'a str, &'a str)>;

impl Page {
    pub(super) fn parse(html: &[u8]) -> Self {
        let mut emitter = DefaultEmitter::default();
        // What scripts and styles hold is no markup.
        emitter.naively_switch_states(true);
        let mut page = Self { forms: Vec::new(), refresh: None };
        let mut open = None;
        for token in Tokenizer::new_with_emitter(html, emitter) {
            let Ok(token) = token;
            match token {
                Token::StartTag(tag) => match &**tag.name {
                    b"form" => {
                        page.forms.push(Form::new(&tag));
                        open = Some(page.forms.len() - 1);
                    }
                    b"meta" => page.refresh = page.refresh.take().or_else(|| refresh(&tag)),
                    b"input" | b"button" => page.take(&tag, open),
                    _ => {}
                },
                Token::EndTag(tag) if &**tag.name == b"form" => open = None,
                _ => {}
            }
        }
        page
    }

    fn take(&mut self, tag: &StartTag<()>, open: Option<usize>) {
        let Some(control) = Control::new(tag) else { return };
        let owner = match attribute(tag, "form") {
            Some(id) => self.forms.iter().position(|form| form.id == id),
            None => open,
        };
        if let Some(form) = owner.and_then(|at| self.forms.get_mut(at)) {
            form.controls.push(control);
        }
    }

    /// The first form that asks for exactly one password: one that asks for two makes an account or changes a password.
    pub(super) fn password_form(&self, fields: &Fields) -> Option<&Form> {
        self.forms.iter().find(|form| match &fields.password {
            Some(name) => form.controls.iter().any(|control| control.name == *name),
            None => form.controls.iter().filter(|control| control.kind == Kind::Password).count() == 1,
        })
    }

    /// The first form that asks for a name and not yet for a password.
    pub(super) fn user_form(&self, fields: &Fields) -> Option<&Form> {
        self.forms.iter().find(|form| form.user_field(fields).is_some())
    }

    /// The first form that only wants to be sent.
    pub(super) fn consent_form(&self) -> Option<&Form> {
        self.forms.iter().find(|form| form.controls.iter().all(|control| !matches!(control.kind, Kind::Text | Kind::Password)))
    }
}

impl Form {
    fn new(tag: &StartTag<()>) -> Self {
        Self {
            id: attribute(tag, "id").unwrap_or_default(),
            action: attribute(tag, "action").unwrap_or_default(),
            is_post: attribute(tag, "method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
            controls: Vec::new(),
        }
    }

    fn user_field(&self, fields: &Fields) -> Option<&str> {
        if let Some(name) = &fields.user {
            return self.controls.iter().find(|control| control.name == *name).map(|control| &*control.name);
        }
        let mut texts = self.controls.iter().filter(|control| control.kind == Kind::Text);
        let told = texts.clone().find(|control| control.autocomplete.split_whitespace().any(|word| word == "username"));
        told.or_else(|| texts.next()).map(|control| &*control.name)
    }

    fn password_field(&self, fields: &Fields) -> Option<&str> {
        let told = fields.password.as_deref();
        let found = self.controls.iter().find(|control| told.map_or(control.kind == Kind::Password, |name| control.name == name));
        found.map(|control| &*control.name)
    }

    /// What is sent when its first button is pressed, as by the return key.
    pub(super) fn filled<'a>(&'a self, user: &'a User, fields: &Fields) -> Entries<'a> {
        let (name, password) = (self.user_field(fields), self.password_field(fields));
        let mut pressed = false;
        let mut entries = Vec::new();
        for control in &self.controls {
            let value: &str = if Some(&*control.name) == password {
                user.password.expose()
            } else if Some(&*control.name) == name && control.kind != Kind::Hidden {
                &user.name
            } else {
                &control.value
            };
            let is_sent = match control.kind {
                Kind::Submit => !std::mem::replace(&mut pressed, true),
                _ => control.is_on,
            };
            if is_sent && !control.name.is_empty() {
                entries.push((&*control.name, value));
            }
        }
        entries
    }
}

impl Control {
    fn new(tag: &StartTag<()>) -> Option<Self> {
        if attribute(tag, "disabled").is_some() {
            return None;
        }
        let is_button = &**tag.name == b"button";
        let default = if is_button { "submit" } else { "text" };
        let kind = match attribute(tag, "type").unwrap_or_default().to_ascii_lowercase().as_str() {
            "hidden" => Kind::Hidden,
            "password" => Kind::Password,
            "checkbox" | "radio" => Kind::Toggle,
            "submit" => Kind::Submit,
            "image" | "reset" | "button" | "file" => return None,
            _ if default == "submit" => Kind::Submit,
            _ => Kind::Text,
        };
        let is_on = kind != Kind::Toggle || attribute(tag, "checked").is_some();
        let value = attribute(tag, "value").unwrap_or_else(|| if kind == Kind::Toggle { "on".to_owned() } else { String::new() });
        let autocomplete = attribute(tag, "autocomplete").unwrap_or_default().to_ascii_lowercase();
        Some(Self { kind, name: attribute(tag, "name").unwrap_or_default(), value, autocomplete, is_on })
    }
}

/// The text of `application/x-www-form-urlencoded`; it may hold a password.
pub(super) fn encoded(entries: &Entries<'_>) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::Serializer::new(String::new()).extend_pairs(entries).finish())
}

fn refresh(tag: &StartTag<()>) -> Option<String> {
    attribute(tag, "http-equiv").filter(|name| name.eq_ignore_ascii_case("refresh"))?;
    let content = attribute(tag, "content")?;
    let (_, target) = content.split_once([';', ','])?;
    let (name, url) = target.split_once('=')?;
    name.trim().eq_ignore_ascii_case("url").then(|| url.trim().trim_matches(['\'', '"']).to_owned())
}

fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    tag.attributes.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn alice() -> User {
        User { name: "alice".to_owned(), password: Secret::from("won&der=land") }
    }

    fn filled(html: &str, fields: &Fields) -> Option<String> {
        let page = Page::parse(html.as_bytes());
        page.password_form(fields).map(|form| encoded(&form.filled(&alice(), fields)).to_string())
    }

    #[test]
    fn the_form_with_a_password_is_filled_in_as_a_browser_would() {
        let html = r#"<script>var x = "<form><input type=password>"</script><!-- <form><input type=password name=c></form> -->
            <form action=/search><input name=q></form>
            <form id=f method=POST action="/login?a=1&amp;b=2"><input type=hidden name=_csrf value="a&quot;b">
            <input name=user><input TYPE=Password name=pw><input type=checkbox name=remember>
            <input type=checkbox name=terms checked><input name=off disabled><button name=action value=login>Sign in</button>
            <button name=action value=cancel>Cancel</button></form><input type=hidden form=f name=late value=1>"#;
        assert_eq!(filled(html, &Fields::default()).unwrap(), "_csrf=a%22b&user=alice&pw=won%26der%3Dland&terms=on&action=login&late=1");
        let page = Page::parse(html.as_bytes());
        let form = page.password_form(&Fields::default()).unwrap();
        assert_eq!((form.action.as_str(), form.is_post), ("/login?a=1&b=2", true));
    }

    #[test]
    fn names_that_are_told_win_and_autocomplete_comes_before_the_order() {
        let html =
            "<form method=post><input name=company><input name=login autocomplete='section-a username'><input type=password name=p></form>";
        assert_eq!(filled(html, &Fields::default()).unwrap(), "company=&login=alice&p=won%26der%3Dland");
        let told = Fields { user: Some("company".to_owned()), password: Some("login".to_owned()) };
        assert_eq!(filled(html, &told).unwrap(), "company=alice&login=won%26der%3Dland&p=");
    }

    #[test]
    fn a_form_that_makes_an_account_is_not_a_sign_in() {
        let html = "<form><input name=u><input type=password name=a><input type=password name=b></form>";
        assert!(filled(html, &Fields::default()).is_none());
    }

    #[test]
    fn first_the_name_then_the_password() {
        let page = Page::parse(
            b"<form method=post><input type=hidden name=state value=s><input type=email name=identifier><button>Next</button></form>",
        );
        let fields = Fields::default();
        assert!(page.password_form(&fields).is_none() && page.consent_form().is_none());
        assert_eq!(*encoded(&page.user_form(&fields).unwrap().filled(&alice(), &fields)), "state=s&identifier=alice");
    }

    #[test]
    fn consent_presses_the_first_button_and_a_refresh_is_followed() {
        let page = Page::parse(b"<form method=post action=go><input type=hidden name=prompt value=consent><button autofocus>Continue</button><button name=cancel value=yes>No</button></form>");
        assert_eq!(*encoded(&page.consent_form().unwrap().filled(&alice(), &Fields::default())), "prompt=consent");
        let page = Page::parse(b"<meta http-equiv=Refresh content=\"0; URL='/on?x=1'\">");
        assert_eq!(page.refresh.as_deref(), Some("/on?x=1"));
    }
}

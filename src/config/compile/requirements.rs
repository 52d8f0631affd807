//! `acr_values`, `max_age` and `amr`: how and when people have to have signed in.

use super::ConnectedProvider;
use super::context::Context;
use super::issuers;
use crate::authentication::AuthenticationRequirements;
use crate::config::raw;
use crate::config::reader::{Located, Seconds};
use crate::provider::{LEEWAY, LogoutStyle, Provider};

pub(super) fn compile(
    context: &mut Context<'_>,
    acr_values: &Located<Vec<Located<String>>>,
    max_age: Option<&Located<Seconds>>,
    amr: &Located<Vec<Located<String>>>,
) -> AuthenticationRequirements {
    let seconds = max_age.map(|at| at.value.0.as_secs());
    match max_age.zip(seconds) {
        Some((at, 0)) => {
            context.error_hint(at, "with max_age: 0 no sign-in would ever be recent enough", "write how long one is, such as 15m");
        }
        Some((at, seconds)) if seconds < LEEWAY => context.warn(
            at,
            "a sign-in is over before people have done much with it, and clocks may differ by as much",
            format!("at least {LEEWAY}s"),
        ),
        Some(_) | None => {}
    }
    AuthenticationRequirements { acr_values: words(context, acr_values), max_age: seconds, amr: words(context, amr) }
}

/// They stand between spaces in the authorization request and between quotes in a challenge.
fn words(context: &mut Context<'_>, at: &Located<Vec<Located<String>>>) -> Vec<String> {
    // One that is not there has no path.
    if at.value.is_empty() && !at.path.is_empty() {
        context.error_hint(at, "there is no value: nothing would be asked for", "name one, or leave the key out");
    }
    if at.value.len() > 10 {
        context.error(at, "there are at most 10 values");
    }
    for value in &at.value {
        let sound = !value.value.is_empty() && value.value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        if !sound {
            context.error(value, format!("{:?} is not one value: no spaces, quotes or other than ASCII", value.value));
        }
    }
    at.value.iter().map(|value| value.value.clone()).collect()
}

/// What is sound and cannot work, or is not what was meant.
pub(super) fn voice_doubts(context: &mut Context<'_>, raw: &raw::Authenticate, providers: &[&ConnectedProvider]) {
    for connected in providers {
        let provider = &connected.provider;
        let Some(missing) = never_says(provider) else { continue };
        let asked = [("acr_values", asked(&raw.acr_values)), ("amr", asked(&raw.amr)), ("max_age", raw.max_age.as_ref().map(empty))];
        for (key, at) in asked {
            if let Some(at) = at.filter(|_| missing.contains(&key)) {
                let message = format!("people of {} may never pass: its ID tokens do not tell what {key} asks for", provider.name);
                context.warn(&at, message, "see docs/step-up.md, and try it before you rely on it");
            }
        }
    }
    for (name, at) in raw.extra_params() {
        let is_key = match name.as_str() {
            "acr_values" => Some(asked(&raw.acr_values).is_some()),
            "max_age" => Some(raw.max_age.is_some()),
            _ => None,
        };
        match is_key {
            Some(true) => context.error(at, format!("{name} is given as a key of authenticate too")),
            Some(false) => context.warn(
                at,
                format!("{name} is asked for and not checked: a provider may ignore it"),
                format!("write {name} as a key of authenticate"),
            ),
            None => {}
        }
    }
}

/// Keys that ask for claims which a provider is known not to send.
fn never_says(provider: &Provider) -> Option<&'static [&'static str]> {
    if provider.logout == LogoutStyle::Cognito {
        return Some(&["acr_values", "amr"]);
    }
    (&**provider.issuers.first() == issuers::GOOGLE).then_some(&["acr_values", "amr", "max_age"])
}

fn asked(at: &Located<Vec<Located<String>>>) -> Option<Located<()>> {
    (!at.value.is_empty()).then(|| empty(at))
}

fn empty<T>(at: &Located<T>) -> Located<()> {
    Located { value: (), span: at.span, path: at.path.clone() }
}

//! How the pages look: a logo and two colours, and from them the light and the dark stylesheet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::color::Color;

/// Logo and stylesheet, made once from the configuration.
#[derive(Clone, Debug)]
pub(in crate::demo) struct Theme {
    logo: String,
    style: String,
}

/// What is wrong with the branding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    #[error("{name} is {value:?}; a colour is written #rrggbb or #rgb")]
    Color { name: &'static str, value: String },
    #[error("the logo must be an inline SVG (<svg …>) or a data:image/… URL")]
    Logo,
}

impl Theme {
    /// `logo` is an inline SVG or a `data:image/` URL.
    pub(in crate::demo) fn new(logo: Option<&str>, primary: &str, background: &str) -> Result<Self, ThemeError> {
        let color = |name, value: &str| Color::parse(value).ok_or_else(|| ThemeError::Color { name, value: value.to_owned() });
        let primary = color("primary_color", primary)?;
        let background = color("background_color", background)?;
        let logo = match logo {
            Some(logo) => image(logo).ok_or(ThemeError::Logo)?,
            None => default_logo(primary),
        };
        Ok(Self { logo, style: style(primary, background) })
    }

    /// Vestibule's own look.
    pub(in crate::demo) fn own() -> Result<Self, ThemeError> {
        Self::new(None, PRIMARY, BACKGROUND)
    }

    /// A `data:` URL.
    pub(in crate::demo) fn logo(&self) -> &str {
        &self.logo
    }

    pub(super) fn style(&self) -> &str {
        &self.style
    }
}

/// An SVG becomes an image of its own rather than part of the page: as an image it can run no script and reach nothing
/// of the document around it, and its own styles need no place in the page's Content-Security-Policy.
fn image(logo: &str) -> Option<String> {
    let logo = logo.trim();
    if logo.starts_with("<svg") {
        return Some(svg(logo));
    }
    logo.starts_with("data:image/").then(|| logo.to_owned())
}

fn svg(markup: &str) -> String {
    format!("data:image/svg+xml;base64,{}", STANDARD.encode(markup))
}

fn default_logo(primary: Color) -> String {
    svg(&include_str!("logo.svg").replace(PRIMARY, &primary.to_string()).replace("#fefefe", &primary.text_on().to_string()))
}

fn style(primary: Color, background: Color) -> String {
    let dark_background = Color::INK.mix(primary, 4).mix(Color::BLACK, 35);
    let dark_card = Color::INK.mix(primary, 6).mix(Color::WHITE, 4);
    let light = [
        ("primary", primary),
        ("on-primary", primary.text_on()),
        ("primary-hover", primary.mix(primary.text_on().inverse(), 14)),
        ("accent", primary.readable_on(Color::WHITE, Color::INK)),
        ("background", background),
        ("card", Color::WHITE),
    ];
    let dark_primary = primary.mix(Color::WHITE, 8);
    let dark = [
        ("primary", dark_primary),
        ("on-primary", dark_primary.text_on()),
        ("primary-hover", dark_primary.mix(dark_primary.text_on().inverse(), 14)),
        ("accent", primary.readable_on(dark_card, Color::WHITE).mix(Color::WHITE, 10)),
        ("background", dark_background),
        ("card", dark_card),
    ];
    let variables = |list: &[(&str, Color)]| list.iter().map(|(name, color)| format!("--{name}:{color};")).collect::<String>();
    format!(
        ":root{{{}}}\n@media (prefers-color-scheme:dark){{:root{{{}}}}}\n{}",
        variables(&light),
        variables(&dark),
        include_str!("style.css")
    )
}

impl Color {
    /// Where a button goes when the pointer is on it: away from its text, so that contrast only grows.
    fn inverse(self) -> Self {
        if self == Self::WHITE { Self::INK } else { Self::WHITE }
    }
}

/// Vestibule's blue.
pub(in crate::demo) const PRIMARY: &str = "#12594f";
pub(in crate::demo) const BACKGROUND: &str = "#f3f5f4";

#[cfg(test)]
mod tests {
    use super::{Theme, ThemeError};

    #[test]
    fn a_colour_cannot_leave_its_declaration() {
        let refused = Theme::new(None, "#fff;}body{display:none", "#fff").unwrap_err();
        assert!(matches!(refused, ThemeError::Color { name: "primary_color", .. }));
    }

    #[test]
    fn a_logo_is_an_image_and_never_markup() {
        let theme = Theme::new(Some("<svg onload='alert(1)'/>"), "#123", "#fff").unwrap();
        assert!(theme.logo().starts_with("data:image/svg+xml;base64,"));
        for refused in ["<img src=x>", "https://example.com/logo.png", "javascript:alert(1)", "data:text/html,x"] {
            assert_eq!(Theme::new(Some(refused), "#123", "#fff").unwrap_err(), ThemeError::Logo, "{refused}");
        }
    }
}

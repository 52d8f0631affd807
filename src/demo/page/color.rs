//! Colours from the configuration, made readable: WCAG 2.2 contrast decides what is written on them and how far they
//! move towards black or white before they carry text.

use std::fmt;

/// An opaque sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

impl Color {
    pub(super) const BLACK: Self = Self { red: 0, green: 0, blue: 0 };
    pub(super) const WHITE: Self = Self { red: 255, green: 255, blue: 255 };
    /// Text on light ground; not quite black, as on paper.
    pub(super) const INK: Self = Self { red: 0x16, green: 0x18, blue: 0x1d };

    /// Only `#rgb` and `#rrggbb`: whatever is accepted here is written into a stylesheet, and a freer grammar would
    /// let a value close the rule and begin its own.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = match digits.len() {
            3 => [0, (value >> 8) & 0xf, (value >> 4) & 0xf, value & 0xf].map(|nibble| nibble * 0x11),
            6 => value.to_be_bytes().map(u32::from),
            _ => return None,
        };
        Some(Self { red: u8::try_from(red).ok()?, green: u8::try_from(green).ok()?, blue: u8::try_from(blue).ok()? })
    }

    /// `percent` of `other` in this colour.
    pub(super) fn mix(self, other: Self, percent: u16) -> Self {
        let percent = percent.min(100);
        let channel = |own: u8, theirs: u8| {
            let sum = u16::from(own) * (100 - percent) + u16::from(theirs) * percent;
            u8::try_from(sum / 100).unwrap_or(u8::MAX)
        };
        Self { red: channel(self.red, other.red), green: channel(self.green, other.green), blue: channel(self.blue, other.blue) }
    }

    /// The nearest colour towards `end` that can be read as text on `ground` (WCAG 1.4.3: 4.5 to 1).
    pub(super) fn readable_on(self, ground: Self, end: Self) -> Self {
        (0..=100).step_by(4).map(|percent| self.mix(end, percent)).find(|color| color.contrast(ground) >= 4.5).unwrap_or(end)
    }

    /// What is written on this colour: white where it can be read, as on most buttons, otherwise dark. On a middle
    /// grey only black itself reaches 4.5 to 1.
    pub(super) fn text_on(self) -> Self {
        [Self::WHITE, Self::INK].into_iter().find(|text| text.contrast(self) >= 4.5).unwrap_or(Self::BLACK)
    }

    fn contrast(self, other: Self) -> f64 {
        let (own, theirs) = (self.luminance(), other.luminance());
        (own.max(theirs) + 0.05) / (own.min(theirs) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }
}

impl fmt::Display for Color {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

#[cfg(test)]
mod tests {
    use super::Color;

    #[test]
    fn both_spellings_are_read_and_nothing_else() {
        assert_eq!(Color::parse("#fff"), Some(Color::WHITE));
        assert_eq!(Color::parse("#16181D"), Some(Color::INK));
        for refused in ["", "#", "#ff", "#fffff", "ffffff", "red", "#ffffff;}", "#+12", "rgb(0,0,0)", "#ffffffff"] {
            assert_eq!(Color::parse(refused), None, "{refused}");
        }
    }

    #[test]
    fn text_stays_readable_on_any_button() {
        for color in ["#ffd400", "#3b4fd8", "#000", "#fff", "#777777", "#0a7f5a"] {
            let color = Color::parse(color).unwrap();
            assert!(color.text_on().contrast(color) >= 4.5, "{color}");
            assert!(color.readable_on(Color::WHITE, Color::INK).contrast(Color::WHITE) >= 4.5, "{color}");
            assert!(color.readable_on(Color::INK, Color::WHITE).contrast(Color::INK) >= 4.5, "{color}");
        }
    }
}

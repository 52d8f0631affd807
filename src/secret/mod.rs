//! Values that must not be seen: wiped when dropped, `[redacted]` wherever they are printed.

mod entropy;

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

#[cfg(test)]
pub(crate) use entropy::test_entropy;
pub use entropy::{Entropy, EntropyError};

/// A secret. It has no `Display`, no `Serialize`, and its `Debug` says nothing.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Each use is a place to look at in a review.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let printed = format!("{:?}", Some(Secret::from("wonderland")));
        assert_eq!(printed, "Some([redacted])");
    }
}

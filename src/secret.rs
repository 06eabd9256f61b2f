//! A password or passphrase: wiped when dropped, never printed, never serialised.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text. `Debug` shows three asterisks whatever its length, and there is no `Serialize`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself: only for the moment in which it is handed to a server or a library.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn push(&mut self, c: char) {
        self.0.push(c);
    }

    pub fn pop(&mut self) {
        self.0.pop();
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_text_nor_length() {
        assert_eq!(format!("{:?} {:?}", Secret::new("hunter2"), Secret::default()), "*** ***");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a cache was made for (R225).

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Length of a key, in hexadecimal digits.
const DIGITS: usize = 64;

/// The name of a cache: it changes with everything that has libraries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

/// What a cache is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ingredients<'a> {
    /// The commit of the application, if there is one.
    pub app_commit: Option<&'a str>,
    /// The commit of the runtime.
    pub runtime_commit: &'a str,
    /// What `.flatpak-info` says of the application's extensions.
    pub app_extensions: Option<&'a str>,
    /// The same of the runtime's.
    pub runtime_extensions: Option<&'a str>,
}

impl Key {
    /// The key for these.
    #[must_use]
    pub fn new(of: Ingredients<'_>) -> Self {
        let mut hash = Sha256::new();
        let all =
            [of.app_commit, Some(of.runtime_commit), of.app_extensions, of.runtime_extensions];
        for text in all.into_iter().flatten() {
            hash.update(text);
        }
        Self(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name is one of a cache: only such are ever deleted.
    #[must_use]
    pub(super) fn is_one(name: &[u8]) -> bool {
        name.len() == DIGITS && name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r225_keys_are_hashes_of_what_there_is() {
        // Of "abc", from FIPS 180-2.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let key = Key::new(Ingredients {
            app_commit: Some("a"),
            runtime_commit: "b",
            app_extensions: None,
            runtime_extensions: Some("c"),
        });
        assert_eq!(key.as_str(), abc);
        let other = Ingredients { app_extensions: Some("c"), ..Ingredients::default() };
        assert_ne!(Key::new(other), key);
        assert!(Key::is_one(abc.as_bytes()));
    }

    #[test]
    fn only_keys_are_keys() {
        let long = "0".repeat(65);
        let upper = "A".repeat(64);
        let up = format!("../{}", "0".repeat(61));
        for name in ["", "active", ".", "..", &long, &upper, &up] {
            assert!(!Key::is_one(name.as_bytes()), "{name}");
        }
    }
}

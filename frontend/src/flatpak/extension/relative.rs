// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths below a directory, as metadata gives them (R223, T69).

use std::path::{Component, Path, PathBuf};

use crate::message::shown;

/// A path that stays below the directory it is taken from: relative, without `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relative(PathBuf);

/// What cannot be such a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is no path below a directory", shown(text))]
pub struct RelativeError {
    /// As given.
    pub text: String,
}

impl Relative {
    /// Checks a path. `.` is one: the directory itself, which metadata of many extensions name as
    /// the place of their libraries.
    ///
    /// # Errors
    /// If it is absolute or empty, or has a `..` or a NUL (GHSA-w69g-9x8j-7p8f).
    pub fn new(text: &str) -> Result<Self, RelativeError> {
        let wrong = || RelativeError { text: text.to_owned() };
        if text.is_empty() || text.contains('\0') {
            return Err(wrong());
        }
        let mut path = PathBuf::new();
        for component in Path::new(text).components() {
            match component {
                Component::Normal(name) => path.push(name),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(wrong());
                }
            }
        }
        Ok(Self(path))
    }

    /// The same for a path that has to name something else than the directory itself.
    ///
    /// # Errors
    /// As [`Relative::new`], and for `.`.
    pub fn below(text: &str) -> Result<Self, RelativeError> {
        Self::new(text)
            .ok()
            .filter(|path| !path.0.as_os_str().is_empty())
            .ok_or_else(|| RelativeError { text: text.to_owned() })
    }

    /// The path, which may be empty.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path as the kernel takes it: `.` if it is empty.
    #[must_use]
    pub fn to_open(&self) -> &Path {
        if self.0.as_os_str().is_empty() { Path::new(".") } else { &self.0 }
    }

    /// This path below a directory.
    #[must_use]
    pub fn under(&self, directory: &Path) -> PathBuf {
        // Joining nothing would leave a slash at the end.
        if self.0.as_os_str().is_empty() { directory.to_owned() } else { directory.join(&self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r223_paths_stay_below() {
        for (text, meant) in
            [("a", "a"), ("a/b/", "a/b"), ("./a//b/.", "a/b"), (".", ""), ("..a", "..a")]
        {
            assert_eq!(Relative::new(text).unwrap().as_path(), Path::new(meant), "{text}");
        }
        for text in ["", "/", "/a", "..", "../a", "a/..", "a/../b", "a/b/..", "./..", "a\0b"] {
            assert_eq!(Relative::new(text).unwrap_err().text, text);
        }
        for text in [".", "./", "./.", "", "/a", "a/.."] {
            assert!(Relative::below(text).is_err(), "{text}");
        }
        assert_eq!(Relative::new("./").unwrap().under(Path::new("/app")), Path::new("/app"));
        assert_eq!(Relative::new("a").unwrap().under(Path::new("/app")), Path::new("/app/a"));
        assert_eq!(Relative::new(".").unwrap().to_open(), Path::new("."));
    }

    proptest! {
        #[test]
        fn t69_no_path_leads_elsewhere(text in "[./a\0]{0,12}|.{0,20}") {
            if let Ok(path) = Relative::new(&text) {
                let whole = path.under(Path::new("/app/x"));
                prop_assert!(whole.starts_with("/app/x"));
                let mut parts = path.as_path().components();
                prop_assert!(parts.all(|part| matches!(part, Component::Normal(_))));
                prop_assert!(!whole.to_string_lossy().contains("//"));
            }
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of what is installed: `app/org.example.App/x86_64/stable` (R9-R11).
//!
//! Parts are checked when they are made, so that none of them can lead out of the directory it is
//! looked up in.

use std::ffi::{OsStr, OsString};
use std::fmt;

use crate::message::shown;

/// Longest name of an application or runtime, in bytes.
const ID_BYTES: usize = 255;

/// Longest architecture or branch, in bytes: what a file name may have, `NAME_MAX`.
const PART_BYTES: usize = 255;

/// What a text cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use '{}' as {kind}\n{rule}", shown(text))]
pub struct ReferenceError {
    /// As given.
    pub text: OsString,
    /// What it was to be.
    pub kind: &'static str,
    /// What would be one.
    pub rule: &'static str,
}

/// Declares a part of a name: a checked text.
macro_rules! part {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $fits:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks a text.
            ///
            /// # Errors
            /// If it is none.
            pub fn new(text: impl AsRef<OsStr>) -> Result<Self, ReferenceError> {
                let text = text.as_ref();
                let fitting = text.to_str().filter(|text| $fits(text));
                fitting.map(|text| Self(text.to_owned())).ok_or_else(|| ReferenceError {
                    text: text.to_owned(),
                    kind: $kind,
                    rule: $rule,
                })
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

part! {
    /// The name of an application, runtime or extension: `org.example.App`.
    Id, "the name of an application",
    "a name has 3 to 255 bytes and at least two periods, with letters, digits and '_' between them, \
     no digit behind a period, and '-' only behind the last one",
    is_id
}

part! {
    /// An architecture: `x86_64`.
    Arch, "an architecture", "it has letters, digits and '_'", is_arch
}

part! {
    /// A branch: `stable`, `24.08`.
    Branch, "a branch", "it has letters, digits, '_', '-' and '.', and does not begin with '.'", is_branch
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_id(text: &str) -> bool {
    let (front, last) = text.rsplit_once('.').unwrap_or(("", text));
    let element = |element: &str, also: Option<char>| {
        !element.is_empty()
            && !element.starts_with(|c: char| c.is_ascii_digit())
            && element.chars().all(|c| is_word(c) || Some(c) == also)
    };
    text.len() <= ID_BYTES
        && front.contains('.')
        && front.split('.').all(|part| element(part, None))
        && element(last, Some('-'))
}

fn is_arch(text: &str) -> bool {
    !text.is_empty() && text.len() <= PART_BYTES && text.chars().all(is_word)
}

fn is_branch(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= PART_BYTES
        && !text.starts_with('.')
        && text.chars().all(|c| is_word(c) || matches!(c, '-' | '.'))
}

impl Arch {
    /// The architecture of this machine, as Flatpak calls it (R12).
    #[must_use]
    pub fn native() -> Self {
        let name = match std::env::consts::ARCH {
            "x86" => "i386",
            other => other,
        };
        Self(name.to_owned())
    }
}

impl Branch {
    /// Where nothing says another one (R12).
    #[must_use]
    pub fn master() -> Self {
        Self("master".to_owned())
    }
}

/// What something installed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An application.
    App,
    /// A runtime, an SDK, or an extension.
    Runtime,
}

impl Kind {
    /// The word for it, also the name of its directory in an installation.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Runtime => "runtime",
        }
    }
}

/// The whole name of something installed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub id: Id,
    /// For which machines.
    pub arch: Arch,
    /// Which line of it.
    pub branch: Branch,
}

impl Reference {
    /// Reads `KIND/ID/ARCH/BRANCH`.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let wrong = || ReferenceError {
            text: text.into(),
            kind: "a full name",
            rule: "it has the form KIND/ID/ARCH/BRANCH, with app or runtime as KIND",
        };
        let (kind, rest) = text.split_once('/').ok_or_else(wrong)?;
        let kind = match kind {
            "app" => Kind::App,
            "runtime" => Kind::Runtime,
            _ => return Err(wrong()),
        };
        Self::of(kind, rest)
    }

    /// Reads `ID/ARCH/BRANCH`, as metadata names runtimes.
    ///
    /// # Errors
    /// If it is none.
    pub fn of(kind: Kind, text: &str) -> Result<Self, ReferenceError> {
        let mut parts = text.split('/');
        let (Some(id), Some(arch), Some(branch), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ReferenceError {
                text: text.into(),
                kind: "a name with architecture and branch",
                rule: "it has the form ID/ARCH/BRANCH",
            });
        };
        let (id, arch, branch) = (Id::new(id)?, Arch::new(arch)?, Branch::new(branch)?);
        Ok(Self { kind, id, arch, branch })
    }

    /// `ID/ARCH/BRANCH`.
    #[must_use]
    pub fn without_kind(&self) -> String {
        format!("{}/{}/{}", self.id, self.arch, self.branch)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.kind.word(), self.id, self.arch, self.branch)
    }
}

/// What people type: a name, with what else they want to be definite about (R11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What it has to be.
    pub kind: Option<Kind>,
    /// Its name.
    pub id: Id,
    /// For which machines.
    pub arch: Option<Arch>,
    /// Which line of it.
    pub branch: Option<Branch>,
}

impl Wanted {
    /// Reads `[KIND/]ID[/[ARCH][/[BRANCH]]]`.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &OsStr) -> Result<Self, ReferenceError> {
        let wrong = || ReferenceError {
            text: text.to_owned(),
            kind: "the name of an application",
            rule: "it has the form ID, ID//BRANCH, ID/ARCH or ID/ARCH/BRANCH",
        };
        let whole = text.to_str().ok_or_else(wrong)?;
        let (kind, rest) = match whole.split_once('/') {
            Some(("app", rest)) => (Some(Kind::App), rest),
            Some(("runtime", rest)) => (Some(Kind::Runtime), rest),
            _ => (None, whole),
        };
        let mut parts = rest.split('/');
        let id = Id::new(parts.next().unwrap_or_default())?;
        let arch = parts.next().filter(|part| !part.is_empty()).map(Arch::new).transpose()?;
        let branch = parts.next().filter(|part| !part.is_empty()).map(Branch::new).transpose()?;
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self { kind, id, arch, branch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r10_names() {
        let long = format!("a.b.{}", "c".repeat(251));
        for good in ["a.b.c", "org.gnome.Maps", "org._x.y", "org.x.App-1", "a.b.-", &long] {
            assert!(Id::new(good).is_ok(), "{good}");
        }
        let longer = format!("{long}c");
        for bad in [
            "", ".", "a", "a.b", "a..b", ".a.b", "a.b.", "a.b.1c", "1.b.c", "a-b.c.d", "a.b/c.d",
            "a.b.é", "../a.b.c", "a.b.c\n", &longer,
        ] {
            assert!(Id::new(bad).is_err(), "{bad}");
        }
        assert!(Branch::new("24.08-extra_1").is_ok() && Arch::new("x86_64").is_ok());
        for bad in ["", ".", "..", ".x", "a/b", "a b"] {
            assert!(Branch::new(bad).is_err(), "{bad}");
        }
        for bad in ["", "x86-64", ".", "a/b"] {
            assert!(Arch::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn r9_full_names_are_read_as_they_are_written() {
        for text in ["app/org.a.B/x86_64/stable", "runtime/org.a.P/aarch64/24.08"] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        let runtime = Reference::of(Kind::Runtime, "org.a.P/x86_64/1").unwrap();
        assert_eq!(runtime.to_string(), "runtime/org.a.P/x86_64/1");
        for bad in [
            "org.a.B/x86_64/stable",
            "app/org.a.B/x86_64",
            "app/org.a.B//stable",
            "app/a.b.c/x/y/z",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn r11_what_people_leave_out_stays_open() {
        let parse = |text: &str| Wanted::parse(OsStr::new(text));
        let plain = parse("org.a.B").unwrap();
        assert_eq!((plain.kind, plain.arch, plain.branch), (None, None, None));
        let branch = parse("org.a.B//beta").unwrap();
        assert_eq!((branch.arch, branch.branch), (None, Some(Branch::new("beta").unwrap())));
        assert_eq!(parse("org.a.B/x86_64").unwrap().arch, Some(Arch::new("x86_64").unwrap()));
        assert_eq!(parse("runtime/org.a.P/x86_64/1").unwrap().kind, Some(Kind::Runtime));
        for bad in ["app", "app/", "org.a.B/x/y/z", "org.a.B/x y", "../x", "-x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_part_leads_elsewhere(text in ".{0,40}") {
            let parts = [
                Id::new(&text).map(|part| part.0),
                Arch::new(&text).map(|part| part.0),
                Branch::new(&text).map(|part| part.0),
            ];
            for part in parts.into_iter().flatten() {
                prop_assert!(!part.contains('/') && part != "." && part != "..");
            }
        }
    }
}

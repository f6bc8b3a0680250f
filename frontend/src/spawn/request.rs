// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a caller asks for, checked before anything is opened or started (R245, R246).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::bits::{Bits, Flag, Part};
use crate::flatpak::context::bus::BusName;
use crate::flatpak::context::can_be_variable;
use crate::message::shown;

/// What a caller asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Where the command starts in its sandbox, if that was said.
    pub directory: Option<OsString>,
    /// The command; none for the application's own.
    pub command: Option<OsString>,
    /// What comes behind it.
    pub arguments: Vec<OsString>,
    /// How it is started.
    pub flags: Bits<Flag>,
    /// What it keeps with [`Flag::Sandbox`].
    pub parts: Bits<Part>,
    /// Variables of its environment.
    pub variables: BTreeMap<String, String>,
    /// Variables that it does not have.
    pub unset: BTreeSet<String>,
    /// Names on the accessibility bus.
    pub accessibility_names: Vec<BusName>,
}

/// What cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No command.
    #[error("no command was given")]
    NoCommand,
    /// Bits that mean nothing here.
    #[error("the {what} {bits:#x} have some that are not known here")]
    Bits {
        /// Which bits.
        what: &'static str,
        /// As given.
        bits: u32,
    },
    /// Something that cannot be had.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A name that no variable can have.
    #[error("'{}' cannot be the name of a variable", shown(.0))]
    Variable(String),
    /// A name that the caller may not own.
    #[error("'{}' is no name on the accessibility bus that begins with '{prefix}'", shown(name))]
    AccessibilityName {
        /// As given.
        name: String,
        /// How it has to begin.
        prefix: String,
    },
}

impl Request {
    /// Reads the positional arguments of `Spawn`. Byte strings end at their first zero byte, as they
    /// do where they are used.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn new(
        directory: Vec<u8>,
        words: Vec<Vec<u8>>,
        variables: BTreeMap<String, String>,
        flags: u32,
    ) -> Result<Self, RequestError> {
        let mut words = words.into_iter().map(text);
        let command = words.next().ok_or(RequestError::NoCommand)?;
        let flags =
            Bits::<Flag>::read(flags).ok_or(RequestError::Bits { what: "flags", bits: flags })?;
        // `supports` says so. Who joins the namespaces of a sandbox needs rights in the user namespace
        // that owns them, which with a privileged helper nobody may have (I12).
        if flags.has(Flag::ExposePids) || flags.has(Flag::SharePids) {
            let reason = "processes cannot be shared between sandboxes here";
            return Err(RequestError::Unsupported(reason));
        }
        if let Some(name) = variables.keys().find(|name| !can_be_variable(name)) {
            return Err(RequestError::Variable(name.clone()));
        }
        let some = |text: OsString| (!text.is_empty()).then_some(text);
        Ok(Self {
            directory: some(text(directory)),
            command: some(command),
            arguments: words.collect(),
            flags,
            variables,
            ..Self::default()
        })
    }

    /// Reads `sandbox-flags`.
    ///
    /// # Errors
    /// [`RequestError::Bits`].
    pub fn keep(&mut self, bits: u32) -> Result<(), RequestError> {
        let wrong = RequestError::Bits { what: "sandbox flags", bits };
        self.parts = Bits::<Part>::read(bits).ok_or(wrong)?;
        Ok(())
    }

    /// Reads `unset-env`.
    ///
    /// # Errors
    /// [`RequestError::Variable`].
    pub fn unset(&mut self, names: Vec<String>) -> Result<(), RequestError> {
        if let Some(name) = names.iter().find(|name| !can_be_variable(name)) {
            return Err(RequestError::Variable(name.clone()));
        }
        self.unset = names.into_iter().collect();
        Ok(())
    }

    /// Reads `sandbox-a11y-own-names` of an instance of the application `id`.
    ///
    /// # Errors
    /// [`RequestError::AccessibilityName`].
    pub fn own(&mut self, names: Vec<String>, id: &str) -> Result<(), RequestError> {
        let prefix = format!("{id}.");
        let own = names.into_iter().map(|name| {
            // One that ends in `.*` would be the application itself.
            let is_part = name.starts_with(&prefix) && !name.ends_with(".*");
            let checked = BusName::new(&name).ok().filter(|_| is_part);
            checked.ok_or_else(|| RequestError::AccessibilityName { name, prefix: prefix.clone() })
        });
        self.accessibility_names = own.collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// A byte string of D-Bus.
fn text(mut bytes: Vec<u8>) -> OsString {
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes.truncate(end.unwrap_or(bytes.len()));
    OsString::from_vec(bytes)
}

/// Whether a text can name something in a directory (R246): one component that leads nowhere else.
#[must_use]
pub fn is_component(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(
        words: &[&str],
        flags: u32,
        variables: &[(&str, &str)],
    ) -> Result<Request, RequestError> {
        let words = words.iter().map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        let variables = variables.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        Request::new(b"/a\0".to_vec(), words, variables, flags)
    }

    #[test]
    fn r245_the_words_of_a_call() {
        let request = new(&["ls", "-l", ""], 4, &[("A", "b")]).unwrap();
        assert_eq!(request.directory.unwrap(), "/a");
        assert_eq!(request.command.unwrap(), "ls");
        assert_eq!(request.arguments, ["-l", ""]);
        assert!(request.flags.has(Flag::Sandbox));
        // The application's own, in the directory that it would start in.
        let own = new(&["", "x"], 0, &[]).unwrap();
        assert_eq!((own.command, own.arguments), (None, vec!["x".into()]));
        let nowhere = Request::new(Vec::new(), vec![Vec::new()], BTreeMap::new(), 0).unwrap();
        assert_eq!(nowhere.directory, None);
        assert_eq!(new(&[], 0, &[]), Err(RequestError::NoCommand));
    }

    #[test]
    fn r246_what_is_not_known_or_cannot_be_is_refused() {
        assert!(matches!(new(&["ls"], 512, &[]), Err(RequestError::Bits { .. })));
        for flag in [Flag::ExposePids, Flag::SharePids] {
            let refused = new(&["ls"], Bits::from_iter([flag]).number(), &[]);
            assert!(matches!(refused, Err(RequestError::Unsupported(_))), "{flag:?}");
        }
        let mut request = new(&["ls"], 0, &[]).unwrap();
        assert!(request.keep(1024).is_err());
        request.keep(3).unwrap();
        assert!(request.parts.has(Part::Display) && request.parts.has(Part::Sound));
    }

    #[test]
    fn r246_names_that_would_be_something_else_are_refused() {
        for name in ["", "A=B", "A\nB", "A\u{202e}"] {
            assert!(new(&["ls"], 0, &[(name, "x")]).is_err(), "{name}");
            let mut request = new(&["ls"], 0, &[]).unwrap();
            assert!(request.unset(vec![name.into()]).is_err(), "{name}");
        }
        let mut request = new(&["ls"], 0, &[]).unwrap();
        let mut own = |name: &str| request.own(vec![name.into()], "org.example.App");
        own("org.example.App.Sandboxed.x").unwrap();
        for name in ["org.example.App", "org.example.Application.x", "org.example.App..x", ""] {
            assert!(own(name).is_err(), "{name}");
        }
        for name in ["a", "..a", "a b", "…"] {
            assert!(is_component(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "/", "a\0"] {
            assert!(!is_component(name), "{name}");
        }
    }
}

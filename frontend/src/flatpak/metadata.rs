// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application or runtime says of itself (R26).

use super::reference::{Kind, Reference, ReferenceError};
use crate::keyfile::{KeyFile, ValueError};

/// The group of what something is, by its kind.
#[must_use]
pub const fn group(kind: Kind) -> &'static str {
    match kind {
        Kind::App => "Application",
        Kind::Runtime => "Runtime",
    }
}

/// Its description of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The runtime it is to run on; a runtime names itself.
    pub runtime: Option<Reference>,
    /// The SDK it was built with.
    pub sdk: Option<Reference>,
    /// What is run where no command is named.
    pub command: Option<String>,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A value is of the wrong kind.
    #[error("cannot understand the metadata\n{0}")]
    Value(#[from] ValueError),
    /// A name is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl Metadata {
    /// Reads the group of a kind. What is not there is none.
    ///
    /// # Errors
    /// [`MetadataError`], for the first value that cannot be used.
    pub fn read(kind: Kind, file: &KeyFile) -> Result<Self, MetadataError> {
        let text = |key| file.string(group(kind), key);
        let runtime = |key| -> Result<_, MetadataError> {
            let name = text(key)?.filter(|name| !name.is_empty());
            Ok(name.map(|name| Reference::of(Kind::Runtime, &name)).transpose()?)
        };
        Ok(Self { runtime: runtime("runtime")?, sdk: runtime("sdk")?, command: text("command")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, text: &str) -> Result<Metadata, MetadataError> {
        Metadata::read(kind, &KeyFile::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn r26_applications_and_runtimes_have_their_own_group() {
        let text = "[Application]\nruntime=a.b.P/x86_64/1\nsdk=a.b.S/x86_64/1\ncommand=run\n\
                    [Runtime]\nruntime=a.b.Q/i386/2\n";
        let app = read(Kind::App, text).unwrap();
        assert_eq!(app.runtime.unwrap().to_string(), "runtime/a.b.P/x86_64/1");
        assert_eq!(app.sdk.unwrap().to_string(), "runtime/a.b.S/x86_64/1");
        assert_eq!(app.command.unwrap(), "run");
        let runtime = read(Kind::Runtime, text).unwrap();
        assert_eq!(runtime.runtime.unwrap().to_string(), "runtime/a.b.Q/i386/2");
        assert_eq!((runtime.sdk, runtime.command), (None, None));
        assert_eq!(read(Kind::App, "").unwrap(), Metadata::default());
    }

    #[test]
    fn t69_names_are_checked() {
        for name in ["a.b.P", "a.b.P/x86_64/../..", "runtime/a.b.P/x86_64/1", "../x/y"] {
            let error = read(Kind::App, &format!("[Application]\nruntime={name}\n")).unwrap_err();
            assert!(matches!(error, MetadataError::Reference(_)), "{name}");
        }
        let error = read(Kind::App, "[Application]\ncommand=\\x\n").unwrap_err();
        assert!(matches!(error, MetadataError::Value(_)));
    }
}

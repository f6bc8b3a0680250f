// SPDX-License-Identifier: MIT OR Apache-2.0
//! Byte strings that were checked once, in their constructor.
//!
//! Decoding goes through the same constructors, so a value of one of these types is valid wherever
//! it stands, in the frontend as in the helper. None is required to be UTF-8.

use bincode::de::{Decode, Decoder};
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};
use std::ffi::{CStr, CString};

use crate::limits;

/// Why a byte string was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum TextFault {
    /// It contains a NUL byte.
    Nul,
    /// It is empty where that is not allowed.
    Empty,
    /// It is longer than its limit.
    TooLong,
    /// A path of the sandbox does not begin with `/`.
    Relative,
    /// A path of the sandbox has an empty, `.` or `..` component, or ends in `/`.
    Component,
    /// A path of the sandbox has too many components, or one longer than 255 bytes.
    TooDeep,
    /// A host name has a character outside `[A-Za-z0-9.-]`.
    Hostname,
    /// An environment entry has no `=`, or begins with it.
    Variable,
    /// A seccomp program is empty, too long, or not a multiple of 8 bytes.
    Filter,
}

/// Every fault with the word that stands for it inside bincode's error, which carries only text.
const FAULTS: [(TextFault, &str); 9] = [
    (TextFault::Nul, "nul"),
    (TextFault::Empty, "empty"),
    (TextFault::TooLong, "too-long"),
    (TextFault::Relative, "relative"),
    (TextFault::Component, "component"),
    (TextFault::TooDeep, "too-deep"),
    (TextFault::Hostname, "hostname"),
    (TextFault::Variable, "variable"),
    (TextFault::Filter, "filter"),
];

impl TextFault {
    fn word(self) -> &'static str {
        FAULTS.iter().find(|(fault, _)| *fault == self).map_or("", |(_, word)| word)
    }

    /// The fault behind a decoding error, if a constructor of this module raised it.
    pub(crate) fn of(error: &DecodeError) -> Option<Self> {
        let DecodeError::Other(text) = error else {
            return None;
        };
        FAULTS.iter().find(|(_, word)| word == text).map(|(fault, _)| *fault)
    }
}

impl std::fmt::Display for TextFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nul => "it contains a NUL byte",
            Self::Empty => "it is empty",
            Self::TooLong => "it is too long",
            Self::Relative => "it is not an absolute path",
            Self::Component => "it has an empty, '.' or '..' component",
            Self::TooDeep => "it has too many or too long components",
            Self::Hostname => "it has a character that host names may not have",
            Self::Variable => "it is not of the form NAME=VALUE",
            Self::Filter => "it is not a list of 1 to 4096 instructions of 8 bytes",
        })
    }
}

impl std::error::Error for TextFault {}

/// Declares a checked string over `CString`: constructor, accessors, codec, JSON.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(CString);

        impl $name {
            /// Checks `bytes`.
            ///
            /// # Errors
            /// The rule that `bytes` breaks.
            pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, TextFault> {
                let bytes = bytes.into();
                let check: fn(&[u8]) -> Result<(), TextFault> = $check;
                check(&bytes)?;
                CString::new(bytes).map(Self).map_err(|_| TextFault::Nul)
            }

            /// The string with its terminator, as system calls want it.
            #[must_use]
            pub fn as_c_str(&self) -> &CStr {
                &self.0
            }

            /// The bytes without the terminator.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl Encode for $name {
            fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
                self.0.as_bytes().encode(encoder)
            }
        }

        impl<C> Decode<C> for $name {
            fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                let bytes = Vec::<u8>::decode(decoder)?;
                Self::new(bytes).map_err(|fault| DecodeError::Other(fault.word()))
            }
        }

        bincode::impl_borrow_decode!($name);

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&printable(self.0.as_bytes()))
            }
        }
    };
}

/// Bytes for people: UTF-8 as it is, everything else and control characters as `\xNN`.
#[cfg(feature = "serde")]
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                text.push_str("\\\\");
            } else if c.is_control() {
                for byte in c.to_string().bytes() {
                    text.push_str(&format!("\\x{byte:02x}"));
                }
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

checked_text! {
    /// A path in the sandbox: absolute, no empty, `.` or `..` component, no trailing slash, at most
    /// [`limits::PATH_BYTES`] bytes and [`limits::PATH_COMPONENTS`] components. `/` itself is one.
    SandboxPath, |bytes| {
        if bytes.len() > limits::PATH_BYTES {
            return Err(TextFault::TooLong);
        }
        let Some(rest) = bytes.strip_prefix(b"/") else {
            return Err(if bytes.is_empty() { TextFault::Empty } else { TextFault::Relative });
        };
        if rest.is_empty() {
            return Ok(());
        }
        let mut count: usize = 0;
        for component in rest.split(|byte| *byte == b'/') {
            if matches!(component, b"" | b"." | b"..") {
                return Err(TextFault::Component);
            }
            count = count.saturating_add(1);
            if component.len() > limits::COMPONENT_BYTES || count > limits::PATH_COMPONENTS {
                return Err(TextFault::TooDeep);
            }
        }
        Ok(())
    }
}

impl SandboxPath {
    /// The root directory of the sandbox.
    #[must_use]
    pub fn root() -> Self {
        Self(CString::from(c"/"))
    }

    /// The components, outermost first; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.as_bytes().split(|byte| *byte == b'/').filter(|component| !component.is_empty())
    }
}

checked_text! {
    /// Free text without NUL that goes to `execve(2)`: an argument.
    Argument, |bytes| {
        if bytes.len() >= limits::ARGUMENT_BYTES { Err(TextFault::TooLong) } else { Ok(()) }
    }
}

checked_text! {
    /// An environment entry, `NAME=VALUE` with a non-empty name.
    Variable, |bytes| {
        if bytes.len() >= limits::ARGUMENT_BYTES {
            return Err(TextFault::TooLong);
        }
        match bytes.iter().position(|byte| *byte == b'=') {
            None | Some(0) => Err(TextFault::Variable),
            Some(_) => Ok(()),
        }
    }
}

checked_text! {
    /// A program as `execve(2)` takes it, looked up in the finished sandbox: absolute, or relative to
    /// the working directory of the payload.
    Program, |bytes| {
        if bytes.is_empty() { return Err(TextFault::Empty); }
        if bytes.len() > limits::SYMLINK_BYTES { Err(TextFault::TooLong) } else { Ok(()) }
    }
}

checked_text! {
    /// The target of a symlink: free text, never resolved by the helper.
    SymlinkTarget, |bytes| {
        if bytes.is_empty() { return Err(TextFault::Empty); }
        if bytes.len() > limits::SYMLINK_BYTES { Err(TextFault::TooLong) } else { Ok(()) }
    }
}

checked_text! {
    /// A host name: 1 to 63 of `[A-Za-z0-9.-]`.
    Hostname, |bytes| {
        if bytes.is_empty() { return Err(TextFault::Empty); }
        if bytes.len() > limits::HOSTNAME_BYTES { return Err(TextFault::TooLong); }
        if bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')) {
            Ok(())
        } else {
            Err(TextFault::Hostname)
        }
    }
}

/// A compiled seccomp program: an array of `struct sock_filter` in the byte order of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Vec<u8>);

impl Filter {
    /// Checks the length: a multiple of 8 bytes, 1 to 4096 instructions. Whether the instructions
    /// make sense is the kernel's to say.
    ///
    /// # Errors
    /// [`TextFault::Filter`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, TextFault> {
        let count = bytes.len() / limits::FILTER_INSTRUCTION_BYTES;
        let whole = bytes.len() % limits::FILTER_INSTRUCTION_BYTES == 0;
        if whole && (1..=limits::FILTER_INSTRUCTIONS).contains(&count) {
            Ok(Self(bytes))
        } else {
            Err(TextFault::Filter)
        }
    }

    /// The instructions as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Encode for Filter {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for Filter {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::new(Vec::<u8>::decode(decoder)?).map_err(|fault| DecodeError::Other(fault.word()))
    }
}

bincode::impl_borrow_decode!(Filter);

#[cfg(feature = "serde")]
impl serde::Serialize for Filter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("instructions", &(self.0.len() / limits::FILTER_INSTRUCTION_BYTES))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_outside_the_rules_are_refused() {
        for (path, fault) in [
            (&b""[..], TextFault::Empty),
            (b"usr", TextFault::Relative),
            (b"/usr/", TextFault::Component),
            (b"//usr", TextFault::Component),
            (b"/usr/../etc", TextFault::Component),
            (b"/./etc", TextFault::Component),
            (b"/a\0b", TextFault::Nul),
        ] {
            assert_eq!(SandboxPath::new(path), Err(fault), "{path:?}");
        }
        let deep = b"/a".repeat(limits::PATH_COMPONENTS + 1);
        assert_eq!(SandboxPath::new(deep), Err(TextFault::TooDeep));
        let wide = [b"/".to_vec(), vec![b'a'; 256]].concat();
        assert_eq!(SandboxPath::new(wide), Err(TextFault::TooDeep));
        let long = [b"/".to_vec(), vec![b'a'; 1024]].concat();
        assert_eq!(SandboxPath::new(long), Err(TextFault::TooLong));
    }

    #[test]
    fn ordinary_paths_are_taken_as_they_are() {
        for path in [&b"/"[..], b"/usr", b"/a/...", b"/\xff\x01/b"] {
            assert_eq!(SandboxPath::new(path).unwrap().as_bytes(), path);
        }
        assert_eq!(SandboxPath::root().components().count(), 0);
        let path = SandboxPath::new(&b"/a/b"[..]).unwrap();
        assert_eq!(path.components().collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn hostnames_variables_and_filters_follow_their_rules() {
        assert!(Hostname::new(&b"a-1.b"[..]).is_ok());
        assert_eq!(Hostname::new(&b"a b"[..]), Err(TextFault::Hostname));
        assert_eq!(Hostname::new(vec![b'a'; 64]), Err(TextFault::TooLong));
        assert!(Variable::new(&b"A="[..]).is_ok());
        assert_eq!(Variable::new(&b"=x"[..]), Err(TextFault::Variable));
        assert_eq!(Variable::new(&b"A"[..]), Err(TextFault::Variable));
        assert_eq!(Filter::new(vec![]), Err(TextFault::Filter));
        assert_eq!(Filter::new(vec![0; 7]), Err(TextFault::Filter));
        assert!(Filter::new(vec![0; 4096 * 8]).is_ok());
        assert_eq!(Filter::new(vec![0; 4097 * 8]), Err(TextFault::Filter));
    }

    #[test]
    fn every_fault_has_its_own_word() {
        for (fault, word) in FAULTS {
            assert_eq!(TextFault::of(&DecodeError::Other(word)), Some(fault));
            assert_eq!(fault.word(), word);
        }
    }
}

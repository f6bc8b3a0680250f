// SPDX-License-Identifier: MIT OR Apache-2.0
//! What else of the host is mounted for a build: `--bind-mount=DEST=SRC`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use stockade_protocol::request::Access;

use crate::filesystem::locate::tidy;
use crate::message::shown;
use crate::sandbox::{Sandbox, SandboxError};

/// Something of the host with its place in the sandbox, for writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindMount {
    destination: PathBuf,
    source: PathBuf,
}

/// What names no such pair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot use '{}' as a mount\nit has no '='\nwrite --bind-mount=DEST=SRC, \
     as in --bind-mount=/run/build/app=sources",
    shown(text)
)]
pub struct BindError {
    /// As given.
    pub text: OsString,
}

impl BindMount {
    /// Reads `DEST=SRC`. DEST is taken from the root of the sandbox, SRC from the working directory.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn parse(text: &OsStr) -> Result<Self, BindError> {
        let bytes = text.as_bytes();
        let equals = bytes.iter().position(|byte| *byte == b'=');
        let parts = equals.and_then(|equals| bytes.split_at_checked(equals));
        let (destination, source) = parts.ok_or_else(|| BindError { text: text.to_owned() })?;
        let source = source.get(1..).unwrap_or_default();
        let path = |bytes| Path::new(OsStr::from_bytes(bytes));
        Ok(Self {
            destination: tidy(&Path::new("/").join(path(destination))),
            source: path(source).to_owned(),
        })
    }

    /// Mounts it.
    ///
    /// # Errors
    /// If there is no such source, or the destination breaks a rule.
    pub(super) fn put(self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        sandbox.bind(&self.source, &self.destination, Access::ReadWrite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r263_a_mount_is_a_destination_and_a_source() {
        for (text, destination, source) in [
            ("/run/build/x=/src", "/run/build/x", "/src"),
            ("run/x/=src=a", "/run/x", "src=a"),
            ("/x=", "/x", ""),
        ] {
            let bind = BindMount::parse(OsStr::new(text)).unwrap();
            let (destination, source) = (destination.into(), source.into());
            assert_eq!(bind, BindMount { destination, source }, "{text}");
        }
        assert!(BindMount::parse(OsStr::new("/x")).is_err());
        // Nothing is mounted outside, and nothing that does not exist.
        let put = |text| BindMount::parse(OsStr::new(text)).unwrap().put(&mut Sandbox::new());
        assert!(matches!(put("/../x=/"), Err(SandboxError::Path { .. })));
        assert!(matches!(put("/x=/no/such/source"), Err(SandboxError::Open { .. })));
        put("/x=/").unwrap();
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects that somebody else opened for a sandbox: `--bind-fd`, `--ro-bind-fd` (R104).

use std::ffi::OsString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use stockade_protocol::request::Access;

use crate::filesystem::export::Reserved;
use crate::message::shown;
use crate::object::Object;
use crate::sandbox::{Sandbox, SandboxError};

/// What the kernel puts behind the path of what is no longer there.
const DELETED: &[u8] = b" (deleted)";

/// An object with the path that the kernel reports for it.
#[derive(Debug)]
pub struct PassedObject {
    object: Object,
    path: PathBuf,
    access: Access,
}

/// Why an object is not mounted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassedError {
    /// It cannot be looked at.
    #[error("cannot look at the file descriptor {number}\n{errno}")]
    Look {
        /// Its number.
        number: u32,
        /// Why.
        errno: Errno,
    },
    /// It has no path.
    #[error(
        "cannot mount the file descriptor {number}\n\
         it is {}, which has no path or was deleted\n\
         pass one of a file or directory that exists",
        shown(what)
    )]
    Nowhere {
        /// Its number.
        number: u32,
        /// What the kernel says of it.
        what: OsString,
    },
    /// It is neither a directory nor a regular file nor a socket.
    #[error(
        "cannot mount the file descriptor {number}\n\
         {} is neither a directory nor a regular file nor a socket",
        shown(path)
    )]
    Kind {
        /// Its number.
        number: u32,
        /// Its path.
        path: PathBuf,
    },
    /// It would cover what is the sandbox's own.
    #[error(
        "cannot mount the file descriptor {number}\n\
         {} is a place of the sandbox's own",
        shown(path)
    )]
    Reserved {
        /// Its number.
        number: u32,
        /// Its path.
        path: PathBuf,
    },
}

impl PassedObject {
    /// Looks at an object. `number` is what messages call its descriptor.
    ///
    /// # Errors
    /// [`PassedError`].
    pub fn new(number: u32, descriptor: &OwnedFd, writable: bool) -> Result<Self, PassedError> {
        let looked = |errno| PassedError::Look { number, errno };
        let link = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        let path = rustix::fs::readlink(&link, Vec::new()).map_err(looked)?.into_bytes();
        let links = rustix::fs::fstat(descriptor).map_err(looked)?.st_nlink;
        if !path.starts_with(b"/") || path.ends_with(DELETED) || links == 0 {
            return Err(PassedError::Nowhere { number, what: OsString::from_vec(path) });
        }
        let path = PathBuf::from(OsString::from_vec(path));
        if Reserved::APPLICATION.refuses(&path) {
            return Err(PassedError::Reserved { number, path });
        }
        // Only such a descriptor can be mounted; going through the other keeps what it leads to.
        let flags = OFlags::PATH.union(OFlags::CLOEXEC);
        let opened = rustix::fs::openat(rustix::fs::CWD, &link, flags, Mode::empty());
        let object = opened.and_then(Object::new).map_err(looked)?;
        match object.kind() {
            FileType::Directory | FileType::RegularFile | FileType::Socket => {}
            FileType::Symlink
            | FileType::Fifo
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => return Err(PassedError::Kind { number, path }),
        }
        let access = if writable { Access::ReadWrite } else { Access::ReadOnly };
        Ok(Self { object, path, access })
    }

    /// Where it will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn put(self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        sandbox.bind_object(self.object, self.path.clone(), &self.path, self.access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use crate::sandbox::open_path;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn r104_objects_keep_their_path_and_what_they_are() {
        let scratch = Scratch::new();
        let file = scratch.file("file", "");
        for opened in [open_path(&file).unwrap(), fs::File::open(&file).unwrap().into()] {
            assert_eq!(PassedObject::new(5, &opened, true).unwrap().path(), file);
        }
        // The path may lead elsewhere by now, the descriptor does not.
        let directory = open_path(&scratch.directory("directory")).unwrap();
        let before = rustix::fs::fstat(&directory).unwrap().st_ino;
        fs::rename(scratch.join("directory"), scratch.join("moved")).unwrap();
        symlink("/etc", scratch.join("directory")).unwrap();
        let passed = PassedObject::new(5, &directory, false).unwrap();
        assert_eq!(passed.path(), scratch.join("moved"));
        assert_eq!(rustix::fs::fstat(&passed.object).unwrap().st_ino, before);
    }

    #[test]
    fn r104_what_is_deleted_or_has_no_path_is_refused() {
        let scratch = Scratch::new();
        let file = open_path(&scratch.file("file", "")).unwrap();
        let directory = open_path(&scratch.directory("directory")).unwrap();
        fs::remove_file(scratch.join("file")).unwrap();
        fs::remove_dir(scratch.join("directory")).unwrap();
        let (pipe, _other) = rustix::pipe::pipe().unwrap();
        for gone in [file, directory, pipe] {
            let error = PassedObject::new(5, &gone, false).unwrap_err();
            assert!(matches!(error, PassedError::Nowhere { .. }), "{error}");
        }
    }

    #[test]
    fn r104_r105_neither_devices_nor_the_runtime() {
        let fifo = Scratch::new();
        let path = fifo.join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = PassedObject::new(5, &open_path(&path).unwrap(), false).unwrap_err();
        assert!(matches!(error, PassedError::Kind { .. }), "{error}");
        for path in ["/", "/usr", "/dev/null"] {
            let opened = open_path(Path::new(path)).unwrap();
            let error = PassedObject::new(5, &opened, false).unwrap_err();
            assert!(matches!(error, PassedError::Reserved { .. }), "{error}");
        }
    }
}

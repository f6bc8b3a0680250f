// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects of the host that were opened to be bound, with what has to be known of them.
//!
//! With a thousand of them every call counts, so each is looked at once, and never through its path
//! again. Looking does not wait for a network or FUSE server.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags};
use rustix::io::Errno;

/// An object behind an `O_PATH` descriptor.
#[derive(Debug)]
pub struct Object {
    descriptor: OwnedFd,
    kind: FileType,
    mount: Option<u64>,
}

impl Object {
    /// Looks at an object.
    ///
    /// # Errors
    /// The errno of `statx(2)`.
    pub fn new(descriptor: OwnedFd) -> Result<Self, Errno> {
        let wanted = StatxFlags::TYPE.union(StatxFlags::MNT_ID);
        let found = look(&descriptor, wanted)?;
        let known = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID);
        let mount = known.then_some(found.stx_mnt_id);
        Ok(Self { descriptor, kind: kind_in(&found), mount })
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> FileType {
        self.kind
    }

    /// The number of the mount it is on, if the kernel tells. As long as the object is held, no
    /// other mount gets that number.
    #[must_use]
    pub fn mount(&self) -> Option<u64> {
        self.mount
    }

    /// The descriptor, to be sent.
    #[must_use]
    pub fn into_descriptor(self) -> OwnedFd {
        self.descriptor
    }
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The type of an object that is only passed on the way to another.
///
/// # Errors
/// The errno of `statx(2)`.
pub fn kind(descriptor: impl AsFd) -> Result<FileType, Errno> {
    look(descriptor, StatxFlags::TYPE).map(|found| kind_in(&found))
}

/// The path that the kernel has for an object, whatever symlinks led to it.
///
/// # Errors
/// The errno of `readlink(2)`.
pub fn path(descriptor: impl AsFd) -> Result<PathBuf, Errno> {
    let link = format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new())?.into_bytes();
    Ok(PathBuf::from(OsString::from_vec(path)))
}

fn look(descriptor: impl AsFd, wanted: StatxFlags) -> Result<Statx, Errno> {
    let flags = AtFlags::EMPTY_PATH.union(AtFlags::STATX_DONT_SYNC);
    rustix::fs::statx(descriptor, c"", flags, wanted)
}

fn kind_in(found: &Statx) -> FileType {
    FileType::from_raw_mode(found.stx_mode.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, OFlags};

    fn object(path: &str) -> Object {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Object::new(rustix::fs::openat(CWD, path, flags, Mode::empty()).unwrap()).unwrap()
    }

    #[test]
    fn objects_are_called_as_the_kernel_calls_them() {
        let object = object("/proc/../dev/./null");
        assert_eq!(path(&object).unwrap(), std::path::Path::new("/dev/null"));
    }

    #[test]
    fn objects_of_one_mount_have_its_number() {
        let (directory, device, proc) = (object("/dev"), object("/dev/null"), object("/proc"));
        assert_eq!(directory.kind(), FileType::Directory);
        assert_eq!(device.kind(), FileType::CharacterDevice);
        assert!(proc.mount().is_some());
        assert_ne!(proc.mount(), directory.mount());
        assert_eq!(proc.mount(), object("/proc/self/stat").mount());
    }
}

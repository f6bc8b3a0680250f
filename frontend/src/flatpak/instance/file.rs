// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small files and directories of the runtime directory: made anew or read whole, never through a symlink.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How directories are opened, to be read as well.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory, which is none of another kind and no symlink.
///
/// # Errors
/// The errno of `openat(2)`.
pub(super) fn open_directory(parent: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())
}

/// Opens a directory by its path, which may lead through symlinks.
///
/// # Errors
/// The errno of `openat(2)`.
pub(crate) fn open_directory_at(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}

/// Opens a directory and makes it if it is missing, with these permission bits.
///
/// # Errors
/// The errno of `mkdirat(2)` or `openat(2)`.
pub(crate) fn make_directory(parent: impl AsFd, name: &str, mode: u32) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => open_directory(parent, name),
        Err(errno) => Err(errno),
    }
}

/// Opens a file for a lock of either kind, made with these permission bits if it is missing.
///
/// # Errors
/// The errno of `openat(2)`.
pub(super) fn make_lock(parent: impl AsFd, name: &str, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    regular(rustix::fs::openat(parent, name, flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode))?)
}

/// Opens a file.
///
/// # Errors
/// The errno of `openat2(2)`; `EINVAL` if it is no regular file.
pub(crate) fn open(parent: impl AsFd, name: &str, access: OFlags) -> Result<OwnedFd, Errno> {
    // Opening a FIFO does not wait.
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    regular(rustix::fs::openat2(parent, name, flags, Mode::empty(), within)?)
}

/// The same object as a descriptor to be bound, without the lock that may belong to the other.
///
/// # Errors
/// The errno of `openat(2)`.
pub(super) fn path_only(file: &OwnedFd) -> Result<OwnedFd, Errno> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::openat(CWD, link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

fn regular(file: OwnedFd) -> Result<OwnedFd, Errno> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    if kind == FileType::RegularFile { Ok(file) } else { Err(Errno::INVAL) }
}

/// What a file holds, `most` bytes at most.
///
/// # Errors
/// The errno of what failed; `EFBIG` if it holds more.
pub(crate) fn read(parent: impl AsFd, name: &str, most: u64) -> Result<Vec<u8>, Errno> {
    read_open(open(parent, name, OFlags::RDONLY)?, most)
}

/// The same of a file that is open.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_open(file: OwnedFd, most: u64) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut file = std::fs::File::from(file).take(most.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(|error| errno_of(&error))?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= most);
    if fits { Ok(bytes) } else { Err(Errno::FBIG) }
}

/// Makes a file that was not there.
///
/// # Errors
/// The errno of what failed; `EEXIST` if it was.
pub(crate) fn create(parent: impl AsFd, name: &str, mode: u32, bytes: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(mode))?;
    std::fs::File::from(file).write_all(bytes).map_err(|error| errno_of(&error))
}

/// Fills an empty file.
///
/// # Errors
/// The errno of what failed.
pub(super) fn fill(parent: impl AsFd, name: &str, bytes: &[u8]) -> Result<(), Errno> {
    let file = open(parent, name, OFlags::WRONLY)?;
    std::fs::File::from(file).write_all(bytes).map_err(|error| errno_of(&error))
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    fn top(scratch: &Scratch) -> OwnedFd {
        open_directory_at(&scratch.0).unwrap()
    }

    #[test]
    fn odd_files_are_refused_without_waiting() {
        let scratch = Scratch::new();
        scratch.file("real", "12345");
        symlink("real", scratch.join("link")).unwrap();
        scratch.directory("directory");
        let fifo = FileType::Fifo;
        rustix::fs::mknodat(top(&scratch), "fifo", fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(read(top(&scratch), "real", 5).unwrap(), b"12345");
        assert_eq!(read(top(&scratch), "real", 4), Err(Errno::FBIG));
        for name in ["link", "directory", "fifo", "missing"] {
            assert!(read(top(&scratch), name, 5).is_err(), "{name}");
        }
        assert!(make_lock(top(&scratch), "link", 0o600).is_err());
        assert!(make_directory(top(&scratch), "link", 0o700).is_err());
        assert!(create(top(&scratch), "link", 0o600, b"").is_err());
        assert_eq!(std::fs::read(scratch.join("real")).unwrap(), b"12345");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories of an installation, opened once and read from their descriptors.
//!
//! Only the installation itself may be a symlink: below it no link is followed, so that nothing that
//! lies there can lead elsewhere (T69). What is read is bounded.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::message::shown;

/// Most names that are looked at in one directory. Flathub has five thousand applications.
const NAMES: usize = 65_536;

/// A directory that exists.
#[derive(Debug)]
pub struct Directory {
    /// `O_PATH`.
    descriptor: OwnedFd,
    path: PathBuf,
}

/// What could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {}\n{reason}", shown(path))]
pub struct DirectoryError {
    /// Where it is.
    pub path: PathBuf,
    /// Why not.
    pub reason: Reason,
}

/// Why something of an installation cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The kernel refused it.
    #[error("{0}")]
    Errno(#[from] Errno),
    /// There is a link where a file or directory has to be.
    #[error("a part of it is a symlink, which is not followed there")]
    Link,
    /// It is something else than a file.
    #[error("it is no regular file")]
    Kind,
    /// It is longer than such a file may be.
    #[error("it is longer than {0} bytes")]
    Long(usize),
}

impl Directory {
    /// Opens a directory of the host, which may be a symlink. None if there is none.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn open(path: &Path) -> Result<Option<Self>, DirectoryError> {
        let opened = rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty());
        Self::found(opened, path.to_owned())
    }

    /// A directory that was opened before, which stays with its owner.
    ///
    /// # Errors
    /// If no more files can be opened.
    pub fn of(descriptor: impl AsFd, path: &Path) -> Result<Self, DirectoryError> {
        match rustix::io::fcntl_dupfd_cloexec(descriptor, 0) {
            Ok(descriptor) => Ok(Self { descriptor, path: path.to_owned() }),
            Err(errno) => Err(DirectoryError { path: path.to_owned(), reason: errno.into() }),
        }
    }

    /// Opens a directory below this one. None if there is none.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn below(&self, path: impl AsRef<Path>) -> Result<Option<Self>, DirectoryError> {
        Self::found(self.step(path.as_ref(), DIRECTORY), self.path.join(path))
    }

    fn found(
        opened: Result<OwnedFd, Errno>,
        path: PathBuf,
    ) -> Result<Option<Self>, DirectoryError> {
        match opened {
            Ok(descriptor) => Ok(Some(Self { descriptor, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(DirectoryError { path, reason: reason(errno) }),
        }
    }

    fn step(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH
            .union(ResolveFlags::NO_SYMLINKS)
            .union(ResolveFlags::NO_MAGICLINKS);
        rustix::fs::openat2(&self.descriptor, path, flags, Mode::empty(), resolve)
    }

    /// Where it was found, for messages and for programs that are told a path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its `O_PATH` descriptor.
    #[must_use]
    pub fn into_descriptor(self) -> OwnedFd {
        self.descriptor
    }

    /// The content of a file below this directory. None if there is none.
    ///
    /// # Errors
    /// [`DirectoryError`], also if it is longer than `limit` bytes.
    pub fn read(
        &self,
        path: impl AsRef<Path>,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, DirectoryError> {
        let read = content(self.step(path.as_ref(), FILE), limit);
        read.map_err(|reason| DirectoryError { path: self.path.join(path), reason })
    }

    /// The target of a symlink below this directory. None if there is none, or something else.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn link(&self, path: impl AsRef<Path>) -> Result<Option<OsString>, DirectoryError> {
        let path = path.as_ref();
        let failed = |errno| DirectoryError { path: self.path.join(path), reason: reason(errno) };
        let flags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
        let link = match self.step(path, flags) {
            Ok(link) => link,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        match rustix::fs::readlinkat(&link, c"", Vec::new()) {
            Ok(target) => Ok(Some(OsString::from_vec(target.into_bytes()))),
            // What readlinkat(2) says of an object that is no link.
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// The names in it that are text, in order, at most 65536.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn names(&self) -> Result<Vec<String>, DirectoryError> {
        let read = || {
            let flags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);
            let mut names = Vec::new();
            for entry in Dir::new(self.step(Path::new("."), flags)?)?.take(NAMES) {
                match entry?.file_name().to_str() {
                    Ok("." | "..") | Err(_) => {}
                    Ok(name) => names.push(name.to_owned()),
                }
            }
            names.sort_unstable();
            Ok(names)
        };
        read().map_err(|errno| DirectoryError { path: self.path.clone(), reason: reason(errno) })
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The content of a file of the host, found through whatever symlinks there are. None if there is none.
///
/// # Errors
/// [`DirectoryError`], also if it is longer than `limit` bytes.
pub fn read_host_file(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, DirectoryError> {
    let read = content(rustix::fs::openat(CWD, path, FILE, Mode::empty()), limit);
    read.map_err(|reason| DirectoryError { path: path.to_owned(), reason })
}

fn content(opened: Result<OwnedFd, Errno>, limit: usize) -> Result<Option<Vec<u8>>, Reason> {
    let file = match opened {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(reason(errno)),
    };
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Reason::Kind);
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read = std::fs::File::from(file).take(most).read_to_end(&mut bytes);
    read.map_err(|error| Reason::Errno(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    if bytes.len() > limit { Err(Reason::Long(limit)) } else { Ok(Some(bytes)) }
}

/// How files are opened: without waiting, whatever lies there.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// How directories are opened.
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn reason(errno: Errno) -> Reason {
    if errno == Errno::LOOP { Reason::Link } else { Reason::Errno(errno) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    fn opened(path: &Path) -> Directory {
        Directory::open(path).unwrap().unwrap()
    }

    #[test]
    fn the_installation_may_be_a_link_and_nothing_below_it() {
        let scratch = Scratch::new();
        scratch.file("real/a/file", "text");
        scratch.file("secret", "text");
        symlink("real", scratch.join("link")).unwrap();
        symlink("a", scratch.join("real/inner")).unwrap();
        symlink("../secret", scratch.join("real/outer")).unwrap();
        let directory = opened(&scratch.join("link"));
        assert_eq!(directory.read("a/file", 10).unwrap().unwrap(), b"text");
        for path in ["inner/file", "outer"] {
            assert_eq!(directory.read(path, 10).unwrap_err().reason, Reason::Link, "{path}");
        }
        assert_eq!(directory.below("inner").unwrap_err().reason, Reason::Link);
        let above = directory.read("../secret", 10).unwrap_err().reason;
        assert_eq!(above, Reason::Errno(Errno::XDEV));
        assert_eq!(directory.names().unwrap(), ["a", "inner", "outer"]);
    }

    #[test]
    fn reading_is_bounded_and_only_of_files() {
        let scratch = Scratch::new();
        scratch.file("d/file", "12345");
        rustix::fs::mknodat(
            CWD,
            scratch.join("d/pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let directory = opened(&scratch.join("d"));
        assert_eq!(directory.read("file", 5).unwrap().unwrap().len(), 5);
        assert_eq!(directory.read("file", 4).unwrap_err().reason, Reason::Long(4));
        assert_eq!(directory.read("pipe", 4).unwrap_err().reason, Reason::Kind);
        assert_eq!(directory.read("none", 4).unwrap(), None);
        assert!(Directory::open(&scratch.join("none")).unwrap().is_none());
        let error = Directory::open(&scratch.join("d/file")).unwrap_err();
        assert_eq!(error.reason, Reason::Errno(Errno::NOTDIR));
    }

    #[test]
    fn links_are_read_and_not_followed() {
        let scratch = Scratch::new();
        scratch.file("d/file", "");
        symlink("file", scratch.join("d/link")).unwrap();
        let directory = opened(&scratch.join("d"));
        assert_eq!(directory.link("link").unwrap().unwrap(), "file");
        assert_eq!(directory.link("file").unwrap(), None);
        assert_eq!(directory.link("none").unwrap(), None);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A directory of the host whose content others made: the files of a runtime or an application.
//!
//! Opened once; what is read and mounted is found beneath that descriptor, whatever its path leads
//! to later. A symlink in it that leads out of it leads nowhere (R73, T68).

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use stockade_protocol::limits;
use stockade_protocol::request::Access;

use crate::message::shown;
use crate::object::{self, Object};
use crate::sandbox::{Sandbox, SandboxError};

/// How everything is opened: to be looked at and bound.
const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// A directory.
#[derive(Debug)]
pub struct Tree {
    descriptor: OwnedFd,
    path: PathBuf,
}

/// A directory that the user named and that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// It cannot be opened as a directory.
    #[error(
        "cannot give the directory {} to the sandbox\n{errno}\n\
         name a directory that exists and that you may enter",
        shown(path)
    )]
    Open {
        /// As given.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// It has no path any more, so nothing could be said about it.
    #[error(
        "cannot give the directory {} to the sandbox\n\
         it was deleted, or its path leads elsewhere\n\
         pass the descriptor of a directory that has a path",
        shown(path)
    )]
    Nowhere {
        /// What the kernel calls it.
        path: PathBuf,
    },
}

/// An entry of a directory.
#[derive(Debug)]
pub enum Entry {
    /// A symlink and what it says.
    Symlink(PathBuf),
    /// Anything else.
    Object(Object),
}

impl Tree {
    /// A directory that was opened already, `O_PATH`. `path` is what messages call it.
    #[must_use]
    pub fn of(descriptor: OwnedFd, path: PathBuf) -> Self {
        Self { descriptor, path }
    }

    /// Opens the directory that the user named, following symlinks (R103).
    ///
    /// # Errors
    /// [`TreeError::Open`].
    pub fn open(path: &Path) -> Result<Self, TreeError> {
        let opened = rustix::fs::openat(CWD, path, PATH | OFlags::DIRECTORY, Mode::empty());
        let descriptor =
            opened.map_err(|errno| TreeError::Open { path: path.to_owned(), errno })?;
        Ok(Self { descriptor, path: path.to_owned() })
    }

    /// Takes over a descriptor of a directory. Its path is what the kernel reports (R103, R249).
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn adopt(descriptor: &OwnedFd) -> Result<Self, TreeError> {
        use std::os::fd::AsRawFd as _;
        let link = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        let failed = |errno| TreeError::Open { path: PathBuf::from(&link), errno };
        let path = rustix::fs::readlink(&link, Vec::new()).map_err(failed)?;
        let path = PathBuf::from(OsString::from_vec(path.into_bytes()));
        // Whatever access it was opened for, this one is for its place only.
        let own = rustix::fs::openat(descriptor, c".", PATH | OFlags::DIRECTORY, Mode::empty())
            .map_err(failed)?;
        let tree = Self { descriptor: own, path };
        if tree.is_at_its_path() { Ok(tree) } else { Err(TreeError::Nowhere { path: tree.path }) }
    }

    /// The directory `name` in `directory`, whose host path is `path`. It is no symlink.
    ///
    /// # Errors
    /// The errno of `openat(2)`.
    pub fn within(directory: impl AsFd, path: &Path, name: &str) -> Result<Self, Errno> {
        let flags = PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let descriptor = rustix::fs::openat(directory, name, flags, Mode::empty())?;
        Ok(Self { descriptor, path: path.join(name) })
    }

    /// Where it is on the host, for messages and `.flatpak-info`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory `path` below this one; symlinks that stay in it are followed.
    ///
    /// # Errors
    /// The errno of `openat2(2)`: `EXDEV` where a symlink leads out.
    pub fn directory(&self, path: &str) -> Result<Self, Errno> {
        let resolve = ResolveFlags::empty();
        let descriptor = self.resolve(path.as_ref(), OFlags::DIRECTORY, resolve)?;
        Ok(Self { descriptor, path: self.path.join(path) })
    }

    /// Whether `path` is a directory below this one without any symlink on the way, so that something
    /// can be mounted on it.
    #[must_use]
    pub fn has_directory(&self, path: &str) -> bool {
        self.resolve(path.as_ref(), OFlags::DIRECTORY, ResolveFlags::NO_SYMLINKS).is_ok()
    }

    /// The object at `path` below this directory; symlinks that stay in it are followed.
    ///
    /// # Errors
    /// The errno of `openat2(2)`: `EXDEV` where a symlink leads out.
    pub fn find(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.resolve(path, OFlags::empty(), ResolveFlags::empty())
    }

    fn resolve(&self, path: &Path, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        let resolve = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.descriptor, path, PATH | flags, Mode::empty(), resolve)
    }

    /// Whether there is an entry of this name, be it a symlink that leads nowhere.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// The names of its entries, sorted.
    ///
    /// # Errors
    /// If it cannot be read, or has more entries than a sandbox has operations.
    pub fn names(&self) -> Result<Vec<CString>, SandboxError> {
        let failed = |errno| SandboxError::Open { path: self.path.clone(), errno };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = rustix::fs::openat(&self.descriptor, c".", flags, Mode::empty());
        let mut names = Vec::new();
        for entry in Dir::new(readable.map_err(failed)?).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_owned();
            if names.len() >= limits::OPERATIONS {
                return Err(SandboxError::TooMany);
            }
            if !matches!(name.as_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The entry of this name; none if it is not there any more.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn entry(&self, name: &CString) -> Result<Option<Entry>, SandboxError> {
        let failed = |errno| SandboxError::Open {
            path: self.path.join(OsStr::from_bytes(name.as_bytes())),
            errno,
        };
        let flags = PATH | OFlags::NOFOLLOW;
        let object = match rustix::fs::openat(&self.descriptor, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => Object::new(other.map_err(failed)?).map_err(failed)?,
        };
        if object.kind() != FileType::Symlink {
            return Ok(Some(Entry::Object(object)));
        }
        let target = rustix::fs::readlinkat(&object, c"", Vec::new()).map_err(failed)?;
        Ok(Some(Entry::Symlink(OsString::from_vec(target.into_bytes()).into())))
    }

    /// Mounts it read-only. It can be mounted several times.
    ///
    /// # Errors
    /// If there are too many descriptors, here or in the request.
    pub fn bind(&self, destination: &Path, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        self.bind_as(Access::ReadOnly, destination, sandbox)
    }

    /// The same with another access.
    ///
    /// # Errors
    /// As [`Tree::bind`].
    pub fn bind_as(
        &self,
        access: Access,
        destination: &Path,
        sandbox: &mut Sandbox,
    ) -> Result<(), SandboxError> {
        let duplicate = rustix::io::fcntl_dupfd_cloexec(&self.descriptor, 0)
            .map_err(|errno| SandboxError::Open { path: self.path.clone(), errno })?;
        sandbox.bind_descriptor(duplicate, &self.path, destination, access)
    }

    /// Whether its path leads to it.
    fn is_at_its_path(&self) -> bool {
        let there = rustix::fs::stat(&self.path);
        let here = rustix::fs::fstat(&self.descriptor);
        matches!((here, there), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Whether a descriptor is that of a regular file.
#[must_use]
pub fn is_file(descriptor: impl AsFd) -> bool {
    object::kind(descriptor) == Ok(FileType::RegularFile)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    #[test]
    fn r73_links_out_of_the_tree_lead_nowhere() {
        let scratch = Scratch::new();
        scratch.file("secret/file", "");
        let files = scratch.directory("files/real");
        scratch.file("files/real/file", "");
        symlink("../secret", scratch.join("files/up")).unwrap();
        symlink(scratch.join("secret"), scratch.join("files/absolute")).unwrap();
        symlink("real", scratch.join("files/inside")).unwrap();
        let tree = Tree::open(files.parent().unwrap()).unwrap();
        for path in ["up/file", "absolute/file", "../secret/file", "/etc/passwd"] {
            assert_eq!(tree.find(Path::new(path)).unwrap_err(), Errno::XDEV, "{path}");
        }
        assert!(is_file(tree.find(Path::new("inside/file")).unwrap()));
        assert_eq!(tree.directory("up").unwrap_err(), Errno::XDEV);
        assert!(tree.directory("inside").unwrap().has("file"));
        assert_eq!(tree.directory("real").unwrap().path(), files);
        assert!(tree.has_directory("real") && !tree.has_directory("inside"));
        assert!(!tree.has_directory("real/file") && !tree.has_directory("up"));
        assert!(tree.has("up") && !tree.has("none"));
    }

    #[test]
    fn r73_the_directory_is_the_one_that_was_opened() {
        let scratch = Scratch::new();
        scratch.file("files/true", "");
        let tree = Tree::open(&scratch.join("files")).unwrap();
        std::fs::rename(scratch.join("files"), scratch.join("old")).unwrap();
        scratch.file("files/false", "");
        assert_eq!(tree.names().unwrap(), [c"true".to_owned()]);
    }

    #[test]
    fn a_directory_within_is_no_symlink() {
        let scratch = Scratch::new();
        scratch.directory("secret");
        let deploy = scratch.directory("deploy");
        symlink("../secret", deploy.join("files")).unwrap();
        let directory = Tree::open(&deploy).unwrap();
        assert!(Tree::within(&directory, &deploy, "files").is_err());
        std::fs::remove_file(deploy.join("files")).unwrap();
        scratch.file("deploy/files/x", "");
        let files = Tree::within(&directory, &deploy, "files").unwrap();
        assert_eq!(files.path(), deploy.join("files"));
        assert!(files.has("x"));
    }

    #[test]
    fn r103_descriptors_of_directories_with_a_path_are_taken() {
        let scratch = Scratch::new();
        let path = scratch.directory("usr");
        let open = || OwnedFd::from(std::fs::File::open(&path).unwrap());
        assert_eq!(Tree::adopt(&open()).unwrap().path(), path);
        let file = OwnedFd::from(std::fs::File::open(scratch.file("file", "")).unwrap());
        assert!(matches!(Tree::adopt(&file), Err(TreeError::Open { .. })));
        let deleted = open();
        std::fs::remove_dir(&path).unwrap();
        let error = Tree::adopt(&deleted).unwrap_err();
        assert!(matches!(error, TreeError::Nowhere { .. }), "{error}");
    }

    #[test]
    fn r103_a_directory_that_is_none_is_refused_by_name() {
        let scratch = Scratch::new();
        for path in [scratch.file("file\n", ""), scratch.join("none")] {
            let text = Tree::open(&path).unwrap_err().to_string();
            assert_eq!(text.lines().count(), 3, "{text}");
        }
    }
}

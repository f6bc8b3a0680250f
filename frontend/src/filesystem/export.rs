// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files and directories a sandbox will see, collected first, then mounted in one order
//! (R66-R69).
//!
//! Each source is opened when it is added and bound by that descriptor. Paths are collected without
//! symlinks; symlinks that led there are made again.
//!
//! `exec` never hides what is below something granted by name (T53); of an application, whole
//! directories are hidden there, as Flatpak does. A directory that is not empty cannot be taken away
//! from under what hides it.

mod automount;
mod error;
mod order;
mod reserved;

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

pub use error::ExportError;
pub use reserved::Reserved;

use super::locate::{Link, LocateError, Located, locate};
use super::token::Access;
use crate::object::{self, Object};
use crate::sandbox::SandboxError;
use automount::{is_automounter, wait_for_automount};

/// What appears at a path of the sandbox, the weakest first (R68).
#[derive(Debug)]
enum Entry {
    /// Something that is mounted before, such as the runtime; a symlink in it is there already.
    Runtime,
    /// A directory that has to exist, whatever is in it.
    Directory,
    /// A directory that is empty even below something granted.
    Hidden,
    /// An empty tmpfs.
    Private {
        /// Permission bits.
        mode: u32,
    },
    /// An object of the host.
    Bound { object: Object, source: PathBuf, access: Access },
    /// A symlink.
    Symlink(PathBuf),
}

impl Entry {
    fn rank(&self) -> (u8, Option<Access>) {
        match self {
            Self::Runtime => (0, None),
            Self::Directory => (1, None),
            Self::Hidden => (2, None),
            Self::Private { .. } => (3, None),
            // What had to be made is there by now. What was opened first stays.
            Self::Bound { access, .. } => (4, Some((*access).min(Access::ReadWrite))),
            Self::Symlink(_) => (5, None),
        }
    }
}

/// What whoever only asks sees at a path of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// An object of the host.
    Granted(Access),
    /// Nothing of the host.
    Hidden,
    /// A symlink, as the host has it.
    Link,
}

/// The collection.
#[derive(Debug)]
pub struct Exports {
    reserved: Reserved,
    /// By path of the sandbox, in byte order, so that parents come first (R69).
    entries: BTreeMap<OsString, Entry>,
    /// Mounts that were found to be no automounters, by number.
    ordinary: BTreeSet<u64>,
}

impl Exports {
    /// An empty collection over a runtime that shows these directories of the host.
    #[must_use]
    pub fn over<'a>(runtime: impl IntoIterator<Item = &'a Path>) -> Self {
        Self::new(Reserved::HOST, runtime)
    }

    /// An empty collection for an application, over places that its sandbox has already.
    #[must_use]
    pub fn of_application<'a>(places: impl IntoIterator<Item = &'a Path>) -> Self {
        Self::new(Reserved::APPLICATION, places)
    }

    fn new<'a>(reserved: Reserved, places: impl IntoIterator<Item = &'a Path>) -> Self {
        let entry = |path: &Path| (path.as_os_str().to_owned(), Entry::Runtime);
        let entries = places.into_iter().map(entry).collect();
        Self { reserved, entries, ordinary: BTreeSet::new() }
    }

    /// Moves what lies in `directory`, in an entry with one of these names, to the same place in `to`:
    /// inside, the entry is a symlink to there. Gives the names that were found.
    pub fn relocate(
        &mut self,
        directory: &Path,
        to: &Path,
        is_meant: impl Fn(&str) -> bool,
    ) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut place = |path: OsString| {
            let below = Path::new(&path).strip_prefix(directory).ok();
            let first = below.and_then(|below| below.iter().next()?.to_str());
            match (below, first.filter(|first| is_meant(first))) {
                (Some(below), Some(first)) => {
                    found.insert(first.to_owned());
                    to.join(below).into_os_string()
                }
                _ => path,
            }
        };
        let entries = std::mem::take(&mut self.entries);
        self.entries = entries.into_iter().map(|(path, entry)| (place(path), entry)).collect();
        found
    }

    /// Whether nothing of the host can be at this path.
    #[must_use]
    pub fn refuses(&self, path: &Path) -> bool {
        self.reserved.refuses(path)
    }

    /// Exports the object at the absolute path `path` where it is, and gives the path without
    /// symlinks at which it will appear.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn share(&mut self, path: &Path, access: Access) -> Result<PathBuf, ExportError> {
        let located = self.find(path)?;
        self.add(located, path, access)
    }

    /// Exports what was found at `path`, and gives the path without symlinks at which it will appear.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn add(
        &mut self,
        mut located: Located,
        path: &Path,
        access: Access,
    ) -> Result<PathBuf, ExportError> {
        if access == Access::Create {
            let failed = |errno: Errno| {
                let path = path.to_owned();
                ExportError::Create { path, reason: errno.into() }
            };
            located.make(0o755).map_err(failed)?;
        }
        let Some(object) = located.object else {
            return Err(ExportError::Missing { path: path.to_owned() });
        };
        let object = self.usable(object, path)?;
        self.link(located.links);
        let entry = Entry::Bound { object, source: located.path.clone(), access };
        self.put(located.path.clone(), entry);
        Ok(located.path)
    }

    /// Shows the host object `source`, already open, at `destination`, which is without symlinks.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn show(
        &mut self,
        object: OwnedFd,
        source: &Path,
        destination: PathBuf,
        access: Access,
    ) -> Result<(), SandboxError> {
        let object = Object::new(object)
            .map_err(|errno| SandboxError::Open { path: source.to_owned(), errno })?;
        self.put(destination, Entry::Bound { object, source: source.to_owned(), access });
        Ok(())
    }

    /// Makes a symlink.
    pub fn symlink(&mut self, path: PathBuf, target: PathBuf) {
        self.put(path, Entry::Symlink(target));
    }

    /// Puts an empty directory of the sandbox where the host has `path`, which need not exist. What
    /// is exported there or above it wins.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn private(&mut self, path: &Path, mode: u32) -> Result<PathBuf, ExportError> {
        let located = self.find(path)?;
        self.link(located.links);
        self.put(located.path.clone(), Entry::Private { mode });
        Ok(located.path)
    }

    /// Puts an empty directory over one that the host has, also below something granted (R65, R69).
    /// What is granted at this very path wins.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn hide(&mut self, path: &Path) -> Result<(), ExportError> {
        self.replace(path, Entry::Hidden)
    }

    /// Sees to it that a directory of the host is one of the sandbox, if only an empty one (R65).
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn require(&mut self, path: &Path) -> Result<(), ExportError> {
        self.replace(path, Entry::Directory)
    }

    /// R69: only where the host has a directory.
    fn replace(&mut self, path: &Path, entry: Entry) -> Result<(), ExportError> {
        let located = self.find(path)?;
        let failed = |errno| ExportError::Locate {
            path: path.to_owned(),
            source: LocateError::Open { errno },
        };
        let kind = located.object.map(object::kind).transpose().map_err(failed)?;
        if kind == Some(FileType::Directory) {
            self.link(located.links);
            self.put(located.path, entry);
        }
        Ok(())
    }

    /// What is to be seen of the host, by path, parents first.
    pub fn seen(&self) -> impl Iterator<Item = (&Path, Seen)> {
        self.entries.iter().filter_map(|(path, entry)| {
            let seen = match entry {
                // In what is there without exports nobody looks for the host's, and an empty
                // directory shows no more of it than the one that it is in.
                Entry::Runtime | Entry::Directory => return None,
                Entry::Hidden | Entry::Private { .. } => Seen::Hidden,
                Entry::Bound { access, .. } => Seen::Granted(*access),
                Entry::Symlink(_) => Seen::Link,
            };
            Some((Path::new(path), seen))
        })
    }

    /// Whether the path of the sandbox, without symlinks, lies in something exported.
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        path.ancestors().any(|above| {
            let entry = self.entries.get(above.as_os_str());
            entry.is_some_and(|entry| matches!(entry, Entry::Bound { .. }))
        })
    }

    /// Locates `path`, to be added or not.
    ///
    /// # Errors
    /// [`ExportError`]: reserved places are refused, also where a symlink leads to one.
    pub fn find(&self, path: &Path) -> Result<Located, ExportError> {
        self.reserved.check(path)?;
        let located =
            locate(path).map_err(|source| ExportError::Locate { path: path.to_owned(), source })?;
        self.reserved.check(&located.path)?;
        Ok(located)
    }

    /// R66: only what is a directory, a regular file or a socket, and answers.
    fn usable(&mut self, object: OwnedFd, path: &Path) -> Result<Object, ExportError> {
        let object = Object::new(object).map_err(|errno| {
            let source = LocateError::Open { errno };
            ExportError::Locate { path: path.to_owned(), source }
        })?;
        match object.kind() {
            FileType::Directory => self.mounted(object, path),
            FileType::RegularFile | FileType::Socket => Ok(object),
            FileType::Symlink
            | FileType::Fifo
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Err(ExportError::Kind { path: path.to_owned() }),
        }
    }

    /// A directory with what belongs on it. What a mount is does not change, so each is asked for
    /// once.
    fn mounted(&mut self, object: Object, path: &Path) -> Result<Object, ExportError> {
        if object.mount().is_some_and(|mount| self.ordinary.contains(&mount)) {
            return Ok(object);
        }
        if is_automounter(&object) {
            return wait_for_automount(object, path);
        }
        self.ordinary.extend(object.mount());
        Ok(object)
    }

    /// Makes the symlinks again that led to something, unless the sandbox has something else there.
    pub fn link(&mut self, links: Vec<Link>) {
        for Link { path, target, owner: _ } in links {
            let there = self.entries.get(path.as_os_str());
            if !there.is_some_and(|entry| matches!(entry, Entry::Runtime)) {
                self.put(path, Entry::Symlink(target));
            }
        }
    }

    /// R68: of two entries for a path the stronger one stays.
    fn put(&mut self, path: PathBuf, entry: Entry) {
        match self.entries.entry(path.into_os_string()) {
            btree_map::Entry::Vacant(place) => {
                place.insert(entry);
            }
            btree_map::Entry::Occupied(mut place) => {
                if place.get().rank() < entry.rank() {
                    place.insert(entry);
                }
            }
        }
    }
}

impl Default for Exports {
    fn default() -> Self {
        Self::over([])
    }
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
mod tests;

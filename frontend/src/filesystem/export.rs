// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files and directories a sandbox will see, collected first, then mounted in one order
//! (R66-R69).
//!
//! Each source is opened when it is added and bound by that descriptor. Paths are collected without
//! symlinks; symlinks that led there are made again. Nothing is ever hidden below something granted
//! by name (T53).

mod automount;
mod error;
mod reserved;

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;
use stockade_protocol::request;

pub use error::ExportError;
pub use reserved::is_reserved;

use super::locate::{self, LocateError, Located, locate};
use super::token::Access;
use crate::object::Object;
use crate::sandbox::{Sandbox, SandboxError};
use automount::{is_automounter, wait_for_automount};
use reserved::check_reserved;

/// What appears at a path of the sandbox, the weakest first (R68).
#[derive(Debug)]
enum Entry {
    /// Part of the runtime, which is mounted before; a symlink in it is there already.
    Runtime,
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
            Self::Private { .. } => (1, None),
            Self::Bound { access, .. } => (2, Some(*access)),
            Self::Symlink(_) => (3, None),
        }
    }
}

/// The collection.
#[derive(Debug, Default)]
pub struct Exports {
    /// By path of the sandbox, in byte order, so that parents come first (R69).
    entries: BTreeMap<OsString, Entry>,
    /// Mounts that were found to be no automounters, by number.
    ordinary: BTreeSet<u64>,
}

impl Exports {
    /// An empty collection over a runtime that shows these directories of the host.
    #[must_use]
    pub fn over<'a>(runtime: impl IntoIterator<Item = &'a Path>) -> Self {
        let entry = |path: &Path| (path.as_os_str().to_owned(), Entry::Runtime);
        Self { entries: runtime.into_iter().map(entry).collect(), ..Self::default() }
    }

    /// Exports the object at the absolute path `path` where it is, and gives the path without
    /// symlinks at which it will appear.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn share(&mut self, path: &Path, access: Access) -> Result<PathBuf, ExportError> {
        let mut located = self.find(path)?;
        if access == Access::Create {
            let failed =
                |errno: Errno| ExportError::Create { path: path.to_owned(), reason: errno.into() };
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

    /// Whether the path of the sandbox, without symlinks, lies in something exported.
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        path.ancestors().any(|above| {
            let entry = self.entries.get(above.as_os_str());
            entry.is_some_and(|entry| matches!(entry, Entry::Bound { .. }))
        })
    }

    /// Mounts everything.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn mount(self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        // In byte order, everything that begins with the letters of a path follows it at once:
        // `/a`, `/a-b`, `/a/b`. These are the paths that the current one may still be in.
        let mut above: Vec<(PathBuf, View)> = Vec::new();
        for (path, entry) in self.entries {
            let path = PathBuf::from(path);
            while above.last().is_some_and(|(earlier, _)| !continues(earlier, &path)) {
                above.pop();
            }
            let parent = above.iter().rev().find(|(earlier, _)| path.starts_with(earlier));
            let parent = parent.map_or(View::Private, |(_, view)| *view);
            let view = match (entry, parent) {
                (Entry::Runtime, _) => View::Runtime,
                // The directory above was granted by name, and with it what is in it.
                (Entry::Private { .. }, View::Granted) => continue,
                (Entry::Private { mode }, View::Private | View::Runtime) => {
                    sandbox.tmpfs(&path, mode)?;
                    View::Private
                }
                (Entry::Bound { object, source, access }, _) => {
                    let access = match access {
                        Access::ReadOnly => request::Access::ReadOnly,
                        Access::ReadWrite | Access::Create => request::Access::ReadWrite,
                    };
                    sandbox.bind_object(object, source, &path, access)?;
                    View::Granted
                }
                // R69: the host's own symlink is in view.
                (Entry::Symlink(_), View::Granted | View::Runtime) => continue,
                (Entry::Symlink(target), View::Private) => {
                    sandbox.symlink(&target, &path)?;
                    continue;
                }
            };
            above.push((path, view));
        }
        Ok(())
    }

    /// Locates `path` and refuses reserved places, also where a symlink leads to one.
    fn find(&self, path: &Path) -> Result<Located, ExportError> {
        check_reserved(path)?;
        let located =
            locate(path).map_err(|source| ExportError::Locate { path: path.to_owned(), source })?;
        check_reserved(&located.path)?;
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

    fn link(&mut self, links: Vec<locate::Link>) {
        for link in links {
            self.put(link.path, Entry::Symlink(link.target));
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

/// Whether `path` begins with the letters of `earlier`, be it below it or not.
fn continues(earlier: &Path, path: &Path) -> bool {
    path.as_os_str().as_bytes().starts_with(earlier.as_os_str().as_bytes())
}

/// What a directory of the sandbox shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// Something of the sandbox's own.
    Private,
    /// The host's, as part of the runtime.
    Runtime,
    /// The host's, because it was granted.
    Granted,
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
mod tests;

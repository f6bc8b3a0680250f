// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where extensions come to lie in the sandbox: mounts, links beside them, locks (R8, R218, R221).
//!
//! Nothing is mounted or made through a symlink of an application or extension: their authors would
//! choose where in the sandbox it really is, over the files that tell others what the sandbox is.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, OFlags};
use rustix::io::Errno;

use super::relative::Relative;
use super::{Extension, Parent};
use crate::flatpak::beneath::{self, Links};
use crate::flatpak::lock;
use crate::message::{Notice, shown};
use crate::sandbox::sandbox_path;

/// Most entries of directories that are merged, for all extensions together. Those of drivers have
/// a handful.
const ENTRIES: usize = 4096;

/// What is done, in this order.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Mounts in the order of their places.
    pub(super) mounts: Vec<Mount>,
    /// Symlinks in directories that were made empty: where, and what they say.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    /// Files that are locked.
    pub(super) locks: Vec<PathBuf>,
}

/// One extension in its place.
#[derive(Debug)]
pub(super) struct Mount {
    /// The directory that is made empty before, for it and others beside it.
    pub(super) empty: Option<PathBuf>,
    /// Which extension, as an index.
    pub(super) extension: usize,
}

/// An extension that cannot be where it is to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misplaced {
    /// Its index.
    pub(super) extension: usize,
    /// Why.
    pub(super) reason: String,
}

/// What a part of the sandbox shows.
#[derive(Clone, Copy)]
enum Surface<'a> {
    /// These files, read-only.
    Files(BorrowedFd<'a>),
    /// These files, for writing.
    Writable(BorrowedFd<'a>),
    /// A directory that was made empty.
    Empty,
}

/// What is mounted where, in order: a later one covers earlier ones.
#[derive(Default)]
struct Surfaces<'a>(Vec<(PathBuf, Surface<'a>)>);

impl<'a> Surfaces<'a> {
    /// What is seen at a path, how far below its mount point, and the number of that mount.
    fn at<'p>(&self, path: &'p Path) -> Option<(usize, Surface<'a>, &'p Path)> {
        let below = |(index, (top, surface)): (usize, &(PathBuf, Surface<'a>))| {
            path.strip_prefix(top).ok().map(|rest| (index, *surface, rest))
        };
        self.0.iter().enumerate().rev().find_map(below)
    }

    /// Whether something can be mounted on this directory.
    fn holds(&self, path: &Path) -> Result<(), String> {
        sandbox_path(path).map_err(|error| error.to_string())?;
        match self.at(path) {
            Some((_, surface @ (Surface::Files(files) | Surface::Writable(files)), rest))
                if !rest.as_os_str().is_empty() =>
            {
                let flags = OFlags::PATH.union(OFlags::DIRECTORY);
                match beneath::open(files, rest, flags, Links::Refused) {
                    Ok(_) => Ok(()),
                    Err(Errno::NOENT) if matches!(surface, Surface::Writable(_)) => Ok(()),
                    Err(Errno::NOENT) => Err("there is no such directory to mount it on".into()),
                    Err(Errno::LOOP) => Err("a part of that path is a symlink".into()),
                    Err(errno) => Err(errno.to_string()),
                }
            }
            Some(_) => Ok(()),
            None => Err("it is outside the application or runtime".into()),
        }
    }

    /// Whether a path is a mount point, or one lies below it.
    fn is_taken(&self, path: &Path) -> bool {
        self.0.iter().any(|(top, _)| top.starts_with(path))
    }
}

impl Layout {
    /// Finds the places of extensions, which are in order of priority, in the files of an
    /// application or runtime.
    ///
    /// # Errors
    /// The first one that has none.
    pub(super) fn new(
        parent: Parent<'_>,
        extensions: &[Extension],
        notices: &mut Vec<Notice>,
    ) -> Result<Self, Misplaced> {
        let Parent { files, prefix, is_writable, .. } = parent;
        let files = if is_writable { Surface::Writable(files) } else { Surface::Files(files) };
        let mut surfaces = Surfaces(vec![(prefix.to_owned(), files)]);
        let mut layout = Self::default();
        let mut emptied = HashSet::new();
        let mut mounted = Vec::new();
        let mut sorted: Vec<_> = extensions.iter().enumerate().collect();
        sorted.sort_by_key(|(_, extension)| extension.place.as_os_str());

        for (index, extension) in sorted {
            let wrong = |reason| Misplaced { extension: index, reason };
            let parent = extension.place.parent().filter(|_| extension.is_one_of_several);
            let empty = parent.filter(|parent| emptied.insert((*parent).to_owned()));
            if let Some(parent) = empty {
                surfaces.holds(parent).map_err(wrong)?;
                surfaces.0.push((parent.to_owned(), Surface::Empty));
            }
            let point = extension.mount_point();
            surfaces.holds(&point).map_err(wrong)?;
            mounted.push((surfaces.0.len(), index));
            surfaces.0.push((point, Surface::Files(extension.files.as_fd())));
            layout.mounts.push(Mount { empty: empty.map(Path::to_owned), extension: index });
        }

        for (mount, index) in mounted {
            let Some(extension) = extensions.get(index) else { continue };
            let path = extension.mount_point().join(lock::NAME);
            // What is covered cannot be locked by its path, and nobody can use it either.
            let is_seen = surfaces.at(&path).is_some_and(|(seen, ..)| seen == mount);
            if is_seen && lock::is_there(&extension.files) {
                layout.locks.push(path);
            }
        }
        layout.links = Merger { surfaces, ..Merger::default() }.links(extensions, notices);
        Ok(layout)
    }
}

/// Collects the links of merged directories.
#[derive(Default)]
struct Merger<'a> {
    surfaces: Surfaces<'a>,
    links: Vec<(PathBuf, PathBuf)>,
    /// Where there are links.
    made: HashSet<PathBuf>,
    /// Directories on the way to them.
    parents: HashSet<PathBuf>,
    entries: usize,
}

impl Merger<'_> {
    fn links(
        mut self,
        extensions: &[Extension],
        notices: &mut Vec<Notice>,
    ) -> Vec<(PathBuf, PathBuf)> {
        for extension in extensions {
            for merged in &extension.merge {
                if let Err(reason) = self.merge(extension, merged) {
                    notices.push(Notice::Warning(format!(
                        "leaving out the directory '{}' of the extension {}\n{reason}",
                        shown(merged.to_open()),
                        extension.id
                    )));
                }
            }
        }
        self.links
    }

    /// Puts the entries of one directory of an extension beside it.
    fn merge(&mut self, extension: &Extension, merged: &Relative) -> Result<(), String> {
        let flags = OFlags::RDONLY.union(OFlags::DIRECTORY);
        let directory =
            match beneath::open(&extension.files, merged.to_open(), flags, Links::Inside) {
                Ok(directory) => directory,
                Err(Errno::NOENT) => return Ok(()),
                Err(errno) => return Err(errno.to_string()),
            };
        let Some(beside) = extension.place.parent() else { return Ok(()) };
        let beside = merged.under(beside);
        if !matches!(self.surfaces.at(&beside), Some((_, Surface::Empty, _))) {
            return Err(format!("nothing can be made in {}", shown(&beside)));
        }
        let inside = merged.under(&extension.place);
        let mut names = names(directory).map_err(|errno| errno.to_string())?;
        names.sort_unstable();
        for name in names {
            self.entries = self.entries.saturating_add(1);
            if self.entries > ENTRIES {
                return Err(format!("there are more than {ENTRIES} entries to merge"));
            }
            self.link(beside.join(&name), inside.join(&name));
        }
        Ok(())
    }

    /// Makes a link, unless something is there: what a more important extension brought, or a
    /// mount.
    fn link(&mut self, path: PathBuf, target: PathBuf) {
        let leads_through = path.ancestors().any(|above| self.made.contains(above));
        let is_taken = self.parents.contains(&path) || self.surfaces.is_taken(&path);
        if leads_through || is_taken || sandbox_path(&path).is_err() {
            return;
        }
        self.parents.extend(path.ancestors().skip(1).map(Path::to_owned));
        self.made.insert(path.clone());
        self.links.push((path, target));
    }
}

/// The names in a directory; more of them than are merged are not read.
fn names(directory: impl AsFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)?.take(ENTRIES.saturating_add(3)) {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

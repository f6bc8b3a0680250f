// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extensions of applications and runtimes: which there are, where they appear, in which order
//! (R215-R223).
//!
//! Metadata and files of extensions are hostile: paths are checked before they are used, and files are
//! read through descriptors of their directories only.

pub mod condition;
mod finder;
mod layout;
pub mod point;
pub mod relative;
mod theme;
pub mod unmaintained;

use std::error::Error;
use std::fmt::Write as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use stockade_protocol::request::{Access, Content, Operation};

use self::condition::Circumstances;
use self::finder::Finder;
use self::layout::Layout;
use self::point::Point;
use self::relative::Relative;
use super::deploy::Deploy;
use super::installation::Installation;
use super::reference::{Arch, Branch, Id, Kind, Reference};
use crate::keyfile::KeyFile;
use crate::message::{Notice, shown};
use crate::sandbox::{Sandbox, SandboxError, place, sandbox_path};

/// Where the dynamic linker is told of the directories of extensions (R220).
pub const CONFIGURATION: &str = "/run/flatpak/ld.so.conf.d";

/// Everything that is installed.
pub trait Shelf {
    /// The installations in the order in which they are looked through.
    fn installations(&self) -> Vec<&Installation>;

    /// The deployed version of this name in the first installation that has one.
    ///
    /// # Errors
    /// If there is one that cannot be used.
    fn open(&self, name: &Reference) -> Result<Option<Deploy>, Box<dyn Error + Send + Sync>>;

    /// What is deployed of this kind, architecture and branch in any installation under names that
    /// begin with `prefix`. Order and repetitions do not matter.
    fn names(&self, prefix: &str, kind: Kind, arch: &Arch, branch: &Branch) -> Vec<Id>;
}

/// What has extensions.
#[derive(Clone, Copy, Debug)]
pub struct Parent<'a> {
    /// The application or runtime.
    pub reference: &'a Reference,
    /// What it says of itself.
    pub metadata: &'a KeyFile,
    /// Its files, `O_PATH`.
    pub files: BorrowedFd<'a>,
    /// Where they are mounted: `/app`, `/usr`, or elsewhere if others stand there (R103).
    pub prefix: &'a Path,
    /// Whether they are mounted for writing: then a directory that is missing can be made.
    pub is_writable: bool,
}

/// An extension as people are told of it (R262).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What the metadata of the parent call it: the whole name, or what several begin with.
    pub declared: Id,
    /// Its own name.
    pub reference: Reference,
    /// Its version; none of one that nobody deployed.
    pub commit: Option<String>,
}

/// An extension that is used.
#[derive(Debug)]
struct Extension {
    declared: Id,
    id: Id,
    branch: Branch,
    /// None of one that nobody deployed.
    commit: Option<String>,
    priority: i32,
    /// Its files, `O_PATH`.
    files: OwnedFd,
    /// The same on the host, for messages.
    path: PathBuf,
    /// Its directory in the sandbox, to which the suffix is still to be appended.
    place: PathBuf,
    suffix: Option<Relative>,
    /// Whether it stands with others in a directory that has nothing else (R218).
    is_one_of_several: bool,
    library_path: Option<Relative>,
    merge: Vec<Relative>,
}

impl Extension {
    fn mount_point(&self) -> PathBuf {
        self.suffix.as_ref().map_or_else(|| self.place.clone(), |suffix| suffix.under(&self.place))
    }
}

/// The extensions of an application or runtime, with their places.
#[derive(Debug)]
pub struct Extensions {
    /// Whose they are.
    kind: Kind,
    /// In order of priority.
    list: Vec<Extension>,
    layout: Layout,
}

impl Extensions {
    /// Finds the extensions that are installed and meant for these circumstances. What is wrong with
    /// one of them is told, and that one left out.
    pub fn find(
        parent: Parent<'_>,
        shelf: &dyn Shelf,
        circumstances: &Circumstances,
        notices: &mut Vec<Notice>,
    ) -> Self {
        let Parent { reference, metadata, prefix, .. } = parent;
        let mut list = installed(reference, metadata, prefix, shelf, circumstances, notices);
        let layout = arrange(parent, &mut list, notices);
        Self { kind: reference.kind, list, layout }
    }

    /// What `.flatpak-info` says of them, and what the cache of the dynamic linker depends on; none
    /// if there are none (R222).
    #[must_use]
    pub fn info(&self) -> Option<String> {
        let one = |extension: &Extension| {
            format!("{}={}", extension.id, extension.commit.as_deref().unwrap_or("local"))
        };
        let all: Vec<_> = self.list.iter().map(one).collect();
        (!all.is_empty()).then(|| all.join(";"))
    }

    /// The directories of their libraries in the sandbox, in order of priority (R220, R226).
    #[must_use]
    pub fn library_directories(&self) -> Vec<PathBuf> {
        self.libraries().map(|(_, directory)| directory).collect()
    }

    fn libraries(&self) -> impl Iterator<Item = (&Extension, PathBuf)> {
        self.list.iter().filter_map(|extension| {
            let below = extension.library_path.as_ref()?;
            Some((extension, below.under(&extension.mount_point())))
        })
    }

    /// Puts them into a sandbox in which what they extend is mounted already, and has them locked
    /// (R8, R218, R221).
    ///
    /// # Errors
    /// If there are too many, or their descriptors cannot be duplicated.
    pub fn mount(&self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        for mount in &self.layout.mounts {
            let Some(extension) = self.list.get(mount.extension) else { continue };
            if let Some(directory) = &mount.empty {
                sandbox.tmpfs(directory, 0o755)?;
            }
            let files = rustix::io::fcntl_dupfd_cloexec(&extension.files, 0)
                .map_err(|errno| SandboxError::Open { path: extension.path.clone(), errno })?;
            let point = extension.mount_point();
            sandbox.bind_descriptor(files, &extension.path, &point, Access::ReadOnly)?;
        }
        for (path, target) in &self.layout.links {
            sandbox.symlink(target, path)?;
        }
        for path in &self.layout.locks {
            sandbox.request.supervision.locks.push(sandbox_path(path)?);
        }
        Ok(())
    }

    /// Tells the dynamic linker of their libraries, for its cache to have them (R220). Without a
    /// cache [`Extensions::library_directories`] belong into `LD_LIBRARY_PATH`.
    ///
    /// # Errors
    /// If a path is too long.
    pub fn configure(&self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        use std::os::unix::ffi::OsStrExt as _;
        for (number, (extension, directory)) in (1_u32..).zip(self.libraries()) {
            let name = format!("{}-{number:03}-{}.conf", self.kind.word(), extension.id);
            let text = [directory.as_os_str().as_bytes(), b"\n"].concat();
            let destination = place(&Path::new(CONFIGURATION).join(name))?;
            let content = Content::Bytes(text);
            sandbox.push(Operation::Data { destination, mode: 0o444, content, writable: false });
        }
        Ok(())
    }
}

/// The extensions that are installed for something and meant for these circumstances, in order of
/// priority. Whether there is a place for each of them, only [`Extensions::find`] knows.
pub fn describe(
    deploy: &Deploy,
    shelf: &dyn Shelf,
    circumstances: &Circumstances,
    notices: &mut Vec<Notice>,
) -> Vec<Described> {
    let Deploy { reference, metadata, .. } = deploy;
    let list = installed(reference, metadata, Path::new("/"), shelf, circumstances, notices);
    let arch = &reference.arch;
    let described = list.into_iter().map(|extension| {
        let (id, branch, arch) = (extension.id, extension.branch, arch.clone());
        Described {
            declared: extension.declared,
            reference: Reference { kind: Kind::Runtime, id, arch, branch },
            commit: extension.commit,
        }
    });
    described.collect()
}

fn installed(
    reference: &Reference,
    metadata: &KeyFile,
    prefix: &Path,
    shelf: &dyn Shelf,
    circumstances: &Circumstances,
    notices: &mut Vec<Notice>,
) -> Vec<Extension> {
    let Reference { arch, branch, .. } = reference;
    let points = Point::all(metadata, branch, notices);
    let mut list = Finder::new(arch, prefix, shelf, circumstances, notices).look_for(&points);
    // Stable: those of one priority stay in the order of the metadata.
    list.sort_by_key(|extension| std::cmp::Reverse(extension.priority));
    list
}

/// Finds places for extensions and removes those for which there is none.
fn arrange(parent: Parent<'_>, list: &mut Vec<Extension>, notices: &mut Vec<Notice>) -> Layout {
    loop {
        // Told of the last attempt only.
        let mut merging = Vec::new();
        match Layout::new(parent, list, &mut merging) {
            Ok(layout) => {
                notices.append(&mut merging);
                return layout;
            }
            Err(misplaced) => {
                let extension = list.remove(misplaced.extension);
                notices.push(left_out(
                    &extension.id,
                    Some(&extension.mount_point()),
                    &misplaced.reason,
                ));
            }
        }
    }
}

fn left_out(id: &Id, place: Option<&Path>, reason: &dyn std::fmt::Display) -> Notice {
    let mut text = format!("leaving out the extension {id}");
    if let Some(place) = place {
        // Writing to a String does not fail.
        write!(text, " at {}", shown(place)).ok();
    }
    write!(text, "\n{reason}").ok();
    Notice::Warning(text)
}

#[cfg(test)]
mod tests;

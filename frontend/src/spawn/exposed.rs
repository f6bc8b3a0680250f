// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects that a caller shows to its sub-sandbox (R246, R249).
//!
//! A descriptor of the caller leads into its sandbox, whose mounts cannot be used outside of it. What is
//! passed on is the object of the host that the path of the descriptor leads to, opened here without
//! following any link, and only if it is the very object that the caller has (CVE-2026-34078). Paths
//! that a caller can choose are never used for anything else.

use std::ffi::OsString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::parent::Parent;
use super::request::is_component;
use crate::caller::Caller;
use crate::filesystem::export::Reserved;
use crate::filesystem::grant::path_of;
use crate::filesystem::token::{Access as Granted, Place};
use crate::flatpak::beneath::{self, Links};
use crate::flatpak::choice;
use crate::flatpak::data;
use crate::flatpak::installation::Installations;
use crate::flatpak::permissions;
use crate::message::shown;

/// Where names are looked for, below the application's directory.
const NAMED: &str = "sandbox";

/// What a caller may show.
#[derive(Debug)]
pub struct View<'a> {
    parent: &'a Parent,
    /// `$XDG_RUNTIME_DIR` on the host.
    runtime_directory: PathBuf,
    /// What the caller does not have like what it lies in. If that is not known, no directory is shown.
    exceptions: Option<Exceptions>,
}

/// What an instance has otherwise than the directory it lies in.
#[derive(Debug)]
struct Exceptions {
    /// It does not see it.
    hidden: Vec<PathBuf>,
    /// It may not write to it.
    read_only: Vec<PathBuf>,
}

impl Exceptions {
    /// Whether a directory has any in it.
    fn has(&self, path: &Path, writable: bool) -> bool {
        let below = |places: &[PathBuf]| places.iter().any(|place| place.starts_with(path));
        // One that is read-only as a whole is not written to anyway.
        below(&self.hidden) || writable && below(&self.read_only)
    }
}

/// An object of the host, `O_PATH`.
#[derive(Debug)]
pub struct Shown {
    /// The object.
    pub object: OwnedFd,
    /// Whether the caller could write to it.
    pub writable: bool,
}

/// Why something is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExposeError {
    /// A name is none.
    #[error("'{}' is no name of something in the directory '{NAMED}' of the application", shown(.0))]
    Name(String),
    /// It has no directory for such names.
    #[error("the caller has no directory of its own")]
    NoDirectory,
    /// What has the name cannot be used.
    #[error("'{}' cannot be opened: {errno}", shown(name))]
    Named {
        /// As given.
        name: String,
        /// Why.
        errno: Errno,
    },
    /// The caller's descriptor says nothing.
    #[error("the descriptor cannot be used: {0}")]
    Descriptor(Errno),
    /// It is neither a directory nor a regular file nor a socket.
    #[error("the descriptor is of no file, directory or socket")]
    Kind,
    /// It is no directory.
    #[error("the descriptor is of no directory")]
    NoTree,
    /// It was opened to be written to only, or the caller may not read it.
    #[error("the descriptor cannot be read from")]
    Unreadable,
    /// What has its path on the host is not it.
    #[error("{} is not the same on the host", shown(.0))]
    Elsewhere(PathBuf),
    /// It is, or has in it, what the caller cannot see.
    #[error("{} has in it what the caller does not see", shown(.0))]
    Hiding(PathBuf),
    /// The sandbox has something of its own there.
    #[error("{} is a place of the sandbox's own", shown(.0))]
    Reserved(PathBuf),
}

impl<'a> View<'a> {
    /// What the instance may show that was started in this environment.
    #[must_use]
    pub fn new(parent: &'a Parent, caller: &Caller) -> Self {
        let exceptions = exceptions(parent, caller);
        let runtime_directory = caller.runtime_directory();
        let runtime_directory =
            std::fs::canonicalize(&runtime_directory).unwrap_or(runtime_directory);
        Self { parent, runtime_directory, exceptions }
    }

    /// What has a name in the directory of the application that is for this (R246).
    ///
    /// # Errors
    /// [`ExposeError`].
    pub fn named(&self, name: &str) -> Result<OwnedFd, ExposeError> {
        if !is_component(name) {
            return Err(ExposeError::Name(name.to_owned()));
        }
        let data = self.parent.data.as_deref().ok_or(ExposeError::NoDirectory)?;
        let failed = |errno| ExposeError::Named { name: name.to_owned(), errno };
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let data = rustix::fs::openat(CWD, data, directory, Mode::empty()).map_err(failed)?;
        // Below it everything is the application's (T68).
        let path = Path::new(NAMED).join(name);
        let opened = beneath::open(&data, &path, OFlags::PATH, Links::Refused).map_err(failed)?;
        kind(&opened).map(|_| opened)
    }

    /// The object of the host that a descriptor of the caller stands for.
    ///
    /// # Errors
    /// [`ExposeError`].
    pub fn passed(&self, descriptor: &OwnedFd) -> Result<Shown, ExposeError> {
        let failed = ExposeError::Descriptor;
        let directory = kind(descriptor)? == FileType::Directory;
        let flags = rustix::fs::fcntl_getfl(descriptor).map_err(failed)?;
        let only_path = flags.contains(OFlags::PATH);
        let mode = flags & OFlags::ACCMODE;
        if !only_path && mode == OFlags::WRONLY {
            return Err(ExposeError::Unreadable);
        }
        // The caller's mount says whether it may be written to, and its ids are this process's.
        let link = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        if rustix::fs::access(&link, Access::READ_OK).is_err() {
            return Err(ExposeError::Unreadable);
        }
        let writable = rustix::fs::access(&link, Access::WRITE_OK).is_ok()
            && (only_path || directory || mode == OFlags::RDWR);

        let path = rustix::fs::readlink(&link, Vec::new()).map_err(failed)?;
        let path = self.on_host(&PathBuf::from(OsString::from_vec(path.into_bytes())));
        if Reserved::APPLICATION.refuses(&path) {
            return Err(ExposeError::Reserved(path));
        }
        if directory && self.exceptions.as_ref().is_none_or(|all| all.has(&path, writable)) {
            return Err(ExposeError::Hiding(path));
        }
        let object = open(&path).map_err(|_| ExposeError::Elsewhere(path.clone()))?;
        if !is_same(&object, descriptor).map_err(failed)? {
            return Err(ExposeError::Elsewhere(path));
        }
        Ok(Shown { object, writable })
    }

    /// The directory of the host that a descriptor of the caller stands for.
    ///
    /// # Errors
    /// [`ExposeError`].
    pub fn directory(&self, descriptor: &OwnedFd) -> Result<OwnedFd, ExposeError> {
        match kind(descriptor)? {
            FileType::Directory => self.passed(descriptor).map(|shown| shown.object),
            FileType::RegularFile
            | FileType::Socket
            | FileType::Symlink
            | FileType::Fifo
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Err(ExposeError::NoTree),
        }
    }

    /// Where on the host something is that a sandbox sees at `path` (R333).
    fn on_host(&self, path: &Path) -> PathBuf {
        let path = match path.strip_prefix("/newroot") {
            Ok(inside) => &Path::new("/").join(inside),
            Err(_) => path,
        };
        let id = self.parent.reference.id.as_str();
        let data = |below: &str| Some(self.parent.data.as_ref()?.join(below));
        let places = [
            ("/app", self.parent.app_files.clone()),
            ("/usr", self.parent.runtime_files.clone()),
            ("/run/host/usr", Some("/usr".into())),
            ("/run/host/etc", Some("/etc".into())),
            ("/run/flatpak/app", Some(self.runtime_directory.join("app"))),
            ("/run/flatpak/doc", Some(self.runtime_directory.join("doc/by-app").join(id))),
            ("/var/cache", data("cache")),
            ("/var/config", data("config")),
            ("/var/data", data("data")),
            ("/var/tmp", data("cache/tmp")),
        ];
        let found = places.into_iter().find_map(|(inside, host)| {
            let below = path.strip_prefix(inside).ok()?;
            let host = host?;
            Some(if below.as_os_str().is_empty() { host } else { host.join(below) })
        });
        found.unwrap_or_else(|| path.to_owned())
    }
}

/// What the instance does not see though it may see what it lies in: the data of other applications,
/// what is installed and runs (R65, R128), and what was taken back of something granted, or granted for reading. None
/// if the permissions that it was started with cannot be read any more.
fn exceptions(parent: &Parent, caller: &Caller) -> Option<Exceptions> {
    let (installations, _) = Installations::discover(caller);
    let mut hidden = vec![
        data::applications(caller),
        installations.defaults().user.clone(),
        caller.runtime_directory(),
        // R97.
        "/tmp/.X11-unix".into(),
    ];
    let all: Vec<_> = installations.iter().collect();
    let commit = parent.commit.as_deref().map(std::ffi::OsStr::new);
    let deploy = choice::find(&all, &parent.reference, commit).ok().flatten()?;
    let mut context =
        permissions::overridden(&deploy, installations.defaults(), &mut Vec::new()).ok()?;
    context.merge(&parent.typed);
    let user_dirs = caller.config_home().join("user-dirs.dirs");
    let path_of = |place: &Place| {
        let user_dirs = || std::fs::read(&user_dirs).unwrap_or_default();
        path_of(place, caller, user_dirs).ok().flatten()
    };
    hidden.extend(context.filesystems.denied().filter_map(path_of));
    let granted = context.filesystems.granted();
    let read_only = granted.filter(|(_, access)| *access == Granted::ReadOnly);
    let read_only = read_only.filter_map(|(place, _)| path_of(place)).collect();
    // They may be named by other paths than the one that the kernel reports.
    let real = |places: Vec<PathBuf>| {
        places.into_iter().map(|path| std::fs::canonicalize(&path).unwrap_or(path)).collect()
    };
    Some(Exceptions { hidden: real(hidden), read_only: real(read_only) })
}

/// Opens an object of the host, without following any link.
fn open(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve)
}

/// What can be mounted.
fn kind(descriptor: &OwnedFd) -> Result<FileType, ExposeError> {
    let mode = rustix::fs::fstat(descriptor).map_err(ExposeError::Descriptor)?.st_mode;
    match FileType::from_raw_mode(mode) {
        kind @ (FileType::Directory | FileType::RegularFile | FileType::Socket) => Ok(kind),
        FileType::Symlink
        | FileType::Fifo
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err(ExposeError::Kind),
    }
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where caches are kept: `.ld.so` of a data directory, or a place for those that serve once (R225).
//!
//! Other instances of the application can change everything in the former at any time. They can make
//! a launch of their own application fail, and nothing else: everything is done beneath the directory's
//! descriptor, on names that are known, and symlinks are replaced or deleted, never followed.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::key::Key;
use super::ldconfig;
use super::{Cache, LibraryCacheError};
use crate::caller::Caller;
use crate::filesystem::locate::descend;
use crate::flatpak::beneath::{self, Links};
use crate::launch::{LaunchError, Outcome};
use crate::message::{Notice, shown};
use crate::sandbox::Sandbox;

/// The directory in an application's data directory.
const KEPT: &str = ".ld.so";

/// The directory in the user's cache directory.
const TEMPORARY: &str = "flatpak/ld.so";

/// The symlink to the cache that was made last.
const ACTIVE: &str = "active";

/// Most caches that are being made at a time.
const WORKSHOPS: u32 = 256;

/// How long a cache can be in the making. It takes a second or two.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// A directory for caches.
#[derive(Debug)]
pub struct Directory {
    /// Opened for reading.
    descriptor: OwnedFd,
    path: PathBuf,
    /// Whether caches stay.
    is_kept: bool,
}

/// An empty directory that one cache is made in.
struct Workshop {
    name: String,
    directory: OwnedFd,
}

impl Directory {
    /// The one in the data directory of an application, made if it is missing. `path` is what
    /// messages call the data directory.
    ///
    /// # Errors
    /// If it is a symlink, or no directory.
    pub fn of_application(data: impl AsFd, path: &Path) -> Result<Self, LibraryCacheError> {
        let data = rustix::io::fcntl_dupfd_cloexec(data, 0);
        Self::open(data, Path::new(KEPT), path, 0o755, true)
    }

    /// The one for a sandbox without data directory: its caches are deleted when they are opened.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn temporary(caller: &Caller) -> Result<Self, LibraryCacheError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let cache = caller.cache_home();
        let mut builder = std::fs::DirBuilder::new();
        // What fails here fails again below, where it is told.
        builder.recursive(true).mode(0o700).create(&cache).ok();
        let start = rustix::fs::openat(CWD, &cache, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        Self::open(start, Path::new(TEMPORARY), &cache, 0o700, false)
    }

    fn open(
        start: Result<OwnedFd, Errno>,
        below: &Path,
        above: &Path,
        mode: u32,
        is_kept: bool,
    ) -> Result<Self, LibraryCacheError> {
        let path = above.join(below);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = start
            .and_then(|start| descend(start, below, mode))
            .and_then(|found| rustix::fs::openat(found, ".", flags, Mode::empty()));
        match opened {
            Ok(descriptor) => Ok(Self { descriptor, path, is_kept }),
            Err(errno) => Err(LibraryCacheError::Directory { path, errno }),
        }
    }

    fn failed(&self) -> impl Fn(Errno) -> LibraryCacheError {
        |errno| LibraryCacheError::Directory { path: self.path.clone(), errno }
    }

    /// The cache of this key, if it was made before. Something else of that name is none, and is
    /// replaced when one is made.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn find(&self, key: &Key) -> Result<Option<Cache>, LibraryCacheError> {
        if !self.is_kept {
            return Ok(None);
        }
        let file = match open_file(&self.descriptor, key.as_str(), OFlags::PATH) {
            Err(errno) => return Err(self.failed()(errno)),
            Ok(None) => return Ok(None),
            Ok(Some(file)) => file,
        };
        Ok(Some(Cache { file, path: self.path.join(key.as_str()), is_kept: true }))
    }

    /// Makes the cache of this key. `base` is a sandbox with the runtime, the application and their
    /// extensions in place (R80, R81, R89) and configured (R220, R227), in which nothing else is yet;
    /// `run` runs it, outside tests with [`run`](super::run).
    ///
    /// # Errors
    /// If ldconfig fails, or the directory cannot be written to.
    pub fn make(
        &self,
        key: &Key,
        mut base: Sandbox,
        run: impl FnOnce(Sandbox) -> Result<Outcome, LaunchError>,
        notices: &mut Vec<Notice>,
    ) -> Result<Cache, LibraryCacheError> {
        let workshop = self.set_up(key).map_err(self.failed())?;
        let made = self.make_in(&workshop, key, &mut base, run, notices);
        self.clear(&workshop);
        self.tidy();
        made
    }

    fn make_in(
        &self,
        workshop: &Workshop,
        key: &Key,
        base: &mut Sandbox,
        run: impl FnOnce(Sandbox) -> Result<Outcome, LaunchError>,
        notices: &mut Vec<Notice>,
    ) -> Result<Cache, LibraryCacheError> {
        let directory = &workshop.directory;
        let output = rustix::io::fcntl_dupfd_cloexec(directory, 0).map_err(self.failed())?;
        ldconfig::prepare(base, output, &self.path.join(&workshop.name))?;
        match run(std::mem::take(base))? {
            Outcome::Exited(0) => {}
            outcome @ (Outcome::Exited(_) | Outcome::Killed(_)) => {
                return Err(LibraryCacheError::Failed { code: outcome.exit_code() });
            }
        }
        let path = self.path.join(key.as_str());
        let flags = if self.is_kept { OFlags::PATH } else { OFlags::RDONLY | OFlags::NONBLOCK };
        let file = open_file(directory, ldconfig::FILE, flags).map_err(self.failed())?;
        let file = file.ok_or(LibraryCacheError::Nothing)?;
        if self.is_kept {
            rustix::fs::renameat(directory, ldconfig::FILE, &self.descriptor, key.as_str())
                .map_err(self.failed())?;
            if let Err(errno) = self.activate(workshop, key) {
                notices.push(Notice::Warning(format!(
                    "cannot delete the last cache of the dynamic linker in {}\n{errno}",
                    shown(&self.path)
                )));
            }
        }
        Ok(Cache { file, path, is_kept: self.is_kept })
    }

    /// Makes this cache the active one and deletes the one that was. The name in the link may come
    /// from the application: anything but a key is left alone.
    fn activate(&self, workshop: &Workshop, key: &Key) -> Result<(), Errno> {
        let last = rustix::fs::readlinkat(&self.descriptor, ACTIVE, Vec::new());
        rustix::fs::symlinkat(key.as_str(), &workshop.directory, ACTIVE)?;
        rustix::fs::renameat(&workshop.directory, ACTIVE, &self.descriptor, ACTIVE)?;
        match last {
            Ok(last)
                if Key::is_one(last.as_bytes()) && last.as_bytes() != key.as_str().as_bytes() =>
            {
                match rustix::fs::unlinkat(&self.descriptor, &last, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => Ok(()),
                    Err(errno) => Err(errno),
                }
            }
            _ => Ok(()),
        }
    }

    /// Makes an empty directory under a name that nothing has.
    fn set_up(&self, key: &Key) -> Result<Workshop, Errno> {
        let mut number = 0;
        loop {
            let name = format!("{key}.{number}");
            match rustix::fs::mkdirat(&self.descriptor, &name, Mode::from_raw_mode(0o700)) {
                Ok(()) => return self.enter(name),
                Err(Errno::EXIST) if number < WORKSHOPS => number = number.saturating_add(1),
                Err(errno) => return Err(errno),
            }
        }
    }

    fn enter(&self, name: String) -> Result<Workshop, Errno> {
        let flags = OFlags::PATH.union(OFlags::DIRECTORY);
        let directory = beneath::open(&self.descriptor, Path::new(&name), flags, Links::Refused)?;
        Ok(Workshop { name, directory })
    }

    /// Deletes a workshop. One that something else was put into stays.
    fn clear(&self, workshop: &Workshop) {
        for name in [ldconfig::FILE, ldconfig::UNFINISHED, ACTIVE] {
            rustix::fs::unlinkat(&workshop.directory, name, AtFlags::empty()).ok();
        }
        rustix::fs::unlinkat(&self.descriptor, &workshop.name, AtFlags::REMOVEDIR).ok();
    }

    /// Deletes the workshops of launches that were killed (I13).
    fn tidy(&self) {
        let Ok(entries) = Dir::read_from(&self.descriptor) else { return };
        let limit = usize::try_from(WORKSHOPS).unwrap_or_default().saturating_mul(2);
        for entry in entries.take(limit).flatten() {
            let Ok(name) = entry.file_name().to_str() else { continue };
            let is_workshop = name.split_once('.').is_some_and(|(key, number)| {
                Key::is_one(key.as_bytes()) && number.parse::<u32>().is_ok()
            });
            if !is_workshop {
                continue;
            }
            if let Ok(workshop) = self.enter(name.to_owned())
                && is_abandoned(&workshop.directory)
            {
                self.clear(&workshop);
            }
        }
    }
}

/// Whether nobody can be at work in a directory any more.
fn is_abandoned(directory: impl AsFd) -> bool {
    let Ok(stat) = rustix::fs::fstat(directory) else { return false };
    let changed = u64::try_from(stat.st_mtime).ok().map(Duration::from_secs);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
    let age = now.zip(changed).and_then(|(now, changed)| now.checked_sub(changed));
    age.is_some_and(|age| age > PATIENCE)
}

/// Opens a cache. None if there is no file with something in it: an empty one is what a crash of the
/// machine leaves.
fn open_file(directory: impl AsFd, name: &str, flags: OFlags) -> Result<Option<OwnedFd>, Errno> {
    let file = match beneath::open(directory, Path::new(name), flags, Links::Refused) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let stat = rustix::fs::fstat(&file)?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    Ok((is_file && stat.st_size > 0).then_some(file))
}

#[cfg(test)]
mod tests;

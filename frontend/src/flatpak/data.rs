// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application keeps of its own: `~/.var/app/ID` (R86-R88).
//!
//! The application can write everything below that directory, and did so when it ran before. It is
//! opened once; what is in it is reached from there through real directories only, and never by its
//! path (T68, GHSA-8688-9x26-hhxj).

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, RenameFlags};
use rustix::io::Errno;

use super::reference::Id;
use crate::caller::Caller;
use crate::filesystem::locate::{Link, LocateError, descend, locate, tidy};
use crate::message::{Notice, shown};

/// Where the directories of all applications are, below the home.
const APPLICATIONS: &str = ".var/app";

/// Permission bits of directories that are made (R87).
const MODE: u32 = 0o755;

/// What is in the directory, and where it is also seen in the sandbox (R86).
const PARTS: [(&str, Option<&str>); 6] = [
    ("cache", Some("/var/cache")),
    ("data", Some("/var/data")),
    ("config", Some("/var/config")),
    ("cache/tmp", Some("/var/tmp")),
    ("cache/fontconfig", None),
    (".local/state", None),
];

/// Why an application has no directory of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// It could not be looked for.
    #[error("cannot use {} for the data of the application\n{source}", shown(path))]
    Locate {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: LocateError,
    },
    /// It could not be made or opened.
    #[error(
        "cannot use {} for the data of the application\n{errno}\n\
         make sure that it is a directory, or a symlink to one, that you can write to",
        shown(path)
    )]
    Open {
        /// Where it is.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
}

/// The directory of one application.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    links: Vec<Link>,
    directory: OwnedFd,
    parts: Vec<Part>,
}

/// A directory in it that is also seen elsewhere in the sandbox.
#[derive(Debug)]
pub struct Part {
    /// Its path on the host, for messages.
    pub path: PathBuf,
    /// Where it is seen.
    pub destination: &'static Path,
    /// The directory, `O_PATH`.
    pub directory: OwnedFd,
}

/// Where the directories of all applications are.
#[must_use]
pub fn applications(caller: &Caller) -> PathBuf {
    tidy(&caller.home.join(APPLICATIONS))
}

impl DataDirectory {
    /// Opens the directory of the application `id`, making what is missing. If it is missing itself,
    /// that of the first of the earlier names `previous`, the newest first, becomes it (R88).
    ///
    /// # Errors
    /// [`DataError`]. What is wrong in the directory, where the application could have put it, is
    /// only told.
    pub fn prepare(
        id: &Id,
        previous: &[Id],
        caller: &Caller,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, DataError> {
        let applications = applications(caller);
        let (all, _, _) = open(&applications)?;
        inherit(&all, id, previous, &applications, notices);
        let given = applications.join(id.as_str());
        // Only the user can have made it a symlink: other applications do not see its name.
        let (directory, path, links) = open(&given)?;

        let mut parts = Vec::new();
        for (name, destination) in PARTS {
            match descend(&directory, Path::new(name), MODE) {
                Ok(directory) => parts.extend(destination.map(|destination| Part {
                    path: path.join(name),
                    destination: Path::new(destination),
                    directory,
                })),
                Err(errno) => notices.push(Notice::Warning(refused(&path.join(name), errno))),
            }
        }
        Ok(Self { path, links, directory, parts })
    }

    /// Its path on the host and in the sandbox, without symlinks.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The symlinks that lead to it.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// What of it is also seen elsewhere, parents first (R86).
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Has something else seen at `destination`.
    pub fn yield_place(&mut self, destination: &Path) {
        self.parts.retain(|part| part.destination != destination);
    }

    /// Opens `below`, which is relative, making it if it is missing, through real directories only
    /// (R90, CVE-2024-42472).
    ///
    /// # Errors
    /// The errno of the step that failed: `ENOTDIR` at a symlink.
    pub fn keep(&self, below: &str) -> Result<OwnedFd, Errno> {
        descend(&self.directory, Path::new(below), MODE)
    }
}

impl AsFd for DataDirectory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// What is said of a directory of the application's that is not what it has to be.
pub(super) fn refused(path: &Path, errno: Errno) -> String {
    format!(
        "cannot use {}\n{errno}\n\
         the application can write there, so no component of it may be a symlink or a file",
        shown(path)
    )
}

/// Opens a directory, following the user's symlinks, and makes what is missing.
fn open(path: &Path) -> Result<(OwnedFd, PathBuf, Vec<Link>), DataError> {
    let mut located =
        locate(path).map_err(|source| DataError::Locate { path: path.to_owned(), source })?;
    let failed = |errno| DataError::Open { path: path.to_owned(), errno };
    located.make(MODE).map_err(failed)?;
    let object = located.object.ok_or_else(|| failed(Errno::NOENT))?;
    if crate::object::kind(&object).map_err(failed)? != FileType::Directory {
        return Err(failed(Errno::NOTDIR));
    }
    Ok((object, located.path, located.links))
}

/// R88: makes the directory of an earlier name that of `id`, and leaves a symlink in its place.
fn inherit(
    all: &OwnedFd,
    id: &Id,
    previous: &[Id],
    applications: &Path,
    notices: &mut Vec<Notice>,
) {
    let kind = |name: &str| {
        let found = rustix::fs::statat(all, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok::<_, Errno>(FileType::from_raw_mode(found.st_mode))
    };
    if kind(id.as_str()) != Err(Errno::NOENT) {
        return;
    }
    for old in previous {
        let fits = match kind(old.as_str()) {
            Ok(FileType::Directory) => true,
            // A symlink to the directory that does not exist would come to lead to itself.
            Ok(FileType::Symlink) => rustix::fs::readlinkat(all, old.as_str(), Vec::new())
                .is_ok_and(|target| !leads_to(target.as_bytes(), id, applications)),
            Ok(_) | Err(_) => false,
        };
        if !fits {
            continue;
        }
        let renamed =
            rustix::fs::renameat_with(all, old.as_str(), all, id.as_str(), RenameFlags::NOREPLACE);
        let linked = renamed.and_then(|()| rustix::fs::symlinkat(id.as_str(), all, old.as_str()));
        if let Err(errno) = linked {
            let (old, new) = (applications.join(old.as_str()), applications.join(id.as_str()));
            notices.push(Notice::Warning(format!(
                "cannot keep the data of the application under its new name\n\
                 {errno}, renaming {} to {}",
                shown(&old),
                shown(&new)
            )));
        }
        return;
    }
}

/// Whether a symlink in the directory of all applications is meant for that of `id`.
fn leads_to(target: &[u8], id: &Id, applications: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    tidy(&applications.join(OsStr::from_bytes(target))) == applications.join(id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn id(text: &str) -> Id {
        Id::new(text).unwrap()
    }

    fn prepare(scratch: &Scratch, previous: &[&str]) -> (DataDirectory, Vec<Notice>) {
        let previous: Vec<_> = previous.iter().map(|old| id(old)).collect();
        let mut notices = Vec::new();
        let caller = caller(&scratch.0, &[]);
        let data = DataDirectory::prepare(&id("org.a.App"), &previous, &caller, &mut notices);
        (data.unwrap(), notices)
    }

    fn inode(fd: impl AsFd) -> u64 {
        rustix::fs::fstat(fd).unwrap().st_ino
    }

    #[test]
    fn r87_the_directory_is_made_with_what_belongs_in_it() {
        let scratch = Scratch::new();
        let (data, notices) = prepare(&scratch, &[]);
        assert_eq!(data.path(), scratch.join(".var/app/org.a.App"));
        assert_eq!(notices, []);
        for name in ["data", "cache/tmp", "cache/fontconfig", "config", ".local/state"] {
            let made = fs::metadata(data.path().join(name)).unwrap();
            assert_eq!(made.permissions().mode() & 0o700, 0o700, "{name}");
        }
        let seen: Vec<_> = data.parts().iter().map(|part| part.destination).collect();
        let expected = ["/var/cache", "/var/data", "/var/config", "/var/tmp"].map(Path::new);
        assert_eq!(seen, expected);
    }

    #[test]
    fn r87_the_user_may_have_made_it_a_symlink() {
        let scratch = Scratch::new();
        let elsewhere = scratch.directory("disk/App");
        scratch.directory(".var/app");
        symlink("../../disk/App", scratch.join(".var/app/org.a.App")).unwrap();
        let (data, _) = prepare(&scratch, &[]);
        assert_eq!(data.path(), elsewhere);
        assert_eq!(data.links().len(), 1);
        assert!(elsewhere.join("cache/tmp").is_dir());
    }

    #[test]
    fn r87_symlinks_that_the_application_made_are_not_followed() {
        let scratch = Scratch::new();
        scratch.directory("secret");
        let own = scratch.directory(".var/app/org.a.App");
        symlink("../../../secret", own.join("cache")).unwrap();
        symlink(scratch.join("secret"), own.join(".local")).unwrap();
        let (data, notices) = prepare(&scratch, &[]);
        assert_eq!(fs::read_dir(scratch.join("secret")).unwrap().count(), 0);
        let seen: Vec<_> = data.parts().iter().map(|part| part.destination).collect();
        assert_eq!(seen, ["/var/data", "/var/config"].map(Path::new));
        // One each for cache, cache/tmp, cache/fontconfig and .local/state.
        assert_eq!(notices.len(), 4);
    }

    #[test]
    fn a_file_in_its_place_is_an_error() {
        let scratch = Scratch::new();
        scratch.file(".var/app/org.a.App", "");
        let caller = caller(&scratch.0, &[]);
        let error = DataDirectory::prepare(&id("org.a.App"), &[], &caller, &mut Vec::new());
        assert!(matches!(error, Err(DataError::Open { errno: Errno::NOTDIR, .. })), "{error:?}");
    }

    #[test]
    fn r88_the_newest_earlier_name_is_taken_over() {
        let scratch = Scratch::new();
        scratch.file(".var/app/org.a.New/data/x", "new");
        scratch.file(".var/app/org.a.Old/data/x", "old");
        let (data, notices) = prepare(&scratch, &["org.a.None", "org.a.New", "org.a.Old"]);
        assert_eq!(fs::read(data.path().join("data/x")).unwrap(), b"new");
        assert_eq!(
            fs::read_link(scratch.join(".var/app/org.a.New")).unwrap(),
            Path::new("org.a.App")
        );
        assert!(scratch.join(".var/app/org.a.Old/data/x").exists());
        assert_eq!(notices, []);
    }

    #[test]
    fn r88_what_is_there_already_stays() {
        let scratch = Scratch::new();
        scratch.file(".var/app/org.a.Old/data/x", "old");
        scratch.file(".var/app/org.a.App/data/x", "own");
        let (data, _) = prepare(&scratch, &["org.a.Old"]);
        assert_eq!(fs::read(data.path().join("data/x")).unwrap(), b"own");
        assert!(scratch.join(".var/app/org.a.Old").is_dir());
    }

    #[test]
    fn r88_a_symlink_to_the_new_name_is_not_renamed() {
        for target in ["org.a.App", "./org.a.App/"] {
            let scratch = Scratch::new();
            scratch.directory(".var/app");
            symlink(target, scratch.join(".var/app/org.a.Old")).unwrap();
            let (data, _) = prepare(&scratch, &["org.a.Old"]);
            assert!(fs::symlink_metadata(data.path()).unwrap().is_dir());
            let old = fs::read_link(scratch.join(".var/app/org.a.Old")).unwrap();
            assert_eq!(old, Path::new(target));
        }
    }

    #[test]
    fn r90_what_is_kept_is_found_below_the_directory_only() {
        let scratch = Scratch::new();
        scratch.directory("secret");
        let (data, _) = prepare(&scratch, &[]);
        symlink("../../../secret", data.path().join("link")).unwrap();
        for below in ["link", "link/x", "../org.a.Other", "/etc"] {
            assert!(data.keep(below).is_err(), "{below}");
        }
        assert!(!scratch.join("secret/x").exists());
        let kept = data.keep(".config/app").unwrap();
        let made = fs::metadata(data.path().join(".config/app")).unwrap();
        assert_eq!(inode(kept), made.ino());
        assert_eq!(inode(data.keep("").unwrap()), inode(&data));
    }

    /// Whatever the application does meanwhile, what is opened is below its directory, or nothing.
    #[test]
    fn t68_a_directory_that_turns_into_a_symlink_leads_nowhere() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let scratch = Scratch::new();
        let secret = scratch.directory("secret/deep");
        let (data, _) = prepare(&scratch, &[]);
        fs::create_dir_all(data.path().join("a/deep")).unwrap();
        symlink("../../../secret", data.path().join("b")).unwrap();
        let [secret, own] = [secret, data.path().join("a/deep")];
        let [secret, own] = [&secret, &own].map(|path| fs::metadata(path).unwrap().ino());
        let (stop, exchanged) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let flags = RenameFlags::EXCHANGE;
                    rustix::fs::renameat_with(&data, "a", &data, "b", flags).unwrap();
                    exchanged.store(true, Ordering::Relaxed);
                }
            });
            let (mut found, mut refused, mut tries) = (0, 0, 0);
            let mut elsewhere = 0;
            while (found == 0 || refused == 0 || tries < 2000) && tries < 200_000 {
                tries += 1;
                match data.keep("a/deep") {
                    Ok(kept) => {
                        found += 1;
                        let kept = inode(kept);
                        if kept != own || kept == secret {
                            elsewhere += 1;
                        }
                    }
                    Err(_) => refused += 1,
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert_eq!(elsewhere, 0);
            assert!(found > 0 && refused > 0, "{found} {refused}");
        });
        assert!(exchanged.load(Ordering::Relaxed));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running instances of applications, as other programs know them: directories below
//! `$XDG_RUNTIME_DIR/.flatpak` (R128, R140-R147).
//!
//! That directory is never shared with an application, and portals rely on what it says. What is in it
//! may nevertheless be odd: directories are opened once and used by their descriptors, and no symlink
//! is followed.

pub mod application;
mod collection;
pub mod entrance;
pub(crate) mod file;
pub mod identity;
mod lock;
pub mod process;
mod removal;
pub mod running;
pub mod shared_memory;
mod starting;

pub use starting::{INFO_INSIDE, Instance, mount_info};

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::caller::Caller;
use crate::message::shown;

/// Below the runtime directory.
const DIRECTORY: &str = ".flatpak";

/// The directory of the proxies' sockets, below the runtime directory.
const PROXIES: &str = ".dbus-proxy";

/// How many random numbers are tried (R140).
const TRIES: usize = 1000;

/// The files of an instance (R141).
const REFERENCE: &str = ".ref";
const INFO: &str = "info";
const SANDBOX_INFO: &str = "bwrapinfo.json";
const PID: &str = "pid";

/// The number of an instance, its name in decimal (R140).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(u32);

impl InstanceId {
    /// Reads the name of an instance's directory. None if it is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let id = Self(name.parse().ok()?);
        (id.to_string() == name).then_some(id)
    }

    /// The directory that only the host sees (R143).
    fn private(self) -> String {
        format!("{self}-private")
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why instances cannot be kept or looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// There is no runtime directory.
    #[error(
        "cannot open the runtime directory {}\n{reason}\n\
         set XDG_RUNTIME_DIR to a directory of yours, as a login does",
        shown(path)
    )]
    RuntimeDirectory {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The directory of instances belongs to somebody else.
    #[error(
        "cannot use {}\nit belongs to user id {owner}, and only its owner can say what runs\n\
         set XDG_RUNTIME_DIR to a directory of yours",
        shown(path)
    )]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// A file or directory of an instance cannot be used.
    #[error(
        "cannot {verb} {}\n{errno}\n\
         it has to be yours, and no symlink; if it is neither, remove it",
        shown(path)
    )]
    File {
        /// What was to be done with it.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// No number is free.
    #[error(
        "cannot find a free number for the instance\n{} were tried in {}, all in use\n\
         remove what is not running any more",
        TRIES,
        shown(path)
    )]
    Exhausted {
        /// Where.
        path: PathBuf,
    },
}

/// The directory of instances.
#[derive(Debug)]
pub struct Instances {
    path: PathBuf,
    directory: OwnedFd,
    uid: u32,
    /// Whether it is the caller's own. Root may look at anyone's.
    own: bool,
}

impl Instances {
    /// The caller's, made if it is missing.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn create(caller: &Caller) -> Result<Self, InstanceError> {
        let (parent, parent_path) = runtime_directory(caller)?;
        let path = parent_path.join(DIRECTORY);
        let directory = file::make_directory(&parent, DIRECTORY, 0o755)
            .map_err(|errno| InstanceError::File { verb: "make", path: path.clone(), errno })?;
        let instances = Self::of(caller, path.clone(), directory)?;
        if instances.own {
            Ok(instances)
        } else {
            let owner = instances.owner()?;
            Err(InstanceError::Foreign { path, owner })
        }
    }

    /// The caller's; none if there is no such directory, so that nothing runs.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn open(caller: &Caller) -> Result<Option<Self>, InstanceError> {
        let (parent, parent_path) = match runtime_directory(caller) {
            Err(InstanceError::RuntimeDirectory { reason, .. })
                if reason.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            found => found?,
        };
        let path = parent_path.join(DIRECTORY);
        match file::open_directory(&parent, DIRECTORY) {
            Ok(directory) => Self::of(caller, path, directory).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(InstanceError::File { verb: "open", path, errno }),
        }
    }

    fn of(caller: &Caller, path: PathBuf, directory: OwnedFd) -> Result<Self, InstanceError> {
        let uid = caller.uid;
        let mut instances = Self { path, directory, uid, own: false };
        let owner = instances.owner()?;
        instances.own = owner == uid;
        if instances.own || uid == 0 {
            Ok(instances)
        } else {
            Err(InstanceError::Foreign { path: instances.path, owner })
        }
    }

    fn owner(&self) -> Result<u32, InstanceError> {
        let found = rustix::fs::fstat(&self.directory);
        found.map(|stat| stat.st_uid).map_err(|errno| self.failed("open", "", errno))
    }

    fn failed(&self, verb: &'static str, name: &str, errno: Errno) -> InstanceError {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        InstanceError::File { verb, path, errno }
    }

    /// Its path on the host.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory for the sockets of compositors, with its path on the host; made if it is missing
    /// (R147, R191).
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn wayland_directory(&self) -> Result<(OwnedFd, PathBuf), InstanceError> {
        let made = file::make_directory(&self.directory, "wl", 0o700);
        let directory = made.map_err(|errno| self.failed("make", "wl", errno))?;
        Ok((directory, self.path.join("wl")))
    }

    /// Makes a new instance, after what has ended was collected (R140). It is held, so that nobody
    /// collects it, as long as the value lives or until init of its sandbox does.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn allocate(&self) -> Result<Instance, InstanceError> {
        self.collect();
        for _ in 0..TRIES {
            let mut bytes = [0; 4];
            getrandom(&mut bytes, GetRandomFlags::empty())
                .map_err(|errno| self.failed("choose a number in", "", errno))?;
            if let Some(made) = self.make(InstanceId(u32::from_ne_bytes(bytes)))? {
                return Ok(made);
            }
        }
        Err(InstanceError::Exhausted { path: self.path.clone() })
    }

    /// Makes an instance of this number, unless there is one.
    fn make(&self, id: InstanceId) -> Result<Option<Instance>, InstanceError> {
        let (name, private) = (id.to_string(), id.private());
        let make = |name: &str, mode| {
            rustix::fs::mkdirat(&self.directory, name, rustix::fs::Mode::from_raw_mode(mode))
        };
        match make(&name, 0o755) {
            Err(Errno::EXIST) => return Ok(None),
            made => made.map_err(|errno| self.failed("make", &name, errno))?,
        }
        let fill = || -> Result<Instance, Errno> {
            let directory = file::open_directory(&self.directory, &name)?;
            let reference = file::make_lock(&directory, REFERENCE, 0o644)?;
            lock::shared(&reference)?;
            file::create(&directory, SANDBOX_INFO, 0o644, b"")?;
            // One that is left is nobody's: its instance has gone.
            removal::remove(&self.directory, &private)?;
            make(&private, 0o700)?;
            let private = file::open_directory(&self.directory, &private)?;
            let path = self.path.join(&name);
            Ok(Instance { id, path, directory, private, _reference: reference })
        };
        fill().map(Some).map_err(|errno| self.failed("make", &name, errno))
    }
}

/// The directory for the sockets of D-Bus proxies, with its path on the host; made if it is missing
/// (R147, R203).
///
/// # Errors
/// [`InstanceError`].
pub fn proxy_directory(caller: &Caller) -> Result<(OwnedFd, PathBuf), InstanceError> {
    let (parent, path) = runtime_directory(caller)?;
    let path = path.join(PROXIES);
    match file::make_directory(&parent, PROXIES, 0o700) {
        Ok(directory) => Ok((directory, path)),
        Err(errno) => Err(InstanceError::File { verb: "make", path, errno }),
    }
}

/// `$XDG_RUNTIME_DIR` and where it really is.
fn runtime_directory(caller: &Caller) -> Result<(OwnedFd, PathBuf), InstanceError> {
    let path = caller.runtime_directory();
    let open = || {
        let real = std::fs::canonicalize(&path)?;
        Ok((file::open_directory_at(&real)?, real))
    };
    open().map_err(|reason| InstanceError::RuntimeDirectory { path: path.clone(), reason })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    /// Whoever runs the test, with a runtime directory of their own.
    pub(crate) fn owner(scratch: &Scratch) -> Caller {
        let runtime = scratch.directory("run");
        let variables = [("XDG_RUNTIME_DIR", runtime.to_str().unwrap()), ("A", "b")];
        let uid = rustix::process::getuid().as_raw();
        Caller { uid, ..caller(&scratch.0, &variables) }
    }

    pub(crate) fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn r140_numbers_are_directories() {
        for good in ["0", "7", "4294967295"] {
            assert_eq!(InstanceId::parse(good).unwrap().to_string(), good);
        }
        for bad in ["", "-1", "+1", "01", "4294967296", "1-private", "org.a.B", "wl", " 1"] {
            assert_eq!(InstanceId::parse(bad), None, "{bad}");
        }
        let scratch = Scratch::new();
        let instances = Instances::create(&owner(&scratch)).unwrap();
        let made = instances.allocate().unwrap();
        assert!(instances.make(made.id()).unwrap().is_none());
        assert_eq!(made.path(), scratch.join("run/.flatpak").join(made.id().to_string()));
    }

    #[test]
    fn r128_a_directory_that_is_none_is_not_used() {
        let scratch = Scratch::new();
        let caller = owner(&scratch);
        assert!(Instances::open(&caller).unwrap().is_none());
        symlink(scratch.directory("elsewhere"), scratch.join("run/.flatpak")).unwrap();
        assert!(matches!(Instances::create(&caller), Err(InstanceError::File { .. })));
        assert!(matches!(Instances::open(&caller), Err(InstanceError::File { .. })));
        assert_eq!(fs::read_dir(scratch.join("elsewhere")).unwrap().count(), 0);

        fs::remove_file(scratch.join("run/.flatpak")).unwrap();
        let made = fs::metadata(scratch.directory("run/.flatpak")).unwrap();
        let other = Caller { uid: made.uid() + 1, ..caller };
        assert!(matches!(Instances::create(&other), Err(InstanceError::Foreign { .. })));
        assert!(matches!(Instances::open(&other), Err(InstanceError::Foreign { .. })));
    }

    #[test]
    fn r147_sockets_have_their_directories() {
        let scratch = Scratch::new();
        let caller = owner(&scratch);
        let instances = Instances::create(&caller).unwrap();
        for _ in 0..2 {
            let (_, wayland) = instances.wayland_directory().unwrap();
            let (_, proxy) = proxy_directory(&caller).unwrap();
            assert_eq!(wayland, scratch.join("run/.flatpak/wl"));
            assert_eq!(proxy, scratch.join("run/.dbus-proxy"));
            assert_eq!((mode(&wayland), mode(&proxy)), (0o700, 0o700));
        }
    }
}

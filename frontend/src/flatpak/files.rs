// SPDX-License-Identifier: MIT OR Apache-2.0
//! The user's files in an application's sandbox (R57-R74, R86-R97).
//!
//! First it is collected what the application gets, then that is mounted over a sandbox that has its
//! runtime already. Everything is opened when it is collected, and mounted by that descriptor (R73).

mod grants;
mod passed;
mod session;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use stockade_protocol::request;

pub use passed::{PassedError, PassedObject};
pub use session::{SessionError, link_members, make_members, meeting_place};

use super::beneath::{self, Links};
use super::data::{self, DataDirectory};
use super::file_access::Visible;
use super::reference::Id;
use crate::caller::Caller;
use crate::filesystem::export::Exports;
use crate::filesystem::grant::real_home;
use crate::filesystem::locate::tidy;
use crate::filesystem::token::{Access, Place};
use crate::message::Notice;
use crate::sandbox::{Sandbox, SandboxError};
use grants::Redirected;
use settings::UserDirs;

/// Where X servers listen.
const X11_SOCKETS: &str = "/tmp/.X11-unix";

/// Places that are there before what is granted, and may be granted themselves. Most of them are
/// kept, so the host's symlinks are not made again in them.
const OWN: [&str; 5] = ["/var/cache", "/var/config", "/var/data", "/var/run", "/var/tmp"];

/// What an application may see of the user's files.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What is granted.
    pub filesystems: &'a BTreeMap<Place, Access>,
    /// What is not to be seen even where it lies in something granted: places that were taken back
    /// without having been granted.
    pub hidden: &'a BTreeSet<Place>,
    /// Paths below the home that are kept for the application where it does not get the home (R90).
    pub persist: &'a BTreeSet<String>,
    /// Earlier names of the application, the newest first.
    pub previous: &'a [Id],
    /// The user's own installation, which is not to be seen.
    pub installation: &'a Path,
}

impl Wanted<'_> {
    /// Whether the home is granted, in whatever way (R60).
    #[must_use]
    pub fn home_access(&self) -> bool {
        let home = Place::Home(String::new());
        self.filesystems.contains_key(&Place::Host) || self.filesystems.contains_key(&home)
    }
}

/// Objects that belong to the application's session rather than to the user's files, `O_PATH`.
#[derive(Debug, Default)]
pub struct Session {
    /// `$XRD/.flatpak/ID/tmp`, for `/tmp`; none for a private one (R96).
    pub temporary: Option<OwnedFd>,
    /// `$XRD/.flatpak/ID/xdg-run`, for the runtime directory (R93).
    pub runtime_directory: Option<OwnedFd>,
    /// `$XRD/app/ID`, which services of the host know (R91): see [`meeting_place`].
    pub meeting_place: Option<(Id, OwnedFd)>,
    /// What the documents portal has for the application (R100).
    pub documents: Option<OwnedFd>,
    /// Objects that somebody else opened for the sandbox (R104).
    pub passed: Vec<PassedObject>,
}

/// What an application gets of the user's files, opened.
#[derive(Debug)]
pub struct Files {
    exports: Exports,
    /// Descriptors with where they go, for what is mounted before the exports.
    before: Vec<Mount>,
    /// The same for what is mounted after them.
    after: Vec<Mount>,
    user_dirs: Option<(PathBuf, UserDirs)>,
    runtime_directory: PathBuf,
}

/// An object with a place in the sandbox.
#[derive(Debug)]
struct Mount {
    object: OwnedFd,
    source: PathBuf,
    destination: PathBuf,
    access: request::Access,
}

/// Opens what an application gets. Without a data directory nothing is redirected and kept.
///
/// # Errors
/// [`SandboxError`], if the system is out of resources; what cannot be granted is told (R71).
pub fn collect(
    wanted: &Wanted<'_>,
    data: Option<&DataDirectory>,
    caller: &Caller,
    notices: &mut Vec<Notice>,
) -> Result<Files, SandboxError> {
    let runtime_directory = caller.sandbox_runtime_directory();
    let own = OWN.iter().map(Path::new).chain([runtime_directory.as_path()]);
    let mut exports = Exports::of_application(own);
    // Where the home of an account lies in the runtime, nothing can be kept in it.
    let data = data.filter(|data| !exports.refuses(data.path()));
    if let Some(data) = data {
        let object = duplicate(data, data.path())?;
        exports.link(data.links().to_vec());
        exports.show(object, data.path(), data.path().to_owned(), Access::ReadWrite)?;
    }
    let granted = grants::grant(wanted, true, caller, &mut exports, notices)?;
    // R65.
    let own = exports.hide(&tidy(wanted.installation)).and(exports.require(&tidy(&caller.home)));
    if let Err(error) = own {
        notices.push(Notice::Detail(error.to_string()));
    }

    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut user_dirs = None;
    if let Some(data) = data {
        for part in data.parts() {
            before.push(Mount {
                object: duplicate(&part.directory, &part.path)?,
                source: part.path.clone(),
                destination: part.destination.to_owned(),
                access: request::Access::ReadWrite,
            });
        }
        if !wanted.home_access() {
            persist(wanted, data, caller, &exports, &mut before, notices);
        }
        // Where the application made something else of its own directory, or left a symlink in it, nothing
        // is mounted into it: what it changes later ends the launch.
        let there = |part: &str, below: &str| {
            let path = data.path().join(part);
            let directory = data.parts().iter().find(|there| there.path == path);
            directory.is_some_and(|part| leads_through_no_link(&part.directory, below))
        };
        // What else is said of a place below would not hold there.
        let divided = |it: &Redirected| {
            exports.seen().any(|(path, _)| path != it.source && path.starts_with(&it.source))
        };
        let redirected =
            granted.redirected.into_iter().filter(|it| there(it.part, &it.below) && !divided(it));
        after = redirected.map(|it| it.mount(data.path())).collect();
        after.sort_by(|one: &Mount, other| one.destination.cmp(&other.destination));
        let place = data.path().join("config/user-dirs.dirs");
        let dirs = if wanted.home_access() {
            let visible = Visible::through(&exports);
            settings::of_the_host(caller, &visible)
        } else {
            settings::of_what_was_granted(&granted.user_directories)
        };
        user_dirs = dirs.filter(|_| there("config", "user-dirs.dirs")).map(|dirs| (place, dirs));
    }
    Ok(Files { exports, before, after, user_dirs, runtime_directory })
}

/// What an application would see, without making anything on the host (R243).
///
/// # Errors
/// [`SandboxError`], if the system is out of resources.
pub fn visible(wanted: &Wanted<'_>, id: &Id, caller: &Caller) -> Result<Visible, SandboxError> {
    let mut exports = Exports::of_application([]);
    let mut notices = Vec::new();
    let own = data::applications(caller).join(id.as_str());
    // An application that never ran has no directory to see.
    exports.share(&own, Access::ReadWrite).ok();
    grants::grant(wanted, false, caller, &mut exports, &mut notices)?;
    Ok(Visible::through(&exports))
}

/// R90.
fn persist(
    wanted: &Wanted<'_>,
    data: &DataDirectory,
    caller: &Caller,
    exports: &Exports,
    before: &mut Vec<Mount>,
    notices: &mut Vec<Notice>,
) {
    let Ok(home) = real_home(&caller.home) else {
        return;
    };
    for below in wanted.persist {
        let source = data.path().join(below);
        let destination = if below.is_empty() { home.clone() } else { home.join(below) };
        // R105: some accounts have homes that the runtime needs.
        if exports.refuses(&destination) {
            continue;
        }
        match data.keep(below) {
            Ok(object) => {
                let access = request::Access::ReadWrite;
                before.push(Mount { object, source, destination, access });
            }
            Err(errno) => notices.push(Notice::Warning(data::refused(&source, errno))),
        }
    }
}

/// Whether a path below a directory has no symlink in it, as far as it exists.
fn leads_through_no_link(directory: impl AsFd, below: &str) -> bool {
    let opened = beneath::open(directory, Path::new(below), OFlags::PATH, Links::Refused);
    matches!(opened, Ok(_) | Err(Errno::NOENT))
}

/// Another descriptor of the same object.
fn duplicate(object: impl AsFd, path: &Path) -> Result<OwnedFd, SandboxError> {
    let failed = |errno: Errno| SandboxError::Open { path: path.to_owned(), errno };
    rustix::io::fcntl_dupfd_cloexec(object, 0).map_err(failed)
}

impl Files {
    /// What the application will see.
    #[must_use]
    pub fn visible(&self) -> Visible {
        Visible::through(&self.exports)
    }

    /// Whether the host's `/tmp` is granted.
    #[must_use]
    pub fn temporary_is_shared(&self) -> bool {
        self.exports.covers(Path::new("/tmp"))
    }

    /// Mounts everything. The sandbox has its runtime, and directories `/tmp`, `/var/tmp` and the
    /// runtime directory. Gives names of the runtime directory that are to be members of it, because what
    /// is granted below them is in `/run/flatpak` (R93).
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn mount(
        mut self,
        session: Session,
        sandbox: &mut Sandbox,
    ) -> Result<BTreeSet<String>, SandboxError> {
        let writable = request::Access::ReadWrite;
        for mount in self.before {
            mount.put(sandbox)?;
        }
        if let Some((id, object)) = session.meeting_place {
            let place = Path::new("/run/flatpak/app").join(id.as_str());
            sandbox.bind_descriptor(object, &place, &place, writable)?;
        }
        let runtime_directory = &self.runtime_directory;
        if let Some(object) = session.runtime_directory {
            sandbox.bind_descriptor(object, runtime_directory, runtime_directory, writable)?;
        }
        // R97: where the host's /tmp is seen, nothing is made in it.
        let host = self.exports.covers(Path::new("/tmp"));
        let cover = !host || Path::new(X11_SOCKETS).symlink_metadata().is_ok_and(|it| it.is_dir());
        if let Some(object) = session.temporary.filter(|_| !host) {
            session::clear_x11(&object);
            sandbox.bind_descriptor(object, Path::new("/tmp"), Path::new("/tmp"), writable)?;
        }
        if let Some(object) = session.documents {
            let place = Path::new("/run/flatpak/doc");
            sandbox.bind_descriptor(object, place, place, writable)?;
        }
        let to = Path::new("/run/flatpak");
        let members = self.exports.relocate(runtime_directory, to, session::is_member);
        self.exports.mount(sandbox)?;
        for mount in self.after {
            mount.put(sandbox)?;
        }
        if let Some((place, dirs)) = self.user_dirs {
            dirs.put(&place, sandbox)?;
        }
        if cover {
            sandbox.tmpfs(Path::new(X11_SOCKETS), 0o755)?;
        }
        for object in session.passed {
            object.put(sandbox)?;
        }
        Ok(members)
    }
}

impl Mount {
    fn put(self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        sandbox.bind_descriptor(self.object, &self.source, &self.destination, self.access)
    }
}

impl Redirected {
    /// R64: where the application looks for it.
    fn mount(self, data: &Path) -> Mount {
        let access = match self.access {
            Access::ReadOnly => request::Access::ReadOnly,
            Access::ReadWrite | Access::Create => request::Access::ReadWrite,
        };
        let destination = data.join(self.part).join(self.below);
        Mount { object: self.object, source: self.source, destination, access }
    }
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
mod tests;

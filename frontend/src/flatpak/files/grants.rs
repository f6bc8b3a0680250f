// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the places an application was granted to exports (R57-R71).
//!
//! Where the application can write, it can put a symlink in the way of what it is granted next time,
//! and where another user can write, in `/tmp`, so can they. Such symlinks lead to nothing that is not
//! granted anyway (R73, T68).

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::{Wanted, duplicate, settings};
use crate::caller::Caller;
use crate::filesystem::export::{ExportError, Exports, Seen};
use crate::filesystem::grant::{Broad, GrantError, path_of, real_home};
use crate::filesystem::locate::{Link, Located, locate, tidy};
use crate::filesystem::token::{Access, Place, UserDirectory};
use crate::flatpak::data;
use crate::flatpak::file_access::{FileAccess, Visible};
use crate::message::{Notice, shown};
use crate::object;
use crate::sandbox::SandboxError;

/// Directories that every user can write to.
const PUBLIC: [&str; 2] = ["/tmp", "/var/tmp"];

/// What came of it, beyond the exports.
#[derive(Debug, Default)]
pub(super) struct Granted {
    /// What is to be seen in the data directory, too.
    pub(super) redirected: Vec<Redirected>,
    /// The user directories that were granted, or something in them was.
    pub(super) user_directories: BTreeMap<UserDirectory, PathBuf>,
}

/// Something of the user's that the application looks for in its data directory (R64).
#[derive(Debug)]
pub(super) struct Redirected {
    pub(super) object: OwnedFd,
    pub(super) source: PathBuf,
    /// Which directory of the data directory.
    pub(super) part: &'static str,
    /// Where in it.
    pub(super) below: String,
    pub(super) access: Access,
}

/// A place that was found.
struct Found<'a> {
    place: &'a Place,
    path: PathBuf,
    access: Access,
    located: Located,
    /// Whether somebody who should not have a say had one in where it was found.
    led: bool,
}

/// Grants what is wanted. Only if `making` is set, something is made on the host.
pub(super) fn grant(
    wanted: &Wanted<'_>,
    making: bool,
    caller: &Caller,
    exports: &mut Exports,
    notices: &mut Vec<Notice>,
) -> Result<Granted, SandboxError> {
    let dirs = settings::read(caller);
    let mut broad = Broad::default();
    let mut found = Vec::new();
    for (place, access) in wanted.filesystems {
        if broad.take(place, *access) {
            continue;
        }
        match find(place, *access, &dirs, caller, exports) {
            Ok(Some(place)) => found.push(place),
            Ok(None) => {}
            Err(notice) => notices.push(notice),
        }
    }
    broad.grant([], exports, notices)?;

    let hostile = Hostile::new(caller, &found, exports);
    for place in &mut found {
        let mut trail = dirs.trail.iter();
        place.led = place.located.links.iter().any(|link| hostile.made(link))
            || (matches!(place.place, Place::UserDirectory(..))
                && trail.any(|path| hostile.can_make(path)));
    }
    // What is granted without doubt decides about the rest.
    found.sort_by_key(|place| place.led);
    let mut granted = Granted::default();
    for place in found {
        if let Err(notice) = settle(place, &dirs, making, caller, exports, &mut granted) {
            notices.push(notice);
        }
    }
    hide(wanted, &dirs, caller, exports, notices);
    Ok(granted)
}

/// Looks for a place; none if the user has no such directory (R62).
fn find<'a>(
    place: &'a Place,
    access: Access,
    dirs: &settings::Text,
    caller: &Caller,
    exports: &Exports,
) -> Result<Option<Found<'a>>, Notice> {
    let path = match path_of(place, caller, || dirs.bytes.clone()) {
        Ok(Some(path)) => path,
        Ok(None) => return Ok(None),
        Err(error @ GrantError::NotConfigured { .. }) => {
            return Err(Notice::Detail(error.to_string()));
        }
        Err(error) => return Err(Notice::Warning(error.to_string())),
    };
    let located = exports.find(&path).map_err(|error| notice(&error))?;
    if is_of_the_session(&located.path, caller) {
        return Err(Notice::Warning(format!(
            "cannot share {} with the application\n\
             it holds the sockets of the whole session, or what keeps applications apart\n\
             name what is needed, as in xdg-run/pipewire-0",
            shown(&path)
        )));
    }
    Ok(Some(Found { place, path, access, located, led: false }))
}

/// Exports what was found.
fn settle(
    found: Found<'_>,
    dirs: &settings::Text,
    making: bool,
    caller: &Caller,
    exports: &mut Exports,
    granted: &mut Granted,
) -> Result<(), Notice> {
    let Found { place, path, access, mut located, led } = found;
    if led {
        let needed = match access {
            Access::ReadOnly => FileAccess::ReadOnly,
            Access::ReadWrite | Access::Create => FileAccess::ReadWrite,
        };
        if Visible::through(exports).at(&located.path) < needed {
            return Err(Notice::Warning(format!(
                "{} is not shared with the application\n\
                 a symlink or setting leads to it that the application itself could have made\n\
                 grant {} by its own path",
                shown(&path),
                shown(&located.path)
            )));
        }
    }
    if access == Access::Create
        && making
        && let Err(errno) = located.make(0o755)
    {
        let reason = errno.into();
        return Err(notice(&ExportError::Create { path, reason }));
    }
    let Some(object) = &located.object else {
        return Err(notice(&ExportError::Missing { path }));
    };

    let part = match place {
        Place::Data(below) => Some(("data", below)),
        Place::Config(below) => Some(("config", below)),
        Place::Cache(below) => Some(("cache", below)),
        Place::Host
        | Place::HostOs
        | Place::HostEtc
        | Place::HostRoot
        | Place::Home(_)
        | Place::Path(_)
        | Place::UserDirectory(..)
        | Place::Runtime(_) => None,
    };
    let kind = object::kind(object);
    let redirected = match part.filter(|(_, below)| !below.is_empty()) {
        Some((part, below)) if matches!(kind, Ok(FileType::Directory | FileType::RegularFile)) => {
            let failed = |error: SandboxError| Notice::Warning(error.to_string());
            let object = duplicate(object, &path).map_err(failed)?;
            let (source, below) = (path.clone(), below.clone());
            Some(Redirected { object, source, part, below, access })
        }
        Some(_) | None => None,
    };
    // What cannot be made is not asked for: it is there by now.
    exports.add(located, &path, access.min(Access::ReadWrite)).map_err(|error| notice(&error))?;
    granted.redirected.extend(redirected);
    if let Place::UserDirectory(directory, _) = place {
        let whole = Place::UserDirectory(*directory, String::new());
        if let Ok(Some(path)) = path_of(&whole, caller, || dirs.bytes.clone()) {
            granted.user_directories.insert(*directory, path);
        }
    }
    Ok(())
}

/// R65: what other applications keep, and what was taken back.
fn hide(
    wanted: &Wanted<'_>,
    dirs: &settings::Text,
    caller: &Caller,
    exports: &mut Exports,
    notices: &mut Vec<Notice>,
) {
    let applications = data::applications(caller);
    let paths = wanted
        .hidden
        .iter()
        .filter_map(|place| path_of(place, caller, || dirs.bytes.clone()).ok().flatten());
    for path in paths.chain([applications.clone()]) {
        if let Err(error) = exports.hide(&path) {
            notices.push(notice(&error));
        }
    }
    for old in wanted.previous {
        // It is there only if the application had that name here.
        exports.share(&applications.join(old.as_str()), Access::ReadWrite).ok();
    }
}

/// R71: that something is missing is nothing unusual.
fn notice(error: &ExportError) -> Notice {
    match error {
        ExportError::Missing { .. } => Notice::Detail(error.to_string()),
        ExportError::Reserved { .. }
        | ExportError::AboveReserved { .. }
        | ExportError::Kind { .. }
        | ExportError::Locate { .. }
        | ExportError::Create { .. }
        | ExportError::Automount { .. }
        | ExportError::Sandbox(_) => Notice::Warning(error.to_string()),
    }
}

/// Parts of the runtime directory that keep applications apart (R128), and that lead out of every
/// sandbox: buses and the service manager, which are no files (T73).
const DOORS: [&str; 5] = [".flatpak", ".dbus-proxy", "at-spi", "bus", "systemd"];

/// Whether a path without symlinks is the runtime directory, which is granted in parts only (T54), or in
/// a part that is not granted.
fn is_of_the_session(path: &Path, caller: &Caller) -> bool {
    let real = runtime_directory(caller);
    path == real
        || path == Path::new("/run/user")
        || path.starts_with("/run/dbus")
        || DOORS.iter().any(|name| path.starts_with(real.join(name)))
}

/// The runtime directory without symlinks.
fn runtime_directory(caller: &Caller) -> PathBuf {
    let runtime = tidy(&caller.runtime_directory());
    locate(&runtime).map_or_else(|_| runtime.clone(), |located| located.path)
}

/// Where others than the user can make symlinks.
struct Hostile {
    /// In these directories and below.
    below: Vec<PathBuf>,
    /// In the directories in this one: they belong to one application each.
    applications: Option<PathBuf>,
}

impl Hostile {
    /// What the application can write to when all this is granted, and what other applications can.
    fn new(caller: &Caller, found: &[Found<'_>], exports: &Exports) -> Self {
        let applications = real_home(&data::applications(caller)).ok();
        let writable = |access: Access| access >= Access::ReadWrite;
        let shared = exports.seen().filter_map(|(path, seen)| match seen {
            Seen::Granted(access) => writable(access).then(|| path.to_owned()),
            Seen::Hidden | Seen::Link => None,
        });
        let asked = found
            .iter()
            .filter(|place| writable(place.access))
            .map(|place| place.located.path.clone());
        let meeting = runtime_directory(caller).join("app");
        let below = shared.chain(asked).chain([meeting]).collect();
        Self { below, applications }
    }

    /// Whether one of them could have made a symlink. In a directory of all users the kernel follows
    /// only one's own, too: `protected_symlinks`, proc_sys_fs(5).
    fn made(&self, link: &Link) -> bool {
        let user = rustix::process::geteuid().as_raw();
        let foreign = link.owner != user && link.owner != 0;
        self.can_make(&link.path)
            || (foreign && PUBLIC.iter().any(|place| link.path.starts_with(place)))
    }

    /// Whether one of them could have made what is at a path, which is without symlinks above it.
    fn can_make(&self, path: &Path) -> bool {
        let Some(directory) = path.parent() else {
            return false;
        };
        let in_an_application = self.applications.as_ref().is_some_and(|applications| {
            directory.starts_with(applications) && directory != applications
        });
        in_an_application || self.below.iter().any(|place| directory.starts_with(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r73_symlinks_are_told_apart_by_who_could_make_them() {
        let hostile = Hostile {
            below: vec!["/home/a/project".into()],
            applications: Some("/home/a/.var/app".into()),
        };
        let user = rustix::process::geteuid().as_raw();
        let link = |path: &str, owner| Link { path: path.into(), target: "x".into(), owner };
        for path in ["/home/a/project/x", "/home/a/project/b/x", "/home/a/.var/app/org.a.B/x"] {
            assert!(hostile.made(&link(path, user)), "{path}");
        }
        for path in ["/home/a/project", "/home/a/projects/x", "/home/a/.var/app/org.a.B", "/tmp/x"]
        {
            assert!(!hostile.made(&link(path, user)), "{path}");
        }
        for path in ["/tmp/x", "/tmp/a/x", "/var/tmp/x"] {
            assert!(hostile.made(&link(path, user.wrapping_add(1).max(1))), "{path}");
            assert!(!hostile.made(&link(path, 0)), "{path}");
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application shares with its own instances and with services of the session: the runtime
//! directory inside, `/tmp`, and a meeting place (R91, R93, R96).
//!
//! The application can write to all of these, so they are gone into by descriptor only (T68).

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use crate::caller::Caller;
use crate::filesystem::locate::descend;
use crate::flatpak::reference::Id;
use crate::message::{Notice, shown};
use crate::sandbox::{Sandbox, SandboxError, open_path};

/// Why there is no meeting place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The runtime directory cannot be opened.
    #[error(transparent)]
    RuntimeDirectory(#[from] SandboxError),
    /// The directory in it cannot be.
    #[error(
        "cannot use {} to meet the application in\n{errno}\n\
         no component of it below the runtime directory may be a symlink or a file",
        shown(path)
    )]
    Open {
        /// Where it is.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
}

/// Opens `$XRD/app/ID`, made if it is missing: where services of the host put sockets for the
/// application (R91).
///
/// # Errors
/// [`SessionError`].
pub fn meeting_place(id: &Id, caller: &Caller) -> Result<OwnedFd, SessionError> {
    let runtime = caller.runtime_directory();
    let below = Path::new("app").join(id.as_str());
    descend(open_path(&runtime)?, &below, 0o700)
        .map_err(|errno| SessionError::Open { path: runtime.join(below), errno })
}

/// Whether a name of the runtime directory is a symlink in there, now or by another instance (R93).
pub(super) fn is_member(name: &str) -> bool {
    matches!(name, "app" | "doc" | "p11-kit" | "pulse") || name.starts_with("wayland-")
}

/// The symlinks of the runtime directory inside: their names and what they say (R93). `members` are the
/// names of what is provided in `/run/flatpak`.
fn members(members: &BTreeSet<String>) -> impl Iterator<Item = (&str, String)> {
    let info = ("flatpak-info", String::from("../../../.flatpak-info"));
    let members = members.iter().map(|name| (name.as_str(), format!("../../flatpak/{name}")));
    [info].into_iter().chain(members)
}

/// Makes the symlinks of the runtime directory inside, where that is the sandbox's own (R93).
///
/// # Errors
/// If one of them breaks a rule.
pub fn make_members(
    members: &BTreeSet<String>,
    directory: &Path,
    sandbox: &mut Sandbox,
) -> Result<(), SandboxError> {
    for (name, target) in self::members(members) {
        sandbox.symlink(Path::new(&target), &directory.join(name))?;
    }
    Ok(())
}

/// Makes the symlinks of the runtime directory inside, in the directory that is mounted there (R93).
/// `members` are the names of what is provided in `/run/flatpak`.
pub fn link_members(directory: impl AsFd, members: &BTreeSet<String>, notices: &mut Vec<Notice>) {
    for (name, target) in self::members(members) {
        if let Err(reason) = link(&directory, name, &target) {
            notices.push(Notice::Warning(format!(
                "cannot provide '{}' in the runtime directory of the application\n{reason}",
                shown(name)
            )));
        }
    }
}

fn link(directory: impl AsFd, name: &str, target: &str) -> Result<(), String> {
    let mut components = Path::new(name).components();
    let (Some(Component::Normal(only)), None) = (components.next(), components.next()) else {
        return Err("it is no name of a file".into());
    };
    match rustix::fs::symlinkat(target, &directory, only) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => match rustix::fs::readlinkat(&directory, only, Vec::new()) {
            Ok(found) if found.as_bytes() == target.as_bytes() => Ok(()),
            Ok(_) | Err(_) => {
                Err("there is something else of that name, which is left alone".into())
            }
        },
        Err(errno) => Err(errno.to_string()),
    }
}

/// Takes away what is in the way of mounting the place of X sockets in the application's `/tmp`
/// (R97). If another instance puts something there again, the sandbox is not built.
pub(super) fn clear_x11(temporary: impl AsFd) {
    let name = c".X11-unix";
    let found = rustix::fs::statat(&temporary, name, AtFlags::SYMLINK_NOFOLLOW);
    let kind = found.map(|found| FileType::from_raw_mode(found.st_mode));
    if kind.is_ok_and(|kind| kind != FileType::Directory) {
        rustix::fs::unlinkat(&temporary, name, AtFlags::empty()).ok();
    }
    rustix::fs::mkdirat(&temporary, name, Mode::from_raw_mode(0o700)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn link_all(directory: &Path, names: &[&str]) -> Vec<Notice> {
        let members = names.iter().map(|name| (*name).to_owned()).collect();
        let mut notices = Vec::new();
        link_members(open_path(directory).unwrap(), &members, &mut notices);
        notices
    }

    #[test]
    fn r91_the_meeting_place_is_made_for_the_user_alone() {
        let scratch = Scratch::new();
        let caller = caller(&scratch.0, &[("XDG_RUNTIME_DIR", scratch.0.to_str().unwrap())]);
        let id = Id::new("org.a.App").unwrap();
        meeting_place(&id, &caller).unwrap();
        let made = fs::metadata(scratch.join("app/org.a.App")).unwrap();
        assert_eq!(made.permissions().mode() & 0o777, 0o700);

        fs::remove_dir(scratch.join("app/org.a.App")).unwrap();
        symlink(scratch.directory("secret"), scratch.join("app/org.a.App")).unwrap();
        assert!(matches!(meeting_place(&id, &caller), Err(SessionError::Open { .. })));
    }

    #[test]
    fn r93_members_are_relative_symlinks() {
        let scratch = Scratch::new();
        for _ in 0..2 {
            assert_eq!(link_all(&scratch.0, &["bus", "wayland-0"]), []);
        }
        let target = |name: &str| fs::read_link(scratch.join(name)).unwrap();
        assert_eq!(target("flatpak-info"), Path::new("../../../.flatpak-info"));
        assert_eq!(target("bus"), Path::new("../../flatpak/bus"));
        assert_eq!(target("wayland-0"), Path::new("../../flatpak/wayland-0"));
    }

    #[test]
    fn r93_what_the_application_put_there_is_left_alone() {
        let scratch = Scratch::new();
        scratch.file("bus", "mine");
        symlink("elsewhere", scratch.join("pulse")).unwrap();
        assert_eq!(link_all(&scratch.0, &["bus", "pulse", "doc"]).len(), 2);
        assert_eq!(fs::read(scratch.join("bus")).unwrap(), b"mine");
        assert_eq!(fs::read_link(scratch.join("pulse")).unwrap(), Path::new("elsewhere"));
        assert!(scratch.join("doc").is_symlink());
    }

    #[test]
    fn r93_a_member_is_one_name() {
        let scratch = Scratch::new();
        let inside = scratch.directory("inside");
        assert_eq!(link_all(&inside, &["", "..", "../x", "/x", "a/b"]).len(), 5);
        assert!(!scratch.join("x").is_symlink());
    }

    #[test]
    fn r97_what_is_in_the_way_of_the_x_sockets_goes() {
        let scratch = Scratch::new();
        let clear = || clear_x11(open_path(&scratch.0).unwrap());
        let place = scratch.join(".X11-unix");
        symlink(scratch.directory("kept"), &place).unwrap();
        clear();
        assert!(fs::symlink_metadata(&place).unwrap().is_dir());
        assert!(scratch.join("kept").is_dir());
        scratch.file(".X11-unix/x", "");
        clear();
        assert!(place.join("x").exists());
    }
}

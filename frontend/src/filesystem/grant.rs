// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the places people named to exports (R57-R64).
//!
//! What was named itself must be there; what merely belongs to a broad place such as `host` is
//! taken if it can be.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::export::{ExportError, Exports};
use super::locate::{LocateError, locate, tidy};
use super::token::{Access, Place, UserDirectory};
use super::user_dirs;
use crate::caller::Caller;
use crate::message::Notice;
use crate::sandbox::{SandboxError, open_path};

/// Entries of the host's root that `host` leaves out (R57).
const NOT_HOST: [&str; 17] = [
    "app", "bin", "boot", "dev", "efi", "etc", "lib", "lib32", "lib64", "proc", "root", "run",
    "sbin", "sys", "tmp", "usr", "var",
];

/// Directories of the operating system that may be symlinks into `/usr` (R58).
const SYSTEM: [&str; 5] = ["bin", "lib", "lib32", "lib64", "sbin"];

/// Why a place cannot be granted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// It cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// It cannot be looked at.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The user has no such directory.
    #[error(
        "cannot share {} with the sandbox\n\
         user-dirs.dirs sets {} to nothing, or to the home itself\n\
         set it with xdg-user-dirs-update, or name the directory by its path",
        directory.word(), directory.key()
    )]
    NotConfigured {
        /// Which.
        directory: UserDirectory,
    },
}

/// Grants places in the order of their modes, those below others included.
///
/// # Errors
/// [`GrantError`], for the first place that was named and is not there.
pub fn grant<'a>(
    places: impl IntoIterator<Item = (&'a Place, &'a Access)>,
    caller: &Caller,
    exports: &mut Exports,
    notices: &mut Vec<Notice>,
) -> Result<(), GrantError> {
    let mut broad = Broad::default();
    for (place, access) in places {
        if broad.take(place, *access) {
            continue;
        }
        let text =
            || std::fs::read(caller.config_home().join("user-dirs.dirs")).unwrap_or_default();
        if let Some(path) = path_of(place, caller, text)? {
            exports.share(&path, *access)?;
        }
    }
    // Not everybody's home is in a place that `host` includes.
    broad.grant([caller.home.as_path()], exports, notices)?;
    Ok(())
}

/// Where a place is on the host; none for those that are more than one path. `user_dirs` gives the
/// text of `user-dirs.dirs`.
///
/// # Errors
/// [`GrantError::NotConfigured`].
pub fn path_of(
    place: &Place,
    caller: &Caller,
    user_dirs: impl FnOnce() -> Vec<u8>,
) -> Result<Option<PathBuf>, GrantError> {
    let path = match place {
        Place::Host | Place::HostOs | Place::HostEtc | Place::HostRoot => return Ok(None),
        Place::Home(below) => caller.home.join(below),
        Place::Path(path) => Path::new("/").join(path),
        Place::UserDirectory(directory, below) => {
            user_dirs::find(&user_dirs(), *directory, &caller.home)
                .ok_or(GrantError::NotConfigured { directory: *directory })?
                .join(below)
        }
        Place::Data(below) => caller.data_home().join(below),
        Place::Config(below) => caller.config_home().join(below),
        Place::Cache(below) => caller.cache_home().join(below),
        Place::Runtime(below) => caller.runtime_directory().join(below),
    };
    Ok(Some(tidy(&path)))
}

/// The places that are more than one path, each with what may be done in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Broad {
    host: Option<Access>,
    system: Option<Access>,
    configuration: Option<Access>,
    root: Option<Access>,
}

impl Broad {
    /// Takes a place if it is one of these.
    pub fn take(&mut self, place: &Place, access: Access) -> bool {
        let slot = match place {
            Place::Host => &mut self.host,
            Place::HostOs => &mut self.system,
            Place::HostEtc => &mut self.configuration,
            Place::HostRoot => &mut self.root,
            Place::Home(_)
            | Place::Path(_)
            | Place::UserDirectory(..)
            | Place::Data(_)
            | Place::Config(_)
            | Place::Cache(_)
            | Place::Runtime(_) => return false,
        };
        *slot = Some(access);
        true
    }

    /// Grants them. To `host` belong these paths, too.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn grant<'a>(
        self,
        also: impl IntoIterator<Item = &'a Path>,
        exports: &mut Exports,
        notices: &mut Vec<Notice>,
    ) -> Result<(), SandboxError> {
        if let Some(access) = self.root {
            show(exports, "/", "/run/host/root", access)?;
        }
        if let Some(access) = self.host {
            share_host(exports, also, access, notices);
        }
        // R57: `host` includes these, at the higher of the modes. It does not include `host-root`,
        // which would bring back everything that R57 leaves out (T54).
        let configuration = self.configuration.max(self.host);
        if let Some(access) = self.system.max(self.host) {
            show_system(exports, access, configuration.is_some())?;
        }
        if let Some(access) = configuration {
            show(exports, "/etc", "/run/host/etc", access)?;
        }
        Ok(())
    }
}

/// R57.
fn share_host<'a>(
    exports: &mut Exports,
    also: impl IntoIterator<Item = &'a Path>,
    access: Access,
    notices: &mut Vec<Notice>,
) {
    let entries = std::fs::read_dir("/").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let paths = names
        .filter(|name| !NOT_HOST.iter().any(|other| name == other))
        .map(|name| Path::new("/").join(name));
    let also = also.into_iter().map(Path::to_owned);
    for path in paths.chain(["/run/media".into()]).chain(also) {
        match exports.share(&tidy(&path), access) {
            Ok(_)
            | Err(
                ExportError::Missing { .. }
                | ExportError::Reserved { .. }
                | ExportError::AboveReserved { .. },
            ) => {}
            Err(error) => notices.push(Notice::Detail(error.to_string())),
        }
    }
}

/// R58.
fn show_system(exports: &mut Exports, access: Access, with_etc: bool) -> Result<(), SandboxError> {
    show(exports, "/usr", "/run/host/usr", access)?;
    show(exports, "/var/usrlocal", "/run/host/var/usrlocal", access)?;
    for name in SYSTEM {
        let path = Path::new("/").join(name);
        let destination = Path::new("/run/host").join(name);
        match std::fs::read_link(&path) {
            Ok(target) => {
                let target = target.strip_prefix("/").unwrap_or(&target);
                if target.starts_with("usr") {
                    exports.symlink(destination, target.to_owned());
                }
            }
            Err(_) => show(exports, &path, &destination, access)?,
        }
    }
    if !with_etc {
        show(exports, "/etc/ld.so.cache", "/run/host/etc/ld.so.cache", access)?;
        show(exports, "/etc/alternatives", "/run/host/etc/alternatives", access)?;
    }
    Ok(())
}

/// Shows an object of the host elsewhere, if it exists.
fn show(
    exports: &mut Exports,
    source: impl AsRef<Path>,
    destination: impl AsRef<Path>,
    access: Access,
) -> Result<(), SandboxError> {
    match open_path(source.as_ref()) {
        Ok(object) => {
            exports.show(object, source.as_ref(), destination.as_ref().to_owned(), access)
        }
        Err(_) => Ok(()),
    }
}

/// The home directory without symlinks, if nothing on the way to it is in the way.
///
/// # Errors
/// [`LocateError`].
pub fn real_home(home: &Path) -> Result<PathBuf, LocateError> {
    let home = tidy(home);
    if home.as_os_str() == OsStr::new("/") { Ok(home) } else { Ok(locate(&home)?.path) }
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
mod tests {
    use super::super::locate::tests::Scratch;
    use super::*;
    use crate::caller::tests::caller;
    use crate::sandbox::Sandbox;
    use stockade_protocol::request::Operation;

    fn destinations(
        places: &[(Place, Access)],
        caller: &Caller,
    ) -> Result<Vec<String>, GrantError> {
        let mut exports = Exports::default();
        let mut notices = Vec::new();
        grant(places.iter().map(|(p, a)| (p, a)), caller, &mut exports, &mut notices)?;
        let mut sandbox = Sandbox::new();
        exports.mount(&mut sandbox).unwrap();
        let path = |operation: &Operation| match operation {
            Operation::Bind(bind) => {
                format!("{:?} {:?}", bind.access, bind.destination.path.as_c_str())
            }
            Operation::Symlink { destination, .. } => format!("{:?}", destination.path.as_c_str()),
            other => panic!("{other:?}"),
        };
        Ok(sandbox.request.operations.iter().map(path).collect())
    }

    #[test]
    fn r57_host_brings_the_system_and_leaves_out_what_it_must() {
        let scratch = Scratch::new();
        let home = scratch.directory("home");
        let all = destinations(&[(Place::Host, Access::ReadOnly)], &caller(&home, &[])).unwrap();
        let expected = format!("ReadOnly {:?}", home.display().to_string());
        assert!(all.contains(&expected), "{all:?}");
        assert!(all.contains(&"ReadOnly \"/run/host/usr\"".into()), "{all:?}");
        assert!(all.contains(&"ReadOnly \"/run/host/etc\"".into()), "{all:?}");
        for path in ["/usr", "/run", "/tmp", "/var", "/run/host/root", "/run/host/etc/alternatives"]
        {
            assert!(!all.iter().any(|line| line.ends_with(&format!("{path:?}"))), "{path} {all:?}");
        }
    }

    #[test]
    fn r58_host_os_is_at_the_higher_of_the_modes() {
        let scratch = Scratch::new();
        let places = [(Place::Host, Access::ReadOnly), (Place::HostOs, Access::ReadWrite)];
        let all = destinations(&places, &caller(&scratch.0, &[])).unwrap();
        assert!(all.contains(&"ReadWrite \"/run/host/usr\"".into()), "{all:?}");
        let alone = destinations(&places[1..], &caller(&scratch.0, &[])).unwrap();
        assert!(!alone.iter().any(|line| line.contains("/run/host/etc\"")), "{alone:?}");
    }

    #[test]
    fn r62_user_directories_are_shared_where_they_are() {
        let scratch = Scratch::new();
        let (home, music) = (scratch.directory("home"), scratch.directory("home/Musik/pop"));
        scratch.file("home/.config/user-dirs.dirs", "XDG_MUSIC_DIR=\"$HOME/Musik\"\n");
        let place = Place::UserDirectory(UserDirectory::Music, "pop".into());
        let all = destinations(&[(place, Access::ReadOnly)], &caller(&home, &[])).unwrap();
        assert_eq!(all, [format!("ReadOnly {:?}", music.display().to_string())]);
        let place = Place::UserDirectory(UserDirectory::Videos, String::new());
        let error = destinations(&[(place, Access::ReadOnly)], &caller(&home, &[])).unwrap_err();
        assert!(error.to_string().contains("XDG_VIDEOS_DIR"), "{error}");
    }

    #[test]
    fn r63_r64_base_directories_come_from_the_environment() {
        let scratch = Scratch::new();
        let (data, run) = (scratch.directory("d/app"), scratch.directory("r/x"));
        let (d, r) = (scratch.join("d"), scratch.join("r"));
        let variables =
            [("XDG_DATA_HOME", d.to_str().unwrap()), ("XDG_RUNTIME_DIR", r.to_str().unwrap())];
        let places = [
            (Place::Data("app".into()), Access::ReadOnly),
            (Place::Runtime("x".into()), Access::ReadWrite),
        ];
        let all = destinations(&places, &caller(&scratch.0, &variables)).unwrap();
        let expected = [
            format!("ReadOnly {:?}", data.display().to_string()),
            format!("ReadWrite {:?}", run.display().to_string()),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_place_that_was_named_must_exist() {
        let scratch = Scratch::new();
        let places = [(Place::Home("none".into()), Access::ReadWrite)];
        let error = destinations(&places, &caller(&scratch.0, &[])).unwrap_err();
        assert!(matches!(error, GrantError::Export(ExportError::Missing { .. })), "{error}");
    }
}

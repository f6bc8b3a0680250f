// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the frontend knows about whoever started it: ids, home, directory, environment.
//!
//! Read once, then passed on as data, so that everything built from it can be tested.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::Mode;
use stockade_protocol::text::SandboxPath;

use crate::filesystem::locate::tidy;
use crate::sandbox::sandbox_path;

/// The user and the process that called Stockade.
#[derive(Clone, Debug)]
pub struct Caller {
    /// User id.
    pub uid: u32,
    /// Absolute path of the home directory, as the environment or the user database names it.
    pub home: PathBuf,
    /// The working directory, if it still has a path.
    pub directory: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// File mode creation mask.
    pub umask: u32,
}

/// Why the caller cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallerError {
    /// There is no home directory.
    #[error(
        "cannot find your home directory\n\
         HOME is not an absolute path and the user database has no entry for user id {uid}\n\
         set HOME"
    )]
    NoHome {
        /// User id.
        uid: u32,
    },
}

impl Caller {
    /// The caller of this process.
    ///
    /// # Errors
    /// [`CallerError::NoHome`].
    pub fn current() -> Result<Self, CallerError> {
        let uid = rustix::process::getuid();
        let environment: Vec<_> = std::env::vars_os().collect();
        let home = lookup(&environment, "HOME")
            .map(PathBuf::from)
            .filter(|home| home.is_absolute())
            .or_else(|| home_of(uid.as_raw()))
            .ok_or(CallerError::NoHome { uid: uid.as_raw() })?;
        Ok(Self {
            uid: uid.as_raw(),
            home,
            directory: std::env::current_dir().ok(),
            environment,
            umask: umask(),
        })
    }

    /// A variable, if it is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        lookup(&self.environment, name)
    }

    /// A variable that holds an absolute path.
    #[must_use]
    pub fn path_variable(&self, name: &str) -> Option<&Path> {
        self.variable(name).map(Path::new).filter(|path| path.is_absolute())
    }

    /// `$XDG_RUNTIME_DIR`, or where it is by convention.
    #[must_use]
    pub fn runtime_directory(&self) -> PathBuf {
        self.path_variable("XDG_RUNTIME_DIR")
            .map_or_else(|| self.sandbox_runtime_directory(), Path::to_owned)
    }

    /// `XDG_RUNTIME_DIR` inside a sandbox, whatever it is outside (R155).
    #[must_use]
    pub fn sandbox_runtime_directory(&self) -> PathBuf {
        PathBuf::from(format!("/run/user/{}", self.uid))
    }

    /// `$XDG_DATA_HOME` or its default.
    #[must_use]
    pub fn data_home(&self) -> PathBuf {
        self.base_directory("XDG_DATA_HOME", ".local/share")
    }

    /// `$XDG_CONFIG_HOME` or its default.
    #[must_use]
    pub fn config_home(&self) -> PathBuf {
        self.base_directory("XDG_CONFIG_HOME", ".config")
    }

    /// `$XDG_CACHE_HOME` or its default.
    #[must_use]
    pub fn cache_home(&self) -> PathBuf {
        self.base_directory("XDG_CACHE_HOME", ".cache")
    }

    /// Where a command starts that was not told where: the first of these that the sandbox has
    /// (R158).
    #[must_use]
    pub fn starting_points(&self) -> Vec<SandboxPath> {
        let usual = self.directory.iter().chain([&self.home]);
        let paths = usual.filter_map(|path| sandbox_path(&tidy(path)).ok());
        let mut paths: Vec<_> = paths.chain([SandboxPath::root()]).collect();
        paths.dedup();
        paths
    }

    fn base_directory(&self, variable: &str, default: &str) -> PathBuf {
        self.path_variable(variable).map_or_else(|| self.home.join(default), Path::to_owned)
    }
}

fn lookup<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    let (_, value) = environment.iter().find(|(key, _)| key == name)?;
    (!value.is_empty()).then_some(value)
}

/// The home directory in the user database.
fn home_of(uid: u32) -> Option<PathBuf> {
    let answer = name_service("passwd", uid)?;
    let home = home_in(&answer)?;
    Some(PathBuf::from(OsStr::from_bytes(home))).filter(|home| home.is_absolute())
}

/// What the name service has in a database about an id, asked through `getent(1)`: it cannot be
/// used from a static program, and few need it.
pub(crate) fn name_service(database: &str, id: u32) -> Option<Vec<u8>> {
    let mut getent = Command::new("/usr/bin/getent");
    let answer = getent.args([database, &id.to_string()]).env_clear().output().ok()?;
    Some(answer.stdout)
}

/// The sixth field of a line of the user database, `passwd(5)`.
fn home_in(line: &[u8]) -> Option<&[u8]> {
    line.split(|byte| *byte == b'\n').next()?.split(|byte| *byte == b':').nth(5)
}

/// The umask can only be read by setting it. No other thread runs yet that could make a file.
fn umask() -> u32 {
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    mask.as_raw_mode()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A caller with this home and these variables, in no directory.
    pub(crate) fn caller(home: &Path, variables: &[(&str, &str)]) -> Caller {
        let environment = variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Caller { uid: 1000, home: home.to_owned(), directory: None, environment, umask: 0o022 }
    }

    #[test]
    fn home_is_the_sixth_field_of_the_user_database() {
        assert_eq!(home_in(b"a:x:1:1:A,,:/home/a:/bin/sh\n"), Some(&b"/home/a"[..]));
        assert_eq!(home_in(b""), None);
    }

    #[test]
    fn directories_come_from_the_environment_or_their_defaults() {
        let plain = caller(Path::new("/home/a"), &[("XDG_CONFIG_HOME", "relative")]);
        assert_eq!(plain.config_home(), Path::new("/home/a/.config"));
        assert_eq!(plain.runtime_directory(), Path::new("/run/user/1000"));
        let set =
            caller(Path::new("/home/a"), &[("XDG_DATA_HOME", "/d"), ("XDG_RUNTIME_DIR", "/r")]);
        assert_eq!(set.data_home(), Path::new("/d"));
        assert_eq!(set.runtime_directory(), Path::new("/r"));
        assert_eq!(set.sandbox_runtime_directory(), Path::new("/run/user/1000"));
    }
}

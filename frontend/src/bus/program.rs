// SPDX-License-Identifier: MIT OR Apache-2.0
//! `xdg-dbus-proxy`: where it is, and which version (R206, T74).

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::Access;

/// What it is called.
pub const NAME: &str = "xdg-dbus-proxy";

/// The variable that names another one (R206).
pub const VARIABLE: &str = "FLATPAK_DBUSPROXY";

/// Older ones let messages through that the rules should stop: GHSA-r7hp-698j-2h6c.
pub const WANTED: Version = Version([0, 1, 8]);

/// A version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u32; 3]);

impl Version {
    /// Reads the last word of `xdg-dbus-proxy 0.1.8`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split_ascii_whitespace().last()?.split('.');
        let mut next = || parts.next()?.parse().ok();
        Some(Self([next()?, next()?, next()?]))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// A proxy that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(PathBuf);

impl Program {
    /// The one that is named, or the first in these directories.
    #[must_use]
    pub fn find(named: Option<&OsStr>, directories: &[PathBuf]) -> Option<Self> {
        let usual = directories.iter().map(|directory| directory.join(NAME));
        let mut candidates: Box<dyn Iterator<Item = PathBuf>> = match named {
            Some(path) => Box::new([PathBuf::from(path)].into_iter()),
            None => Box::new(usual),
        };
        let executable = |path: &PathBuf| {
            path.is_absolute()
                && path.is_file()
                && rustix::fs::access(path, Access::EXEC_OK).is_ok()
        };
        candidates.find(executable).map(Self)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What asks it for its version, with an environment of its own (T72).
    #[must_use]
    pub fn question(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.arg("--version").env_clear().env("PATH", "/usr/bin:/bin");
        command
    }

    /// Asks for its version, and goes on meanwhile.
    #[must_use]
    pub fn ask(&self) -> Question {
        let mut command = self.question();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Question(command.spawn().ok())
    }
}

/// A question for a version that was asked.
#[derive(Debug)]
pub struct Question(Option<Child>);

impl Question {
    /// The answer, if there is one that can be understood.
    #[must_use]
    pub fn answer(mut self) -> Option<Version> {
        let mut child = self.0.take()?;
        let mut text = String::new();
        let output = child.stdout.take()?;
        let read = output.take(256).read_to_string(&mut text);
        child.wait().ok()?;
        read.ok().and_then(|_| Version::read(&text))
    }
}

impl Drop for Question {
    /// Nobody wants to know any more.
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn t74_versions_are_compared_as_numbers() {
        let wanted = |text: &str| Version::read(text).is_some_and(|version| version >= WANTED);
        for text in ["xdg-dbus-proxy 0.1.8\n", "xdg-dbus-proxy 0.1.10", "0.2.0", "1.0.0"] {
            assert!(wanted(text), "{text}");
        }
        for text in ["xdg-dbus-proxy 0.1.7", "0.1.4", "unknown option", "", "0.1", "a.b.c"] {
            assert!(!wanted(text), "{text}");
        }
    }

    #[test]
    fn r206_the_one_that_is_named_counts() {
        let scratch = Scratch::new();
        let file = |path: &str, mode| {
            let path = scratch.file(path, "");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let other = file("other", 0o755);
        file("a/xdg-dbus-proxy", 0o644);
        let found = file("b/xdg-dbus-proxy", 0o755);
        let path = ["a", "b"].map(|name| scratch.join(name));
        let find = |named: Option<&Path>| {
            Program::find(named.map(Path::as_os_str), &path).map(|it| it.path().to_owned())
        };
        assert_eq!(find(None), Some(found));
        assert_eq!(find(Some(&other)), Some(other.clone()));
        assert_eq!(find(Some(Path::new("other"))), None);
        assert_eq!(find(Some(&scratch.0)), None);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The home directory of a sandbox: empty and private, kept under a name, or kept in parts.
//!
//! What is kept lies in `$XDG_DATA_HOME/stockade/NAME/home`. The sandbox can write below that
//! directory, so everything there is opened step by step without following a symlink (T68,
//! CVE-2024-42472).

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::caller::Caller;
use crate::filesystem::export::{ExportError, Exports};
use crate::filesystem::grant::real_home;
use crate::filesystem::locate::descend;
use crate::filesystem::token::Access;
use crate::message::{Notice, shown};
use crate::sandbox::{SandboxError, open_path};

/// Longest name of a sandbox.
const NAME_BYTES: usize = 64;

/// The name of a sandbox, fit for a directory: letters, digits, `.`, `_` and `-`, the first a
/// letter or digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// What cannot be the name of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot use '{}' as the name of a sandbox\n\
     a name has 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', and begins with a letter or digit\n\
     choose another",
    shown(name)
)]
pub struct NameError {
    /// As given.
    pub name: OsString,
}

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(name: &OsStr) -> Result<Self, NameError> {
        let fits = |text: &&str| {
            text.len() <= NAME_BYTES
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        };
        let text = name.to_str().filter(fits);
        text.map(|text| Self(text.to_owned())).ok_or_else(|| NameError { name: name.to_owned() })
    }

    /// As given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why there is no home for the sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// `--persist` without `--name`.
    #[error(
        "cannot keep files of the sandbox\n\
         --persist needs to know for which sandbox they are kept\n\
         add --name NAME"
    )]
    Nameless,
    /// The place of the kept home cannot be used.
    #[error(
        "cannot use {} for the home of the sandbox\n{errno}\n\
         no component of it may be a symlink or a file",
        shown(path)
    )]
    Kept {
        /// Where it is.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The data directory cannot be made.
    #[error("cannot make the directory {}\n{reason}", shown(path))]
    Create {
        /// Where it is.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The home directory itself cannot be used.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The data directory cannot be opened.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Puts a home into the sandbox, after everything that was granted by name is in `exports`.
///
/// # Errors
/// [`HomeError`].
pub fn prepare<'a>(
    name: Option<&Name>,
    persist: impl IntoIterator<Item = &'a String>,
    caller: &Caller,
    exports: &mut Exports,
    notices: &mut Vec<Notice>,
) -> Result<(), HomeError> {
    let mut persist = persist.into_iter().peekable();
    if persist.peek().is_some() && name.is_none() {
        return Err(HomeError::Nameless);
    }
    let home = real_home(&caller.home)
        .map_err(|source| ExportError::Locate { path: caller.home.clone(), source })?;
    if exports.covers(&home) {
        if name.is_some() {
            let text = "the home is shared with the sandbox, so --name and --persist keep nothing";
            notices.push(Notice::Warning(text.into()));
        }
        return Ok(());
    }
    // The accounts of services have homes such as /bin or /proc, which are not to be hidden.
    if home == Path::new("/") || exports.refuses(&home) {
        return Ok(());
    }
    let Some(name) = name else {
        exports.private(&caller.home, 0o700)?;
        return Ok(());
    };

    let (kept, path) = kept(name, caller)?;
    if persist.peek().is_none() {
        // For the symlinks that lead to the home.
        exports.private(&caller.home, 0o700)?;
        exports.show(kept, &path, home, Access::ReadWrite)?;
        return Ok(());
    }
    exports.private(&caller.home, 0o700)?;
    for below in persist {
        let failed = |errno| HomeError::Kept { path: path.join(below), errno };
        let object = descend(&kept, Path::new(below), 0o755).map_err(failed)?;
        let destination = if below.is_empty() { home.clone() } else { home.join(below) };
        exports.show(object, &path.join(below), destination, Access::ReadWrite)?;
    }
    Ok(())
}

/// The kept home of a name, made if it is missing.
fn kept(name: &Name, caller: &Caller) -> Result<(OwnedFd, PathBuf), HomeError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let data = caller.data_home();
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(&data);
    made.map_err(|reason| HomeError::Create { path: data.clone(), reason })?;
    let below: PathBuf = ["stockade", &name.0, "home"].iter().collect();
    let path = data.join(&below);
    let home = descend(open_path(&data)?, &below, 0o700)
        .map_err(|errno| HomeError::Kept { path: path.clone(), errno })?;
    Ok((home, path))
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::sandbox::Sandbox;
    use std::os::unix::fs::symlink;
    use stockade_protocol::request::Operation;

    fn destinations(
        name: Option<&str>,
        persist: &[&str],
        home: &Path,
    ) -> Result<Vec<String>, HomeError> {
        let name = name.map(|name| Name::new(OsStr::new(name)).unwrap());
        let persist: Vec<_> = persist.iter().map(|path| (*path).to_owned()).collect();
        let (mut exports, mut notices) = (Exports::default(), Vec::new());
        prepare(name.as_ref(), &persist, &caller(home, &[]), &mut exports, &mut notices)?;
        let mut sandbox = Sandbox::new();
        exports.mount(&mut sandbox).unwrap();
        let path = |operation: &Operation| match operation {
            Operation::Bind(bind) => {
                format!("bind {}", bind.destination.path.as_c_str().to_str().unwrap())
            }
            Operation::Tmpfs { destination, .. } => {
                format!("tmpfs {}", destination.path.as_c_str().to_str().unwrap())
            }
            other => panic!("{other:?}"),
        };
        Ok(sandbox.request.operations.iter().map(path).collect())
    }

    #[test]
    fn names_are_fit_for_directories() {
        for name in ["a", "org.example.App", "0_-."] {
            assert!(Name::new(OsStr::new(name)).is_ok(), "{name}");
        }
        let long = "a".repeat(65);
        for name in ["", ".", "..", "-a", "a/b", "a b", ".hidden", "ä", long.as_str()] {
            assert!(Name::new(OsStr::new(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn without_a_name_the_home_is_empty() {
        let scratch = Scratch::new();
        let home = scratch.0.display();
        assert_eq!(destinations(None, &[], &scratch.0).unwrap(), [format!("tmpfs {home}")]);
        assert!(matches!(destinations(None, &["x"], &scratch.0), Err(HomeError::Nameless)));
    }

    #[test]
    fn with_a_name_the_home_is_kept() {
        let scratch = Scratch::new();
        let home = scratch.0.display();
        assert_eq!(destinations(Some("n"), &[], &scratch.0).unwrap(), [format!("bind {home}")]);
        assert!(scratch.join(".local/share/stockade/n/home").is_dir());
    }

    #[test]
    fn r90_only_persisted_paths_are_kept() {
        let scratch = Scratch::new();
        let home = scratch.0.display();
        let found = destinations(Some("n"), &[".config/app"], &scratch.0).unwrap();
        assert_eq!(found, [format!("tmpfs {home}"), format!("bind {home}/.config/app")]);
        assert_eq!(destinations(Some("n"), &[""], &scratch.0).unwrap(), [format!("bind {home}")]);
    }

    #[test]
    fn r90_symlinks_in_the_kept_home_are_not_followed() {
        let scratch = Scratch::new();
        let kept = scratch.directory(".local/share/stockade/n/home");
        symlink(scratch.directory("secret"), kept.join("link")).unwrap();
        for path in ["link", "link/below"] {
            let error = destinations(Some("n"), &[path], &scratch.0).unwrap_err();
            assert!(matches!(error, HomeError::Kept { .. }), "{error}");
        }
        std::fs::remove_file(kept.join("link")).unwrap();
        std::fs::remove_dir(&kept).unwrap();
        symlink(scratch.join("secret"), &kept).unwrap();
        assert!(matches!(destinations(Some("n"), &[], &scratch.0), Err(HomeError::Kept { .. })));
    }
}

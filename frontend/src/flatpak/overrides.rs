// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the user and the administrator change about the permissions of applications (R46, R51, R260).
//!
//! Overrides decide what an application is kept from, so one that is there and cannot be read is an
//! error and not as good as none. They are replaced as a whole: whoever reads one sees the old or the
//! new one.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::context::{Context, ContextError, Form};
use super::installation::{Defaults, Owner};
use super::reference::Id;
use crate::filesystem::locate;
use crate::keyfile::{KeyFile, KeyFileError};
use crate::message::{Notice, shown};

/// The directory of an installation that they are in (R4).
const DIRECTORY: &str = "overrides";
/// The overrides for all applications. No application is called so, for it has no period.
const GLOBAL: &str = "global";
/// Most that one may have, in bytes. Those that people have are a thousandth of it.
const MOST_BYTES: u64 = 1024 * 1024;
/// How many names are tried for a new file before it is renamed.
const TRIES: u32 = 100;

/// Why overrides cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OverridesError {
    /// It is there and cannot be read.
    #[error(
        "cannot read the overrides in {}\n{error}\nmake the file readable, or remove it",
        shown(path)
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is no key file.
    #[error("cannot use the overrides in {}\n{error}\ncorrect the file, or remove it", shown(path))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeyFileError,
    },
    /// It has permissions that cannot be relied on.
    #[error("cannot use the overrides in {}\n{error}\ncorrect the file, or remove it", shown(path))]
    Context {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ContextError,
    },
    /// It cannot be written or removed.
    #[error(
        "cannot change the overrides in {}\n{error}\n\
         use --user for your own applications, or run this as the owner of the directory",
        shown(path)
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// One file of overrides, which may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrides<'a> {
    installation: &'a Path,
    name: &'a str,
}

impl<'a> Overrides<'a> {
    /// The overrides that an installation has for an application, or for all.
    #[must_use]
    pub fn new(installation: &'a Path, app: Option<&'a Id>) -> Self {
        Self { installation, name: app.map_or(GLOBAL, Id::as_str) }
    }

    /// Where they are.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.installation.join(DIRECTORY).join(self.name)
    }

    /// What they say, as it is stored; none if there are none.
    ///
    /// # Errors
    /// [`OverridesError::Read`].
    pub fn bytes(&self) -> Result<Option<Vec<u8>>, OverridesError> {
        let path = self.path();
        match read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OverridesError::Read { path, error }),
        }
    }

    fn file(&self) -> Result<KeyFile, OverridesError> {
        let bytes = self.bytes()?.unwrap_or_default();
        KeyFile::parse(&bytes).map_err(|error| OverridesError::Syntax { path: self.path(), error })
    }

    fn read(&self, file: &KeyFile) -> Result<(Context, Vec<Notice>), OverridesError> {
        Context::read(file).map_err(|error| OverridesError::Context { path: self.path(), error })
    }

    /// The layer they make; one that says nothing if there are none. The notices tell what was left
    /// out.
    ///
    /// # Errors
    /// [`OverridesError`].
    pub fn context(&self) -> Result<(Context, Vec<Notice>), OverridesError> {
        self.read(&self.file()?)
    }

    /// Puts a layer above what they say, and stores that (R260). What else is in the file stays.
    ///
    /// # Errors
    /// [`OverridesError`]; then they are as they were.
    pub fn change(&self, upper: &Context) -> Result<Vec<Notice>, OverridesError> {
        let mut file = self.file()?;
        let (mut context, notices) = self.read(&file)?;
        context.merge(upper);
        context.write(&mut file, Form::Stored);
        self.replace(&file.to_string()).map_err(|error| self.unwritten(error))?;
        Ok(notices)
    }

    /// Removes them.
    ///
    /// # Errors
    /// [`OverridesError::Write`]; that there are none is no error.
    pub fn reset(&self) -> Result<(), OverridesError> {
        let flags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let removed = rustix::fs::openat(CWD, self.installation, flags, Mode::empty())
            .and_then(|installation| {
                let flags = flags.union(OFlags::NOFOLLOW);
                rustix::fs::openat(installation, DIRECTORY, flags, Mode::empty())
            })
            .and_then(|directory| rustix::fs::unlinkat(directory, self.name, AtFlags::empty()));
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.unwritten(errno.into())),
        }
    }

    fn unwritten(&self, error: io::Error) -> OverridesError {
        OverridesError::Write { path: self.path(), error }
    }

    /// Puts a new file in the place of the old one, or of the symlink that is there: nothing is
    /// written through one.
    fn replace(&self, text: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.installation)?;
        let flags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let installation = rustix::fs::openat(CWD, self.installation, flags, Mode::empty())?;
        let directory = locate::descend(installation, Path::new(DIRECTORY), 0o755)?;
        let (name, file) = new_file(&directory)?;
        let stored = store(file, text)
            .and_then(|()| Ok(rustix::fs::renameat(&directory, &name, &directory, self.name)?));
        if stored.is_err() {
            // What matters is why it could not be stored.
            rustix::fs::unlinkat(&directory, &name, AtFlags::empty()).ok();
        }
        stored
    }
}

/// The overrides for an application, all layers in one (R46). `owner` is whose installation it is
/// from: what the system says does not count for an application of the user's own.
///
/// # Errors
/// [`OverridesError`], for the first file that cannot be used.
pub fn layers(
    defaults: &Defaults,
    owner: &Owner,
    app: &Id,
) -> Result<(Context, Vec<Notice>), OverridesError> {
    let system = match owner {
        Owner::User => None,
        Owner::System(_) => Some(&defaults.system),
    };
    let mut all = (Context::default(), Vec::new());
    for installation in system.into_iter().chain([&defaults.user]) {
        for app in [None, Some(app)] {
            let (context, notices) = Overrides::new(installation, app).context()?;
            all.0.merge(&context);
            all.1.extend(notices);
        }
    }
    Ok(all)
}

/// A whole file. It may be reached through symlinks, as where a home is managed by a program: whoever
/// can put one here can say what overrides say anyway.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe or a terminal must not wait, or make it this process's.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    let length = File::from(file).take(MOST_BYTES).read_to_end(&mut bytes)?;
    if u64::try_from(length).is_ok_and(|length| length < MOST_BYTES) {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::FileTooLarge.into())
    }
}

/// A file that nobody else has, to be renamed.
fn new_file(directory: impl AsFd) -> io::Result<(String, OwnedFd)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for number in 0..TRIES {
        let name = format!(".new-{}-{number}", std::process::id());
        match rustix::fs::openat(&directory, &name, flags, Mode::from_raw_mode(0o644)) {
            Ok(file) => return Ok((name, file)),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::EXIST.into())
}

fn store(file: OwnedFd, text: &str) -> io::Result<()> {
    let mut file = File::from(file);
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    fn app() -> Id {
        Id::new("org.example.App").unwrap()
    }

    fn context(text: &str) -> Context {
        Context::read(&KeyFile::parse(text.as_bytes()).unwrap()).unwrap().0
    }

    fn shared(word: &str) -> Context {
        context(&format!("[Context]\nshared={word};\n"))
    }

    #[test]
    fn r46_layers_are_read_from_the_lowest_to_the_highest() {
        let scratch = Scratch::new();
        let defaults = Defaults { system: scratch.join("system"), user: scratch.join("user") };
        let says = |file: &str, number: u32, environment: &str| {
            scratch.file(file, format!("[Environment]\nA={number}\n{environment}=x\n"));
        };
        let value = |owner: &Owner| {
            let (context, _) = layers(&defaults, owner, &app()).unwrap();
            let names: Vec<_> = context.environment.keys().cloned().collect();
            (context.environment.get("A").cloned().flatten(), names.join(""))
        };
        let system = Owner::System("other".to_owned());
        assert_eq!(value(&system), (None, String::new()));
        says("system/overrides/global", 1, "B");
        assert_eq!(value(&system), (Some("1".into()), "AB".into()));
        assert_eq!(value(&Owner::User), (None, String::new()));
        says("system/overrides/org.example.App", 2, "C");
        assert_eq!(value(&system), (Some("2".into()), "ABC".into()));
        says("user/overrides/global", 3, "D");
        assert_eq!(value(&system), (Some("3".into()), "ABCD".into()));
        says("user/overrides/org.example.App", 4, "E");
        assert_eq!(value(&system), (Some("4".into()), "ABCDE".into()));
        assert_eq!(value(&Owner::User), (Some("4".into()), "ADE".into()));
    }

    #[test]
    fn r260_changes_are_put_above_what_is_there() {
        let scratch = Scratch::new();
        let installation = scratch.join("not/yet/there");
        let app = app();
        let overrides = Overrides::new(&installation, Some(&app));
        assert_eq!(overrides.bytes().unwrap(), None);
        overrides.reset().unwrap();
        overrides.change(&shared("network;ipc")).unwrap();
        overrides.change(&shared("!ipc")).unwrap();
        let path = installation.join("overrides/org.example.App");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[Context]\nshared=!ipc;network;\n");
        assert_eq!(overrides.context().unwrap().0, shared("!ipc;network"));
        // Nothing else is left there.
        assert_eq!(std::fs::read_dir(installation.join("overrides")).unwrap().count(), 1);
        overrides.reset().unwrap();
        assert_eq!(overrides.bytes().unwrap(), None);
    }

    #[test]
    fn r51_nothing_is_written_through_a_symlink() {
        let scratch = Scratch::new();
        let outside = scratch.file("outside", "[Context]\nshared=ipc;\n");
        let installation = scratch.directory("user");
        scratch.directory("user/overrides");
        symlink(&outside, installation.join("overrides/global")).unwrap();
        let overrides = Overrides::new(&installation, None);
        overrides.change(&shared("network")).unwrap();
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "[Context]\nshared=ipc;\n");
        assert_eq!(overrides.context().unwrap().0, shared("ipc;network"));
        assert!(!installation.join("overrides/global").is_symlink());

        let other = scratch.directory("other");
        let elsewhere = scratch.directory("elsewhere");
        scratch.file("elsewhere/global", "");
        symlink(&elsewhere, other.join("overrides")).unwrap();
        let overrides = Overrides::new(&other, None);
        assert!(matches!(overrides.change(&shared("ipc")), Err(OverridesError::Write { .. })));
        assert!(matches!(overrides.reset(), Err(OverridesError::Write { .. })));
        assert_eq!(std::fs::read(elsewhere.join("global")).unwrap(), b"");
    }

    #[test]
    fn r25_what_is_there_and_cannot_be_used_is_an_error() {
        let scratch = Scratch::new();
        let installation = scratch.directory("user");
        let overrides = Overrides::new(&installation, None);
        for content in [
            &b"nonsense"[..],
            b"[Context]\nfilesystems=/a\x1b;\n",
            b"[Context]\nshared=network;\0\n",
            &vec![b'\n'; 1024 * 1024],
        ] {
            scratch.file("user/overrides/global", content);
            let text = overrides.context().unwrap_err().to_string();
            assert!(text.lines().count() >= 3 && !text.contains('\x1b'), "{text}");
            assert!(overrides.change(&shared("ipc")).is_err());
            assert_eq!(std::fs::read(overrides.path()).unwrap(), content);
        }
        std::fs::remove_file(overrides.path()).unwrap();
        std::fs::create_dir(overrides.path()).unwrap();
        assert!(matches!(overrides.context(), Err(OverridesError::Read { .. })));
        std::fs::remove_dir(overrides.path()).unwrap();
        rustix::fs::mkfifoat(CWD, overrides.path(), Mode::from_raw_mode(0o600)).unwrap();
        assert!(matches!(overrides.context(), Err(OverridesError::Read { .. })));
    }

    #[test]
    fn a_file_that_cannot_be_replaced_leaves_nothing_behind() {
        let scratch = Scratch::new();
        let installation = scratch.directory("user");
        let directory = scratch.directory("user/overrides");
        let (name, _file) = new_file(File::open(&directory).unwrap()).unwrap();
        let (other, _file) = new_file(File::open(&directory).unwrap()).unwrap();
        assert_ne!(name, other);
        for name in [name, other] {
            std::fs::remove_file(directory.join(name)).unwrap();
        }
        scratch.directory("user/overrides/global/full");
        assert!(Overrides::new(&installation, None).replace("").is_err());
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    }
}

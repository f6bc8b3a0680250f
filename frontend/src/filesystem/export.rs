// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files and directories a sandbox will see, collected first, then mounted in one order
//! (R66-R69).
//!
//! Each source is opened when it is added and bound by that descriptor. Paths are collected without
//! symlinks; symlinks that led there are made again. Nothing is ever hidden below something granted
//! by name (T53).

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use stockade_protocol::request;

use super::locate::{self, LocateError, Located, locate};
use super::token::Access;
use crate::message::shown;
use crate::object::Object;
use crate::sandbox::{Sandbox, SandboxError};

/// Places that belong to the sandbox itself: neither they, nor what is in them, nor what they are
/// in can be exported. Flatpak's `/app` and `/.flatpak-info` are not among them, because a sandbox
/// that has the host as its runtime does not make them.
const RESERVED: [&str; 6] = ["/dev", "/etc", "/proc", "/run/host", "/run/stockade", "/usr"];

/// Places that are symlinks or copies of the runtime's: what is in them cannot be exported.
const RESERVED_INSIDE: [&str; 6] = ["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"];

/// `AUTOFS_SUPER_MAGIC`.
const AUTOFS: u64 = 0x0187;

/// How long a place on an automounter is waited for (R66).
const AUTOMOUNT: Duration = Duration::from_millis(200);

/// Why a path cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It is the sandbox's own.
    #[error(
        "cannot share {} with the sandbox\n\
         {} is the sandbox's own; the system's directories are in it already, read-only\n\
         leave the option out, or see the host's through host-os and host-etc below /run/host",
        shown(path),
        shown(reserved)
    )]
    Reserved {
        /// As resolved.
        path: PathBuf,
        /// The reserved place it collides with.
        reserved: &'static str,
    },
    /// What is the sandbox's own is in it.
    #[error(
        "cannot share {} with the sandbox\n\
         {} is in it, which is the sandbox's own\n\
         name what is needed in it",
        shown(path),
        shown(reserved)
    )]
    AboveReserved {
        /// As resolved.
        path: PathBuf,
        /// The reserved place in it.
        reserved: &'static str,
    },
    /// It does not exist.
    #[error(
        "cannot share {} with the sandbox\n\
         there is no such file or directory\n\
         make it first, or put ':create' behind it to have the directory made",
        shown(path)
    )]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// It is a device, a FIFO or the like.
    #[error(
        "cannot share {} with the sandbox\n\
         it is neither a directory nor a regular file nor a socket\n\
         use --device for devices",
        shown(path)
    )]
    Kind {
        /// As given.
        path: PathBuf,
    },
    /// It could not be opened.
    #[error("cannot share {} with the sandbox\n{source}", shown(path))]
    Locate {
        /// As given.
        path: PathBuf,
        /// Why.
        source: LocateError,
    },
    /// It could not be made.
    #[error("cannot make the directory {}\n{reason}\nmake it first", shown(path))]
    Create {
        /// As given.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// An automounter does not answer.
    #[error(
        "cannot share {} with the sandbox\n\
         it is mounted on demand, and that did not happen within 200 ms\n\
         make sure that it can be read, then try again",
        shown(path)
    )]
    Automount {
        /// As given.
        path: PathBuf,
    },
    /// The sandbox does not take it.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// What appears at a path of the sandbox, the weakest first (R68).
#[derive(Debug)]
enum Entry {
    /// Part of the runtime, which is mounted before; a symlink in it is there already.
    Runtime,
    /// An empty tmpfs.
    Private {
        /// Permission bits.
        mode: u32,
    },
    /// An object of the host.
    Bound { object: Object, source: PathBuf, access: Access },
    /// A symlink.
    Symlink(PathBuf),
}

impl Entry {
    fn rank(&self) -> (u8, Option<Access>) {
        match self {
            Self::Runtime => (0, None),
            Self::Private { .. } => (1, None),
            Self::Bound { access, .. } => (2, Some(*access)),
            Self::Symlink(_) => (3, None),
        }
    }
}

/// The collection.
#[derive(Debug, Default)]
pub struct Exports {
    /// By path of the sandbox, in byte order, so that parents come first (R69).
    entries: BTreeMap<OsString, Entry>,
    /// Mounts that were found to be no automounters, by number.
    ordinary: BTreeSet<u64>,
}

impl Exports {
    /// An empty collection over a runtime that shows these directories of the host.
    #[must_use]
    pub fn over<'a>(runtime: impl IntoIterator<Item = &'a Path>) -> Self {
        let entry = |path: &Path| (path.as_os_str().to_owned(), Entry::Runtime);
        Self { entries: runtime.into_iter().map(entry).collect(), ..Self::default() }
    }

    /// Exports the object at the absolute path `path` where it is, and gives the path without
    /// symlinks at which it will appear.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn share(&mut self, path: &Path, access: Access) -> Result<PathBuf, ExportError> {
        if access == Access::Create {
            create(path)?;
        }
        let located = self.find(path)?;
        let Some(object) = located.object else {
            return Err(ExportError::Missing { path: path.to_owned() });
        };
        let object = self.usable(object, path)?;
        self.link(located.links);
        let entry = Entry::Bound { object, source: located.path.clone(), access };
        self.put(located.path.clone(), entry);
        Ok(located.path)
    }

    /// Shows the host object `source`, already open, at `destination`, which is without symlinks.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn show(
        &mut self,
        object: OwnedFd,
        source: &Path,
        destination: PathBuf,
        access: Access,
    ) -> Result<(), SandboxError> {
        let object = Object::new(object)
            .map_err(|errno| SandboxError::Open { path: source.to_owned(), errno })?;
        self.put(destination, Entry::Bound { object, source: source.to_owned(), access });
        Ok(())
    }

    /// Makes a symlink.
    pub fn symlink(&mut self, path: PathBuf, target: PathBuf) {
        self.put(path, Entry::Symlink(target));
    }

    /// Puts an empty directory of the sandbox where the host has `path`, which need not exist. What
    /// is exported there or above it wins.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn private(&mut self, path: &Path, mode: u32) -> Result<PathBuf, ExportError> {
        let located = self.find(path)?;
        self.link(located.links);
        self.put(located.path.clone(), Entry::Private { mode });
        Ok(located.path)
    }

    /// Whether the path of the sandbox, without symlinks, lies in something exported.
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        path.ancestors().any(|above| {
            let entry = self.entries.get(above.as_os_str());
            entry.is_some_and(|entry| matches!(entry, Entry::Bound { .. }))
        })
    }

    /// Mounts everything.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub fn mount(self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        // In byte order, everything that begins with the letters of a path follows it at once:
        // `/a`, `/a-b`, `/a/b`. These are the paths that the current one may still be in.
        let mut above: Vec<(PathBuf, View)> = Vec::new();
        for (path, entry) in self.entries {
            let path = PathBuf::from(path);
            while above.last().is_some_and(|(earlier, _)| !continues(earlier, &path)) {
                above.pop();
            }
            let parent = above.iter().rev().find(|(earlier, _)| path.starts_with(earlier));
            let parent = parent.map_or(View::Private, |(_, view)| *view);
            let view = match (entry, parent) {
                (Entry::Runtime, _) => View::Runtime,
                // The directory above was granted by name, and with it what is in it.
                (Entry::Private { .. }, View::Granted) => continue,
                (Entry::Private { mode }, View::Private | View::Runtime) => {
                    sandbox.tmpfs(&path, mode)?;
                    View::Private
                }
                (Entry::Bound { object, source, access }, _) => {
                    let access = match access {
                        Access::ReadOnly => request::Access::ReadOnly,
                        Access::ReadWrite | Access::Create => request::Access::ReadWrite,
                    };
                    sandbox.bind_object(object, source, &path, access)?;
                    View::Granted
                }
                // R69: the host's own symlink is in view.
                (Entry::Symlink(_), View::Granted | View::Runtime) => continue,
                (Entry::Symlink(target), View::Private) => {
                    sandbox.symlink(&target, &path)?;
                    continue;
                }
            };
            above.push((path, view));
        }
        Ok(())
    }

    /// Locates `path` and refuses reserved places, also where a symlink leads to one.
    fn find(&self, path: &Path) -> Result<Located, ExportError> {
        check_reserved(path)?;
        let located =
            locate(path).map_err(|source| ExportError::Locate { path: path.to_owned(), source })?;
        check_reserved(&located.path)?;
        Ok(located)
    }

    /// R66: only what is a directory, a regular file or a socket, and answers.
    fn usable(&mut self, object: OwnedFd, path: &Path) -> Result<Object, ExportError> {
        let object = Object::new(object).map_err(|errno| {
            let source = LocateError::Open { errno };
            ExportError::Locate { path: path.to_owned(), source }
        })?;
        match object.kind() {
            FileType::Directory => self.mounted(object, path),
            FileType::RegularFile | FileType::Socket => Ok(object),
            FileType::Symlink
            | FileType::Fifo
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Err(ExportError::Kind { path: path.to_owned() }),
        }
    }

    /// A directory with what belongs on it. What a mount is does not change, so each is asked for
    /// once.
    fn mounted(&mut self, object: Object, path: &Path) -> Result<Object, ExportError> {
        if object.mount().is_some_and(|mount| self.ordinary.contains(&mount)) {
            return Ok(object);
        }
        if is_automounter(&object) {
            return wait_for_automount(object, path);
        }
        self.ordinary.extend(object.mount());
        Ok(object)
    }

    fn link(&mut self, links: Vec<locate::Link>) {
        for link in links {
            self.put(link.path, Entry::Symlink(link.target));
        }
    }

    /// R68: of two entries for a path the stronger one stays.
    fn put(&mut self, path: PathBuf, entry: Entry) {
        match self.entries.entry(path.into_os_string()) {
            btree_map::Entry::Vacant(place) => {
                place.insert(entry);
            }
            btree_map::Entry::Occupied(mut place) => {
                if place.get().rank() < entry.rank() {
                    place.insert(entry);
                }
            }
        }
    }
}

/// Whether `path` begins with the letters of `earlier`, be it below it or not.
fn continues(earlier: &Path, path: &Path) -> bool {
    path.as_os_str().as_bytes().starts_with(earlier.as_os_str().as_bytes())
}

/// What a directory of the sandbox shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// Something of the sandbox's own.
    Private,
    /// The host's, as part of the runtime.
    Runtime,
    /// The host's, because it was granted.
    Granted,
}

/// R66. A path that merely begins with the same letters is another path.
fn check_reserved(path: &Path) -> Result<(), ExportError> {
    // Nearly every path differs from all of these in its first name, which is soon compared.
    let first = path.components().find_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::RootDir | Component::CurDir | Component::ParentDir | Component::Prefix(_) => {
            None
        }
    });
    let near = |place: &&&str| first.is_none_or(|name| begins_with(place, name));
    let mut places = RESERVED.iter().chain(&RESERVED_INSIDE).filter(near);
    if let Some(reserved) = places.find(|place| path.starts_with(place)) {
        return Err(ExportError::Reserved { path: path.to_owned(), reserved });
    }
    let mut places = RESERVED.iter().filter(near);
    if let Some(reserved) = places.find(|place| Path::new(place).starts_with(path)) {
        return Err(ExportError::AboveReserved { path: path.to_owned(), reserved });
    }
    Ok(())
}

/// Whether `name` is the first in the absolute path `place`.
fn begins_with(place: &str, name: &OsStr) -> bool {
    let names = place.as_bytes().strip_prefix(b"/");
    let rest = names.and_then(|names| names.strip_prefix(name.as_bytes()));
    matches!(rest, Some([] | [b'/', ..]))
}

/// Whether a directory of this path can be given to the sandbox (R66).
#[must_use]
pub fn is_reserved(path: &Path) -> bool {
    check_reserved(path).is_err()
}

/// Has a directory mounted that is an automounter's; otherwise the sandbox would get an empty one
/// that it cannot have mounted.
fn wait_for_automount(object: Object, path: &Path) -> Result<Object, ExportError> {
    // The server behind it may never answer. The thread then stays until this process ends.
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let flags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);
        let opened = rustix::fs::openat(&object, c".", flags, Mode::empty());
        sender.send(opened.and_then(Object::new)).ok();
    });
    match receiver.recv_timeout(AUTOMOUNT) {
        Ok(Ok(mounted)) if !is_automounter(&mounted) => Ok(mounted),
        Ok(_) | Err(_) => Err(ExportError::Automount { path: path.to_owned() }),
    }
}

fn is_automounter(object: &Object) -> bool {
    rustix::fs::fstatfs(object).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(AUTOFS))
}

/// Makes a directory and its parents on the host (R70).
fn create(path: &Path) -> Result<(), ExportError> {
    use std::os::unix::fs::DirBuilderExt as _;
    check_reserved(path)?;
    // A file of that name is shared as it is.
    if rustix::fs::accessat(CWD, path, rustix::fs::Access::EXISTS, AtFlags::empty()) == Ok(()) {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|reason| ExportError::Create { path: path.to_owned(), reason })
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
mod tests {
    use super::super::locate::tests::Scratch;
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;
    use stockade_protocol::request::{Bind, Operation};

    /// What was done, one line for each operation.
    fn lines(exports: Exports) -> Vec<String> {
        let mut sandbox = Sandbox::new();
        exports.mount(&mut sandbox).unwrap();
        let path = |destination: &request::Destination| {
            String::from_utf8_lossy(destination.path.as_bytes()).into_owned()
        };
        sandbox
            .request
            .operations
            .iter()
            .map(|operation| match operation {
                Operation::Bind(Bind { destination, access, .. }) => {
                    format!("{access:?} {}", path(destination))
                }
                Operation::Tmpfs { destination, mode, .. } => {
                    format!("Tmpfs {mode:o} {}", path(destination))
                }
                Operation::Symlink { destination, target } => {
                    let target = String::from_utf8_lossy(target.as_bytes());
                    format!("Symlink {} -> {target}", path(destination))
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn r66_reserved_paths_are_refused() {
        for path in [
            "/usr",
            "/usr/share",
            "/etc",
            "/etc/x",
            "/dev",
            "/dev/shm",
            "/proc",
            "/proc/1",
            "/run/host",
            "/run/stockade/x",
            "/bin",
            "/bin/x",
            "/lib64/x",
            "/sbin",
        ] {
            let error = Exports::default().share(Path::new(path), Access::ReadOnly).unwrap_err();
            assert!(matches!(error, ExportError::Reserved { .. }), "{path}: {error}");
        }
        for path in ["/", "/run"] {
            let error = Exports::default().share(Path::new(path), Access::ReadOnly).unwrap_err();
            assert!(matches!(error, ExportError::AboveReserved { .. }), "{path}: {error}");
        }
        for path in
            ["/usrlocal", "/run/media", "/var/lib/x", "/tmp", "/root", "/boot", "/sys/x", "/opt"]
        {
            assert!(!is_reserved(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn r66_a_symlink_to_a_reserved_place_is_refused() {
        let scratch = Scratch::new();
        symlink("/usr/share", scratch.join("link")).unwrap();
        let error = Exports::default().share(&scratch.join("link"), Access::ReadWrite).unwrap_err();
        assert!(matches!(error, ExportError::Reserved { reserved: "/usr", .. }), "{error}");
    }

    #[test]
    fn r66_fifos_are_refused() {
        let scratch = Scratch::new();
        let fifo = scratch.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = Exports::default().share(&fifo, Access::ReadOnly).unwrap_err();
        assert!(matches!(error, ExportError::Kind { .. }), "{error}");
    }

    #[test]
    fn r67_symlinks_become_their_target_and_a_link() {
        let scratch = Scratch::new();
        scratch.directory("real/src");
        symlink("real", scratch.join("link")).unwrap();
        let mut exports = Exports::default();
        let path = exports.share(&scratch.join("link/src"), Access::ReadWrite).unwrap();
        assert_eq!(path, scratch.join("real/src"));
        let root = scratch.0.display();
        let expected =
            [format!("Symlink {root}/link -> real"), format!("ReadWrite {root}/real/src")];
        assert_eq!(lines(exports), expected);
    }

    #[test]
    fn r68_the_strongest_entry_counts() {
        let scratch = Scratch::new();
        let path = scratch.directory("a");
        for order in [[Access::ReadOnly, Access::ReadWrite], [Access::ReadWrite, Access::ReadOnly]]
        {
            let mut exports = Exports::default();
            exports.private(&path, 0o700).unwrap();
            for access in order {
                exports.share(&path, access).unwrap();
            }
            exports.private(&path, 0o700).unwrap();
            assert_eq!(lines(exports), [format!("ReadWrite {}", path.display())]);
        }
    }

    #[test]
    fn r69_parents_come_first_and_granted_symlinks_stay() {
        let scratch = Scratch::new();
        let (parent, sibling) = (scratch.directory("a"), scratch.directory("a-b"));
        let child = scratch.directory("a/b");
        symlink("b", parent.join("link")).unwrap();
        let mut exports = Exports::default();
        exports.share(&parent.join("link"), Access::ReadOnly).unwrap();
        exports.share(&sibling, Access::ReadOnly).unwrap();
        exports.share(&parent, Access::ReadWrite).unwrap();
        let expected = [
            format!("ReadWrite {}", parent.display()),
            format!("ReadOnly {}", sibling.display()),
            format!("ReadOnly {}", child.display()),
        ];
        assert_eq!(lines(exports), expected);
    }

    #[test]
    fn t53_nothing_is_hidden_below_something_granted() {
        let scratch = Scratch::new();
        let home = scratch.directory("home/alice");
        let mut exports = Exports::default();
        exports.private(&home, 0o700).unwrap();
        assert_eq!(lines(exports), [format!("Tmpfs 700 {}", home.display())]);

        let mut exports = Exports::default();
        exports.private(&home, 0o700).unwrap();
        exports.share(&scratch.join("home"), Access::ReadOnly).unwrap();
        assert!(exports.covers(&home));
        assert_eq!(lines(exports), [format!("ReadOnly {}", scratch.join("home").display())]);
    }

    #[test]
    fn links_that_the_runtime_shows_are_not_made_again() {
        let scratch = Scratch::new();
        let target = scratch.directory("target");
        let opt = scratch.directory("opt");
        symlink("../target", opt.join("link")).unwrap();
        let mut exports = Exports::over([opt.as_path()]);
        exports.share(&opt.join("link"), Access::ReadOnly).unwrap();
        assert_eq!(lines(exports), [format!("ReadOnly {}", target.display())]);
    }

    #[test]
    fn r70_create_makes_directories_and_shares_files() {
        let scratch = Scratch::new();
        let path = scratch.join("new/deep");
        let mut exports = Exports::default();
        exports.share(&path, Access::Create).unwrap();
        exports.share(&scratch.file("file", ""), Access::Create).unwrap();
        assert!(path.is_dir());
    }

    #[test]
    fn a_missing_path_says_what_to_do() {
        let scratch = Scratch::new();
        let error = Exports::default().share(&scratch.join("none"), Access::ReadOnly).unwrap_err();
        assert!(error.to_string().contains(":create"), "{error}");
    }

    proptest! {
        /// The first name decides nothing that the whole path would not.
        #[test]
        fn r66_reserved_places_are_told_by_whole_names(
            names in prop::collection::vec(
                "(/|//|/\\./)(usr|us|usrx|bin|lib|lib64|run|host|hos|stockade|dev|\\.\\.|a)",
                0..4,
            )
        ) {
            let text = if names.is_empty() { String::from("/") } else { names.concat() };
            let path = Path::new(&text);
            let inside = RESERVED.iter().chain(&RESERVED_INSIDE).any(|it| path.starts_with(it));
            let above = RESERVED.iter().any(|place| Path::new(place).starts_with(path));
            prop_assert_eq!(is_reserved(path), inside || above, "{}", text);
        }

        /// Whatever is collected in whatever order, a mount is never made above an earlier one.
        #[test]
        fn r69_order_is_independent_of_the_order_of_options(
            paths in prop::collection::vec("(/[a-c][-a]?){1,4}", 1..12)
        ) {
            let collect = |paths: &[String]| {
                let mut exports = Exports::default();
                for path in paths {
                    let object = crate::sandbox::open_path(Path::new("/")).unwrap();
                    exports
                        .show(object, Path::new("/"), path.into(), Access::ReadOnly)
                        .unwrap();
                }
                lines(exports)
            };
            let forward = collect(&paths);
            let backward: Vec<_> = paths.iter().rev().cloned().collect();
            prop_assert_eq!(&forward, &collect(&backward));
            for (index, later) in forward.iter().enumerate() {
                let prefix = format!("{later}/");
                prop_assert!(!forward[..index].iter().any(|earlier| earlier.starts_with(&prefix)));
            }
        }
    }
}

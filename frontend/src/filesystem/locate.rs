// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the object behind a host path, opening it once and noting the symlinks on the way.
//!
//! Every step is taken relative to a descriptor and without following a link by accident, so what
//! is bound later is what was looked at (R67, R73). Nothing is mounted or waited for on the way,
//! except by the kernel for automounts above the last component.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::object;

/// Most symlinks on the way to an object, as in the kernel (R67).
const LINKS: usize = 40;

/// How objects are opened for binding.
const OPEN: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// An object of the host.
#[derive(Debug)]
pub struct Located {
    /// Its path without symlinks.
    pub path: PathBuf,
    /// The object, opened with `O_PATH`, unless it does not exist.
    pub object: Option<OwnedFd>,
    /// The symlinks that led there, outermost first.
    pub links: Vec<Link>,
    /// If it does not exist: the last directory on the way that does, and the names that are missing
    /// in it.
    missing: Option<(OwnedFd, PathBuf)>,
}

impl Located {
    /// Makes what does not exist a directory, with its parents (R70). They are made in the directory
    /// that was come to, wherever its path leads by now.
    ///
    /// # Errors
    /// The errno of the step that failed.
    pub fn make(&mut self, mode: u32) -> Result<(), Errno> {
        if let Some((directory, names)) = &self.missing {
            self.object = Some(descend(directory, names, mode)?);
            self.missing = None;
        }
        Ok(())
    }
}

/// A symlink of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it is; a path without symlinks.
    pub path: PathBuf,
    /// A relative target that leads to the same place.
    pub target: PathBuf,
    /// The user id of whoever made it.
    pub owner: u32,
}

/// Why an object could not be looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocateError {
    /// More than 40 symlinks.
    #[error("it leads through too many symlinks")]
    Loop,
    /// The kernel refused a step.
    #[error("{errno}")]
    Open {
        /// Why.
        errno: Errno,
    },
}

/// Locates `path`, which is absolute and has no `..`.
///
/// # Errors
/// [`LocateError`]; that there is no such object is none.
pub fn locate(path: &Path) -> Result<Located, LocateError> {
    // Nearly every path has no symlink; the kernel finds that out in one call.
    let resolve = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);
    if let Ok(object) = rustix::fs::openat2(CWD, path, OPEN, Mode::empty(), resolve) {
        let (path, links) = (path.to_owned(), Vec::new());
        return Ok(Located { path, object: Some(object), links, missing: None });
    }
    walk(path)
}

/// Follows `path` component by component.
///
/// `..` goes back to the directory that was come from. Somebody may have moved the one it is said
/// in, and its parent would then be another than the path of the result says.
fn walk(path: &Path) -> Result<Located, LocateError> {
    let root = step(CWD, OsStr::new("/"), OFlags::empty())?;
    let mut here = PathBuf::from("/");
    // The objects behind the components of `here`.
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut rest: VecDeque<OsString> = names(path).collect();
    let mut links = Vec::new();

    while let Some(name) = rest.pop_front() {
        if name == ".." {
            // Only in the target of a symlink.
            passed.pop();
            here.pop();
            continue;
        }
        let directory = passed.last().unwrap_or(&root);
        let next = here.join(&name);
        // R67: these two are places rather than names, wherever they lead.
        let follow = next == Path::new("/tmp") || next == Path::new("/var/tmp");
        let flags = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let object = match step(directory, &name, flags) {
            Ok(object) => object,
            Err(LocateError::Open { errno: Errno::NOENT }) => {
                let names: PathBuf = [name].into_iter().chain(rest).collect();
                let path = here.join(&names);
                let missing = Some((passed.pop().unwrap_or(root), names));
                return Ok(Located { path, object: None, links, missing });
            }
            Err(error) => return Err(error),
        };
        let symlink = !follow
            && object::kind(&object).map_err(|errno| LocateError::Open { errno })?
                == FileType::Symlink;
        if symlink {
            if links.len() >= LINKS {
                return Err(LocateError::Loop);
            }
            let target = rustix::fs::readlinkat(&object, c"", Vec::new())
                .map_err(|errno| LocateError::Open { errno })?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                rest.push_front(name);
            }
            let found = rustix::fs::fstat(&object).map_err(|errno| LocateError::Open { errno })?;
            let target_here = relative(&target, &here);
            links.push(Link { path: next, target: target_here, owner: found.st_uid });
            if target.is_absolute() {
                here = PathBuf::from("/");
                passed.clear();
            }
        } else {
            here = next;
            passed.push(object);
        }
    }
    Ok(Located { path: here, object: Some(passed.pop().unwrap_or(root)), links, missing: None })
}

fn step(directory: impl AsFd, name: &OsStr, flags: OFlags) -> Result<OwnedFd, LocateError> {
    rustix::fs::openat(directory, name, OPEN | flags, Mode::empty())
        .map_err(|errno| LocateError::Open { errno })
}

/// The components of a path that name something.
fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// `target` as a symlink in `directory` can say it without naming the root.
fn relative(target: &Path, directory: &Path) -> PathBuf {
    let Ok(below) = target.strip_prefix("/") else {
        return target.to_owned();
    };
    let up = names(directory).map(|_| OsString::from(".."));
    let path: PathBuf = up.chain([below.as_os_str().to_owned()]).collect();
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
}

/// Goes from `directory` down `path`, which is relative, through real directories only, making
/// missing ones with these permission bits. Whoever can write below `directory` can make this fail
/// but not lead it elsewhere (T68).
///
/// # Errors
/// The errno of the step that failed: `ENOTDIR` or `ELOOP` at a symlink.
pub fn descend(directory: impl AsFd, path: &Path, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = OPEN.union(OFlags::NOFOLLOW).union(OFlags::DIRECTORY);
    let mut here = rustix::io::fcntl_dupfd_cloexec(directory, 0)?;
    for component in path.components() {
        let Component::Normal(name) = component else {
            return Err(Errno::INVAL);
        };
        here = match rustix::fs::openat(&here, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                match rustix::fs::mkdirat(&here, name, Mode::from_raw_mode(mode)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
                rustix::fs::openat(&here, name, flags, Mode::empty())?
            }
            other => other?,
        };
    }
    Ok(here)
}

/// `path` without `.`, empty components and a slash at the end; the slashes at the start as one.
/// `..` stays.
#[must_use]
pub fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::with_capacity(path.as_os_str().len());
    tidy.extend(path.components().filter(|component| *component != Component::CurDir));
    tidy
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory that goes away with the value. Its path has no symlink.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("stockade-test-{}-{number}", std::process::id());
            let path = fs::canonicalize(std::env::temp_dir()).unwrap().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        pub(crate) fn join(&self, path: &str) -> PathBuf {
            self.0.join(path)
        }

        pub(crate) fn directory(&self, path: &str) -> PathBuf {
            fs::create_dir_all(self.join(path)).unwrap();
            self.join(path)
        }

        pub(crate) fn file(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
            fs::create_dir_all(self.join(path).parent().unwrap()).unwrap();
            fs::write(self.join(path), content).unwrap();
            self.join(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn r67_symlinks_on_the_way_are_noted_and_followed() {
        let scratch = Scratch::new();
        scratch.directory("real/deep");
        symlink("real", scratch.join("relative")).unwrap();
        symlink(scratch.join("relative/deep"), scratch.join("absolute")).unwrap();
        let located = locate(&scratch.join("absolute")).unwrap();
        assert_eq!(located.path, scratch.join("real/deep"));
        assert!(located.object.is_some());
        let paths: Vec<_> = located.links.iter().map(|link| &link.path).collect();
        assert_eq!(paths, [&scratch.join("absolute"), &scratch.join("relative")]);
        assert!(located.links[0].target.is_relative());
        // The recreated link leads to the same place.
        let joined = scratch.0.join(&located.links[0].target);
        assert_eq!(fs::canonicalize(joined).unwrap(), scratch.join("real/deep"));
        assert_eq!(located.links[1].target, Path::new("real"));
    }

    #[test]
    fn r67_targets_may_go_upwards() {
        let scratch = Scratch::new();
        scratch.directory("a/b");
        scratch.directory("c");
        symlink("../../c", scratch.join("a/b/up")).unwrap();
        assert_eq!(locate(&scratch.join("a/b/up")).unwrap().path, scratch.join("c"));
    }

    #[test]
    fn r67_loops_end_after_forty_links() {
        let scratch = Scratch::new();
        symlink("b", scratch.join("a")).unwrap();
        symlink("a", scratch.join("b")).unwrap();
        assert_eq!(locate(&scratch.join("a")).unwrap_err(), LocateError::Loop);
    }

    #[test]
    fn missing_objects_have_the_path_they_would_have() {
        let scratch = Scratch::new();
        scratch.directory("real");
        symlink("real", scratch.join("link")).unwrap();
        let located = locate(&scratch.join("link/x/y")).unwrap();
        assert_eq!(located.path, scratch.join("real/x/y"));
        assert!(located.object.is_none());
    }

    #[test]
    fn r70_what_is_missing_is_made_where_the_way_led() {
        let scratch = Scratch::new();
        scratch.directory("real");
        symlink("real", scratch.join("link")).unwrap();
        let mut located = locate(&scratch.join("link/x/y")).unwrap();
        // What is done to the path meanwhile changes nothing.
        fs::rename(scratch.join("real"), scratch.join("moved")).unwrap();
        symlink("elsewhere", scratch.join("real")).unwrap();
        located.make(0o755).unwrap();
        assert!(located.object.is_some());
        assert!(scratch.join("moved/x/y").is_dir());
        assert!(!scratch.join("elsewhere").exists());
    }

    #[test]
    fn a_file_is_no_directory_on_the_way() {
        let scratch = Scratch::new();
        scratch.file("file", "");
        let error = locate(&scratch.join("file/x")).unwrap_err();
        assert_eq!(error, LocateError::Open { errno: Errno::NOTDIR });
    }

    #[test]
    fn t68_descending_stops_at_symlinks() {
        let scratch = Scratch::new();
        scratch.directory("outside");
        let home = scratch.directory("home");
        symlink("../outside", home.join("link")).unwrap();
        let open = || step(CWD, home.as_os_str(), OFlags::empty()).unwrap();
        assert!(descend(open(), Path::new("link"), 0o755).is_err());
        assert!(descend(open(), Path::new("link/x"), 0o755).is_err());
        assert!(descend(open(), Path::new("../outside"), 0o755).is_err());
        assert!(!scratch.join("outside/x").exists());
        descend(open(), Path::new("a/b"), 0o755).unwrap();
        assert!(home.join("a/b").is_dir());
    }

    #[test]
    fn links_to_the_root_stay_links() {
        assert_eq!(relative(Path::new("/"), Path::new("/a/b")), Path::new("../.."));
        assert_eq!(relative(Path::new("/"), Path::new("/")), Path::new("."));
        assert_eq!(relative(Path::new("/x"), Path::new("/a/b")), Path::new("../../x"));
        assert_eq!(tidy(Path::new("//a/./b//c/")), Path::new("/a/b/c"));
        assert_eq!(tidy(Path::new("/")), Path::new("/"));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies of the host's network files and time zone in a directory that sandboxes show (R255).
//!
//! A sandbox shows the directory and not its files, so a file that takes the place of another is seen
//! there. Nothing in the directory is believed or followed: each file is made anew and renamed.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::caller::Caller;
use crate::flatpak::instance::file;
use crate::flatpak::layout::{Session, zone};
use crate::message::{self, shown};

/// Files of `/etc` that are copied under their names.
const FILES: [&str; 5] = ["resolv.conf", "host.conf", "hosts", "gai.conf", "localtime"];

/// The name of the time zone, with a newline.
const ZONE: &str = "timezone";

/// What that is taken from, of `/etc`.
const ZONE_FILES: [&str; 2] = ["localtime", "timezone"];

/// What a file is called before it is complete.
const UNFINISHED: &str = ".unfinished";

/// The largest file that is copied, in bytes: lists of hosts that are not to be reached have some.
const MOST: u64 = 64 << 20;

/// The directory of the copies.
#[derive(Debug)]
pub struct Copies {
    directory: OwnedFd,
    path: PathBuf,
    root: PathBuf,
    zones: Option<PathBuf>,
    /// What was written; nothing for what is not there.
    written: BTreeMap<&'static str, Option<Vec<u8>>>,
}

/// Why there is no place for copies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopiesError {
    /// The directory cannot be made.
    #[error(
        "cannot keep copies of the host's network files in {}\n{errno}\n\
         set XDG_RUNTIME_DIR to a directory of yours; nothing on the way below it may be a symlink",
        shown(path)
    )]
    Directory {
        /// Where it would be.
        path: PathBuf,
        /// Why not.
        errno: Errno,
    },
}

impl Copies {
    /// Makes the directory for copies of files below `root`, or takes the one that is there: sandboxes
    /// may still show it.
    ///
    /// # Errors
    /// [`CopiesError`].
    pub fn create(caller: &Caller, root: &Path) -> Result<Self, CopiesError> {
        let path = super::directory(caller);
        let failed = |errno| CopiesError::Directory { path: path.clone(), errno };
        let [above, name] = Session::PLACE;
        let runtime = file::open_directory_at(&caller.runtime_directory()).map_err(failed)?;
        let above = file::make_directory(&runtime, above, 0o700).map_err(failed)?;
        let directory = file::make_directory(&above, name, 0o755).map_err(failed)?;
        let zones = caller.path_variable("TZDIR").map(Path::to_owned);
        Ok(Self { directory, path, root: root.to_owned(), zones, written: BTreeMap::new() })
    }

    /// The files that decide what the copies hold.
    #[must_use]
    pub fn sources(&self) -> Vec<PathBuf> {
        let mut names: Vec<_> = FILES.iter().chain(&ZONE_FILES).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| self.source(name)).collect()
    }

    fn source(&self, name: &str) -> PathBuf {
        self.root.join("etc").join(name)
    }

    /// Makes all copies what the host's files are now.
    pub fn refresh(&mut self) {
        for name in FILES {
            let content = read(&self.source(name));
            self.put(name, content);
        }
        let zone = zone::current(&self.root, self.zones.as_deref());
        self.put(ZONE, Some(format!("{zone}\n").into_bytes()));
    }

    fn put(&mut self, name: &'static str, content: Option<Vec<u8>>) {
        if self.written.get(name) == Some(&content) {
            return;
        }
        let done = match &content {
            Some(bytes) => self.replace(name, bytes),
            None => self.remove(name),
        };
        match done {
            Ok(()) => {
                self.written.insert(name, content);
            }
            // Tried again at the next change.
            Err(errno) => message::error(&format!(
                "cannot update {}\n{errno}\nsee whether there is room in your runtime directory",
                shown(&self.path.join(name))
            )),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Errno> {
        // One that was killed has left it.
        self.remove(UNFINISHED)?;
        file::create(&self.directory, UNFINISHED, 0o644, bytes)?;
        rustix::fs::renameat(&self.directory, UNFINISHED, &self.directory, name)
    }

    fn remove(&self, name: &str) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }
}

/// What a file of the host holds. Nothing if it is not there, or is nothing to copy.
fn read(path: &Path) -> Option<Vec<u8>> {
    // Opening a FIFO does not wait.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file).ok()?.st_mode);
    if kind != FileType::RegularFile {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::from(file).take(MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    fn copies(scratch: &Scratch) -> Copies {
        let runtime = scratch.directory("run");
        let caller = caller(&scratch.0, &[("XDG_RUNTIME_DIR", runtime.to_str().unwrap())]);
        Copies::create(&caller, &scratch.directory("host")).unwrap()
    }

    fn copy(scratch: &Scratch, name: &str) -> Option<String> {
        let path = scratch.join("run/.flatpak-helper/monitor").join(name);
        assert!(!path.is_symlink(), "{name}");
        std::fs::read_to_string(path).ok()
    }

    #[test]
    fn r255_copies_are_what_the_files_are() {
        let scratch = Scratch::new();
        scratch.file("host/run/resolv.conf", "nameserver 192.0.2.1\n");
        scratch.file("host/etc/hosts", "127.0.0.1 localhost\n");
        scratch.file("host/usr/share/zoneinfo/Europe/Paris", "TZif");
        symlink("../run/resolv.conf", scratch.join("host/etc/resolv.conf")).unwrap();
        let zone = "../usr/share/zoneinfo/Europe/Paris";
        symlink(zone, scratch.join("host/etc/localtime")).unwrap();
        scratch.directory("host/etc/gai.conf");
        let mut copies = copies(&scratch);
        copies.refresh();
        assert_eq!(copy(&scratch, "resolv.conf").as_deref(), Some("nameserver 192.0.2.1\n"));
        assert_eq!(copy(&scratch, "hosts").as_deref(), Some("127.0.0.1 localhost\n"));
        assert_eq!(copy(&scratch, "localtime").as_deref(), Some("TZif"));
        assert_eq!(copy(&scratch, "timezone").as_deref(), Some("Europe/Paris\n"));
        assert_eq!((copy(&scratch, "gai.conf"), copy(&scratch, "host.conf")), (None, None));

        scratch.file("host/run/resolv.conf", "");
        std::fs::remove_file(scratch.join("host/etc/hosts")).unwrap();
        std::fs::remove_file(scratch.join("host/etc/localtime")).unwrap();
        scratch.file("host/etc/timezone", "Asia/Tokyo\n");
        copies.refresh();
        assert_eq!(copy(&scratch, "resolv.conf").as_deref(), Some(""));
        assert_eq!((copy(&scratch, "hosts"), copy(&scratch, "localtime")), (None, None));
        assert_eq!(copy(&scratch, "timezone").as_deref(), Some("Asia/Tokyo\n"));
    }

    #[test]
    fn r255_copies_are_replaced_and_left_alone_if_nothing_changed() {
        let scratch = Scratch::new();
        scratch.file("host/etc/hosts", "one");
        let mut copies = copies(&scratch);
        copies.refresh();
        let path = scratch.join("run/.flatpak-helper/monitor/hosts");
        let open = std::fs::File::open(&path).unwrap();
        let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
        let first = inode(&path);
        copies.refresh();
        assert_eq!(inode(&path), first);
        scratch.file("host/etc/hosts", "two");
        copies.refresh();
        assert_ne!(inode(&path), first);
        // Whoever reads the old one reads it to its end.
        assert_eq!(std::io::read_to_string(open).unwrap(), "one");
        // A sandbox shows the directory that the next service finds.
        let directory = inode(path.parent().unwrap());
        drop(copies);
        super::tests::copies(&scratch).refresh();
        assert_eq!(inode(path.parent().unwrap()), directory);
    }

    #[test]
    fn r255_links_in_the_directory_are_not_followed() {
        let scratch = Scratch::new();
        scratch.file("host/etc/hosts", "of the host");
        let secret = scratch.file("secret", "secret");
        let monitor = scratch.directory("run/.flatpak-helper/monitor");
        for name in ["hosts", UNFINISHED, "gai.conf"] {
            symlink(&secret, monitor.join(name)).unwrap();
        }
        copies(&scratch).refresh();
        assert_eq!(copy(&scratch, "hosts").as_deref(), Some("of the host"));
        assert_eq!(copy(&scratch, "gai.conf"), None);
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");

        std::fs::remove_dir_all(&monitor).unwrap();
        symlink(scratch.directory("elsewhere"), &monitor).unwrap();
        let runtime = scratch.join("run");
        let caller = caller(&scratch.0, &[("XDG_RUNTIME_DIR", runtime.to_str().unwrap())]);
        let error = Copies::create(&caller, &scratch.0).unwrap_err().to_string();
        assert!(error.starts_with("cannot keep copies") && error.lines().count() == 3, "{error}");
    }
}

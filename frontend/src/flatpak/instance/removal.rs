// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removes what sandboxes have left.
//!
//! It was made by applications, so it may be of any shape (T68, CVE-2026-34079): no symlink is
//! followed, and a tree is flattened while it is removed, so that its depth costs neither stack nor
//! descriptors.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Names that are read at once.
const BATCH: usize = 1024;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes `name` with everything below it. That there is none is fine.
///
/// # Errors
/// The errno of the first thing that cannot be removed.
pub(super) fn remove(parent: impl AsFd, name: &str) -> Result<(), Errno> {
    let parent = parent.as_fd();
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    let directory = open(parent, &name)?;
    empty(&directory)?;
    rustix::fs::unlinkat(parent, &name, AtFlags::REMOVEDIR)
}

/// Removes everything in `directory`, which is open for reading.
///
/// # Errors
/// The errno of the first thing that cannot be removed.
pub(super) fn empty(directory: &OwnedFd) -> Result<(), Errno> {
    let mut moved = 0;
    loop {
        let names = names(directory)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if !unlink(directory, &name)? {
                let below = open(directory, &name)?;
                flatten(&below, directory, &mut moved)?;
                rustix::fs::unlinkat(directory, &name, AtFlags::REMOVEDIR)?;
            }
        }
    }
}

/// Removes what is in `from` but for its directories, which become entries of `top`.
fn flatten(from: &OwnedFd, top: &OwnedFd, moved: &mut u64) -> Result<(), Errno> {
    loop {
        let names = names(from)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if !unlink(from, &name)? {
                // To be moved, a directory has to be writable itself.
                open(from, &name)?;
                lift(from, &name, top, moved)?;
            }
        }
    }
}

/// Moves a directory to a name that is free at the top.
fn lift(from: &OwnedFd, name: &CString, top: &OwnedFd, moved: &mut u64) -> Result<(), Errno> {
    loop {
        *moved = moved.saturating_add(1);
        let free = format!(".removed-{moved}");
        match rustix::fs::renameat_with(from, name, top, free, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            done => return done,
        }
    }
}

/// Removes what is no directory; tells whether it was none.
fn unlink(directory: &OwnedFd, name: &CString) -> Result<bool, Errno> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        // POSIX says EPERM where Linux says EISDIR, and some file systems follow it.
        Err(Errno::ISDIR | Errno::PERM) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Opens a directory and makes it one that its owner can read and write.
fn open(parent: impl AsFd, name: &CString) -> Result<OwnedFd, Errno> {
    let found = rustix::fs::openat(parent, name, DIRECTORY | OFlags::PATH, Mode::empty())?;
    rustix::fs::chmod(format!("/proc/self/fd/{}", found.as_raw_fd()), Mode::RWXU)?;
    rustix::fs::openat(&found, c".", DIRECTORY | OFlags::RDONLY, Mode::empty())
}

/// Some names of what is in a directory; none if it is empty.
fn names(directory: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() >= BATCH {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::file::{open_directory, open_directory_at};
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn top(scratch: &Scratch) -> OwnedFd {
        open_directory_at(&scratch.0).unwrap()
    }

    #[test]
    fn t68_symlinks_are_removed_and_not_followed() {
        let scratch = Scratch::new();
        scratch.file("outside/kept", "");
        scratch.directory("tmp/below");
        symlink("../outside", scratch.join("tmp/link")).unwrap();
        symlink("../../outside", scratch.join("tmp/below/link")).unwrap();
        symlink("outside", scratch.join("link")).unwrap();
        remove(top(&scratch), "tmp").unwrap();
        remove(top(&scratch), "link").unwrap();
        remove(top(&scratch), "nothing").unwrap();
        let left: Vec<_> = fs::read_dir(&scratch.0).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [scratch.join("outside")]);
        assert!(scratch.join("outside/kept").exists());
    }

    #[test]
    fn directories_that_nobody_may_enter_go_as_well() {
        let scratch = Scratch::new();
        scratch.file("tmp/a/b/c", "");
        scratch.file("tmp/.removed-1", "");
        for path in ["tmp/a/b", "tmp/a", "tmp"] {
            fs::set_permissions(scratch.join(path), fs::Permissions::from_mode(0o000)).unwrap();
        }
        remove(top(&scratch), "tmp").unwrap();
        assert!(!scratch.join("tmp").exists());
    }

    #[test]
    fn depth_costs_nothing() {
        let scratch = Scratch::new();
        scratch.directory("tmp");
        let mut here = open_directory(top(&scratch), "tmp").unwrap();
        // Deeper than a process may have descriptors, by default.
        for _ in 0..3000 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            here = open_directory(&here, "d").unwrap();
        }
        rustix::fs::mkdirat(&here, ".removed-2", Mode::RWXU).unwrap();
        drop(here);
        remove(top(&scratch), "tmp").unwrap();
        assert!(!scratch.join("tmp").exists());
    }

    #[test]
    fn more_than_one_batch_of_names() {
        let scratch = Scratch::new();
        for number in 0..=BATCH {
            scratch.file(&format!("tmp/{number}"), "");
        }
        remove(top(&scratch), "tmp").unwrap();
        assert!(!scratch.join("tmp").exists());
    }
}

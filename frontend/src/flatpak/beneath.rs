// SPDX-License-Identifier: MIT OR Apache-2.0
//! What lies below a directory that somebody else filled: applications, extensions, data directories.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How often a walk is begun again that a rename elsewhere disturbed, `openat2(2)`.
const ATTEMPTS: usize = 32;

/// What is done about symlinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// They are followed where they do not lead out of the directory.
    Inside,
    /// There may be none.
    Refused,
}

/// Opens `path` below `directory`. Never outside of it (R223, T68, T69), whatever lies there.
///
/// # Errors
/// The errno of `openat2(2)`: `EXDEV` where the path leads out, `ELOOP` at a symlink.
pub fn open(
    directory: impl AsFd,
    path: &Path,
    flags: OFlags,
    links: Links,
) -> Result<OwnedFd, Errno> {
    let mut resolve = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
    let flags = flags.union(OFlags::CLOEXEC);
    if links == Links::Refused {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    let attempt = || rustix::fs::openat2(&directory, path, flags, Mode::empty(), resolve);
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use crate::sandbox::open_path;
    use std::os::unix::fs::symlink;

    #[test]
    fn t68_nothing_leads_out() {
        let scratch = Scratch::new();
        scratch.file("outside", "");
        scratch.file("d/inside", "");
        symlink("inside", scratch.join("d/near")).unwrap();
        symlink("../outside", scratch.join("d/up")).unwrap();
        symlink(scratch.join("d/inside"), scratch.join("d/absolute")).unwrap();
        let directory = open_path(&scratch.join("d")).unwrap();
        let open = |path: &str, links| {
            super::open(&directory, Path::new(path), OFlags::PATH, links).map(|_| ()).err()
        };
        assert_eq!(open("inside", Links::Refused), None);
        assert_eq!(open("near", Links::Inside), None);
        assert_eq!(open("near", Links::Refused), Some(Errno::LOOP));
        for path in ["up", "absolute", "../outside", "/etc"] {
            assert_eq!(open(path, Links::Inside), Some(Errno::XDEV), "{path}");
            assert!(open(path, Links::Refused).is_some(), "{path}");
        }
    }
}

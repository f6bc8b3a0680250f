// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cache of the dynamic linker, `/etc/ld.so.cache` of the sandbox, with the libraries of runtime,
//! application and extensions (R224-R227).
//!
//! It is kept in the application's data directory, where the application can write: nothing there is
//! found through a symlink, and what is mounted is what was looked at (GHSA-99wv-m8rp-g58x, T68).

pub mod configuration;
mod directory;
pub mod key;
mod ldconfig;
pub mod search_path;

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use stockade_protocol::request::{Access, Content, Operation};

pub use self::directory::Directory;
pub use self::ldconfig::run;
use super::beneath::{self, Links};
use crate::launch::LaunchError;
use crate::message::shown;
use crate::object;
use crate::sandbox::{Sandbox, SandboxError, place};
use crate::seccomp::SeccompError;

/// Where the dynamic linker looks for it.
const CACHE: &str = "/etc/ld.so.cache";

/// The program that makes it, in the files of a runtime.
const PROGRAM: &str = "bin/ldconfig";

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryCacheError {
    /// The place where it is kept cannot be used.
    #[error(
        "cannot keep the cache of the dynamic linker in {}\n{errno}\n\
         remove what is there if it is no directory of yours",
        shown(path)
    )]
    Directory {
        /// Where it is.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The sandbox for the program could not be described.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// There is no filter for it.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// It was not run.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// It failed.
    #[error(
        "cannot make the cache of the dynamic linker\n\
         ldconfig of the runtime ended with status {code}\n\
         if it said nothing, reinstall the runtime"
    )]
    Failed {
        /// Its status, or 128 and the signal.
        code: u8,
    },
    /// It succeeded and left no file.
    #[error(
        "cannot make the cache of the dynamic linker\n\
         ldconfig of the runtime succeeded and wrote none\n\
         reinstall the runtime"
    )]
    Nothing,
}

/// Whether a sandbox has a cache: if these files of a runtime can make one (R224). Where something
/// else stands at `/app` or `/usr` it has none.
pub fn is_possible(runtime: impl AsFd) -> bool {
    let program = beneath::open(runtime, Path::new(PROGRAM), OFlags::PATH, Links::Inside);
    program.and_then(object::kind) == Ok(FileType::RegularFile)
}

/// A cache that was looked at.
#[derive(Debug)]
pub struct Cache {
    file: OwnedFd,
    path: PathBuf,
    /// Whether the file stays where it is. What was deleted cannot be bound.
    is_kept: bool,
}

impl Cache {
    /// Shows it in a sandbox, read-only.
    ///
    /// # Errors
    /// If there are too many descriptors.
    pub fn mount(self, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        let point = Path::new(CACHE);
        if self.is_kept {
            return sandbox.bind_descriptor(self.file, &self.path, point, Access::ReadOnly);
        }
        let content = Content::Descriptor(sandbox.add_descriptor(self.file)?);
        let destination = place(point)?;
        sandbox.push(Operation::Data { destination, mode: 0o644, content, writable: false });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use crate::sandbox::open_path;
    use std::os::unix::fs::symlink;

    #[test]
    fn r224_a_cache_needs_the_runtimes_own_program() {
        let scratch = Scratch::new();
        scratch.file("has/bin/ldconfig", "");
        scratch.file("near/sbin/ldconfig", "");
        symlink("../sbin/ldconfig", scratch.directory("near/bin").join("ldconfig")).unwrap();
        scratch.directory("directory/bin/ldconfig");
        scratch.directory("none");
        symlink("/bin/sh", scratch.directory("out/bin").join("ldconfig")).unwrap();
        for (name, expected) in
            [("has", true), ("near", true), ("directory", false), ("none", false), ("out", false)]
        {
            let files = open_path(&scratch.join(name)).unwrap();
            assert_eq!(is_possible(&files), expected, "{name}");
        }
    }
}

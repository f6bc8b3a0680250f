// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lock that says that a version is in use (R8): an update deletes its files only when nobody has
//! one. It is held by pid 1 of the sandbox, on the file as it appears inside.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, OFlags};

use super::beneath::{self, Links};
use crate::object;
use crate::sandbox::{Sandbox, SandboxError, sandbox_path};

/// The file that is locked, beside what it protects.
pub const NAME: &str = ".ref";

/// Whether these files can be locked: what people put together by hand often has nothing to lock.
/// A symlink is none, since it would lead to something else inside.
pub fn is_there(files: impl AsFd) -> bool {
    let flags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
    let file = beneath::open(files, Path::new(NAME), flags, Links::Refused);
    file.and_then(object::kind) == Ok(FileType::RegularFile)
}

/// Has the files of a version locked that are mounted at `place`, as long as the sandbox runs.
///
/// # Errors
/// If the place breaks a rule.
pub fn hold(sandbox: &mut Sandbox, files: impl AsFd, place: &Path) -> Result<(), SandboxError> {
    if is_there(files) {
        let path = sandbox_path(&place.join(NAME))?;
        sandbox.request.supervision.locks.push(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use crate::sandbox::open_path;
    use std::os::unix::fs::symlink;

    #[test]
    fn r8_only_a_file_is_locked() {
        let scratch = Scratch::new();
        scratch.file("file/.ref", "");
        scratch.directory("directory/.ref");
        scratch.directory("nothing");
        symlink("../file/.ref", scratch.directory("link").join(".ref")).unwrap();
        let mut sandbox = Sandbox::new();
        for name in ["file", "directory", "nothing", "link"] {
            let files = open_path(&scratch.join(name)).unwrap();
            hold(&mut sandbox, &files, Path::new("/app")).unwrap();
        }
        let locks = sandbox.request.supervision.locks;
        assert_eq!(locks, [sandbox_path(Path::new("/app/.ref")).unwrap()]);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extensions that nobody deployed: directories, or symlinks to some, that people and distributions
//! put into `extension/NAME/ARCH/BRANCH` of an installation (R4, R216).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::flatpak::installation::Installation;
use crate::flatpak::reference::{Arch, Branch, Id};

/// Such a directory, opened once.
#[derive(Debug)]
pub struct Unmaintained {
    /// Where it is on the host, for messages.
    pub path: PathBuf,
    /// The directory, `O_PATH`. There is no `files` in it: it is what is mounted.
    pub directory: OwnedFd,
}

/// The first one of this name in these installations. It may be a symlink to anywhere: whoever may
/// write there is who installs applications.
#[must_use]
pub fn find(
    installations: &[&Installation],
    id: &Id,
    arch: &Arch,
    branch: &Branch,
) -> Option<Unmaintained> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    installations.iter().find_map(|installation| {
        let path = below(installation).join(id.as_str()).join(arch.as_str()).join(branch.as_str());
        let directory = rustix::fs::openat(CWD, &path, flags, Mode::empty()).ok()?;
        Some(Unmaintained { path, directory })
    })
}

/// The names that begin with `prefix`, each once and in order, for which [`find`] may find one.
#[must_use]
pub fn names(installations: &[&Installation], prefix: &str) -> Vec<Id> {
    let mut names = Vec::new();
    for installation in installations {
        let Ok(entries) = std::fs::read_dir(below(installation)) else { continue };
        let ids = entries.flatten().filter_map(|entry| Id::new(entry.file_name()).ok());
        names.extend(ids.filter(|id| id.as_str().starts_with(prefix)));
    }
    names.sort();
    names.dedup();
    names
}

fn below(installation: &Installation) -> PathBuf {
    installation.path.join(Path::new("extension"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use crate::flatpak::installation::Owner;
    use std::os::unix::fs::symlink;

    #[test]
    fn r4_directories_and_symlinks_to_some_are_extensions() {
        let scratch = Scratch::new();
        let installations: Vec<_> = ["user", "system", "none"]
            .iter()
            .map(|name| Installation {
                owner: Owner::System((*name).to_owned()),
                path: scratch.join(name),
                display_name: None,
            })
            .collect();
        let found: Vec<_> = installations.iter().collect();
        scratch.directory("system/extension/a.b.C/x/1");
        scratch.directory("system/extension/a.b.C.d/x/1");
        scratch.directory("user/extension/a.b.C.e/x");
        scratch.directory("user/extension/a.b.C.d/x");
        scratch.directory("user/extension/a.b.Cd/x/1");
        scratch.directory("user/extension/not an id/x/1");
        symlink(scratch.directory("real"), scratch.join("user/extension/a.b.C.e/x/1")).unwrap();
        scratch.file("user/extension/a.b.C/x/1", "no directory");

        let arch = Arch::new("x").unwrap();
        let find = |id: &str, branch: &str| {
            let (id, branch) = (Id::new(id).unwrap(), Branch::new(branch).unwrap());
            find(&found, &id, &arch, &branch).map(|found| found.path)
        };
        assert_eq!(find("a.b.C", "1"), Some(scratch.join("system/extension/a.b.C/x/1")));
        assert_eq!(find("a.b.C.e", "1"), Some(scratch.join("user/extension/a.b.C.e/x/1")));
        assert_eq!(find("a.b.C", "2"), None);
        let names: Vec<_> = names(&found, "a.b.C.").iter().map(Id::to_string).collect();
        assert_eq!(names, ["a.b.C.d", "a.b.C.e"]);
    }
}

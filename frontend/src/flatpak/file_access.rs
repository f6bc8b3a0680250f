// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an application can get at a file of the host, by what was granted to it (R72, R243).
//!
//! An answer for people and portals, not a decision about access: files may change before somebody
//! acts on it.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::filesystem::export::{Exports, Seen};
use crate::filesystem::token::Access;

/// Most symlinks on the way to a file, as in the kernel.
const LINKS: usize = 40;

/// What an application can do with a file of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileAccess {
    /// It does not see it.
    Hidden,
    /// It can read it.
    ReadOnly,
    /// It can read and write it.
    ReadWrite,
}

/// As `flatpak info --file-access` prints it (R243).
impl fmt::Display for FileAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "hidden",
            Self::ReadOnly => "read-only",
            Self::ReadWrite => "read-write",
        })
    }
}

/// What an application sees of the host's files.
#[derive(Clone, Debug, Default)]
pub struct Visible(BTreeMap<PathBuf, Seen>);

impl Visible {
    /// What these exports let it see.
    #[must_use]
    pub fn through(exports: &Exports) -> Self {
        Self(exports.seen().map(|(path, seen)| (path.to_owned(), seen)).collect())
    }

    /// Every path of which something is said, parents first.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Seen)> {
        self.0.iter().map(|(path, seen)| (path.as_path(), *seen))
    }

    /// What may be done at a path without symlinks.
    #[must_use]
    pub fn at(&self, path: &Path) -> FileAccess {
        let mut above = path.ancestors();
        let seen = above.find_map(|above| match self.0.get(above)? {
            Seen::Granted(Access::ReadOnly) => Some(FileAccess::ReadOnly),
            Seen::Granted(Access::ReadWrite | Access::Create) => Some(FileAccess::ReadWrite),
            Seen::Hidden => Some(FileAccess::Hidden),
            // It says something of its own path alone.
            Seen::Link => None,
        });
        seen.unwrap_or(FileAccess::Hidden)
    }

    /// What may be done with the file at the absolute path `path`, as the application would come to
    /// it: symlinks lead on where it sees them. A file that is missing in a directory that can be
    /// written to can be made.
    #[must_use]
    pub fn access(&self, path: &Path) -> FileAccess {
        let mut here = PathBuf::from("/");
        let mut rest: VecDeque<OsString> = names(path).collect();
        let mut links = 0_usize;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                here.pop();
                continue;
            }
            here.push(name);
            let access = self.at(&here);
            let link = self.0.get(&here) == Some(&Seen::Link);
            if access == FileAccess::Hidden && !link {
                // Directories that only lead to something granted are there, too.
                continue;
            }
            match std::fs::symlink_metadata(&here) {
                Ok(found) if found.is_symlink() => {}
                Ok(_) => continue,
                Err(reason) => {
                    let can_be_made = reason.kind() == ErrorKind::NotFound
                        && rest.is_empty()
                        && access == FileAccess::ReadWrite;
                    return if can_be_made { access } else { FileAccess::Hidden };
                }
            }
            links = links.saturating_add(1);
            let Some(target) = std::fs::read_link(&here).ok().filter(|_| links <= LINKS) else {
                return FileAccess::Hidden;
            };
            for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                rest.push_front(name);
            }
            if target.is_absolute() {
                here = PathBuf::from("/");
            } else {
                here.pop();
            }
        }
        self.at(&here)
    }
}

/// The components of a path that name something.
fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;

    fn visible(entries: &[(PathBuf, Seen)]) -> Visible {
        Visible(entries.iter().cloned().collect())
    }

    #[test]
    fn r72_what_was_granted_is_seen_and_what_is_hidden_is_not() {
        let scratch = Scratch::new();
        let home = scratch.directory("home");
        scratch.file("home/.var/app/other/x", "");
        scratch.file("home/.var/app/own/x", "");
        scratch.file("home/read/x", "");
        let visible = visible(&[
            (home.clone(), Seen::Granted(Access::ReadWrite)),
            (home.join("read"), Seen::Granted(Access::ReadOnly)),
            (home.join(".var/app"), Seen::Hidden),
            (home.join(".var/app/own"), Seen::Granted(Access::Create)),
        ]);
        let access = |path: &str| visible.access(&scratch.join(path)).to_string();
        assert_eq!(access("home"), "read-write");
        assert_eq!(access("home/read/x"), "read-only");
        assert_eq!(access("home/.var/app"), "hidden");
        assert_eq!(access("home/.var/app/other/x"), "hidden");
        assert_eq!(access("home/.var/app/own/x"), "read-write");
        assert_eq!(access("home/.var/app/own/../other/x"), "hidden");
        assert_eq!(access("elsewhere"), "hidden");
        assert_eq!(access(""), "hidden");
        assert_eq!(visible.access(Path::new("/")), FileAccess::Hidden);
    }

    #[test]
    fn r72_a_missing_file_can_be_made_where_writing_is_granted() {
        let scratch = Scratch::new();
        let visible = visible(&[
            (scratch.directory("write"), Seen::Granted(Access::ReadWrite)),
            (scratch.directory("read"), Seen::Granted(Access::ReadOnly)),
        ]);
        let access = |path: &str| visible.access(&scratch.join(path));
        assert_eq!(access("write/new"), FileAccess::ReadWrite);
        assert_eq!(access("write/new/deeper"), FileAccess::Hidden);
        assert_eq!(access("read/new"), FileAccess::Hidden);
    }

    #[test]
    fn r72_symlinks_are_followed_where_they_are_seen() {
        let scratch = Scratch::new();
        let (shared, private) = (scratch.directory("shared"), scratch.directory("private"));
        scratch.file("shared/file", "");
        scratch.file("private/file", "");
        symlink("../private/file", shared.join("out")).unwrap();
        symlink(shared.join("file"), shared.join("in")).unwrap();
        symlink("../shared/file", private.join("into")).unwrap();
        symlink("shared", scratch.join("link")).unwrap();
        symlink("loop", shared.join("loop")).unwrap();
        let visible = visible(&[
            (shared, Seen::Granted(Access::ReadOnly)),
            (scratch.join("link"), Seen::Link),
        ]);
        let access = |path: &str| visible.access(&scratch.join(path));
        assert_eq!(access("shared/in"), FileAccess::ReadOnly);
        assert_eq!(access("shared/out"), FileAccess::Hidden);
        assert_eq!(access("shared/loop"), FileAccess::Hidden);
        assert_eq!(access("link/file"), FileAccess::ReadOnly);
        assert_eq!(access("private/into"), FileAccess::Hidden);
    }

    proptest! {
        /// Where nothing is a symlink, the nearest entry at or above a path decides.
        #[test]
        fn r72_the_nearest_entry_decides(
            entries in prop::collection::btree_map(
                "(/[ab]){1,4}",
                prop::sample::select(vec![
                    Seen::Granted(Access::ReadOnly),
                    Seen::Granted(Access::ReadWrite),
                    Seen::Hidden,
                    Seen::Link,
                ]),
                0..8,
            ),
            path in "(/[ab]){1,5}",
        ) {
            let expected = (1..=path.len())
                .filter_map(|length| entries.get(path.get(..length)?))
                .rfind(|seen| **seen != Seen::Link);
            let expected = match expected {
                Some(Seen::Granted(Access::ReadOnly)) => FileAccess::ReadOnly,
                Some(Seen::Granted(_)) => FileAccess::ReadWrite,
                Some(Seen::Hidden | Seen::Link) | None => FileAccess::Hidden,
            };
            let visible =
                Visible(entries.into_iter().map(|(path, seen)| (path.into(), seen)).collect());
            prop_assert_eq!(visible.at(Path::new(&path)), expected);
        }
    }
}

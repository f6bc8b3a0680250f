// SPDX-License-Identifier: MIT OR Apache-2.0
//! `user-dirs.dirs`: the user's, and the one an application finds instead (R62, R92).

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use stockade_protocol::request::{self, Content, Operation};

use crate::caller::Caller;
use crate::filesystem::locate::{locate, tidy};
use crate::filesystem::token::UserDirectory;
use crate::flatpak::file_access::{FileAccess, Visible};
use crate::object;
use crate::sandbox::{Sandbox, SandboxError, place};

/// Largest file that is read. The usual one has half a kilobyte.
const BYTES: u64 = 64 * 1024;

/// The user's file.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// What it says; nothing if there is none.
    pub(super) bytes: Vec<u8>,
    /// The symlinks that lead to it, and itself: whoever can make one of these decides what it says.
    pub(super) trail: Vec<PathBuf>,
}

/// What an application finds.
#[derive(Debug)]
pub(super) enum UserDirs {
    /// The user's file.
    Host {
        /// Opened with `O_PATH`.
        object: OwnedFd,
        /// Where it is.
        path: PathBuf,
    },
    /// One with these bytes.
    Generated(Vec<u8>),
}

fn path(caller: &Caller) -> PathBuf {
    tidy(&caller.config_home().join("user-dirs.dirs"))
}

/// Reads the user's file. A FIFO in its place is not waited for.
pub(super) fn read(caller: &Caller) -> Text {
    let Ok(located) = locate(&path(caller)) else {
        return Text::default();
    };
    let flags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
    let resolve = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);
    let opened = rustix::fs::openat2(CWD, &located.path, flags, Mode::empty(), resolve);
    let file = opened.ok().filter(|file| object::kind(file) == Ok(FileType::RegularFile));
    let mut text = Text::default();
    if let Some(file) = file {
        std::fs::File::from(file).take(BYTES).read_to_end(&mut text.bytes).ok();
    }
    text.trail = located.links.into_iter().map(|link| link.path).chain([located.path]).collect();
    text
}

/// The user's file, for an application that sees it anyway.
pub(super) fn of_the_host(caller: &Caller, visible: &Visible) -> Option<UserDirs> {
    let located = locate(&path(caller)).ok()?;
    let object = located.object?;
    let seen = visible.at(&located.path) != FileAccess::Hidden;
    let fits = seen && object::kind(&object) == Ok(FileType::RegularFile);
    fits.then_some(UserDirs::Host { object, path: located.path })
}

/// A file for an application that sees nothing but these.
pub(super) fn of_what_was_granted(granted: &BTreeMap<UserDirectory, PathBuf>) -> Option<UserDirs> {
    let mut text = Vec::new();
    for (directory, path) in granted {
        text.extend_from_slice(directory.key().as_bytes());
        text.extend_from_slice(b"=\"");
        for byte in path.as_os_str().as_bytes() {
            if matches!(byte, b'"' | b'\\' | b'$' | b'`') {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        text.extend_from_slice(b"\"\n");
    }
    (!text.is_empty()).then_some(UserDirs::Generated(text))
}

impl UserDirs {
    /// Puts it at a path of the sandbox, where it cannot be written to.
    pub(super) fn put(self, path: &Path, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
        match self {
            Self::Host { object, path: source } => {
                sandbox.bind_descriptor(object, &source, path, request::Access::ReadOnly)
            }
            Self::Generated(bytes) => {
                let (destination, content) = (place(path)?, Content::Bytes(bytes));
                sandbox.push(Operation::Data {
                    destination,
                    mode: 0o444,
                    content,
                    writable: false,
                });
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::user_dirs;
    use proptest::prelude::*;

    proptest! {
        /// What is written is read back, and a path cannot add a line of its own.
        #[test]
        fn r92_generated_files_say_what_was_granted(name in "[a-z\"\\\\$`=/ ]{1,12}") {
            let home = Path::new("/home/a");
            let path = tidy(&Path::new("/x").join(name.trim_start_matches('/')));
            let granted = [(UserDirectory::Music, path.clone())].into();
            let Some(UserDirs::Generated(text)) = of_what_was_granted(&granted) else {
                panic!("nothing was generated");
            };
            prop_assert_eq!(user_dirs::find(&text, UserDirectory::Music, home), Some(path));
            prop_assert_eq!(user_dirs::find(&text, UserDirectory::Videos, home), None);
        }
    }

    #[test]
    fn r92_nothing_granted_needs_no_file() {
        assert!(of_what_was_granted(&BTreeMap::new()).is_none());
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settings of dconf for applications that do not reach it (R127): the administrator's defaults and locks as
//! files of GLib's key file backend, and once the user's own values of before.
//!
//! The databases are read as dconf's library reads them. Where a value is damaged, it is as if it were not
//! there.

mod database;
mod export;
mod profile;
mod similar;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use stockade_protocol::request::{Content, Operation};

use super::data::DataDirectory;
use super::reference::Id;
use crate::caller::Caller;
use crate::filesystem::locate::descend;
use crate::keyfile::KeyFile;
use crate::message::{Notice, shown};
use crate::sandbox::{Sandbox, SandboxError, place};
use export::Export;
use profile::Profile;

/// The group in metadata.
const GROUP: &str = "X-DConf";

/// Where programs look for defaults and locks.
const DEFAULTS: &str = "/etc/glib-2.0/settings/defaults";
const LOCKS: &str = "/etc/glib-2.0/settings/locks";

/// Where an application keeps its values, below its data directory.
const SETTINGS: &str = "config/glib-2.0/settings";
const VALUES: &str = "keyfile";

/// What metadata say about settings.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// Directories whose defaults and locks count; the application's own comes first.
    directories: Vec<String>,
    /// The directory whose values the application had before.
    before: Option<String>,
}

impl Wanted {
    fn read(id: &Id, metadata: &KeyFile, notices: &mut Vec<Notice>) -> Self {
        let own = format!("/{}/", id.as_str().replace('.', "/"));
        let before = metadata.string(GROUP, "migrate-path").ok().flatten();
        let before = before.filter(|before| {
            let similar = similar::are_similar(before, &own);
            if !similar {
                notices.push(Notice::Warning(format!(
                    "leaving settings of {} where they are\nthe name of the application is another one",
                    shown(before)
                )));
            }
            similar
        });
        let more = metadata.list(GROUP, "paths").unwrap_or_default();
        let more = more.into_iter().filter(|path| is_directory(path));
        Self { directories: [own].into_iter().chain(more).collect(), before }
    }
}

/// Whether a path is that of a directory of settings.
fn is_directory(path: &str) -> bool {
    path.starts_with('/') && path.ends_with('/') && !path.contains("//")
}

/// Adds defaults and locks for an application, where there are any, and keeps its values of before in
/// its data directory, where it has none yet.
///
/// # Errors
/// [`SandboxError`].
pub fn prepare(
    id: &Id,
    metadata: &KeyFile,
    data: Option<&DataDirectory>,
    caller: &Caller,
    sandbox: &mut Sandbox,
    notices: &mut Vec<Notice>,
) -> Result<(), SandboxError> {
    let wanted = Wanted::read(id, metadata, notices);
    let profile = Profile::of(caller, Path::new("/"), notices);
    let (mut defaults, mut locks) = (Export::default(), String::new());
    for directory in &wanted.directories {
        for database in profile.system.iter().rev() {
            defaults.add(database.values(directory));
        }
        for database in &profile.system {
            for lock in database.locks(directory) {
                locks.push_str(lock);
                locks.push('\n');
            }
        }
    }
    for (path, text) in [(DEFAULTS, defaults.to_string()), (LOCKS, locks)] {
        if !text.is_empty() {
            let (destination, content) = (place(Path::new(path))?, Content::Bytes(text.into()));
            sandbox.push(Operation::Data { destination, mode: 0o644, content, writable: false });
        }
    }

    if let Some((before, data)) = wanted.before.zip(data)
        && let Some(user) = profile.user(notices)
    {
        let mut values = Export::default();
        values.add(user.values(&before));
        let text = values.to_string();
        if !text.is_empty()
            && let Err(errno) = keep(data, &text)
        {
            notices.push(Notice::Warning(format!(
                "cannot keep the settings of before in {}\n{errno}",
                shown(&kept_at(data))
            )));
        }
    }
    Ok(())
}

fn kept_at(data: &DataDirectory) -> PathBuf {
    data.path().join(SETTINGS).join(VALUES)
}

/// Writes the file, unless there is one. The application can write there: nothing is followed (T68).
fn keep(data: &DataDirectory, text: &str) -> Result<(), Errno> {
    let directory: OwnedFd = descend(data, Path::new(SETTINGS), 0o755)?;
    if rustix::fs::statat(&directory, VALUES, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let temporary = format!("{VALUES}.{}", std::process::id());
    let file = rustix::fs::openat(&directory, &temporary, flags, Mode::from_raw_mode(0o644))?;
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    // Another instance may have been faster.
    match rustix::fs::linkat(&directory, &temporary, &directory, VALUES, AtFlags::empty()) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => {
            rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty()).ok();
            return Err(errno);
        }
    }
    rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty())
}

#[cfg(test)]
mod tests;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which databases there are: dconf's profile of the user, `dconf(7)`.

use std::path::{Path, PathBuf};

use super::database::Database;
use crate::caller::Caller;
use crate::flatpak::directory::read_host_file;
use crate::message::Notice;

/// The profile where none is named.
const USER: &str = "user";

/// The profile of a machine without any.
const BY_DEFAULT: &str = "user-db:user";

/// Most bytes of a profile and of a database.
const PROFILE_BYTES: usize = 64 * 1024;
const DATABASE_BYTES: usize = 16 * 1024 * 1024;

/// The databases.
#[derive(Debug, Default)]
pub(super) struct Profile {
    /// Where the one is that the user writes to.
    user: Option<PathBuf>,
    /// Those that the administrator fills, the most important first.
    pub(super) system: Vec<Database>,
}

impl Profile {
    /// Reads the databases of the user; `root` is the root of the host's files.
    pub(super) fn of(caller: &Caller, root: &Path, notices: &mut Vec<Notice>) -> Self {
        let mut profile = Self::default();
        let text = text(caller, root);
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        for (index, line) in lines.filter(|line| !line.is_empty()).enumerate() {
            let Some((kind, name)) = line.split_once(':') else { continue };
            let named = !name.is_empty() && !name.contains('/');
            let path = match kind {
                "user-db" if named => caller.config_home().join("dconf").join(name),
                "system-db" if named => root.join("etc/dconf/db").join(name),
                "file-db" => PathBuf::from(name),
                // Of services nobody knows before they run.
                _ => continue,
            };
            // Only the first one is written to.
            if kind == "user-db" && index == 0 {
                profile.user = Some(path);
            } else {
                profile.system.extend(open(&path, notices));
            }
        }
        profile
    }

    /// The database that the user writes to.
    pub(super) fn user(&self, notices: &mut Vec<Notice>) -> Option<Database> {
        self.user.as_deref().and_then(|path| open(path, notices))
    }
}

fn open(path: &Path, notices: &mut Vec<Notice>) -> Option<Database> {
    match read_host_file(path, DATABASE_BYTES) {
        Ok(bytes) => bytes.and_then(Database::parse),
        Err(error) => {
            notices.push(Notice::Detail(error.to_string()));
            None
        }
    }
}

/// The text of the profile: the one that `DCONF_PROFILE` names, or that of users.
fn text(caller: &Caller, root: &Path) -> String {
    let named = caller.variable("DCONF_PROFILE").map(Path::new);
    let name = named.unwrap_or(Path::new(USER));
    let places = if name.is_absolute() {
        vec![name.to_owned()]
    } else {
        ["etc/dconf/profile", "usr/share/dconf/profile"]
            .map(|below| root.join(below).join(name))
            .into()
    };
    let read = |path: &PathBuf| read_host_file(path, PROFILE_BYTES).ok().flatten();
    let found = places.iter().find_map(read).and_then(|bytes| String::from_utf8(bytes).ok());
    found.unwrap_or_else(|| if named.is_some() { String::new() } else { BY_DEFAULT.to_owned() })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names of the permission store's tables. The store does not tell them; they are those of its
//! files (R310, R312).

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::caller::Caller;
use crate::message::shown;

/// Why it is not known which tables there are.
#[derive(Debug, thiserror::Error)]
#[error("cannot look for the tables of the permission store in {}\n{reason}", shown(path))]
pub struct TablesError {
    /// Where they are.
    path: PathBuf,
    /// Why not.
    reason: io::Error,
}

/// The tables of the caller's store, by name.
pub(super) fn tables(caller: &Caller) -> Result<Vec<String>, TablesError> {
    let path = caller.data_home().join("flatpak/db");
    files(&path).map_err(|reason| TablesError { path, reason })
}

fn files(path: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        // Nothing was ever stored.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // What is no text is the name of no table: nobody could ask for it.
        if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    #[test]
    fn r312_tables_are_the_files_of_the_store() {
        let scratch = Scratch::new();
        let data = scratch.join("data");
        let caller = caller(&scratch.0, &[("XDG_DATA_HOME", data.to_str().unwrap())]);
        assert_eq!(tables(&caller).unwrap(), [""; 0]);
        scratch.file("data/flatpak/db/notifications", "");
        scratch.file("data/flatpak/db/devices", "");
        scratch.directory("data/flatpak/db/directory");
        symlink("devices", scratch.join("data/flatpak/db/link")).unwrap();
        assert_eq!(tables(&caller).unwrap(), ["devices", "notifications"]);
    }

    #[test]
    fn what_cannot_be_looked_at_is_an_error() {
        let scratch = Scratch::new();
        let caller = caller(&scratch.0, &[]);
        scratch.file(".local/share/flatpak/db", "");
        let error = tables(&caller).unwrap_err().to_string();
        assert!(error.starts_with("cannot look for the tables of the permission store in /"));
    }
}

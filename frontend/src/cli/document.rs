// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade document-list` and its like: single files that applications see through the documents portal, with the
//! arguments, output and statuses of Flatpak's commands of those names (R329, R370-R372).

mod export;
mod info;
mod list;
mod unexport;

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use rustix::io::Errno;

use super::column::ColumnError;
use crate::caller::{Caller, CallerError};
use crate::message::shown;
use crate::portal::PortalError;
use crate::portal::documents::Documents;
use crate::sandbox::SandboxError;

/// Exit status of a failure, as with Flatpak.
const FAILED: u8 = 1;

/// What is said of a file that is no document.
const NOT_EXPORTED: &str = "Not exported\n";

/// Why documents are not told or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// There is no caller to speak of.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// The portal does not do it.
    #[error(transparent)]
    Portal(#[from] PortalError),
    /// The file cannot be opened.
    #[error(transparent)]
    Open(#[from] SandboxError),
    /// The file cannot be looked at.
    #[error("cannot look at {}\n{errno}", shown(path))]
    Look {
        /// As given.
        path: PathBuf,
        /// Why not.
        errno: Errno,
    },
    /// What does not have to exist has to have a name.
    #[error("cannot export {} before it exists\nit is not the name of a file", shown(path))]
    Name {
        /// As given.
        path: PathBuf,
    },
    /// It is relative to a directory that is no more.
    #[error(
        "cannot find {}\n\
         the directory that this was started in has no path\n\
         give the path from the root",
        shown(path)
    )]
    Nowhere {
        /// As given.
        path: PathBuf,
    },
    /// There is no such column.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// It cannot be printed as JSON.
    #[error("cannot print documents as JSON\n{0}")]
    Json(#[from] serde_json::Error),
}

/// The subcommands.
pub(super) fn commands() -> [Command; 4] {
    [
        Command::new("document-list")
            .visible_alias("documents")
            .about("List files that applications were given")
            .defer(list::arguments),
        Command::new("document-info")
            .about("Tell which applications were given a file")
            .defer(info::arguments),
        Command::new("document-export")
            .about("Give a file to applications")
            .defer(export::arguments),
        Command::new("document-unexport")
            .about("Take a file back from all applications")
            .defer(unexport::arguments),
    ]
}

/// Runs one of the subcommands, if this is one, and gives the status to exit with.
pub(super) fn run(name: &str, matches: &ArgMatches) -> Option<u8> {
    let done = match name {
        "document-list" => list::run(matches),
        "document-info" => with_portal(|portal, caller| info::info(matches, portal, caller)),
        "document-export" => with_portal(|portal, _| export::export(matches, portal)),
        "document-unexport" => {
            with_portal(|portal, caller| unexport::unexport(matches, portal, caller))
        }
        _ => return None,
    };
    Some(super::tell(done.map(|text| (text, Vec::new())), FAILED))
}

fn with_portal<T>(
    act: impl FnOnce(&mut Documents, &Caller) -> Result<T, DocumentError>,
) -> Result<T, DocumentError> {
    let caller = Caller::current()?;
    act(&mut Documents::of(&caller)?, &caller)
}

/// A path from the root, which means the same to the portal as to the caller.
fn absolute(path: &Path, caller: &Caller) -> Result<PathBuf, DocumentError> {
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let nowhere = || DocumentError::Nowhere { path: path.to_owned() };
    Ok(caller.directory.as_deref().ok_or_else(nowhere)?.join(path))
}

/// Where a document is found: under the name that the file really has.
fn place(mount_point: &Path, id: &str, origin: &Path) -> PathBuf {
    mount_point.join(id).join(origin.file_name().unwrap_or_default())
}

#[cfg(test)]
mod tests;

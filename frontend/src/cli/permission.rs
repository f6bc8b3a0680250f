// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade permission-list` and its like: what the user allowed applications when portals asked, with the
//! arguments, output and statuses of Flatpak's commands of those names (R312-R318).

mod list;
mod remove;
mod reset;
mod set;
mod show;
mod tables;

use clap::{ArgMatches, Command};

use super::table::Table;
use crate::caller::{Caller, CallerError};
use crate::message::shown;
use crate::portal::PortalError;
use crate::portal::permission_store::{Entry, PermissionStore};
use crate::portal::text_form::{TextFormError, print};
use tables::TablesError;

/// Exit status of a failure, as with Flatpak.
const FAILED: u8 = 1;

/// Why permissions are not told or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PermissionError {
    /// There is no caller to speak of.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// It is not known which tables there are.
    #[error(transparent)]
    Tables(#[from] TablesError),
    /// The store does not do it.
    #[error(transparent)]
    Portal(#[from] PortalError),
    /// What is to be stored is no value.
    #[error(
        "cannot use '{}' as data\n{}\n\
         write it as GLib does, such as 'text', true, uint32 5 or ['one', 'other']",
        shown(text),
        shown(&reason.to_string())
    )]
    Data {
        /// As given.
        text: String,
        /// Why not.
        reason: TextFormError,
    },
    /// It cannot be printed as JSON.
    #[error("cannot print permissions as JSON\n{0}")]
    Json(#[from] serde_json::Error),
}

/// The subcommands.
pub(super) fn commands() -> [Command; 5] {
    [
        Command::new("permission-list")
            .visible_alias("permissions")
            .about("List what you allowed applications when they asked")
            .defer(list::arguments),
        Command::new("permission-show")
            .about("List what you allowed one application when it asked")
            .defer(show::arguments),
        Command::new("permission-set")
            .about("Store what an application may do")
            .defer(set::arguments),
        Command::new("permission-remove")
            .about("Forget what applications may do with something")
            .defer(remove::arguments),
        Command::new("permission-reset")
            .about("Forget everything that you allowed an application")
            .defer(reset::arguments),
    ]
}

/// Runs one of the subcommands, if this is one, and gives the status to exit with.
pub(super) fn run(name: &str, matches: &ArgMatches) -> Option<u8> {
    let done = match name {
        "permission-list" => with_store(|store, caller| list::list(matches, store, caller)),
        "permission-show" => with_store(|store, caller| show::show(matches, store, caller)),
        "permission-set" => with_store(|store, _| set::set(matches, store)),
        "permission-remove" => with_store(|store, _| remove::remove(matches, store)),
        "permission-reset" => with_store(|store, caller| reset::reset(matches, store, caller)),
        _ => return None,
    };
    Some(super::tell(done.map(|text| (text, Vec::new())), FAILED))
}

fn with_store(
    act: impl FnOnce(&mut PermissionStore, &Caller) -> Result<String, PermissionError>,
) -> Result<String, PermissionError> {
    let caller = Caller::current()?;
    act(&mut PermissionStore::of(&caller)?, &caller)
}

/// A table of permissions as it is printed.
fn table(rows: Vec<Vec<String>>, json: bool) -> Result<String, PermissionError> {
    let titles = vec!["Table", "Object", "App", "Permissions", "Data"];
    Ok(Table { titles, rows }.text(json)?)
}

/// The rows of an object, of one application or of all. One of no application has a row of its own if all are
/// wanted (R312).
fn rows(table: &str, id: &str, entry: &Entry, application: Option<&str>) -> Vec<Vec<String>> {
    let data = print(&entry.data);
    let row = |name: &str, permissions: &[String]| {
        let permissions = permissions.join(",");
        [table, id, name, &permissions, &data].map(str::to_owned).to_vec()
    };
    let is_meant = |name: &str| application.is_none_or(|application| application == name);
    let found = entry.permissions.iter().filter(|(name, _)| is_meant(name));
    let mut rows: Vec<_> = found.map(|(name, permissions)| row(name, permissions)).collect();
    if application.is_none() && rows.is_empty() {
        rows.push(row("", &[]));
    }
    rows
}

#[cfg(test)]
mod tests;

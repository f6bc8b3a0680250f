// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade permission-list` (R312).

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{PermissionError, rows, table, tables};
use crate::caller::Caller;
use crate::portal::permission_store::PermissionStore;

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(json())
        .arg(Arg::new("table").value_name("TABLE").help("Only what is in this table"))
        .arg(Arg::new("id").value_name("ID").help("Only what is about this object"))
}

/// What programs ask for.
pub(super) fn json() -> Arg {
    Arg::new("json")
        .short('j')
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print JSON, for programs")
}

pub(super) fn list(
    matches: &ArgMatches,
    store: &mut PermissionStore,
    caller: &Caller,
) -> Result<String, PermissionError> {
    let text = |name| matches.get_one::<String>(name);
    let tables = match text("table") {
        Some(table) => vec![table.clone()],
        None => tables::tables(caller)?,
    };
    let mut found = Vec::new();
    for table in &tables {
        let ids = match text("id") {
            Some(id) => vec![id.clone()],
            None => store.list(table)?,
        };
        for id in &ids {
            found.extend(rows(table, id, &store.lookup(table, id)?, None));
        }
    }
    table(found, matches.get_flag("json"))
}

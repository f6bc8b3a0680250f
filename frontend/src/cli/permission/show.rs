// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade permission-show` (R313).

use clap::{Arg, ArgMatches, Command};

use super::{PermissionError, list, rows, table, tables};
use crate::caller::Caller;
use crate::portal::permission_store::PermissionStore;

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    let application = Arg::new("application").value_name("APP_ID").required(true);
    command.arg(list::json()).arg(application.help("Name of the application"))
}

pub(super) fn show(
    matches: &ArgMatches,
    store: &mut PermissionStore,
    caller: &Caller,
) -> Result<String, PermissionError> {
    let application = matches.get_one::<String>("application").map(String::as_str);
    let mut found = Vec::new();
    for table in tables::tables(caller)? {
        for id in store.list(&table)? {
            found.extend(rows(&table, &id, &store.lookup(&table, &id)?, application));
        }
    }
    table(found, matches.get_flag("json"))
}

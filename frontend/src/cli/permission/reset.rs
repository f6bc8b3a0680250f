// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade permission-reset` (R316).

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{PermissionError, tables};
use crate::caller::Caller;
use crate::portal::permission_store::PermissionStore;

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(
            Arg::new("all")
                .long("all")
                .action(ArgAction::SetTrue)
                .help("Forget what you allowed any application"),
        )
        .arg(
            Arg::new("application")
                .value_name("APP_ID")
                .required_unless_present("all")
                .conflicts_with("all")
                .help("Name of the application"),
        )
}

pub(super) fn reset(
    matches: &ArgMatches,
    store: &mut PermissionStore,
    caller: &Caller,
) -> Result<String, PermissionError> {
    let only = matches.get_one::<String>("application");
    for table in tables::tables(caller)? {
        for id in store.list(&table)? {
            let entry = store.lookup(&table, &id)?;
            let is_meant = |name: &&String| only.is_none_or(|only| only == *name);
            for application in entry.permissions.keys().filter(is_meant) {
                store.delete_permission(&table, &id, application)?;
            }
        }
    }
    Ok(String::new())
}

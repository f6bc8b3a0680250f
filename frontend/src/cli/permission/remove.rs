// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade permission-remove` (R315).

use clap::{Arg, ArgMatches, Command};

use super::PermissionError;
use crate::portal::permission_store::PermissionStore;

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(Arg::new("table").value_name("TABLE").required(true).help("The table of the portal"))
        .arg(Arg::new("id").value_name("ID").required(true).help("What it is about"))
        .arg(
            Arg::new("application")
                .value_name("APP_ID")
                .help("Forget it for this application only"),
        )
}

pub(super) fn remove(
    matches: &ArgMatches,
    store: &mut PermissionStore,
) -> Result<String, PermissionError> {
    let text = |name| matches.get_one::<String>(name).map_or("", String::as_str);
    match matches.get_one::<String>("application") {
        Some(application) => store.delete_permission(text("table"), text("id"), application)?,
        None => store.delete(text("table"), text("id"))?,
    }
    Ok(String::new())
}

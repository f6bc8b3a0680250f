// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade permission-set` (R314).

use clap::{Arg, ArgMatches, Command};

use super::PermissionError;
use crate::portal::permission_store::PermissionStore;
use crate::portal::text_form;

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(
            Arg::new("data")
                .long("data")
                .value_name("DATA")
                .allow_hyphen_values(true)
                .help("Keep this with the object, written as GLib writes values"),
        )
        .arg(Arg::new("table").value_name("TABLE").required(true).help("The table of the portal"))
        .arg(Arg::new("id").value_name("ID").required(true).help("What it is about"))
        .arg(
            Arg::new("application")
                .value_name("APP_ID")
                .required(true)
                .help("Name of the application"),
        )
        .arg(
            Arg::new("permissions")
                .value_name("PERMISSION")
                .num_args(0..)
                .help("What it may do, in the portal's words"),
        )
}

pub(super) fn set(
    matches: &ArgMatches,
    store: &mut PermissionStore,
) -> Result<String, PermissionError> {
    let text = |name| matches.get_one::<String>(name).map_or("", String::as_str);
    // Before anything is changed.
    let data = matches.get_one::<String>("data").map(|text| {
        let wrong = |reason| PermissionError::Data { text: text.clone(), reason };
        text_form::parse(text).map_err(wrong)
    });
    let data = data.transpose()?;
    let permissions = matches.get_many::<String>("permissions").into_iter().flatten();
    let permissions: Vec<&str> = permissions.map(String::as_str).collect();
    store.set_permission(text("table"), text("id"), text("application"), &permissions)?;
    if let Some(data) = data {
        store.set_value(text("table"), text("id"), &data)?;
    }
    Ok(String::new())
}

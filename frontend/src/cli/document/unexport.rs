// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade document-unexport` (R372).

use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{DocumentError, NOT_EXPORTED, absolute, info};
use crate::caller::Caller;
use crate::portal::documents::Documents;

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(
            Arg::new("doc-id")
                .long("doc-id")
                .action(ArgAction::SetTrue)
                .help("FILE is the ID of a document, whose file may be gone"),
        )
        .arg(info::file("The file, by its own path or by that of the document"))
}

pub(super) fn unexport(
    matches: &ArgMatches,
    portal: &mut Documents,
    caller: &Caller,
) -> Result<String, DocumentError> {
    let file = matches.get_one::<OsString>("file").cloned().unwrap_or_default();
    let id = if matches.get_flag("doc-id") {
        Some(file.to_string_lossy().into_owned())
    } else {
        portal.lookup(&absolute(Path::new(&file), caller)?)?
    };
    let Some(id) = id else { return Ok(NOT_EXPORTED.into()) };
    portal.delete(&id)?;
    Ok(String::new())
}

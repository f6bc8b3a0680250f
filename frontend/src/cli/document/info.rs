// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade document-info` (R370).

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::{DocumentError, NOT_EXPORTED, absolute, place};
use crate::caller::Caller;
use crate::message::shown;
use crate::portal::documents::Documents;

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    command.arg(file("The file, by its own path or by that of the document"))
}

/// The only argument.
pub(super) fn file(help: &'static str) -> Arg {
    Arg::new("file")
        .value_name("FILE")
        .required(true)
        .value_parser(value_parser!(OsString))
        .help(help)
}

pub(super) fn info(
    matches: &ArgMatches,
    portal: &mut Documents,
    caller: &Caller,
) -> Result<String, DocumentError> {
    let file = matches.get_one::<OsString>("file").cloned().unwrap_or_default();
    let Some(id) = portal.lookup(&absolute(Path::new(&file), caller)?)? else {
        return Ok(NOT_EXPORTED.into());
    };
    let document = portal.info(&id)?;
    let path = place(&portal.mount_point()?, &id, &document.origin);
    let mut text = format!(
        "id: {}\npath: {}\norigin: {}\n",
        shown(&id),
        shown(&path),
        shown(&document.origin)
    );
    if !document.applications.is_empty() {
        text.push_str("permissions:\n");
    }
    for (application, permissions) in &document.applications {
        // Nothing fails to be written to a text.
        writeln!(text, "\t{}\t{}", shown(application), shown(&permissions.join(", "))).ok();
    }
    Ok(text)
}

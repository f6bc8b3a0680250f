// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--limit`, which `exec` and `run` have.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use crate::systemd::limit::{Limit, LimitError, Limits};

/// The option.
#[must_use]
pub fn argument() -> Arg {
    Arg::new("limit")
        .long("limit")
        .value_name("WHAT=VALUE")
        .value_parser(value_parser!(OsString))
        .action(ArgAction::Append)
        .help("Use no more than memory=BYTES[K|M|G|T], tasks=N, cpu=N%; needs systemd")
}

/// The limits that were given; of two of a kind the later one holds.
///
/// # Errors
/// [`LimitError`], for the first that cannot be understood.
pub fn read(matches: &ArgMatches) -> Result<Limits, LimitError> {
    let mut limits = Limits::default();
    for typed in matches.get_many::<OsString>("limit").into_iter().flatten() {
        limits.set(Limit::parse(typed)?);
    }
    Ok(limits)
}

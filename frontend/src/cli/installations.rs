// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options that say which installations are meant.

use clap::{Arg, ArgAction, ArgMatches};

use crate::flatpak::selection::Selection;

/// `--user`, `--system` and `--installation=NAME`.
#[must_use]
pub fn arguments() -> [Arg; 3] {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    [
        flag("user", "Look at the user's own installation").short('u'),
        flag("system", "Look at the default installation of the system"),
        Arg::new("installation")
            .long("installation")
            .value_name("NAME")
            .action(ArgAction::Append)
            .help("Look at another installation of the system"),
    ]
}

/// The installations that were named.
#[must_use]
pub fn selection(matches: &ArgMatches) -> Selection {
    Selection {
        user: matches.get_flag("user"),
        system: matches.get_flag("system"),
        named: matches.get_many("installation").into_iter().flatten().cloned().collect(),
    }
}

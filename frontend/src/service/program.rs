// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program that serves others on the session bus: its command line, which the bus gives it, and its
//! connection.

use std::ffi::OsString;
use std::fmt::Display;

use clap::{Arg, ArgAction, Command};
use zbus::connection::Builder;
use zbus::fdo::RequestNameFlags;

use crate::bus::address::Address;
use crate::bwrap::inherit;
use crate::message;

/// Exit status of a failure.
const FAILED: u8 = 1;

/// Runs a service until its name or the bus is gone, and gives the status to exit with. `serve` is told
/// whether it takes the place of one that runs.
pub(crate) fn run<E: Display>(
    name: &'static str,
    about: &'static str,
    words: impl IntoIterator<Item = OsString>,
    serve: impl FnOnce(bool) -> Result<(), E>,
) -> u8 {
    close_inherited();
    let matches = match command(name, about).try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            let help = format!("see '{name} --help'");
            message::error(&format!("cannot understand the arguments\n{first}\n{help}"));
            return FAILED;
        }
        // The help or the version, as asked. A closed stdout is nobody's error.
        Err(text) => {
            text.print().ok();
            return 0;
        }
    };
    match serve(matches.get_flag("replace")) {
        Ok(()) => 0,
        Err(error) => {
            message::error(&error);
            FAILED
        }
    }
}

fn command(name: &'static str, about: &'static str) -> Command {
    let replace = Arg::new("replace").short('r').long("replace").action(ArgAction::SetTrue);
    Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .arg(replace.help("Take the place of one that runs"))
}

/// What comes from whoever started this is not for commands that are started later.
fn close_inherited() {
    inherit::note(&[]);
    for number in inherit::open_numbers() {
        inherit::close(number);
    }
}

/// A connection that is about to be made.
pub(crate) fn connection(address: &Address) -> Builder<'static> {
    Builder::address(address.text().to_string_lossy().as_ref())
}

/// How the name is taken.
pub(crate) fn flags(replace: bool) -> RequestNameFlags {
    let flags = RequestNameFlags::ALLOW_REPLACEMENT | RequestNameFlags::DO_NOT_QUEUE;
    if replace { flags | RequestNameFlags::REPLACE_EXISTING } else { flags }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line of `stockade`: arguments as typed become options as meant, and those become
//! one call of the library.
//!
//! Subcommands are put together only when they are chosen: the whole tree would cost more than the
//! rest of a start.

pub mod build;
mod column;
pub mod context;
pub mod document;
pub mod enter;
pub mod exec;
pub mod explain;
#[cfg(test)]
mod fuzz;
pub mod info;
mod inheritance;
pub mod installations;
pub mod kill;
pub mod limit;
pub mod list;
mod order;
pub mod overriding;
pub mod permission;
pub mod ps;
pub mod run;
pub mod size;
pub mod spawn;
mod start;
pub mod table;
pub mod usage;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::doctor;
use crate::launch::FAILED;
use crate::message;

/// The name of the program.
const PROGRAM: &str = "stockade";

/// Runs the command line and gives the status to exit with: 125 if Stockade failed or was called
/// wrongly, 126 if the command cannot be executed, 127 if it does not exist, otherwise what the
/// subcommand says. `run`, `document-list` and `permission-list` and their like end wrong calls with 1, as
/// Flatpak does.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(behind) = crate::bwrap::behind(&arguments) {
        return crate::bwrap::run(behind);
    }
    crate::entry::survive_broken_pipes();
    match command().try_get_matches_from(&arguments) {
        Ok(matches) => dispatch(matches),
        Err(error) if error.use_stderr() => {
            let subcommand = arguments.get(1).map(OsString::as_os_str);
            message::error(&usage::explain(&error, subcommand));
            wrong_call(subcommand)
        }
        // The help or the version, as asked. A closed stdout is nobody's error.
        Err(text) => {
            text.print().ok();
            0
        }
    }
}

/// The command line, without what belongs to subcommands that were not chosen.
#[must_use]
pub fn command() -> Command {
    Command::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .about("Runs programs in a sandbox")
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommand(
            Command::new("exec")
                .about("Run a command of this system with no access to your files or the network")
                .defer(exec::arguments),
        )
        .subcommand(
            Command::new("run")
                .about("Run an application of a Flatpak installation")
                .defer(run::arguments),
        )
        .subcommand(
            Command::new("build")
                .about("Run a command that builds an application, with its SDK")
                .defer(build::arguments),
        )
        // Its arguments never come here.
        .subcommand(
            Command::new("bwrap").about("Run a command as bubblewrap would, with its options"),
        )
        .subcommand(Command::new("ps").about("List applications that run").defer(ps::arguments))
        .subcommand(
            Command::new("kill").about("End an application that runs").defer(kill::arguments),
        )
        .subcommand(
            Command::new("enter")
                .about("Run a command in the sandbox of an application that runs")
                .defer(enter::arguments),
        )
        .subcommand(
            Command::new("spawn")
                .about("From inside of an application's sandbox, run a command in another one")
                .defer(spawn::arguments),
        )
        .subcommand(
            Command::new("override")
                .about("Change what installed applications may do")
                .defer(overriding::arguments),
        )
        .subcommand(
            Command::new("doctor")
                .about("Find out whether sandboxes work on this machine, and what is missing")
                .defer(doctor_arguments),
        )
        .subcommand(
            Command::new("explain")
                .about("Tell in plain words what a sandbox can reach, the worst first")
                .defer(explain::arguments),
        )
        .subcommand(
            Command::new("list")
                .about("List applications and runtimes that are installed")
                .defer(list::arguments),
        )
        .subcommand(
            Command::new("info")
                .about("Tell what is known of something that is installed")
                .defer(info::arguments),
        )
        .subcommands(document::commands())
        .subcommands(permission::commands())
        .subcommand(Command::new("doctor-probe").hide(true).defer(probe_arguments))
}

/// The status for a subcommand that was called wrongly.
fn wrong_call(subcommand: Option<&OsStr>) -> u8 {
    let name = subcommand.and_then(OsStr::to_str).unwrap_or_default();
    match name {
        "build" | "run" | "spawn" => run::FAILED,
        // R317.
        _ if name.starts_with("document") || name.starts_with("permission") => 1,
        _ => FAILED,
    }
}

fn doctor_arguments(command: Command) -> Command {
    command.arg(
        Arg::new("json")
            .long("json")
            .action(ArgAction::SetTrue)
            .help("Answer with one JSON object, for programs"),
    )
}

fn probe_arguments(command: Command) -> Command {
    command.arg(Arg::new("name").required(true))
}

fn dispatch(mut matches: ArgMatches) -> u8 {
    // clap demands a subcommand that it knows.
    let Some((name, matches)) = matches.remove_subcommand() else { return FAILED };
    match name.as_str() {
        "exec" => exec::run(matches),
        "run" => run::run(matches),
        "build" => build::run(matches),
        "explain" => explain::run(&matches),
        "list" => list::run(&matches),
        "info" => info::run(&matches),
        "override" => overriding::run(matches),
        "ps" => ps::run(&matches),
        "kill" => kill::run(&matches),
        "enter" => enter::run(&matches),
        "spawn" => spawn::run(&matches),
        "doctor" => {
            let options = doctor::Options { json: matches.get_flag("json") };
            match doctor::run(&options, &mut std::io::stdout().lock()) {
                Ok(works) => u8::from(!works),
                Err(error) => output_failed(&error),
            }
        }
        "doctor-probe" => {
            let name = matches.get_one::<String>("name").map_or("", String::as_str);
            doctor::probe(name)
        }
        name => document::run(name, &matches)
            .or_else(|| permission::run(name, &matches))
            .unwrap_or(FAILED),
    }
}

/// Prints lines for programs on stdout.
fn print(text: &str) -> u8 {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => 0,
        Err(error) => output_failed(&error),
    }
}

/// Prints what was found out, and what was left out on the way; or why nothing was, with this status.
fn tell<E: std::fmt::Display>(told: Result<(String, Vec<message::Notice>), E>, failed: u8) -> u8 {
    match told {
        Ok((text, notices)) => {
            message::notices(&notices, false);
            print(&text)
        }
        Err(error) => {
            message::error(&error);
            failed
        }
    }
}

/// A reader that has seen enough is no error.
fn output_failed(error: &std::io::Error) -> u8 {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return 0;
    }
    message::error(&format!("cannot write to stdout\n{error}"));
    FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_is_consistent() {
        let mut command = command();
        command.build();
        command.debug_assert();
    }

    #[test]
    fn bubblewraps_options_are_not_ours_to_judge() {
        for arguments in [&["stockade", "bwrap", "--nope"][..], &["stockade", "bwrap"]] {
            assert_eq!(run(arguments.iter().map(OsString::from)), 1, "{arguments:?}");
        }
        assert_eq!(run(["stockade", "bwrap", "--version"].map(OsString::from)), 0);
    }

    #[test]
    fn wrong_calls_are_answered_with_125() {
        for arguments in [
            &["stockade"][..],
            &["stockade", "exce"],
            &["stockade", "exec"],
            &["stockade", "exec", "--no-such-option", "true"],
            &["stockade", "exec", "--socket=session-bus", "true"],
            &["stockade", "exec", "--pass-fd=x", "true"],
            &["stockade", "list", "org.example.App"],
            &["stockade", "info"],
            &["stockade", "kill"],
            &["stockade", "kill", "a", "b"],
            &["stockade", "enter", "a"],
            &["stockade", "ps", "a"],
        ] {
            assert_eq!(run(arguments.iter().map(OsString::from)), FAILED, "{arguments:?}");
        }
    }
}

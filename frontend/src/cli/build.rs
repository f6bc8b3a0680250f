// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade build`: its options, which are those of `flatpak build` (R236, R263), and what becomes of
//! them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::context::{self, OptionError};
use super::inheritance::inherited;
use super::run::FAILED;
use super::start::{self, Start, StartError};
use crate::bwrap::signals;
use crate::caller::{Caller, CallerError};
use crate::descriptor_limit;
use crate::exec::{self, ExecError, Passed};
use crate::flatpak::build::{self, BindError, BindMount, BuildError};
use crate::flatpak::context::Context;
use crate::flatpak::installation::Installations;
use crate::message;
use crate::sandbox::SandboxError;

/// Adds the options of `stockade build` to its command.
#[must_use]
pub fn arguments(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let command = command
        .override_usage("stockade build [OPTIONS] DIR [COMMAND [ARG...]]")
        .args_override_self(true)
        .arg(flag("runtime", "Build on the runtime rather than on the SDK").short('r'))
        .arg(flag("readonly", "Show what is built for reading only"))
        .arg(
            value("bind-mount", "DEST=SRC", "Mount SRC of this system at DEST, for writing")
                .value_parser(value_parser!(OsString))
                .action(ArgAction::Append),
        )
        .arg(
            value("build-dir", "DIRECTORY", "Start in this directory of the sandbox")
                .value_parser(value_parser!(OsString)),
        )
        .arg(value("sdk-dir", "NAME", "Use this directory of DIR as the SDK, if it is there [usr]"))
        .arg(value("metadata", "NAME", "Use this file of DIR as the metadata [metadata]"))
        .arg(flag("with-appdir", "Give it the data directory that the application will have"))
        .arg(flag("log-session-bus", "Tell every message on the session bus"))
        .arg(flag("log-system-bus", "Tell every message on the system bus"))
        .arg(flag("die-with-parent", "End when the caller ends").short('p'))
        .arg(flag("verbose", "Say what was left out").short('v'));
    context::arguments(command).arg(
        Arg::new("directory")
            .value_name("DIR")
            .required(true)
            .num_args(1..)
            .trailing_var_arg(true)
            .value_parser(value_parser!(OsString))
            .help("The build directory, then the command, or else a shell"),
    )
}

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Build(#[from] Box<BuildError>),
    #[error(transparent)]
    Inherit(#[from] ExecError),
    #[error(transparent)]
    Pass(#[from] SandboxError),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs `stockade build` and gives the status to exit with.
#[must_use]
pub fn run(matches: ArgMatches) -> u8 {
    match try_run(matches) {
        Ok(code) => code,
        Err(failure) => {
            message::error(&failure);
            FAILED
        }
    }
}

fn try_run(matches: ArgMatches) -> Result<u8, Failure> {
    // First of all: what is opened later would look like the caller's.
    let (numbers, mut left) = inherited(&matches, &[]);
    let passed = exec::inherit(&numbers)?;
    let ignored = signals::inherited().ignored;
    let caller = Caller::current()?;
    let given = context::read(&matches)?;
    let options = options(&matches, given.context)?;
    let die_with_parent = matches.get_flag("die-with-parent");
    let verbose = matches.get_flag("verbose");
    drop(matches);

    let limit = descriptor_limit::raise();
    let (installations, mut notices) = Installations::discover(&caller);
    notices.extend(given.notices);
    notices.append(&mut left);
    let mut plan = build::plan(options, &caller, &installations, notices).map_err(Box::new)?;
    let payload = &mut plan.sandbox.request.payload;
    payload.limits.extend(limit);
    // R169.
    payload.ignored_signals = ignored;
    for Passed { number, descriptor } in passed {
        plan.sandbox.pass(descriptor, number)?;
    }
    let start = Start { caller: &caller, die_with_parent, verbose, started: &|| () };
    Ok(start.run(plan)?)
}

/// What was typed besides permissions, as it is meant.
fn options(matches: &ArgMatches, context: Context) -> Result<build::Options, Failure> {
    let text = |name| matches.get_one::<String>(name).cloned();
    let mut words = matches.get_many::<OsString>("directory").into_iter().flatten().cloned();
    let binds = matches.get_many::<OsString>("bind-mount").into_iter().flatten();
    Ok(build::Options {
        directory: PathBuf::from(words.next().unwrap_or_default()),
        context,
        on_runtime: matches.get_flag("runtime"),
        read_only: matches.get_flag("readonly"),
        sdk_directory: text("sdk-dir"),
        metadata: text("metadata"),
        log: start::logged(matches),
        with_data: matches.get_flag("with-appdir"),
        start: matches.get_one::<OsString>("build-dir").map(PathBuf::from),
        binds: binds.map(|text| BindMount::parse(text)).collect::<Result<_, _>>()?,
        command: words.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> build::Options {
        let arguments = ["build"].iter().chain(arguments);
        let matches = super::arguments(Command::new("build")).try_get_matches_from(arguments);
        let matches = matches.unwrap();
        let given = context::read(&matches).unwrap();
        options(&matches, given.context).unwrap()
    }

    #[test]
    fn r234_options_end_at_the_directory() {
        let options = read(&[
            "-r",
            "--bind-mount=/x=y",
            "--bind-mount=/z=w",
            "work",
            "make",
            "-r",
            "--",
            "x",
        ]);
        assert!(options.on_runtime && !options.read_only);
        assert_eq!(options.binds.len(), 2);
        assert_eq!(options.directory, PathBuf::from("work"));
        assert_eq!(options.command, ["make", "-r", "--", "x"]);
        let options =
            read(&["--readonly", "--metadata=m", "--sdk-dir=s", "--build-dir=/x", "work"]);
        assert!(options.read_only && !options.on_runtime && options.command.is_empty());
        assert_eq!(
            (options.metadata.as_deref(), options.sdk_directory.as_deref()),
            (Some("m"), Some("s"))
        );
        assert_eq!(options.start, Some(PathBuf::from("/x")));
    }
}

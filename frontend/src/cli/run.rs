// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade run`: its options, which are those of `flatpak run` (R234-R239), and what becomes of
//! them.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::context::{self, OptionError};
use super::inheritance::inherited;
use super::installations;
use super::start::{self, Start, StartError};
use crate::bwrap::signals;
use crate::caller::{Caller, CallerError};
use crate::descriptor::{self, DescriptorError};
use crate::descriptor_limit;
use crate::exec::{self, ExecError, Passed};
use crate::flatpak::buses;
use crate::flatpak::choice::{self, RuntimeParts};
use crate::flatpak::files::{PassedError, PassedObject};
use crate::flatpak::installation::Installations;
use crate::flatpak::layout::base::Substitute;
use crate::flatpak::reference::{Arch, Branch, ReferenceError, Wanted};
use crate::flatpak::run::{self, RunError};
use crate::flatpak::sudo::{self, SudoError};
use crate::flatpak::tree::{Tree, TreeError};
use crate::message;
use crate::systemd::limit::LimitError;
use crate::systemd::unit::Scope;
use crate::systemd::{self, SystemdError};

/// The options that name descriptors by their numbers, which the application does not inherit.
const DESCRIPTORS: [&str; 5] = ["app-fd", "usr-fd", "bind-fd", "ro-bind-fd", "instance-id-fd"];

/// The status for everything that is not the application's own doing (R167).
pub const FAILED: u8 = 1;

/// Adds the options of `stockade run` to its command.
#[must_use]
pub fn arguments(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).value_parser(value_parser!(OsString)).help(help)
    };
    let number = |name: &'static str, help: &'static str| {
        let number = value_parser!(u32);
        Arg::new(name).long(name).value_name("FD").value_parser(number).help(help)
    };
    let command = command
        .args_override_self(true)
        .args(installations::arguments())
        .arg(value("arch", "ARCH", "Run the application for this architecture"))
        .arg(value("branch", "BRANCH", "Run this branch"))
        .arg(value("commit", "COMMIT", "Run this version"))
        .arg(value("command", "COMMAND", "Run this instead of the application's own command"))
        .arg(value("cwd", "DIRECTORY", "Start in this directory of the sandbox"))
        .arg(flag("devel", "Run on the SDK, with debuggers allowed").short('d'))
        .arg(value("runtime", "RUNTIME", "Run on this runtime"))
        .arg(value("runtime-version", "BRANCH", "Run on this branch of the runtime"))
        .arg(value("runtime-commit", "COMMIT", "Run on this version of the runtime"))
        .arg(flag("sandbox", "Take away every permission that the application has by itself"))
        .arg(flag("die-with-parent", "End when the caller ends").short('p'))
        .arg(flag("file-forwarding", "Show files named between @@ and @@ to the application"))
        .arg(flag("clear-env", "Start with an empty environment"))
        .arg(value("app-path", "DIRECTORY", "Use this in the place of the application's files"))
        .arg(number("app-fd", "The same, as a descriptor").conflicts_with("app-path"))
        .arg(value("usr-path", "DIRECTORY", "Use this in the place of the runtime's files"))
        .arg(number("usr-fd", "The same, as a descriptor").conflicts_with("usr-path"))
        .arg(number("bind-fd", "Show this object where it is").action(ArgAction::Append))
        .arg(number("ro-bind-fd", "The same, read-only").action(ArgAction::Append))
        .arg(number("instance-id-fd", "Write the number of the instance to this descriptor"))
        .arg(
            flag("session-bus", "Give a filtered session bus in --sandbox too")
                .overrides_with("no-session-bus"),
        )
        .arg(flag("no-session-bus", "Give no session bus").overrides_with("session-bus"))
        .arg(
            flag("a11y-bus", "Give a filtered accessibility bus in --sandbox too")
                .overrides_with("no-a11y-bus"),
        )
        .arg(flag("no-a11y-bus", "Give no accessibility bus").overrides_with("a11y-bus"))
        .arg(flag("log-session-bus", "Tell every message on the session bus"))
        .arg(flag("log-system-bus", "Tell every message on the system bus"))
        .arg(flag("log-a11y-bus", "Tell every message on the accessibility bus"))
        .arg(flag("no-documents-portal", "Give no access to the documents portal"))
        .arg(super::limit::argument())
        .arg(flag("verbose", "Say what was left out").short('v'));
    context::arguments(command).arg(
        Arg::new("application")
            .value_name("APPLICATION")
            .required(true)
            .num_args(1..)
            .trailing_var_arg(true)
            .value_parser(value_parser!(OsString))
            .help("The application to run, and its arguments"),
    )
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Sudo(#[from] SudoError),
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    #[error(transparent)]
    Passed(#[from] PassedError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Run(#[from] Box<RunError>),
    #[error(transparent)]
    Inherit(#[from] ExecError),
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error(transparent)]
    Systemd(#[from] SystemdError),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs `stockade run` and gives the status to exit with.
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
    let (numbers, mut left) = inherited(&matches, &DESCRIPTORS);
    let passed = exec::inherit(&numbers)?;
    let ignored = signals::inherited().ignored;
    let caller = Caller::current()?;
    sudo::refuse(&caller)?;
    let given = context::read(&matches)?;
    let mut words = matches.get_many::<OsString>("application").into_iter().flatten().cloned();
    let wanted = Wanted::parse(&words.next().unwrap_or_default())?;
    let arguments: Vec<_> = words.collect();
    let options = options(&matches, given.context, arguments)?;
    let instance_id = matches.get_one("instance-id-fd").copied().map(descriptor::inherited);
    let instance_id = instance_id.transpose()?;
    let limits = super::limit::read(&matches)?;
    let die_with_parent = matches.get_flag("die-with-parent");
    let verbose = matches.get_flag("verbose");
    drop(matches);

    let limit = descriptor_limit::raise();
    let (installations, mut notices) = Installations::discover(&caller);
    notices.extend(given.notices);
    notices.append(&mut left);
    let mut plan =
        run::plan(&wanted, options, &caller, &installations, notices).map_err(Box::new)?;
    let number = plan.instance.id.to_string();
    // R151: before there is a process that is to be in it.
    let scope = Scope::new("flatpak", OsStr::new(wanted.id.as_str()), &number);
    plan.notices.extend(systemd::join(&scope, &limits)?);
    let payload = &mut plan.sandbox.request.payload;
    payload.limits.extend(limit);
    // R169.
    payload.ignored_signals = ignored;
    for Passed { number, descriptor } in passed {
        plan.sandbox.pass(descriptor, number).map_err(|error| Box::new(RunError::from(error)))?;
    }
    let started = || {
        if let Some(descriptor) = &instance_id {
            tell(descriptor, &number);
        }
    };
    let start = Start { caller: &caller, die_with_parent, verbose, started: &started };
    Ok(start.run(plan)?)
}

/// R238. A reader that has gone does not want to know.
fn tell(descriptor: &OwnedFd, text: &str) {
    if let Ok(copy) = descriptor.try_clone() {
        std::fs::File::from(copy).write_all(text.as_bytes()).ok();
    }
}

/// What was typed besides permissions, as it is meant.
fn options(
    matches: &ArgMatches,
    context: crate::flatpak::context::Context,
    arguments: Vec<OsString>,
) -> Result<run::Options, Failure> {
    let text = |name| matches.get_one::<OsString>(name);
    let numbers = |name| matches.get_many::<u32>(name).into_iter().flatten().copied();
    let directory = |name| matches.get_one::<u32>(name).copied().map(descriptor::inherited);
    let choice = choice::Options {
        selection: installations::selection(matches),
        arch: text("arch").map(Arch::new).transpose()?,
        branch: text("branch").map(Branch::new).transpose()?,
        commit: text("commit").cloned(),
        runtime: text("runtime")
            .map(|text| RuntimeParts::parse(text))
            .transpose()?
            .unwrap_or_default(),
        runtime_version: text("runtime-version").map(Branch::new).transpose()?,
        runtime_commit: text("runtime-commit").cloned(),
        devel: matches.get_flag("devel"),
    };
    let app_instead = match (text("app-path"), directory("app-fd").transpose()?) {
        (Some(path), _) if path.is_empty() => Some(Substitute::Empty),
        (Some(path), _) => Some(Substitute::Tree(Tree::open(path.as_ref())?)),
        (None, Some(descriptor)) => Some(Substitute::Tree(Tree::adopt(&descriptor)?)),
        (None, None) => None,
    };
    let usr_instead = match (text("usr-path"), directory("usr-fd").transpose()?) {
        (Some(path), _) => Some(Tree::open(path.as_ref())?),
        (None, Some(descriptor)) => Some(Tree::adopt(&descriptor)?),
        (None, None) => None,
    };
    let mut passed = Vec::new();
    for (name, writable) in [("bind-fd", true), ("ro-bind-fd", false)] {
        for number in numbers(name) {
            let descriptor = descriptor::inherited(number)?;
            passed.push(PassedObject::new(number, &descriptor, writable)?);
        }
    }
    Ok(run::Options {
        choice,
        context,
        sandbox: matches.get_flag("sandbox"),
        command: text("command").cloned(),
        arguments,
        file_forwarding: matches.get_flag("file-forwarding"),
        no_documents_portal: matches.get_flag("no-documents-portal"),
        directory: text("cwd").map(PathBuf::from),
        clear_environment: matches.get_flag("clear-env"),
        app_instead,
        usr_instead,
        passed,
        buses: buses(matches),
    })
}

/// What was typed about buses.
fn buses(matches: &ArgMatches) -> buses::Options {
    let either = |yes, no| match (matches.get_flag(yes), matches.get_flag(no)) {
        (_, true) => Some(false),
        (true, false) => Some(true),
        (false, false) => None,
    };
    buses::Options {
        session: either("session-bus", "no-session-bus"),
        accessibility: either("a11y-bus", "no-a11y-bus"),
        log: start::logged(matches),
        verbose: matches.get_flag("verbose"),
    }
}

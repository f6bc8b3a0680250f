// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade enter`: runs a command in the sandbox of an application that runs (R259).

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command as Program, ExitStatus};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::PidfdFlags;

use crate::bwrap::inherit;
use crate::bwrap::signals::Forwarder;
use crate::caller::{Caller, CallerError};
use crate::flatpak::instance::entrance::{Entrance, EntranceError, Inside};
use crate::flatpak::instance::process::Process;
use crate::flatpak::instance::running::Running;
use crate::flatpak::instance::{InstanceError, Instances};
use crate::message::{self, shown};

/// Exit status if the command was not run, as with Flatpak (R167).
const FAILED: u8 = 1;

/// Why the command is not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnterError {
    /// There is no caller to speak of.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// Instances cannot be looked at.
    #[error(transparent)]
    Instances(#[from] InstanceError),
    /// Nothing of that name runs.
    #[error(
        "cannot enter '{}'\n\
         it is no number or process of an instance, and no application that runs\n\
         see 'stockade ps' for what runs",
        shown(name)
    )]
    NotRunning {
        /// As given.
        name: String,
    },
    /// The sandbox is closed.
    #[error(transparent)]
    Entrance(#[from] EntranceError),
    /// The command cannot be executed.
    #[error("cannot execute {}\n{reason}\nit has to be a program of the sandbox", shown(name))]
    Execute {
        /// As given.
        name: OsString,
        /// Why.
        reason: std::io::Error,
    },
    /// Signals cannot be passed on, or the command not be waited for.
    #[error("cannot follow the command\n{reason}")]
    Follow {
        /// Why.
        reason: String,
    },
}

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(
            Arg::new("instance")
                .value_name("INSTANCE")
                .required(true)
                .help("Number of an instance, name of an application, or a process"),
        )
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .required(true)
                .action(ArgAction::Append)
                .num_args(1..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(value_parser!(OsString))
                .help("Command of the sandbox, with its arguments"),
        )
}

/// Runs the command and gives the status to exit with: its own, or 128 and the signal that ended it.
pub(super) fn run(matches: &ArgMatches) -> u8 {
    inherit::note(&[]);
    // They are for this program; the sandbox is not to get them.
    inherit::open_numbers().into_iter().for_each(inherit::close);
    let name = matches.get_one::<String>("instance").map_or("", String::as_str);
    let command: Vec<&OsString> = matches.get_many("command").into_iter().flatten().collect();
    match enter(name, &command) {
        Ok(status) => exit_code(status),
        Err(error) => {
            message::error(&error);
            FAILED
        }
    }
}

fn enter(name: &str, command: &[&OsString]) -> Result<ExitStatus, EnterError> {
    let caller = Caller::current()?;
    let instances = Instances::open(&caller)?;
    let running = instances.map_or_else(Vec::new, |instances| instances.running());
    let found = find(running, name);
    let found = found.ok_or_else(|| EnterError::NotRunning { name: name.to_owned() })?;
    let entrance = Entrance::open(&found)?;
    drop(found);
    let inside = entrance.enter(caller.variable("TERM"))?;
    // Before there is a command that one might be for.
    let forwarder = Forwarder::start(true)
        .map_err(|_| EnterError::Follow { reason: "its signals cannot be had".into() })?;
    follow(start(&inside, command)?, &forwarder)
}

/// The instance of that name, number or process; of several of an application the first.
fn find(running: Vec<Running>, name: &str) -> Option<Running> {
    let pid: Option<u32> = name.parse().ok();
    let known = |one: &Running| pid.is_some() && (Some(one.pid) == pid || one.child() == pid);
    let is_called = |one: &Running| {
        one.id.to_string() == name || one.name().as_deref() == Some(name) || known(one)
    };
    // Any other process is known by where it is.
    let process = pid.and_then(|pid| Process::open(pid).ok()?);
    let inside = process.and_then(|process| process.namespace("pid").ok());
    let at = running.iter().position(is_called).or_else(|| {
        running.iter().position(|one| inside.is_some() && one.pid_namespace() == inside)
    });
    running.into_iter().nth(at?)
}

/// Starts the command in the sandbox that this process has entered.
fn start(inside: &Inside, command: &[&OsString]) -> Result<Child, EnterError> {
    let (name, arguments) = match command.split_first() {
        Some((name, arguments)) => (name.as_os_str(), arguments),
        None => (OsStr::new(""), &[][..]),
    };
    let mut failed = std::io::Error::from(std::io::ErrorKind::NotFound);
    for path in inside.candidates(name) {
        let mut program = Program::new(&path);
        program.arg0(name).args(arguments).env_clear();
        program.envs(inside.environment.iter().map(|(name, value)| (name, value)));
        match program.spawn() {
            Ok(child) => return Ok(child),
            // What may not be executed does not hide another one further on, as for execvp(3).
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => failed = error,
        }
    }
    Err(EnterError::Execute { name: name.to_owned(), reason: failed })
}

/// Passes signals on until the command has ended.
fn follow(mut child: Child, forwarder: &Forwarder) -> Result<ExitStatus, EnterError> {
    let failed = |errno: Errno| EnterError::Follow { reason: errno.to_string() };
    let pid = rustix::process::Pid::from_child(&child);
    // It is not waited for before its end, so the number is still its own.
    let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(failed)?;
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(forwarder.fd(), PollFlags::IN),
        ];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let [ended, signals] = fds;
        if !signals.revents().is_empty() {
            forwarder.pass_on(&handle);
        }
        if !ended.revents().is_empty() {
            let waited = child.wait();
            return waited.map_err(|error| EnterError::Follow { reason: error.to_string() });
        }
    }
}

/// The status to exit with (R167).
fn exit_code(status: ExitStatus) -> u8 {
    let signal = status.signal().and_then(|signal| u8::try_from(signal).ok());
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.or(signal.map(|signal| signal.saturating_add(128))).unwrap_or(FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r259_the_status_is_the_real_one() {
        assert_eq!(exit_code(ExitStatus::from_raw(42 << 8)), 42);
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }

    #[test]
    fn r259_commands_get_their_environment_and_nothing_else() {
        let environment = vec![("PATH".into(), "/nowhere:/bin".into()), ("A".into(), "b".into())];
        let inside = Inside { environment };
        let words = ["sh", "-c", "test \"$A$HOME\" = b && exit 42"].map(OsString::from);
        let command: Vec<&OsString> = words.iter().collect();
        let status = start(&inside, &command).unwrap().wait().unwrap();
        assert_eq!(exit_code(status), 42);
        for name in ["no-such-program", "", "/bin"] {
            let error = start(&inside, &[&OsString::from(name)]).unwrap_err();
            assert!(matches!(error, EnterError::Execute { .. }), "{name}");
        }
    }
}

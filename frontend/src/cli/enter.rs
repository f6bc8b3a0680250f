// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade enter`: runs a command in the sandbox of an application that runs (R259).

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::PidfdFlags;

use crate::bwrap::inherit;
use crate::bwrap::signals::Forwarder;
use crate::caller::{Caller, CallerError};
use crate::flatpak::instance::entrance::{Entrance, EntranceError, Inside};
use crate::flatpak::instance::process::Process;
use crate::flatpak::instance::running::{Init, Running};
use crate::flatpak::instance::{InstanceError, Instances};
use crate::message::{self, shown};

/// Exit status if the command was not run, as with Flatpak (R167).
const FAILED: u8 = 1;

/// What runs a script that does not say so itself, as for `execvp(3)`.
const SHELL: &CStr = c"/bin/sh";

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
        Ok(status) => status,
        Err(error) => {
            message::error(&error);
            FAILED
        }
    }
}

fn enter(name: &str, command: &[&OsString]) -> Result<u8, EnterError> {
    let caller = Caller::current()?;
    let instances = Instances::open(&caller)?;
    let running = instances.map_or_else(Vec::new, |instances| instances.running());
    let found = find(running, name);
    let found = found.ok_or_else(|| EnterError::NotRunning { name: name.to_owned() })?;
    let entrance = Entrance::open(&found)?;
    drop(found);
    let inside = entrance.enter(caller.variable("TERM"))?;
    // A broken pipe is blocked for this program alone.
    let mut mask = SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty());
    mask.remove(Signal::SIGPIPE);
    // Before there is a command that one might be for.
    let forwarder = Forwarder::start(true)
        .map_err(|_| EnterError::Follow { reason: "its signals cannot be had".into() })?;
    follow(start(&inside, command, &mask)?, &forwarder)
}

/// The instance of that name, number or process; of several of an application the first that is up.
fn find(running: Vec<Running>, name: &str) -> Option<Running> {
    let pid: Option<u32> = name.parse().ok();
    // A process is known by its number, or by where it is.
    let process = pid.and_then(|pid| Process::open(pid).ok()?);
    let inside = process.and_then(|process| process.namespace("pid").ok());
    let known = |one: &Running| pid.is_some() && (Some(one.pid) == pid || one.child() == pid);
    let holds = |one: &Running| inside.is_some() && one.pid_namespace() == inside;
    let is_called =
        |one: &Running| one.id.to_string() == name || one.name().as_deref() == Some(name);
    let mut found: Vec<Running> =
        running.into_iter().filter(|one| is_called(one) || known(one) || holds(one)).collect();
    // One that has ended is listed for some seconds.
    let up = found.iter().position(|one| matches!(one.init(), Ok(Init::Here(_)))).unwrap_or(0);
    (up < found.len()).then(|| found.swap_remove(up))
}

/// Starts the command in the sandbox that this process has entered, with this signal mask.
fn start(inside: &Inside, command: &[&OsString], mask: &SigSet) -> Result<Pid, EnterError> {
    let name = command.first().map_or(OsStr::new(""), |name| name.as_os_str());
    let failed = |errno: nix::errno::Errno| EnterError::Execute {
        name: name.to_owned(),
        reason: std::io::Error::from(errno),
    };
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| failed(nix::errno::Errno::EINVAL));
    let words = command.iter().map(|word| text(word.as_bytes()));
    let words: Vec<CString> = words.collect::<Result<_, _>>()?;
    let entries = inside
        .environment
        .iter()
        .map(|(name, value)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat()));
    let environment: Vec<CString> = entries.collect::<Result<_, _>>()?;

    let actions = PosixSpawnFileActions::init().map_err(failed)?;
    let mut attributes = PosixSpawnAttr::init().map_err(failed)?;
    attributes.set_sigmask(mask).map_err(failed)?;
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK).map_err(failed)?;
    let spawn = |program: &CStr, words: &[CString]| {
        posix_spawn(program, &actions, &attributes, words, &environment)
    };
    let mut reason = nix::errno::Errno::ENOENT;
    for path in inside.candidates(name) {
        let path = text(path.as_os_str().as_bytes())?;
        match spawn(&path, &words) {
            Ok(pid) => return Ok(pid),
            Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => {}
            // A script that does not say what runs it.
            Err(nix::errno::Errno::ENOEXEC) => {
                let arguments = words.iter().skip(1).cloned();
                let words: Vec<CString> =
                    [SHELL.to_owned(), path].into_iter().chain(arguments).collect();
                return spawn(SHELL, &words).map_err(failed);
            }
            // What may not be executed does not hide another one further on, as for execvp(3).
            Err(errno) => reason = errno,
        }
    }
    Err(failed(reason))
}

/// Passes signals on until the command has ended; gives the status to exit with.
fn follow(child: Pid, forwarder: &Forwarder) -> Result<u8, EnterError> {
    let failed = |errno: Errno| EnterError::Follow { reason: errno.to_string() };
    let pid = rustix::process::Pid::from_raw(child.as_raw()).ok_or_else(|| failed(Errno::SRCH))?;
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
            let waited = waitpid(child, None);
            let waited =
                waited.map_err(|errno| EnterError::Follow { reason: errno.to_string() })?;
            return Ok(exit_code(waited));
        }
    }
}

/// The status to exit with (R167).
fn exit_code(status: WaitStatus) -> u8 {
    match status {
        WaitStatus::Exited(_, code) => u8::try_from(code).unwrap_or(FAILED),
        WaitStatus::Signaled(_, signal, _) => {
            u8::try_from(signal as i32).unwrap_or_default().saturating_add(128)
        }
        // It was waited for its end.
        WaitStatus::Stopped(..)
        | WaitStatus::PtraceEvent(..)
        | WaitStatus::PtraceSyscall(_)
        | WaitStatus::Continued(_)
        | WaitStatus::StillAlive => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(script: &str, mask: &SigSet) -> u8 {
        let environment = vec![("PATH".into(), "/nowhere:/bin".into()), ("A".into(), "b".into())];
        let words = ["sh", "-c", script].map(OsString::from);
        let command: Vec<&OsString> = words.iter().collect();
        let child = start(&Inside { environment }, &command, mask).unwrap();
        exit_code(waitpid(child, None).unwrap())
    }

    #[test]
    fn r259_the_status_is_the_real_one() {
        let none = SigSet::empty();
        for (script, expected) in
            [("exit 42", 42), ("exit 0", 0), ("exit 255", 255), ("kill -TERM $$", 143)]
        {
            assert_eq!(status(script, &none), expected, "{script}");
        }
        // The mask is the one that was given.
        assert_eq!(status("kill -TERM $$; exit 3", &SigSet::from(Signal::SIGTERM)), 3);
    }

    #[test]
    fn r259_commands_get_their_environment_and_nothing_else() {
        assert_eq!(status("test \"$A$HOME\" = b", &SigSet::empty()), 0);
    }

    #[test]
    fn r259_instances_have_several_names() {
        use crate::flatpak::instance::Instances;
        use crate::flatpak::instance::tests::owner;
        use stockade_protocol::event::{Namespace, NamespaceId};

        let scratch = crate::filesystem::locate::tests::Scratch::new();
        let instances = Instances::create(&owner(&scratch)).unwrap();
        let own = Process::open(std::process::id()).unwrap().unwrap();
        let start = |pid, child, inode| {
            let one = instances.allocate().unwrap();
            one.write_info(b"[Application]\nname=org.example.App\n").unwrap();
            one.write_pid(pid).unwrap();
            one.write_started(child, &[NamespaceId { kind: Namespace::Pid, inode }]).unwrap();
            one
        };
        // Nobody has such numbers, `proc_sys_kernel(5)`.
        let (ended, other) = (u32::MAX, u32::MAX - 1);
        let first = start(ended, ended, 1);
        let up = start(other, own.pid(), own.namespace("pid").unwrap());
        let found = |name: &str| find(instances.running(), name).map(|one| one.id);
        assert_eq!(found("org.example.App"), Some(up.id()));
        assert_eq!(found(&first.id().to_string()), Some(first.id()));
        for pid in [ended, other] {
            let expected = if pid == ended { first.id() } else { up.id() };
            assert_eq!(found(&pid.to_string()), Some(expected));
        }
        assert_eq!(found(&own.pid().to_string()), Some(up.id()));
        // Another process in there.
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        assert_eq!(found(&child.id().to_string()), Some(up.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        for name in ["", "0", "org.example", "-1"] {
            assert_eq!(found(name), None, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_executed_is_said() {
        let inside = Inside { environment: vec![("PATH".into(), "/nowhere:/bin".into())] };
        for name in ["no-such-program", "", "/bin", "/bin/sh/x"] {
            let error = start(&inside, &[&OsString::from(name)], &SigSet::empty()).unwrap_err();
            assert!(matches!(error, EnterError::Execute { .. }), "{name}");
        }
    }

    #[test]
    fn scripts_without_a_first_line_are_the_shells() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = crate::filesystem::locate::tests::Scratch::new();
        let path = scratch.file("script", "exit $1\n");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (path, seven) = (path.into_os_string(), OsString::from("7"));
        let inside = Inside { environment: Vec::new() };
        let child = start(&inside, &[&path, &seven], &SigSet::empty()).unwrap();
        assert_eq!(exit_code(waitpid(child, None).unwrap()), 7);
    }
}

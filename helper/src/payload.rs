// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payload's process, from its fork to its exec.
//!
//! Nothing here has privilege any more. The caller's seccomp programs come last, when nothing is
//! left that they could make to look as if it had worked (T58).

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::Mode as Bits;
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, Signal};
use stockade_protocol::event::{Call, Failure, Mode, NamespaceId, Object, Stage};
use stockade_protocol::request::{Group, Payload};
use stockade_protocol::{Checked, Event, Request, codec};

use crate::Status;
use crate::caps::Cap;
use crate::descriptors::Descriptors;
use crate::fault::{failed, unheard};
use crate::init::{Seat, give_up};
use crate::report::send_all;
use crate::request::Job;
use crate::sys::payload::{Program, Strings, execve, install_filter, landlock_restrict_self};
use crate::sys::signal::{Disposition, LAST, mask_of, set_disposition, set_mask};
use crate::sys::start::exit;
use crate::sys::{fd, process};

/// The seccomp programs of the request as the kernel wants them.
pub(crate) fn filters(request: &Checked) -> Vec<Program> {
    request.get().payload.filters.iter().map(|filter| Program::new(filter.as_bytes())).collect()
}

/// Installs seccomp programs in this order, for good.
pub(crate) fn install(filters: &[Program]) -> Result<(), Failure> {
    for (index, filter) in (0_u32..).zip(filters) {
        let fail = failed(Stage::Start, Call::Seccomp, Object::Filter(index));
        install_filter(filter).map_err(fail)?;
    }
    Ok(())
}

/// Becomes the payload. `init` is the process that forked it, if that is not the payload itself.
pub(crate) fn run(seat: Seat, channel: &OwnedFd, init: Option<Pid>) -> ! {
    let Seat { job, user_namespace } = seat;
    let Job { mode, caps, request, descriptors, .. } = job;
    let Request { namespaces, payload, supervision, .. } = request.get();
    let mut targets: Vec<u32> = payload.pass.iter().map(|pass| pass.target).collect();
    targets.sort_unstable();
    // Above every target first, so that none overwrites what another still needs.
    let free = targets.last().map_or(STDIO, |last| last.saturating_add(1)).max(STDIO);
    let copy = fd::dup_above(channel.as_fd(), free);
    let channel = copy
        .map_err(failed(Stage::Start, Call::Dup, Object::None))
        .unwrap_or_else(|failure| give_up(channel.as_fd(), &failure));
    let (landlock, gates) = arrange(request.get(), descriptors, targets, free)
        .unwrap_or_else(|failure| give_up(channel.as_fd(), &failure));
    let prepare = || -> Result<CString, Failure> {
        let fail = |call| failed(Stage::Start, call, Object::None);
        if let (true, Some(init)) = (supervision.end_with_caller, init) {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                .map_err(fail(Call::Prctl))?;
            // Init may have gone before that took effect.
            if rustix::process::getppid() != Some(init) {
                exit(Status::Failed);
            }
        }
        join_group(payload.group).map_err(fail(Call::Setpgid))?;
        rustix::process::umask(Bits::from_raw_mode(payload.umask));
        let directory = enter_directory(payload)?;
        let gates = supervision.gates.iter().zip(&gates);
        if mode == Mode::Unprivileged && gates.len() > 0 && !namespaces.user.is_given() {
            // While it waits, tools of the caller's attach to its namespaces. It is nobody's but the
            // caller's here, and no payload runs yet that could look at it (T28). Where others run,
            // the caller owns the user namespace, and that is enough.
            rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)
                .map_err(fail(Call::Prctl))?;
        }
        started(&channel, user_namespace).map_err(|(call, errno)| fail(call)(errno))?;
        for (gate, fd) in gates {
            wait_at(fd, gate.end_opens).map_err(fail(Call::Read))?;
        }
        set_signals(payload).map_err(fail(Call::Sigaction))?;
        Ok(directory)
    };
    let directory = prepare().unwrap_or_else(|failure| give_up(channel.as_fd(), &failure));

    // Everything that allocates is done before the limits and filters of the payload bind.
    let pwd = [b"PWD=", directory.as_bytes()].concat();
    let pwd = CString::new(pwd).ok().filter(|_| payload.set_pwd);
    let environment = payload.environment.iter().map(|entry| entry.as_c_str());
    let environment = Strings::new(environment.chain(pwd.as_deref()));
    let arguments = payload.arguments.iter().map(|text| text.as_c_str());
    let mut script = Script::new(payload, arguments.clone());
    let arguments = Strings::new(arguments);
    let filters = filters(&request);

    let confine = || -> Result<(), Failure> {
        let fail = |call| failed(Stage::Start, call, Object::None);
        caps.hand_over(Cap::from_bits_retain(payload.capabilities)).map_err(fail(Call::Capset))?;
        set_limits(payload)?;
        if let Some(ruleset) = &landlock {
            landlock_restrict_self(ruleset.as_fd()).map_err(fail(Call::LandlockRestrictSelf))?;
        }
        install(&filters)
    };
    if let Err(failure) = confine() {
        give_up(channel.as_fd(), &failure);
    }
    // I4: the only exec.
    let (index, errno) = execute(payload, &arguments, &mut script, &environment);
    let fail = failed(Stage::Start, Call::Execve, Object::Program(index));
    give_up(channel.as_fd(), &fail(errno))
}

/// Puts the descriptors of the payload where they are wanted, going through numbers from `free` on;
/// the next exec closes every other one (I14, T20). Gives back the Landlock ruleset and the gates.
fn arrange(
    request: &Request,
    mut descriptors: Descriptors,
    targets: Vec<u32>,
    free: u32,
) -> Result<(Option<OwnedFd>, Vec<OwnedFd>), Failure> {
    let payload = &request.payload;
    let fail = failed(Stage::Start, Call::Dup, Object::None);
    let above = |fd: BorrowedFd<'_>| fd::dup_above(fd, free).map_err(&fail);
    let mut take = |index| above(descriptors.take(index).map_err(&fail)?.as_fd());
    let landlock = payload.landlock.map(&mut take).transpose()?;
    let gates =
        request.supervision.gates.iter().map(|gate| take(gate.source)).collect::<Result<_, _>>()?;
    let sources = payload.pass.iter().map(|pass| Ok((take(pass.source)?, pass.target)));
    let sources: Vec<_> = sources.collect::<Result<_, Failure>>()?;
    // What came with the request and was copied is closed here, below and among the targets.
    drop(descriptors);
    for (source, target) in &sources {
        fd::dup_to(source.as_fd(), *target).map_err(&fail)?;
    }

    for (from, to) in fd::gaps(STDIO, targets) {
        let closing = failed(Stage::Start, Call::CloseRange, Object::None);
        fd::close_range_on_exec(from, to).map_err(closing)?;
    }
    Ok((landlock, gates))
}

/// Waits for one byte, or the end where that will do. Nothing is left here that a byte could misuse:
/// the process has the rights of the payload (I9).
fn wait_at(gate: &OwnedFd, end_opens: bool) -> Result<(), Errno> {
    loop {
        match retry_on_intr(|| rustix::io::read(gate, &mut [0_u8; 1])) {
            Ok(0) if !end_opens => return Err(Errno::PIPE),
            Ok(_) => return Ok(()),
            Err(Errno::AGAIN) => {
                // Whether it waits is up to whoever has the same open file.
                let mut fds = [PollFd::new(gate, PollFlags::IN)];
                unheard(rustix::event::poll(&mut fds, None));
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// The first number that is not stdin, stdout or stderr.
const STDIO: u32 = 3;

/// Process group and session (I14). In a group of its own, the payload can signal nobody outside
/// through it, and the terminal's keys reach it (T65).
fn join_group(group: Group) -> Result<(), Errno> {
    match group {
        Group::Inherit => Ok(()),
        Group::Session => rustix::process::setsid().map(drop),
        Group::Own { terminal } => {
            rustix::process::setpgid(None, None)?;
            let Some(number) = terminal else { return Ok(()) };
            // Changing the foreground group from the background would stop us.
            set_mask(mask_of(libc::SIGTTOU))?;
            let pid = rustix::process::getpid();
            match number {
                0 => rustix::termios::tcsetpgrp(rustix::stdio::stdin(), pid),
                1 => rustix::termios::tcsetpgrp(rustix::stdio::stdout(), pid),
                _ => rustix::termios::tcsetpgrp(rustix::stdio::stderr(), pid),
            }
        }
    }
}

/// Enters the first working directory that can be entered, as the caller, inside (T21).
fn enter_directory(payload: &Payload) -> Result<CString, Failure> {
    let mut first = failed(Stage::Start, Call::Chdir, Object::None)(Errno::NOENT);
    for (index, directory) in (0_u32..).zip(&payload.directories) {
        let fail = failed(Stage::Start, Call::Chdir, Object::Directory(index));
        match rustix::process::chdir(directory.as_c_str()).map_err(fail) {
            Ok(()) => return Ok(directory.as_c_str().to_owned()),
            Err(failure) if index == 0 => first = failure,
            Err(_) => {}
        }
    }
    Err(first)
}

/// Sets what the payload blocks and ignores. Everything else has been at its default since the
/// helper was started, but for SIGXFSZ.
fn set_signals(payload: &Payload) -> Result<(), Errno> {
    set_disposition(libc::SIGXFSZ, Disposition::Default)?;
    for signal in (1..=LAST).filter(|signal| payload.ignored_signals & mask_of(*signal) != 0) {
        set_disposition(signal, Disposition::Ignore)?;
    }
    set_mask(payload.blocked_signals)
}

/// Sets the resource limits of the request.
fn set_limits(payload: &Payload) -> Result<(), Failure> {
    for (index, limit) in (0_u32..).zip(&payload.limits) {
        let fail = failed(Stage::Start, Call::Setrlimit, Object::Limit(index));
        process::set_limit(limit.resource, limit.soft, limit.hard).map_err(fail)?;
    }
    Ok(())
}

/// Tells the monitor that the payload is about to run, with a pidfd of it. The kernel adds the pid
/// as the monitor sees it, and the monitor the rest.
fn started(channel: &OwnedFd, user_namespace: Option<NamespaceId>) -> Result<(), (Call, Errno)> {
    let pidfd = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
        .map_err(|errno| (Call::PidfdOpen, errno))?;
    let namespaces = user_namespace.into_iter().collect();
    let event = Event::Started { payload: 0, init: 0, namespaces };
    let bytes = codec::encode_event(&event).map_err(|_| (Call::Sendmsg, Errno::MSGSIZE))?;
    send_all(channel, &bytes, Some(pidfd.as_fd())).map_err(|errno| (Call::Sendmsg, errno))
}

/// Tries the candidates in order, with the rules of `execvp(3)`: what is not there is passed over,
/// what may not be executed is remembered, anything else is final.
fn execute<'a>(
    payload: &'a Payload,
    arguments: &Strings<'_>,
    script: &mut Script<'a>,
    environment: &Strings<'_>,
) -> (u32, Errno) {
    let mut result = (0, Errno::NOENT);
    for (index, program) in (0_u32..).zip(&payload.programs) {
        match execve(program.as_c_str(), arguments, environment) {
            Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::NODEV | Errno::TIMEDOUT => {}
            Errno::ACCESS => result = (index, Errno::ACCESS),
            Errno::NOEXEC => return (index, script.interpret(program.as_c_str(), environment)),
            errno => return (index, errno),
        }
    }
    result
}

/// How a script without `#!` would be run: the interpreter, the script, the payload's arguments.
struct Script<'a> {
    interpreter: Option<&'a CStr>,
    arguments: Strings<'a>,
}

impl<'a> Script<'a> {
    fn new(payload: &'a Payload, arguments: impl Iterator<Item = &'a CStr>) -> Self {
        let interpreter = payload.interpreter.as_ref().map(|program| program.as_c_str());
        let name = interpreter.unwrap_or_default();
        let arguments = [name, name].into_iter().chain(arguments.skip(1));
        Self { interpreter, arguments: Strings::new(arguments) }
    }

    fn interpret(&mut self, script: &'a CStr, environment: &Strings<'_>) -> Errno {
        let Some(interpreter) = self.interpreter else { return Errno::NOEXEC };
        self.arguments.replace(1, script);
        execve(interpreter, &self.arguments, environment)
    }
}

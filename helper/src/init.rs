// SPDX-License-Identifier: MIT OR Apache-2.0
//! Init: the first process of the sandbox, and parent of the payload.
//!
//! It holds no capability, cannot be traced by the payload (I9, T34), and does nothing but reap. Of
//! descriptors it holds its end of the channel, and what the caller asked it to keep open: that is
//! for others to see when the sandbox has ended, and never anything that gives a right.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode as Bits, ResolveFlags};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};
use stockade_protocol::event::{Call, Exit, Failure, NamespaceId, Object, Stage};
use stockade_protocol::request::{Init, Supervision};
use stockade_protocol::{Event, codec};

use crate::Status;
use crate::caps::{Cap, Caps};
use crate::destination::OPEN;
use crate::fault::{failed, unheard};
use crate::namespaces::Inside;
use crate::payload;
use crate::relinquish::follow_parent;
use crate::request::Job;
use crate::sys::payload::Program;
use crate::sys::process::fork;
use crate::sys::start::exit;
use crate::sys::{fd, signal};

/// Init without privilege, in a finished sandbox.
pub(crate) struct Seat {
    /// Its capabilities are the payload's, its descriptors what the payload inherits and its Landlock
    /// ruleset.
    pub(crate) job: Job,
    /// The user namespace that was made, if one was: only who is in it can tell which it is.
    pub(crate) user_namespace: Option<NamespaceId>,
}

/// The stages in init, in order.
pub(crate) fn begin(inside: Inside, channel: OwnedFd) -> ! {
    // Whatever the request says: an unfinished sandbox ends with those who asked for it (I13).
    if let Err(errno) = follow_parent(true, &channel) {
        let failure = failed(Stage::Build, Call::Prctl, Object::None)(errno);
        give_up(channel.as_fd(), &failure);
    }
    let seat = inside.build_root().and_then(|built| built.relinquish(&channel));
    match seat {
        Ok(seat) => seat.supervise(&channel),
        Err(failure) => give_up(channel.as_fd(), &failure),
    }
}

impl Seat {
    /// Starts the payload, and stays as init where there is to be one.
    fn supervise(mut self, channel: &OwnedFd) -> ! {
        let Supervision { end_with_payload, init, .. } = self.job.request.get().supervision;
        let filters = payload::filters(&self.job.request);
        let held = hold(&mut self.job).unwrap_or_else(|fault| give_up(channel.as_fd(), &fault));
        if init == Init::Payload {
            payload::run(self, channel, None);
        }
        let init = rustix::process::getpid();
        let failure = match fork() {
            Ok(None) => payload::run(self, channel, Some(init)),
            Ok(Some(child)) => match isolate(channel, &held, &filters) {
                Ok(()) => reap(channel.as_fd(), child, end_with_payload),
                Err(failure) => failure,
            },
            Err(errno) => failed(Stage::Start, Call::Clone, Object::None)(errno),
        };
        give_up(channel.as_fd(), &failure)
    }
}

/// Takes what init holds as long as it runs: the descriptors, and the locks before there is a
/// payload that relies on them. The files are opened with the payload's rights, inside.
fn hold(job: &mut Job) -> Result<Vec<OwnedFd>, Failure> {
    let Supervision { locks, held, .. } = &job.request.get().supervision;
    let fail = failed(Stage::Start, Call::Dup, Object::None);
    let held = held.iter().map(|fd| job.descriptors.take(*fd).map_err(&fail));
    let mut kept = held.collect::<Result<Vec<_>, _>>()?;
    for (index, path) in (0_u32..).zip(locks) {
        let object = Object::Lock(index);
        let within = ResolveFlags::NO_MAGICLINKS;
        let file = rustix::fs::openat2(CWD, path.as_c_str(), OPEN, Bits::empty(), within)
            .map_err(failed(Stage::Start, Call::Open, object))?;
        fd::lock_shared(file.as_fd()).map_err(failed(Stage::Start, Call::Dup, object))?;
        kept.push(file);
    }
    Ok(kept)
}

/// Gives up what only the payload needs: every descriptor but the channel and what is held, every
/// capability.
fn isolate(channel: &OwnedFd, held: &[OwnedFd], filters: &[Program]) -> Result<(), Failure> {
    let fail = |call| failed(Stage::Start, call, Object::None);
    Caps::keep(Cap::empty()).and_then(Caps::give_up).map_err(fail(Call::Capset))?;
    // No signal of the terminal ends the sandbox; SIGKILL and the death of the caller do.
    signal::set_mask(u64::MAX).map_err(fail(Call::Sigaction))?;
    let kept = std::iter::once(channel).chain(held).map(AsFd::as_fd);
    fd::close_all_but(kept).map_err(fail(Call::CloseRange))?;
    // The same filters as the payload's (T34), now that nothing is left but to wait.
    payload::install(filters)
}

/// Waits for children until there is nothing left to do. Comes back only with a failure.
fn reap(channel: BorrowedFd<'_>, payload: Pid, end_with_payload: bool) -> Failure {
    loop {
        match rustix::process::wait(WaitOptions::UNTRACED) {
            Ok(Some((pid, status))) if pid == payload => {
                if let Some(signal) = status.stopping_signal() {
                    tell(channel, &Event::Stopped { signal: signal.unsigned_abs() });
                } else {
                    tell(channel, &Event::Exited(exit_of(status)));
                    if end_with_payload {
                        exit(Status::Done);
                    }
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::CHILD) => exit(Status::Done),
            Err(errno) => return failed(Stage::Start, Call::Wait, Object::None)(errno),
        }
    }
}

/// How a process ended.
pub(crate) fn exit_of(status: WaitStatus) -> Exit {
    let byte = |value: i32| u8::try_from(value).ok();
    let code = status.exit_status().and_then(byte).map(Exit::Code);
    let signal = status.terminating_signal().and_then(byte).map(Exit::Signal);
    code.or(signal).unwrap_or(Exit::Lost)
}

/// Says why there will be no payload, and ends.
pub(crate) fn give_up(channel: BorrowedFd<'_>, failure: &Failure) -> ! {
    tell(channel, &Event::Failed(*failure));
    exit(Status::Failed)
}

/// Sends an event to the monitor. If it has gone, there is nobody to tell.
pub(crate) fn tell(channel: BorrowedFd<'_>, event: &Event) {
    if let Ok(bytes) = codec::encode_event(event) {
        // Not send(2): init says how the payload ended under the payload's own filters, which allow
        // this call if any. SIGPIPE ends a process that has nobody to tell, or is blocked.
        unheard(rustix::io::write(channel, &bytes));
    }
}

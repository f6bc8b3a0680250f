// SPDX-License-Identifier: MIT OR Apache-2.0
//! The monitor: the process that stays outside, without privilege, and reports.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use stockade_protocol::event::{Call, Exit, Namespace, NamespaceId, Object, Stage};
use stockade_protocol::request::{Init, Supervision};
use stockade_protocol::{Event, codec, limits};

use crate::Status;
use crate::fault::{failed, unheard};
use crate::init::exit_of;
use crate::patience::{Deadline, First, wait_for};
use crate::procfs::Procfs;
use crate::report::Report;
use crate::sys::{fd, signal};

/// A sandbox whose first process runs, and a process without any privilege.
pub(crate) struct Ready {
    pub(crate) init: Pid,
    pub(crate) parent: Option<Pid>,
    pub(crate) channel: OwnedFd,
    pub(crate) procfs: Procfs,
    pub(crate) made: Vec<Namespace>,
    pub(crate) supervision: Supervision,
    pub(crate) deadline: Deadline,
}

/// A message from init or the payload, with its sender and a pidfd if they came along.
type Message = (Event, Option<Pid>, Option<OwnedFd>);

impl Ready {
    /// Passes events on until the payload has ended or the caller has gone.
    pub(crate) fn run(self, mut report: Report) -> Status {
        // The terminal's signals are for the payload; what ends the monitor is SIGKILL, the death of
        // the caller, or the end of the sandbox. Should this fail, a signal ends it all the same.
        unheard(signal::set_mask(u64::MAX));
        // The payload's stdin, stdout and stderr are not ours to hold open.
        unheard(fd::close_range(0, 2));
        self.pass_on(&mut report)
    }

    fn pass_on(&self, report: &mut Report) -> Status {
        let (mut running, mut stopped) = (false, false);
        loop {
            // Until there is a payload, the sandbox ends with those who asked for it in any case.
            let late = if running { None } else { Some(self.deadline) };
            if self.supervision.end_with_caller || !running {
                match wait_for(self.channel.as_fd(), report.socket().as_fd(), late) {
                    First::Message => {}
                    First::CallerGone => return self.end(),
                    First::Late => {
                        self.end();
                        return self.unfinished(report, Errno::TIMEDOUT);
                    }
                }
            }
            let (event, sender, pidfd) = match self.receive() {
                Ok(Some(message)) => message,
                Ok(None) if running => return self.lost(report),
                Ok(None) => return self.unfinished(report, Errno::CANCELED),
                Err(_) => return self.end(),
            };
            let (event, last) = match event {
                Event::Started { namespaces, .. } => {
                    running = true;
                    (self.started(sender, namespaces), None)
                }
                Event::Exited(exit) => {
                    if self.supervision.end_with_payload {
                        self.see_init_end(report, None);
                    }
                    (Event::Exited(exit), Some(Status::Done))
                }
                Event::Failed(failure) => {
                    self.see_init_end(report, Some(Deadline::in_seconds(5)));
                    (Event::Failed(failure), Some(Status::Failed))
                }
                Event::Stopped { signal } => {
                    stopped = true;
                    (Event::Stopped { signal }, None)
                }
                // Init and the payload say nothing else.
                Event::Missing(_) => {
                    report.note(&event);
                    continue;
                }
                Event::Unsupported { .. } | Event::Refused(_) | Event::Ready { .. } => continue,
            };
            let sent = report.send(&event, pidfd.as_ref().map(AsFd::as_fd));
            match last {
                Some(status) => {
                    if stopped {
                        self.wake_caller(report.socket().as_fd());
                    }
                    // Others may live on below init. What ends with the caller ends with us.
                    let rest = status == Status::Done
                        && self.supervision.end_with_caller
                        && !self.supervision.end_with_payload;
                    if rest && self.wait_for_init(report, None) != Ok(First::Message) {
                        return self.end();
                    }
                    return status;
                }
                None if sent.is_err() && self.supervision.end_with_caller => return self.end(),
                None => {}
            }
        }
    }

    /// Takes the next message. None when there will be none any more; an error if it is no event,
    /// which init and the payload never send.
    fn receive(&self) -> Result<Option<Message>, Errno> {
        let mut buffer = vec![0; limits::EVENT_BYTES];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = retry_on_intr(|| {
            let mut buffers = [IoSliceMut::new(&mut buffer)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            rustix::net::recvmsg(&self.channel, &mut buffers, &mut control, flags)
        })?;
        if message.bytes == 0 {
            return Ok(None);
        }
        let bytes = buffer.get(..message.bytes).unwrap_or_default();
        let event = codec::decode_event(bytes).map_err(|_| Errno::BADMSG)?;
        let (mut sender, mut pidfd) = (None, None);
        for item in control.drain() {
            match item {
                RecvAncillaryMessage::ScmRights(mut descriptors) => pidfd = descriptors.next(),
                RecvAncillaryMessage::ScmCredentials(credentials) => sender = Some(credentials.pid),
                _ => {}
            }
        }
        Ok(Some((event, sender, pidfd)))
    }

    /// What is known here about the start of the payload.
    fn started(&self, sender: Option<Pid>, known: Vec<NamespaceId>) -> Event {
        let number = |pid: Pid| pid.as_raw_nonzero().get().unsigned_abs();
        let namespaces = self.made.iter().filter_map(|kind| {
            // The monitor itself is in the old one.
            let name = if *kind == Namespace::Pid { "pid_for_children" } else { kind.name() };
            let inode = self.procfs.namespace(name).ok()?;
            Some(NamespaceId { kind: *kind, inode })
        });
        Event::Started {
            payload: sender.map_or(0, number),
            init: number(self.init),
            namespaces: namespaces.chain(known).collect(),
        }
    }

    /// Init ended without a word, or is the payload itself and will not speak again.
    fn lost(&self, report: &mut Report) -> Status {
        let ends = self.supervision.end_with_caller;
        if ends && self.wait_for_init(report, None) != Ok(First::Message) {
            return self.end();
        }
        let exit = match rustix::process::waitpid(Some(self.init), WaitOptions::empty()) {
            Ok(Some((_, status))) => exit_of(status),
            Ok(None) | Err(_) => Exit::Lost,
        };
        let exit = match exit {
            Exit::Code(_) if self.supervision.init == Init::Reaper => Exit::Lost,
            Exit::Code(_) | Exit::Signal(_) | Exit::Lost => exit,
        };
        // Whether anybody hears it or not, this is the end.
        unheard(report.send(&Event::Exited(exit), None));
        Status::Done
    }

    /// Init ended before there was a payload.
    fn unfinished(&self, report: &mut Report, errno: Errno) -> Status {
        // What hangs in a file system may not even heed SIGKILL.
        self.see_init_end(report, Some(Deadline::in_seconds(1)));
        let failure = failed(Stage::Build, Call::Wait, Object::None)(errno);
        unheard(report.send(&Event::Failed(failure), None));
        Status::Failed
    }

    /// Waits until init has ended, which is a message, until the caller has gone, or it is late.
    fn wait_for_init(&self, report: &Report, deadline: Option<Deadline>) -> Result<First, Errno> {
        // Our child, not waited for yet: the pid is still its own.
        let pidfd = rustix::process::pidfd_open(self.init, PidfdFlags::empty())?;
        Ok(wait_for(pidfd.as_fd(), report.socket().as_fd(), deadline))
    }

    /// Waits until init, and with it everything in its pid namespace, is gone (I13): when the
    /// frontend hears of the end, nothing is left. Should that take too long, or nobody listen any
    /// more, init is killed; what hangs in a call to a file system may be there for longer.
    fn see_init_end(&self, report: &Report, deadline: Option<Deadline>) {
        match self.wait_for_init(report, deadline) {
            Ok(First::Message) => {}
            Err(_) if deadline.is_none() => {}
            Ok(First::CallerGone | First::Late) | Err(_) => {
                self.end();
                return;
            }
        }
        unheard(rustix::process::waitpid(Some(self.init), WaitOptions::empty()));
    }

    /// The caller has gone, and takes the sandbox along.
    fn end(&self) -> Status {
        // Init is our child and was not waited for, so its pid is still its own. If it has ended
        // already, there is nothing to do.
        unheard(rustix::process::kill_process(self.init, Signal::KILL));
        Status::Failed
    }

    /// Continues the caller, which may have stopped itself with its payload and would not hear of the
    /// end. More than once, because it may be about to stop just now; until it hangs up, or for two
    /// seconds.
    fn wake_caller(&self, caller: BorrowedFd<'_>) {
        const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        for _ in 0..40 {
            let Some(parent) = self.parent.filter(|_| rustix::process::getppid() == self.parent)
            else {
                return;
            };
            unheard(rustix::process::kill_process(parent, Signal::CONT));
            let mut fds = [PollFd::from_borrowed_fd(caller, PollFlags::empty())];
            match rustix::event::poll(&mut fds, Some(&PAUSE)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The controlling terminal and job control.
//!
//! The payload runs in a process group of its own (I14). Where it is the only thing the terminal is
//! for, its group becomes the foreground group at once, and the terminal's keys reach it without
//! us. In a pipeline the others need the terminal as well: there our group stays in the foreground,
//! the keys are passed on, and the payload gets the terminal when it asks for it. Towards the shell
//! we stand for the payload: we stop when it stops, and continue it when we are continued.

use std::os::fd::{BorrowedFd, OwnedFd};

use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::unistd::Pid;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::stdio::{stderr, stdin, stdout};

/// The controlling terminal.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    number: u32,
}

impl Terminal {
    /// The controlling terminal, if it is one of descriptors 0 to 2.
    #[must_use]
    pub fn find() -> Option<Self> {
        (0..=2).map(|number| Self { number }).find(|terminal| terminal.foreground().is_some())
    }

    /// Which descriptor it is.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    fn fd(&self) -> BorrowedFd<'static> {
        match self.number {
            0 => stdin(),
            1 => stdout(),
            _ => stderr(),
        }
    }

    /// The foreground group; none if this is not our controlling terminal.
    fn foreground(&self) -> Option<rustix::process::Pid> {
        rustix::termios::tcgetpgrp(self.fd()).ok()
    }

    /// Whether our process group is the foreground group.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.foreground() == Some(rustix::process::getpgrp())
    }

    /// Whether it is ours and nobody else's: we were not started into somebody's group, and nothing
    /// stands before or behind us in a pipeline.
    #[must_use]
    pub fn is_ours_alone(&self) -> bool {
        let leads = rustix::process::getpgrp() == rustix::process::getpid();
        let ends = [Self { number: 0 }, Self { number: 1 }];
        self.is_ours() && leads && ends.iter().all(|end| end.foreground().is_some())
    }

    /// Makes `group` the foreground group. SIGTTOU is blocked, or it would stop us.
    fn give(&self, group: rustix::process::Pid) {
        rustix::termios::tcsetpgrp(self.fd(), group).ok();
    }

    /// Gives the terminal to the payload, if it is ours to give.
    pub fn hand_over(&self, payload: u32) {
        let group = i32::try_from(payload).ok().and_then(rustix::process::Pid::from_raw);
        if let (true, Some(group)) = (self.is_ours(), group) {
            self.give(group);
        }
    }

    /// Takes the terminal back from the payload, or from a group of the sandbox that is gone;
    /// nobody else's is touched.
    pub fn take_back(&self, payload: u32) {
        let Some(group) = self.foreground() else { return };
        let group = group.as_raw_nonzero().get();
        let gone = killpg(Pid::from_raw(group), None) == Err(nix::errno::Errno::ESRCH);
        if gone || group.unsigned_abs() == payload {
            self.give(rustix::process::getpgrp());
        }
    }
}

/// Whether a stop with this signal asks for the terminal: reading or writing from the background.
#[must_use]
pub fn asks_for_terminal(signal: u32) -> bool {
    is(signal, Signal::SIGTTIN) || is(signal, Signal::SIGTTOU)
}

fn is(number: u32, signal: Signal) -> bool {
    u32::try_from(signal as i32) == Ok(number)
}

/// Who stops with the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Our whole group: the terminal's keys went to the payload instead of us.
    Group,
    /// This process: the others got the key themselves, or there was none.
    Process,
}

/// Stops as the payload was stopped, and comes back when continued.
pub fn stop_like(signal: u32, job: Job) {
    if is(signal, Signal::SIGSTOP) {
        kill(nix::unistd::getpid(), Signal::SIGSTOP).ok();
        return;
    }
    // Not SIGSTOP: the kernel drops SIGTSTP where no shell could continue us.
    let unblocked = SigSet::from(Signal::SIGTSTP);
    match job {
        Job::Group => killpg(nix::unistd::getpgrp(), Signal::SIGTSTP).ok(),
        Job::Process => kill(nix::unistd::getpid(), Signal::SIGTSTP).ok(),
    };
    unblocked.thread_unblock().ok();
    unblocked.thread_block().ok();
}

/// Sends a signal to the payload's process group.
pub fn signal_group(payload: u32, signal: Signal) {
    if let Some(group) = i32::try_from(payload).ok().filter(|group| *group > 1) {
        killpg(Pid::from_raw(group), signal).ok();
    }
}

/// The terminal on stdout, opened by the name it has here, which proves that the user may. A
/// terminal from elsewhere, as in a container, has no name and cannot be bound.
#[must_use]
pub fn console() -> Option<OwnedFd> {
    let stdout = std::io::stdout();
    if !rustix::termios::isatty(&stdout) {
        return None;
    }
    let name = rustix::termios::ttyname(&stdout, Vec::new()).ok()?;
    let flags = OFlags::RDWR.union(OFlags::NOCTTY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
    rustix::fs::openat(CWD, &name, flags, Mode::empty()).ok()
}

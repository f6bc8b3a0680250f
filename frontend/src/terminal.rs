// SPDX-License-Identifier: MIT OR Apache-2.0
//! The controlling terminal and job control.
//!
//! The payload runs in a process group of its own, the terminal's foreground group while it runs
//! (I14), so the terminal's keys reach it and not us. Towards the shell we stand for it: we stop
//! when it stops, and continue it when we are continued.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::unistd::Pid;
use rustix::stdio::{stderr, stdin, stdout};

/// The terminal that was handed to the payload.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    number: u32,
}

impl Terminal {
    /// The controlling terminal among descriptors 0 to 2, if this process is in its foreground.
    #[must_use]
    pub fn find() -> Option<Self> {
        (0..=2).map(|number| Self { number }).find(Self::is_ours)
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

    /// Whether our process group is the foreground group.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        let ours = rustix::process::getpgrp();
        rustix::termios::tcgetpgrp(self.fd().as_fd()).is_ok_and(|group| group == ours)
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
        let Ok(group) = rustix::termios::tcgetpgrp(self.fd()) else { return };
        let group = group.as_raw_nonzero().get();
        let gone = killpg(Pid::from_raw(group), None) == Err(nix::errno::Errno::ESRCH);
        if gone || group.unsigned_abs() == payload {
            self.give(rustix::process::getpgrp());
        }
    }
}

/// Stops our job as the payload was stopped, and comes back when it is continued.
///
/// The signals of the terminal's keys stop the whole job, as they would have stopped a command
/// started without us; SIGSTOP, which is sent to single processes, stops us alone.
pub fn stop_like(signal: u32) {
    let terminal_signals = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];
    let by_terminal = terminal_signals.into_iter().any(|s| u32::try_from(s as i32) == Ok(signal));
    if by_terminal {
        // Not SIGSTOP: the kernel drops SIGTSTP where no shell could continue us.
        let unblocked = SigSet::from(Signal::SIGTSTP);
        unblocked.thread_unblock().ok();
        killpg(nix::unistd::getpgrp(), Signal::SIGTSTP).ok();
        unblocked.thread_block().ok();
    } else {
        kill(nix::unistd::getpid(), Signal::SIGSTOP).ok();
    }
}

/// Continues the payload's process group.
pub fn resume(payload: u32) {
    if let Ok(group) = i32::try_from(payload) {
        if group > 1 {
            killpg(Pid::from_raw(group), Signal::SIGCONT).ok();
        }
    }
}

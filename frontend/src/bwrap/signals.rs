// SPDX-License-Identifier: MIT OR Apache-2.0
//! The signals of the caller: what it blocked or ignored is so for COMMAND too, and with
//! `--forward-signals` what is sent to this process reaches COMMAND.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::fs::{CWD, Mode, OFlags};

use super::message::Fault;

/// What COMMAND starts with, as masks (bit N-1 is signal N).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inherited {
    pub(crate) blocked: u64,
    pub(crate) ignored: u64,
}

/// What cannot be passed on: SIGKILL and SIGSTOP are never ignored, and SIGCHLD would keep COMMAND from
/// waiting for its children.
const NOT_IGNORED: [Signal; 3] = [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGCHLD];

/// What this process was started with.
pub(crate) fn inherited() -> Inherited {
    status().map(|status| parse(&String::from_utf8_lossy(&status))).unwrap_or_default()
}

/// What the kernel says of this process: one page at most, made anew for each read.
fn status() -> rustix::io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, c"/proc/self/status", flags, Mode::empty())?;
    let mut page = [0; 4096];
    let length = rustix::io::read(file, &mut page)?;
    Ok(page.get(..length).unwrap_or_default().to_vec())
}

fn parse(status: &str) -> Inherited {
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
    };
    let ignorable = NOT_IGNORED.into_iter().fold(u64::MAX, |mask, signal| mask & !bit(signal));
    Inherited {
        blocked: mask("SigBlk:") & !bit(Signal::SIGCHLD),
        ignored: mask("SigIgn:") & ignorable,
    }
}

fn bit(signal: Signal) -> u64 {
    u32::try_from(signal as i32)
        .ok()
        .and_then(|n| 1_u64.checked_shl(n.wrapping_sub(1)))
        .unwrap_or(0)
}

/// What is passed on.
const FORWARDED: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// `SI_KERNEL` of `sigaction(2)`: the signal is a key of the terminal, or a change of its size.
const FROM_TERMINAL: i32 = 0x80;

/// Signals that come to this process and are meant for COMMAND.
#[derive(Debug)]
pub(crate) struct Forwarder {
    signals: SignalFd,
    /// Whether COMMAND is in our process group, and so gets what the terminal sends by itself.
    together: bool,
}

impl Forwarder {
    /// From here on the signals wait for [`Self::pass_on`].
    pub(crate) fn start(together: bool) -> Result<Self, Fault> {
        let fault = |errno: nix::errno::Errno| {
            let errno = rustix::io::Errno::from_raw_os_error(errno as i32);
            Fault::errno("Can't forward signals", errno)
        };
        let set: SigSet = FORWARDED.into_iter().collect();
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&set, flags).map_err(fault)?;
        set.thread_block().map_err(fault)?;
        Ok(Self { signals, together })
    }

    /// Readable when there is something to pass on.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// Passes on what has come.
    pub(crate) fn pass_on(&self, command: &OwnedFd) {
        while let Some(number) = self.next() {
            if let Some(signal) = rustix::process::Signal::from_named_raw(number) {
                // Should it have ended, there is nobody to get it.
                rustix::process::pidfd_send_signal(command, signal).ok();
            }
        }
    }

    /// The number of a signal that has come and is for COMMAND.
    pub(crate) fn next(&self) -> Option<i32> {
        loop {
            let info = self.signals.read_signal().ok()??;
            if !self.together || info.ssi_code != FROM_TERMINAL {
                return i32::try_from(info.ssi_signo).ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_blocks_and_ignores_is_read_but_for_what_cannot_be_kept() {
        let status = "Name:\tx\nSigBlk:\t0000000000014001\nSigIgn:\t0000000000011003\nSigCgt:\t1\n";
        let inherited = parse(status);
        assert_eq!(inherited.blocked, 0x4001);
        assert_eq!(inherited.ignored, 0x1003);
        assert_eq!(parse(""), Inherited::default());
        assert_eq!(parse("SigIgn:\tffffffffffffffff\n").ignored & ((1 << 8) | (1 << 18)), 0);
    }
}

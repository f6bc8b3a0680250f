// SPDX-License-Identifier: MIT OR Apache-2.0
//! The beginning of a program that starts where the C library does: what Rust prepares before its own
//! `main` (a guard for the stack, for which it reads the memory map, a stack for signals) costs a
//! fiftieth of a launch. What counts of it is done here.

use std::env::{self, ArgsOs};
use std::os::fd::{AsRawFd as _, IntoRawFd as _};

use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{CWD, Mode, OFlags};

/// Runs the program's command line and gives the status to exit with: 1 if not even standard streams
/// can be had.
pub fn start(run: fn(ArgsOs) -> u8) -> i32 {
    if open_standard_streams().is_err() {
        return 1;
    }
    // std has them from the C library, without its own `main`.
    i32::from(run(env::args_os()))
}

/// Opens what the caller has closed, so that nothing opened later is taken for a standard stream.
fn open_standard_streams() -> rustix::io::Result<()> {
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    if streams.iter().all(|stream| rustix::io::fcntl_getfd(stream).is_ok()) {
        return Ok(());
    }
    loop {
        let fd = rustix::fs::openat(CWD, c"/dev/null", OFlags::RDWR, Mode::empty())?;
        if fd.as_raw_fd() > 2 {
            return Ok(());
        }
        // Open for as long as this process lives.
        let _number = fd.into_raw_fd();
    }
}

/// From here on a reader that has gone is an error of `write(2)` and not the end of this process.
pub(crate) fn survive_broken_pipes() {
    // Blocked, which for a signal of a thread's own doing is as good as ignored. Failing is unlikely,
    // and what then ends this process is what ends programs that do nothing about it.
    SigSet::from(Signal::SIGPIPE).thread_block().ok();
}

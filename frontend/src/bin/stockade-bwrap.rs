// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stockade under bubblewrap's command line; may be installed as `bwrap`.
//!
//! Begins where the C library does: what Rust prepares before its own `main` (a guard for the stack,
//! for which it reads the memory map, a stack for signals) costs a fiftieth of a launch. What counts of
//! it is done here: 0, 1 and 2 are open. SIGPIPE keeps its disposition.
#![no_main]

use std::ffi::{c_char, c_int};
use std::os::fd::{AsRawFd as _, IntoRawFd as _};

use rustix::fs::{CWD, Mode, OFlags};

#[expect(unsafe_code, reason = "the name by which the C library finds it, used once")]
// SAFETY: nothing else in this program is called `main`, and this has the type of that of C.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _words: *const *const c_char) -> c_int {
    if open_standard_streams().is_err() {
        return 1;
    }
    // The library takes them from the C library itself.
    c_int::from(stockade::bwrap::run(std::env::args_os()))
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
